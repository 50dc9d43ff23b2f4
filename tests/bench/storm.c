/* SPDX-License-Identifier: MIT */
/*
 * A storm of handshakes: many configured peers begin one after the other, a few at a time, and the daemon answers.
 *
 *	storm keys PEERS				prints [Peer] sections for wg(8)
 *	storm run ADDRESS PORT PUBLIC-KEY PEERS COUNT WINDOW	prints: begun, good, cookie replies, seconds
 *
 * What is timed is the daemon's part: initiations are made before and the responses verified after, each to a
 * session, so that our own X25519 takes no time from the daemon on a machine both share. At most WINDOW are on their way, few enough not
 * to look like an attack; no peer begins twice within its 20 ms as long as there are enough of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/instant.h"
#include "crypto/blake2s.h"
#include "crypto/key.h"
#include "transport/cookie.h"
#include "transport/noise.h"
#include "wire/wg.h"

enum { PEERS_MAX = 4096, COUNT_MAX = 65536, STALL_MS = 500 };

struct attempt {
	struct noise_handshake handshake;
	uint8_t initiation[WG_INITIATION_LEN];
	uint8_t response[WG_RESPONSE_LEN];
	bool answered;
};

static uint8_t server[KEY_LEN];
static struct noise_identity identities[PEERS_MAX];
static struct attempt *attempts;
static size_t peers, count;

static void fail(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void random_bytes(void *ctx, void *out, size_t len)
{
	(void)ctx;
	if (getrandom(out, len, 0) != (ssize_t)len)
		fail("getrandom");
}

static struct instant now(void)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct instant){
		.mono_us = mono.tv_sec * US_PER_S + mono.tv_nsec / 1000,
		.wall_ns = wall.tv_sec * NS_PER_S + wall.tv_nsec,
	};
}

/* Peer number i has always the same key; these are keys for a bench, known to everybody. */
static void make_identity(size_t i)
{
	struct blake2s h;
	uint8_t key[KEY_LEN], number[8];

	memcpy(number, &i, sizeof(number));
	blake2s_init(&h, sizeof(key), NULL, 0);
	blake2s_update(&h, "meshd bench storm", 17);
	blake2s_update(&h, number, sizeof(number));
	blake2s_final(&h, key);
	key_clamp(key);
	noise_identity_set(&identities[i], key);
}

static void print_keys(void)
{
	char text[KEY_BASE64_MAX];

	for (size_t i = 0; i < peers; i++)
		printf("[Peer]\nPublicKey = %s\n", key_to_base64(text, identities[i].public_key));
}

static void make_initiations(void)
{
	static struct noise_handshake fresh[PEERS_MAX];
	static uint8_t stamps[PEERS_MAX][WG_TAI64N_LEN];
	const struct rng rng = { .fill = random_bytes };
	struct cookie_maker macs = { 0 };

	cookie_maker_init(&macs, server);
	for (size_t i = 0; i < peers; i++)
		noise_handshake_init(&fresh[i], &identities[i], server, NULL);
	for (size_t i = 0; i < count; i++) {
		struct attempt *a = &attempts[i];
		struct wg_initiation m;

		a->handshake = fresh[i % peers];
		noise_timestamp(stamps[i % peers], now().wall_ns);
		if (!noise_create_initiation(&a->handshake, &identities[i % peers], (uint32_t)i,
					     stamps[i % peers], &rng, &m))
			fail("initiation");
		wg_initiation_write(a->initiation, &m);
		cookie_maker_sign(&macs, a->initiation, sizeof(a->initiation), now().mono_us);
	}
}

/* Take what has come in, waiting for the first; how many of ours were answered, cookie replies counted. */
static size_t collect(int fd, int wait_ms, size_t *cookies)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t msg[WG_HANDSHAKE_MAX + 1];
	size_t answered = 0;
	ssize_t n;

	if (wait_ms && poll(&p, 1, wait_ms) <= 0)
		return 0;
	while ((n = recv(fd, msg, sizeof(msg), MSG_DONTWAIT)) >= 0) {
		struct wg_response m;

		*cookies += wg_classify(msg, (size_t)n) == WG_COOKIE_REPLY;
		if (wg_classify(msg, (size_t)n) != WG_RESPONSE)
			continue;
		wg_response_read(&m, msg);
		if (m.receiver >= count || attempts[m.receiver].answered)
			continue;
		memcpy(attempts[m.receiver].response, msg, WG_RESPONSE_LEN);
		attempts[m.receiver].answered = true;
		answered++;
	}
	return answered;
}

static void storm(int fd, size_t window, size_t *cookies)
{
	size_t sent = 0, done = 0;

	while (done < count) {
		size_t answered;

		while (sent < count && sent - done < window) {
			if (send(fd, attempts[sent].initiation, WG_INITIATION_LEN, 0) < 0 && errno != ECONNREFUSED)
				fail("send");
			sent++;
		}
		answered = collect(fd, STALL_MS, cookies);
		done += answered;
		if (!answered)
			done = sent;	/* lost */
	}
}

static size_t verify(void)
{
	size_t good = 0;

	for (size_t i = 0; i < count; i++) {
		struct attempt *a = &attempts[i];
		struct wg_response m;
		struct noise_keys keys;

		if (!a->answered)
			continue;
		wg_response_read(&m, a->response);
		if (noise_consume_response(&a->handshake, &identities[i % peers], &m) == NOISE_OK &&
		    noise_begin_session(&a->handshake, &keys))
			good++;
	}
	return good;
}

static int open_socket(const char *ip, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		fail(ip);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		fail("socket");
	return fd;
}

static int run(char **argv)
{
	size_t window = (size_t)atoi(argv[5]), cookies = 0;
	int fd = open_socket(argv[0], argv[1]);
	int64_t begin, end;

	if (!key_from_base64(server, argv[2]) || !count || count > COUNT_MAX || !window)
		return 2;
	attempts = calloc(count, sizeof(*attempts));
	if (!attempts)
		fail("memory");
	make_initiations();
	begin = now().mono_us;
	storm(fd, window, &cookies);
	end = now().mono_us;
	printf("%zu %zu %zu %.6f\n", count, verify(), cookies, (double)(end - begin) / 1e6);
	free(attempts);
	return 0;
}

int main(int argc, char **argv)
{
	bool keys = argc == 3 && !strcmp(argv[1], "keys");

	if (!keys && !(argc == 8 && !strcmp(argv[1], "run"))) {
		fprintf(stderr, "usage: storm keys PEERS\n"
			"       storm run ADDRESS PORT PUBLIC-KEY PEERS COUNT WINDOW\n");
		return 2;
	}
	peers = (size_t)atoi(argv[keys ? 2 : 5]);
	if (!crypto_init() || !peers || peers > PEERS_MAX)
		return 2;
	for (size_t i = 0; i < peers; i++)
		make_identity(i);
	if (keys) {
		print_keys();
		return 0;
	}
	count = (size_t)atoi(argv[6]);
	return run(argv + 2);
}
