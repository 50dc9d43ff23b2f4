/* SPDX-License-Identifier: MIT */
/* HMAC-SHA256 against the vectors of RFC 4231, in one piece and in many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/hmac_sha256.h"

/* A run of one byte, or a text. */
struct bytes {
	const char *text;
	uint8_t byte;
	size_t len;
};

#define TEXT(s) { .text = (s), .len = sizeof(s) - 1 }
#define RUN(b, n) { .byte = (b), .len = (n) }

static const struct {
	struct bytes key, data;
	const char *mac;
} vectors[] = {
	/* 1 */ { RUN(0x0b, 20), TEXT("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	/* 2 */ { TEXT("Jefe"), TEXT("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	/* 3 */ { RUN(0xaa, 20), RUN(0xdd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	/* 4 */ { TEXT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19"), RUN(0xcd, 50),
		  "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
	/* 5, of which the RFC has the first half */
	{ RUN(0x0c, 20), TEXT("Test With Truncation"), "a3b6167473100ee06e0c796c2955552b" },
	/* 6 */ { RUN(0xaa, 131), TEXT("Test Using Larger Than Block-Size Key - Hash Key First"),
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	/* 7 */ { RUN(0xaa, 131), TEXT("This is a test using a larger than block-size key and a larger than block-size data. "
				       "The key needs to be hashed before being used by the HMAC algorithm."),
		  "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};

static void fill(uint8_t *out, const struct bytes *b)
{
	if (b->text)
		memcpy(out, b->text, b->len);
	else
		memset(out, b->byte, b->len);
}

static void assert_mac(const uint8_t mac[HMAC_SHA256_LEN], const char *want)
{
	char hex[2 * HMAC_SHA256_LEN + 1];

	sodium_bin2hex(hex, sizeof(hex), mac, HMAC_SHA256_LEN);
	hex[strlen(want)] = '\0';
	assert_string_equal(hex, want);
}

static void rfc4231(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t key[256], data[256], mac[HMAC_SHA256_LEN];
		struct hmac_piece pieces[256];

		fill(key, &vectors[i].key);
		fill(data, &vectors[i].data);
		pieces[0] = (struct hmac_piece){ data, vectors[i].data.len };
		hmac_sha256(mac, key, vectors[i].key.len, pieces, 1);
		assert_mac(mac, vectors[i].mac);
		for (size_t k = 0; k < vectors[i].data.len; k++)
			pieces[k] = (struct hmac_piece){ data + k, 1 };
		hmac_sha256(mac, key, vectors[i].key.len, pieces, vectors[i].data.len);
		assert_mac(mac, vectors[i].mac);
	}
}

/* Python: hmac.new(b'', b'', 'sha256'). */
static void of_nothing(void **state)
{
	uint8_t mac[HMAC_SHA256_LEN], key[1] = { 0 };

	(void)state;
	hmac_sha256(mac, key, 0, NULL, 0);
	assert_mac(mac, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4231),
		cmocka_unit_test(of_nothing),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
