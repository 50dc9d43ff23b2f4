/* SPDX-License-Identifier: MIT */
/*
 * Babel's packets on their way. Over the mesh they are whole inner IPv6 packets, fe80::/64 to ff02::1:6 with hop limit 1, made and taken apart
 * here: a plain WireGuard peer with a babeld of its own sees what it would see on a wire. On ordinary interfaces the driver sends and receives the
 * payload of UDP.
 *
 * Lanes are stopped while their rings are looked at or filled, so that happens for several packets at once, and neither the speaker's work nor
 * ours is done meanwhile.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/container.h"
#include "node/mesh.h"
#include "node/routing_inside.h"
#include "wire/ip.h"

enum {
	UDP_HEADER = 8,
	BABEL_TRAFFIC_CLASS = 0xc0,	/* CS6, as babeld and BIRD have it */
};

/* A whole inner packet around a payload of Babel. Returns its length, 0: too long. */
static uint32_t wrap(uint8_t packet[ROUTING_PACKET_MAX], const struct babel_datagram *d)
{
	uint32_t udp_len = UDP_HEADER + (uint32_t)d->len;
	uint8_t *udp = packet + IP6_HEADER;
	uint64_t sum;

	if (IP6_HEADER + UDP_HEADER + d->len > ROUTING_PACKET_MAX)
		return 0;
	memset(packet, 0, IP6_HEADER + UDP_HEADER);
	put_be32(packet, UINT32_C(6) << 28 | BABEL_TRAFFIC_CLASS << 20);
	put_be16(packet + 4, (uint16_t)udp_len);
	packet[6] = IP_PROTO_UDP;
	packet[7] = 1;
	memcpy(packet + 8, d->src.bytes, 16);
	memcpy(packet + 24, d->dst.bytes, 16);
	put_be16(udp, BABEL_PORT);
	put_be16(udp + 2, BABEL_PORT);
	put_be16(udp + 4, (uint16_t)udp_len);
	memcpy(udp + UDP_HEADER, d->data, d->len);
	sum = ip_sum(ip_sum_pseudo(packet, IP_PROTO_UDP) + udp_len, udp, udp_len);
	/* All zeros would say that there is none (RFC 8200 8.1). */
	put_be16(udp + 6, ip_sum_fold(sum) ? ip_sum_fold(sum) : 0xffff);
	return IP6_HEADER + udp_len;
}

/* The payload of a packet that came over a link. False: it is no UDP for the port, or broken. */
static bool unwrap(const uint8_t *packet, uint32_t len, struct babel_datagram *d)
{
	struct ip_view v;
	const uint8_t *udp;
	uint32_t udp_len;

	if (!ip_view(&v, packet, len) || v.family != IP_V6 || v.proto != IP_PROTO_UDP || v.len < IP6_HEADER + UDP_HEADER)
		return false;
	udp = packet + IP6_HEADER;
	udp_len = v.len - IP6_HEADER;
	if (get_be16(udp + 4) != udp_len || get_be16(udp + 2) != BABEL_PORT || !get_be16(udp + 6) ||
	    ip_sum_fold(ip_sum(ip_sum_pseudo(packet, IP_PROTO_UDP) + udp_len, udp, udp_len)))
		return false;
	d->src.family = d->dst.family = IP_V6;
	memcpy(d->src.bytes, v.src, 16);
	memcpy(d->dst.bytes, v.dst, 16);
	d->src_port = get_be16(udp);
	d->data = udp + UDP_HEADER;
	d->len = udp_len - UDP_HEADER;
	return true;
}

static void take_packet(struct node *n, const struct lane_routing *packet, struct instant now)
{
	struct peer *p = packet->peer ? container_of(packet->peer, struct peer, data) : NULL;
	struct babel_datagram d = { .stamp_us = packet->at_us };

	if (p)
		node_mesh_hailed(n, p, now);
	if (!p || !p->routing || !p->routing->babel || !unwrap(packet->packet, packet->len, &d))
		return;
	d.iface = p->routing->babel;
	babel_receive(n->routing->babel, &d, now);
}

/* What came over links and waits in lanes: so many in one closing of a gate, and looked at when it is open again. */
void routing_take(struct node *n, struct instant now)
{
	struct routing *r = n->routing;
	unsigned int taken = 0;
	size_t count;

	for (unsigned int i = 0; i < n->lane_count; i++) {
		do {
			lane_close(&n->lanes[i]);
			for (count = 0; count < ROUTING_LINK_QUEUE && lane_take_routing(&n->lanes[i], &r->taken[count]); count++)
				;
			lane_open(&n->lanes[i]);
			for (size_t k = 0; k < count; k++)
				take_packet(n, &r->taken[k], now);
			taken += (unsigned int)count;
		} while (count == ROUTING_LINK_QUEUE && taken < ROUTING_PACKETS_TAKEN);
	}
	r->more |= taken >= ROUTING_PACKETS_TAKEN;
}

static void send_on_lan(struct routing *r, const struct routing_iface *i, const struct babel_datagram *d)
{
	struct lan_packet *q = &r->lan_queue[(r->lan_first + r->lan_count) % ROUTING_LAN_QUEUE];

	if (d->len > sizeof(q->data))
		return;
	q->head = (struct node_lan_packet){
		.ifindex = i->seen.ifindex, .src = d->src, .dst = d->dst, .src_port = BABEL_PORT, .len = d->len,
	};
	memcpy(q->data, d->data, d->len);
	r->lan_count++;
}

/* Over a link, in the next closing of the gates. Nowhere to send is as good as lost. */
static void add_for_link(struct routing *r, struct peer *p, const struct babel_datagram *d)
{
	struct link_packet *out = &r->link_queue[r->link_count];

	out->len = wrap(out->packet, d);
	out->peer = p;
	r->link_count += out->len > 0;
}

/* All gates once, so that a lane sends what there is for all links together. */
static void send_on_links(struct node *n)
{
	struct routing *r = n->routing;

	if (!r->link_count)
		return;
	node_close_lanes(n);
	for (size_t i = 0; i < r->link_count; i++) {
		struct peer *p = r->link_queue[i].peer;

		lane_send_inner(peer_lane(n, p), peer_link(p), r->link_queue[i].packet, r->link_queue[i].len);
	}
	node_open_lanes(n);
	r->link_count = 0;
}

/*
 * What the speaker has to send: over links by way of the lanes, for the driver into a short queue - while that is full the speaker waits. Packets are
 * made while the gates are open.
 */
void routing_give(struct node *n, struct instant now)
{
	struct routing *r = n->routing;
	struct babel_datagram d;
	unsigned int given = 0;

	while (r->lan_count < ROUTING_LAN_QUEUE && given < ROUTING_PACKETS_GIVEN && babel_next_packet(r->babel, &d, now)) {
		const struct routing_iface *i = babel_iface_owner(d.iface);

		given++;
		if (!i->peer) {
			send_on_lan(r, i, &d);
			continue;
		}
		add_for_link(r, i->peer, &d);
		if (r->link_count == ROUTING_LINK_QUEUE)
			send_on_links(n);
	}
	send_on_links(n);
	r->more |= given == ROUTING_PACKETS_GIVEN;
}

void routing_send(struct node *n, const struct routing_iface *i, const struct babel_datagram *d)
{
	if (i->peer) {
		add_for_link(n->routing, i->peer, d);
		send_on_links(n);
	} else if (n->routing->lan_count < ROUTING_LAN_QUEUE) {
		send_on_lan(n->routing, i, d);
	}
}

void node_lan_receive(struct node *n, const struct node_lan_packet *p, struct instant now)
{
	struct routing *r = n->routing;
	struct babel_datagram d = {
		.src = p->src, .dst = p->dst, .src_port = p->src_port, .data = p->data, .len = p->len, .stamp_us = p->stamp_us,
	};

	for (size_t i = 0; i < r->iface_count; i++)
		if (!r->ifaces[i]->peer && r->ifaces[i]->seen.ifindex == p->ifindex)
			d.iface = r->ifaces[i]->babel;
	if (!d.iface)
		return;
	babel_receive(r->babel, &d, now);
	r->more = true;
}

bool node_lan_next(struct node *n, struct node_lan_packet *p, struct instant now)
{
	struct routing *r = n->routing;

	if (!r->lan_count && r->babel)
		routing_give(n, now);
	if (!r->lan_count)
		return false;
	r->lan_out = r->lan_queue[r->lan_first];
	r->lan_out.head.data = r->lan_out.data;
	r->lan_first = (r->lan_first + 1) % ROUTING_LAN_QUEUE;
	r->lan_count--;
	*p = r->lan_out.head;
	return true;
}
