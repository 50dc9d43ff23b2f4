/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_HASH_H
#define MESHD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * SipHash-2-4 of some bytes under a secret 16-byte key: for tables whose keys
 * others choose, so that nobody can aim at one slot.
 */
uint64_t hash_bytes(const uint8_t key[16], const void *data, size_t len);

#endif
