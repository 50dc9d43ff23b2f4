/* SPDX-License-Identifier: MIT */
/*
 * The underlay table, by route netlink (rtnetlink(7), linux/fib_rules.h).
 *
 * What main holds is copied route by route: next hops, metrics, preferred source, source prefix. Only the priority is another: the copies of
 * one destination are numbered as main has them. So each can be named alone, which two of IPv6 with the same metric could not (fe80::/64 of
 * every interface), and whatever changes is replaced in place; deleted is only what main has fewer, after all else is in. Nothing is
 * remembered: table and main are compared as the kernel has them.
 *
 * The rule stands right before the first that looks up main, or the table Babel's routes are in: before that, administrators' rules for some
 * sources or marks go on to count. Whoever adds rules without a priority adds them before ours, wg-quick's suppress rule for one; then ours
 * is moved, the new one first. What the underlay has no route for goes on to main.
 */
#include "sys/kunder.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "sys/kfib_inside.h"
#include "sys/netlink_request.h"

enum {
	MAIN_PRIORITY = 32766,		/* where the kernel's own rule looks main up */
	RULES_OURS_MAX = 16,		/* more go the next time */
	RANKS_MAX = 256,		/* copies of one destination; what is behind them is never used */
};

static const uint8_t families[] = { IP_V4, IP_V6 };

static uint32_t table_of(unsigned int slot)
{
	return KFIB_UNDERLAY_TABLE + slot;
}

/* --- rules --- */

struct search {
	uint8_t family;
	uint32_t table, other;		/* ours, and what comes behind it besides main */
	struct kfib_rule ours[RULES_OURS_MAX];
	size_t count;
	uint32_t first;			/* the first priority that must come behind ours */
};

static void search_visit(void *ctx, const struct nlmsghdr *h)
{
	const struct nlattr *attrs[FRA_PROTOCOL + 1];
	const struct fib_rule_hdr *frh;
	struct search *s = ctx;
	struct kfib_rule r;
	bool ours;

	if (!h) {
		s->count = 0;
		s->first = MAIN_PRIORITY;
		return;
	}
	frh = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(h) < sizeof(*frh) ||
	    frh->family != netlink_af(s->family) || frh->action != FR_ACT_TO_TBL)
		return;
	netlink_attrs_read(h, sizeof(*frh), attrs, FRA_PROTOCOL + 1);
	r = (struct kfib_rule){
		.family = s->family,
		.action = frh->action,
		.priority = netlink_attr_u32(attrs[FRA_PRIORITY], 0),
		.table = netlink_attr_u32(attrs[FRA_TABLE], frh->table),
		.mark = netlink_attr_u32(attrs[FRA_FWMARK], 0),
	};
	ours = attrs[FRA_PROTOCOL] && mnl_attr_get_payload_len(attrs[FRA_PROTOCOL]) == 1 &&
	       mnl_attr_get_u8(attrs[FRA_PROTOCOL]) == NETLINK_PROTOCOL && r.table == s->table;
	if (ours && s->count < RULES_OURS_MAX)
		s->ours[s->count++] = r;
	else if (!ours && (r.table == RT_TABLE_MAIN || (s->other && r.table == s->other)) && r.priority < s->first)
		s->first = r.priority;
}

/* Mark 0: no rule. */
static int place_rule(struct netlink *nl, unsigned int slot, uint8_t family, const struct kunder_options *o)
{
	struct search s = { .family = family, .table = table_of(slot), .other = o->table };
	const struct netlink_visitor v = { search_visit, &s };
	struct kfib_rule rule = { .family = family, .action = FR_ACT_TO_TBL, .table = s.table, .mark = o->mark };
	struct netlink_request q;
	struct fib_rule_hdr *frh = netlink_request_begin(&q, RTM_GETRULE, 0, sizeof(*frh));
	size_t good;
	int err;

	frh->family = netlink_af(family);
	err = netlink_request_dump(nl, &q, &v);
	if (err)
		return err == -EOPNOTSUPP || err == -EAFNOSUPPORT ? 0 : err;
	for (good = 0; good < s.count; good++)
		if (s.ours[good].mark == o->mark && s.ours[good].priority < s.first)
			break;
	rule.priority = s.first > 1 ? s.first - 1 : 1;
	if (o->mark && good == s.count)
		err = kfib_change_rule(nl, true, &rule);
	for (size_t i = 0; i < s.count && !err; i++)
		if (i != good || !o->mark)
			err = kfib_change_rule(nl, false, &s.ours[i]);
	return err;
}

static int place_rules(struct netlink *nl, unsigned int slot, const struct kunder_options *o)
{
	int err = 0;

	for (size_t f = 0; f < 2 && !err; f++)
		err = place_rule(nl, slot, families[f], o);
	return err;
}

int kunder_place_rules(struct kunder *u)
{
	int err = u->ruled ? place_rules(u->nl, u->slot, &u->o) : 0;

	if (err)
		log_warning(&u->log, "no rule for the sockets' own packets can be had: %s", strerror(-err));
	return err;
}

/* --- the table --- */

static bool is_copied(const struct kunder *u, const struct kroute *r)
{
	return r->copy_len && !(r->flags & RTNH_F_DEAD) && !(r->route.ifindex && r->route.ifindex == u->o.tun);
}

/* Go through what is to be copied: the next one from 'i', and which it is of its destination. */
struct walk {
	const struct kroutes *main;
	size_t next;
	const struct kroute *route;
	uint32_t rank;
};

static bool walk_next(const struct kunder *u, struct walk *w)
{
	while (w->next < w->main->count) {
		const struct kroute *r = &w->main->v[w->next++];

		if (!is_copied(u, r))
			continue;
		w->rank = w->route && prefix_pair_equal(&w->route->route.prefix, &r->route.prefix) ? w->rank + 1 : 1;
		w->route = r;
		if (w->rank <= RANKS_MAX)
			return true;
	}
	return false;
}

static int compare(const struct kroute *x, const struct prefix_pair *p, uint32_t priority)
{
	int order = memcmp(&x->route.prefix, p, sizeof(*p));

	return order ? order : x->priority < priority ? -1 : x->priority > priority;
}

static const struct kroute *find(const struct kroutes *table, const struct prefix_pair *p, uint32_t priority)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&table->v[middle], p, priority) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->count && !compare(&table->v[low], p, priority) ? &table->v[low] : NULL;
}

static bool is_same(const struct kroutes *table, const struct kroute *x, const struct kroutes *main, const struct kroute *y)
{
	return x->copy_len == y->copy_len && !memcmp(table->copies + x->copy, main->copies + y->copy, y->copy_len);
}

static void tell_missing(struct kunder *u, const struct prefix_pair *p, int err)
{
	const char *words = netlink_error(u->nl);
	char text[PAIR_TEXT_MAX];

	log_record(&u->log, u->told_missing ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
		   "route %s cannot be copied for the sockets' own packets: %s", prefix_pair_format(p, text),
		   words[0] ? words : strerror(-err));
	u->told_missing = true;
}

/* Those the kernel refuses are counted, and tried once more: a gateway of IPv6 may need what is put in behind it. */
static size_t put_all(struct kunder *u, const struct kroutes *table, const struct kroutes *main, bool tell)
{
	struct walk w = { .main = main };
	size_t failed = 0;

	while (walk_next(u, &w)) {
		const struct kroute *old = find(table, &w.route->route.prefix, w.rank);
		int err;

		if (old && is_same(table, old, main, w.route))
			continue;
		err = kfib_put_copy(u->nl, table_of(u->slot), w.rank, main, w.route);
		failed += err != 0;
		if (err && tell)
			tell_missing(u, &w.route->route.prefix, err);
	}
	return failed;
}

/* Both are sorted alike, and numbers rise within a destination: what is passed by is not wanted. */
static int delete_rest(struct kunder *u, const struct kroutes *table, const struct kroutes *main)
{
	struct walk w = { .main = main };
	bool more = walk_next(u, &w);
	int err = 0;

	for (size_t i = 0; i < table->count && !err; i++) {
		const struct kroute *old = &table->v[i];

		while (more && compare(old, &w.route->route.prefix, w.rank) > 0)
			more = walk_next(u, &w);
		if (more && !compare(old, &w.route->route.prefix, w.rank))
			continue;
		if (old->route.protocol == NETLINK_PROTOCOL)
			err = kfib_delete(u->nl, table_of(u->slot), old->priority, &old->route.prefix);
	}
	return err;
}

static int copy(struct kunder *u, const struct kroutes *main)
{
	struct kroutes table;
	int err = kroutes_read_table(u->nl, table_of(u->slot), &table);
	size_t failed;

	if (err)
		return err;
	failed = put_all(u, &table, main, false);
	if (failed)
		failed = put_all(u, &table, main, true);
	err = delete_rest(u, &table, main);
	kroutes_done(&table);
	return err ? err : failed ? -EAGAIN : 0;
}

static bool is_full(struct kunder *u, const struct kroutes *main)
{
	bool full = main->full || main->count > KUNDER_ROUTES_MAX;

	if (full && !u->told_full)
		log_warning(&u->log, "the kernel has more than %d routes: none are copied for the sockets' own packets, "
			    "so Babel's routes can lead them astray", KUNDER_ROUTES_MAX);
	u->told_full = full;
	return full;
}

int kunder_follow(struct kunder *u, const struct kroutes *main)
{
	int err, failed;

	if (!u->o.mark)
		return 0;
	if (is_full(u, main)) {
		u->ruled = false;
		return kunder_purge(u->nl, u->slot);
	}
	err = copy(u, main);
	/* One that is missing is no reason to go without the others. */
	u->ruled |= !err || err == -EAGAIN;
	failed = kunder_place_rules(u);
	return err ? err : failed;
}

/* --- beginning and ending --- */

void kunder_init(struct kunder *u, struct netlink *nl, unsigned int slot, const struct log *log)
{
	*u = (struct kunder){ .nl = nl, .slot = slot, .log = *log };
}

void kunder_configure(struct kunder *u, const struct kunder_options *o)
{
	bool ends = u->o.mark && !o->mark;

	u->o = *o;
	if (!ends)
		return;
	u->ruled = false;
	kunder_purge(u->nl, u->slot);
}

int kunder_purge(struct netlink *nl, unsigned int slot)
{
	static const struct kunder_options none;
	static const struct kroutes empty;
	struct kunder u = { .nl = nl, .slot = slot };
	struct kroutes table;
	int err = place_rules(nl, slot, &none), failed = kroutes_read_table(nl, table_of(slot), &table);

	if (failed)
		return err ? err : failed;
	failed = delete_rest(&u, &table, &empty);
	kroutes_done(&table);
	return err ? err : failed;
}
