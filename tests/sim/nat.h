/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SIM_NAT_H
#define MESHD_SIM_NAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * A router with network address translation in front of one node. A mapping is made by what goes out, and lets in what comes from
 * where that went to and from nowhere else (RFC 4787: filtering by address and port).
 */
enum sim_nat_kind {
	SIM_NAT_NONE,
	SIM_NAT_FORWARD,	/* Linux masquerading, and one port is forwarded from outside */
	SIM_NAT_MASQUERADE,	/* as Linux does it: the port stays the same */
	SIM_NAT_RANDOM,		/* another port for each mapping */
};

enum { NAT_MAPS_MAX = 1024 };

struct nat_map {
	uint16_t inside, outside;	/* ports */
	struct endpoint remote;
	int64_t used_us;
};

struct sim_nat {
	enum sim_nat_kind kind;
	struct ip_addr outside;
	uint16_t forwarded;		/* port, of SIM_NAT_FORWARD */
	int64_t timeout_us;		/* mappings that nothing went through for so long are gone */
	uint64_t random;
	uint16_t blocked;		/* what goes out from this port inside is lost; 0: none */
	uint16_t only;			/* and from all but this one; 0: from none */
	struct nat_map maps[NAT_MAPS_MAX];
	size_t count;
};

/* The port outside that a datagram from port 'inside' leaves by. 0: it is lost. */
uint16_t nat_out(struct sim_nat *n, uint16_t inside, const struct endpoint *remote, int64_t now_us);

/* The port inside that a datagram from 'remote' to port 'outside' is for. 0: nobody's. */
uint16_t nat_in(struct sim_nat *n, uint16_t outside, const struct endpoint *remote, int64_t now_us);

/* Forget the mappings of a port inside; 0: all. */
void nat_forget(struct sim_nat *n, uint16_t inside);

#endif
