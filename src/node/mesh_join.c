/* SPDX-License-Identifier: MIT */
/*
 * Joining, as the nodes of a mesh have it. The holder of an invitation has a session by its one-time key with any node, and sends its
 * request there:
 *
 *	joiner -- JoinPiece --> a node -- Routed{JoinPiece} --> ... --> the issuer
 *	       <-- JoinPiece --        <-- Routed{JoinPiece} -- ... <--
 *
 * The request goes whole each time, with how much of the answer has come; so whoever is asked needs to remember nothing, and what is lost
 * is asked for again. Request and answer are sealed for issuer and holder: nobody in between can read or make one. The issuer alone knows
 * what was promised with the token ("issued", its state file), and signs the record; to ask again with the same key is answered the same,
 * with another it is refused.
 *
 * Answers are kept, a few, for sealing draws a nonce: pieces of two answers do not fit together.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/blake2s.h"
#include "node/mesh_inside.h"

enum {
	FEW_NODES = 8,			/* in an answer for which all are too many */
};

/*
 * What was promised.
 */

bool mesh_issued_begin(struct mesh *m, const char *text, struct instant now)
{
	m->issued = calloc(MESH_ISSUED_MAX, sizeof(*m->issued));
	if (!m->issued)
		return false;
	while (text && *text && m->issued_count < MESH_ISSUED_MAX) {
		const char *end = strchr(text, '\n');
		size_t len = end ? (size_t)(end - text) : strlen(text);
		struct text line = { .s = NULL };
		struct issued i = { .node = NULL };

		text_add_bytes(&line, text, len);
		if (len && !line.failed && issued_read(&i, line.s)) {
			if (i.not_after_s >= wall_s(now))
				m->issued[m->issued_count++] = i;
			else
				issued_done(&i);
		}
		text_wipe(&line);
		text += len + (end != NULL);
	}
	return true;
}

void mesh_issued_end(struct mesh *m)
{
	for (size_t i = 0; m->issued && i < m->issued_count; i++)
		issued_done(&m->issued[i]);
	free(m->issued);
	m->issued = NULL;
	m->issued_count = 0;
}

void mesh_issued_expire(struct node *n, struct instant now)
{
	struct mesh *m = n->mesh;

	for (size_t i = m->issued_count; i-- > 0;) {
		if (m->issued[i].not_after_s >= wall_s(now))
			continue;
		issued_done(&m->issued[i]);
		m->issued[i] = m->issued[--m->issued_count];
		n->effects |= NODE_EFFECT_MESH_ISSUED;
	}
}

void node_mesh_issued(const struct node *n, struct text *out)
{
	for (size_t i = 0; n->mesh && i < n->mesh->issued_count; i++) {
		struct text line = { .s = NULL };

		if (issued_write(&n->mesh->issued[i], &line)) {
			text_add(out, line.s);
			if (line.len && line.s[line.len - 1] != '\n')
				text_add(out, "\n");
		}
		text_wipe(&line);
	}
}

static struct issued *issued_of(struct mesh *m, const uint8_t token[KEY_LEN], struct instant now)
{
	for (size_t i = 0; i < m->issued_count; i++)
		if (!memcmp(m->issued[i].token, token, KEY_LEN) && m->issued[i].not_after_s >= wall_s(now))
			return &m->issued[i];
	return NULL;
}

/*
 * The record.
 */

/* Who is replaced goes first: its name and addresses are the new node's. */
bool mesh_join_mint(struct node *n, struct issued *i, const struct join_request *r, struct instant now, const char **why)
{
	struct mesh *m = n->mesh;
	const struct node_record *had = store_token_node(m->store, i->token);
	struct store_node sn;

	if (had && memcmp(had->public_key, r->public_key, KEY_LEN)) {
		*why = "the invitation has been used by another";
		return false;
	}
	if (had)
		return true;
	if (store_find(m->store, r->public_key, wall_s(now), &sn) && sn.standing != NODE_UNKNOWN) {
		*why = "the key is a node's already, or was";
		return false;
	}
	if (!mint_check(m->store, i->node, i->replaces ? i->replaced : NULL, wall_s(now), why))
		return false;
	if (i->replaces && !mint_revocation(m->store, m->seed, i->replaced, "replaced", wall_s(now), why))
		return false;
	if (!mint_record(m->store, m->seed, i->node, r->public_key, r->sign_key, i->token, NULL, wall_s(now), why))
		return false;
	log_info(&n->log, "mesh %s: %s has joined", m->name, i->node->name);
	mesh_added(n, now);
	return true;
}

bool mesh_join_bootstrap(struct node *n, const uint8_t public_key[KEY_LEN], size_t max, struct instant now, struct text *out)
{
	uint8_t only[2 + FEW_NODES][KEY_LEN];
	struct bootstrap_options o = { .name = n->mesh->name, .binary = true };
	size_t count = 2;

	if (bootstrap_write(n->mesh->store, &o, wall_s(now), out) && out->len <= max)
		return true;
	memcpy(only[0], public_key, KEY_LEN);
	memcpy(only[1], n->identity.public_key, KEY_LEN);
	for (size_t i = 0; i < n->peer_count && count < 2 + FEW_NODES; i++)
		if (n->peers[i]->mesh.good && peer_has_babel(n->peers[i]))
			memcpy(only[count++], n->peers[i]->public_key, KEY_LEN);
	o.only = (const uint8_t (*)[KEY_LEN])only;
	for (o.only_count = count; o.only_count >= 2; o.only_count--) {
		text_reset(out);
		if (bootstrap_write(n->mesh->store, &o, wall_s(now), out) && out->len <= max)
			return true;
	}
	return false;
}

/*
 * The issuer.
 */

static struct mesh_answer *answer_of(struct mesh *m, const uint8_t token[KEY_LEN], const uint8_t request[BLAKE2S_LEN])
{
	for (size_t i = 0; i < MESH_ANSWERS_MAX; i++)
		if (m->answers[i].used_us && !memcmp(m->answers[i].token, token, KEY_LEN) &&
		    !memcmp(m->answers[i].request, request, BLAKE2S_LEN))
			return &m->answers[i];
	return NULL;
}

static struct mesh_answer *answer_new(struct mesh *m)
{
	struct mesh_answer *oldest = &m->answers[0];

	for (size_t i = 1; i < MESH_ANSWERS_MAX; i++)
		if (m->answers[i].used_us < oldest->used_us)
			oldest = &m->answers[i];
	text_wipe(&oldest->sealed);
	memset(oldest, 0, sizeof(*oldest));
	return oldest;
}

/* What is answered, before it is sealed. */
static bool compose(struct node *n, struct issued *i, const struct text *plain, struct instant now, struct text *out)
{
	const char *why = "";
	struct item *item = item_read(store_mesh(n->mesh->store), (const uint8_t *)plain->s, plain->len, &why);
	struct text file = { .s = NULL };
	bool good = item && item->kind == ITEM_JOIN_REQUEST && item->join_request.has_token &&
		    !memcmp(item->join_request.token, i->token, KEY_LEN) && !memcmp(item->signer, item->join_request.sign_key, SIGN_KEY_LEN);

	if (item && !good)
		why = "the request is not what it should be";
	good = good && mesh_join_mint(n, i, &item->join_request, now, &why);
	if (good && !mesh_join_bootstrap(n, item->join_request.public_key, JOIN_MAX - JOIN_SEAL - 256, now, &file)) {
		why = "the answer does not fit";
		good = false;
	}
	if (!good)
		log_warning(&n->log, "mesh %s: %s does not join: %s", n->mesh->name, i->node->name, why);
	good = good ? join_answer_encode(NULL, file.s, file.len, out) : join_answer_encode(why, NULL, 0, out);
	text_wipe(&file);
	item_free(item);
	return good;
}

static struct mesh_answer *answer_make(struct node *n, const struct message_join *j, const uint8_t hash[BLAKE2S_LEN], struct instant now)
{
	struct issued *i = issued_of(n->mesh, j->token, now);
	struct text plain = { .s = NULL }, answer = { .s = NULL };
	struct mesh_answer *a = NULL;
	struct join_keys keys;

	if (!i || !join_keys_make(&keys, i->psk, n->identity.private_key, i->token, i->token))
		return NULL;
	if (join_open(keys.request, i->token, j->data, j->len, &plain) && compose(n, i, &plain, now, &answer)) {
		a = answer_new(n->mesh);
		if (join_seal(keys.answer, i->token, &n->rng, answer.s, answer.len, &a->sealed)) {
			memcpy(a->token, j->token, KEY_LEN);
			memcpy(a->request, hash, BLAKE2S_LEN);
			a->used_us = now.mono_us;
		} else {
			text_wipe(&a->sealed);
			a = NULL;
		}
	}
	text_wipe(&plain);
	text_wipe(&answer);
	crypto_wipe(&keys, sizeof(keys));
	return a;
}

/* The piece of the answer that is wanted. False: there is none. */
static bool answer_piece(struct node *n, const struct message_join *j, struct message_join *out, struct instant now)
{
	struct mesh_answer *a;
	uint8_t hash[BLAKE2S_LEN];
	struct blake2s s;

	/* A request goes in one piece. */
	if (j->answer || j->offset || j->total != j->len || !n->mesh->has_key)
		return false;
	blake2s_init(&s, BLAKE2S_LEN, NULL, 0);
	blake2s_update(&s, j->data, j->len);
	blake2s_final(&s, hash);
	a = answer_of(n->mesh, j->token, hash);
	if (!a)
		a = answer_make(n, j, hash, now);
	if (!a || j->want >= a->sealed.len)
		return false;
	a->used_us = now.mono_us;
	*out = (struct message_join){ .answer = true, .total = (uint32_t)a->sealed.len, .offset = j->want };
	memcpy(out->token, j->token, KEY_LEN);
	out->data = (const uint8_t *)a->sealed.s + j->want;
	out->len = a->sealed.len - j->want;
	if (out->len > MESSAGE_PIECE_MAX)
		out->len = MESSAGE_PIECE_MAX;
	return true;
}

/*
 * Ways.
 */

static void relay(struct node *n, const uint8_t to[KEY_LEN], const struct message_join *j, struct instant now)
{
	struct message m = { .kind = MESSAGE_ROUTED_JOIN, .hops = MESSAGE_HOPS_MAX, .join = *j };

	memcpy(m.to, to, KEY_LEN);
	memcpy(m.from, n->identity.public_key, KEY_LEN);
	if (mesh_routed_send(n, &m, now))
		n->mesh->routed++;
	else
		n->mesh->routed_dropped++;
}

static void give(struct node *n, struct peer *joiner, const struct message *m)
{
	if (mesh_send(n, joiner, m))
		joiner->mesh.answered = m->join.offset + m->join.len == m->join.total;
}

void mesh_join_take(struct node *n, struct peer *from, struct message *m, struct instant now)
{
	const struct invitation *v = from->mesh.joiner ? store_invitation(n->mesh->store, from->public_key) : NULL;
	struct message answer = { .kind = MESSAGE_JOIN };

	/* It speaks for its own token alone, and to whoever gave that out. */
	if (!v || memcmp(m->join.token, from->public_key, KEY_LEN) || m->join.answer || v->not_after_s < wall_s(now) ||
	    !mesh_routed_may(from, now))
		return;
	from->mesh.asked_us = now.mono_us;
	from->mesh.answered = false;
	if (memcmp(v->issuer, n->identity.public_key, KEY_LEN))
		relay(n, v->issuer, &m->join, now);
	else if (answer_piece(n, &m->join, &answer.join, now))
		give(n, from, &answer);
}

void mesh_join_routed(struct node *n, const uint8_t via[KEY_LEN], struct message *m, struct instant now)
{
	struct message answer = { .kind = MESSAGE_JOIN };
	const struct invitation *v;
	struct peer *joiner;

	if (!m->join.answer) {
		if (answer_piece(n, &m->join, &answer.join, now))
			relay(n, via, &answer.join, now);
		return;
	}
	joiner = node_find(n, m->join.token);
	v = store_invitation(n->mesh->store, m->join.token);
	if (!joiner || !joiner->mesh.joiner || !v || memcmp(v->issuer, via, KEY_LEN))
		return;
	answer.join = m->join;
	give(n, joiner, &answer);
}
