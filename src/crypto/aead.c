/* SPDX-License-Identifier: MIT */
/*
 * The seam: maps the functions of aead.h to the back end that configure chose. The others are not compiled into the
 * program, so there is nothing to choose at run time and one load and one indirect call to pay a packet.
 */
#include "crypto/aead.h"

#include "crypto/aead_backend.h"

#ifndef AEAD_BACKEND
#define AEAD_BACKEND aead_backend_sodium	/* the library meshd needs anyway */
#endif

const char *aead_name(void)
{
	return AEAD_BACKEND.name;
}

struct aead *aead_new(const uint8_t key[32])
{
	return AEAD_BACKEND.new(key);
}

void aead_free(struct aead *a)
{
	AEAD_BACKEND.free(a);
}

void aead_seal(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	AEAD_BACKEND.seal(a, counter, dst, src, len);
}

bool aead_open(struct aead *a, uint64_t counter, uint8_t *dst, const uint8_t *src, size_t len)
{
	return AEAD_BACKEND.open(a, counter, dst, src, len);
}
