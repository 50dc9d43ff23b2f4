/* SPDX-License-Identifier: MIT */
/*
 * The interface's addresses, MTU and routes: what wg-quick(8) does with ip(8), in effect and in order, by
 * netlink, for the start and for every reload.
 *
 * The rules taken from wg-quick's script: routes are added longest prefix first; into main only where no
 * route of the interface in main covers the prefix yet (the addresses bring routes of their own); a /0 with
 * Table auto goes to a table of its own, with the rules of netlink_rule.c; a numbered table gets everything as it is.
 *
 * We remember what we added. A reload adds what is new before it removes what went, so traffic finds a way at
 * any time; a route of ours does not count as covering, since its own prefix may be the one that goes. What we
 * remember is added again when it is missing: the kernel drops routes with an interface that goes down.
 *
 * Invariant: 'routes' is sorted and without duplicates; a call that fails has taken back what it added and changed
 * nothing here. What cannot be removed is only logged, and stays remembered.
 */
#include "sys/iface.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "node/config.h"
#include "sys/netlink.h"

enum {
	OVERHEAD = 80,			/* IPv6, UDP, message header and tag, rounded as in wg-quick */
	MTU_DEFAULT = 1500,
	MARK_FIRST = 51820,		/* wg-quick's */
	MARK_TRIES_MAX = 1024,
	LEFTOVERS_MAX = 16,		/* equal rules an earlier run may have left */
};

static const uint8_t families[] = { IP_V4, IP_V6 };

static const char *words(const struct iface *i, int err)
{
	const char *kernel = netlink_error(i->nl);

	return kernel[0] ? kernel : strerror(-err);
}

void iface_init(struct iface *i, struct netlink *nl, uint32_t ifindex, const char *name, const struct log *log)
{
	memset(i, 0, sizeof(*i));
	i->nl = nl;
	i->log = *log;
	i->ifindex = ifindex;
	snprintf(i->name, sizeof(i->name), "%s", name);
}

/* --- addresses --- */

struct prefixes {
	struct ip_prefix *v;
	size_t count, size;
	bool failed;
};

static void prefixes_add(void *ctx, const struct ip_prefix *p)
{
	struct prefixes *l = ctx;

	if (l->count == l->size) {
		size_t size = l->size ? 2 * l->size : 8;
		struct ip_prefix *v = reallocarray(l->v, size, sizeof(*v));

		if (!v) {
			l->failed = true;
			return;
		}
		l->v = v;
		l->size = size;
	}
	l->v[l->count++] = *p;
}

static bool prefixes_have(const struct ip_prefix *v, size_t count, const struct ip_prefix *p)
{
	for (size_t j = 0; j < count; j++)
		if (ip_prefix_equal(&v[j], p))
			return true;
	return false;
}

/* One change of the addresses: what the interface has, what it shall have, what was done so far. */
struct readdress {
	struct prefixes actual, want, added, swapped;
};

static void readdress_done(struct readdress *c)
{
	free(c->actual.v);
	free(c->want.v);
	free(c->added.v);
	free(c->swapped.v);
}

/* IPv6 has an address but once: one of ours with another length has to make room. */
static int swap_out(struct iface *i, struct readdress *c, const struct ip_prefix *a)
{
	int err = 0;

	if (a->addr.family != IP_V6)
		return 0;
	for (size_t j = 0; j < i->address_count && !err; j++) {
		const struct ip_prefix *old = &i->addresses[j];

		if (!ip_addr_equal(&old->addr, &a->addr) || !prefixes_have(c->actual.v, c->actual.count, old))
			continue;
		prefixes_add(&c->swapped, old);
		err = c->swapped.failed ? -ENOMEM : netlink_address_remove(i->nl, i->ifindex, old);
	}
	return err;
}

static int add_address(struct iface *i, struct readdress *c, const struct ip_prefix *a)
{
	char text[PREFIX_TEXT_MAX];
	int err;

	if (prefixes_have(c->actual.v, c->actual.count, a))
		return 0;
	err = swap_out(i, c, a);
	if (!err)
		err = netlink_address_add(i->nl, i->ifindex, a);
	if (err)
		return err;
	prefixes_add(&c->added, a);
	log_debug(&i->log, "address %s added", ip_prefix_format(a, text));
	if (!c->added.failed)
		return 0;
	netlink_address_remove(i->nl, i->ifindex, a);
	return -ENOMEM;
}

static void take_addresses_back(struct iface *i, struct readdress *c)
{
	for (size_t j = c->added.count; j > 0; j--)
		netlink_address_remove(i->nl, i->ifindex, &c->added.v[j - 1]);
	for (size_t j = 0; j < c->swapped.count; j++)
		netlink_address_add(i->nl, i->ifindex, &c->swapped.v[j]);
}

/* Remove what is no longer wanted. What will not go is remembered, and tried again the next time. */
static void remove_addresses(struct iface *i, struct readdress *c)
{
	char text[PREFIX_TEXT_MAX];
	bool promoted = false;

	for (size_t j = 0; j < i->address_count; j++) {
		const struct ip_prefix *old = &i->addresses[j];
		int err;

		if (prefixes_have(c->want.v, c->want.count, old) || prefixes_have(c->swapped.v, c->swapped.count, old))
			continue;
		if (!promoted && old->addr.family == IP_V4)
			netlink_link_promote(i->nl, i->ifindex);
		promoted = promoted || old->addr.family == IP_V4;
		err = netlink_address_remove(i->nl, i->ifindex, old);
		if (err && err != -EADDRNOTAVAIL) {
			log_warning(&i->log, "address %s cannot be removed: %s", ip_prefix_format(old, text), words(i, err));
			prefixes_add(&c->want, old);
		} else {
			log_debug(&i->log, "address %s removed", ip_prefix_format(old, text));
		}
	}
}

static int list_addresses(struct iface *i, const struct config *c, struct readdress *r)
{
	int err = netlink_address_each(i->nl, i->ifindex, prefixes_add, &r->actual);

	for (size_t j = 0; j < c->address_count; j++)
		if (!prefixes_have(r->want.v, r->want.count, &c->addresses[j]))
			prefixes_add(&r->want, &c->addresses[j]);
	return err ? err : r->actual.failed || r->want.failed ? -ENOMEM : 0;
}

int iface_set_addresses(struct iface *i, const struct config *c, struct text *why)
{
	struct readdress r = { 0 };
	char text[PREFIX_TEXT_MAX];
	int err = list_addresses(i, c, &r);

	if (err)
		text_addf(why, "%s: addresses: %s", i->name, words(i, err));
	for (size_t j = 0; j < r.want.count && !err; j++) {
		err = add_address(i, &r, &r.want.v[j]);
		if (err)
			text_addf(why, "%s: address %s: %s", i->name, ip_prefix_format(&r.want.v[j], text), words(i, err));
	}
	if (err) {
		take_addresses_back(i, &r);
	} else {
		remove_addresses(i, &r);
		free(i->addresses);
		i->addresses = r.want.v;
		i->address_count = r.want.count;
		r.want.v = NULL;
	}
	readdress_done(&r);
	return err;
}

/* --- MTU --- */

static uint32_t path_mtu(struct iface *i, const struct endpoint *endpoints, size_t count, uint32_t fwmark)
{
	uint32_t mtu = 0;

	for (size_t j = 0; j < count; j++) {
		const struct endpoint *e = &endpoints[j];
		struct netlink_way way;

		/* A way through ourselves would shrink the MTU with every reload. */
		if (!netlink_route_get(i->nl, &e->addr, e->scope, fwmark, &way) && way.ifindex != i->ifindex &&
		    way.mtu > mtu)
			mtu = way.mtu;
	}
	if (!mtu && netlink_default_mtu(i->nl, i->ifindex, &mtu) < 0)
		mtu = 0;
	return mtu > OVERHEAD ? mtu : MTU_DEFAULT;
}

int iface_set_mtu_up(struct iface *i, const struct config *c, const struct endpoint *endpoints, size_t endpoint_count,
		     uint32_t fwmark, uint32_t *mtu, struct text *why)
{
	uint32_t want = c->mtu ? c->mtu : path_mtu(i, endpoints, endpoint_count, fwmark) - OVERHEAD;
	int err = netlink_link_set(i->nl, i->ifindex, want, true);

	if (err) {
		text_addf(why, "%s: MTU %lu: %s", i->name, (unsigned long)want, words(i, err));
		return err;
	}
	*mtu = want;
	log_debug(&i->log, "MTU %lu, up", (unsigned long)want);
	return 0;
}

/* --- routes --- */

struct routes {
	struct iface_route *v;
	size_t count, size;
	bool failed;
};

static bool routes_add(struct routes *l, const struct iface_route *r)
{
	if (l->count == l->size) {
		size_t size = l->size ? 2 * l->size : 16;
		struct iface_route *v = reallocarray(l->v, size, sizeof(*v));

		if (!v) {
			l->failed = true;
			return false;
		}
		l->v = v;
		l->size = size;
	}
	l->v[l->count++] = *r;
	return true;
}

/* Longest prefix first; the rest is there to find equals. */
static int route_compare(const void *a, const void *b)
{
	const struct iface_route *x = a, *y = b;

	if (x->dst.len != y->dst.len)
		return x->dst.len > y->dst.len ? -1 : 1;
	if (x->dst.addr.family != y->dst.addr.family)
		return x->dst.addr.family < y->dst.addr.family ? -1 : 1;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return memcmp(x->dst.addr.bytes, y->dst.addr.bytes, sizeof(x->dst.addr.bytes));
}

static bool routes_have(const struct iface_route *v, size_t count, const struct iface_route *r)
{
	return count && bsearch(r, v, count, sizeof(*v), route_compare);
}

static void routes_sort(struct routes *l)
{
	size_t kept = 0;

	if (l->count)
		qsort(l->v, l->count, sizeof(*l->v), route_compare);
	for (size_t j = 0; j < l->count; j++)
		if (!kept || route_compare(&l->v[kept - 1], &l->v[j]))
			l->v[kept++] = l->v[j];
	l->count = kept;
}

static bool is_ours(const struct iface *i, const struct iface_route *r)
{
	return routes_have(i->routes, i->route_count, r);
}

/* The routes in main over this interface that are not ours. */
struct others {
	const struct iface *i;
	struct routes list;
};

static void others_add(void *ctx, const struct netlink_route *r)
{
	const struct iface_route route = { .dst = r->dst, .table = r->table };
	struct others *o = ctx;

	if (r->protocol != RTPROT_BOOT || !is_ours(o->i, &route))
		routes_add(&o->list, &route);
}

static int others_read(struct iface *i, struct others *o)
{
	int err = 0;

	*o = (struct others){ .i = i };
	for (size_t f = 0; f < 2 && !err; f++)
		err = netlink_route_each(i->nl, i->ifindex, families[f], RT_TABLE_MAIN, others_add, o);
	return err ? err : o->list.failed ? -ENOMEM : 0;
}

static bool others_cover(const struct others *o, const struct ip_prefix *p)
{
	for (size_t j = 0; j < o->list.count; j++) {
		const struct ip_prefix *dst = &o->list.v[j].dst;

		if (dst->len <= p->len && ip_prefix_covers(dst, &p->addr))
			return true;
	}
	return false;
}

/* The routes Table asks for. */
static int plan_routes(struct iface *i, const struct config *c, const struct ip_prefix *allowed, size_t count,
		       uint32_t mark, struct routes *want)
{
	struct others others = { 0 };
	int err = 0;

	if (c->table == TABLE_AUTO)
		err = others_read(i, &others);
	for (size_t j = 0; j < count && !err && c->table != TABLE_OFF; j++) {
		struct iface_route r = { .dst = allowed[j], .table = RT_TABLE_MAIN };

		ip_prefix_mask(&r.dst);
		if (c->table == TABLE_NUMBER)
			r.table = c->table_number ? c->table_number : RT_TABLE_MAIN;
		else if (!r.dst.len)
			r.table = mark;
		else if (!is_ours(i, &r) && others_cover(&others, &r.dst))
			continue;
		routes_add(want, &r);
	}
	free(others.list.v);
	routes_sort(want);
	return err ? err : want->failed ? -ENOMEM : 0;
}

static int change_route(struct iface *i, const struct iface_route *r, bool add)
{
	const struct netlink_route route = { .dst = r->dst, .table = r->table, .ifindex = i->ifindex };
	char text[PREFIX_TEXT_MAX];
	int err = add ? netlink_route_add(i->nl, &route) : netlink_route_remove(i->nl, &route);

	if (!err)
		log_debug(&i->log, "route %s table %lu %s", ip_prefix_format(&r->dst, text), (unsigned long)r->table,
			  add ? "added" : "removed");
	return err;
}

/* Take back the first 'count' of 'want' that were not ours before. */
static void take_routes_back(struct iface *i, const struct routes *want, size_t count)
{
	for (size_t j = 0; j < count; j++)
		if (!is_ours(i, &want->v[j]))
			change_route(i, &want->v[j], false);
}

static int add_routes(struct iface *i, const struct routes *want, struct text *why)
{
	for (size_t j = 0; j < want->count; j++) {
		const struct iface_route *r = &want->v[j];
		int err = change_route(i, r, true);
		char text[PREFIX_TEXT_MAX];

		if (!err || (err == -EEXIST && is_ours(i, r)))
			continue;
		text_addf(why, "%s: route %s: %s", i->name, ip_prefix_format(&r->dst, text), words(i, err));
		take_routes_back(i, want, j);
		return err;
	}
	return 0;
}

/* What will not go is remembered in 'want', and tried again the next time. */
static void remove_routes(struct iface *i, struct routes *want)
{
	size_t wanted = want->count;
	char text[PREFIX_TEXT_MAX];

	for (size_t j = 0; j < i->route_count; j++) {
		const struct iface_route *old = &i->routes[j];
		int err;

		if (routes_have(want->v, wanted, old))
			continue;
		err = change_route(i, old, false);
		if (err && err != -ESRCH && err != -ENODEV) {
			log_warning(&i->log, "route %s cannot be removed: %s", ip_prefix_format(&old->dst, text), words(i, err));
			routes_add(want, old);
		}
	}
	routes_sort(want);
}

/* --- rules --- */

static void remove_rules(struct netlink *nl, uint8_t family, uint32_t mark)
{
	bool any = false;

	for (int n = 0; n < LEFTOVERS_MAX && !netlink_rule_remove_not_fwmark(nl, family, mark, mark); n++)
		any = true;
	/* Shared with other interfaces; and where there was nothing of ours, it is somebody's own. */
	if (any && netlink_rule_any_not_fwmark(nl, family) == 0)
		netlink_rule_remove_suppress(nl, family);
}

static int add_rules(struct iface *i, uint8_t family, uint32_t mark)
{
	int err = netlink_rule_add_not_fwmark(i->nl, family, mark, mark);

	return err ? err : netlink_rule_add_suppress(i->nl, family);
}

/* Whether a default route of 'family' is to go through us by mark. */
static bool wants_default(const struct config *c, const struct ip_prefix *allowed, size_t count, uint8_t family)
{
	if (c->table != TABLE_AUTO)
		return false;
	for (size_t j = 0; j < count; j++)
		if (!allowed[j].len && allowed[j].addr.family == family)
			return true;
	return false;
}

static bool *default_of(struct iface *i, uint8_t family)
{
	return family == IP_V4 ? &i->default4 : &i->default6;
}

static bool *babel_default_of(struct iface *i, uint8_t family)
{
	return family == IP_V4 ? &i->babel4 : &i->babel6;
}

/* Whether rules with 'mark' are there for allowed IPs, or for Babel. */
static bool has_rules(struct iface *i, uint8_t family, uint32_t mark)
{
	return *default_of(i, family) && i->mark == mark;
}

static bool has_babel_rules(struct iface *i, uint8_t family, uint32_t mark)
{
	return *babel_default_of(i, family) && i->babel_mark == mark;
}

/* Add the rules of each family in 'want'; when one fails, those that were not there before are taken back. */
static int add_default_rules(struct iface *i, const bool want[2], uint32_t mark, struct text *why)
{
	int err = 0;
	size_t f;

	for (f = 0; f < 2 && !err; f++)
		if (want[f])
			err = add_rules(i, families[f], mark);
	if (!err)
		return 0;
	text_addf(why, "%s: rules of the default route: %s", i->name, words(i, err));
	while (f-- > 0)
		if (want[f] && !has_rules(i, families[f], mark) && !has_babel_rules(i, families[f], mark))
			remove_rules(i->nl, families[f], mark);
	return err;
}

/* Now that the new rules are there, those of an earlier mark and of default routes that went. */
static void keep_default_rules(struct iface *i, const bool want[2], uint32_t mark)
{
	for (size_t f = 0; f < 2; f++) {
		bool *have = default_of(i, families[f]);

		if (*have && (!want[f] || i->mark != mark) && !has_babel_rules(i, families[f], i->mark))
			remove_rules(i->nl, families[f], i->mark);
		*have = want[f];
	}
	i->mark = want[0] || want[1] ? mark : 0;
}

int iface_set_babel_default(struct iface *i, uint8_t family, bool want, uint32_t mark)
{
	int err = want ? add_rules(i, family, mark) : 0;

	if (err)
		return err;
	/* Another mark is another one for both families; each wanted one is told again. */
	for (size_t f = 0; f < 2; f++) {
		bool *have = babel_default_of(i, families[f]);
		bool goes = want ? i->babel_mark != mark : families[f] == family;

		if (*have && goes && !has_rules(i, families[f], i->babel_mark))
			remove_rules(i->nl, families[f], i->babel_mark);
		*have = *have && !goes;
	}
	if (want)
		*babel_default_of(i, family) = true;
	if (want)
		i->babel_mark = mark;
	else if (!i->babel4 && !i->babel6)
		i->babel_mark = 0;
	return 0;
}

bool iface_needs_mark(const struct config *c, const struct ip_prefix *allowed, size_t count)
{
	return wants_default(c, allowed, count, IP_V4) || wants_default(c, allowed, count, IP_V6);
}

uint32_t iface_free_mark(struct iface *i)
{
	/* Like wg-quick, a table that cannot be read is taken for empty. */
	for (uint32_t mark = MARK_FIRST; mark < MARK_FIRST + MARK_TRIES_MAX; mark++)
		if (netlink_table_empty(i->nl, 0, mark))
			return mark;
	return 0;
}

int iface_set_routes(struct iface *i, const struct config *c, const struct ip_prefix *allowed, size_t count,
		     uint32_t mark, struct text *why)
{
	const bool defaults[2] = {
		wants_default(c, allowed, count, IP_V4), wants_default(c, allowed, count, IP_V6),
	};
	struct routes want = { 0 };
	int err;

	if (!mark && (defaults[0] || defaults[1])) {
		text_addf(why, "%s: a default route needs a firewall mark", i->name);
		return -EINVAL;
	}
	err = plan_routes(i, c, allowed, count, mark, &want);
	if (err)
		text_addf(why, "%s: routes: %s", i->name, words(i, err));
	if (!err)
		err = add_routes(i, &want, why);
	if (!err) {
		err = add_default_rules(i, defaults, mark, why);
		if (err)
			take_routes_back(i, &want, want.count);
	}
	if (err) {
		free(want.v);
		return err;
	}
	keep_default_rules(i, defaults, mark);
	remove_routes(i, &want);
	free(i->routes);
	i->routes = want.v;
	i->route_count = want.count;
	return 0;
}

/* --- the listen prefix --- */

/* What will not go is only logged. */
static void drop_listen_prefix(struct iface *i, const struct ip_prefix *p)
{
	char text[PREFIX_TEXT_MAX];
	int err = netlink_local_route_delete(i->nl, p);

	if (err && err != -ESRCH)
		log_warning(&i->log, "listen prefix %s cannot be removed: %s", ip_prefix_format(p, text), words(i, err));
	else
		log_debug(&i->log, "listen prefix %s removed", ip_prefix_format(p, text));
}

int iface_set_listen_prefix(struct iface *i, const struct ip_prefix *p, struct text *why)
{
	const struct ip_prefix old = i->listen_prefix;
	struct ip_prefix want = *p;
	char text[PREFIX_TEXT_MAX];
	bool same;

	ip_prefix_mask(&want);
	same = ip_prefix_equal(&want, &old);
	if (want.addr.family != IP_NONE) {
		int err = netlink_local_route_add(i->nl, &want);

		if (err && !(err == -EEXIST && same)) {
			text_addf(why, "%s: listen prefix %s: %s", i->name, ip_prefix_format(&want, text), words(i, err));
			return err;
		}
		if (!err)
			log_debug(&i->log, "listen prefix %s added", ip_prefix_format(&want, text));
	}
	if (old.addr.family != IP_NONE && !same)
		drop_listen_prefix(i, &old);
	i->listen_prefix = want;
	return 0;
}

void iface_done(struct iface *i)
{
	const bool none[2] = { false, false };

	iface_set_babel_default(i, IP_V4, false, 0);
	iface_set_babel_default(i, IP_V6, false, 0);
	keep_default_rules(i, none, 0);
	if (i->listen_prefix.addr.family != IP_NONE)
		drop_listen_prefix(i, &i->listen_prefix);
	i->listen_prefix = (struct ip_prefix){ 0 };
	free(i->addresses);
	free(i->routes);
	i->addresses = NULL;
	i->address_count = 0;
	i->routes = NULL;
	i->route_count = 0;
}

void iface_cleanup_rules(struct netlink *nl, uint32_t mark)
{
	for (size_t f = 0; f < 2 && mark; f++)
		remove_rules(nl, families[f], mark);
}

void iface_cleanup_listen_prefix(struct netlink *nl, const struct ip_prefix *p)
{
	if (p->addr.family != IP_NONE)
		netlink_local_route_delete(nl, p);
}
