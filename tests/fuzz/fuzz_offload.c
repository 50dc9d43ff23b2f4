/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a packet from the TUN to be cut, or as a batch to be merged; the first byte says which.
 *
 * 0: the vnet header and the packet. What is cut gives whole and valid packets, which together have the payload of the
 * super-packet; a plain packet comes out as it went in, its checksum apart.
 *
 * 1: bits 1 and 2 of the next byte switch TCP and UDP on, then packets follow: a byte of flags (bit 0: make the checksums
 * right first), two of length, the bytes. Every packet is in one write, none has overtaken another with the same addresses, protocol and ports,
 * a super-packet can be cut into what it was made of, and taking the writes apart gives the packets back.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/inner_packets.h"
#include "../unit/merge_undo.h"
#include "wire/offload.h"

enum { BATCH_MAX = 512, BYTES_MAX = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void check_plain(const struct packet *p, const uint8_t *before)
{
	uint32_t at = (uint32_t)p->vnet.csum_start + p->vnet.csum_offset;

	for (uint32_t i = 0; i < p->len; i++)
		if (!((p->vnet.flags & VNET_NEEDS_CSUM) && (i == at || i == at + 1)))
			require(p->data[i] == before[i], "a plain packet was changed");
}

static void check_segment(const struct split *s, const uint8_t *before, const uint8_t *segment, uint32_t len, uint32_t *at)
{
	uint32_t payload;

	require(segment >= s->packet && segment + len <= s->packet + s->len, "a segment outside");
	require(len >= s->header_len, "a segment without header");
	require(inner_is_valid(segment, len, s->proto, s->ip_header_len), "an invalid segment");
	payload = len - s->header_len;
	require(payload <= s->size && *at + payload <= s->len, "too much payload");
	require(memcmp(segment + s->header_len, before + *at, payload) == 0, "payload has changed");
	*at += payload;
}

static void check_split(const uint8_t *data, size_t size)
{
	struct packet p = { .len = (uint32_t)(size - VNET_LEN) };
	uint32_t len, at, count = 0;
	uint8_t *before, *segment;
	struct split s;
	bool good;

	p.data = malloc(p.len ? p.len : 1);
	before = malloc(p.len ? p.len : 1);
	require(p.data && before, "no memory");
	memcpy(p.data, data + VNET_LEN, p.len);
	memcpy(before, p.data, p.len);
	vnet_read(&p.vnet, data);
	good = split_begin(&s, &p);
	if (!good)
		require(memcmp(p.data, before, p.len) == 0, "refused, and yet changed");
	if (good && p.vnet.gso_type == VNET_GSO_NONE) {
		require(split_next(&s, &segment, &len) && segment == p.data && len == p.len, "not the plain packet");
		require(!split_next(&s, &segment, &len), "more than a plain packet");
		check_plain(&p, before);
	} else if (good) {
		for (at = s.header_len; split_next(&s, &segment, &len); count++)
			check_segment(&s, before, segment, len, &at);
		require(at == s.len && count == s.count, "payload is missing");
	}
	free(p.data);
	free(before);
}

static struct merge merge;
static uint8_t arena[BYTES_MAX], before[BYTES_MAX];
static uint8_t *packets[BATCH_MAX];
static uint32_t lengths[BATCH_MAX], packet_count;

static const uint8_t *original(uint32_t i)
{
	return before + (packets[i] - arena);
}

/* As far as the packet has what it takes. */
static void repair(uint8_t *p, uint32_t len)
{
	uint32_t ip = len > 0 && p[0] >> 4 == 6 ? 40 : 20, field;
	int proto;

	if (len < ip + 20 || (p[0] != 0x45 && p[0] >> 4 != 6))
		return;
	proto = p[ip == 20 ? 9 : 6];
	field = ip + (proto == 6 ? 16 : 6);
	if (ip == 20) {
		put16(p + 2, len);
		put16(p + 10, 0);
		put16(p + 10, 0xffff - naive_add(0, p, 20));
	} else {
		put16(p + 4, len - 40);
	}
	if (proto == 17)
		put16(p + ip + 4, len - ip);
	put16(p + field, 0);
	put16(p + field, 0xffff - naive_add(naive_pseudo(p, proto, len - ip), p + ip, len - ip));
}

static void lay_out(const uint8_t *data, size_t size)
{
	size_t used = 0;

	packet_count = 0;
	while (size >= 3 && packet_count < BATCH_MAX) {
		uint32_t len = get16(data + 1), flags = data[0];
		uint8_t *p = arena + used + VNET_LEN;

		data += 3;
		size -= 3;
		if (len > size)
			len = (uint32_t)size;
		if (len == 0 || used + len + 2 * VNET_LEN > BYTES_MAX)
			break;
		memset(p - VNET_LEN, 0x55, VNET_LEN);
		memcpy(p, data, len);
		if (flags & 1)
			repair(p, len);
		packets[packet_count] = p;
		lengths[packet_count++] = len;
		used += VNET_LEN + len;
		data += len;
		size -= len;
	}
	memcpy(before, arena, used);
}

static uint32_t packet_ending(const uint8_t *end)
{
	for (uint32_t i = 0; i < packet_count; i++)
		if (packets[i] + lengths[i] == end)
			return i;
	require(false, "a piece that is no packet's");
	return 0;
}

/* Whether two packets are of one flow, by their outermost header and the four bytes behind it. */
static bool is_same_flow(uint32_t i, uint32_t k)
{
	const uint8_t *a = original(i), *c = original(k);
	uint32_t shorter = lengths[i] < lengths[k] ? lengths[i] : lengths[k];

	if (shorter >= 24 && a[0] == 0x45 && c[0] == 0x45)
		return a[9] == c[9] && (a[9] == 6 || a[9] == 17) && memcmp(a + 12, c + 12, 12) == 0;
	if (shorter >= 44 && a[0] >> 4 == 6 && c[0] >> 4 == 6)
		return a[6] == c[6] && (a[6] == 6 || a[6] == 17) && memcmp(a + 8, c + 8, 36) == 0;
	return false;
}

static void check_super(const struct tun_write *w)
{
	static uint8_t bytes[INNER_MAX];
	struct packet p = { .data = bytes };
	uint8_t *segment;
	uint32_t len, i = 0, skip = VNET_LEN;
	struct split s;

	vnet_read(&p.vnet, w->pieces[0].base);
	for (uint32_t k = 0; k < w->count; k++, skip = 0) {
		require(p.len + w->pieces[k].len - skip <= MERGE_BYTES_MAX, "a super-packet too large");
		memcpy(bytes + p.len, w->pieces[k].base + skip, w->pieces[k].len - skip);
		p.len += (uint32_t)(w->pieces[k].len - skip);
	}
	require(split_begin(&s, &p) && s.count == w->count, "a super-packet that cannot be cut");
	for (; split_next(&s, &segment, &len); i++) {
		uint32_t n = packet_ending(w->pieces[i].base + w->pieces[i].len);
		const uint8_t *want = original(n);

		require(len == lengths[n], "another length");
		if (s.family == 4 && (want[6] & 0x40)) {	/* identification means nothing, and is made anew */
			memcpy(segment + 4, want + 4, 2);
			memcpy(segment + 10, want + 10, 2);
		}
		if (get16(want + s.ip_header_len + p.vnet.csum_offset) == 0xffff)	/* which is 0 too */
			put16(segment + s.ip_header_len + p.vnet.csum_offset, 0xffff);
		if (s.family == 4 && get16(want + 10) == 0xffff)
			put16(segment + 10, 0xffff);
		require(memcmp(segment, want, len) == 0, "cut into something else");
	}
}

/* No packet of its flow that came later may be before it. */
static void check_order(const uint32_t *place)
{
	for (uint32_t i = 0; i < packet_count; i++)
		for (uint32_t k = i + 1; k < packet_count; k++)
			require(place[k] > place[i] || !is_same_flow(i, k), "overtaken");
}

static void check_undo(const struct tun_write *w)
{
	struct piece singles[MERGE_SEGMENTS_MAX];
	uint32_t count = merge_undo(w, singles);

	require(count == w->packets, "not all of it");
	for (uint32_t i = 0; i < count; i++) {
		uint32_t n = packet_ending(singles[i].base + singles[i].len);
		const uint8_t *want = original(n);
		uint8_t *p = packets[n];

		require(singles[i].len == lengths[n] + VNET_LEN, "a packet of another length");
		if (i == 0 && count > 1) {
			uint32_t ip = p[0] >> 4 == 4 ? 20 : 40, field = ip + (p[ip == 20 ? 9 : 6] == 6 ? 16 : 6);

			if (get16(want + field) == 0xffff)
				put16(p + field, 0xffff);
			if (ip == 20 && get16(want + 10) == 0xffff)
				put16(p + 10, 0xffff);
		}
		require(memcmp(p, want, lengths[n]) == 0, "not as it was");
	}
}

static void check_merge(const uint8_t *data, size_t size)
{
	static uint32_t place[BATCH_MAX];
	struct merge_options options = { .tcp = data[0] & 2, .udp = data[0] & 4 };
	const struct tun_write *writes;
	uint32_t places = 0;
	size_t count;

	lay_out(data + 1, size - 1);
	merge_begin(&merge, &options);
	for (uint32_t i = 0; i < packet_count; i++) {
		require(merge_add(&merge, packets[i], lengths[i]), "full");
		place[i] = UINT32_MAX;
	}
	count = merge_end(&merge, &writes);
	for (size_t k = 0; k < count; k++) {
		require(writes[k].count == writes[k].packets && writes[k].count > 0 && writes[k].count <= MERGE_SEGMENTS_MAX, "count");
		for (uint32_t i = 0; i < writes[k].count; i++) {
			uint32_t n = packet_ending(writes[k].pieces[i].base + writes[k].pieces[i].len);

			require(place[n] == UINT32_MAX, "a packet twice");
			place[n] = places++;
		}
		if (writes[k].count > 1)
			check_super(&writes[k]);
	}
	require(places == packet_count, "a packet is missing");
	check_order(place);
	for (size_t k = 0; k < count; k++)
		check_undo(&writes[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 1 + VNET_LEN && data[0] == 0 && size < 1 << 17)
		check_split(data + 1, size - 1);
	else if (size >= 2 && data[0] == 1)
		check_merge(data + 1, size - 1);
	return 0;
}
