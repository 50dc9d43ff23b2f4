/* SPDX-License-Identifier: MIT */
/*
 * Reading the table main (rtnetlink(7)), and what is made of it.
 *
 * The whole of both families is dumped, the kernel's copies and Babel's own routes are left out, and the rest is sorted, so that two
 * readings can be compared. Nothing is kept up by events: they are lost when there are many, and say less than the table does.
 *
 * A route is also kept as the request that would make it again. Attributes are taken over as they are - next hops, metrics,
 * preferred source - but for those that only tell something, and those a copy has of its own: table, priority. IPv4's gateways
 * become "onlink", for what proves them reachable is in main and not in the copy's table; for IPv6's the kernel asks main, too.
 */
#include "sys/kroutes.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "sys/netlink.h"
#include "sys/netlink_request.h"

enum { WAY_FLAGS = RTNH_F_DEAD | RTNH_F_LINKDOWN };

void kroutes_done(struct kroutes *k)
{
	free(k->v);
	free(k->copies);
	*k = (struct kroutes){ 0 };
}

/* Room for one more of 'width' bytes. */
static bool grow(void **v, size_t *size, size_t need, size_t width)
{
	size_t more = *size ? *size : 64;
	void *bigger;

	if (need <= *size)
		return true;
	while (more < need)
		more *= 2;
	bigger = reallocarray(*v, more, width);
	if (!bigger)
		return false;
	*v = bigger;
	*size = more;
	return true;
}

/* --- copies --- */

/* Bytes a piece of so many takes with its padding; struct nlattr and struct rtnexthop are padded alike. */
static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static const struct nlattr *first_attr(const struct nlmsghdr *h)
{
	return mnl_nlmsg_get_payload_offset(h, sizeof(struct rtmsg));
}

static bool attr_ok(const struct nlattr *a, const void *end)
{
	return mnl_attr_ok(a, (int)((const char *)end - (const char *)a));
}

/* All that is left of a next hop's flags is what lets its gateway be taken. */
static uint8_t clean_flags(const struct rtmsg *rtm, bool gateway, unsigned int flags)
{
	return gateway && rtm->rtm_family == AF_INET ? RTNH_F_ONLINK : flags & RTNH_F_ONLINK;
}

static void clean_hops(const struct rtmsg *rtm, struct nlattr *multipath)
{
	char *at = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);

	while (left >= sizeof(struct rtnexthop)) {
		struct rtnexthop *hop = (void *)at;
		size_t len = hop->rtnh_len;
		bool gateway = false;

		if (len < sizeof(*hop) || len > left)
			return;
		for (const struct nlattr *a = (void *)(hop + 1); attr_ok(a, at + len); a = mnl_attr_next(a))
			gateway |= mnl_attr_get_type(a) == RTA_GATEWAY;
		hop->rtnh_flags = clean_flags(rtm, gateway, hop->rtnh_flags);
		len = padded(len) < left ? padded(len) : left;
		at += len;
		left -= len;
	}
}

static bool is_copied(uint16_t type)
{
	return type != RTA_TABLE && type != RTA_PRIORITY && type != RTA_CACHEINFO && type != RTA_EXPIRES && type != RTA_NH_ID;
}

/* Append what makes the route again: struct rtmsg and attributes. Returns its length, 0 when it is too long or there is no memory. */
static uint32_t keep_copy(struct kroutes *k, const struct nlmsghdr *h)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);
	size_t at = k->copies_len, len = sizeof(*rtm);
	const void *end = mnl_nlmsg_get_payload_tail(h);
	const struct nlattr *a;
	struct rtmsg copy = *rtm;
	bool gateway = false;

	for (a = first_attr(h); attr_ok(a, end); a = mnl_attr_next(a))
		len += is_copied(mnl_attr_get_type(a)) ? padded(a->nla_len) : 0;
	if (len > KROUTE_COPY_MAX)
		return 0;
	if (!grow((void **)&k->copies, &k->copies_size, at + len, 1)) {
		k->failed = true;
		return 0;
	}
	k->copies_len += sizeof(copy);
	for (a = first_attr(h); attr_ok(a, end); a = mnl_attr_next(a)) {
		uint8_t *to = k->copies + k->copies_len;

		if (!is_copied(mnl_attr_get_type(a)))
			continue;
		gateway |= mnl_attr_get_type(a) == RTA_GATEWAY;
		memset(to, 0, padded(a->nla_len));
		memcpy(to, a, a->nla_len);
		if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			clean_hops(rtm, (void *)to);
		k->copies_len += padded(a->nla_len);
	}
	copy.rtm_flags = clean_flags(rtm, gateway, copy.rtm_flags);
	copy.rtm_table = RT_TABLE_UNSPEC;
	copy.rtm_protocol = NETLINK_PROTOCOL;
	memcpy(k->copies + at, &copy, sizeof(copy));
	return (uint32_t)len;
}

/* --- reading --- */

static bool counts(const struct rtmsg *rtm, uint32_t table)
{
	if (rtm->rtm_flags & RTM_F_CLONED || rtm->rtm_tos || (table == RT_TABLE_MAIN && rtm->rtm_protocol == NETLINK_PROTOCOL))
		return false;
	switch (rtm->rtm_type) {
	case RTN_UNICAST:
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_THROW:
		return rtm->rtm_family == AF_INET || rtm->rtm_family == AF_INET6;
	default:
		return false;
	}
}

/* The interface of the first next hop, and the flags that are set on all of them. */
static void read_hops(const struct nlattr *multipath, struct kroute *r)
{
	const char *at = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);
	uint8_t all = WAY_FLAGS;

	while (left >= sizeof(struct rtnexthop)) {
		struct rtnexthop hop;
		size_t len;

		memcpy(&hop, at, sizeof(hop));
		len = padded(hop.rtnh_len);
		if (!r->route.ifindex)
			r->route.ifindex = (uint32_t)hop.rtnh_ifindex;
		all &= hop.rtnh_flags;
		if (hop.rtnh_len < sizeof(hop) || len > left)
			break;
		at += len;
		left -= len;
	}
	r->flags = all;
}

static void read_route(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[RTA_VIA + 1];
	const struct rtmsg *rtm;
	struct kroutes *k = ctx;
	struct kroute r = { 0 };
	uint8_t family;

	if (!h)
		return;
	rtm = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*rtm) || !counts(rtm, k->table))
		return;
	netlink_attrs_read(h, sizeof(*rtm), attrs, RTA_VIA + 1);
	if (netlink_attr_u32(attrs[RTA_TABLE], rtm->rtm_table) != k->table)
		return;
	k->full |= k->count == KROUTES_MAX;
	if (k->count == KROUTES_MAX || !grow((void **)&k->v, &k->size, k->count + 1, sizeof(*k->v))) {
		k->failed |= !k->full;
		return;
	}
	family = netlink_family(rtm->rtm_family);
	r.route.prefix.dst = (struct ip_prefix){ .addr.family = family, .len = rtm->rtm_dst_len };
	r.route.prefix.src = (struct ip_prefix){ .addr.family = family, .len = family == IP_V6 ? rtm->rtm_src_len : 0 };
	netlink_attr_addr(attrs[RTA_DST], family, &r.route.prefix.dst.addr);
	if (r.route.prefix.src.len)
		netlink_attr_addr(attrs[RTA_SRC], family, &r.route.prefix.src.addr);
	r.route.ifindex = netlink_attr_u32(attrs[RTA_OIF], 0);
	r.route.protocol = rtm->rtm_protocol;
	r.priority = netlink_attr_u32(attrs[RTA_PRIORITY], 0);
	r.type = rtm->rtm_type;
	r.flags = rtm->rtm_flags & WAY_FLAGS;
	if (attrs[RTA_MULTIPATH])
		read_hops(attrs[RTA_MULTIPATH], &r);
	r.order = (uint32_t)k->count;
	r.copy = (uint32_t)k->copies_len;
	r.copy_len = keep_copy(k, h);
	k->v[k->count++] = r;
}

static int compare_prefix(const struct ip_prefix *a, const struct ip_prefix *b)
{
	int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return order ? order : a->len - b->len;
}

static int compare(const void *a, const void *b)
{
	const struct kroute *x = a, *y = b;
	int order = compare_prefix(&x->route.prefix.dst, &y->route.prefix.dst);

	if (!order)
		order = compare_prefix(&x->route.prefix.src, &y->route.prefix.src);
	if (!order)
		order = x->priority < y->priority ? -1 : x->priority > y->priority;
	return order ? order : x->order < y->order ? -1 : 1;
}

/* Dump one family behind what is there; a dump that begins again forgets what it brought. */
struct reading {
	struct kroutes *k;
	size_t count, copies_len;
};

static void read_family_visit(void *ctx, const struct nlmsghdr *h)
{
	struct reading *r = ctx;

	if (h) {
		read_route(r->k, h);
	} else {
		r->k->count = r->count;
		r->k->copies_len = r->copies_len;
	}
}

static int read_family(struct netlink *nl, struct kroutes *k, uint8_t family)
{
	struct reading reading = { .k = k, .count = k->count, .copies_len = k->copies_len };
	const struct netlink_visitor v = { read_family_visit, &reading };
	struct netlink_request r;
	struct rtmsg *rtm = netlink_request_begin(&r, RTM_GETROUTE, 0, sizeof(*rtm));
	int err;

	rtm->rtm_family = netlink_af(family);
	mnl_attr_put_u32(&r.header, RTA_TABLE, k->table);
	err = netlink_request_dump(nl, &r, &v);
	return err == -ENOENT || err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err;
}

int kroutes_read_table(struct netlink *nl, uint32_t table, struct kroutes *k)
{
	int err;

	*k = (struct kroutes){ .table = table };
	err = read_family(nl, k, IP_V4);
	if (!err)
		err = read_family(nl, k, IP_V6);
	if (!err && k->failed)
		err = -ENOMEM;
	if (err)
		kroutes_done(k);
	else if (k->count)
		qsort(k->v, k->count, sizeof(*k->v), compare);
	return err;
}

int kroutes_read(struct netlink *nl, struct kroutes *k)
{
	return kroutes_read_table(nl, RT_TABLE_MAIN, k);
}

/* --- use --- */

bool kroute_same(const struct kroutes *a, const struct kroute *x, const struct kroutes *b, const struct kroute *y)
{
	return prefix_pair_equal(&x->route.prefix, &y->route.prefix) && x->route.ifindex == y->route.ifindex &&
	       x->route.protocol == y->route.protocol && x->priority == y->priority && x->type == y->type &&
	       x->flags == y->flags && x->copy_len == y->copy_len &&
	       (!x->copy_len || !memcmp(a->copies + x->copy, b->copies + y->copy, x->copy_len));
}

bool kroutes_same(const struct kroutes *a, const struct kroutes *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!kroute_same(a, &a->v[i], b, &b->v[i]))
			return false;
	return true;
}

const struct kroute *kroutes_find(const struct kroutes *k, const struct ip_prefix *dst)
{
	const struct prefix_pair pair = prefix_pair_any(dst);
	size_t low = 0, high = k->count;

	/* The first that is not before the pair. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct prefix_pair *p = &k->v[middle].route.prefix;
		int order = compare_prefix(&p->dst, &pair.dst);

		if (order < 0 || (!order && compare_prefix(&p->src, &pair.src) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low < k->count && prefix_pair_equal(&k->v[low].route.prefix, &pair) ? &k->v[low] : NULL;
}

static bool can_be_announced(const struct kroute *r, uint32_t tun)
{
	const struct ip_prefix *dst = &r->route.prefix.dst;

	return r->type != RTN_THROW && !(r->flags & WAY_FLAGS) && (!tun || r->route.ifindex != tun) &&
	       !(dst->len >= 10 && ip_addr_is_link_local(&dst->addr)) && !(dst->len && ip_addr_is_multicast(&dst->addr));
}

bool kroutes_tell(const struct kroutes *k, struct node *n, uint32_t tun, struct instant now)
{
	struct kernel_route *v = calloc(k->count + 1, sizeof(*v));
	size_t count = 0;
	bool ok;

	if (!v)
		return false;
	for (size_t i = 0; i < k->count; i++) {
		struct kernel_route *r = &v[count];

		if (!can_be_announced(&k->v[i], tun))
			continue;
		if (count && prefix_pair_equal(&v[count - 1].prefix, &k->v[i].route.prefix))
			continue;
		*r = k->v[i].route;
		/* Interfaces are few, and neighbours in the list mostly have the same. */
		if (count && v[count - 1].ifindex == r->ifindex)
			memcpy(r->iface, v[count - 1].iface, sizeof(r->iface));
		else if (!r->ifindex || !if_indextoname(r->ifindex, r->iface))
			r->iface[0] = '\0';
		count++;
	}
	ok = node_set_kernel_routes(n, v, count, now);
	free(v);
	return ok;
}
