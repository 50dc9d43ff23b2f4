/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_OFFLOADS_H
#define MESHD_BASE_OFFLOADS_H

#include <stddef.h>

/* What may be switched on and off, and may or may not be had. Sets of them are or-ed in an unsigned int. */
enum offload {
	OFFLOAD_TSO = 1,	/* TUN: the kernel hands over TCP super-packets */
	OFFLOAD_USO = 2,	/* TUN: and trains of UDP datagrams */
	OFFLOAD_GSO = 4,	/* sockets: many datagrams in one send */
	OFFLOAD_GRO = 8,	/* sockets: many datagrams in one receive */
	OFFLOAD_MERGE = 16,	/* TUN: we hand over super-packets, made of received packets */
	OFFLOAD_ALL = 31,
};

/* The word for one of them, as in the config; NULL: not one. */
static inline const char *offload_name(unsigned int offload)
{
	switch (offload) {
	case OFFLOAD_TSO:
		return "tso";
	case OFFLOAD_USO:
		return "uso";
	case OFFLOAD_GSO:
		return "gso";
	case OFFLOAD_GRO:
		return "gro";
	case OFFLOAD_MERGE:
		return "merge";
	default:
		return NULL;
	}
}

#endif
