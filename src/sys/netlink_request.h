/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_NETLINK_REQUEST_H
#define MESHD_SYS_NETLINK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

struct ip_addr;
struct netlink;

/* The machinery under sys/netlink.h, and under sys/kfib.h and sys/kroutes.h; of no interest to anybody else. */
enum {
	NETLINK_REQUEST_MAX = 1024,		/* bytes; ours are small, what is copied from the kernel is measured */
	NETLINK_ANSWER_MAX = 32 * 1024,		/* the largest piece the kernel makes of a dump */
	NETLINK_DUMP_TRIES_MAX = 8,		/* when the tables change under a dump */
	NETLINK_TIMEOUT_S = 2,
};

/* A request being built: header, a fixed part, attributes (mnl_attr_put...(&r->header, ...)). */
struct netlink_request {
	union {
		struct nlmsghdr header;
		uint8_t bytes[NETLINK_REQUEST_MAX];
	};
};

/* Sees the objects of an answer one by one. 'h' NULL: forget what came so far, the dump begins (again). */
struct netlink_visitor {
	void (*visit)(void *ctx, const struct nlmsghdr *h);
	void *ctx;
};

/* Open the request socket, and put it in the place of the old one if there was one. */
int netlink_request_open(struct netlink *nl);

/* Open the monitor (netlink_monitor.c). */
int netlink_monitor_open(struct netlink *nl);

/* Begin a request; returns its fixed part of 'fixed' bytes, zeroed. */
void *netlink_request_begin(struct netlink_request *r, uint16_t type, uint16_t flags, size_t fixed);
void netlink_request_put_addr(struct netlink_request *r, uint16_t type, const struct ip_addr *a);

/*
 * Send and wait for the answer: an acknowledgement, the objects before it ('v' may be NULL), or a whole
 * dump. 0 or negative errno; nl->error has the kernel's words.
 */
int netlink_request_run(struct netlink *nl, struct netlink_request *r, const struct netlink_visitor *v);
int netlink_request_dump(struct netlink *nl, struct netlink_request *r, const struct netlink_visitor *v);

/* Attributes behind a fixed part, or in another one (which may be NULL), by type; those not there are NULL. */
void netlink_attrs_read(const struct nlmsghdr *h, size_t fixed, const struct nlattr **attrs, size_t count);
void netlink_attrs_read_nested(const struct nlattr *nest, const struct nlattr **attrs, size_t count);
uint32_t netlink_attr_u32(const struct nlattr *a, uint32_t otherwise);
bool netlink_attr_addr(const struct nlattr *a, uint8_t family, struct ip_addr *out);

/* enum ip_family to and from AF_... */
uint8_t netlink_af(uint8_t family);
uint8_t netlink_family(uint8_t af);

#endif
