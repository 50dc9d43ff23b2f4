/* SPDX-License-Identifier: MIT */
/*
 * The AEADs. Published vectors first (libsodium's own functions too, as they are the twin of what follows), then every back
 * end this machine can build, the chosen one through the seam: against libsodium on every length, and against forgeries.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/aead.h"
#include "crypto/aead_backend.h"
#include "crypto/key.h"

#include "handshake_vectors.h"

enum { LEN_MAX = 2048, GUARD = 16 };

static struct aead_backend seam;

static const struct aead_backend *const backends[] = {
	&seam,
	&aead_backend_sodium,
#ifdef HAVE_GCRYPT
	&aead_backend_gcrypt,
#endif
#ifdef HAVE_OPENSSL
	&aead_backend_openssl,
#endif
};

#define for_each_backend(b) \
	for (const struct aead_backend *const *b = backends; b < backends + sizeof(backends) / sizeof(*backends); b++)

static size_t from_hex(uint8_t *out, size_t max, const char *text)
{
	size_t len;

	assert_int_equal(sodium_hex2bin(out, max, text, strlen(text), NULL, &len, NULL), 0);
	return len;
}

static void assert_hex(const uint8_t *got, size_t len, const char *want)
{
	char text[2 * LEN_MAX + 1];

	sodium_bin2hex(text, sizeof(text), got, len);
	assert_string_equal(text, want);
}

/* Bytes that look random, from a seed. */
static void noise(uint8_t *out, size_t len, uint8_t seed)
{
	uint8_t key[randombytes_SEEDBYTES] = { seed };

	randombytes_buf_deterministic(out, len, key);
}

static const char sunscreen[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
				"future, sunscreen would be it.";
static const uint8_t sunscreen_ad[] = { 0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7 };
enum { SUNSCREEN = sizeof(sunscreen) - 1 };

static void key_80_to_9f(uint8_t key[KEY_LEN])
{
	for (size_t i = 0; i < KEY_LEN; i++)
		key[i] = (uint8_t)(0x80 + i);
}

/*
 * RFC 8439 section 2.8.2 has a nonce that the one-shot cannot be given, so it is libsodium that is held against it. The
 * one-shot has the same key, text and additional data with its nonce of zero; that value is contrib/oracle's.
 */
static void one_shot_vectors(void **state)
{
	static const uint8_t nonce[12] = { 7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47 };
	static const char rfc[] =
		"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
		"1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
		"3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
	static const char zero_nonce[] =
		"663d7ec45b29ceaaa35505b8c1b3d94613a50fd7e315a748d35a378670746af867ab3404fe7b7655b904162b408190f3"
		"f8c781815bb8724e4ac22ea6351d38468cd370aa8ffb19e96edc915893cc6e1861c2af01ab0fb02df97ea145499bb87d"
		"44ec7d738272327290570a03658b27b116665c21ea189f9450ff121509fd8142befc";
	const uint8_t *text = (const uint8_t *)sunscreen;
	uint8_t key[KEY_LEN], out[SUNSCREEN + AEAD_TAG], back[SUNSCREEN];

	(void)state;
	key_80_to_9f(key);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, text, SUNSCREEN, sunscreen_ad, sizeof(sunscreen_ad),
						  NULL, nonce, key);
	assert_hex(out, sizeof(out), rfc);

	aead_seal_once(out, text, SUNSCREEN, sunscreen_ad, sizeof(sunscreen_ad), key);
	assert_hex(out, sizeof(out), zero_nonce);
	assert_true(aead_open_once(back, out, sizeof(out), sunscreen_ad, sizeof(sunscreen_ad), key));
	assert_memory_equal(back, sunscreen, SUNSCREEN);
}

/* draft-irtf-cfrg-xchacha-03, A.3.1. */
static void xchacha_vector(void **state)
{
	static const char sealed[] =
		"bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
		"ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
		"21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49";
	uint8_t key[KEY_LEN], nonce[24], out[SUNSCREEN + AEAD_TAG], back[SUNSCREEN];

	(void)state;
	key_80_to_9f(key);
	for (size_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)(0x40 + i);
	xaead_seal(out, (const uint8_t *)sunscreen, SUNSCREEN, sunscreen_ad, sizeof(sunscreen_ad), nonce, key);
	assert_hex(out, sizeof(out), sealed);
	assert_true(xaead_open(back, out, sizeof(out), sunscreen_ad, sizeof(sunscreen_ad), nonce, key));
	assert_memory_equal(back, sunscreen, SUNSCREEN);
}

/* Every bit of message, additional data, nonce and key matters to the one-shots. */
static void one_shots_refuse_forgeries(void **state)
{
	uint8_t key[KEY_LEN], nonce[24], ad[32], text[16], once[32], x[32], out[16];
	struct {
		uint8_t *p;
		size_t len;
		bool once, x;
	} part[] = {
		{ once, sizeof(once), true, false },
		{ x, sizeof(x), false, true },
		{ ad, sizeof(ad), true, true },
		{ key, sizeof(key), true, true },
		{ nonce, sizeof(nonce), false, true },
	};

	(void)state;
	noise(key, sizeof(key), 1);
	noise(nonce, sizeof(nonce), 2);
	noise(ad, sizeof(ad), 3);
	noise(text, sizeof(text), 4);
	aead_seal_once(once, text, sizeof(text), ad, sizeof(ad), key);
	xaead_seal(x, text, sizeof(text), ad, sizeof(ad), nonce, key);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		for (size_t bit = 0; bit < 8 * part[i].len; bit++) {
			part[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(aead_open_once(out, once, sizeof(once), ad, sizeof(ad), key), !part[i].once);
			assert_int_equal(xaead_open(out, x, sizeof(x), ad, sizeof(ad), nonce, key), !part[i].x);
			part[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	assert_true(aead_open_once(out, once, sizeof(once), ad, sizeof(ad), key));
	assert_true(xaead_open(out, x, sizeof(x), ad, sizeof(ad), nonce, key));
}

/* The handshake seals nothing, to show that it has the key. */
static void one_shot_of_nothing(void **state)
{
	uint8_t key[KEY_LEN], ad[32], tag[AEAD_TAG];

	(void)state;
	noise(key, sizeof(key), 5);
	noise(ad, sizeof(ad), 6);
	aead_seal_once(tag, NULL, 0, ad, sizeof(ad), key);
	assert_true(aead_open_once(NULL, tag, sizeof(tag), ad, sizeof(ad), key));
	tag[0] ^= 1;
	assert_false(aead_open_once(NULL, tag, sizeof(tag), ad, sizeof(ad), key));
}

/*
 * RFC 8439 appendix A.5, the one published vector whose nonce starts with four zero bytes, as WireGuard's do: the
 * counter's bytes are 01 02 ... 08. The ciphertext is the RFC's; the tag is not, as we have no additional
 * data: it is contrib/oracle's.
 */
static void appendix_a5(void **state)
{
	static const char text[] =
		"Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, "
		"or obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference "
		"material or to cite them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
	static const char sealed[] =
		"64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0"
		"bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
		"9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
		"9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
		"0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"
		"305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b6e3570b1acaaf1f24f2a644f01acd12b";
	enum { LEN = sizeof(text) - 1 };
	const uint64_t counter = UINT64_C(0x0807060504030201);
	uint8_t key[KEY_LEN], out[LEN + AEAD_TAG];

	(void)state;
	from_hex(key, sizeof(key), "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
	for_each_backend(b) {
		struct aead *a = (*b)->new(key);

		print_message("%s\n", (*b)->name);
		assert_non_null(a);
		(*b)->seal(a, counter, out, (const uint8_t *)text, LEN);
		assert_hex(out, sizeof(out), sealed);
		assert_true((*b)->open(a, counter, out, out, sizeof(out)));
		assert_memory_equal(out, text, LEN);
		(*b)->free(a);
	}
}

/* The data messages of contrib/oracle: 16 bytes of header, then what the session's key sealed. */
static void oracle_messages(void **state)
{
	enum { HEADER = 16 };
	uint8_t out[sizeof(handshake_vectors[0].data_message)];

	(void)state;
	for_each_backend(b) {
		for (size_t i = 0; i < sizeof(handshake_vectors) / sizeof(handshake_vectors[0]); i++) {
			const struct handshake_vector *v = &handshake_vectors[i];
			struct aead *a = (*b)->new(v->initiator_send);

			assert_non_null(a);
			(*b)->seal(a, v->data_counter, out, v->data_plain, v->data_plain_len);
			assert_int_equal(v->data_message_len, HEADER + v->data_plain_len + AEAD_TAG);
			assert_memory_equal(out, v->data_message + HEADER, v->data_plain_len + AEAD_TAG);
			(*b)->free(a);
		}
	}
}

/* Room for a message at any alignment, with a guard behind that must stay as it is. */
struct room {
	uint8_t bytes[8 + LEN_MAX + AEAD_TAG + GUARD];
};

static uint8_t *room_prepare(struct room *r, size_t offset)
{
	memset(r->bytes, 0xa5, sizeof(r->bytes));
	return r->bytes + offset;
}

static void assert_guard(const struct room *r, const uint8_t *end)
{
	while (end < r->bytes + sizeof(r->bytes))
		assert_int_equal(*end++, 0xa5);
}

/* One message of 'len' bytes, in place and not, sealed and opened, is what libsodium makes of it. */
static void compare(const struct aead_backend *b, struct aead *a, const uint8_t key[KEY_LEN], uint64_t counter,
		    const uint8_t *text, size_t len)
{
	static uint8_t want[LEN_MAX + AEAD_TAG];
	static struct room from, to;
	uint8_t *src = room_prepare(&from, len % 7), *dst = room_prepare(&to, len % 5);
	uint8_t nonce[12] = { 0 };

	for (size_t i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
	crypto_aead_chacha20poly1305_ietf_encrypt(want, NULL, text, len, NULL, 0, NULL, nonce, key);

	memcpy(src, text, len);
	b->seal(a, counter, dst, src, len);
	assert_memory_equal(dst, want, len + AEAD_TAG);
	assert_guard(&to, dst + len + AEAD_TAG);
	assert_memory_equal(src, text, len);
	assert_guard(&from, src + len);
	b->seal(a, counter, src, src, len);
	assert_memory_equal(src, want, len + AEAD_TAG);
	assert_guard(&from, src + len + AEAD_TAG);

	dst = room_prepare(&to, len % 3);
	assert_true(b->open(a, counter, dst, src, len + AEAD_TAG));
	assert_memory_equal(dst, text, len);
	assert_guard(&to, dst + len);
	assert_memory_equal(src, want, len + AEAD_TAG);
	assert_true(b->open(a, counter, src, src, len + AEAD_TAG));
	assert_memory_equal(src, text, len);
	assert_guard(&from, src + len + AEAD_TAG);
}

static void every_length(void **state)
{
	static uint8_t text[LEN_MAX];
	uint8_t key[KEY_LEN];

	(void)state;
	noise(key, sizeof(key), 7);
	noise(text, sizeof(text), 8);
	for_each_backend(b) {
		struct aead *a = (*b)->new(key);

		print_message("%s\n", (*b)->name);
		assert_non_null(a);
		for (size_t len = 0; len <= LEN_MAX; len++)
			compare(*b, a, key, (uint64_t)len * UINT64_C(0x9e3779b97f4a7c15), text, len);
		compare(*b, a, key, 0, text, 64);
		compare(*b, a, key, UINT64_MAX, text, 64);
		(*b)->free(a);
	}
}

/* The largest a datagram can hold. */
static void longest(void **state)
{
	enum { LEN = 65535 - AEAD_TAG };
	static uint8_t text[LEN], want[LEN + AEAD_TAG], got[LEN + AEAD_TAG];
	static const uint8_t nonce[12] = { 0, 0, 0, 0, 1 };
	uint8_t key[KEY_LEN];

	(void)state;
	noise(key, sizeof(key), 9);
	noise(text, sizeof(text), 10);
	crypto_aead_chacha20poly1305_ietf_encrypt(want, NULL, text, LEN, NULL, 0, NULL, nonce, key);
	for_each_backend(b) {
		struct aead *a = (*b)->new(key);

		(*b)->seal(a, 1, got, text, LEN);
		assert_memory_equal(got, want, sizeof(want));
		assert_true((*b)->open(a, 1, got, got, sizeof(got)));
		assert_memory_equal(got, text, LEN);
		(*b)->free(a);
	}
}

/* Every bit counts, tag included; and after a forgery the context opens the real message as before. */
static void forgeries(void **state)
{
	enum { LEN = 20 };
	uint8_t key[KEY_LEN], text[LEN], sealed[LEN + AEAD_TAG], out[LEN];

	(void)state;
	noise(key, sizeof(key), 11);
	noise(text, sizeof(text), 12);
	for_each_backend(b) {
		struct aead *a = (*b)->new(key);

		print_message("%s\n", (*b)->name);
		(*b)->seal(a, 5, sealed, text, LEN);
		for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
			sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false((*b)->open(a, 5, out, sealed, sizeof(sealed)));
			sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_true((*b)->open(a, 5, out, sealed, sizeof(sealed)));
			assert_memory_equal(out, text, LEN);
		}
		for (size_t len = AEAD_TAG; len < sizeof(sealed); len++)
			assert_false((*b)->open(a, 5, out, sealed, len));
		(*b)->free(a);
	}
}

/* A keepalive has a tag and nothing else. */
static void forged_keepalive(void **state)
{
	uint8_t key[KEY_LEN], tag[AEAD_TAG], out[1];

	(void)state;
	noise(key, sizeof(key), 13);
	for_each_backend(b) {
		struct aead *a = (*b)->new(key);

		(*b)->seal(a, 0, tag, tag, 0);
		for (size_t i = 0; i < sizeof(tag); i++) {
			tag[i] ^= 0x10;
			assert_false((*b)->open(a, 0, out, tag, sizeof(tag)));
			tag[i] ^= 0x10;
		}
		assert_true((*b)->open(a, 0, out, tag, sizeof(tag)));
		(*b)->free(a);
	}
}

/* All 64 bits of the counter reach the nonce, and the key the cipher. */
static void wrong_counter_or_key(void **state)
{
	uint8_t key[KEY_LEN], text[32], sealed[sizeof(text) + AEAD_TAG], out[sizeof(text)];
	const uint64_t counter = UINT64_C(0x123456789abcdef0);

	(void)state;
	noise(key, sizeof(key), 14);
	noise(text, sizeof(text), 15);
	for_each_backend(b) {
		struct aead *a = (*b)->new(key), *other;

		(*b)->seal(a, counter, sealed, text, sizeof(text));
		for (unsigned int bit = 0; bit < 64; bit++)
			assert_false((*b)->open(a, counter ^ UINT64_C(1) << bit, out, sealed, sizeof(sealed)));
		assert_true((*b)->open(a, counter, out, sealed, sizeof(sealed)));

		key[31] ^= 1;
		other = (*b)->new(key);
		key[31] ^= 1;
		assert_false((*b)->open(other, counter, out, sealed, sizeof(sealed)));
		assert_true((*b)->open(a, counter, out, sealed, sizeof(sealed)));
		(*b)->free(other);
		(*b)->free(a);
		(*b)->free(NULL);
	}
}

/* Many contexts at once, used in turn, do not get in each other's way. */
static void contexts_are_independent(void **state)
{
	enum { N = 50 };
	uint8_t key[N][KEY_LEN], text[48], sealed[sizeof(text) + AEAD_TAG], out[sizeof(text)];
	struct aead *a[N];

	(void)state;
	noise(&key[0][0], sizeof(key), 16);
	noise(text, sizeof(text), 17);
	for_each_backend(b) {
		for (size_t i = 0; i < N; i++)
			a[i] = (*b)->new(key[i]);
		for (uint64_t n = 0; n < 3; n++)
			for (size_t i = 0; i < N; i++)
				compare(*b, a[i], key[i], n, text, sizeof(text));
		(*b)->seal(a[0], 0, sealed, text, sizeof(text));
		for (size_t i = 0; i < N; i++)
			assert_int_equal((*b)->open(a[i], 0, out, sealed, sizeof(sealed)), i == 0);
		for (size_t i = 0; i < N; i++)
			(*b)->free(a[i]);
	}
}

static void the_seam_has_a_known_name(void **state)
{
	bool known = false;

	(void)state;
	print_message("chosen: %s; %zu back ends compared\n", aead_name(), sizeof(backends) / sizeof(*backends) - 1);
	for_each_backend(b)
		known = known || (*b != &seam && strcmp((*b)->name, aead_name()) == 0);
	assert_true(known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seam_has_a_known_name),
		cmocka_unit_test(one_shot_vectors),
		cmocka_unit_test(xchacha_vector),
		cmocka_unit_test(one_shots_refuse_forgeries),
		cmocka_unit_test(one_shot_of_nothing),
		cmocka_unit_test(appendix_a5),
		cmocka_unit_test(oracle_messages),
		cmocka_unit_test(every_length),
		cmocka_unit_test(longest),
		cmocka_unit_test(forgeries),
		cmocka_unit_test(forged_keepalive),
		cmocka_unit_test(wrong_counter_or_key),
		cmocka_unit_test(contexts_are_independent),
	};

	seam = (struct aead_backend){
		.name = "the seam", .new = aead_new, .free = aead_free, .seal = aead_seal, .open = aead_open,
	};
	return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
