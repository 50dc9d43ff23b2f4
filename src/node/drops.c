/* SPDX-License-Identifier: MIT */
/* Names of the drop reasons. They are in the JSON that people's programs read, so a name never changes its meaning. */
#include "node/drops.h"

static const char *const names[DROP_REASONS] = {
	[DROP_NOT_WIREGUARD] = "not_wireguard",
	[DROP_BAD_MAC1] = "bad_mac1",
	[DROP_NO_INDEX] = "no_index",
	[DROP_RATE_LIMITED] = "rate_limited",
	[DROP_HANDSHAKE_QUEUE] = "handshake_queue",
	[DROP_NO_IDENTITY] = "no_identity",
	[DROP_HANDSHAKE_FORGED] = "handshake_forged",
	[DROP_HANDSHAKE_REPLAYED] = "handshake_replayed",
	[DROP_HANDSHAKE_FLOODED] = "handshake_flooded",
	[DROP_HANDSHAKE_UNEXPECTED] = "handshake_unexpected",
	[DROP_UNKNOWN_PEER] = "unknown_peer",
	[DROP_COOKIE_BAD] = "cookie_bad",
	[DROP_FORGED] = "forged",
	[DROP_REPLAYED] = "replayed",
	[DROP_KEY_EXPIRED] = "key_expired",
	[DROP_BAD_INNER] = "bad_inner",
	[DROP_SOURCE] = "source",
	[DROP_TRANSIT] = "transit",
	[DROP_LOOP] = "loop",
	[DROP_HOP_LIMIT] = "hop_limit",
	[DROP_TOO_BIG] = "too_big",
	[DROP_ROUTING_QUEUE] = "routing_queue",
	[DROP_ECN] = "ecn",
	[DROP_CONTROL] = "control",
	[DROP_CONTROL_QUEUE] = "control_queue",
	[DROP_OVERLOAD] = "overload",
	[DROP_NO_PEER] = "no_peer",
	[DROP_UNREACHABLE] = "unreachable",
	[DROP_NO_ENDPOINT] = "no_endpoint",
	[DROP_ENDPOINT_LOOP] = "endpoint_loop",
	[DROP_NO_SESSION] = "no_session",
	[DROP_QUEUE_FULL] = "queue_full",
	[DROP_CODEL] = "codel",
	[DROP_BAD_OUTGOING] = "bad_outgoing",
	[DROP_UDP_SEND] = "udp_send",
	[DROP_TUN_WRITE] = "tun_write",
};

const char *drop_name(enum drop_reason reason)
{
	return (unsigned int)reason < DROP_REASONS && names[reason] ? names[reason] : "unknown";
}
