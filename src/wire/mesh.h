/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_MESH_H
#define MESHD_WIRE_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * Mesh control messages: the plaintext of data messages between meshd peers, told from IP packets by a first byte whose high nibble is
 * zero. Bytes to structs and back; integers are little-endian.
 *
 * Each _read takes a whole plaintext and returns false, with the struct left alone, when it is of another kind, too short or has a
 * value that means nothing. What stands behind the known fields (padding, fields of the future) and flags nobody has
 * named yet are ignored. Each _write needs room for the kind's length, and returns how much it wrote.
 */
enum mesh_kind {
	MESH_CAPABILITIES = 1,
	MESH_PROBE = 2,
	MESH_REPLY = 3,
	MESH_EXCHANGE = 4,		/* reserved: peer exchange */
	MESH_OPEN = 5,
	MESH_REPORT = 6,
};

enum {
	MESH_SUB_SESSIONS_MAX = 126,	/* of data, beside 0; 127 is the control sub-session */
	MESH_SUB_SESSION_BITS = 128,

	MESH_CAPABILITIES_LEN = 24,
	MESH_PROBE_LEN = 16,
	MESH_REPLY_LEN = 24,
	MESH_OPEN_HEADER = 4,		/* a request; an announcement has two bytes more for each port */
	MESH_REPORT_LEN = 24,
	MESH_MESSAGE_MAX = MESH_OPEN_HEADER + 2 * MESH_SUB_SESSIONS_MAX,
};

_Static_assert(MESH_MESSAGE_MAX == 256 && MESH_MESSAGE_MAX >= MESH_CAPABILITIES_LEN && MESH_MESSAGE_MAX >= MESH_PROBE_LEN &&
	       MESH_MESSAGE_MAX >= MESH_REPLY_LEN && MESH_MESSAGE_MAX >= MESH_REPORT_LEN, "the longest message");

/* Bits of mesh_capabilities.features. */
enum {
	MESH_FEATURE_ECN = 1,		/* takes the ECN field of the outer header in by RFC 6040 */
};

/*
 * What the sender can do:
 *
 *	kind | flags | flow_sessions | family | port 2 | features 2 | address 16
 */
struct mesh_capabilities {
	bool answer;			/* please answer with yours */
	bool behind_nat;		/* the sender believes it is */
	bool prefix;			/* the sender was told a prefix of the receiver's: the more reason to let it open */
	bool fresh;			/* the sender knows of no open sub-session: what the receiver knows of some is of old */
	uint8_t flow_sessions;		/* data sub-sessions beside 0, 0..126; more is read as 126 */
	uint16_t features;		/* MESH_FEATURE_*; bits without a name are kept */
	struct endpoint seen;		/* where the sender sees the receiver; nowhere: all zero. scope is not carried */
};

/*
 * A probe of one path:
 *
 *	kind | flags (0) | 0 0 | token 4 | stamp 8
 */
struct mesh_probe {
	uint32_t token;			/* not 0, which in a reply's own token means "none" */
	uint64_t stamp;			/* the sender's clock or whatever else it wants back; nobody else's business */
};

/*
 * Its answer, over the same path:
 *
 *	kind | ecn | 0 0 | token 4 | stamp 8 | own token 4 | 0 0 0 0
 */
struct mesh_reply {
	uint8_t ecn;			/* enum ecn: what the probe's outer header had when it arrived */
	uint32_t token;			/* the probe's */
	uint64_t stamp;			/* the probe's */
	uint32_t own_token;		/* of the replier; not 0: please answer with a reply that echoes it */
};

/*
 * About opening sub-sessions 1 to 'count', each from a port of its own. An announcement by who opens, a request or an answer by the other:
 *
 *	kind | flags | count | 0 | port 2 ...
 */
struct mesh_open {
	bool announce;			/* the sender opens, from these ports; else: please open, or: */
	bool ready;			/* what was announced can come */
	uint8_t count;			/* 0..126; more is malformed */
	uint16_t ports[MESH_SUB_SESSIONS_MAX];	/* of sub-session i at [i - 1]; 0: unknown. Only in an announcement, the first 'count' */
};

/*
 * What the sender hears:
 *
 *	kind | want | sequence 2 | echo 2 | flags | 0 | heard 16
 */
struct mesh_report {
	uint8_t want;			/* sub-sessions it would like open, 0..126; more is read as 126 */
	uint16_t sequence;
	uint16_t echo;			/* sequence of the last report the sender heard */
	bool ce_on_not_ect;		/* control messages leave as Not-ECT, and arrive at the sender as CE */
	uint8_t heard[MESH_SUB_SESSION_BITS / 8];	/* lately; sub-session i is bit i % 8 of byte i / 8 */
};

/* The kind of a plaintext: 1..15, known or not; 0: it is no mesh control message. */
unsigned int mesh_kind(const uint8_t *msg, size_t len);

bool mesh_capabilities_read(struct mesh_capabilities *m, const uint8_t *msg, size_t len);
bool mesh_probe_read(struct mesh_probe *m, const uint8_t *msg, size_t len);
bool mesh_reply_read(struct mesh_reply *m, const uint8_t *msg, size_t len);
bool mesh_open_read(struct mesh_open *m, const uint8_t *msg, size_t len);
bool mesh_report_read(struct mesh_report *m, const uint8_t *msg, size_t len);

size_t mesh_capabilities_write(uint8_t msg[MESH_CAPABILITIES_LEN], const struct mesh_capabilities *m);
size_t mesh_probe_write(uint8_t msg[MESH_PROBE_LEN], const struct mesh_probe *m);
size_t mesh_reply_write(uint8_t msg[MESH_REPLY_LEN], const struct mesh_reply *m);
size_t mesh_open_write(uint8_t msg[MESH_MESSAGE_MAX], const struct mesh_open *m);
size_t mesh_report_write(uint8_t msg[MESH_REPORT_LEN], const struct mesh_report *m);

#endif
