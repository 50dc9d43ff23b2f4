/* SPDX-License-Identifier: MIT */
/*
 * Addresses, prefixes and endpoints, and their text. Written out here rather than taken from the C
 * library, because the pure core includes no system header and must read and write the same
 * text everywhere.
 *
 * Reading follows inet_pton(3), which is RFC 4291 2.2 for IPv6; writing follows RFC 5952, with a dotted tail
 * for IPv4-mapped addresses only. A reader parses into a local copy and assigns it when the whole text
 * was good, so a failure never leaves half an address behind.
 */
#include "base/addr.h"

#include <string.h>

#include "base/bytes.h"

enum { GROUPS = 8 };	/* 16-bit groups of an IPv6 address */

unsigned int ip_family_bits(uint8_t family)
{
	return ip_family_bytes(family) * 8;
}

unsigned int ip_family_bytes(uint8_t family)
{
	switch (family) {
	case IP_V4:
		return 4;
	case IP_V6:
		return 16;
	default:
		return 0;
	}
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return ip_addr_equal(&a->addr, &b->addr) && a->port == b->port && a->scope == b->scope;
}

bool path_addr_equal(const struct path_addr *a, const struct path_addr *b)
{
	return endpoint_equal(&a->remote, &b->remote) && ip_addr_equal(&a->local, &b->local) &&
	       a->ifindex == b->ifindex;
}

bool ip_addr_is_link_local(const struct ip_addr *a)
{
	return a->family == IP_V6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool ip_addr_is_multicast(const struct ip_addr *a)
{
	if (a->family == IP_V6)
		return a->bytes[0] == 0xff;
	if (a->family != IP_V4)
		return false;
	return (a->bytes[0] & 0xf0) == 0xe0 || get_be32(a->bytes) == UINT32_MAX;
}

/* The bits of byte 'i' that lie inside a prefix of 'len' bits. */
static uint8_t mask_byte(unsigned int len, unsigned int i)
{
	if (len >= 8 * (i + 1))
		return 0xff;
	if (len <= 8 * i)
		return 0;
	return (uint8_t)(0xff << (8 - len % 8));
}

bool ip_prefix_covers(const struct ip_prefix *p, const struct ip_addr *a)
{
	unsigned int bytes = ip_family_bytes(a->family);

	if (p->addr.family != a->family || bytes == 0 || p->len > 8 * bytes)
		return false;
	for (unsigned int i = 0; i < bytes; i++)
		if ((p->addr.bytes[i] ^ a->bytes[i]) & mask_byte(p->len, i))
			return false;
	return true;
}

void ip_prefix_mask(struct ip_prefix *p)
{
	for (unsigned int i = 0; i < sizeof(p->addr.bytes); i++)
		p->addr.bytes[i] &= mask_byte(p->len, i);
}

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_equal(&a->addr, &b->addr);
}

bool ip_prefix_contains(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	return outer->len <= inner->len && ip_prefix_covers(outer, &inner->addr);
}

struct prefix_pair prefix_pair_any(const struct ip_prefix *dst)
{
	return (struct prefix_pair){ .dst = *dst, .src.addr.family = dst->addr.family };
}

bool prefix_pair_equal(const struct prefix_pair *a, const struct prefix_pair *b)
{
	return ip_prefix_equal(&a->dst, &b->dst) && ip_prefix_equal(&a->src, &b->src);
}

char *prefix_pair_format(const struct prefix_pair *p, char out[PAIR_TEXT_MAX])
{
	size_t len;

	ip_prefix_format(&p->dst, out);
	if (p->src.len) {
		len = strlen(out);
		memcpy(out + len, " from ", 6);
		ip_prefix_format(&p->src, out + len + 6);
	}
	return out;
}

/* Read a decimal number of 1 to 'digits' digits and at most 'max', and move '*s' behind it. */
static bool parse_decimal(const char **s, unsigned int digits, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	unsigned int n;

	for (n = 0; n < digits && **s >= '0' && **s <= '9'; n++)
		v = v * 10 + (uint64_t)(*(*s)++ - '0');
	if (n == 0 || v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* Dotted quad up to the end of the text. */
static bool parse_v4(const char *s, uint8_t out[4])
{
	for (int i = 0; i < 4; i++) {
		const char *start = s;
		uint32_t v;

		if (!parse_decimal(&s, 3, 255, &v))
			return false;
		if (*start == '0' && s != start + 1)	/* elsewhere this would be octal */
			return false;
		if (*s++ != (i < 3 ? '.' : '\0'))
			return false;
		out[i] = (uint8_t)v;
	}
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One group of 1 to 4 hexadecimal digits; '*s' moves behind it. */
static bool parse_group(const char **s, uint16_t *out)
{
	unsigned int v = 0, n;

	for (n = 0; n < 4 && hex_digit(**s) >= 0; n++)
		v = v << 4 | (unsigned int)hex_digit(*(*s)++);
	*out = (uint16_t)v;
	return n > 0 && hex_digit(**s) < 0;
}

/* Move the groups that were read behind a "::" to the end and put zeros in its place. */
static bool open_gap(uint8_t out[16], int count, int gap)
{
	size_t tail = 2 * (size_t)(count - gap), start = 2 * (size_t)gap;

	if (count >= GROUPS)	/* "::" stands for one group at least */
		return false;
	memmove(out + 16 - tail, out + start, tail);
	memset(out + start, 0, 16 - tail - start);
	return true;
}

static bool parse_v6(const char *s, uint8_t out[16])
{
	int count = 0, gap = -1;

	if (s[0] == ':' && *++s != ':')
		return false;
	while (*s) {
		const char *start = s;
		uint16_t v;

		if (*s == ':') {	/* the second colon of a "::" */
			if (gap >= 0)
				return false;
			gap = count;
			s++;
			continue;
		}
		if (count == GROUPS || !parse_group(&s, &v))
			return false;
		if (*s == '.') {
			if (count > GROUPS - 2 || !parse_v4(start, out + 2 * count))
				return false;
			count += 2;
			break;
		}
		put_be16(out + 2 * count++, v);
		if (*s && (*s++ != ':' || *s == '\0'))
			return false;
	}
	return gap >= 0 ? open_gap(out, count, gap) : count == GROUPS;
}

bool ip_addr_parse(const char *text, struct ip_addr *out)
{
	struct ip_addr a = { 0 };

	if (strchr(text, ':')) {
		a.family = IP_V6;
		if (!parse_v6(text, a.bytes))
			return false;
	} else {
		a.family = IP_V4;
		if (!parse_v4(text, a.bytes))
			return false;
	}
	*out = a;
	return true;
}

/* An address that ends before 'end'. */
static bool parse_part(const char *text, const char *end, struct ip_addr *out)
{
	char copy[ADDR_TEXT_MAX];
	size_t len = (size_t)(end - text);

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return ip_addr_parse(copy, out);
}

bool ip_prefix_parse(const char *text, struct ip_prefix *out)
{
	const char *slash = strchr(text, '/');
	struct ip_prefix p = { 0 };
	uint32_t len;

	if (!parse_part(text, slash ? slash : text + strlen(text), &p.addr))
		return false;
	len = ip_family_bits(p.addr.family);
	if (slash) {
		slash++;
		if (!parse_decimal(&slash, 3, len, &len) || *slash)
			return false;
	}
	p.len = (uint8_t)len;
	*out = p;
	return true;
}

/* What stands between the brackets: ADDRESS or ADDRESS%N, up to 'end'. */
static bool parse_scoped(const char *text, const char *end, struct endpoint *e)
{
	const char *percent = memchr(text, '%', (size_t)(end - text));

	if (!parse_part(text, percent ? percent : end, &e->addr))
		return false;
	if (!percent)
		return true;
	percent++;
	return ip_addr_is_link_local(&e->addr) && parse_decimal(&percent, 10, UINT32_MAX, &e->scope) &&
	       percent == end && e->scope != 0;
}

bool endpoint_parse(const char *text, struct endpoint *out)
{
	struct endpoint e = { 0 };
	const char *end;
	uint32_t port;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end || !parse_scoped(text, end, &e))
			return false;
		end++;
	} else {
		/* The first colon, so that an IPv6 address without brackets is refused. */
		end = strchr(text, ':');
		if (!end || !parse_part(text, end, &e.addr))
			return false;
	}
	if (*end++ != ':' || !parse_decimal(&end, 5, UINT16_MAX, &port) || *end || port == 0)
		return false;
	e.port = (uint16_t)port;
	*out = e;
	return true;
}

/* The writers return the place behind what they wrote, and do not terminate it. */
static char *put_text(char *p, const char *s)
{
	size_t len = strlen(s);

	memcpy(p, s, len);
	return p + len;
}

static char *put_decimal(char *p, uint32_t v)
{
	char digits[10];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*p++ = digits[--n];
	return p;
}

static char *put_group(char *p, uint16_t v)
{
	int shift = 12;

	while (shift > 0 && v >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[v >> shift & 0xf];
	return p;
}

static char *put_v4(char *p, const uint8_t b[4])
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_decimal(p, b[i]);
	}
	return p;
}

/* The first of the longest runs of zero groups; runs of one are not worth a "::" (RFC 5952 4.2). */
static int longest_run(const uint8_t b[16], int *start)
{
	int best = 1;

	*start = GROUPS;
	for (int i = 0; i < GROUPS; i++) {
		int n = 0;

		while (i + n < GROUPS && get_be16(b + 2 * (i + n)) == 0)
			n++;
		if (n > best) {
			best = n;
			*start = i;
		}
	}
	return best;
}

static char *put_v6(char *p, const uint8_t b[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	int start, run;

	if (memcmp(b, mapped, sizeof(mapped)) == 0)
		return put_v4(put_text(p, "::ffff:"), b + 12);
	run = longest_run(b, &start);
	for (int i = 0; i < GROUPS; i++) {
		if (i == start) {
			p = put_text(p, "::");
			i += run - 1;
			continue;
		}
		if (i && i != start + run)
			*p++ = ':';
		p = put_group(p, get_be16(b + 2 * i));
	}
	return p;
}

static char *put_addr(char *p, const struct ip_addr *a)
{
	switch (a->family) {
	case IP_V4:
		return put_v4(p, a->bytes);
	case IP_V6:
		return put_v6(p, a->bytes);
	default:
		return put_text(p, "(none)");
	}
}

char *ip_addr_format(const struct ip_addr *a, char out[ADDR_TEXT_MAX])
{
	*put_addr(out, a) = '\0';
	return out;
}

char *ip_prefix_format(const struct ip_prefix *p, char out[PREFIX_TEXT_MAX])
{
	char *end = put_addr(out, &p->addr);

	if (ip_family_bits(p->addr.family)) {
		*end++ = '/';
		end = put_decimal(end, p->len);
	}
	*end = '\0';
	return out;
}

char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
	bool brackets = e->addr.family == IP_V6;
	char *p = out;

	if (brackets)
		*p++ = '[';
	p = put_addr(p, &e->addr);
	if (brackets && e->scope)
		p = put_decimal(put_text(p, "%"), e->scope);
	if (brackets)
		*p++ = ']';
	if (ip_family_bits(e->addr.family))
		p = put_decimal(put_text(p, ":"), e->port);
	*p = '\0';
	return out;
}
