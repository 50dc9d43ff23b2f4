/* SPDX-License-Identifier: MIT */
/*
 * The memory of a run outside its processes. The root parent writes it before every step that outlives a killed process (DNS,
 * firewall, rules, listen prefix), so whoever finds it later - the next "up", or "down" with nobody there - can take exactly that back. It
 * lives in /run, which a reboot clears together with all it speaks of.
 */
#include "sys/runfile.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/dns.h"
#include "sys/files.h"
#include "sys/iface.h"
#include "sys/kslot.h"
#include "sys/netlink.h"
#include "sys/program.h"

enum { RUNFILE_MAX = 1 << 16 };

static void path_of(char path[PROGRAM_PATH_MAX], const char *dir, const char *name, const char *suffix)
{
	snprintf(path, PROGRAM_PATH_MAX, "%s/%s%s", dir, name, suffix);
}

void runfile_format(const struct runfile *r, struct text *out)
{
	char prefix[PREFIX_TEXT_MAX];

	if (r->config_file)
		text_addf(out, "config=%s\n", r->config_file);
	if (r->dns_entry)
		text_addf(out, "dns=%s\n", r->dns_entry);
	text_addf(out, "firewall=%s\nmark=%u\n", firewall_tool_name(r->firewall), r->mark);
	text_addf(out, "default4=%d\ndefault6=%d\n", r->default4, r->default6);
	if (r->listen_prefix.addr.family != IP_NONE)
		text_addf(out, "listen_prefix=%s\n", ip_prefix_format(&r->listen_prefix, prefix));
}

static enum firewall_tool tool_named(const char *name)
{
	for (enum firewall_tool t = FIREWALL_NONE; t <= FIREWALL_IPTABLES; t++)
		if (!strcmp(name, firewall_tool_name(t)))
			return t;
	return FIREWALL_NONE;
}

/* False: no memory. */
static bool set_string(char **s, const char *value)
{
	free(*s);
	*s = strdup(value);
	return *s;
}

static bool parse_line(struct runfile *r, const char *key, const char *value)
{
	if (!strcmp(key, "config"))
		return set_string(&r->config_file, value);
	if (!strcmp(key, "dns"))
		return set_string(&r->dns_entry, value);
	if (!strcmp(key, "firewall"))
		r->firewall = tool_named(value);
	else if (!strcmp(key, "mark"))
		r->mark = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "default4"))
		r->default4 = value[0] == '1';
	else if (!strcmp(key, "default6"))
		r->default6 = value[0] == '1';
	else if (!strcmp(key, "listen_prefix"))
		ip_prefix_parse(value, &r->listen_prefix);
	return true;
}

bool runfile_parse(struct runfile *r, const char *text)
{
	char *copy = strdup(text), *rest = NULL;
	bool ok = copy;

	*r = (struct runfile){ 0 };
	for (char *line = ok ? strtok_r(copy, "\n", &rest) : NULL; line && ok; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');

		if (value) {
			*value++ = '\0';
			ok = parse_line(r, line, value);
		}
	}
	free(copy);
	if (!ok)
		runfile_done(r);
	return ok;
}

int runfile_read(struct runfile *r, const char *name)
{
	char path[PROGRAM_PATH_MAX];
	struct text text = { 0 };
	int error;

	*r = (struct runfile){ 0 };
	path_of(path, MESHD_RUN_DIR, name, ".state");
	error = file_read(path, &text, RUNFILE_MAX);
	if (!error && !runfile_parse(r, text.s ? text.s : ""))
		error = -ENOMEM;
	text_done(&text);
	return error;
}

int runfile_write(const struct runfile *r, const char *name)
{
	char path[PROGRAM_PATH_MAX];
	struct text text = { 0 };
	int error;

	path_of(path, MESHD_RUN_DIR, name, ".state");
	runfile_format(r, &text);
	error = text.failed ? -ENOMEM : file_replace(path, text.s, text.len, 0600);
	text_done(&text);
	return error;
}

void runfile_remove(const char *name)
{
	char path[PROGRAM_PATH_MAX];

	path_of(path, MESHD_RUN_DIR, name, ".state");
	unlink(path);
}

int runfile_write_note(const char *name, const char *line)
{
	char path[PROGRAM_PATH_MAX];

	path_of(path, MESHD_RUN_DIR, name, ".note");
	return file_replace(path, line, strlen(line), 0600);
}

bool runfile_take_note(const char *name, struct text *out)
{
	char path[PROGRAM_PATH_MAX];
	struct text line = { 0 };
	bool found;

	path_of(path, MESHD_RUN_DIR, name, ".note");
	found = !file_read(path, &line, RUNFILE_MAX) && line.len;
	if (found && out)
		text_add(out, line.s);
	unlink(path);
	text_done(&line);
	return found;
}

void runfile_done(struct runfile *r)
{
	free(r->config_file);
	free(r->dns_entry);
	*r = (struct runfile){ 0 };
}

void runfile_remove_sockets(const char *name)
{
	char path[PROGRAM_PATH_MAX];

	if (if_nametoindex(name))
		return;		/* somebody has made the interface anew: it may be his socket */
	path_of(path, MESHD_RUN_DIR, name, ".sock");
	unlink(path);
	path_of(path, MESHD_UAPI_DIR, name, ".sock");
	unlink(path);
}

bool runfile_clean(const char *name, const struct log *log)
{
	struct runner runner = runner_plain(log);
	struct netlink nl;
	struct runfile r;

	if (runfile_read(&r, name) == -ENOENT)
		return false;
	if (r.dns_entry)
		dns_unset(&runner, r.dns_entry);
	firewall_unset(&runner, name, r.firewall, r.default4, r.default6);
	if ((r.mark || r.listen_prefix.addr.family != IP_NONE) && !netlink_open(&nl)) {
		iface_cleanup_rules(&nl, r.mark);
		iface_cleanup_listen_prefix(&nl, &r.listen_prefix);
		netlink_close(&nl);
	}
	kslot_clean(MESHD_RUN_DIR, name);
	runfile_remove_sockets(name);
	runfile_remove(name);
	runfile_done(&r);
	return true;
}
