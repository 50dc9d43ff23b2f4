/* SPDX-License-Identifier: MIT */
/*
 * The anti-leak rules of a default route, word for word wg-quick's: same table, same chains, same comment, so that
 * whoever knows one finds his way in the other. An nft table is removed whole ("add" first makes "delete" fit even when
 * it is gone); iptables rules are found by their comment in what iptables-save tells.
 *
 * Addresses come from the config through ip_addr_format(), the name is config_interface_name()'s kind: nothing here
 * needs quoting.
 */
#include "sys/firewall.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sys/program.h"

#define SRC_VALID_MARK "/proc/sys/net/ipv4/conf/all/src_valid_mark"
#define COMMENT "-m comment --comment \"wg-quick(8) rule for %s\""

void firewall_nft_text(const struct firewall *f, enum ip_family family, struct text *out)
{
	const char *pf = family == IP_V4 ? "ip" : "ip6";
	const char *name = f->name;
	char addr[ADDR_TEXT_MAX];

	text_addf(out, "add table %s wg-quick-%s\n", pf, name);
	text_addf(out, "add chain %s wg-quick-%s preraw { type filter hook prerouting priority -300; }\n", pf, name);
	text_addf(out, "add chain %s wg-quick-%s premangle { type filter hook prerouting priority -150; }\n", pf, name);
	text_addf(out, "add chain %s wg-quick-%s postmangle { type filter hook postrouting priority -150; }\n", pf, name);
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].addr.family == family)
			text_addf(out, "add rule %s wg-quick-%s preraw iifname != \"%s\" %s daddr %s "
				  "fib saddr type != local drop\n", pf, name, name, pf, ip_addr_format(&f->addresses[i].addr, addr));
	text_addf(out, "add rule %s wg-quick-%s postmangle meta l4proto udp mark %u ct mark set mark \n", pf, name, f->mark);
	text_addf(out, "add rule %s wg-quick-%s premangle meta l4proto udp meta mark set ct mark \n", pf, name);
}

void firewall_iptables_text(const struct firewall *f, enum ip_family family, struct text *out)
{
	char addr[ADDR_TEXT_MAX];

	text_add(out, "*raw\n");
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].addr.family == family)
			text_addf(out, "-I PREROUTING ! -i %s -d %s -m addrtype ! --src-type LOCAL -j DROP " COMMENT "\n",
				  f->name, ip_addr_format(&f->addresses[i].addr, addr), f->name);
	text_addf(out, "COMMIT\n*mangle\n-I POSTROUTING -m mark --mark %u -p udp -j CONNMARK --save-mark " COMMENT "\n",
		  f->mark, f->name);
	text_addf(out, "-I PREROUTING -p udp -j CONNMARK --restore-mark " COMMENT "\nCOMMIT\n", f->name);
}

bool firewall_iptables_undo(const char *name, const char *saved, struct text *out)
{
	struct text comment = { 0 };
	bool found = false;

	text_addf(&comment, COMMENT, name);
	while (saved && *saved && !comment.failed) {
		size_t len = strcspn(saved, "\n");
		const char *mine = memmem(saved, len, comment.s, comment.len);

		if (*saved == '*' || (len == 6 && !memcmp(saved, "COMMIT", 6))) {
			text_add_bytes(out, saved, len);
			text_add(out, "\n");
		} else if (mine && !strncmp(saved, "-A ", 3)) {
			text_add(out, "-D");
			text_add_bytes(out, saved + 2, len - 2);
			text_add(out, "\n");
			found = true;
		}
		saved += len;
		saved += *saved == '\n';
	}
	text_done(&comment);
	return found;
}

const char *firewall_tool_name(enum firewall_tool tool)
{
	return tool == FIREWALL_NFT ? "nft" : tool == FIREWALL_IPTABLES ? "iptables" : "none";
}

enum firewall_tool firewall_tool(void)
{
	char path[PROGRAM_PATH_MAX];

	if (program_find("nft", path))
		return FIREWALL_NFT;
	return program_find("iptables-restore", path) ? FIREWALL_IPTABLES : FIREWALL_NONE;
}

/* The socket's mark shall count in the reverse path filter. It may be set and not writable, as in a container. */
static void set_src_valid_mark(const struct log *log)
{
	int fd = open(SRC_VALID_MARK, O_RDWR | O_CLOEXEC);
	char now = 0;

	if (fd < 0)
		fd = open(SRC_VALID_MARK, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &now, 1) != 1 || (now != '1' && pwrite(fd, "1\n", 2, 0) != 2))
		log_warning(log, "cannot set net.ipv4.conf.all.src_valid_mark: a strict reverse path filter may drop answers");
	if (fd >= 0)
		close(fd);
}

static int run_nft(const struct runner *r, const struct text *script)
{
	static const char *const argv[] = { "nft", "-f", "-", NULL };
	struct program p = {
		.argv = argv, .shown = "nft -f -", .input = script->s, .input_len = script->len, .uninterrupted = true,
	};

	return script->failed ? -ENOMEM : program_run(r, &p);
}

static int run_iptables_restore(const struct runner *r, enum ip_family family, const struct text *rules)
{
	const char *name = family == IP_V4 ? "iptables-restore" : "ip6tables-restore";
	const char *const argv[] = { name, "-n", NULL };
	struct program p = {
		.argv = argv,
		.shown = family == IP_V4 ? "iptables-restore -n" : "ip6tables-restore -n",
		.input = rules->s,
		.input_len = rules->len,
		.uninterrupted = true,
	};

	return rules->failed ? -ENOMEM : program_run(r, &p);
}

static int set_family(const struct runner *r, const struct firewall *f, enum firewall_tool tool, enum ip_family family)
{
	struct text rules = { 0 };
	int status;

	if (tool == FIREWALL_NFT) {
		firewall_nft_text(f, family, &rules);
		status = run_nft(r, &rules);
	} else {
		firewall_iptables_text(f, family, &rules);
		status = run_iptables_restore(r, family, &rules);
	}
	text_done(&rules);
	return status;
}

int firewall_set(const struct runner *r, const struct firewall *f, enum firewall_tool tool, struct text *why)
{
	int status = 0;

	if (f->v4)
		set_src_valid_mark(&r->log);
	if (f->v4)
		status = set_family(r, f, tool, IP_V4);
	if (f->v6 && !status)
		status = set_family(r, f, tool, IP_V6);
	if (status > 0)
		text_addf(why, "firewall: %s failed with status %d", firewall_tool_name(tool), status);
	else if (status < 0)
		text_addf(why, "firewall: %s: %s", firewall_tool_name(tool), strerror(-status));
	return status > 0 ? -EIO : status;
}

static int unset_nft(const struct runner *r, const char *name, enum ip_family family)
{
	const char *pf = family == IP_V4 ? "ip" : "ip6";
	struct text script = { 0 };
	int status;

	text_addf(&script, "add table %s wg-quick-%s\ndelete table %s wg-quick-%s\n", pf, name, pf, name);
	status = run_nft(r, &script);
	text_done(&script);
	return status;
}

static int unset_iptables(const struct runner *r, const char *name, enum ip_family family)
{
	const char *const argv[] = { family == IP_V4 ? "iptables-save" : "ip6tables-save", NULL };
	struct text saved = { 0 }, undo = { 0 };
	struct program p = { .argv = argv, .output = &saved, .uninterrupted = true };
	int status = program_run(r, &p);

	if (!status && firewall_iptables_undo(name, saved.s, &undo))
		status = run_iptables_restore(r, family, &undo);
	text_done(&saved);
	text_done(&undo);
	return status;
}

void firewall_unset(const struct runner *r, const char *name, enum firewall_tool tool, bool v4, bool v6)
{
	int (*unset)(const struct runner *, const char *, enum ip_family) = tool == FIREWALL_NFT ? unset_nft : unset_iptables;
	int status = 0;

	if (tool == FIREWALL_NONE)
		return;
	if (v4)
		status |= unset(r, name, IP_V4);
	if (v6)
		status |= unset(r, name, IP_V6);
	if (status)
		log_warning(&r->log, "firewall: %s could not take the rules of %s back", firewall_tool_name(tool), name);
}
