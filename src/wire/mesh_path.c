/* SPDX-License-Identifier: MIT */
/*
 * Mesh control messages about paths: probes, replies, reports and addresses, bytes to structs and back. The rules are those of mesh.c: a message is
 * read whole or not at all, and what was read is in range. A path number is never 0; a count fits its array. An address a peer tells that nobody
 * else can use (link-local, loopback, multicast, unspecified, or with port 0) is left out, which is no reason to refuse the others.
 */
#include "wire/mesh.h"

#include <string.h>

#include "base/bytes.h"

/* Where fields start. Byte 0 is the kind. */
enum {
	PROBE_FLAGS = 1,
	PATH = 2,		/* of a probe, and echoed in a reply */
	PATH_SEQUENCE = 4,
	SENT = 8,
	REPLY_RECEIVED = 16,
	REPLY_REPLIED = 24,
	REPLY_OWN = 32,
	REPLY_PORT = 34,
	REPLY_FAMILY = 36,
	REPLY_ADDRESS = 40,
	LIST_COUNT = 1,		/* of a report and of addresses */
	LIST_SEQUENCE = 2,
	/* Of an entry of a report. */
	ENTRY_PATH = 0,
	ENTRY_LOSS = 2,
	ENTRY_LATE = 4,
	ENTRY_JITTER = 6,
	ENTRY_HEARD = 8,
	ENTRY_RATE = 12,
	/* Of one of addresses. */
	ADDRESS_FAMILY = 0,
	ADDRESS_FLAGS = 1,
	ADDRESS_PORT = 2,
	ADDRESS_BYTES = 4,
};

/* The bits of the flags. */
enum {
	PROBE_IN_USE = 1,
	ADDRESS_METERED = 1,
};

_Static_assert(SENT + 8 == MESH_PATH_PROBE_LEN, "path probe");
_Static_assert(REPLY_ADDRESS + 16 == MESH_PATH_REPLY_LEN, "path reply");
_Static_assert(ENTRY_RATE + 4 == MESH_PATH_ENTRY_LEN, "an entry of a path report");
_Static_assert(ADDRESS_BYTES + 16 == MESH_ADDRESS_LEN, "an address");
_Static_assert(MESH_PATH_REPORT_HEADER + MESH_PATH_ENTRIES_MAX * MESH_PATH_ENTRY_LEN <= MESH_MESSAGE_MAX, "a path report");
_Static_assert(MESH_ADDRESSES_HEADER + MESH_ADDRESSES_MAX * MESH_ADDRESS_LEN <= MESH_MESSAGE_MAX, "addresses");

static bool is_kind(const uint8_t *msg, size_t len, enum mesh_kind kind, size_t len_min)
{
	return len >= len_min && msg[0] == kind;
}

bool mesh_path_probe_read(struct mesh_path_probe *m, const uint8_t *msg, size_t len)
{
	if (!is_kind(msg, len, MESH_PATH_PROBE, MESH_PATH_PROBE_LEN) || get_le16(msg + PATH) == 0)
		return false;
	*m = (struct mesh_path_probe){
		.in_use = msg[PROBE_FLAGS] & PROBE_IN_USE,
		.path = get_le16(msg + PATH),
		.sequence = get_le32(msg + PATH_SEQUENCE),
		.sent_us = get_le64(msg + SENT),
	};
	return true;
}

size_t mesh_path_probe_write(uint8_t msg[MESH_PATH_PROBE_LEN], const struct mesh_path_probe *m)
{
	msg[0] = MESH_PATH_PROBE;
	msg[PROBE_FLAGS] = m->in_use ? PROBE_IN_USE : 0;
	put_le16(msg + PATH, m->path);
	put_le32(msg + PATH_SEQUENCE, m->sequence);
	put_le64(msg + SENT, m->sent_us);
	return MESH_PATH_PROBE_LEN;
}

bool mesh_path_reply_read(struct mesh_path_reply *m, const uint8_t *msg, size_t len)
{
	uint8_t family;

	if (!is_kind(msg, len, MESH_PATH_REPLY, MESH_PATH_REPLY_LEN) || get_le16(msg + PATH) == 0)
		return false;
	family = msg[REPLY_FAMILY];
	if (family != IP_NONE && family != IP_V4 && family != IP_V6)
		return false;
	*m = (struct mesh_path_reply){
		.path = get_le16(msg + PATH),
		.sequence = get_le32(msg + PATH_SEQUENCE),
		.sent_us = get_le64(msg + SENT),
		.received_us = get_le64(msg + REPLY_RECEIVED),
		.replied_us = get_le64(msg + REPLY_REPLIED),
		.own = get_le16(msg + REPLY_OWN),
		.seen.addr.family = family,
	};
	if (family != IP_NONE)
		m->seen.port = get_le16(msg + REPLY_PORT);
	memcpy(m->seen.addr.bytes, msg + REPLY_ADDRESS, ip_family_bytes(family));
	return true;
}

size_t mesh_path_reply_write(uint8_t msg[MESH_PATH_REPLY_LEN], const struct mesh_path_reply *m)
{
	const struct ip_addr *seen = &m->seen.addr;

	memset(msg, 0, MESH_PATH_REPLY_LEN);
	msg[0] = MESH_PATH_REPLY;
	put_le16(msg + PATH, m->path);
	put_le32(msg + PATH_SEQUENCE, m->sequence);
	put_le64(msg + SENT, m->sent_us);
	put_le64(msg + REPLY_RECEIVED, m->received_us);
	put_le64(msg + REPLY_REPLIED, m->replied_us);
	put_le16(msg + REPLY_OWN, m->own);
	if (seen->family != IP_NONE)
		put_le16(msg + REPLY_PORT, m->seen.port);
	msg[REPLY_FAMILY] = seen->family;
	memcpy(msg + REPLY_ADDRESS, seen->bytes, ip_family_bytes(seen->family));
	return MESH_PATH_REPLY_LEN;
}

bool mesh_path_report_read(struct mesh_path_report *m, const uint8_t *msg, size_t len)
{
	const uint8_t *at = msg + MESH_PATH_REPORT_HEADER;
	uint8_t count;

	if (!is_kind(msg, len, MESH_PATH_REPORT, MESH_PATH_REPORT_HEADER))
		return false;
	count = msg[LIST_COUNT];
	if (count == 0 || count > MESH_PATH_ENTRIES_MAX || len < MESH_PATH_REPORT_HEADER + (size_t)count * MESH_PATH_ENTRY_LEN)
		return false;
	for (unsigned int i = 0; i < count; i++)
		if (get_le16(at + i * MESH_PATH_ENTRY_LEN + ENTRY_PATH) == 0)
			return false;
	*m = (struct mesh_path_report){ .sequence = get_le16(msg + LIST_SEQUENCE), .count = count };
	for (unsigned int i = 0; i < count; i++, at += MESH_PATH_ENTRY_LEN)
		m->entries[i] = (struct mesh_path_entry){
			.path = get_le16(at + ENTRY_PATH),
			.loss = get_le16(at + ENTRY_LOSS),
			.late = get_le16(at + ENTRY_LATE),
			.jitter = get_le16(at + ENTRY_JITTER),
			.heard = get_le32(at + ENTRY_HEARD),
			.rate = get_le32(at + ENTRY_RATE),
		};
	return true;
}

size_t mesh_path_report_write(uint8_t msg[MESH_MESSAGE_MAX], const struct mesh_path_report *m)
{
	uint8_t *at = msg + MESH_PATH_REPORT_HEADER;

	msg[0] = MESH_PATH_REPORT;
	msg[LIST_COUNT] = m->count;
	put_le16(msg + LIST_SEQUENCE, m->sequence);
	for (unsigned int i = 0; i < m->count; i++, at += MESH_PATH_ENTRY_LEN) {
		put_le16(at + ENTRY_PATH, m->entries[i].path);
		put_le16(at + ENTRY_LOSS, m->entries[i].loss);
		put_le16(at + ENTRY_LATE, m->entries[i].late);
		put_le16(at + ENTRY_JITTER, m->entries[i].jitter);
		put_le32(at + ENTRY_HEARD, m->entries[i].heard);
		put_le32(at + ENTRY_RATE, m->entries[i].rate);
	}
	return (size_t)(at - msg);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* Whether an address means the same to whoever is told it. */
static bool tellable(const struct ip_addr *a)
{
	if (ip_addr_is_multicast(a) || ip_addr_is_link_local(a))
		return false;
	if (a->family == IP_V4)
		return a->bytes[0] != 0 && a->bytes[0] != 127 && !(a->bytes[0] == 169 && a->bytes[1] == 254);
	/* ::, ::1, and the ranges around them that were to hold IPv4; ::ffff:0:0/96 is IPv4 under another name. */
	return !all_zero(a->bytes, 12) && !(all_zero(a->bytes, 10) && a->bytes[10] == 0xff && a->bytes[11] == 0xff);
}

static void read_address(struct mesh_addresses *m, const uint8_t *at)
{
	struct mesh_address a = { .endpoint = { .port = get_le16(at + ADDRESS_PORT) }, .metered = at[ADDRESS_FLAGS] & ADDRESS_METERED };

	a.endpoint.addr.family = at[ADDRESS_FAMILY];
	memcpy(a.endpoint.addr.bytes, at + ADDRESS_BYTES, ip_family_bytes(at[ADDRESS_FAMILY]));
	if (a.endpoint.port != 0 && tellable(&a.endpoint.addr))
		m->entries[m->count++] = a;
}

bool mesh_addresses_read(struct mesh_addresses *m, const uint8_t *msg, size_t len)
{
	const uint8_t *at = msg + MESH_ADDRESSES_HEADER;
	uint8_t count;

	if (!is_kind(msg, len, MESH_ADDRESSES, MESH_ADDRESSES_HEADER))
		return false;
	count = msg[LIST_COUNT];
	if (count > MESH_ADDRESSES_MAX || len < MESH_ADDRESSES_HEADER + (size_t)count * MESH_ADDRESS_LEN)
		return false;
	for (unsigned int i = 0; i < count; i++)
		if (ip_family_bytes(at[i * MESH_ADDRESS_LEN + ADDRESS_FAMILY]) == 0)
			return false;
	*m = (struct mesh_addresses){ .sequence = get_le16(msg + LIST_SEQUENCE) };
	for (unsigned int i = 0; i < count; i++)
		read_address(m, at + i * MESH_ADDRESS_LEN);
	return true;
}

size_t mesh_addresses_write(uint8_t msg[MESH_MESSAGE_MAX], const struct mesh_addresses *m)
{
	uint8_t *at = msg + MESH_ADDRESSES_HEADER;

	msg[0] = MESH_ADDRESSES;
	msg[LIST_COUNT] = m->count;
	put_le16(msg + LIST_SEQUENCE, m->sequence);
	for (unsigned int i = 0; i < m->count; i++, at += MESH_ADDRESS_LEN) {
		const struct mesh_address *a = &m->entries[i];

		memset(at, 0, MESH_ADDRESS_LEN);
		at[ADDRESS_FAMILY] = a->endpoint.addr.family;
		at[ADDRESS_FLAGS] = a->metered ? ADDRESS_METERED : 0;
		put_le16(at + ADDRESS_PORT, a->endpoint.port);
		memcpy(at + ADDRESS_BYTES, a->endpoint.addr.bytes, ip_family_bytes(a->endpoint.addr.family));
	}
	return (size_t)(at - msg);
}

void mesh_stamp(uint8_t *msg, size_t len, uint64_t now_us)
{
	if (is_kind(msg, len, MESH_PATH_PROBE, MESH_PATH_PROBE_LEN))
		put_le64(msg + SENT, now_us);
	else if (is_kind(msg, len, MESH_PATH_REPLY, MESH_PATH_REPLY_LEN))
		put_le64(msg + REPLY_REPLIED, now_us);
}
