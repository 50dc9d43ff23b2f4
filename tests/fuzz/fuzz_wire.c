/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an inner packet, a mesh control message and an outer datagram. What is looked at lies in memory exactly as long as it says, so
 * that one byte read behind it is seen; what is written must be well-formed, and never an answer to an answer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/ecn.h"
#include "wire/flow_key.h"
#include "wire/fragment.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/mesh.h"
#include "wire/mss.h"
#include "wire/wg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

/* RFC 1071 as it is written there: 16 bits at a time. */
static uint16_t checksum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void check_view(const struct ip_view *v, const uint8_t *p, size_t len)
{
	size_t bytes = v->family == IP_V4 ? 4 : 16;

	require(v->family == IP_V4 || v->family == IP_V6, "a family of its own");
	require(p[0] >> 4 == v->family, "another version");
	require(v->len <= len, "longer than what was given");
	require(v->header_len <= v->len, "a header longer than its packet");
	require(v->src >= p && v->src + bytes <= p + v->header_len, "a source outside the header");
	require(v->dst >= p && v->dst + bytes <= p + v->header_len, "a destination outside the header");
}

static void check_error4(const struct ip_view *e, const uint8_t *out, size_t len, enum icmp_error what, uint32_t mtu)
{
	require(len <= 576, "an IPv4 error longer than 576 bytes");
	require(checksum(0, out, 20) == 0, "a wrong header checksum");
	require(checksum(0, out + 20, len - 20) == 0, "a wrong ICMP checksum");
	require(e->proto == IP_PROTO_ICMP && out[20] == 3, "no destination unreachable");
	if (what == ICMP_TOO_BIG)
		require(get_be16(out + 26) == (mtu < 65535 ? mtu : 65535), "another MTU");
}

static void check_error6(const struct ip_view *e, const uint8_t *out, size_t len, enum icmp_error what, uint32_t mtu)
{
	uint32_t pseudo = 0;

	for (size_t i = 8; i < 40; i += 2)
		pseudo += get_be16(out + i);
	pseudo += (uint32_t)(len - 40) + IP_PROTO_ICMP6;
	require(len <= ICMP_ERROR_MAX, "an IPv6 error longer than the minimum MTU");
	require(checksum(pseudo, out + 40, len - 40) == 0, "a wrong ICMPv6 checksum");
	require(e->proto == IP_PROTO_ICMP6 && out[40] < 128, "no ICMPv6 error");
	if (what == ICMP_TOO_BIG)
		require(get_be32(out + 44) == mtu, "another MTU");
}

static void check_error(enum icmp_error what, uint32_t mtu, const uint8_t *p, size_t len)
{
	uint8_t *out = malloc(ICMP_ERROR_MAX), *again = malloc(ICMP_ERROR_MAX);
	struct ip_view v, e;
	size_t n, bytes;

	require(out && again, "no memory");
	n = icmp_error_write(out, what, mtu, p, len);
	if (n) {
		require(ip_view(&v, p, len), "an error about what is no packet");
		require(n <= ICMP_ERROR_MAX && ip_view(&e, out, n) && e.len == n, "an error that is no packet");
		require(e.family == v.family, "an error of another family");
		bytes = e.family == IP_V4 ? 4 : 16;
		require(!memcmp(e.src, v.dst, bytes) && !memcmp(e.dst, v.src, bytes), "an error to somebody else");
		require(!memcmp(out + e.header_len + 8, p, n - e.header_len - 8), "an error about something else");
		if (e.family == IP_V4)
			check_error4(&e, out, n, what, mtu);
		else
			check_error6(&e, out, n, what, mtu);
		require(icmp_error_write(again, what, mtu, out, n) == 0, "an error about an error");
	}
	free(out);
	free(again);
}

/* Written back, what was read is the same, the MACs (not fields) aside. */
static void check_message(const uint8_t *msg, size_t len)
{
	uint8_t back[WG_HANDSHAKE_MAX];
	struct wg_initiation i;
	struct wg_response r;
	struct wg_cookie_reply c;

	memset(back, 0, sizeof(back));
	switch (wg_classify(msg, len)) {
	case 0:
		require(len < WG_DATA_MIN || msg[0] != WG_DATA || msg[1] || msg[2] || msg[3], "data refused");
		return;
	case WG_INITIATION:
		require(len == WG_INITIATION_LEN, "an initiation of another length");
		wg_initiation_read(&i, msg);
		wg_initiation_write(back, &i);
		require(!memcmp(back, msg, len - 32), "another initiation");
		return;
	case WG_RESPONSE:
		require(len == WG_RESPONSE_LEN, "a response of another length");
		wg_response_read(&r, msg);
		wg_response_write(back, &r);
		require(!memcmp(back, msg, len - 32), "another response");
		return;
	case WG_COOKIE_REPLY:
		require(len == WG_COOKIE_REPLY_LEN, "a cookie reply of another length");
		wg_cookie_reply_read(&c, msg);
		wg_cookie_reply_write(back, &c);
		require(!memcmp(back, msg, len), "another cookie reply");
		return;
	case WG_DATA:
		require(len >= WG_DATA_MIN, "data without a tag");
		wg_data_header_write(back, wg_data_receiver(msg), wg_data_counter(msg));
		require(!memcmp(back, msg, WG_DATA_HEADER), "another data header");
		return;
	default:
		require(false, "a type of its own");
	}
}

/* Written, read and written again it is the same: the message itself may have had flags and tails nobody knows. */
static void check_mesh_kind(unsigned int kind, const uint8_t *msg, size_t len)
{
	uint8_t once[MESH_MESSAGE_MAX], twice[MESH_MESSAGE_MAX];
	struct mesh_capabilities capabilities;
	struct mesh_probe probe;
	struct mesh_reply reply;
	struct mesh_open open;
	struct mesh_report report;
	size_t n = 0, again = 0;

	if (mesh_capabilities_read(&capabilities, msg, len)) {
		require(kind == MESH_CAPABILITIES, "capabilities of another kind");
		n = mesh_capabilities_write(once, &capabilities);
		require(mesh_capabilities_read(&capabilities, once, n), "capabilities refused");
		again = mesh_capabilities_write(twice, &capabilities);
	}
	if (mesh_probe_read(&probe, msg, len)) {
		require(kind == MESH_PROBE, "a probe of another kind");
		n = mesh_probe_write(once, &probe);
		require(mesh_probe_read(&probe, once, n), "a probe refused");
		again = mesh_probe_write(twice, &probe);
	}
	if (mesh_reply_read(&reply, msg, len)) {
		require(kind == MESH_REPLY, "a reply of another kind");
		n = mesh_reply_write(once, &reply);
		require(mesh_reply_read(&reply, once, n), "a reply refused");
		again = mesh_reply_write(twice, &reply);
	}
	if (mesh_open_read(&open, msg, len)) {
		require(kind == MESH_OPEN, "an open of another kind");
		n = mesh_open_write(once, &open);
		require(mesh_open_read(&open, once, n), "an open refused");
		again = mesh_open_write(twice, &open);
	}
	if (mesh_report_read(&report, msg, len)) {
		require(kind == MESH_REPORT, "a report of another kind");
		n = mesh_report_write(once, &report);
		require(mesh_report_read(&report, once, n), "a report refused");
		again = mesh_report_write(twice, &report);
	}
	require(n <= len && n == again && !memcmp(once, twice, n), "another mesh message");
}

/* The same of those about paths. Addresses that were left out are not written, so there may be less. */
static void check_path_kind(unsigned int kind, const uint8_t *msg, size_t len)
{
	uint8_t once[MESH_MESSAGE_MAX], twice[MESH_MESSAGE_MAX];
	struct mesh_path_probe probe;
	struct mesh_path_reply reply;
	struct mesh_path_report report;
	struct mesh_addresses addresses;
	size_t n = 0, again = 0;

	if (mesh_path_probe_read(&probe, msg, len)) {
		require(kind == MESH_PATH_PROBE && probe.path, "a path probe of another kind");
		n = mesh_path_probe_write(once, &probe);
		require(mesh_path_probe_read(&probe, once, n), "a path probe refused");
		again = mesh_path_probe_write(twice, &probe);
	}
	if (mesh_path_reply_read(&reply, msg, len)) {
		require(kind == MESH_PATH_REPLY && reply.path, "a path reply of another kind");
		n = mesh_path_reply_write(once, &reply);
		require(mesh_path_reply_read(&reply, once, n), "a path reply refused");
		again = mesh_path_reply_write(twice, &reply);
	}
	if (mesh_path_report_read(&report, msg, len)) {
		require(kind == MESH_PATH_REPORT && report.count && report.count <= MESH_PATH_ENTRIES_MAX, "a path report of another kind");
		n = mesh_path_report_write(once, &report);
		require(mesh_path_report_read(&report, once, n), "a path report refused");
		again = mesh_path_report_write(twice, &report);
	}
	if (mesh_addresses_read(&addresses, msg, len)) {
		require(kind == MESH_ADDRESSES && addresses.count <= MESH_ADDRESSES_MAX, "addresses of another kind");
		n = mesh_addresses_write(once, &addresses);
		require(mesh_addresses_read(&addresses, once, n), "addresses refused");
		again = mesh_addresses_write(twice, &addresses);
	}
	require(n <= len && n == again && !memcmp(once, twice, n), "another mesh message about paths");
}

/* A plaintext is a packet or a mesh message, not both. */
static void check_mesh(const uint8_t *msg, size_t len)
{
	unsigned int kind = mesh_kind(msg, len);
	struct ip_view v;

	require(kind < 16, "a kind of its own");
	require(!kind || !ip_view(&v, msg, len), "a mesh message that is a packet");
	check_mesh_kind(kind, msg, len);
	check_path_kind(kind, msg, len);
}

/* Any codepoint into a packet: nothing else changes, the checksum stays as right or wrong as it was, and so does the flow. */
static void check_ecn(const struct ip_view *v, const uint8_t *p, const uint8_t key[16])
{
	uint8_t *copy = malloc(v->len);
	uint64_t hash = flow_hash(key, p, v->len);

	require(copy, "no memory");
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		memcpy(copy, p, v->len);
		packet_set_ecn(copy, ecn);
		require(packet_tos(copy) == ((v->tos & 0xfc) | ecn), "another TOS");
		if (v->family == IP_V4)
			require(checksum(0, copy, v->header_len) == checksum(0, p, v->header_len), "a checksum mended or broken");
		require(flow_hash(key, copy, v->len) == hash, "a flow that depends on ECN");
		copy[1] = p[1];
		if (v->family == IP_V4)
			memcpy(copy + 10, p + 10, 2);
		require(!memcmp(copy, p, v->len), "more changed than ECN");
	}
	free(copy);
}

static void check_flow(const struct ip_view *v, const uint8_t *p, size_t len)
{
	static const uint8_t key[16] = { 1, 2, 3 }, zeros[4];
	size_t bytes = v->family == IP_V4 ? 4 : 16;
	struct flow_key k, padded;

	require(flow_hash(key, p, (uint32_t)len) != 0, "a hash of 0");
	flow_key_read(&padded, p, (uint32_t)len);
	flow_key_read(&k, p, v->len);
	require(!memcmp(&k, &padded, sizeof(k)), "a flow that depends on padding");
	require(k.family == v->family && !memcmp(k.src, v->src, bytes) && !memcmp(k.dst, v->dst, bytes), "other addresses");
	require(k.kind <= FLOW_KEY_FRAGMENT, "a kind of flow of its own");
	require(k.kind != FLOW_KEY_ADDRESSES || !memcmp(k.selector, zeros, 4), "a selector of nothing");
	check_ecn(v, p, key);
}

/* Fragments are whole, fit, and have the payload of the packet between them. */
static void check_fragments(const uint8_t *p, size_t size, uint32_t mtu)
{
	uint8_t *copy = malloc(size ? size : 1), *one;
	uint32_t len, count = 0;
	struct fragment f;
	struct ip_view v;
	size_t at;

	require(copy, "no memory");
	if (size)
		memcpy(copy, p, size);
	if (!fragment_begin(&f, copy, size, mtu)) {
		require(!size || memcmp(copy, p, size) == 0, "not cut, and yet changed");
		free(copy);
		return;
	}
	at = f.header_len;
	for (; fragment_next(&f, &one, &len); count++) {
		require(one >= copy && one + len <= copy + size && len <= mtu, "a fragment outside");
		require(ip_view(&v, one, len) && v.len == len && checksum(0, one, v.header_len) == 0, "a fragment that is none");
		require(memcmp(one + v.header_len, p + at, len - v.header_len) == 0, "payload has changed");
		at += len - v.header_len;
		require(!(get_be16(one + 6) & 0x2000) == (at == f.len && !(get_be16(p + 6) & 0x2000)), "more fragments or not");
	}
	require(at == f.len && (mtu < 68 || count <= fragment_count_max(f.len, mtu)), "payload is missing");
	free(copy);
}

/* A clamp changes an option and its checksum, which is as right or wrong as before. */
static void check_clamp(const uint8_t *p, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct ip_view v;
	size_t changed = 0;

	require(copy, "no memory");
	if (size)
		memcpy(copy, p, size);
	if (mss_clamp(copy, size, 1000, false)) {
		require(ip_view(&v, p, size) && v.proto == IP_PROTO_TCP, "clamped what is no TCP");
		require(checksum(0, p + v.header_len, v.len - v.header_len) % 0xffff ==
			checksum(0, copy + v.header_len, v.len - v.header_len) % 0xffff, "another checksum");
		require(!mss_clamp(copy, size, 1000, false), "clamped twice");
	} else {
		require(!size || memcmp(copy, p, size) == 0, "not clamped, and yet changed");
	}
	for (size_t i = 0; i < size; i++)
		changed += copy[i] != p[i];
	require(changed <= 4, "too much was changed");
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum icmp_error errors[] = { ICMP_NO_ROUTE, ICMP_NO_ENDPOINT, ICMP_TOO_BIG };
	uint32_t mtu = size > 2 ? (uint32_t)data[size - 1] << 8 | data[size - 2] : 1280;
	uint8_t *exact = malloc(size ? size : 1);
	struct ip_view v;

	require(exact, "no memory");
	if (size)
		memcpy(exact, data, size);
	if (ip_view(&v, exact, size)) {
		check_view(&v, exact, size);
		check_flow(&v, exact, size);
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		check_error(errors[i], mtu, exact, size);
	check_fragments(exact, size, mtu);
	check_fragments(exact, size, 68);
	check_clamp(exact, size);
	check_mesh(exact, size);
	check_message(exact, size);
	free(exact);
	return 0;
}
