/* SPDX-License-Identifier: MIT */
/* Authentication: MACs known from elsewhere, whose packets are taken, and how counters and challenges behave over time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "babel/babel.h"
#include "babel/mac.h"
#include "base/bytes.h"

#include "stream.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define T0 (1000 * US_PER_S)

static struct stream stream = { .s = 9 };

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

/* Octets first, first + 1, ... */
static struct babel_key key(enum babel_mac_kind kind, uint8_t len, uint8_t first)
{
	struct babel_key k = { .kind = kind, .len = len };

	for (unsigned int i = 0; i < len; i++)
		k.bytes[i] = (uint8_t)(first + i);
	return k;
}

static const uint8_t vector_packet[] = {
	0x2a, 0x02, 0x00, 0x16, 0x04, 0x06, 0x00, 0x00, 0x00, 0x01, 0x01, 0x90,
	0x11, 0x0c, 0x00, 0x00, 0x00, 0x07, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,
};

static const struct {
	const char *src, *dst;
	enum babel_mac_kind kind;
	const char *mac;
} vectors[] = {
	{ "fe80::1", "ff02::1:6", BABEL_MAC_HMAC_SHA256, "befddc401aa6f3efcd52435adc7d8b954983699a195f55371214a4a5238302bd" },
	{ "fe80::1", "ff02::1:6", BABEL_MAC_BLAKE2S_128, "f8de979f539ef56dcb74e1484b86bc93" },
	{ "fe80::1", "fe80::2", BABEL_MAC_HMAC_SHA256, "31ea6934f96790c6085dbe4c5ea63d618729ddb2be4d2a8329ac589a5164700a" },
	{ "fe80::1", "fe80::2", BABEL_MAC_BLAKE2S_128, "e2f913defff9ddd7d6e1680cd373607d" },
	{ "192.0.2.1", "224.0.0.111", BABEL_MAC_HMAC_SHA256, "9a36ee24837681326bf210f710046383507d4aededa01c598bbfb798bb73c355" },
	{ "192.0.2.1", "224.0.0.111", BABEL_MAC_BLAKE2S_128, "e0e4f3ddce71564055033354331ce8f7" },
};

static void known_macs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct ip_addr src = address(vectors[i].src), dst = address(vectors[i].dst);
		struct babel_key k = key(vectors[i].kind, 32, 0);
		uint8_t out[BABEL_MAC_MAX];
		char hex[2 * BABEL_MAC_MAX + 1];
		uint8_t len = babel_mac(out, &k, &src, &dst, vector_packet, sizeof(vector_packet));

		assert_int_equal(2u * len, strlen(vectors[i].mac));
		assert_string_equal(sodium_bin2hex(hex, sizeof(hex), out, len), vectors[i].mac);
	}
}

/* The vector's packet with these MACs behind it, of fe80::1 to ff02::1:6. */
static size_t with_macs(uint8_t *packet, const struct babel_key *keys, size_t count)
{
	struct ip_addr src = address("fe80::1"), dst = address("ff02::1:6");
	size_t len = sizeof(vector_packet);

	memcpy(packet, vector_packet, len);
	for (size_t i = 0; i < count; i++) {
		uint8_t out[BABEL_MAC_MAX];
		uint8_t mac_len = babel_mac(out, &keys[i], &src, &dst, packet, sizeof(vector_packet));

		len += babel_mac_write(packet + len, out, mac_len);
	}
	return len;
}

static void checks(void **state)
{
	struct babel_key a = key(BABEL_MAC_HMAC_SHA256, 32, 0), b = key(BABEL_MAC_HMAC_SHA256, 128, 1),
			 c = key(BABEL_MAC_BLAKE2S_128, 16, 2), d = key(BABEL_MAC_HMAC_SHA256, 32, 1);
	struct babel_key ab[] = { a, b }, ca[] = { c, a }, bc[] = { b, c }, other[] = { d };
	struct ip_addr src = address("fe80::1"), dst = address("ff02::1:6"), wrong = address("fe80::2");
	uint8_t packet[256];
	size_t len;

	(void)state;
	/* Any pair of theirs and ours. */
	len = with_macs(packet, ab, 2);
	assert_true(babel_mac_check(ca, 2, &src, &dst, packet, len));
	assert_true(babel_mac_check(bc, 2, &src, &dst, packet, len));
	assert_true(babel_mac_check(&a, 1, &src, &dst, packet, len));
	assert_false(babel_mac_check(&c, 1, &src, &dst, packet, len));
	assert_false(babel_mac_check(other, 1, &src, &dst, packet, len));
	assert_false(babel_mac_check(ab, 0, &src, &dst, packet, len));
	/* From somebody else, to somebody else. */
	assert_false(babel_mac_check(&a, 1, &wrong, &dst, packet, len));
	assert_false(babel_mac_check(&a, 1, &src, &wrong, packet, len));
	/* No MAC; half of one; one in the body. */
	assert_false(babel_mac_check(&a, 1, &src, &dst, packet, sizeof(vector_packet)));
	assert_false(babel_mac_check(&a, 1, &src, &dst, packet, sizeof(vector_packet) + 33));
	assert_true(babel_mac_check(&a, 1, &src, &dst, packet, sizeof(vector_packet) + 34));
	len = with_macs(packet, &a, 1);
	put_be16(packet + 2, (uint16_t)(len - 4));
	assert_false(babel_mac_check(&a, 1, &src, &dst, packet, len));
	/* Nothing that is a packet. */
	assert_false(babel_mac_check(&a, 1, &src, &dst, packet, 3));
	/* A MAC cut to 16 octets does not do for one of 32, nor one of a hash that was cut for BLAKE2s-128. */
	len = with_macs(packet, &a, 1);
	packet[sizeof(vector_packet) + 1] = 16;
	assert_false(babel_mac_check(&a, 1, &src, &dst, packet, len - 16));
	/* Padding behind the MACs is nothing. */
	len = with_macs(packet, &c, 1);
	memset(packet + len, 0, 40);
	assert_true(babel_mac_check(&c, 1, &src, &dst, packet, len + 40));
}

/* Every bit of body, header and MAC counts. */
static void every_bit(void **state)
{
	struct babel_key keys[] = { key(BABEL_MAC_HMAC_SHA256, 20, 0), key(BABEL_MAC_BLAKE2S_128, 1, 7) };
	struct ip_addr src = address("fe80::1"), dst = address("ff02::1:6");

	(void)state;
	for (size_t k = 0; k < COUNT(keys); k++) {
		uint8_t packet[256];
		size_t len = with_macs(packet, &keys[k], 1);

		for (size_t bit = 0; bit < 8 * len; bit++) {
			packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(babel_mac_check(&keys[k], 1, &src, &dst, packet, len));
			packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_true(babel_mac_check(&keys[k], 1, &src, &dst, packet, len));
	}
}

/*
 * Judging. A packet is a Hello, the PCs, and the challenges.
 */
struct say {
	int pcs;			/* how many PC TLVs, the second with pc + 1000 */
	uint32_t pc;
	const char *index;
	const uint8_t *request, *reply;
	uint8_t request_len, reply_len;
};

static struct babel_mac_reply answer;
static uint8_t judged[1024];

static enum babel_mac_verdict judge_at(struct babel_mac_peer *p, const struct say *s, bool multicast, int64_t now_us)
{
	struct ip_addr src = address("fe80::1");
	struct rng rng = stream_rng(&stream);
	struct babel_writer w;
	size_t len;

	babel_write_begin(&w, judged, sizeof(judged));
	babel_write_hello(&w, false, 1, 400, false);
	for (int i = 0; i < s->pcs; i++)
		babel_write_pc(&w, s->pc + 1000 * (uint32_t)i, (const uint8_t *)s->index, (uint8_t)strlen(s->index));
	if (s->request)
		babel_write_challenge(&w, false, s->request, s->request_len);
	if (s->reply)
		babel_write_challenge(&w, true, s->reply, s->reply_len);
	len = babel_write_end(&w);
	return babel_mac_judge(p, judged, len, &src, multicast, now_us, &rng, &answer);
}

static enum babel_mac_verdict judge_pc(struct babel_mac_peer *p, const char *index, uint32_t pc, bool multicast, int64_t now_us)
{
	struct say s = { .pcs = 1, .pc = pc, .index = index };

	return judge_at(p, &s, multicast, now_us);
}

static enum babel_mac_verdict judge_reply(struct babel_mac_peer *p, const char *index, uint32_t pc, const uint8_t *nonce, uint8_t len,
					  int64_t now_us)
{
	struct say s = { .pcs = 1, .pc = pc, .index = index, .reply = nonce, .reply_len = len };

	return judge_at(p, &s, false, now_us);
}

/* Whatever its index: challenged, and answered. */
static void get_to_know(struct babel_mac_peer *p, const char *index, uint32_t pc, int64_t now_us)
{
	uint8_t nonce[BABEL_OWN_NONCE_LEN];

	assert_int_equal(judge_pc(p, index, pc - 1, true, now_us), BABEL_MAC_CHALLENGE);
	memcpy(nonce, p->nonce, sizeof(nonce));
	assert_int_equal(judge_reply(p, index, pc, nonce, sizeof(nonce), now_us + 1000), BABEL_MAC_ACCEPT);
}

static void unknown_is_challenged(void **state)
{
	struct babel_mac_peer p;
	uint8_t first[BABEL_OWN_NONCE_LEN], wrong[BABEL_OWN_NONCE_LEN + 1] = { 0 };
	struct say no_pc = { .pcs = 0, .index = "", .request = wrong, .request_len = 8 };

	(void)state;
	babel_mac_peer_init(&p);
	assert_int_equal(judge_at(&p, &no_pc, false, T0), BABEL_MAC_DROP);
	assert_null(answer.nonce);
	assert_false(p.challenged);
	assert_int_equal(judge_pc(&p, "index", 5, true, T0), BABEL_MAC_CHALLENGE);
	memcpy(first, p.nonce, sizeof(first));
	/* One in 300 ms, and the nonce stays until there is another. */
	assert_int_equal(judge_pc(&p, "index", 6, true, T0 + 299999), BABEL_MAC_DROP);
	assert_memory_equal(p.nonce, first, sizeof(first));
	memcpy(wrong, first, sizeof(first));
	assert_int_equal(judge_reply(&p, "index", 7, wrong, sizeof(wrong), T0 + 299999), BABEL_MAC_DROP);	/* longer */
	assert_int_equal(judge_reply(&p, "index", 7, wrong, sizeof(first) - 1, T0 + 299999), BABEL_MAC_DROP);
	assert_int_equal(judge_reply(&p, "index", 7, wrong, 0, T0 + 299999), BABEL_MAC_DROP);
	wrong[3] ^= 1;
	assert_int_equal(judge_reply(&p, "index", 7, wrong, sizeof(first), T0 + 299999), BABEL_MAC_DROP);
	assert_int_equal(judge_reply(&p, "index", 7, first, sizeof(first), T0 + 299999), BABEL_MAC_ACCEPT);
	/* Everything up to there is used; the nonce, too. */
	assert_int_equal(judge_pc(&p, "index", 7, true, T0 + 300000), BABEL_MAC_DROP);
	assert_int_equal(judge_pc(&p, "index", 6, true, T0 + 300000), BABEL_MAC_DROP);
	assert_int_equal(judge_pc(&p, "index", 8, true, T0 + 300000), BABEL_MAC_ACCEPT);
	assert_int_equal(judge_reply(&p, "other", 9, first, sizeof(first), T0 + 300001), BABEL_MAC_CHALLENGE);
	assert_memory_not_equal(p.nonce, first, sizeof(first));
	/* A stranger's packets change nothing for the one we know. */
	assert_int_equal(judge_pc(&p, "index", 9, true, T0 + 300002), BABEL_MAC_ACCEPT);
}

/* 30 s is how long a challenge may be answered. */
static void nonces_age(void **state)
{
	uint8_t nonce[BABEL_OWN_NONCE_LEN];
	struct babel_mac_peer p;

	(void)state;
	for (int late = 0; late < 2; late++) {
		babel_mac_peer_init(&p);
		assert_int_equal(judge_pc(&p, "index", 5, true, T0), BABEL_MAC_CHALLENGE);
		memcpy(nonce, p.nonce, sizeof(nonce));
		assert_int_equal(judge_reply(&p, "index", 6, nonce, sizeof(nonce), T0 + 30 * US_PER_S + late),
				 late ? BABEL_MAC_CHALLENGE : BABEL_MAC_ACCEPT);
	}
	/* Nobody asked. */
	babel_mac_peer_init(&p);
	memset(nonce, 0, sizeof(nonce));
	assert_int_equal(judge_reply(&p, "index", 6, nonce, sizeof(nonce), T0), BABEL_MAC_CHALLENGE);
}

static void challenges_are_rare(void **state)
{
	struct babel_mac_peer p;
	unsigned int challenges = 0;

	(void)state;
	babel_mac_peer_init(&p);
	for (int64_t t = 0; t < 3 * US_PER_S; t += 1000)
		challenges += judge_pc(&p, t % 2000 ? "a" : "b", 5, true, T0 + t) == BABEL_MAC_CHALLENGE;
	assert_int_equal(challenges, 10);
}

static void challenges_are_answered(void **state)
{
	static const uint8_t nonce[BABEL_NONCE_MAX] = { 1, 2, 3 };
	struct say s = { .pcs = 1, .pc = 5, .index = "index", .request = nonce, .request_len = 8 };
	struct babel_mac_peer p;

	(void)state;
	babel_mac_peer_init(&p);
	/* One sent to all is not for us. */
	judge_at(&p, &s, true, T0);
	assert_null(answer.nonce);
	/* Who is not known is answered, too: or two that both began anew would never meet. */
	assert_int_equal(judge_at(&p, &s, false, T0), BABEL_MAC_DROP);
	assert_int_equal(answer.len, 8);
	assert_memory_equal(answer.nonce, nonce, 8);
	judge_at(&p, &s, false, T0 + 299999);
	assert_null(answer.nonce);
	s.request_len = 0;
	judge_at(&p, &s, false, T0 + 300000);
	assert_non_null(answer.nonce);		/* of length zero, but a challenge */
	assert_int_equal(answer.len, 0);
	s.request_len = BABEL_NONCE_MAX;
	judge_at(&p, &s, false, T0 + 600000);
	assert_int_equal(answer.len, BABEL_NONCE_MAX);
	s.request = NULL;
	judge_at(&p, &s, false, T0 + 900000);
	assert_null(answer.nonce);
}

/* The first PC counts, and no other. */
static void first_pc(void **state)
{
	struct say s = { .pcs = 2, .pc = 10, .index = "index" };
	struct babel_mac_peer p;

	(void)state;
	babel_mac_peer_init(&p);
	get_to_know(&p, "index", 100, T0);
	assert_int_equal(judge_at(&p, &s, true, T0 + US_PER_S), BABEL_MAC_DROP);
	s.pc = 101;
	assert_int_equal(judge_at(&p, &s, true, T0 + US_PER_S), BABEL_MAC_ACCEPT);
	assert_int_equal(judge_pc(&p, "index", 102, true, T0 + US_PER_S), BABEL_MAC_ACCEPT);
}

/* Two counters, each with its window: against a plain list of what was taken. */
static void counters(void **state)
{
	enum { FROM = 1000, TO = 9000 };
	static bool taken[2][TO];
	uint32_t highest[2] = { FROM, FROM };
	struct babel_mac_peer p;
	struct stream r = { .s = 4 };
	unsigned int accepted = 0, old = 0;

	(void)state;
	babel_mac_peer_init(&p);
	get_to_know(&p, "index", FROM, T0);
	for (int i = 0; i < 60000; i++) {
		unsigned int which = (unsigned int)stream_below(&r, 2);
		uint32_t pc = highest[which] - 200 + (uint32_t)stream_below(&r, 201);
		bool want;

		if (stream_below(&r, 12) == 0)
			pc = highest[which] + 1 + (uint32_t)stream_below(&r, stream_below(&r, 20) ? 3 : 300);
		if (pc >= TO)
			break;
		want = pc > FROM && pc + BABEL_PC_WINDOW > highest[which] && !taken[which][pc];
		old += want && pc < highest[which];
		if ((judge_pc(&p, "index", pc, which, T0 + 2000) == BABEL_MAC_ACCEPT) != want)
			fail_msg("step %d: counter %u, %u after %u", i, which, pc, highest[which]);
		if (want) {
			taken[which][pc] = true;
			highest[which] = pc > highest[which] ? pc : highest[which];
			accepted++;
		}
	}
	assert_in_range(accepted, 1000, 20000);
	assert_in_range(old, 1000, 20000);	/* overtaken ones were there */
}

/* At the end of 32 bits there is no way on with this index, and none back to the start. */
static void counter_ends(void **state)
{
	struct babel_mac_peer p;

	(void)state;
	babel_mac_peer_init(&p);
	get_to_know(&p, "index", 0xfffffff0, T0);
	assert_int_equal(judge_pc(&p, "index", 0xffffffff, true, T0 + 2000), BABEL_MAC_ACCEPT);
	assert_int_equal(judge_pc(&p, "index", 0xffffffff, true, T0 + 2000), BABEL_MAC_DROP);
	assert_int_equal(judge_pc(&p, "index", 0xfffffffe, true, T0 + 2000), BABEL_MAC_ACCEPT);
	assert_int_equal(judge_pc(&p, "index", 0, true, T0 + 2000), BABEL_MAC_DROP);
	assert_int_equal(judge_pc(&p, "index", 100, true, T0 + 2000), BABEL_MAC_DROP);
	assert_int_equal(judge_pc(&p, "fresh", 1, true, T0 + US_PER_S), BABEL_MAC_CHALLENGE);
}

/* M3b: an index of length zero is an index; nobody's is not that one. */
static void index_of_length_zero(void **state)
{
	uint8_t nonce[BABEL_OWN_NONCE_LEN];
	struct babel_mac_peer p;

	(void)state;
	babel_mac_peer_init(&p);
	assert_int_equal(judge_pc(&p, "", 1, true, T0), BABEL_MAC_CHALLENGE);
	memcpy(nonce, p.nonce, sizeof(nonce));
	assert_int_equal(judge_reply(&p, "", 2, nonce, sizeof(nonce), T0 + 1000), BABEL_MAC_ACCEPT);
	assert_int_equal(judge_pc(&p, "", 3, true, T0 + 2000), BABEL_MAC_ACCEPT);
	assert_int_equal(judge_pc(&p, "x", 4, true, T0 + US_PER_S), BABEL_MAC_CHALLENGE);
	assert_int_equal(judge_pc(&p, "xy", 4, true, T0 + 2 * US_PER_S), BABEL_MAC_CHALLENGE);
	assert_int_equal(judge_pc(&p, "", 4, true, T0 + 2 * US_PER_S), BABEL_MAC_ACCEPT);
}

/* M4: five minutes after the last packet accepted, whatever else came meanwhile. */
static void forgets(void **state)
{
	struct babel_mac_peer p;
	int64_t t = T0 + 1000;		/* when the answer was accepted */

	(void)state;
	babel_mac_peer_init(&p);
	get_to_know(&p, "index", 100, T0);
	assert_int_equal(judge_pc(&p, "index", 101, true, t + BABEL_MAC_FORGET_US), BABEL_MAC_ACCEPT);
	t += BABEL_MAC_FORGET_US;
	for (int i = 0; i < 300; i++)		/* replays do not keep it alive... */
		assert_int_equal(judge_pc(&p, "index", 101, true, t + i * US_PER_S), BABEL_MAC_DROP);
	for (int i = 0; i < 300; i++)		/* ...nor do challenges nobody answers */
		assert_int_equal(judge_pc(&p, "other", 101, true, t + i * US_PER_S), BABEL_MAC_CHALLENGE);
	assert_int_equal(judge_pc(&p, "index", 102, true, t + BABEL_MAC_FORGET_US + 1), BABEL_MAC_CHALLENGE);
	assert_int_equal(p.index_len, -1);
}

static void own_index(void **state)
{
	struct babel_mac_own a = { 0 }, b = { .pc = 77 };
	struct rng rng = stream_rng(&stream);

	(void)state;
	babel_mac_own_init(&a, &rng);
	babel_mac_own_init(&b, &rng);
	assert_true(a.set && b.set);
	assert_int_equal(b.pc, 0);
	assert_memory_not_equal(a.index, b.index, sizeof(a.index));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_macs),
		cmocka_unit_test(checks),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(unknown_is_challenged),
		cmocka_unit_test(nonces_age),
		cmocka_unit_test(challenges_are_rare),
		cmocka_unit_test(challenges_are_answered),
		cmocka_unit_test(first_pc),
		cmocka_unit_test(counters),
		cmocka_unit_test(counter_ends),
		cmocka_unit_test(index_of_length_zero),
		cmocka_unit_test(forgets),
		cmocka_unit_test(own_index),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
