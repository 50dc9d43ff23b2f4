/* SPDX-License-Identifier: MIT */
/*
 * The two policy rules of wg-quick's default route, by route netlink (ip-rule(8), linux/fib_rules.h):
 *
 *	from all lookup main suppress_prefixlength 0
 *	not from all fwmark MARK lookup TABLE
 *
 * The first finds every route in main but a default route; what is left goes to TABLE unless it carries the sockets'
 * mark. So the first must come before the second. The kernel puts a new rule before all others, which gives
 * that order by adding the second first; a suppress rule that was there already (it is shared by all interfaces) would
 * come too late, and then ours is put right behind it.
 *
 * Removal looks the rule up and names its priority: without, the kernel takes the first that agrees in what is said,
 * which could be another one's.
 */
#include "sys/netlink.h"

#include <errno.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "sys/netlink_request.h"

enum { MAIN_PRIORITY = 32766 };		/* where the kernel's own rule looks main up */

enum rule_kind {
	RULE_OTHER,
	RULE_NOT_FWMARK,
	RULE_SUPPRESS,
};

struct rule {
	enum rule_kind kind;
	uint32_t mark, table, priority;
	bool babel;		/* of sys/kfib.h's */
};

/* Look for a rule of a kind, with 'mark' and 'table' unless they are 0; the one with the lowest priority is kept. */
struct search {
	uint8_t family;
	struct rule want;
	bool found;
	struct rule rule;
	bool babel;		/* rules of Babel's are there... */
	uint32_t others_first;	/* ...and this is the first of the others behind the kernel's own at 0; 0: none */
};

static bool has_selector(const struct fib_rule_hdr *frh, const struct nlattr **attrs)
{
	return frh->src_len || frh->dst_len || frh->tos || attrs[FRA_IIFNAME] || attrs[FRA_OIFNAME] ||
	       attrs[FRA_IP_PROTO] || attrs[FRA_SPORT_RANGE] || attrs[FRA_DPORT_RANGE] || attrs[FRA_UID_RANGE] ||
	       netlink_attr_u32(attrs[FRA_SUPPRESS_IFGROUP], UINT32_MAX) != UINT32_MAX || attrs[FRA_L3MDEV];
}

static void read_rule(const struct nlmsghdr *h, struct rule *rule)
{
	const struct nlattr *attrs[FRA_DPORT_RANGE + 1];
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(h);
	uint32_t suppress;

	netlink_attrs_read(h, sizeof(*frh), attrs, FRA_DPORT_RANGE + 1);
	suppress = netlink_attr_u32(attrs[FRA_SUPPRESS_PREFIXLEN], UINT32_MAX);
	*rule = (struct rule){
		.mark = netlink_attr_u32(attrs[FRA_FWMARK], 0),
		.table = netlink_attr_u32(attrs[FRA_TABLE], frh->table),
		.priority = netlink_attr_u32(attrs[FRA_PRIORITY], 0),
		.babel = attrs[FRA_PROTOCOL] && mnl_attr_get_payload_len(attrs[FRA_PROTOCOL]) == 1 &&
			 mnl_attr_get_u8(attrs[FRA_PROTOCOL]) == NETLINK_PROTOCOL,
	};
	if (frh->action != FR_ACT_TO_TBL || has_selector(frh, attrs))
		return;
	if (frh->flags & FIB_RULE_INVERT && rule->mark && suppress == UINT32_MAX &&
	    netlink_attr_u32(attrs[FRA_FWMASK], UINT32_MAX) == UINT32_MAX)
		rule->kind = RULE_NOT_FWMARK;
	else if (!(frh->flags & FIB_RULE_INVERT) && !rule->mark && suppress == 0 && rule->table == RT_TABLE_MAIN)
		rule->kind = RULE_SUPPRESS;
}

static void search_visit(void *ctx, const struct nlmsghdr *h)
{
	const struct fib_rule_hdr *frh;
	struct search *s = ctx;
	struct rule rule;

	if (!h) {
		s->found = s->babel = false;
		s->others_first = 0;
		return;
	}
	frh = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(h) < sizeof(*frh) ||
	    frh->family != netlink_af(s->family))
		return;
	read_rule(h, &rule);
	if (rule.babel)
		s->babel = true;
	else if (rule.priority && (!s->others_first || rule.priority < s->others_first))
		s->others_first = rule.priority;
	if (rule.kind != s->want.kind || (s->want.mark && rule.mark != s->want.mark) ||
	    (s->want.table && rule.table != s->want.table))
		return;
	if (!s->found || rule.priority < s->rule.priority)
		s->rule = rule;
	s->found = true;
}

/*
 * 1 found, 0 not, or negative errno. When it is not there, rule->priority is where it would go by itself if there were no rules of
 * Babel's, or 0: leave that to the kernel. Those must come before wg-quick's, and the kernel would put a new one before them.
 */
static int find_rule(struct netlink *nl, uint8_t family, const struct rule *want, struct rule *rule)
{
	struct search s = { .family = family, .want = *want };
	const struct netlink_visitor v = { search_visit, &s };
	struct netlink_request r;
	struct fib_rule_hdr *frh = netlink_request_begin(&r, RTM_GETRULE, 0, sizeof(*frh));
	int err;

	frh->family = netlink_af(family);
	err = netlink_request_dump(nl, &r, &v);
	if (err)
		return err;
	*rule = s.found ? s.rule : (struct rule){ 0 };
	if (!s.found && s.babel && s.others_first > 1)
		rule->priority = s.others_first - 1;
	return s.found;
}

/* A priority of 0 leaves the place to the kernel. */
static int change_rule(struct netlink *nl, uint16_t type, uint16_t flags, uint8_t family, const struct rule *rule)
{
	struct netlink_request r;
	struct fib_rule_hdr *frh = netlink_request_begin(&r, type, flags, sizeof(*frh));

	frh->family = netlink_af(family);
	frh->action = FR_ACT_TO_TBL;
	frh->table = (uint8_t)(rule->table < 256 ? rule->table : RT_TABLE_UNSPEC);
	mnl_attr_put_u32(&r.header, FRA_TABLE, rule->table);
	if (rule->priority)
		mnl_attr_put_u32(&r.header, FRA_PRIORITY, rule->priority);
	if (rule->kind == RULE_NOT_FWMARK) {
		frh->flags = FIB_RULE_INVERT;
		mnl_attr_put_u32(&r.header, FRA_FWMARK, rule->mark);
	} else {
		mnl_attr_put_u32(&r.header, FRA_SUPPRESS_PREFIXLEN, 0);
	}
	return netlink_request_run(nl, &r, NULL);
}

static int add_rule(struct netlink *nl, uint8_t family, const struct rule *rule)
{
	int err = change_rule(nl, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, rule);

	return err == -EEXIST ? 0 : err;
}

static int remove_rule(struct netlink *nl, uint8_t family, const struct rule *want)
{
	struct rule rule;
	int found = find_rule(nl, family, want, &rule);

	if (found <= 0)
		return found ? found : -ENOENT;
	return change_rule(nl, RTM_DELRULE, 0, family, &rule);
}

int netlink_rule_add_not_fwmark(struct netlink *nl, uint8_t family, uint32_t fwmark, uint32_t table)
{
	const struct rule suppress = { .kind = RULE_SUPPRESS };
	struct rule rule = { .kind = RULE_NOT_FWMARK, .mark = fwmark, .table = table }, found;
	int err = find_rule(nl, family, &rule, &found);

	if (err)
		return err < 0 ? err : 0;
	err = find_rule(nl, family, &suppress, &found);
	if (err < 0)
		return err;
	/* Of the same priority, the later added comes later. */
	if (!err || found.priority < MAIN_PRIORITY)
		rule.priority = found.priority;
	return add_rule(nl, family, &rule);
}

int netlink_rule_add_suppress(struct netlink *nl, uint8_t family)
{
	struct rule want = { .kind = RULE_SUPPRESS, .table = RT_TABLE_MAIN };
	struct rule found;
	int err = find_rule(nl, family, &want, &found);

	if (err)
		return err < 0 ? err : 0;
	want.priority = found.priority;
	return add_rule(nl, family, &want);
}

int netlink_rule_remove_not_fwmark(struct netlink *nl, uint8_t family, uint32_t fwmark, uint32_t table)
{
	const struct rule want = { .kind = RULE_NOT_FWMARK, .mark = fwmark, .table = table };

	return remove_rule(nl, family, &want);
}

int netlink_rule_remove_suppress(struct netlink *nl, uint8_t family)
{
	const struct rule want = { .kind = RULE_SUPPRESS, .table = RT_TABLE_MAIN };

	return remove_rule(nl, family, &want);
}

int netlink_rule_any_not_fwmark(struct netlink *nl, uint8_t family)
{
	const struct rule want = { .kind = RULE_NOT_FWMARK };
	struct rule found;

	return find_rule(nl, family, &want, &found);
}
