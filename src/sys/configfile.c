/* SPDX-License-Identifier: MIT */
/*
 * Config files on disk: found, read with the key file they name, and made for who has none yet.
 *
 * A new node's address is a unique local one (RFC 4193) under fd6d:6573:6864::/48 - "meshd" in ASCII - with the first 80
 * bits of the BLAKE2s of its public key behind it: the same key has the same address everywhere, two keys meet in one with a
 * chance of 2^-80, and as a /128 it is just what the other side puts into AllowedIPs.
 */
#include "sys/configfile.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/blake2s.h"
#include "crypto/key.h"
#include "node/config.h"
#include "sys/clock.h"
#include "sys/files.h"

#define SUFFIX ".conf"
#define KEY_FILE "PrivateKeyFile"

enum {
	KEY_FILE_MAX = 256,
	HASH_IN_ADDRESS = 10,
};

static const uint8_t address_prefix[6] = { 0xfd, 'm', 'e', 's', 'h', 'd' };

static bool has_suffix(const char *s)
{
	size_t len = strlen(s), suffix = strlen(SUFFIX);

	return len >= suffix && !strcmp(s + len - suffix, SUFFIX);
}

/* The interface of a file: its name without the suffix. */
static bool name_of_file(struct configfile *f, const char *arg, struct text *why)
{
	const char *slash = strrchr(arg, '/');
	const char *base = slash ? slash + 1 : arg;
	size_t len = has_suffix(base) ? strlen(base) - strlen(SUFFIX) : 0;

	if (len && len < sizeof(f->name)) {
		memcpy(f->name, base, len);
		f->name[len] = '\0';
		if (config_interface_name(f->name))
			return true;
	}
	text_addf(why, "%s: the file must be called like a valid interface name, followed by .conf", arg);
	return false;
}

bool configfile_find(struct configfile *f, const char *arg, struct text *why)
{
	char given[CONFIGFILE_PATH_MAX], *real;
	int n;

	if (strchr(arg, '/') || has_suffix(arg)) {
		if (!name_of_file(f, arg, why))
			return false;
		n = snprintf(given, sizeof(given), "%s", arg);
	} else if (config_interface_name(arg)) {
		snprintf(f->name, sizeof(f->name), "%s", arg);
		n = snprintf(given, sizeof(given), "%s/%s%s", MESHD_CONFIG_DIR, arg, SUFFIX);
	} else {
		text_addf(why, "%s: not a valid interface name", arg);
		return false;
	}
	if (n < 0 || (size_t)n >= sizeof(given)) {
		text_addf(why, "%s: the path is too long", arg);
		return false;
	}
	real = realpath(given, NULL);
	snprintf(f->path, sizeof(f->path), "%s", real ? real : given);
	free(real);
	return true;
}

/* The line that names the key file, for the reason. */
static size_t key_file_line(const char *text, size_t len)
{
	const char *end = text + len;
	size_t line = 1, found = 0;

	for (const char *p = text; p < end; line++) {
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if ((size_t)(end - p) >= strlen(KEY_FILE) && !strncasecmp(p, KEY_FILE, strlen(KEY_FILE)))
			found = line;
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : end;
	}
	return found;
}

/* A key file's path; a relative one is meant from where the config is. */
static void key_file_path(const char *config_path, const char *file, struct text *out)
{
	const char *slash = strrchr(config_path, '/');

	if (file[0] != '/' && slash)
		text_add_bytes(out, config_path, (size_t)(slash + 1 - config_path));
	text_add(out, file);
}

static bool read_key(const char *path, uint8_t key[KEY_LEN], const char **reason)
{
	struct text text = { 0 };
	int error = file_read(path, &text, KEY_FILE_MAX);
	bool ok = false;

	if (!error) {
		while (text.len && isspace((unsigned char)text.s[text.len - 1]))
			text.s[--text.len] = '\0';
		ok = text.s && key_from_base64(key, text.s);
	}
	text_wipe(&text);
	*reason = error ? strerror(-error) : "not a key (44 characters of base64, as meshd genkey writes it)";
	return ok;
}

static bool load_key_file(const char *path, const char *text, size_t len, struct config *c, struct text *why)
{
	struct text file = { 0 };
	const char *reason = "";
	bool ok;

	key_file_path(path, c->private_key_file, &file);
	configfile_warn(file.s);
	ok = !file.failed && read_key(file.s, c->change.private_key, &reason);
	if (ok)
		c->change.bits |= CHANGE_PRIVATE_KEY;
	else
		text_addf(why, "%s:%zu: " KEY_FILE ": %s: %s", path, key_file_line(text, len),
			  file.s ? file.s : c->private_key_file, file.failed ? "out of memory" : reason);
	text_done(&file);
	return ok;
}

/* A table by a name of the host's own, as ip(8) knows them. */
static bool find_table(const char *path, struct config *c, struct text *why)
{
	static const char *const files[] = { "/etc/iproute2/rt_tables", "/usr/share/iproute2/rt_tables" };

	for (size_t i = 0; c->table == TABLE_NAME && i < sizeof(files) / sizeof(files[0]); i++) {
		struct text names = { 0 };

		if (!file_read(files[i], &names, CONFIG_SIZE_MAX) && names.s)
			config_resolve_table(c, names.s, names.len);
		text_done(&names);
	}
	if (c->table == TABLE_NAME)
		text_addf(why, "%s: Table: there is no table '%s' in /etc/iproute2/rt_tables", path, c->table_text);
	return c->table != TABLE_NAME;
}

bool configfile_parse(const char *path, const char *text, size_t len, struct config *c, struct text *why)
{
	*c = (struct config){ 0 };
	if (!config_parse(c, path, text, len, why))
		return false;
	if (find_table(path, c, why) &&
	    (!c->private_key_file || load_key_file(path, text, len, c, why)))
		return true;
	config_done(c);
	return false;
}

bool configfile_load(const char *path, struct config *c, struct text *text, struct text *why)
{
	struct text own = { 0 };
	struct text *t = text ? text : &own;
	int error = file_read(path, t, CONFIG_SIZE_MAX);
	bool ok = false;

	*c = (struct config){ 0 };
	if (error)
		text_addf(why, "%s: %s", path, error == -EFBIG ? "too large for a config file" : strerror(-error));
	else
		ok = configfile_parse(path, t->s, t->len, c, why);
	text_wipe(&own);
	return ok;
}

void configfile_warn(const char *path)
{
	char dir[CONFIGFILE_PATH_MAX];
	struct stat file_st, dir_st;

	if (!path || stat(path, &file_st))
		return;
	snprintf(dir, sizeof(dir), "%s", path);
	if (!stat(dirname(dir), &dir_st) && file_st.st_mode & dir_st.st_mode & S_IRWXO)
		fprintf(stderr, "Warning: `%s' is world accessible\n", path);
}

/* Whether nobody has the port, in the families there are. */
static bool port_is_free(uint16_t port)
{
	static const int families[] = { AF_INET, AF_INET6 };
	bool is_free = true;

	for (size_t i = 0; i < 2 && is_free; i++) {
		struct sockaddr_in6 sa6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
		struct sockaddr_in sa4 = { .sin_family = AF_INET, .sin_port = htons(port) };
		const struct sockaddr *sa = i ? (struct sockaddr *)&sa6 : (struct sockaddr *)&sa4;
		int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

		if (fd < 0)
			continue;
		if (i)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		if (bind(fd, sa, i ? sizeof(sa6) : sizeof(sa4)) && errno == EADDRINUSE)
			is_free = false;
		close(fd);
	}
	return is_free;
}

uint16_t configfile_free_port(void)
{
	for (uint16_t port = CONFIGFILE_PORT_FIRST; port; port++)
		if (port_is_free(port))
			return port;
	return 0;
}

static void address_of_key(const uint8_t public_key[KEY_LEN], char text[ADDR_TEXT_MAX])
{
	struct ip_addr a = { .family = IP_V6 };
	uint8_t hash[BLAKE2S_LEN];

	blake2s(hash, sizeof(hash), NULL, 0, public_key, KEY_LEN);
	memcpy(a.bytes, address_prefix, sizeof(address_prefix));
	memcpy(a.bytes + sizeof(address_prefix), hash, HASH_IN_ADDRESS);
	ip_addr_format(&a, text);
}

/* The new file; returns what stderr would say, or 0. */
static int make_file(const struct configfile *f, const char *private_text, const char *address, uint16_t port)
{
	struct text t = { 0 };
	int error;

	text_addf(&t, "# The node %s, made by \"meshd up %s\".", f->name, f->name);
	text_add(&t, " Keep this file to yourself: it holds the private key.\n");
	text_addf(&t, "[Interface]\nPrivateKey = %s\nAddress = %s/128\nListenPort = %u\n", private_text, address, port);
	text_addf(&t, "\n# For each other node, then \"meshd reload %s\":\n#\n# [Peer]\n# PublicKey = its public key\n", f->name);
	text_add(&t, "# AllowedIPs = its address/128\n# Endpoint = where it can be reached:its port\n# PersistentKeepalive = 25\n");
	error = dir_make(MESHD_CONFIG_DIR);
	if (!error)
		error = t.failed ? -ENOMEM : file_replace(f->path, t.s, t.len, 0600);
	text_wipe(&t);
	return error;
}

bool configfile_make(const struct configfile *f, struct text *said, struct text *why)
{
	char private_text[KEY_BASE64_MAX], public_text[KEY_BASE64_MAX], address[ADDR_TEXT_MAX];
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
	uint16_t port = configfile_free_port();
	struct rng rng = system_rng();
	int error;

	key_generate(&rng, private_key);
	key_public(public_key, private_key);
	key_to_base64(private_text, private_key);
	key_to_base64(public_text, public_key);
	address_of_key(public_key, address);
	error = make_file(f, private_text, address, port);
	crypto_wipe(private_key, sizeof(private_key));
	crypto_wipe(private_text, sizeof(private_text));
	if (error) {
		text_addf(why, "%s: cannot be made: %s", f->path, strerror(-error));
		return false;
	}
	text_addf(said, "Made %s: a new key, the address %s from it, and UDP port %u.\n", f->path, address, port);
	text_addf(said, "Tell the other side: PublicKey = %s, AllowedIPs = %s/128, Endpoint = THIS-HOST:%u\n",
		  public_text, address, port);
	text_addf(said, "Then put the same of the other side under [Peer] in %s, and run: meshd reload %s\n", f->path, f->name);
	return true;
}
