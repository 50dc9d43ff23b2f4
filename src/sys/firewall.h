/* SPDX-License-Identifier: MIT */
#ifndef MESHD_SYS_FIREWALL_H
#define MESHD_SYS_FIREWALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/text.h"

struct runner;

/*
 * The rules that wg-quick puts around a default route: packets for our addresses that come in by another interface are
 * dropped, and the mark of our sockets is kept in conntrack so that the reverse path filter sees it. By nft(8) where it is
 * there, else by iptables-restore(8).
 */
enum firewall_tool {
	FIREWALL_NONE,
	FIREWALL_NFT,
	FIREWALL_IPTABLES,
};

struct firewall {
	const char *name;			/* of the interface */
	uint32_t mark;
	bool v4, v6;				/* which default routes there are */
	const struct ip_prefix *addresses;	/* of the interface */
	size_t address_count;
};

/* The rules of one family, as wg-quick writes them for either program. */
void firewall_nft_text(const struct firewall *f, enum ip_family family, struct text *out);
void firewall_iptables_text(const struct firewall *f, enum ip_family family, struct text *out);

/* From what iptables-save wrote, the input of iptables-restore that removes the rules of 'name'. False: there are none. */
bool firewall_iptables_undo(const char *name, const char *saved, struct text *out);

/* Which program is here, and its name. */
enum firewall_tool firewall_tool(void);
const char *firewall_tool_name(enum firewall_tool tool);

/* Put the rules in place, for both families. 0, or negative errno with one line in 'why'. */
int firewall_set(const struct runner *r, const struct firewall *f, enum firewall_tool tool, struct text *why);

/* Take away what firewall_set() did for 'name'; that nothing is there is fine. */
void firewall_unset(const struct runner *r, const char *name, enum firewall_tool tool, bool v4, bool v6);

#endif
