/* SPDX-License-Identifier: MIT */
/*
 * Keypairs and their rotation, as the whitepaper's section 6.3 and kernel WireGuard's
 * noise.c have it.
 *
 * An initiator may use a new keypair at once, for it has heard the responder. A responder must wait
 * for the first packet on it, or a replayed initiation could make it send into
 * the void; until then the keypair is 'next'.
 *
 * Sub-sessions are made from the third output of the handshake's last key derivation, so they need no handshake of their own and end
 * with the session. Their number is part of what is hashed: no two have a key in common.
 */
#include "transport/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "transport/noise.h"
#include "transport/rekey.h"

/* What is hashed with the exporter secret; the number follows as one byte. */
static const char SUB_LABEL[] = "meshd sub-session";

static bool sub_init(struct subsession *s, const uint8_t send[KEY_LEN], const uint8_t receive[KEY_LEN])
{
	s->sealer = aead_new(send);
	s->opener = aead_new(receive);
	return s->sealer && s->opener;
}

static void sub_done(struct subsession *s)
{
	aead_free(s->sealer);
	aead_free(s->opener);
	crypto_wipe(s, sizeof(*s));
}

static void sub_free(struct subsession *s)
{
	if (!s)
		return;
	sub_done(s);
	free(s);
}

/* NULL: no memory. */
static struct subsession *sub_new(const struct keypair *k, unsigned int number)
{
	struct subsession *s = calloc(1, sizeof(*s));
	uint8_t input[sizeof(SUB_LABEL)], t1[KEY_LEN], t2[KEY_LEN];
	bool ok;

	if (!s)
		return NULL;
	memcpy(input, SUB_LABEL, sizeof(SUB_LABEL) - 1);
	input[sizeof(input) - 1] = (uint8_t)number;
	kdf(t1, t2, NULL, k->exporter, input, sizeof(input));
	ok = k->initiator ? sub_init(s, t1, t2) : sub_init(s, t2, t1);
	crypto_wipe(t1, sizeof(t1));
	crypto_wipe(t2, sizeof(t2));
	if (ok)
		return s;
	sub_free(s);
	return NULL;
}

static bool open_sub(struct keypair *k, unsigned int number)
{
	if (!k->subs[number])
		k->subs[number] = sub_new(k, number);
	return k->subs[number];
}

bool keypair_open_subs(struct keypair *k, unsigned int count)
{
	bool ok;

	if (!k->subs)
		k->subs = calloc(SUB_SESSIONS, sizeof(struct subsession *));
	ok = k->subs && open_sub(k, SUB_SESSION_CONTROL);
	for (unsigned int i = 1; ok && i <= count && i <= SUB_SESSIONS_MAX; i++)
		ok = open_sub(k, i);
	return ok;
}

struct keypair *keypair_new(const struct noise_keys *keys, int64_t now_us)
{
	struct keypair *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	if (!sub_init(&k->zero, keys->send, keys->receive)) {
		keypair_free(k);
		return NULL;
	}
	memcpy(k->exporter, keys->exporter, KEY_LEN);
	k->local_index = keys->local_index;
	k->remote_index = keys->remote_index;
	k->initiator = keys->initiator;
	k->born_us = now_us;
	return k;
}

void keypair_free(struct keypair *k)
{
	if (!k)
		return;
	sub_done(&k->zero);
	for (unsigned int i = 0; k->subs && i < SUB_SESSIONS; i++)
		sub_free(k->subs[i]);
	free(k->subs);
	crypto_wipe(k, sizeof(*k));
	free(k);
}

enum keypair_advice keypair_sending(const struct keypair *k, const struct subsession *s, int64_t now_us)
{
	int64_t age_us = now_us - k->born_us;

	if (age_us >= REJECT_AFTER_S * US_PER_S || s->counter >= REJECT_AFTER_MESSAGES)
		return KEYPAIR_EXPIRED;
	if (s->counter >= REKEY_AFTER_MESSAGES || (k->initiator && age_us >= REKEY_AFTER_S * US_PER_S))
		return KEYPAIR_REKEY;
	return KEYPAIR_FINE;
}

enum keypair_advice keypair_receiving(const struct keypair *k, int64_t now_us)
{
	int64_t age_us = now_us - k->born_us;

	if (age_us >= REJECT_AFTER_S * US_PER_S)
		return KEYPAIR_EXPIRED;
	if (k->initiator && age_us >= (REJECT_AFTER_S - KEEPALIVE_TIMEOUT_S - REKEY_TIMEOUT_S) * US_PER_S)
		return KEYPAIR_REKEY;
	return KEYPAIR_FINE;
}

static void drop(struct keypair **slot, struct session_dropped *dropped)
{
	if (*slot)
		dropped->v[dropped->count++] = *slot;
	*slot = NULL;
}

void session_install(struct session *s, struct keypair *k, struct session_dropped *dropped)
{
	dropped->count = 0;
	if (!k->initiator) {
		drop(&s->next, dropped);
		drop(&s->previous, dropped);
		s->next = k;
		return;
	}
	drop(&s->previous, dropped);
	if (s->next) {
		/* The other side may be using it already: keep that rather than the older one. */
		drop(&s->current, dropped);
		s->previous = s->next;
		s->next = NULL;
	} else {
		s->previous = s->current;
	}
	s->current = k;
}

bool session_confirm(struct session *s, struct keypair *k, struct session_dropped *dropped)
{
	dropped->count = 0;
	if (k != s->next)
		return false;
	drop(&s->previous, dropped);
	s->previous = s->current;
	s->current = s->next;
	s->next = NULL;
	return true;
}

void session_clear(struct session *s, struct session_dropped *dropped)
{
	dropped->count = 0;
	drop(&s->previous, dropped);
	drop(&s->current, dropped);
	drop(&s->next, dropped);
}
