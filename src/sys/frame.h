/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_FRAME_H
#define MESHD_SYS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * Frames on a stream socket: type (1 byte), length (4, little-endian), payload. Between the root parent
 * and the daemon proper; trusted on both sides but bounded all the same. The socket may be blocking or not.
 */
enum {
	FRAME_MAX = 17 << 20,		/* bytes of payload: a config file and a little more */
	FRAME_ADDRESSES_MAX = 128,	/* of the interface, that firewall rules are for */
	FRAME_STALL_MS = 5000,		/* a frame once begun stands still no longer: -ETIMEDOUT */
};

/* What they say to each other. */
enum frame_type {
	/* daemon to parent */
	FRAME_MADE = 1,		/* the interface works: struct frame_made. Again whenever those facts change (a reload) */
	FRAME_FAILED,		/* it does not, one line of text; the daemon exits */
	FRAME_DOWN,		/* somebody asked on the control socket to take it down */
	/*
	 * A new config is in force. The parent takes over hooks and DNS, but from the file itself: what it runs as root
	 * never comes from the process that talks to the network, and the keys need not come back to it.
	 */
	FRAME_RELOADED,
	FRAME_RESOLVE,		/* "HOST:PORT": resolve it */
	FRAME_CONFIG,		/* the running config as text, in answer to FRAME_SAVE; empty: no memory, or too large for a file */
	/* parent to daemon */
	FRAME_RESOLVED = 64,	/* "HOST:PORT", a zero byte, then addresses "A:P" one a line; none: could not */
	FRAME_SAVE,		/* tell the running config */
	FRAME_STOP,		/* end: exit 0. With a byte of payload: to come back at once */
};

/* Payload of FRAME_MADE: what the parent's firewall rules need, and what it has to record. */
struct frame_made {
	uint32_t mark;		/* of the default route, or 0 */
	uint8_t default4, default6;
	struct ip_prefix listen_prefix;
	struct ip_prefix addresses[FRAME_ADDRESSES_MAX];	/* the config's, and in a mesh those of our record */
	uint32_t address_count;
};

/* Take a payload of FRAME_MADE. False: it is none. */
bool frame_made_take(struct frame_made *made, const void *payload, size_t len);

/* Send one, whole, blocking. 0 or negative errno. */
int frame_send(int fd, enum frame_type type, const void *payload, size_t len);

/*
 * Receive one, whole, waiting for its first byte as long as it takes; *payload is allocated, zero-terminated behind
 * 'len', and the caller's. Returns the type, 0 at end of file, or negative errno: -EMSGSIZE too long, -EPROTO cut off,
 * -ETIMEDOUT stalled. After an error the stream is of no use any more.
 */
int frame_receive(int fd, char **payload, size_t *len);

/* The type of the next frame, which is left where it is. 0 at end of file, or negative errno: -EAGAIN, there is none yet. */
int frame_peek(int fd);

#endif
