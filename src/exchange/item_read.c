/* SPDX-License-Identifier: MIT */
/*
 * Bodies of items, as they come in: every list has an end, every key its length, every prefix is one. protobuf-c has seen to the form; that a record says nothing
 * of nobody is seen to here. What is refused says why, in words for whoever imports a file; fields of the future are left alone.
 */
#include "exchange/item.h"

#include <stdlib.h>
#include <string.h>

#include "exchange/item_inside.h"

static bool is_key(const ProtobufCBinaryData *b)
{
	return b->len == KEY_LEN && !crypto_is_zero(b->data, KEY_LEN);
}

/* Counted up by one and compared by subtraction they shall not overflow, whoever says them. */
#define SERIAL_MAX (UINT64_C(1) << 62)
#define TIME_MAX (INT64_C(1) << 40)

static bool is_time(int64_t s)
{
	return s >= -TIME_MAX && s <= TIME_MAX;
}

static const char BAD_NUMBER[] = "its serial or a time cannot be one";

static bool address_read(struct ip_addr *a, const ProtobufCBinaryData *b)
{
	if (b->len != 4 && b->len != 16)
		return false;
	*a = (struct ip_addr){ .family = b->len == 4 ? IP_V4 : IP_V6 };
	memcpy(a->bytes, b->data, b->len);
	return true;
}

/* Addresses somebody can have beyond his link. */
static bool is_unicast(const struct ip_addr *a)
{
	static const uint8_t none[16], one[16] = { [15] = 1 };

	if (a->family == IP_V4)
		return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224 && !(a->bytes[0] == 169 && a->bytes[1] == 254);
	return a->bytes[0] != 0xff && !ip_addr_is_link_local(a) && memcmp(a->bytes, none, 16) && memcmp(a->bytes, one, 16);
}

bool item_prefix_is_good(const struct ip_prefix *p, enum item_prefix_use use)
{
	struct ip_prefix masked = *p;

	ip_prefix_mask(&masked);
	if (p->len > ip_family_bits(p->addr.family) || !ip_prefix_equal(p, &masked))
		return false;
	if (use == ITEM_ADDRESS)
		return p->len == ip_family_bits(p->addr.family) && is_unicast(&p->addr);
	if (p->len == 0)
		return use == ITEM_EXTERNAL;
	return !ip_addr_is_multicast(&p->addr) && !(p->addr.family == IP_V6 && ip_addr_is_link_local(&p->addr));
}

static bool prefixes_read(struct ip_prefix *v, size_t *count, Meshd__Exchange__Prefix *const *m, size_t n, enum item_prefix_use use)
{
	if (n > ITEM_PREFIXES_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (m[i]->length > 128 || !address_read(&v[i].addr, &m[i]->address))
			return false;
		v[i].len = (uint8_t)m[i]->length;
		if (!item_prefix_is_good(&v[i], use))
			return false;
	}
	*count = n;
	return true;
}

bool item_name_is_good(const char *name)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strlen(name);

	return len > 0 && len <= ITEM_NAME_MAX && strspn(name, chars) == len && !strchr(".-", name[0]) && !strchr(".-", name[len - 1]);
}

static bool text_read(char *out, size_t max, const char *text)
{
	size_t len = strlen(text);

	if (len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] > 0x7e)
			return false;
	memcpy(out, text, len + 1);
	return true;
}

static const char *node_fill(struct node_record *r, const Meshd__Exchange__Node *m)
{
	/* A plain device signs nothing, and may have no key for it. */
	if (!is_key(&m->public_key) || !(is_key(&m->sign_key) || (m->gateway.len && !m->sign_key.len)) ||
	    (m->token.len && !is_key(&m->token)) || (m->gateway.len && !is_key(&m->gateway)))
		return "a key is not 32 bytes";
	if (!item_name_is_good(m->name))
		return "the name is not of letters, digits, '-', '_' and '.'";
	if (!prefixes_read(r->addresses, &r->address_count, m->addresses, m->n_addresses, ITEM_ADDRESS) ||
	    !prefixes_read(r->prefixes, &r->prefix_count, m->prefixes, m->n_prefixes, ITEM_PREFIX) ||
	    !prefixes_read(r->external, &r->external_count, m->external, m->n_external, ITEM_EXTERNAL))
		return "a prefix cannot be one, or there are too many";
	if (m->serial > SERIAL_MAX || !is_time(m->not_before_s) || !is_time(m->not_after_s))
		return BAD_NUMBER;
	if (m->not_after_s <= m->not_before_s)
		return "it ends before it begins";
	memcpy(r->public_key, m->public_key.data, KEY_LEN);
	if (m->sign_key.len)
		memcpy(r->sign_key, m->sign_key.data, SIGN_KEY_LEN);
	memcpy(r->name, m->name, strlen(m->name) + 1);
	/* A later version's say nothing to us. They stay in the bytes, for who knows them. */
	r->roles = m->roles & ROLES;
	r->not_before_s = m->not_before_s;
	r->not_after_s = m->not_after_s;
	r->serial = m->serial;
	r->has_token = m->token.len;
	r->has_gateway = m->gateway.len;
	if (r->has_token)
		memcpy(r->token, m->token.data, KEY_LEN);
	if (r->has_gateway)
		memcpy(r->gateway, m->gateway.data, KEY_LEN);
	return NULL;
}

bool item_endpoint_read(struct record_endpoint *e, const Meshd__Exchange__Endpoint *m)
{
	struct ip_addr a;

	if (!address_read(&a, &m->address) || !is_unicast(&a) || m->port == 0 || m->port > 65535 || m->prefix_length > 127 ||
	    (m->prefix_length && a.family != IP_V6))
		return false;
	*e = (struct record_endpoint){
		.endpoint = { .addr = a, .port = (uint16_t)m->port },
		.cost_ms = m->cost_ms,
		.metered = m->metered,
		.seen = m->seen,
		.prefix_len = (uint8_t)m->prefix_length,
	};
	return true;
}

static const char *self_fill(struct self_record *r, const Meshd__Exchange__Self *m)
{
	if (!is_key(&m->public_key))
		return "a key is not 32 bytes";
	if (m->n_endpoints > ITEM_ENDPOINTS_MAX)
		return "it has too many endpoints";
	for (size_t i = 0; i < m->n_endpoints; i++)
		if (!item_endpoint_read(&r->endpoints[i], m->endpoints[i]))
			return "an endpoint cannot be one";
	if (m->sequence > SERIAL_MAX)
		return BAD_NUMBER;
	if (!text_read(r->version, ITEM_VERSION_MAX, m->version))
		return "its version is no text";
	memcpy(r->public_key, m->public_key.data, KEY_LEN);
	r->sequence = m->sequence;
	r->endpoint_count = m->n_endpoints;
	r->features = m->features;
	return NULL;
}

static const char *revocation_fill(struct revocation *r, const Meshd__Exchange__Revocation *m)
{
	if (!is_key(&m->public_key))
		return "a key is not 32 bytes";
	if (!is_time(m->when_s))
		return BAD_NUMBER;
	if (!text_read(r->reason, ITEM_REASON_MAX, m->reason))
		return "its reason is no text, or too long";
	memcpy(r->public_key, m->public_key.data, KEY_LEN);
	r->when_s = m->when_s;
	return NULL;
}

static const char *delegation_fill(struct delegation *d, const Meshd__Exchange__Delegation *m)
{
	if (!is_key(&m->sign_key) || !is_key(&m->public_key))
		return "a key is not 32 bytes";
	if (m->serial > SERIAL_MAX || !is_time(m->not_before_s) || !is_time(m->not_after_s))
		return BAD_NUMBER;
	if (m->not_after_s <= m->not_before_s)
		return "it ends before it begins";
	memcpy(d->sign_key, m->sign_key.data, SIGN_KEY_LEN);
	memcpy(d->public_key, m->public_key.data, KEY_LEN);
	d->not_before_s = m->not_before_s;
	d->not_after_s = m->not_after_s;
	d->serial = m->serial;
	return NULL;
}

static const char *release_fill(struct release *r, const Meshd__Exchange__Release *m)
{
	if (!is_key(&m->sign_key))
		return "a key is not 32 bytes";
	if (m->n_keep > ITEM_KEEP_MAX)
		return "it keeps too many items";
	for (size_t i = 0; i < m->n_keep; i++)
		if (m->keep[i].len != ITEM_ID_LEN)
			return "what it keeps are no ids";
	r->keep = m->n_keep ? malloc(m->n_keep * sizeof(*r->keep)) : NULL;
	if (m->n_keep && !r->keep)
		return "no memory";
	for (size_t i = 0; i < m->n_keep; i++)
		memcpy(r->keep[i], m->keep[i].data, ITEM_ID_LEN);
	memcpy(r->sign_key, m->sign_key.data, SIGN_KEY_LEN);
	r->keep_count = m->n_keep;
	return NULL;
}

static const char *mesh_key_fill(struct mesh_key *k, const Meshd__Exchange__MeshKey *m)
{
	if (!is_key(&m->key))
		return "a key is not 32 bytes";
	if (m->serial > SERIAL_MAX || m->not_after_s < 0 || !is_time(m->not_after_s))
		return BAD_NUMBER;
	memcpy(k->key, m->key.data, SIGN_KEY_LEN);
	k->not_after_s = m->not_after_s;
	k->serial = m->serial;
	return NULL;
}

static const char *invitation_fill(struct invitation *v, const Meshd__Exchange__Invitation *m)
{
	if (!is_key(&m->token) || !is_key(&m->issuer))
		return "a key is not 32 bytes";
	if (!is_time(m->not_after_s))
		return BAD_NUMBER;
	memcpy(v->token, m->token.data, KEY_LEN);
	memcpy(v->issuer, m->issuer.data, KEY_LEN);
	v->not_after_s = m->not_after_s;
	return NULL;
}

static const char *join_request_fill(struct join_request *r, const Meshd__Exchange__JoinRequest *m)
{
	if (!is_key(&m->public_key) || !is_key(&m->sign_key) || (m->token.len && !is_key(&m->token)))
		return "a key is not 32 bytes";
	if (m->name[0] && !item_name_is_good(m->name))
		return "the name is not of letters, digits, '-', '_' and '.'";
	memcpy(r->public_key, m->public_key.data, KEY_LEN);
	memcpy(r->sign_key, m->sign_key.data, SIGN_KEY_LEN);
	memcpy(r->name, m->name, strlen(m->name) + 1);
	r->has_token = m->token.len;
	if (r->has_token)
		memcpy(r->token, m->token.data, KEY_LEN);
	return NULL;
}

/* Unpack, fill, free: the same for every kind. */
#define BODY(Name, fill, member)							\
	do {										\
		Meshd__Exchange__##Name *m = meshd__exchange__##fill##__unpack(NULL, len, body);	\
		const char *why = m ? fill##_fill(&i->member, m) : malformed;		\
											\
		if (m)									\
			meshd__exchange__##fill##__free_unpacked(m, NULL);		\
		return why;								\
	} while (0)

const char *item_body_read(struct item *i, const uint8_t *body, size_t len)
{
	static const char malformed[] = "it is malformed";

	switch (i->kind) {
	case ITEM_NODE:
		BODY(Node, node, node);
	case ITEM_SELF:
		BODY(Self, self, self);
	case ITEM_REVOCATION:
		BODY(Revocation, revocation, revocation);
	case ITEM_DELEGATION:
		BODY(Delegation, delegation, delegation);
	case ITEM_RELEASE:
		BODY(Release, release, release);
	case ITEM_MESH_KEY:
		BODY(MeshKey, mesh_key, mesh_key);
	case ITEM_INVITATION:
		BODY(Invitation, invitation, invitation);
	case ITEM_JOIN_REQUEST:
		BODY(JoinRequest, join_request, join_request);
	case ITEM_KINDS:
		break;
	}
	return "it is of a kind of a later version";
}
