/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_MERGE_UNDO_H
#define MESHD_TESTS_MERGE_UNDO_H

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/ip.h"
#include "wire/offload.h"

/*
 * A write of several packets is taken apart again, to see that nothing was lost in it: its first packet's header, which has become the
 * super-packet's, gets back its lengths, flags and checksums. (A checksum that came as 0xffff may now be 0, which is the same.)
 */

static inline void merge_restore_first(uint8_t *packet, const struct vnet *v)
{
	uint8_t *h = packet + v->csum_start;
	uint32_t len = (uint32_t)v->hdr_len + v->gso_size, transport = len - v->csum_start;
	uint16_t sum;

	if (packet[0] >> 4 == 4) {
		put_be16(packet + 2, (uint16_t)len);
		put_be16(packet + 10, 0);
		put_be16(packet + 10, ip_sum_fold(ip_sum(0, packet, IP4_HEADER_MIN)));
	} else {
		put_be16(packet + 4, (uint16_t)(len - IP6_HEADER));
	}
	if (v->gso_type == VNET_GSO_UDP_L4)
		put_be16(h + 4, (uint16_t)transport);
	else
		h[13] &= (uint8_t)~0x08;	/* PSH: nothing would have followed it */
	put_be16(h + v->csum_offset, 0);
	sum = ip_sum_fold(ip_sum(ip_sum_pseudo(packet, v->csum_offset == 16 ? IP_PROTO_TCP : IP_PROTO_UDP) + transport, h, transport));
	put_be16(h + v->csum_offset, sum == 0 && v->gso_type == VNET_GSO_UDP_L4 ? 0xffff : sum);
}

/*
 * 'singles', with room for MERGE_SEGMENTS_MAX, gets w->packets: each a vnet header that says nothing and the packet as it was added, as one
 * piece. Returns how many. Once only.
 */
static inline uint32_t merge_undo(const struct tun_write *w, struct piece *singles)
{
	struct vnet v;

	vnet_read(&v, w->pieces[0].base);
	if (w->count > 1)
		merge_restore_first(w->pieces[0].base + VNET_LEN, &v);
	singles[0] = w->pieces[0];
	for (uint32_t i = 1; i < w->count; i++) {
		uint32_t before = VNET_LEN + (uint32_t)v.hdr_len;

		singles[i] = (struct piece){ .base = w->pieces[i].base - before, .len = w->pieces[i].len + before };
	}
	for (uint32_t i = 0; i < w->count; i++)
		memset(singles[i].base, 0, VNET_LEN);
	return w->count;
}

#endif
