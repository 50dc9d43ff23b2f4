/* SPDX-License-Identifier: MIT */
/* meshd status and meshd peers as people and programs see them, from messages made by hand; and the message made from a real node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/instant.h"
#include "base/offloads.h"
#include "cli/status.h"
#include "crypto/key.h"
#include "node/change.h"
#include "node/drops.h"
#include "node/node.h"
#include "sys/status.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)

/* A message on the stack with all its parts. */
struct made {
	Meshd__Status status;
	Meshd__Peer peer[3];
	Meshd__Peer *peers[3];
	Meshd__Drop drop[2];
	Meshd__Offload offload[2], *offloads[2];
	Meshd__Lane lane[2], *lanes[2];
	Meshd__Drop *drops[2];
	uint8_t key[4][KEY_LEN];
};

static char *addresses[] = { "10.0.0.1/24", "fd00::1/64" };
static char *allowed[] = { "10.0.0.2/32", "fd00::2/128" };

static void make_peers(struct made *m)
{
	Meshd__Peer *p = m->peer;

	p[0].name = "laptop";
	p[0].endpoint = "192.0.2.1:51820";
	p[0].endpoint_name = "home.example.org:51820";
	p[0].local_address = "198.51.100.7";
	p[0].allowed_ips = allowed;
	p[0].n_allowed_ips = 2;
	p[0].handshake_wall_ns = NOW - 63 * NS_PER_S;
	p[0].rx_bytes = 1536;
	p[0].tx_bytes = 5 << 20;
	p[0].rx_rate = 150000;
	p[0].keepalive_s = 25;
	p[0].has_session = p[0].has_psk = true;
	p[0].mesh = p[0].opener = p[0].behind_nat = p[0].ecn_untrusted = true;
	p[0].sub_sessions_max = 32;
	p[0].sub_sessions_open = 16;
	p[0].sub_sessions_usable = 13;
	p[0].sub_sessions_busy = 9;
	p[0].queued = 12;
	p[0].babel = p[0].allowed_auto = true;
	p[0].babel_cost = 128;
	p[0].babel_reach = 0xfffe;
	p[0].use = "backbone";

	p[1].endpoint = "[2001:db8::1]:51820";
	p[1].endpoint_loops = true;
	p[1].handshake_wall_ns = NOW - 7260 * NS_PER_S;
	p[1].waiting = p[1].queued = 1;

	p[2].endpoint_name = "nowhere.example.org:1";
}

static void make(struct made *m)
{
	Meshd__Status *s = &m->status;

	memset(m, 0, sizeof(*m));
	meshd__status__init(s);
	for (int i = 0; i < 4; i++)
		memset(m->key[i], i + 1, KEY_LEN);
	for (int i = 0; i < 3; i++) {
		meshd__peer__init(&m->peer[i]);
		m->peers[i] = &m->peer[i];
		m->peer[i].public_key = (ProtobufCBinaryData){ KEY_LEN, m->key[i + 1] };
	}
	make_peers(m);
	for (int i = 0; i < 2; i++) {
		meshd__drop__init(&m->drop[i]);
		m->drops[i] = &m->drop[i];
	}
	m->drop[0] = (Meshd__Drop){ m->drop[0].base, "no_peer", 12 };
	m->drop[1] = (Meshd__Drop){ m->drop[1].base, "some_new_reason", 1 };

	for (int i = 0; i < 2; i++) {
		meshd__offload__init(&m->offload[i]);
		m->offloads[i] = &m->offload[i];
		meshd__lane__init(&m->lane[i]);
		m->lanes[i] = &m->lane[i];
	}
	m->offload[0] = (Meshd__Offload){ m->offload[0].base, "tso", true };
	m->offload[1] = (Meshd__Offload){ m->offload[1].base, "gro", false };
	m->lane[0] = (Meshd__Lane){ m->lane[0].base, 9, 6, 2, 1 };
	m->lane[1] = (Meshd__Lane){ m->lane[1].base, 1, 14, 0, 0 };
	s->offloads = m->offloads;
	s->n_offloads = 2;
	s->lanes = m->lanes;
	s->n_lanes = 2;

	s->version = "1.0";
	s->name = "wg0";
	s->uptime_s = 7260;
	s->now_ns = NOW;
	s->workers = 1;
	s->aead = "gcrypt";
	s->rss_bytes = 4718592;
	s->public_key = (ProtobufCBinaryData){ KEY_LEN, m->key[0] };
	s->listen_port = 51820;
	s->fwmark = 0xca6c;
	s->mtu = 1420;
	s->up = true;
	s->addresses = addresses;
	s->n_addresses = 2;
	s->rx_packets = 10;
	s->tx_packets = 20;
	s->handshakes_sent = 3;
	s->handshakes_received = 2;
	s->handshakes_done = 1;
	s->marked_sent = 54;
	s->marked_received = 3;
	s->sockets = 32;
	s->drops = m->drops;
	s->n_drops = 2;
	s->peers = m->peers;
	s->n_peers = 3;
}

#define KEY1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define KEY2 "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define KEY3 "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
#define KEY4 "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ="

static void full_text(void **state)
{
	struct text out = { 0 };
	struct made m;

	(void)state;
	make(&m);
	status_text(&m.status, false, &out);
	assert_string_equal(out.s,
		"interface wg0\n"
		"  state          up\n"
		"  public key     " KEY1 "\n"
		"  listen port    51820\n"
		"  addresses      10.0.0.1/24, fd00::1/64\n"
		"  mtu            1420\n"
		"  fwmark         0xca6c\n"
		"  packets        10 received, 20 sent\n"
		"  handshakes     3 sent, 2 received, 1 completed\n"
		"  offloads       tso; off: gro\n"
		"  lanes          50 %, 50 % of the packets\n"
		"  sockets        32 for sub-sessions\n"
		"  marked         54 sent, 3 received\n"
		"  daemon         meshd 1.0, running for 2 hours, 1 minute; 1 worker, gcrypt, 4.50 MiB of memory\n"
		"\n"
		"peer laptop\n"
		"  public key     " KEY2 "\n"
		"  endpoint       192.0.2.1:51820 (home.example.org:51820), from 198.51.100.7\n"
		"  allowed ips    auto, 10.0.0.2/32, fd00::2/128\n"
		"  handshake      1 minute, 3 seconds ago\n"
		"  transfer       1.50 KiB received, 5.00 MiB sent\n"
		"  rate           1.2 Mbit/s in, 0 bit/s out\n"
		"  sub-sessions   9 of 32 in use, 13 ready; opened by us, behind a NAT\n"
		"  ecn            marks on this path are not to be trusted; not used\n"
		"  mesh link      backbone\n"
		"  babel          cost 128, 15 of the last 16 hellos heard\n"
		"  queue          12 packets\n"
		"  keepalive      every 25 seconds\n"
		"  preshared key  yes\n"
		"\n"
		"peer " KEY3 "\n"
		"  endpoint       [2001:db8::1]:51820 - not used: its route leads into wg0 itself\n"
		"  allowed ips    (none)\n"
		"  handshake      2 hours, 1 minute ago (the session has ended)\n"
		"  transfer       0 B received, 0 B sent\n"
		"  waiting        1 packet for a session\n"
		"\n"
		"peer " KEY4 "\n"
		"  endpoint       nowhere.example.org:1 (no address known yet)\n"
		"  allowed ips    (none)\n"
		"  handshake      never\n"
		"  transfer       0 B received, 0 B sent\n"
		"\n"
		"dropped by wg0\n"
		"  12             no peer has that destination\n"
		"  1              some new reason\n");
	text_done(&out);
}

/* A node nobody has configured yet: nothing is invented. */
static void bare_text(void **state)
{
	Meshd__Status s = MESHD__STATUS__INIT;
	struct text out = { 0 };

	(void)state;
	s.name = "wg0";
	s.version = "1.0";
	s.aead = "sodium";
	s.workers = 2;
	status_text(&s, false, &out);
	assert_string_equal(out.s, "interface wg0\n"
				   "  state          down\n"
				   "  public key     (none: it has no private key)\n"
				   "  listen port    0\n"
				   "  addresses      (none)\n"
				   "  mtu            0\n"
				   "  packets        0 received, 0 sent\n"
				   "  handshakes     0 sent, 0 received, 0 completed\n"
				   "  daemon         meshd 1.0, running for 0 seconds; 2 workers, sodium, 0 B of memory\n");
	text_done(&out);
}

/* What is told of a link to another meshd, and of the interface, each only where there is something to tell. */
static void links_in_words(void **state)
{
	static const struct {
		const char *line;
		bool opener, nat;
		uint32_t max, open, waiting, queued;
		uint64_t lost, marked, kept;
	} cases[] = {
		{ "  sub-sessions   1 of 8 in use, 2 ready; opened by us\n", true, false, 8, 4, 0, 0, 0, 0, 0 },
		{ "  sub-sessions   1 of 8 in use, 2 ready; opened by the peer\n", false, false, 8, 4, 0, 0, 0, 0, 0 },
		{ "  sub-sessions   1 of 8 in use, 2 ready; opened by the peer; we are behind a NAT\n", false, true, 8, 4, 0, 0, 0, 0, 0 },
		{ "  sub-sessions   8 possible, none open\n", true, false, 8, 0, 0, 0, 0, 0, 0 },
		{ "  sub-sessions   none: one side wants none\n", true, false, 0, 0, 0, 0, 0, 0, 0 },
		{ "  queue          1 packet\n", true, false, 8, 4, 0, 1, 0, 0, 0 },
		{ "  waiting        2 packets for a session\n  queue          3 packets\n", true, false, 8, 4, 2, 3, 0, 0, 0 },
		{ "  given up       1 sub-session that was not heard any more\n", true, false, 8, 4, 0, 0, 1, 0, 0 },
		{ "  given up       2 sub-sessions that were not heard any more\n", true, false, 8, 4, 0, 0, 2, 0, 0 },
		{ "  marked         0 sent, 5 received; 6 delivered without their mark\n", true, false, 8, 4, 0, 0, 0, 5, 6 },
		{ "  marked         6 delivered without their mark\n", true, false, 8, 4, 0, 0, 0, 0, 6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text out = { 0 };
		struct made m;
		Meshd__Peer *p = &m.peer[2];

		make(&m);
		m.status.sub_sessions_lost = cases[i].lost;
		m.status.marked_sent = 0;
		m.status.marked_received = cases[i].marked;
		m.status.ce_kept = cases[i].kept;
		m.peers[0] = p;
		m.status.n_peers = 1;
		p->mesh = true;
		p->opener = cases[i].opener;
		p->behind_nat = cases[i].nat;
		p->sub_sessions_max = cases[i].max;
		p->sub_sessions_open = cases[i].open;
		p->sub_sessions_usable = 2;
		p->sub_sessions_busy = 1;
		p->waiting = cases[i].waiting;
		p->queued = cases[i].queued;
		status_text(&m.status, false, &out);
		if (!strstr(out.s, cases[i].line))
			fail_msg("case %zu: %s", i, out.s);
		text_done(&out);
	}
}

/* The mesh in a line, and what is wrong there. */
static void mesh_in_words(void **state)
{
	char *warnings[] = { "the record of node north expires in 12 days", "the mesh key ends in 20 days" };
	Meshd__Mesh mesh = MESHD__MESH__INIT;
	struct text out = { 0 };
	struct made m;
	Meshd__Status *list[1] = { &m.status };

	(void)state;
	make(&m);
	mesh.name = "home";
	mesh.nodes_known = 12;
	mesh.nodes_good = 10;
	mesh.neighbours = mesh.in_step = 1;
	mesh.backbone = 3;
	m.status.mesh = &mesh;
	status_text(&m.status, false, &out);
	assert_non_null(strstr(out.s, "\n  mesh           home: 10 nodes; 1 of 1 neighbour in step\n  offloads "));
	text_reset(&out);
	mesh.nodes_good = 1;
	mesh.neighbours = 4;
	mesh.warnings = warnings;
	mesh.n_warnings = 2;
	status_text(&m.status, false, &out);
	assert_non_null(strstr(out.s, "\n  mesh           home: 1 node; 1 of 4 neighbours in step\n"
				      "  warning        the record of node north expires in 12 days\n"
				      "                 the mesh key ends in 20 days\n  offloads "));
	text_reset(&out);
	status_json(list, 1, &out);
	assert_non_null(strstr(out.s, "      \"mesh\": {\n        \"name\": \"home\",\n        \"key\": null,\n"
				      "        \"may_sign\": false,\n        \"nodes\": 12,\n        \"nodes_good\": 1,\n"
				      "        \"neighbours\": 4,\n        \"in_step\": 1,\n        \"backbone\": 3,\n"));
	assert_non_null(strstr(out.s, "        \"warnings\": [\n          \"the record of node north expires in 12 days\",\n"));
	text_done(&out);
}

/* A peer with Babel is a neighbour, or was, or is not yet. */
static void babel_in_words(void **state)
{
	static const struct {
		const char *line;
		uint32_t cost, reach;
	} cases[] = {
		{ "  allowed ips    auto\n", 0, 0 },
		{ "  babel          not heard\n", 0, 0 },
		{ "  babel          the link is down\n", 65535, 1 },
		{ "  babel          cost 96, 2 of the last 16 hellos heard\n", 96, 0x8001 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text out = { 0 };
		struct made m;

		make(&m);
		m.peers[0] = &m.peer[2];
		m.status.n_peers = 1;
		m.peer[2].babel = m.peer[2].allowed_auto = true;
		m.peer[2].babel_cost = cases[i].cost;
		m.peer[2].babel_reach = cases[i].reach;
		status_text(&m.status, false, &out);
		if (!strstr(out.s, cases[i].line))
			fail_msg("case %zu: %s", i, out.s);
		text_done(&out);
	}
}

/* Colour adds escapes and nothing else. */
static void coloured_text(void **state)
{
	struct text plain = { 0 }, colour = { 0 }, stripped = { 0 };
	struct made m;

	(void)state;
	make(&m);
	status_text(&m.status, false, &plain);
	status_text(&m.status, true, &colour);
	assert_null(strchr(plain.s, '\033'));
	assert_non_null(strstr(colour.s, "\033[1;31m[2001:db8::1]:51820 - not used"));
	for (const char *p = colour.s; *p; p++) {
		if (*p == '\033')
			p = strchr(p, 'm');
		else
			text_add_bytes(&stripped, p, 1);
	}
	assert_string_equal(stripped.s, plain.s);
	text_done(&plain);
	text_done(&colour);
	text_done(&stripped);
}

static void a_line_a_peer(void **state)
{
	struct text out = { 0 };
	struct made m, other;
	Meshd__Status *list[2] = { &m.status, &other.status };

	(void)state;
	make(&m);
	make(&other);
	other.status.name = "mesh10";
	other.status.n_peers = 1;
	status_peers_text(list, 1, false, &out);
	assert_string_equal(out.s,
		"PEER         STATE         HANDSHAKE  RECEIVED  SENT      IN          OUT  ENDPOINT\n"
		"laptop       up, backbone  1m 3s      1.50 KiB  5.00 MiB  1.2 Mbit/s  -    192.0.2.1:51820\n"
		"AwMDAwMD...  loop          2h 1m      0 B       0 B       -           -    [2001:db8::1]:51820\n"
		"BAQEBAQE...  no endpoint   never      0 B       0 B       -           -    nowhere.example.org:1\n");
	text_reset(&out);
	status_peers_text(list, 2, false, &out);
	assert_memory_equal(out.s, "INTERFACE  PEER  ", 17);
	assert_non_null(strstr(out.s, "\nmesh10     laptop       up, backbone  "));
	text_done(&out);
}

static void no_peers_no_lines(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Status *list[1] = { &m.status };

	(void)state;
	make(&m);
	m.status.n_peers = 0;
	status_peers_text(list, 1, false, &out);
	assert_int_equal(out.len, 0);
	text_done(&out);
}

#define PEER1_JSON(i, first) \
	first \
	i "\"public_key\": \"" KEY2 "\",\n" \
	i "\"name\": \"laptop\",\n" \
	i "\"endpoint\": \"192.0.2.1:51820\",\n" \
	i "\"endpoint_name\": \"home.example.org:51820\",\n" \
	i "\"local_address\": \"198.51.100.7\",\n" \
	i "\"endpoint_loops\": false,\n" \
	i "\"allowed_ips\": [\n" \
	i "  \"10.0.0.2/32\",\n" \
	i "  \"fd00::2/128\"\n" \
	i "],\n" \
	i "\"has_session\": true,\n" \
	i "\"handshake_ms\": 1699999937000,\n" \
	i "\"handshake_age_s\": 63,\n" \
	i "\"rx_bytes\": 1536,\n" \
	i "\"tx_bytes\": 5242880,\n" \
	i "\"rx_bytes_per_s\": 150000,\n" \
	i "\"tx_bytes_per_s\": 0,\n" \
	i "\"waiting_packets\": 0,\n" \
	i "\"keepalive_s\": 25,\n" \
	i "\"has_preshared_key\": true,\n" \
	i "\"mesh\": true,\n" \
	i "\"sub_sessions_max\": 32,\n" \
	i "\"sub_sessions_open\": 16,\n" \
	i "\"sub_sessions_usable\": 13,\n" \
	i "\"sub_sessions_busy\": 9,\n" \
	i "\"opener\": true,\n" \
	i "\"behind_nat\": true,\n" \
	i "\"ecn\": false,\n" \
	i "\"ecn_untrusted\": true,\n" \
	i "\"ecn_bleached\": false,\n" \
	i "\"queued_packets\": 12,\n" \
	i "\"allowed_auto\": true,\n" \
	i "\"babel\": true,\n" \
	i "\"babel_cost\": 128,\n" \
	i "\"babel_reach\": 65534,\n" \
	i "\"use\": \"backbone\"\n"

static void json_of_interfaces(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Status *list[1] = { &m.status };

	(void)state;
	make(&m);
	m.status.n_peers = 1;
	status_json(list, 1, &out);
	assert_string_equal(out.s,
		"{\n"
		"  \"interfaces\": [\n"
		"    {\n"
		"      \"name\": \"wg0\",\n"
		"      \"up\": true,\n"
		"      \"public_key\": \"" KEY1 "\",\n"
		"      \"listen_port\": 51820,\n"
		"      \"addresses\": [\n"
		"        \"10.0.0.1/24\",\n"
		"        \"fd00::1/64\"\n"
		"      ],\n"
		"      \"mtu\": 1420,\n"
		"      \"fwmark\": 51820,\n"
		"      \"rx_packets\": 10,\n"
		"      \"tx_packets\": 20,\n"
		"      \"handshakes_sent\": 3,\n"
		"      \"handshakes_received\": 2,\n"
		"      \"handshakes_completed\": 1,\n"
		"      \"marked_sent\": 54,\n"
		"      \"marked_received\": 3,\n"
		"      \"ce_kept\": 0,\n"
		"      \"sub_session_sockets\": 32,\n"
		"      \"sub_sessions_lost\": 0,\n"
		"      \"version\": \"1.0\",\n"
		"      \"now_ms\": 1700000000000,\n"
		"      \"uptime_s\": 7260,\n"
		"      \"workers\": 1,\n"
		"      \"mesh\": null,\n"
		"      \"offloads\": {\n"
		"        \"tso\": true,\n"
		"        \"gro\": false\n"
		"      },\n"
		"      \"lanes\": [\n"
		"        {\n"
		"          \"rx_packets\": 9,\n"
		"          \"tx_packets\": 6,\n"
		"          \"handed_over\": 2,\n"
		"          \"strays\": 1\n"
		"        },\n"
		"        {\n"
		"          \"rx_packets\": 1,\n"
		"          \"tx_packets\": 14,\n"
		"          \"handed_over\": 0,\n"
		"          \"strays\": 0\n"
		"        }\n"
		"      ],\n"
		"      \"one_queue\": false,\n"
		"      \"aead\": \"gcrypt\",\n"
		"      \"rss_bytes\": 4718592,\n"
		"      \"peers\": [\n"
		"        {\n"
		PEER1_JSON("          ", "")
		"        }\n"
		"      ],\n"
		"      \"drops\": {\n"
		"        \"no_peer\": 12,\n"
		"        \"some_new_reason\": 1\n"
		"      }\n"
		"    }\n"
		"  ]\n"
		"}\n");
	text_reset(&out);
	status_json(list, 0, &out);
	assert_string_equal(out.s, "{\n  \"interfaces\": []\n}\n");
	text_done(&out);
}

static void json_of_peers(void **state)
{
	struct text out = { 0 };
	struct made m;
	Meshd__Status *list[1] = { &m.status };

	(void)state;
	make(&m);
	m.status.n_peers = 1;
	status_peers_json(list, 1, &out);
	assert_string_equal(out.s,
		"{\n"
		"  \"peers\": [\n"
		"    {\n"
		PEER1_JSON("      ", "      \"interface\": \"wg0\",\n")
		"    }\n"
		"  ]\n"
		"}\n");
	/* What is not there is null, under the same key. */
	text_reset(&out);
	m.status.peers = &m.peers[2];
	status_peers_json(list, 1, &out);
	assert_non_null(strstr(out.s, "\"name\": null,\n      \"endpoint\": null,"));
	assert_non_null(strstr(out.s, "\"handshake_ms\": null,\n      \"handshake_age_s\": null,"));
	text_done(&out);
}

/* Every reason the node counts has words of its own. */
static void drops_in_words(void **state)
{
	(void)state;
	for (unsigned int r = 0; r < DROP_REASONS; r++) {
		const char *name = drop_name((enum drop_reason)r);
		char out[64];

		print_message("%s\n", name);
		assert_ptr_not_equal(status_drop_words(name, out), out);
	}
}

/* ---- from a node ---- */

static void seeded_fill(void *ctx, void *out, size_t len)
{
	unsigned int *seed = ctx;

	for (uint8_t *p = out; len--; p++)
		*p = (uint8_t)rand_r(seed);
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	assert_true(ip_prefix_parse(text, &p));
	return p;
}

static void add_peers(struct change *c)
{
	struct change_peer *p = change_add_peer(c);
	struct ip_prefix a = prefix("10.9.0.0/16"), b = prefix("fd09::/64");
	struct endpoint there;

	memset(p->public_key, 0x21, KEY_LEN);
	memset(p->psk, 0x5a, KEY_LEN);
	p->bits = CHANGE_PEER_PSK | CHANGE_PEER_KEEPALIVE | CHANGE_PEER_NAME;
	p->keepalive_s = 25;
	strcpy(p->name, "laptop");
	assert_true(endpoint_parse("192.0.2.1:51820", &there) && change_add_address(p, &there));
	assert_true(change_add_allowed(p, &b, false));
	assert_true(change_add_allowed(p, &a, false));
	p = change_add_peer(c);
	memset(p->public_key, 0x22, KEY_LEN);
}

static Meshd__Status *status_of(const struct node *n, const struct status_facts *f, struct instant now)
{
	Meshd__Status *s = malloc(sizeof(*s));

	assert_non_null(s);
	meshd__status__init(s);
	assert_true(status_fill(n, f, now, s));
	return s;
}

static bool contains(const uint8_t *in, size_t len, uint8_t byte)
{
	uint8_t needle[KEY_LEN];

	memset(needle, byte, sizeof(needle));
	return memmem(in, len, needle, sizeof(needle));
}

static void check_peers(const Meshd__Status *s)
{
	assert_int_equal(s->n_peers, 2);
	assert_string_equal(s->peers[0]->name, "laptop");
	assert_string_equal(s->peers[0]->endpoint, "192.0.2.1:51820");
	assert_string_equal(s->peers[0]->local_address, "");
	assert_int_equal(s->peers[0]->n_allowed_ips, 2);
	assert_string_equal(s->peers[0]->allowed_ips[0], "10.9.0.0/16");
	assert_string_equal(s->peers[0]->allowed_ips[1], "fd09::/64");
	assert_int_equal(s->peers[0]->keepalive_s, 25);
	assert_true(s->peers[0]->has_psk);
	assert_false(s->peers[0]->has_session);
	assert_int_equal(s->peers[1]->public_key.data[5], 0x22);
	assert_string_equal(s->peers[1]->endpoint, "");
	assert_false(s->peers[1]->has_psk);
}

static void from_a_node(void **state)
{
	unsigned int seed = 3;
	const struct rng rng = { seeded_fill, &seed };
	const struct log log = { 0 };
	const struct ip_prefix address[] = { prefix("10.0.0.1/24"), prefix("fd00::1/64") };
	const struct status_facts facts = {
		.name = "wg7", .start_us = 5 * US_PER_S, .addresses = address, .address_count = 2,
		.offloads = OFFLOAD_TSO | OFFLOAD_GRO, .lane_count = 1, .lanes = { { 3, 4 } },
	};
	const struct instant now = { 65 * US_PER_S, NOW };
	struct node *n = node_new(&rng, &log, 1);
	struct change c = { .bits = CHANGE_PRIVATE_KEY | CHANGE_LISTEN_PORT, .listen_port = 4711 };
	Meshd__Status *s;
	uint8_t *packed;
	size_t len;

	(void)state;
	memset(c.private_key, 0x77, KEY_LEN);
	key_clamp(c.private_key);
	add_peers(&c);
	assert_int_equal(node_apply(n, &c, now), 0);
	node_set_mtu(n, 1420);
	s = status_of(n, &facts, now);
	assert_string_equal(s->name, "wg7");
	assert_int_equal(s->uptime_s, 60);
	assert_int_equal(s->now_ns, NOW);
	assert_int_equal(s->listen_port, 4711);
	assert_int_equal(s->mtu, 1420);
	assert_false(s->up);
	assert_int_equal(s->public_key.len, KEY_LEN);
	assert_int_equal(s->n_addresses, 2);
	assert_string_equal(s->addresses[1], "fd00::1/64");
	assert_true(s->rss_bytes > 100000);
	assert_int_equal(s->n_drops, 0);
	assert_int_equal(s->n_offloads, 5);
	assert_string_equal(s->offloads[0]->name, "tso");
	assert_true(s->offloads[0]->on);
	assert_string_equal(s->offloads[2]->name, "gso");
	assert_false(s->offloads[2]->on);
	assert_int_equal(s->workers, 1);
	assert_int_equal(s->n_lanes, 1);
	assert_int_equal(s->lanes[0]->handed_over, 3);
	assert_int_equal(s->lanes[0]->strays, 4);
	check_peers(s);

	len = meshd__status__get_packed_size(s);
	packed = malloc(len);
	meshd__status__pack(s, packed);
	assert_true(contains(packed, len, 0x21));
	assert_false(contains(packed, len, 0x5a));
	assert_null(memmem(packed, len, c.private_key, KEY_LEN));
	free(packed);
	meshd__status__free_unpacked(s, NULL);
	change_done(&c);
	node_free(n);
}

/* An empty node gives an empty status, and it can be packed. */
static void from_an_empty_node(void **state)
{
	unsigned int seed = 3;
	const struct rng rng = { seeded_fill, &seed };
	const struct log log = { 0 };
	const struct status_facts facts = { .name = "wg7", .start_us = US_PER_S, .lane_count = 1 };
	const struct instant now = { US_PER_S, NOW };
	struct node *n = node_new(&rng, &log, 1);
	Meshd__Status *s = status_of(n, &facts, now);

	(void)state;
	assert_int_equal(s->public_key.len, 0);
	assert_int_equal(s->n_peers, 0);
	assert_int_equal(s->uptime_s, 0);
	assert_true(meshd__status__get_packed_size(s) > 0);
	meshd__status__free_unpacked(s, NULL);
	node_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_text),
		cmocka_unit_test(bare_text),
		cmocka_unit_test(links_in_words),
		cmocka_unit_test(babel_in_words),
		cmocka_unit_test(mesh_in_words),
		cmocka_unit_test(coloured_text),
		cmocka_unit_test(a_line_a_peer),
		cmocka_unit_test(no_peers_no_lines),
		cmocka_unit_test(json_of_interfaces),
		cmocka_unit_test(json_of_peers),
		cmocka_unit_test(drops_in_words),
		cmocka_unit_test(from_a_node),
		cmocka_unit_test(from_an_empty_node),
	};

	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
