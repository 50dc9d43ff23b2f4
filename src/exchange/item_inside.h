/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_ITEM_INSIDE_H
#define MESHD_EXCHANGE_ITEM_INSIDE_H

#include "exchange/item.h"
#include "proto/exchange.pb-c.h"

/* The inside of items, shared by item.c (what is signed), item_read.c and item_write.c (bodies); the addresses also by message.c and token.c. */

/* A body into the union of 'i', whose kind is set. NULL: done; else what is wrong with it, and nothing has to be freed. */
const char *item_body_read(struct item *i, const uint8_t *body, size_t len);

/* And back: allocated; NULL with '*len' 0: no memory, or the kind has none. */
uint8_t *item_body_write(const struct item *i, size_t *len);

/* One endpoint. False: no unicast address of anybody, no port, a prefix that cannot be one. */
bool item_endpoint_read(struct record_endpoint *e, const Meshd__Exchange__Endpoint *m);
/* 'm' points into 'e'. */
void item_endpoint_write(Meshd__Exchange__Endpoint *m, const struct record_endpoint *e);

static inline bool item_bytes_are(const ProtobufCBinaryData *b, size_t len)
{
	return b->len == len;
}

#endif
