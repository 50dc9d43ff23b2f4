/* SPDX-License-Identifier: MIT */
/*
 * Bodies of items, as they go out: structs to protobuf-c's, which point into them, and these to bytes. What does not hold is found when the bytes are read again
 * (item_sign()), so nothing is checked twice here.
 */
#include "exchange/item.h"

#include <stdlib.h>
#include <string.h>

#include "exchange/item_inside.h"

static ProtobufCBinaryData data_of(const uint8_t *bytes, size_t len)
{
	return (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)bytes };
}

static void address_write(ProtobufCBinaryData *b, const struct ip_addr *a)
{
	*b = data_of(a->bytes, ip_family_bytes(a->family));
}

static uint8_t *pack(const ProtobufCMessage *m, size_t *len)
{
	uint8_t *out;

	*len = protobuf_c_message_get_packed_size(m);
	out = malloc(*len ? *len : 1);
	if (out)
		protobuf_c_message_pack(m, out);
	else
		*len = 0;
	return out;
}

/* A list of prefixes, and the pointers to them that protobuf-c wants. */
struct prefix_list {
	Meshd__Exchange__Prefix m[ITEM_PREFIXES_MAX];
	Meshd__Exchange__Prefix *v[ITEM_PREFIXES_MAX];
};

static void prefixes_write(struct prefix_list *l, const struct ip_prefix *v, size_t count)
{
	for (size_t i = 0; i < count && i < ITEM_PREFIXES_MAX; i++) {
		meshd__exchange__prefix__init(&l->m[i]);
		address_write(&l->m[i].address, &v[i].addr);
		l->m[i].length = v[i].len;
		l->v[i] = &l->m[i];
	}
}

static uint8_t *node_write(const struct node_record *r, size_t *len)
{
	Meshd__Exchange__Node m = MESHD__EXCHANGE__NODE__INIT;
	struct prefix_list lists[3];

	prefixes_write(&lists[0], r->addresses, r->address_count);
	prefixes_write(&lists[1], r->prefixes, r->prefix_count);
	prefixes_write(&lists[2], r->external, r->external_count);
	m.public_key = data_of(r->public_key, KEY_LEN);
	if (!r->has_gateway || !crypto_is_zero(r->sign_key, SIGN_KEY_LEN))
		m.sign_key = data_of(r->sign_key, SIGN_KEY_LEN);
	m.name = (char *)(uintptr_t)r->name;
	m.addresses = lists[0].v;
	m.n_addresses = r->address_count;
	m.prefixes = lists[1].v;
	m.n_prefixes = r->prefix_count;
	m.external = lists[2].v;
	m.n_external = r->external_count;
	m.roles = r->roles;
	m.not_before_s = r->not_before_s;
	m.not_after_s = r->not_after_s;
	m.serial = r->serial;
	if (r->has_token)
		m.token = data_of(r->token, KEY_LEN);
	if (r->has_gateway)
		m.gateway = data_of(r->gateway, KEY_LEN);
	return pack(&m.base, len);
}

void item_endpoint_write(Meshd__Exchange__Endpoint *m, const struct record_endpoint *e)
{
	meshd__exchange__endpoint__init(m);
	address_write(&m->address, &e->endpoint.addr);
	m->port = e->endpoint.port;
	m->cost_ms = e->cost_ms;
	m->metered = e->metered;
	m->seen = e->seen;
	m->prefix_length = e->prefix_len;
}

static uint8_t *self_write(const struct self_record *r, size_t *len)
{
	Meshd__Exchange__Self m = MESHD__EXCHANGE__SELF__INIT;
	Meshd__Exchange__Endpoint endpoints[ITEM_ENDPOINTS_MAX], *v[ITEM_ENDPOINTS_MAX];

	for (size_t i = 0; i < r->endpoint_count; i++) {
		item_endpoint_write(&endpoints[i], &r->endpoints[i]);
		v[i] = &endpoints[i];
	}
	m.public_key = data_of(r->public_key, KEY_LEN);
	m.sequence = r->sequence;
	m.endpoints = v;
	m.n_endpoints = r->endpoint_count;
	m.features = r->features;
	m.version = (char *)(uintptr_t)r->version;
	return pack(&m.base, len);
}

static uint8_t *revocation_write(const struct revocation *r, size_t *len)
{
	Meshd__Exchange__Revocation m = MESHD__EXCHANGE__REVOCATION__INIT;

	m.public_key = data_of(r->public_key, KEY_LEN);
	m.when_s = r->when_s;
	m.reason = (char *)(uintptr_t)r->reason;
	return pack(&m.base, len);
}

static uint8_t *delegation_write(const struct delegation *d, size_t *len)
{
	Meshd__Exchange__Delegation m = MESHD__EXCHANGE__DELEGATION__INIT;

	m.sign_key = data_of(d->sign_key, SIGN_KEY_LEN);
	m.public_key = data_of(d->public_key, KEY_LEN);
	m.not_before_s = d->not_before_s;
	m.not_after_s = d->not_after_s;
	m.serial = d->serial;
	return pack(&m.base, len);
}

static uint8_t *release_write(const struct release *r, size_t *len)
{
	Meshd__Exchange__Release m = MESHD__EXCHANGE__RELEASE__INIT;
	ProtobufCBinaryData keep[ITEM_KEEP_MAX];

	for (size_t i = 0; i < r->keep_count; i++)
		keep[i] = data_of(r->keep[i], ITEM_ID_LEN);
	m.sign_key = data_of(r->sign_key, SIGN_KEY_LEN);
	m.keep = keep;
	m.n_keep = r->keep_count;
	return pack(&m.base, len);
}

static uint8_t *mesh_key_write(const struct mesh_key *k, size_t *len)
{
	Meshd__Exchange__MeshKey m = MESHD__EXCHANGE__MESH_KEY__INIT;

	m.key = data_of(k->key, SIGN_KEY_LEN);
	m.not_after_s = k->not_after_s;
	m.serial = k->serial;
	return pack(&m.base, len);
}

static uint8_t *invitation_write(const struct invitation *v, size_t *len)
{
	Meshd__Exchange__Invitation m = MESHD__EXCHANGE__INVITATION__INIT;

	m.token = data_of(v->token, KEY_LEN);
	m.issuer = data_of(v->issuer, KEY_LEN);
	m.not_after_s = v->not_after_s;
	return pack(&m.base, len);
}

static uint8_t *join_request_write(const struct join_request *r, size_t *len)
{
	Meshd__Exchange__JoinRequest m = MESHD__EXCHANGE__JOIN_REQUEST__INIT;

	m.public_key = data_of(r->public_key, KEY_LEN);
	m.sign_key = data_of(r->sign_key, SIGN_KEY_LEN);
	m.name = (char *)(uintptr_t)r->name;
	if (r->has_token)
		m.token = data_of(r->token, KEY_LEN);
	return pack(&m.base, len);
}

/* What would not fit the arrays above. */
static bool is_in_bounds(const struct item *i)
{
	if (i->kind == ITEM_NODE)
		return i->node.address_count <= ITEM_PREFIXES_MAX && i->node.prefix_count <= ITEM_PREFIXES_MAX &&
		       i->node.external_count <= ITEM_PREFIXES_MAX;
	if (i->kind == ITEM_SELF)
		return i->self.endpoint_count <= ITEM_ENDPOINTS_MAX;
	return i->kind != ITEM_RELEASE || i->release.keep_count <= ITEM_KEEP_MAX;
}

uint8_t *item_body_write(const struct item *i, size_t *len)
{
	*len = 0;
	if (!is_in_bounds(i))
		return NULL;
	switch (i->kind) {
	case ITEM_NODE:
		return node_write(&i->node, len);
	case ITEM_SELF:
		return self_write(&i->self, len);
	case ITEM_REVOCATION:
		return revocation_write(&i->revocation, len);
	case ITEM_DELEGATION:
		return delegation_write(&i->delegation, len);
	case ITEM_RELEASE:
		return release_write(&i->release, len);
	case ITEM_MESH_KEY:
		return mesh_key_write(&i->mesh_key, len);
	case ITEM_INVITATION:
		return invitation_write(&i->invitation, len);
	case ITEM_JOIN_REQUEST:
		return join_request_write(&i->join_request, len);
	case ITEM_KINDS:
		break;
	}
	return NULL;
}
