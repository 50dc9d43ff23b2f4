/* SPDX-License-Identifier: MIT */
/*
 * Joining, from outside: the node has the one-time key of an invitation, by which any node of the mesh lets it speak of joining and of nothing else. The
 * request - "this is my key, and I have it", signed by what belongs to that key - is sealed for the issuer once, and the same bytes are sent again and again, each time
 * with how much of the answer has come; the issuer answers by pieces, and so nobody has to remember anything about us. A contact that is not
 * the issuer passes it on, so we ask one contact after the other until one of them brings an answer, and stay with that.
 *
 * Pieces may come twice, late or of another answer (the issuer began anew: its nonce is another); what was put together is believed only if it opens.
 */
#include "node/joining.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"
#include "exchange/item.h"
#include "exchange/message.h"
#include "node/change.h"
#include "node/mesh.h"
#include "node/node.h"

struct joining {
	struct node *node;
	struct join_keys keys;
	uint8_t contacts[JOINING_CONTACTS_MAX][KEY_LEN];
	bool heard[JOINING_CONTACTS_MAX];	/* had a session */
	size_t contact_count, at;		/* whom we ask */
	struct text request;			/* sealed */
	uint8_t *answer;			/* sealed: 'got' of 'total' bytes */
	size_t got, total;
	unsigned int damaged;
	int64_t ask_us;				/* next request; 0: at once */
	enum joining_state state;
	struct text result;
};

/*
 * Setting up.
 */

static bool add_contact(struct joining *j, struct change *c, const struct token_contact *contact)
{
	struct change_peer *p;

	for (size_t i = 0; i < j->contact_count; i++)
		if (!memcmp(j->contacts[i], contact->public_key, KEY_LEN))
			return true;
	if (j->contact_count == JOINING_CONTACTS_MAX || !contact->endpoint_count)
		return true;
	p = change_add_peer(c);
	if (!p)
		return false;
	p->bits = CHANGE_PEER_KEEPALIVE | CHANGE_PEER_FLOW_SESSIONS;
	memcpy(p->public_key, contact->public_key, KEY_LEN);
	p->keepalive_s = JOINING_KEEPALIVE_S;
	p->link.flow_sessions = 1;
	for (size_t i = 0; i < contact->endpoint_count; i++)
		if (!change_add_address(p, &contact->endpoints[i].endpoint))
			return false;
	memcpy(j->contacts[j->contact_count++], contact->public_key, KEY_LEN);
	return true;
}

static bool add_peers(struct joining *j, const struct joining_options *o, struct instant now)
{
	struct change c = { .bits = CHANGE_PRIVATE_KEY };
	bool ok = true;

	memcpy(c.private_key, o->token->one_time_key, KEY_LEN);
	for (size_t i = 0; ok && i < o->token->contact_count; i++)
		ok = add_contact(j, &c, &o->token->contacts[i]);
	for (size_t i = 0; ok && i < o->more_count; i++)
		ok = add_contact(j, &c, &o->more[i]);
	ok = ok && !node_apply(j->node, &c, now);
	change_done(&c);
	return ok;
}

/* "I am this key, and would like to be the node that this token promises." */
static bool make_request(struct joining *j, const struct joining_options *o, const char **why)
{
	struct item content = { .kind = ITEM_JOIN_REQUEST, .join_request.has_token = true };
	uint8_t seed[SIGN_SEED_LEN];
	struct item *item;
	bool ok;

	key_public(content.join_request.public_key, o->private_key);
	memcpy(content.join_request.token, j->keys.token, KEY_LEN);
	sign_seed_of_node(seed, o->private_key);
	sign_public(content.join_request.sign_key, seed);
	item = item_sign(o->token->mesh, &content, seed, why);
	crypto_wipe(seed, sizeof(seed));
	ok = item && join_seal(j->keys.request, j->keys.token, o->rng, item->bytes, item->len, &j->request);
	item_free(item);
	return ok;
}

static bool make_keys(struct joining *j, const struct token *t)
{
	uint8_t public_key[KEY_LEN];

	key_public(public_key, t->one_time_key);
	return join_keys_make(&j->keys, t->psk, t->one_time_key, t->issuer, public_key);
}

static void take(void *ctx, const uint8_t from[KEY_LEN], const struct message *m);

bool joining_start(struct joining **out, const struct joining_options *o, struct instant now, struct text *why)
{
	struct joining *j = calloc(1, sizeof(*j));
	const char *reason = "out of memory";

	if (j) {
		struct node_exchange e = { .take = take, .ctx = j };

		j->node = o->node;
		node_set_exchange(o->node, &e);
		if (!make_keys(j, o->token))
			reason = "the token has keys that cannot be";
		else if (make_request(j, o, &reason) && add_peers(j, o, now))
			reason = j->contact_count ? NULL : "the token names nobody who could be asked";
	}
	if (reason) {
		text_add(why, reason);
		joining_free(j);
		return false;
	}
	*out = j;
	return true;
}

void joining_free(struct joining *j)
{
	struct node_exchange none = { .take = NULL };

	if (!j)
		return;
	node_set_exchange(j->node, &none);
	free(j->answer);
	text_done(&j->request);
	text_wipe(&j->result);
	crypto_wipe(j, sizeof(*j));
	free(j);
}

/*
 * Answers.
 */

static void begin_again(struct joining *j)
{
	free(j->answer);
	j->answer = NULL;
	j->got = j->total = 0;
}

static void open_answer(struct joining *j)
{
	struct text plain = { 0 }, refused = { 0 }, file = { 0 };

	if (join_open(j->keys.answer, j->keys.token, j->answer, j->total, &plain) && join_answer_decode(plain.s, plain.len, &refused, &file)) {
		j->state = refused.len ? JOINING_REFUSED : JOINING_DONE;
		j->result = refused.len ? refused : file;
		text_wipe(refused.len ? &file : &refused);
	} else {
		text_wipe(&refused);
		text_wipe(&file);
		if (++j->damaged == JOINING_REOPEN_MAX) {
			j->state = JOINING_REFUSED;
			text_add(&j->result, "what comes as an answer is not the issuer's: somebody on the way changes it");
		}
	}
	text_wipe(&plain);
	begin_again(j);
}

/* A piece of the answer that goes on where we are; another length is another answer. */
static bool add_piece(struct joining *j, const struct message_join *p)
{
	if (!p->answer || !p->len || p->total < JOIN_SEAL || p->total > JOIN_MAX || memcmp(p->token, j->keys.token, KEY_LEN))
		return false;
	if (j->answer && p->total != j->total)
		begin_again(j);
	if (p->offset != j->got || p->len > p->total - p->offset)
		return false;
	if (!j->answer)
		j->answer = malloc(p->total);
	if (!j->answer)
		return false;
	j->total = p->total;
	memcpy(j->answer + j->got, p->data, p->len);
	j->got += p->len;
	return true;
}

static void take(void *ctx, const uint8_t from[KEY_LEN], const struct message *m)
{
	struct joining *j = ctx;

	if (m->kind != MESSAGE_JOIN || j->state >= JOINING_DONE || !add_piece(j, &m->join))
		return;
	for (size_t i = 0; i < j->contact_count; i++)
		if (!memcmp(j->contacts[i], from, KEY_LEN))
			j->at = i;
	j->state = JOINING_ANSWERED;
	j->ask_us = 0;
	if (j->got == j->total)
		open_answer(j);
}

/*
 * Asking.
 */

static bool ask_contact(struct joining *j, size_t i)
{
	struct message m = {
		.kind = MESSAGE_JOIN,
		.join = {
			.total = (uint32_t)j->request.len, .want = (uint32_t)j->got,
			.data = (const uint8_t *)j->request.s, .len = j->request.len,
		},
	};

	memcpy(m.join.token, j->keys.token, KEY_LEN);
	return node_exchange_send(j->node, j->contacts[i], &m);
}

void joining_turn(struct joining *j, struct instant now)
{
	bool again = j->ask_us;

	if (j->state >= JOINING_DONE || now.mono_us < j->ask_us)
		return;
	j->ask_us = now.mono_us + JOINING_ASK_MS * US_PER_MS;
	/* The one that just answered, else the next with a session. */
	for (size_t k = 0; k < j->contact_count; k++) {
		size_t i = (j->at + again + k) % j->contact_count;

		if (!ask_contact(j, i))
			continue;
		j->at = i;
		j->heard[i] = true;
		if (j->state == JOINING_REACHING)
			j->state = JOINING_ASKING;
		return;
	}
	/* Nobody yet: look soon. */
	j->ask_us = now.mono_us + JOINING_ASK_MS / 10 * US_PER_MS;
}

int64_t joining_deadline(const struct joining *j)
{
	return j->state >= JOINING_DONE ? NEVER_US : j->ask_us;
}

enum joining_state joining_state(const struct joining *j)
{
	return j->state;
}

const struct text *joining_result(const struct joining *j)
{
	return &j->result;
}

void joining_contacts(const struct joining *j, size_t *all, size_t *answered)
{
	*all = j->contact_count;
	*answered = 0;
	for (size_t i = 0; i < j->contact_count; i++)
		*answered += j->heard[i];
}
