/* SPDX-License-Identifier: MIT */
/*
 * Other nodes of the mesh on the same link: a short message to a link-local group, by whoever drives the node, says "this node is at this
 * port". It is of no use to others:
 *
 *	"meshlan1" | tag 16 | public key 32 | port 2, big-endian | 0 x 6
 *
 * with a tag that only who knows the mesh can make: BLAKE2s of the rest, keyed with the founding key. All that follows is that the
 * sender's address is tried: who it is the handshake tells.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/blake2s.h"
#include "node/mesh_inside.h"

enum {
	MAGIC_LEN = 8,
	TAG_AT = 8,
	TAG_LEN = 16,
	KEY_AT = 24,
	PORT_AT = 56,
};

static const char magic[MAGIC_LEN] = { 'm', 'e', 's', 'h', 'l', 'a', 'n', '1' };

static void make_tag(const struct node *n, const uint8_t msg[MESH_LAN_LEN], uint8_t tag[TAG_LEN])
{
	struct blake2s s;

	blake2s_init(&s, TAG_LEN, store_mesh(n->mesh->store), SIGN_KEY_LEN);
	blake2s_update(&s, msg + KEY_AT, MESH_LAN_LEN - KEY_AT);
	blake2s_final(&s, tag);
}

bool node_mesh_lan_write(const struct node *n, uint8_t msg[MESH_LAN_LEN])
{
	if (!n->mesh || !n->mesh->own_good || !n->listen_port)
		return false;
	memset(msg, 0, MESH_LAN_LEN);
	memcpy(msg, magic, MAGIC_LEN);
	memcpy(msg + KEY_AT, n->identity.public_key, KEY_LEN);
	put_be16(msg + PORT_AT, n->listen_port);
	make_tag(n, msg, msg + TAG_AT);
	return true;
}

void node_mesh_lan_seen(struct node *n, const struct endpoint *from, const uint8_t *msg, size_t len, struct instant now)
{
	uint8_t tag[TAG_LEN];
	struct path_remote *v;
	struct peer *p;

	if (!n->mesh || len < MESH_LAN_LEN || memcmp(msg, magic, MAGIC_LEN) || !get_be16(msg + PORT_AT))
		return;
	make_tag(n, msg, tag);
	p = crypto_equal(tag, msg + TAG_AT, TAG_LEN) ? node_find(n, msg + KEY_AT) : NULL;
	/* One that we reach has told its addresses by itself. */
	if (!p || !p->mesh.good || mesh_alive(n, p, now) || (p->mesh.struck_us && now.mono_us - p->mesh.struck_us < MESH_STRIKE_MS * US_PER_MS))
		return;
	v = calloc(1, sizeof(*v));
	if (!v)
		return;
	v->endpoint = *from;
	v->endpoint.port = get_be16(msg + PORT_AT);
	p->mesh.struck_us = now.mono_us;
	free(p->mesh.struck);
	p->mesh.struck = v;
	p->mesh.struck_count = 1;
	p->mesh.reachable = true;
	p->mesh.retry_us = 0;
	n->mesh->look_us = 0;
}
