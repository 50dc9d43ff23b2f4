/* SPDX-License-Identifier: MIT */
/*
 * What sys/kfib.h says to the kernel (rtnetlink(7), linux/fib_rules.h): routes put in by NLM_F_REPLACE and never first deleted, routes
 * listed by protocol and priority, rules for sources and for the sockets' mark.
 *
 * IPv4 has no source in a route: RTA_SRC there is accepted and ignored, so it is never sent (reference X1). A gateway of IPv4 is
 * "onlink", since Babel's next hops need not be in any subnet of ours (X9); one of IPv6 for an IPv4 destination is RTA_VIA
 * (RFC 9229, X8).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "sys/kfib_inside.h"
#include "sys/netlink_request.h"

enum { RULES_PURGED_MAX = 256 };

/* --- routes --- */

static void put_table(struct netlink_request *q, struct rtmsg *rtm, uint32_t table, uint32_t priority)
{
	rtm->rtm_table = (uint8_t)(table < 256 ? table : RT_TABLE_UNSPEC);
	mnl_attr_put_u32(&q->header, RTA_TABLE, table);
	mnl_attr_put_u32(&q->header, RTA_PRIORITY, priority);
}

static void put_prefixes(struct netlink_request *q, struct rtmsg *rtm, const struct prefix_pair *p)
{
	rtm->rtm_family = netlink_af(p->dst.addr.family);
	rtm->rtm_dst_len = p->dst.len;
	if (p->dst.len)
		netlink_request_put_addr(q, RTA_DST, &p->dst.addr);
	if (p->dst.addr.family != IP_V6 || !p->src.len)
		return;
	rtm->rtm_src_len = p->src.len;
	netlink_request_put_addr(q, RTA_SRC, &p->src.addr);
}

static void put_via(struct netlink_request *q, const struct ip_addr *gateway)
{
	struct {
		uint16_t family;
		uint8_t bytes[16];
	} via = { .family = netlink_af(gateway->family) };

	_Static_assert(sizeof(via) == sizeof(uint16_t) + 16, "struct rtvia");
	memcpy(via.bytes, gateway->bytes, sizeof(via.bytes));
	mnl_attr_put(&q->header, RTA_VIA, sizeof(via), &via);
}

static void put_gateway(struct netlink_request *q, struct rtmsg *rtm, const struct node_route *r)
{
	uint8_t family = r->prefix.dst.addr.family;

	if (r->gateway.family == IP_NONE) {
		rtm->rtm_scope = family == IP_V4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
		return;
	}
	if (family == r->gateway.family)
		netlink_request_put_addr(q, RTA_GATEWAY, &r->gateway);
	else
		put_via(q, &r->gateway);
	if (r->gateway.family == IP_V4)
		rtm->rtm_flags |= RTNH_F_ONLINK;
}

int kfib_put(struct netlink *nl, uint32_t table, uint32_t priority, uint32_t tun, const struct node_route *r)
{
	struct netlink_request q;
	struct rtmsg *rtm = netlink_request_begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*rtm));

	put_prefixes(&q, rtm, &r->prefix);
	rtm->rtm_protocol = NETLINK_PROTOCOL;
	rtm->rtm_type = r->kind == NODE_ROUTE_UNREACHABLE ? RTN_UNREACHABLE : RTN_UNICAST;
	put_table(&q, rtm, table, priority);
	if (r->kind == NODE_ROUTE_TUN) {
		rtm->rtm_scope = r->prefix.dst.addr.family == IP_V4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
		mnl_attr_put_u32(&q.header, RTA_OIF, tun);
	} else if (r->kind == NODE_ROUTE_LAN) {
		put_gateway(&q, rtm, r);
		mnl_attr_put_u32(&q.header, RTA_OIF, r->ifindex);
	}
	return netlink_request_run(nl, &q, NULL);
}

int kfib_put_copy(struct netlink *nl, uint32_t table, uint32_t priority, const struct kroutes *main, const struct kroute *r)
{
	struct netlink_request q;
	struct rtmsg *rtm = netlink_request_begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*rtm));
	const uint8_t *copy = main->copies + r->copy;

	if (r->copy_len < sizeof(*rtm))
		return -EMSGSIZE;
	memcpy(rtm, copy, sizeof(*rtm));
	rtm->rtm_protocol = NETLINK_PROTOCOL;
	memcpy(mnl_nlmsg_get_payload_tail(&q.header), copy + sizeof(*rtm), r->copy_len - sizeof(*rtm));
	q.header.nlmsg_len += (uint32_t)(r->copy_len - sizeof(*rtm));
	put_table(&q, rtm, table, priority);
	return netlink_request_run(nl, &q, NULL);
}

_Static_assert(KROUTE_COPY_MAX + 64 <= NETLINK_REQUEST_MAX, "a copy fits");

int kfib_delete(struct netlink *nl, uint32_t table, uint32_t priority, const struct prefix_pair *p)
{
	struct netlink_request q;
	struct rtmsg *rtm = netlink_request_begin(&q, RTM_DELROUTE, 0, sizeof(*rtm));
	int err;

	put_prefixes(&q, rtm, p);
	rtm->rtm_protocol = NETLINK_PROTOCOL;
	rtm->rtm_scope = RT_SCOPE_NOWHERE;	/* any; and any type */
	put_table(&q, rtm, table, priority);
	err = netlink_request_run(nl, &q, NULL);
	return err == -ESRCH || err == -ENODEV ? 0 : err;	/* ESRCH: it is not there, or the table is not */
}

/* --- lists --- */

struct listing {
	struct kfib_presents *list;
	uint32_t priority;
	size_t before;
};

static void listing_visit(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[RTA_TABLE + 1];
	struct listing *l = ctx;
	struct kfib_presents *list = l->list;
	struct kfib_present p = { 0 };
	const struct rtmsg *rtm;
	uint8_t family;

	if (!h) {
		list->count = l->before;
		return;
	}
	rtm = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*rtm) ||
	    rtm->rtm_protocol != NETLINK_PROTOCOL || rtm->rtm_flags & RTM_F_CLONED)
		return;
	netlink_attrs_read(h, sizeof(*rtm), attrs, RTA_TABLE + 1);
	family = netlink_family(rtm->rtm_family);
	if (netlink_attr_u32(attrs[RTA_PRIORITY], 0) != l->priority || family == IP_NONE)
		return;
	p.table = netlink_attr_u32(attrs[RTA_TABLE], rtm->rtm_table);
	p.prefix.dst = (struct ip_prefix){ .addr.family = family, .len = rtm->rtm_dst_len };
	p.prefix.src = (struct ip_prefix){ .addr.family = family, .len = rtm->rtm_src_len };
	netlink_attr_addr(attrs[RTA_DST], family, &p.prefix.dst.addr);
	netlink_attr_addr(attrs[RTA_SRC], family, &p.prefix.src.addr);
	if (list->count == list->size) {
		size_t size = list->size ? 2 * list->size : 64;
		struct kfib_present *v = reallocarray(list->v, size, sizeof(*v));

		list->failed |= !v;
		if (!v)
			return;
		list->v = v;
		list->size = size;
	}
	list->v[list->count++] = p;
}

static int compare_present(const void *a, const void *b)
{
	const struct kfib_present *x = a, *y = b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

int kfib_list(struct netlink *nl, uint32_t priority, struct kfib_presents *list)
{
	static const uint8_t families[] = { IP_V4, IP_V6 };
	int err = 0;

	*list = (struct kfib_presents){ 0 };
	for (size_t i = 0; i < 2 && !err; i++) {
		struct listing l = { .list = list, .priority = priority, .before = list->count };
		const struct netlink_visitor v = { listing_visit, &l };
		struct netlink_request q;
		struct rtmsg *rtm = netlink_request_begin(&q, RTM_GETROUTE, 0, sizeof(*rtm));

		rtm->rtm_family = netlink_af(families[i]);
		rtm->rtm_protocol = NETLINK_PROTOCOL;	/* a filter, for kernels that know it */
		err = netlink_request_dump(nl, &q, &v);
		if (err == -ENOENT || err == -EAFNOSUPPORT || err == -EOPNOTSUPP)
			err = 0;
	}
	if (!err && list->failed)
		err = -ENOMEM;
	if (!err && list->count)
		qsort(list->v, list->count, sizeof(*list->v), compare_present);
	if (err) {
		free(list->v);
		*list = (struct kfib_presents){ 0 };
	}
	return err;
}

bool kfib_presents_have(const struct kfib_presents *list, uint32_t table, const struct prefix_pair *p)
{
	const struct kfib_present key = { .table = table, .prefix = *p };

	return list->count && bsearch(&key, list->v, list->count, sizeof(key), compare_present);
}

/* --- rules --- */

int kfib_change_rule(struct netlink *nl, bool add, const struct kfib_rule *rule)
{
	struct netlink_request q;
	uint16_t type = add ? RTM_NEWRULE : RTM_DELRULE, flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct fib_rule_hdr *frh = netlink_request_begin(&q, type, flags, sizeof(*frh));
	int err;

	frh->family = netlink_af(rule->family);
	frh->action = rule->action;
	frh->src_len = rule->src.len;
	frh->table = (uint8_t)(rule->table < 256 ? rule->table : RT_TABLE_UNSPEC);
	mnl_attr_put_u32(&q.header, FRA_PRIORITY, rule->priority);
	mnl_attr_put_u8(&q.header, FRA_PROTOCOL, NETLINK_PROTOCOL);
	if (rule->src.len)
		netlink_request_put_addr(&q, FRA_SRC, &rule->src.addr);
	if (rule->table)
		mnl_attr_put_u32(&q.header, FRA_TABLE, rule->table);
	if (rule->mark)
		mnl_attr_put_u32(&q.header, FRA_FWMARK, rule->mark);
	if (rule->goal)
		mnl_attr_put_u32(&q.header, FRA_GOTO, rule->goal);
	err = netlink_request_run(nl, &q, NULL);
	return (add && err == -EEXIST) || (!add && err == -ENOENT) ? 0 : err;
}

int kfib_rule_source(struct netlink *nl, bool add, const struct ip_prefix *src, uint32_t table)
{
	const struct kfib_rule rule = {
		.family = IP_V4, .action = FR_ACT_TO_TBL, .src = *src, .table = table, .priority = KFIB_RULE_SOURCE + 32U - src->len,
	};

	return kfib_change_rule(nl, add, &rule);
}

/* The goal first, for a rule that leads nowhere is skipped. */
int kfib_rules_marked(struct netlink *nl, bool add, unsigned int slot, uint32_t mark)
{
	const struct kfib_rule goal = { .family = IP_V4, .action = FR_ACT_NOP, .priority = KFIB_RULE_PAST + slot };
	const struct kfib_rule jump = {
		.family = IP_V4, .action = FR_ACT_GOTO, .mark = mark, .priority = KFIB_RULE_MARKED, .goal = goal.priority,
	};
	int err = kfib_change_rule(nl, add, add ? &goal : &jump);

	return err ? err : kfib_change_rule(nl, add, add ? &jump : &goal);
}

struct rule_search {
	unsigned int slot;
	struct kfib_rule found[RULES_PURGED_MAX];
	size_t count;
};

static bool is_of_slot(const struct kfib_rule *r, unsigned int slot)
{
	switch (r->action) {
	case FR_ACT_TO_TBL:
		return kfib_is_source_table(slot, r->table);
	case FR_ACT_GOTO:
		return r->goal == KFIB_RULE_PAST + slot;
	case FR_ACT_NOP:
		return r->priority == KFIB_RULE_PAST + slot;
	default:
		return false;
	}
}

static void rule_visit(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[FRA_PROTOCOL + 1];
	const struct fib_rule_hdr *frh;
	struct rule_search *s = ctx;
	struct kfib_rule r;

	if (!h) {
		s->count = 0;
		return;
	}
	frh = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(h) < sizeof(*frh) || frh->family != AF_INET)
		return;
	netlink_attrs_read(h, sizeof(*frh), attrs, FRA_PROTOCOL + 1);
	r = (struct kfib_rule){
		.family = IP_V4,
		.action = frh->action,
		.src.len = frh->src_len,
		.priority = netlink_attr_u32(attrs[FRA_PRIORITY], 0),
		.table = netlink_attr_u32(attrs[FRA_TABLE], frh->table),
		.mark = netlink_attr_u32(attrs[FRA_FWMARK], 0),
		.goal = netlink_attr_u32(attrs[FRA_GOTO], 0),
	};
	netlink_attr_addr(attrs[FRA_SRC], IP_V4, &r.src.addr);
	if (!attrs[FRA_PROTOCOL] || mnl_attr_get_payload_len(attrs[FRA_PROTOCOL]) != 1 ||
	    mnl_attr_get_u8(attrs[FRA_PROTOCOL]) != NETLINK_PROTOCOL || !is_of_slot(&r, s->slot))
		return;
	if (s->count < RULES_PURGED_MAX)
		s->found[s->count++] = r;
}

int kfib_rules_purge(struct netlink *nl, unsigned int slot)
{
	struct rule_search s = { .slot = slot };
	const struct netlink_visitor v = { rule_visit, &s };
	struct netlink_request q;
	struct fib_rule_hdr *frh = netlink_request_begin(&q, RTM_GETRULE, 0, sizeof(*frh));
	int err;

	frh->family = AF_INET;
	err = netlink_request_dump(nl, &q, &v);
	for (size_t i = 0; i < s.count && !err; i++)
		err = kfib_change_rule(nl, false, &s.found[i]);
	return err == -EOPNOTSUPP ? 0 : err;
}
