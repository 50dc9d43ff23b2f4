/* SPDX-License-Identifier: MIT */
/*
 * The outermost header of an inner packet (RFC 791, RFC 8200) and the Internet checksum (RFC 1071).
 *
 * A view is only made of a packet that really has the bytes its header claims, so whoever holds one may read
 * header_len bytes of header and len bytes in all. Padding behind the packet is expected: WireGuard adds it, and
 * the header's own length is what takes it off again.
 */
#include "wire/ip.h"

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
 * cannot overflow before 16 GB.
 */
uint64_t ip_sum(uint64_t sum, const uint8_t *p, size_t len)
{
	for (; len >= 4; p += 4, len -= 4)
		sum += get_be32(p);
	if (len >= 2) {
		sum += get_be16(p);
		p += 2;
		len -= 2;
	}
	if (len)
		sum += (uint32_t)*p << 8;
	return sum;
}

uint16_t ip_sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
