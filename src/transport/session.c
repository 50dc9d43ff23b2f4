/* SPDX-License-Identifier: MIT */
/*
 * Keypairs and their rotation, as the whitepaper's section 6.3 and kernel WireGuard's
 * noise.c have it.
 *
 * An initiator may use a new keypair at once, for it has heard the responder. A responder must wait
 * for the first packet on it, or a replayed initiation could make it send into
 * the void; until then the keypair is 'next'.
 */
#include "transport/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "crypto/aead.h"
#include "transport/noise.h"
#include "transport/rekey.h"

struct keypair *keypair_new(const struct noise_keys *keys, int64_t now_us)
{
	struct keypair *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->sealer = aead_new(keys->send);
	k->opener = aead_new(keys->receive);
	if (!k->sealer || !k->opener) {
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
	aead_free(k->sealer);
	aead_free(k->opener);
	crypto_wipe(k, sizeof(*k));
	free(k);
}

enum keypair_advice keypair_sending(const struct keypair *k, int64_t now_us)
{
	int64_t age_us = now_us - k->born_us;

	if (age_us >= REJECT_AFTER_S * US_PER_S || k->counter >= REJECT_AFTER_MESSAGES)
		return KEYPAIR_EXPIRED;
	if (k->counter >= REKEY_AFTER_MESSAGES || (k->initiator && age_us >= REKEY_AFTER_S * US_PER_S))
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
