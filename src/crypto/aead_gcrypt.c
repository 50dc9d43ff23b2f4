/* SPDX-License-Identifier: MIT */
/*
 * The AEAD by libgcrypt, whose ChaCha20 and Poly1305 run stitched with AVX2 (since 1.9) and are on every
 * Debian. The key schedule stays in the handle; a packet sets the nonce, which also resets the MAC.
 *
 * libgcrypt works in place when it gets no input buffer. Sealing has no way to fail with the
 * arguments given here; should it all the same, dst may still be plaintext on its way to the network, and we stop
 * rather than let it out.
 */
#include "crypto/aead.h"

#include <gcrypt.h>
#include <stdlib.h>

#include "crypto/aead_backend.h"

struct aead {
	gcry_cipher_hd_t handle;
};

/*
 * Once a process; contexts are made by one thread only. No secure memory: its pool is small, and meshd
 * locks down the whole process instead. The handles are ordinary memory and wiped when closed.
 */
static bool gcrypt_ready(void)
{
	static bool ready;

	if (ready)
		return true;
	if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) {
		if (!gcry_check_version("1.9.0"))
			return false;
		gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
		gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	}
	ready = true;
	return true;
}

static void gcrypt_done(struct aead *a)
{
	if (!a)
		return;
	gcry_cipher_close(a->handle);
	free(a);
}

static struct aead *gcrypt_new(const uint8_t key[32])
{
	struct aead *a;

	if (!gcrypt_ready())
		return NULL;
	a = malloc(sizeof(*a));
	if (!a)
		return NULL;
	if (gcry_cipher_open(&a->handle, GCRY_CIPHER_CHACHA20, GCRY_CIPHER_MODE_POLY1305, 0)) {
		free(a);
		return NULL;
	}
	if (gcry_cipher_setkey(a->handle, key, 32)) {
		gcrypt_done(a);
		return NULL;
	}
	return a;
}

static bool set_nonce(struct aead *a, uint64_t counter)
{
	uint8_t nonce[AEAD_NONCE];

	aead_nonce(nonce, counter);
	return gcry_cipher_setiv(a->handle, nonce, sizeof(nonce)) == 0;
}

static void gcrypt_seal(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	bool in_place = dst == src;

	if (!set_nonce(a, counter) ||
	    gcry_cipher_encrypt(a->handle, dst, len, in_place ? NULL : src, in_place ? 0 : len) ||
	    gcry_cipher_gettag(a->handle, dst + len, AEAD_TAG))
		abort();
}

static bool gcrypt_open(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	bool in_place = dst == src;
	size_t text = len - AEAD_TAG;

	return set_nonce(a, counter) &&
	       gcry_cipher_decrypt(a->handle, dst, text, in_place ? NULL : src, in_place ? 0 : text) == 0 &&
	       gcry_cipher_checktag(a->handle, src + text, AEAD_TAG) == 0;
}

const struct aead_backend aead_backend_gcrypt = {
	.name = "gcrypt",
	.new = gcrypt_new,
	.free = gcrypt_done,
	.seal = gcrypt_seal,
	.open = gcrypt_open,
};
