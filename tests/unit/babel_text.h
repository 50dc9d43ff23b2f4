/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_BABEL_TEXT_H
#define MESHD_TESTS_BABEL_TEXT_H

/* Babel TLVs as text, for tests that compare them; include cmocka.h first. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "wire/babel.h"

/* A Router-Id and a Next Hop, for those who need one. */
#define ID "060a0000 02aabbfffeccdd01 "
#define HOP4 "07060100 c0000201 "

static inline struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_true(ip_addr_parse(text, &a));
	return a;
}

static inline struct prefix_pair pair(const char *dst, const char *src)
{
	struct ip_prefix d;
	struct prefix_pair p;

	assert_true(ip_prefix_parse(dst, &d));
	p = prefix_pair_any(&d);
	if (src)
		assert_true(ip_prefix_parse(src, &p.src));
	return p;
}

/* Text of a TLV with all that counts of its kind. */
static inline const char *describe(const struct babel_tlv *t)
{
	static char out[600];
	char prefix[PAIR_TEXT_MAX] = "*", hop[ADDR_TEXT_MAX] = "-", id[17], bytes[2 * 255 + 1] = "", stamps[64] = "";

	if (!t->wildcard)
		prefix_pair_format(&t->prefix, prefix);
	if (t->addr.family)
		ip_addr_format(&t->addr, hop);
	sodium_bin2hex(id, sizeof(id), t->router_id, 8);
	if (t->len)
		sodium_bin2hex(bytes, sizeof(bytes), t->bytes, t->len);
	if (t->has_timestamp)
		snprintf(stamps, sizeof(stamps), " at %x %x %x", t->timestamp, t->origin, t->receive);
	switch (t->type) {
	case BABEL_ACK_REQUEST:
		snprintf(out, sizeof(out), "ack? %u %u", t->opaque, t->interval_cs);
		break;
	case BABEL_ACK:
		snprintf(out, sizeof(out), "ack %u", t->opaque);
		break;
	case BABEL_HELLO:
		snprintf(out, sizeof(out), "hello%s %u %u%s", t->unicast ? " u" : "", t->seqno, t->interval_cs, stamps);
		break;
	case BABEL_IHU:
		snprintf(out, sizeof(out), "ihu %s %u %u%s", t->to_any ? "any" : hop, t->metric, t->interval_cs, stamps);
		break;
	case BABEL_UPDATE:
		snprintf(out, sizeof(out), "%s%s via %s id %s seqno %u metric %u every %u", prefix, t->via6 ? " (6)" : "", hop, id, t->seqno,
			 t->metric, t->interval_cs);
		break;
	case BABEL_ROUTE_REQUEST:
		snprintf(out, sizeof(out), "route? %s%s", prefix, t->via6 ? " (6)" : "");
		break;
	case BABEL_SEQNO_REQUEST:
		snprintf(out, sizeof(out), "seqno? %s%s id %s %u hops %u", prefix, t->via6 ? " (6)" : "", id, t->seqno, t->hop_count);
		break;
	case BABEL_PC:
		snprintf(out, sizeof(out), "pc %u %s", t->pc, bytes);
		break;
	case BABEL_CHALLENGE_REQUEST:
		snprintf(out, sizeof(out), "challenge %s", bytes);
		break;
	case BABEL_CHALLENGE_REPLY:
		snprintf(out, sizeof(out), "reply %s", bytes);
		break;
	case BABEL_MAC:
		snprintf(out, sizeof(out), "mac %s", bytes);
		break;
	default:
		snprintf(out, sizeof(out), "type %u", t->type);
	}
	return out;
}

#endif
