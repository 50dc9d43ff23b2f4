/* SPDX-License-Identifier: MIT */
/*
 * Cutting IPv4 packets into fragments (RFC 791 3.2), for a link that carries less than they have and senders that did not forbid it.
 *
 * All but the last have as many units of eight bytes as fit; offset and MF go on from those of the packet, for it may be a fragment. The
 * first has the whole header, the others what options say is to be copied. Identification and the rest of the header are the packet's. As with
 * super-packets payload stays where it is, and each header is stamped in front of its piece, over what was handed out before: a later
 * header is never longer than the first.
 */
#include "wire/fragment.h"

#include <string.h>

#include "base/bytes.h"
#include "wire/ip.h"

enum {
	UNIT = 8,
	FIELD_DF = 0x4000,
	FIELD_MF = 0x2000,
	FIELD_OFFSET = 0x1fff,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_COPIED = 0x80,
};

/* The header of later fragments: options with the copied flag, the malformed and all behind them left out. Returns its length. */
static uint32_t copy_header(uint8_t *to, const uint8_t *from, uint32_t from_len)
{
	uint32_t len = IP4_HEADER_MIN, at = IP4_HEADER_MIN;

	memcpy(to, from, IP4_HEADER_MIN);
	while (at < from_len && from[at] != OPTION_END) {
		uint32_t option = 1;

		if (from[at] != OPTION_NOP) {
			option = at + 1 < from_len ? from[at + 1] : 0;
			if (option < 2 || option > from_len - at)
				break;
			if (from[at] & OPTION_COPIED) {
				memcpy(to + len, from + at, option);
				len += option;
			}
		}
		at += option;
	}
	while (len % 4)
		to[len++] = OPTION_END;
	to[0] = (uint8_t)(IP_V4 << 4 | len / 4);
	return len;
}

bool fragment_begin(struct fragment *f, uint8_t *packet, size_t len, uint32_t mtu)
{
	struct ip_view v;

	if (!ip_view(&v, packet, len) || v.family != IP_V4)
		return false;
	f->field = get_be16(packet + 6);
	/* What is nothing but a header is not cut; nor what would end where no offset leads. */
	if ((f->field & FIELD_DF) || v.len == v.header_len || mtu < v.header_len + UNIT ||
	    UNIT * (uint32_t)(f->field & FIELD_OFFSET) + v.len - v.header_len > UINT16_MAX)
		return false;
	f->packet = packet;
	f->len = v.len;
	f->mtu = mtu;
	f->header_len = f->next = v.header_len;
	memcpy(f->header, packet, v.header_len);
	f->rest_len = copy_header(f->rest, packet, v.header_len);
	return true;
}

static void stamp(const struct fragment *f, uint8_t *h, uint32_t header_len, uint32_t payload)
{
	uint32_t units = (f->next - f->header_len) / UNIT;
	uint16_t field = (uint16_t)(f->field + units);

	if (f->next + payload < f->len)
		field |= FIELD_MF;
	put_be16(h + 2, (uint16_t)(header_len + payload));
	put_be16(h + 6, field);
	put_be16(h + 10, 0);
	put_be16(h + 10, ip_sum_fold(ip_sum(0, h, header_len)));
}

bool fragment_next(struct fragment *f, uint8_t **fragment, uint32_t *len)
{
	bool first = f->next == f->header_len;
	uint32_t header_len = first ? f->header_len : f->rest_len, payload = f->len - f->next;
	uint8_t *h = f->packet + f->next - header_len;

	if (!payload)
		return false;
	if (header_len + payload > f->mtu)
		payload = (f->mtu - header_len) / UNIT * UNIT;
	memcpy(h, first ? f->header : f->rest, header_len);
	stamp(f, h, header_len, payload);
	f->next += payload;
	*fragment = h;
	*len = header_len + payload;
	return true;
}
