/* SPDX-License-Identifier: MIT */
/*
 * The MSS that TCP's two ends tell each other with SYN (RFC 9293 3.7.1), made no more than what the way between them carries. It is for ways
 * where ICMP does not come back (RFC 2923 2.1), so it looks at every packet of others' - and does as little to them as it can.
 *
 * The checksum is repaired by what has changed (RFC 1624), so one that was wrong stays so. The option may begin anywhere: bytes at odd places
 * count as the lower halves of words.
 */
#include "wire/mss.h"

#include "base/bytes.h"
#include "wire/ip.h"

enum {
	TCP_HEADER_MIN = 20,
	TCP_SYN = 0x02,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_MSS_LEN = 4,
	FRAGMENT = 0x3fff,	/* MF and offset, of bytes 6 and 7 */
};

/* Where the value of the MSS option is in a TCP header of 'len' bytes; 0: there is none, or what comes before makes no sense. */
static uint32_t find_mss(const uint8_t *tcp, uint32_t len)
{
	uint32_t at = TCP_HEADER_MIN;

	while (at < len && tcp[at] != OPTION_END) {
		uint32_t option;

		if (tcp[at] == OPTION_NOP) {
			at++;
			continue;
		}
		option = at + 1 < len ? tcp[at + 1] : 0;
		if (option < 2 || option > len - at)
			return 0;
		if (tcp[at] == OPTION_MSS)
			return option == OPTION_MSS_LEN ? at + 2 : 0;
		at += option;
	}
	return 0;
}

/* What a word at this place adds to a sum. */
static uint16_t weight(uint16_t word, uint32_t at)
{
	return (uint16_t)(at % 2 ? word << 8 | word >> 8 : word);
}

static void write(uint8_t *tcp, uint32_t at, uint16_t old, uint16_t max, bool partial)
{
	uint64_t sum = (uint16_t)~get_be16(tcp + 16);

	put_be16(tcp + at, max);
	if (!partial)
		put_be16(tcp + 16, ip_sum_fold(sum + (uint16_t)~weight(old, at) + weight(max, at)));
}

bool mss_clamp(uint8_t *packet, size_t len, uint16_t max, bool partial)
{
	struct ip_view v;
	uint32_t header, at;
	uint8_t *tcp;
	uint16_t old;

	if (!ip_view(&v, packet, len) || v.proto != IP_PROTO_TCP || v.len < v.header_len + TCP_HEADER_MIN)
		return false;
	if (v.family == IP_V4 && (get_be16(packet + 6) & FRAGMENT))
		return false;
	tcp = packet + v.header_len;
	header = 4 * (uint32_t)(tcp[12] >> 4);
	if (!(tcp[13] & TCP_SYN) || header > v.len - v.header_len)
		return false;
	at = find_mss(tcp, header);
	if (!at)
		return false;
	old = get_be16(tcp + at);
	if (old <= max)
		return false;
	write(tcp, at, old, max, partial);
	return true;
}
