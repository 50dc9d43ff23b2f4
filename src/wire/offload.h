/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_OFFLOAD_H
#define MESHD_WIRE_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"

/*
 * Segmentation and its opposite, on bytes alone.
 *
 * A TUN with vnet headers hands over super-packets: one header, up to 64 KiB of payload, to be cut into packets of
 * the size the kernel names (TCP: TSO, UDP: USO). It takes super-packets too, so packets of one flow that came in one
 * batch are merged into one write (what the kernel calls GRO). Nothing here allocates or copies payload.
 */

/* The bytes of the header, in the machine's byte order as the TUN has them (TUNSETVNETLE is never set). */
void vnet_read(struct vnet *v, const uint8_t bytes[VNET_LEN]);
void vnet_write(uint8_t bytes[VNET_LEN], const struct vnet *v);

enum { SPLIT_HEADER_MAX = 128 };	/* IPv4 and TCP headers with all their options have 120 bytes */

/* A packet from the TUN, being cut. On the stack of the caller; nothing to free. */
struct split {
	uint8_t *packet;
	uint32_t len;			/* of the whole */
	uint32_t header_len;		/* IP and transport header, which every segment gets; 0: a plain packet */
	uint32_t ip_header_len;		/* with extension headers */
	uint32_t size;			/* payload of a segment, the last may have less; of a plain packet all of it */
	uint32_t next;			/* where the next segment's payload begins */
	uint32_t count, done;		/* segments in all, and handed out */
	uint32_t seq;			/* TCP, of the next segment */
	uint16_t id;			/* IPv4, of the next segment */
	uint8_t family, proto;		/* enum ip_family; TCP or UDP */
	uint8_t flags;			/* TCP, as they came */
	uint64_t ip_sum, sum;		/* of 'header': the IPv4 header; the pseudo-header and the transport header */
	uint8_t header[SPLIT_HEADER_MAX];	/* as it came, with zeros for what differs from segment to segment */
};

/*
 * Look at a packet from the TUN. True: split_next() gives s->count packets. False: what the kernel says about it makes
 * no sense (type against IP version or protocol, gso_size 0, headers or checksum beyond the packet, a kind we did
 * not ask for): drop it; nothing was written. hdr_len is not looked at: on forwarded packets it may cover more than headers.
 *
 * A plain packet comes out as it is. Where VNET_NEEDS_CSUM is set its checksum is completed in place, by now.
 * Without the flag not even its IP header is looked at.
 */
bool split_begin(struct split *s, const struct packet *p);

/*
 * The next segment, contiguous inside the memory of the super-packet: its header is stamped over payload that was
 * handed out before. So the caller is done with a segment (sealed it out of place) before it asks for the next. Up to
 * 16 bytes behind a segment it may change (padding) if it puts them back. False: no more.
 *
 * TCP: sequence number advanced, FIN and PSH on the last only, CWR on the first only; IPv4 identification advanced;
 * lengths and checksums right for each.
 */
bool split_next(struct split *s, uint8_t **segment, uint32_t *len);

/* Whether segments are left. */
static inline bool split_more(const struct split *s)
{
	return s->done < s->count;
}

/* Bytes of the next segment; 0: no more. And of all that are left, headers included. */
uint32_t split_next_len(const struct split *s);
uint32_t split_rest_len(const struct split *s);

/* Leave the next segment out: what was cut off has been dropped. */
void split_skip(struct split *s);

/*
 * Have what is left of a TCP super-packet cut so that no segment is longer than 'len' bytes, header and all. False: it is no such, or the header
 * leaves no room; nothing has changed. Datagrams are whole ones, and never cut smaller.
 */
bool split_shrink(struct split *s, uint32_t len);

/* The TOS or traffic class every segment has, and its ECN field set for those that are left; checksums stay right. */
uint8_t split_tos(const struct split *s);
void split_set_ecn(struct split *s, uint8_t ecn);

enum {
	MERGE_SEGMENTS_MAX = 64,	/* in one write: UDP_MAX_SEGMENTS before Linux 6.9, which refuses more */
	MERGE_BYTES_MAX = 65535,	/* in one write: the length field of IPv4 */
	MERGE_FLOWS_MAX = 16,		/* that can grow at once */
	MERGE_PACKETS_MAX = 4096,	/* in one batch: 64 datagrams of 64 segments */
};

/* What may be merged; with neither every packet goes alone. */
struct merge_options {
	bool tcp, udp;
};

/* A write that may still grow. */
struct merge_flow {
	uint8_t *first;			/* packet, whose header becomes the super-packet's */
	uint32_t len;			/* of the super-packet */
	uint32_t next_seq;		/* TCP */
	uint32_t used;			/* when the flow last had a packet, counted in packets of the batch */
	uint16_t write;			/* which one */
	uint16_t packets;
	uint16_t size;			/* payload of each packet but the last */
	uint8_t header_len, ip_header_len;
	uint8_t proto;			/* TCP or UDP */
	bool verified;			/* the first packet's checksum */
	bool push;			/* the last packet had PSH */
};

/*
 * One batch. Embedded in a lane and used again: it has 200 KiB, of which a batch touches the beginnings of three arrays, 48
 * bytes a packet. Needs no initialisation but merge_begin().
 */
struct merge {
	struct merge_options options;
	uint32_t packet_count, write_count, flow_count;
	uint32_t hashes[MERGE_FLOWS_MAX];	/* of the flows, beside them so that looking one up reads one cache line */
	struct merge_flow flows[MERGE_FLOWS_MAX];
	struct merge_packet {
		uint8_t *base;			/* of a write's first packet its vnet header, of the others their payload */
		uint32_t len;
		uint32_t write;
	} packets[MERGE_PACKETS_MAX];		/* in the order of arrival */
	struct piece pieces[MERGE_PACKETS_MAX];	/* the same in the order of the writes */
	struct tun_write writes[MERGE_PACKETS_MAX];
};

/* Begin a batch. */
void merge_begin(struct merge *m, const struct merge_options *options);

/*
 * Add an inner packet that was authenticated and has passed every check, in the order of arrival and without padding.
 * Its memory stays until the writes are done, with VNET_LEN writable bytes before it. False: the batch is full.
 *
 * It joins the open write of its flow (addresses, protocol, ports) when it continues it and agrees in all that a super-packet
 * cannot tell apart:
 *
 * - IP: no options, extension headers or fragments; equal but for length, checksum and identification, which counts up by
 *   one unless DF is set (then it means nothing: RFC 6864);
 * - TCP: next in sequence; flags ACK, PSH and ECE at most, ECE in all or none; acknowledgement, window, urgent pointer,
 *   reserved bits and options equal (the kernel's GRO compares the same; it has the window in its word of flags);
 * - UDP: not a port of a tunnel whose receivers break (4789, 6081, 8472), not without a checksum;
 * - payload, and no more than the first packet's; nothing behind a packet with less, or behind PSH;
 * - the right checksums, in both: a super-packet's are made anew, and a bad one must not become a good one. Each is verified
 *   before its packet is merged with another; one that goes alone is as it came, for the kernel to judge.
 *
 * Everything else goes alone. Order within a flow is always kept: whatever does not join closes the flow's open write, SYN,
 * FIN, RST, URG, CWR and pure acknowledgements included (these would cost nothing to overtake, but what they part rarely
 * agrees). What is TCP or UDP without telling its ports, like a fragment, closes those of its two addresses. When a flow too many
 * comes, the one that was silent for longest is closed.
 */
bool merge_add(struct merge *m, uint8_t *packet, uint32_t len);

/*
 * End the batch: the writes, in the order of their first packets, each with a vnet header before its first packet, and
 * with lengths and partial checksum of a super-packet set. Valid until merge_begin(). Returns how many.
 */
size_t merge_end(struct merge *m, const struct tun_write **writes);

#endif
