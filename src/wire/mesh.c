/* SPDX-License-Identifier: MIT */
/*
 * Mesh control messages, bytes to structs and back; the layouts stand beside the structs in the header. Nothing here keeps state. A
 * message is read whole or not at all, and what was read is in range: counts fit their arrays, a family is one of
 * enum ip_family, an address has zeros where it has no bytes.
 */
#include "wire/mesh.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/ecn.h"

/* Where fields start. Byte 0 is the kind. */
enum {
	CAPABILITIES_FLAGS = 1,
	CAPABILITIES_FLOW_SESSIONS = 2,
	CAPABILITIES_FAMILY = 3,
	CAPABILITIES_PORT = 4,
	CAPABILITIES_FEATURES = 6,
	CAPABILITIES_ADDRESS = 8,
	TOKEN = 4,		/* of a probe, and echoed in a reply */
	STAMP = 8,
	REPLY_ECN = 1,
	REPLY_OWN_TOKEN = 16,
	OPEN_FLAGS = 1,
	OPEN_COUNT = 2,
	REPORT_WANT = 1,
	REPORT_SEQUENCE = 2,
	REPORT_ECHO = 4,
	REPORT_FLAGS = 6,
	REPORT_HEARD = 8,
};

/* The bits of the flags. */
enum {
	CAPABILITIES_ANSWER = 1,
	CAPABILITIES_BEHIND_NAT = 2,
	CAPABILITIES_FRESH = 4,
	CAPABILITIES_PREFIX = 8,
	OPEN_ANNOUNCE = 1,
	OPEN_READY = 2,
	REPORT_CE_ON_NOT_ECT = 1,
};

_Static_assert(CAPABILITIES_ADDRESS + 16 == MESH_CAPABILITIES_LEN, "capabilities");
_Static_assert(STAMP + 8 == MESH_PROBE_LEN, "probe");
_Static_assert(REPLY_OWN_TOKEN + 4 + 4 == MESH_REPLY_LEN, "reply");
_Static_assert(REPORT_HEARD + MESH_SUB_SESSION_BITS / 8 == MESH_REPORT_LEN, "report");

unsigned int mesh_kind(const uint8_t *msg, size_t len)
{
	return len == 0 || msg[0] >> 4 ? 0 : msg[0];
}

static bool is_kind(const uint8_t *msg, size_t len, enum mesh_kind kind, size_t len_min)
{
	return len >= len_min && msg[0] == kind;
}

/* A larger number is one of a later version, which will do with less. */
static uint8_t at_most_all(uint8_t sub_sessions)
{
	return sub_sessions < MESH_SUB_SESSIONS_MAX ? sub_sessions : MESH_SUB_SESSIONS_MAX;
}

static uint8_t flag(bool set, uint8_t bit)
{
	return set ? bit : 0;
}

bool mesh_capabilities_read(struct mesh_capabilities *m, const uint8_t *msg, size_t len)
{
	uint8_t family;

	if (!is_kind(msg, len, MESH_CAPABILITIES, MESH_CAPABILITIES_LEN))
		return false;
	family = msg[CAPABILITIES_FAMILY];
	if (family != IP_NONE && family != IP_V4 && family != IP_V6)
		return false;
	*m = (struct mesh_capabilities){
		.answer = msg[CAPABILITIES_FLAGS] & CAPABILITIES_ANSWER,
		.behind_nat = msg[CAPABILITIES_FLAGS] & CAPABILITIES_BEHIND_NAT,
		.fresh = msg[CAPABILITIES_FLAGS] & CAPABILITIES_FRESH,
		.prefix = msg[CAPABILITIES_FLAGS] & CAPABILITIES_PREFIX,
		.flow_sessions = at_most_all(msg[CAPABILITIES_FLOW_SESSIONS]),
		.features = get_le16(msg + CAPABILITIES_FEATURES),
		.seen.addr.family = family,
	};
	if (family != IP_NONE)
		m->seen.port = get_le16(msg + CAPABILITIES_PORT);
	memcpy(m->seen.addr.bytes, msg + CAPABILITIES_ADDRESS, ip_family_bytes(family));
	return true;
}

size_t mesh_capabilities_write(uint8_t msg[MESH_CAPABILITIES_LEN], const struct mesh_capabilities *m)
{
	const struct ip_addr *seen = &m->seen.addr;

	memset(msg, 0, MESH_CAPABILITIES_LEN);
	msg[0] = MESH_CAPABILITIES;
	msg[CAPABILITIES_FLAGS] = flag(m->answer, CAPABILITIES_ANSWER) | flag(m->behind_nat, CAPABILITIES_BEHIND_NAT) |
				  flag(m->fresh, CAPABILITIES_FRESH) | flag(m->prefix, CAPABILITIES_PREFIX);
	msg[CAPABILITIES_FLOW_SESSIONS] = m->flow_sessions;
	msg[CAPABILITIES_FAMILY] = seen->family;
	if (seen->family != IP_NONE)
		put_le16(msg + CAPABILITIES_PORT, m->seen.port);
	put_le16(msg + CAPABILITIES_FEATURES, m->features);
	memcpy(msg + CAPABILITIES_ADDRESS, seen->bytes, ip_family_bytes(seen->family));
	return MESH_CAPABILITIES_LEN;
}

bool mesh_probe_read(struct mesh_probe *m, const uint8_t *msg, size_t len)
{
	if (!is_kind(msg, len, MESH_PROBE, MESH_PROBE_LEN))
		return false;
	*m = (struct mesh_probe){ .token = get_le32(msg + TOKEN), .stamp = get_le64(msg + STAMP) };
	return true;
}

size_t mesh_probe_write(uint8_t msg[MESH_PROBE_LEN], const struct mesh_probe *m)
{
	put_le32(msg, MESH_PROBE);
	put_le32(msg + TOKEN, m->token);
	put_le64(msg + STAMP, m->stamp);
	return MESH_PROBE_LEN;
}

bool mesh_reply_read(struct mesh_reply *m, const uint8_t *msg, size_t len)
{
	if (!is_kind(msg, len, MESH_REPLY, MESH_REPLY_LEN) || msg[REPLY_ECN] > ECN_MASK)
		return false;
	*m = (struct mesh_reply){
		.ecn = msg[REPLY_ECN],
		.token = get_le32(msg + TOKEN),
		.stamp = get_le64(msg + STAMP),
		.own_token = get_le32(msg + REPLY_OWN_TOKEN),
	};
	return true;
}

size_t mesh_reply_write(uint8_t msg[MESH_REPLY_LEN], const struct mesh_reply *m)
{
	memset(msg, 0, MESH_REPLY_LEN);
	msg[0] = MESH_REPLY;
	msg[REPLY_ECN] = m->ecn;
	put_le32(msg + TOKEN, m->token);
	put_le64(msg + STAMP, m->stamp);
	put_le32(msg + REPLY_OWN_TOKEN, m->own_token);
	return MESH_REPLY_LEN;
}

bool mesh_open_read(struct mesh_open *m, const uint8_t *msg, size_t len)
{
	bool announce;
	uint8_t count;

	if (!is_kind(msg, len, MESH_OPEN, MESH_OPEN_HEADER))
		return false;
	announce = msg[OPEN_FLAGS] & OPEN_ANNOUNCE;
	count = msg[OPEN_COUNT];
	if (count > MESH_SUB_SESSIONS_MAX || (announce && len < MESH_OPEN_HEADER + 2 * (size_t)count))
		return false;
	*m = (struct mesh_open){ .announce = announce, .ready = msg[OPEN_FLAGS] & OPEN_READY, .count = count };
	for (unsigned int i = 0; announce && i < count; i++)
		m->ports[i] = get_le16(msg + MESH_OPEN_HEADER + 2 * i);
	return true;
}

size_t mesh_open_write(uint8_t msg[MESH_MESSAGE_MAX], const struct mesh_open *m)
{
	uint8_t *at = msg + MESH_OPEN_HEADER;

	put_le32(msg, MESH_OPEN);
	msg[OPEN_FLAGS] = (uint8_t)(flag(m->announce, OPEN_ANNOUNCE) | flag(m->ready, OPEN_READY));
	msg[OPEN_COUNT] = m->count;
	for (unsigned int i = 0; m->announce && i < m->count; i++, at += 2)
		put_le16(at, m->ports[i]);
	return (size_t)(at - msg);
}

bool mesh_report_read(struct mesh_report *m, const uint8_t *msg, size_t len)
{
	if (!is_kind(msg, len, MESH_REPORT, MESH_REPORT_LEN))
		return false;
	*m = (struct mesh_report){
		.want = at_most_all(msg[REPORT_WANT]),
		.sequence = get_le16(msg + REPORT_SEQUENCE),
		.echo = get_le16(msg + REPORT_ECHO),
		.ce_on_not_ect = msg[REPORT_FLAGS] & REPORT_CE_ON_NOT_ECT,
	};
	memcpy(m->heard, msg + REPORT_HEARD, sizeof(m->heard));
	return true;
}

size_t mesh_report_write(uint8_t msg[MESH_REPORT_LEN], const struct mesh_report *m)
{
	memset(msg, 0, MESH_REPORT_LEN);
	msg[0] = MESH_REPORT;
	msg[REPORT_WANT] = m->want;
	put_le16(msg + REPORT_SEQUENCE, m->sequence);
	put_le16(msg + REPORT_ECHO, m->echo);
	msg[REPORT_FLAGS] = flag(m->ce_on_not_ect, REPORT_CE_ON_NOT_ECT);
	memcpy(msg + REPORT_HEARD, m->heard, sizeof(m->heard));
	return MESH_REPORT_LEN;
}
