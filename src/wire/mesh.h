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
	MESH_EXCHANGE = 4,		/* peer exchange: exchange/message.h */
	MESH_OPEN = 5,
	MESH_REPORT = 6,
	MESH_PATH_PROBE = 7,
	MESH_PATH_REPLY = 8,
	MESH_PATH_REPORT = 9,
	MESH_ADDRESSES = 10,
};

enum {
	MESH_SUB_SESSIONS_MAX = 126,	/* of data, beside 0; 127 is the control sub-session */
	MESH_SUB_SESSION_BITS = 128,

	MESH_CAPABILITIES_LEN = 24,
	MESH_PROBE_LEN = 16,
	MESH_REPLY_LEN = 24,
	MESH_OPEN_HEADER = 4,		/* a request; an announcement has two bytes more for each port */
	MESH_REPORT_LEN = 24,
	MESH_PATH_PROBE_LEN = 16,
	MESH_PATH_REPLY_LEN = 56,
	MESH_PATH_REPORT_HEADER = 4,
	MESH_PATH_ENTRY_LEN = 16,
	MESH_PATH_ENTRIES_MAX = 15,
	MESH_PATH_GONE = 65535,		/* in the place of a loss: the sender's end of the path is no more */
	MESH_ADDRESSES_HEADER = 4,
	MESH_ADDRESS_LEN = 20,
	MESH_ADDRESSES_MAX = 12,
	MESH_MESSAGE_MAX = MESH_OPEN_HEADER + 2 * MESH_SUB_SESSIONS_MAX,
};

_Static_assert(MESH_MESSAGE_MAX == 256 && MESH_MESSAGE_MAX >= MESH_CAPABILITIES_LEN && MESH_MESSAGE_MAX >= MESH_PROBE_LEN &&
	       MESH_MESSAGE_MAX >= MESH_REPLY_LEN && MESH_MESSAGE_MAX >= MESH_REPORT_LEN, "the longest message");

/* Bits of mesh_capabilities.features. */
enum {
	MESH_FEATURE_ECN = 1,		/* takes the ECN field of the outer header in by RFC 6040 */
	MESH_FEATURE_PATHS = 2,		/* speaks kinds 7 to 10: an address it is heard from is one more, and moves nothing by itself */
	MESH_FEATURE_EXCHANGE = 4,	/* speaks kind 4 */
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

/*
 * A probe of one path, on the control sub-session, over that path. May be padded with zeros to any length, to see whether that gets through:
 *
 *	kind | flags | path 2 | sequence 4 | sent 8
 */
struct mesh_path_probe {
	bool in_use;			/* the sender's data goes this way */
	uint16_t path;			/* the sender's number for it, not 0 */
	uint32_t sequence;		/* of this path's probes */
	uint64_t sent_us;		/* the sender's clock, written as it is sealed: mesh_stamp() */
};

/*
 * Its answer, over the same path, never padded:
 *
 *	kind | 0 | path 2 | sequence 4 | sent 8 | received 8 | replied 8 | own 2 | port 2 | family | 0 0 0 | address 16
 */
struct mesh_path_reply {
	uint16_t path;			/* as the probe had it, not 0 */
	uint32_t sequence;		/* the probe's */
	uint64_t sent_us;		/* the probe's */
	uint64_t received_us, replied_us;	/* the answerer's clock: when the probe came, and as this is sealed */
	uint16_t own;			/* the answerer's number for the path; 0: it has none */
	struct endpoint seen;		/* where the probe came from; scope is not carried */
};

/*
 * What the sender hears, over the paths the receiver sends on:
 *
 *	kind | count | sequence 2 | entries of: path 2 | loss 2 | late 2 | jitter 2 | heard 4 | rate 4
 */
struct mesh_path_entry {
	uint16_t path;			/* the receiver's number, not 0 */
	uint16_t loss, late;		/* 65536ths of the last seconds: missing (MESH_PATH_GONE: see there), and out of order */
	uint16_t jitter;		/* units of 16 microseconds, at most 65535 */
	uint32_t heard;			/* highest sequence of the receiver's probes that came */
	uint32_t rate;			/* bytes a second */
};

struct mesh_path_report {
	uint16_t sequence;
	uint8_t count;			/* 1..MESH_PATH_ENTRIES_MAX, else malformed */
	struct mesh_path_entry entries[MESH_PATH_ENTRIES_MAX];
};

/*
 * Addresses the sender can be reached at, all of them: what was told before and is not here is no more.
 *
 *	kind | count | sequence 2 | entries of: family | flags | port 2 | address 16
 */
struct mesh_address {
	struct endpoint endpoint;	/* scope 0; link-local addresses are not told */
	bool metered;
};

struct mesh_addresses {
	uint16_t sequence;
	uint8_t count;			/* 0..MESH_ADDRESSES_MAX, more is malformed */
	struct mesh_address entries[MESH_ADDRESSES_MAX];
};

/* The kind of a plaintext: 1..15, known or not; 0: it is no mesh control message. */
unsigned int mesh_kind(const uint8_t *msg, size_t len);

bool mesh_capabilities_read(struct mesh_capabilities *m, const uint8_t *msg, size_t len);
bool mesh_probe_read(struct mesh_probe *m, const uint8_t *msg, size_t len);
bool mesh_reply_read(struct mesh_reply *m, const uint8_t *msg, size_t len);
bool mesh_open_read(struct mesh_open *m, const uint8_t *msg, size_t len);
bool mesh_report_read(struct mesh_report *m, const uint8_t *msg, size_t len);
bool mesh_path_probe_read(struct mesh_path_probe *m, const uint8_t *msg, size_t len);
bool mesh_path_reply_read(struct mesh_path_reply *m, const uint8_t *msg, size_t len);
bool mesh_path_report_read(struct mesh_path_report *m, const uint8_t *msg, size_t len);
bool mesh_addresses_read(struct mesh_addresses *m, const uint8_t *msg, size_t len);

size_t mesh_capabilities_write(uint8_t msg[MESH_CAPABILITIES_LEN], const struct mesh_capabilities *m);
size_t mesh_probe_write(uint8_t msg[MESH_PROBE_LEN], const struct mesh_probe *m);
size_t mesh_reply_write(uint8_t msg[MESH_REPLY_LEN], const struct mesh_reply *m);
size_t mesh_open_write(uint8_t msg[MESH_MESSAGE_MAX], const struct mesh_open *m);
size_t mesh_report_write(uint8_t msg[MESH_REPORT_LEN], const struct mesh_report *m);
size_t mesh_path_probe_write(uint8_t msg[MESH_PATH_PROBE_LEN], const struct mesh_path_probe *m);
size_t mesh_path_reply_write(uint8_t msg[MESH_PATH_REPLY_LEN], const struct mesh_path_reply *m);
size_t mesh_path_report_write(uint8_t msg[MESH_MESSAGE_MAX], const struct mesh_path_report *m);
size_t mesh_addresses_write(uint8_t msg[MESH_MESSAGE_MAX], const struct mesh_addresses *m);

/* Write the time into a path probe (sent) or a path reply (replied) that is about to be sealed; other messages stay as they are. */
void mesh_stamp(uint8_t *msg, size_t len, uint64_t now_us);

#endif
