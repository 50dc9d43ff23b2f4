/* SPDX-License-Identifier: MIT */
/*
 * The outermost header of an inner packet (RFC 791, RFC 8200) and the Internet checksum (RFC 1071).
 *
 * A view is only made of a packet that really has the bytes its header claims, so whoever holds one may read
 * header_len bytes of header and len bytes in all. Padding behind the packet is expected: WireGuard adds it, and
 * the header's own length is what takes it off again.
 */
#include "wire/ip.h"

#include <string.h>

#include "base/bytes.h"

static bool view4(struct ip_view *v, const uint8_t *p, size_t len)
{
	uint32_t header, total;

	if (len < IP4_HEADER_MIN)
		return false;
	header = 4 * (uint32_t)(p[0] & 0xf);
	total = get_be16(p + 2);
	if (header < IP4_HEADER_MIN || total < header || total > len)
		return false;
	*v = (struct ip_view){
		.family = IP_V4, .proto = p[9], .tos = p[1],
		.len = total, .header_len = header,
		.src = p + 12, .dst = p + 16,
	};
	return true;
}

static bool view6(struct ip_view *v, const uint8_t *p, size_t len)
{
	uint32_t total;

	if (len < IP6_HEADER)
		return false;
	total = IP6_HEADER + (uint32_t)get_be16(p + 4);
	if (total > len)
		return false;
	*v = (struct ip_view){
		.family = IP_V6, .proto = p[6], .tos = (uint8_t)(get_be16(p) >> 4),
		.len = total, .header_len = IP6_HEADER,
		.src = p + 8, .dst = p + 24,
	};
	return true;
}

bool ip_view(struct ip_view *v, const uint8_t *packet, size_t len)
{
	if (len == 0)
		return false;
	switch (packet[0] >> 4) {
	case IP_V4:
		return view4(v, packet, len);
	case IP_V6:
		return view6(v, packet, len);
	default:
		return false;
	}
}

/*
 * Words of 32 bits are added into 64, which is the same modulo 2^16 - 1 as adding words of 16 and
 * cannot overflow before 16 GB. They are taken in the machine's order, since swapping the bytes of the result is
 * the same as swapping those of every word (RFC 1071 2(B)); and two at a time into both halves of a vector, which every
 * machine with 16-byte registers does without being asked for more than its baseline.
 */
typedef uint64_t two_words __attribute__((vector_size(16)));

enum { SUM_BLOCK = 2 * sizeof(two_words) };

/*
 * The lower halves are not summed apart: modulo 2^64 all together less the upper ones is their sum, and that is smaller.
 */
static uint64_t sum_blocks(const uint8_t *p, size_t len)
{
	two_words all0 = { 0 }, all1 = { 0 }, high0 = { 0 }, high1 = { 0 }, low;

	for (; len >= SUM_BLOCK; len -= SUM_BLOCK, p += SUM_BLOCK) {
		two_words a, b;

		memcpy(&a, p, sizeof(a));
		memcpy(&b, p + sizeof(a), sizeof(b));
		all0 += a;
		high0 += a >> 32;
		all1 += b;
		high1 += b >> 32;
	}
	high0 += high1;
	low = all0 + all1 - (high0 << 32);
	return low[0] + low[1] + high0[0] + high0[1];
}

/* What is left behind the blocks. */
static uint64_t sum_rest(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	uint32_t word;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t both;

		memcpy(&both, p, sizeof(both));
		sum += (both & 0xffffffff) + (both >> 32);
	}
	if (len >= 4) {
		memcpy(&word, p, sizeof(word));
		sum += word;
		p += 4;
		len -= 4;
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		sum += word;
	}
	return sum;
}

uint64_t ip_sum(uint64_t sum, const uint8_t *p, size_t len)
{
	size_t whole = len / SUM_BLOCK * SUM_BLOCK;
	uint16_t native = (uint16_t)~ip_sum_fold(sum_blocks(p, whole) + sum_rest(p + whole, len - whole));
	uint8_t bytes[2];

	memcpy(bytes, &native, sizeof(native));
	return sum + get_be16(bytes);
}

uint64_t ip_sum_pseudo(const uint8_t *packet, uint8_t proto)
{
	if (packet[0] >> 4 == IP_V4)
		return ip_sum(proto, packet + 12, 8);
	return ip_sum(proto, packet + 8, 32);
}

uint8_t ip_hops(const uint8_t *packet)
{
	return packet[0] >> 4 == IP_V4 ? packet[8] : packet[7];
}

/* HC' = ~(~HC + ~m + m'), eqn. 3. With a protocol beside it m' is not 0, so what was right is right, and what was wrong stays so. */
void ip_decrement_hops(uint8_t *packet)
{
	uint16_t sum, old;

	if (packet[0] >> 4 != IP_V4) {
		packet[7]--;
		return;
	}
	sum = (uint16_t)~get_be16(packet + 10);
	old = (uint16_t)~get_be16(packet + 8);
	packet[8]--;
	put_be16(packet + 10, ip_sum_fold((uint64_t)sum + old + get_be16(packet + 8)));
}

uint16_t ip_sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
