/* SPDX-License-Identifier: MIT */
/*
 * DNS by resolvconf: "-a ENTRY -m 0 -x" (first of all interfaces, and exclusive) with the servers on standard input,
 * "-d ENTRY -f" to take it back; the calls are wg-quick's. Search domains without a server are not
 * told, as there.
 */
#include "sys/dns.h"

#include <errno.h>
#include <string.h>

#include "node/config.h"
#include "sys/files.h"
#include "sys/program.h"

#define ORDER_FILE "/etc/resolvconf/interface-order"

enum { ORDER_MAX = 1 << 16 };

/* Whether the 'len' bytes of 'line' are a prefix and one asterisk: ^[A-Za-z0-9-]+\*$ */
static bool is_prefix(const char *line, size_t len)
{
	size_t word = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");

	return word && word + 1 == len && line[word] == '*';
}

void dns_entry(const char *name, const char *order, struct text *out)
{
	while (order && *order) {
		size_t blank = strspn(order, " \t");
		size_t len = strcspn(order + blank, "\n");
		size_t used = len;

		while (used && (order[blank + used - 1] == ' ' || order[blank + used - 1] == '\t'))
			used--;
		if (is_prefix(order + blank, used)) {
			text_add_bytes(out, order + blank, used - 1);
			text_add(out, ".");
			break;
		}
		order += blank + len;
		order += *order == '\n';
	}
	text_add(out, name);
}

void dns_system_entry(const char *name, struct text *out)
{
	struct text order = { 0 };
	bool ok = !file_read(ORDER_FILE, &order, ORDER_MAX);

	dns_entry(name, ok ? order.s : NULL, out);
	text_done(&order);
}

void dns_text(const struct config *c, struct text *out)
{
	if (!c->dns.count)
		return;
	for (size_t i = 0; i < c->dns.count; i++)
		text_addf(out, "nameserver %s\n", c->dns.v[i]);
	for (size_t i = 0; i < c->dns_search.count; i++)
		text_addf(out, "%s%s", i ? " " : "search ", c->dns_search.v[i]);
	if (c->dns_search.count)
		text_add(out, "\n");
}

static int run(const struct runner *r, const char *const *argv, const char *input)
{
	struct program p = {
		.argv = argv, .input = input, .input_len = input ? strlen(input) : 0, .uninterrupted = true,
	};
	struct text shown = { 0 };
	int status;

	for (const char *const *a = argv; *a; a++)
		text_addf(&shown, "%s%s", a == argv ? "" : " ", *a);
	p.shown = shown.s;
	status = program_run(r, &p);
	text_done(&shown);
	return status;
}

int dns_set(const struct runner *r, const char *entry, const char *text, struct text *why)
{
	const char *const argv[] = { "resolvconf", "-a", entry, "-m", "0", "-x", NULL };
	int status = run(r, argv, text);

	if (!status || status == -ENOENT)
		return status;
	if (status > 0)
		text_addf(why, "DNS: resolvconf failed with status %d", status);
	else
		text_addf(why, "DNS: resolvconf: %s", strerror(-status));
	return status > 0 ? -EIO : status;
}

void dns_unset(const struct runner *r, const char *entry)
{
	const char *const argv[] = { "resolvconf", "-d", entry, "-f", NULL };
	int status = run(r, argv, NULL);

	if (status)
		log_warning(&r->log, "DNS: resolvconf -d %s failed", entry);
}
