/* SPDX-License-Identifier: MIT */
/*
 * meshd genkey, genpsk, pubkey: what wg(8) has under these names, byte for byte on stdout. Keys go by write(2) from
 * memory that is wiped, never through a stdio buffer.
 */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/key.h"
#include "sys/clock.h"
#include "sys/privs.h"

enum { INPUT_MAX = 256 };

/* As wg: a secret that the shell redirects into a file for everybody. */
static void warn_world_accessible(void)
{
	struct stat st;

	if (!fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) && st.st_mode & S_IRWXO)
		fputs("Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.\n", stderr);
}

static int print_key(const uint8_t key[KEY_LEN])
{
	char text[KEY_BASE64_MAX];
	size_t len = KEY_BASE64_MAX, at = 0;
	ssize_t n = 0;

	key_to_base64(text, key);
	text[len - 1] = '\n';
	while (at < len && (n >= 0 || errno == EINTR)) {
		n = write(STDOUT_FILENO, text + at, len - at);
		at += n > 0 ? (size_t)n : 0;
	}
	crypto_wipe(text, sizeof(text));
	return at == len ? CLI_DONE : cli_fail("cannot write the key: %s", strerror(errno));
}

static int generate(int argc, char **argv, void (*make)(const struct rng *rng, uint8_t key[KEY_LEN]))
{
	struct rng rng = system_rng();
	uint8_t key[KEY_LEN];
	int status;

	if (argc != 1)
		return cli_usage(argv[0]);
	privs_protect();
	warn_world_accessible();
	make(&rng, key);
	status = print_key(key);
	crypto_wipe(key, sizeof(key));
	return status;
}

static void make_psk(const struct rng *rng, uint8_t key[KEY_LEN])
{
	rng_fill(rng, key, KEY_LEN);
}

int cmd_genkey(int argc, char **argv)
{
	return generate(argc, argv, key_generate);
}

int cmd_genpsk(int argc, char **argv)
{
	return generate(argc, argv, make_psk);
}

/* One key on standard input, with nothing but white space around it. */
static bool read_key(uint8_t key[KEY_LEN])
{
	char text[INPUT_MAX + 1], *start = text;
	size_t len = 0;
	ssize_t n = 1;
	bool ok;

	while (len < INPUT_MAX && n > 0) {
		n = read(STDIN_FILENO, text + len, INPUT_MAX - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += (size_t)n;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	text[len] = '\0';
	while (isspace((unsigned char)*start))
		start++;
	ok = n == 0 && strlen(start) == len - (size_t)(start - text) && key_from_base64(key, start);
	crypto_wipe(text, sizeof(text));
	return ok;
}

int cmd_pubkey(int argc, char **argv)
{
	uint8_t private_key[KEY_LEN], public_key[KEY_LEN];

	(void)argv;
	if (argc != 1)
		return cli_usage("pubkey < FILE-WITH-PRIVATE-KEY");
	privs_protect();
	if (!read_key(private_key))
		return cli_fail("standard input is not a key: 44 characters of base64, as meshd genkey writes it");
	key_public(public_key, private_key);
	crypto_wipe(private_key, sizeof(private_key));
	return print_key(public_key);
}
