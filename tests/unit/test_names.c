/* SPDX-License-Identifier: MIT */
/*
 * Names of endpoints: what is asked for, and what an answer changes. Node, config and frames are real; the parent is the other end of a socket
 * pair, and applying a change goes to the node alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "node/config.h"
#include "sys/daemon_inside.h"
#include "sys/frame.h"
#include "stream.h"

#define KEY_A "7lszWZtJOcqgXK6MAjCegszTRw+7eJwPZPaEexetMIw="
#define KEY_B "Yd4dZKU3ej4XWHuGPaUb9x/KMmDX31GCErOnCnl4G20="
#define PEER(key) "[Peer]\nPublicKey = " key "\n"

static struct daemon d;
static struct stream random_bytes;
static int parent;
static unsigned int applied;

int daemon_apply(struct daemon *self, const struct change *c)
{
	applied++;
	return node_apply(self->node, c, (struct instant){ .mono_us = 1000000 });
}

/* The config is in force: names are not asked for yet. */
static void configure(const char *text)
{
	struct text error = { 0 };

	config_done(&d.config);
	assert_true(config_parse(&d.config, "wg0.conf", text, strlen(text), &error));
	assert_int_equal(node_apply(d.node, &d.config.change, (struct instant){ .mono_us = 1000000 }), 0);
	applied = 0;
}

static int set_up(void **state)
{
	struct rng rng = stream_rng(&random_bytes);
	struct log log = { 0 };
	int fds[2];

	(void)state;
	random_bytes.s = 1;
	memset(&d, 0, sizeof(d));
	udp_init(&d.udp);
	d.node = node_new(&rng, &log, 1);
	if (!d.node || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -1;
	d.o.parent_fd = fds[0];
	parent = fds[1];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	node_free(d.node);
	config_done(&d.config);
	close(d.o.parent_fd);
	close(parent);
	return 0;
}

/* The next name that is asked for, "" if none is. */
static void assert_asked(const char *name)
{
	struct pollfd pfd = { .fd = parent, .events = POLLIN };
	char *payload = NULL;
	size_t len;

	if (poll(&pfd, 1, 0) <= 0) {
		assert_string_equal(name, "");
		return;
	}
	assert_int_equal(frame_receive(parent, &payload, &len), FRAME_RESOLVE);
	assert_string_equal(payload, name);
	free(payload);
}

static size_t answer_of(char payload[4000], const char *name, const char *addresses)
{
	size_t len = strlen(name) + 1;

	memcpy(payload, name, len);
	strcpy(payload + len, addresses);
	return len + strlen(addresses);
}

static void answer(const char *name, const char *addresses)
{
	char payload[4000];

	daemon_resolved(&d, payload, answer_of(payload, name, addresses));
}

/* The addresses of an endpoint of the i-th peer, as the node and (the same) the config have them. */
static void assert_addresses(size_t i, size_t endpoint, const char *expected)
{
	const struct change_endpoint *c = &d.config.change.peers[i].endpoints[endpoint];
	char text[1000] = "", address[ENDPOINT_TEXT_MAX];
	struct peer_info info;

	assert_true(node_peer(d.node, i, (struct instant){ .mono_us = 1000000 }, &info));
	assert_true(endpoint < info.endpoint_count);
	for (size_t j = 0; j < info.endpoints[endpoint].count; j++) {
		strcat(text, endpoint_format(&info.endpoints[endpoint].v[j], address));
		strcat(text, " ");
	}
	assert_string_equal(text, expected);
	assert_int_equal(c->count, info.endpoints[endpoint].count);
	for (size_t j = 0; j < c->count; j++)
		assert_true(endpoint_equal(&c->v[j], &info.endpoints[endpoint].v[j]));
}

static void all_are_asked(void **state)
{
	(void)state;
	configure(PEER(KEY_A) "Endpoint = one.example:1\nEndpoint = 192.0.2.9:1\nEndpoint = two.example:2 metered\n"
		  PEER(KEY_B) "Endpoint = 192.0.2.8:1\n");
	assert_true(daemon_resolve_again(&d));
	assert_asked("one.example:1");
	assert_asked("two.example:2");
	assert_asked("");
	answer("two.example:2", "192.0.2.1:2\n[2001:db8::1]:2\n");
	assert_addresses(0, 0, "");
	assert_addresses(0, 1, "192.0.2.9:1 ");
	assert_addresses(0, 2, "192.0.2.1:2 [2001:db8::1]:2 ");
	assert_true(d.config.change.peers[0].endpoints[2].terms.metered);
	/* Only what has no answer yet. */
	assert_true(daemon_resolve_again(&d));
	assert_asked("one.example:1");
	assert_asked("");
	answer("one.example:1", "192.0.2.3:1\n");
	assert_addresses(0, 0, "192.0.2.3:1 ");
	assert_false(daemon_resolve_again(&d));
	assert_asked("");
}

static void one_name_of_two_peers(void **state)
{
	(void)state;
	configure(PEER(KEY_A) "Endpoint = one.example:1\n" PEER(KEY_B) "Endpoint = 192.0.2.8:1\nEndpoint = one.example:1\n");
	answer("one.example:1", "192.0.2.1:1\n");
	assert_addresses(0, 0, "192.0.2.1:1 ");
	assert_addresses(1, 0, "192.0.2.8:1 ");
	assert_addresses(1, 1, "192.0.2.1:1 ");
}

static void later_answers(void **state)
{
	(void)state;
	configure(PEER(KEY_A) "Endpoint = one.example:1\n");
	answer("one.example:1", "");
	assert_addresses(0, 0, "");
	assert_true(daemon_resolve_again(&d));
	answer("one.example:1", "192.0.2.1:1\n192.0.2.2:1\n");
	assert_int_equal(applied, 1);
	/* The same again is no change: a peer that has moved stays where it is. */
	answer("one.example:1", "192.0.2.1:1\n192.0.2.2:1\n");
	assert_int_equal(applied, 1);
	/* Nothing, or nothing good, is no change either. */
	answer("one.example:1", "");
	answer("one.example:1", "no address\n224.0.0.1:1\n0.0.0.0:1\n[::]:1\n");
	assert_int_equal(applied, 1);
	assert_addresses(0, 0, "192.0.2.1:1 192.0.2.2:1 ");
	/* Others replace all of them. */
	answer("one.example:1", "[2001:db8::7]:1\n");
	assert_int_equal(applied, 2);
	assert_addresses(0, 0, "[2001:db8::7]:1 ");
}

static void late_answers(void **state)
{
	struct endpoint there;
	struct change c = { 0 };
	struct change_peer *p = change_add_peer(&c);

	(void)state;
	configure(PEER(KEY_A) "Endpoint = one.example:1\n");
	assert_true(daemon_resolve_again(&d));
	/* The file has another name by now. */
	configure(PEER(KEY_A) "Endpoint = other.example:1\n");
	answer("one.example:1", "192.0.2.1:1\n");
	assert_int_equal(applied, 0);
	assert_addresses(0, 0, "");
	/* wg(8) has set an address. */
	assert_true(key_from_base64(p->public_key, KEY_A));
	assert_true(endpoint_parse("192.0.2.99:9", &there) && change_add_address(p, &there));
	assert_int_equal(daemon_apply(&d, &c), 0);
	change_done(&c);
	applied = 0;
	answer("other.example:1", "192.0.2.1:1\n");
	assert_int_equal(applied, 0);
}

static void not_to_ourselves(void **state)
{
	(void)state;
	configure("[Interface]\nListenPort = 7\n" PEER(KEY_A) "Endpoint = one.example:7\n" PEER(KEY_B) "Endpoint = one.example:8\n");
	answer("one.example:7", "127.0.0.1:7\n192.0.2.1:7\n");
	assert_addresses(0, 0, "192.0.2.1:7 ");
	/* Another port is another program. */
	answer("one.example:8", "127.0.0.1:8\n");
	assert_addresses(1, 0, "127.0.0.1:8 ");
}

static void hundred_addresses(void **state)
{
	char text[3000] = "";

	(void)state;
	configure(PEER(KEY_A) "Endpoint = one.example:1\n");
	for (unsigned int i = 1; i <= 100; i++) {
		char line[40];

		snprintf(line, sizeof(line), "[2001:db8::%x]:1\n", i);
		if (i == 20)
			strcpy(line, "192.0.2.1:1\n");
		strcat(text, line);
	}
	answer("one.example:1", text);
	assert_addresses(0, 0, "[2001:db8::1]:1 192.0.2.1:1 [2001:db8::2]:1 [2001:db8::3]:1 [2001:db8::4]:1 [2001:db8::5]:1 [2001:db8::6]:1 "
			 "[2001:db8::7]:1 ");
}

static void bad_frames(void **state)
{
	char noise[300];

	(void)state;
	configure(PEER(KEY_A) "Endpoint = one.example:1\n");
	memset(noise, 'x', sizeof(noise));
	daemon_resolved(&d, noise, sizeof(noise));
	memcpy(noise, "one.example:1", sizeof("one.example:1"));
	noise[sizeof(noise) - 1] = '\0';
	daemon_resolved(&d, noise, sizeof(noise) - 1);
	assert_int_equal(applied, 0);
	assert_addresses(0, 0, "");
}

/* At start: what is answered at once is in the config before it is applied. */
static void at_start(void **state)
{
	const char *text = PEER(KEY_A) "Endpoint = one.example:1\nEndpoint = two.example:1\n";
	struct text error = { 0 };
	char payload[4000];

	(void)state;
	assert_true(config_parse(&d.config, "wg0.conf", text, strlen(text), &error));
	assert_int_equal(frame_send(parent, FRAME_RESOLVED, payload, answer_of(payload, "two.example:1", "192.0.2.2:1\n")), 0);
	assert_int_equal(frame_send(parent, FRAME_RESOLVED, payload, answer_of(payload, "one.example:1", "192.0.2.1:1\n")), 0);
	daemon_resolve_first(&d);
	assert_asked("one.example:1");
	assert_asked("two.example:1");
	assert_asked("");
	assert_int_equal(d.config.change.peers[0].endpoints[0].v[0].addr.bytes[3], 1);
	assert_int_equal(d.config.change.peers[0].endpoints[1].v[0].addr.bytes[3], 2);
	assert_int_equal(applied, 0);
}

/* Whoever ends a start that waits for names is heard: what is no answer stays for the loop to take. */
static void a_stop_at_start_is_kept(void **state)
{
	const char *text = PEER(KEY_A) "Endpoint = one.example:1\nEndpoint = two.example:1\n";
	struct text error = { 0 };
	char payload[4000], *left = NULL;
	size_t len;

	(void)state;
	d.loop = ev_loop_new(EVFLAG_AUTO);
	ev_timer_init(&d.resolve, NULL, 1.0, 1.0);
	assert_true(config_parse(&d.config, "wg0.conf", text, strlen(text), &error));
	assert_int_equal(frame_send(parent, FRAME_RESOLVED, payload, answer_of(payload, "two.example:1", "192.0.2.2:1\n")), 0);
	assert_int_equal(frame_send(parent, FRAME_STOP, NULL, 0), 0);
	daemon_resolve_first(&d);
	assert_int_equal(d.config.change.peers[0].endpoints[1].count, 1);
	assert_int_equal(frame_peek(d.o.parent_fd), FRAME_STOP);
	assert_int_equal(frame_receive(d.o.parent_fd, &left, &len), FRAME_STOP);
	free(left);
	assert_int_equal(frame_peek(d.o.parent_fd), -EAGAIN);
	ev_loop_destroy(d.loop);
	d.loop = NULL;
}

#define with_daemon(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_daemon(all_are_asked),
		with_daemon(one_name_of_two_peers),
		with_daemon(later_answers),
		with_daemon(late_answers),
		with_daemon(not_to_ourselves),
		with_daemon(hundred_addresses),
		with_daemon(bad_frames),
		with_daemon(at_start),
		with_daemon(a_stop_at_start_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
