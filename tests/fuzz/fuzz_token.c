/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a token: as text, as the bytes in it, and as the other things that come with joining (an answer, a line of what was issued, a sealed message). What
 * is taken is written and read back to the same; what is not leaves nothing. The first byte chooses.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exchange/mint.h"
#include "exchange/token.h"

#include "exchange_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct token no_token;

static void check_token(const struct token *t)
{
	struct text once = { 0 }, twice = { 0 }, why = { 0 };
	struct token again;

	require(item_name_is_good(t->mesh_name) && item_name_is_good(t->node_name), "a bad name");
	require(t->contact_count > 0 && t->contact_count <= TOKEN_CONTACTS_MAX, "contacts out of bounds");
	for (size_t i = 0; i < t->contact_count; i++) {
		require(t->contacts[i].endpoint_count <= TOKEN_CONTACT_ENDPOINTS_MAX, "endpoints out of bounds");
		for (size_t k = 0; k < t->contacts[i].endpoint_count; k++)
			require(t->contacts[i].endpoints[k].endpoint.port != 0, "an endpoint without a port");
	}
	require(t->not_after_s > 0, "a bad end");
	require(token_write(t, &once), "cannot be written");
	require(token_read(&again, once.s, once.len, &why), "cannot be read back");
	require(token_write(&again, &twice) && strcmp(once.s, twice.s) == 0, "reads back to another");
	text_wipe(&once);
	text_wipe(&twice);
	text_done(&why);
}

static void run_token(bool text, const uint8_t *data, size_t size)
{
	struct text why = { 0 };
	struct token t;
	bool good = text ? token_read(&t, (const char *)data, size, &why) : token_decode(&t, data, size, &why);

	if (good) {
		require(!why.len, "a reason though good");
		check_token(&t);
	} else {
		world_line(why.s);
		require(memcmp(&t, &no_token, sizeof(t)) == 0, "something left");
	}
	text_done(&why);
}

static void run_answer(const uint8_t *data, size_t size)
{
	struct text refused = { 0 }, brought = { 0 };

	if (join_answer_decode(data, size, &refused, &brought)) {
		require(!refused.len != !brought.len, "neither or both");
		if (refused.len)
			world_line(refused.s);
	} else {
		require(!refused.len && !brought.len, "something left");
	}
	text_done(&refused);
	text_done(&brought);
}

static bool is_same_wish(const struct mint_node *m, const struct mint_node *n)
{
	return strcmp(m->name, n->name) == 0 && world_are_same_prefixes(m->addresses, m->address_count, n->addresses, n->address_count) &&
	       world_are_same_prefixes(m->prefixes, m->prefix_count, n->prefixes, n->prefix_count) &&
	       world_are_same_prefixes(m->external, m->external_count, n->external, n->external_count) && m->roles == n->roles && m->expires_s == n->expires_s;
}

static void run_issued(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct text once = { 0 }, twice = { 0 };
	struct issued i, again;

	memcpy(line, data, size);
	line[size] = '\0';
	if (issued_read(&i, line)) {
		require(issued_write(&i, &once) && issued_read(&again, once.s), "cannot be read back");
		require(issued_write(&again, &twice) && strcmp(once.s, twice.s) == 0, "reads back to another");
		require(is_same_wish(i.node, again.node), "another node");
		issued_done(&again);
		issued_done(&i);
	}
	require(!i.node, "something left");
	text_wipe(&once);
	text_wipe(&twice);
	free(line);
}

/* Nobody guesses a tag. */
static void run_sealed(const uint8_t *data, size_t size)
{
	static const uint8_t key[KEY_LEN] = { 7 };
	struct text opened = { 0 };

	require(!join_open(key, key, data, size, &opened) && !opened.len, "opened");
	text_done(&opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	require(crypto_init(), "no libsodium");
	if (!size)
		return 0;
	switch (*data) {
	case 'm':
		run_token(true, data, size);
		break;
	case 1:
		run_answer(data + 1, size - 1);
		break;
	case 2:
		run_issued(data + 1, size - 1);
		break;
	case 3:
		run_sealed(data + 1, size - 1);
		break;
	default:
		run_token(false, data + 1, size - 1);
	}
	return 0;
}
