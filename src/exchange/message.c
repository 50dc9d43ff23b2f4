/* SPDX-License-Identifier: MIT */
/*
 * The messages of the exchange, to structs and back (doc/protocol.md, "Exchange"). protobuf-c sees to the form; here every length is held to its bound, ids to their order and pieces to the
 * whole they are of, so that nobody behind has to ask again. A message without a kind that we know is one of a later meshd, and no fault. No state.
 */
#include "exchange/message.h"

#include <string.h>

#include "base/bytes.h"
#include "exchange/item_inside.h"
#include "exchange/token.h"
#include "wire/mesh.h"

static bool fixed(uint8_t *out, const ProtobufCBinaryData *b, size_t len)
{
	if (!item_bytes_are(b, len))
		return false;
	memcpy(out, b->data, len);
	return true;
}

static bool key_read(uint8_t out[KEY_LEN], const ProtobufCBinaryData *b)
{
	return fixed(out, b, KEY_LEN) && !crypto_is_zero(out, KEY_LEN);
}

static bool summary_read(struct message *m, const Meshd__Exchange__Summary *p)
{
	m->kind = MESSAGE_SUMMARY;
	m->summary.items = p->items;
	return fixed(m->summary.digest, &p->digest, MESSAGE_DIGEST_LEN);
}

static bool digests_read(struct message *m, const Meshd__Exchange__Digests *p)
{
	m->kind = MESSAGE_DIGESTS;
	return fixed(m->digests.v[0], &p->digests, sizeof(m->digests.v));
}

static bool ids_read(uint8_t (*ids)[ITEM_SHORT_ID], size_t *count, size_t max, const ProtobufCBinaryData *b)
{
	if (b->len % ITEM_SHORT_ID || b->len / ITEM_SHORT_ID > max)
		return false;
	*count = b->len / ITEM_SHORT_ID;
	if (b->len)
		memcpy(ids[0], b->data, b->len);
	return true;
}

static bool list_read(struct message *m, const Meshd__Exchange__List *p)
{
	const uint8_t *before = m->list.first;

	m->kind = MESSAGE_LIST;
	m->list.answer = p->answer;
	if (!fixed(m->list.first, &p->first, ITEM_SHORT_ID) || !fixed(m->list.last, &p->last, ITEM_SHORT_ID) ||
	    !ids_read(m->list.ids, &m->list.count, MESSAGE_IDS_MAX, &p->ids) || memcmp(m->list.first, m->list.last, ITEM_SHORT_ID) > 0)
		return false;
	for (size_t i = 0; i < m->list.count; i++) {
		int c = memcmp(before, m->list.ids[i], ITEM_SHORT_ID);

		if (i ? c >= 0 : c > 0)
			return false;
		before = m->list.ids[i];
	}
	return memcmp(before, m->list.last, ITEM_SHORT_ID) <= 0;
}

static bool want_read(struct message *m, const Meshd__Exchange__Want *p)
{
	m->kind = MESSAGE_WANT;
	m->want.offset = p->offset;
	return p->offset < ITEM_MAX && ids_read(m->want.ids, &m->want.count, MESSAGE_WANT_MAX, &p->ids) && m->want.count;
}

/* Into 'keep', which the bytes of one message fit into. */
static const uint8_t *keep_data(uint8_t keep[MESSAGE_MAX], const ProtobufCBinaryData *b)
{
	if (b->len)
		memcpy(keep, b->data, b->len);
	return keep;
}

/* Whether 'len' bytes from 'offset' on are part of 'total', at most 'max'. */
static bool is_part(uint32_t total, uint32_t offset, size_t len, uint32_t max)
{
	return total <= max && offset <= total && len <= total - offset;
}

static bool piece_read(struct message *m, const Meshd__Exchange__Piece *p, uint8_t keep[MESSAGE_MAX])
{
	m->kind = MESSAGE_PIECE;
	m->piece.total = p->total;
	m->piece.offset = p->offset;
	m->piece.len = p->data.len;
	if (!fixed(m->piece.id, &p->id, ITEM_SHORT_ID) || p->data.len == 0 || p->data.len > MESSAGE_PIECE_MAX ||
	    !is_part(p->total, p->offset, p->data.len, ITEM_MAX))
		return false;
	m->piece.data = keep_data(keep, &p->data);
	return true;
}

static bool punch_read(struct message *m, const Meshd__Exchange__Punch *p)
{
	m->kind = MESSAGE_ROUTED_PUNCH;
	m->punch.answer = p->answer;
	m->punch.count = p->n_endpoints;
	if (p->n_endpoints > MESSAGE_PUNCH_MAX)
		return false;
	for (size_t i = 0; i < p->n_endpoints; i++)
		if (!item_endpoint_read(&m->punch.endpoints[i], p->endpoints[i]))
			return false;
	return true;
}

static bool join_read(struct message *m, const Meshd__Exchange__JoinPiece *p, uint8_t keep[MESSAGE_MAX])
{
	m->join.answer = p->answer;
	m->join.total = p->total;
	m->join.offset = p->offset;
	m->join.want = p->want;
	m->join.len = p->data.len;
	if (!key_read(m->join.token, &p->token) || p->want > JOIN_MAX || !is_part(p->total, p->offset, p->data.len, JOIN_MAX))
		return false;
	m->join.data = keep_data(keep, &p->data);
	return true;
}

static bool routed_read(struct message *m, const Meshd__Exchange__Routed *p, uint8_t keep[MESSAGE_MAX])
{
	if (!key_read(m->to, &p->to) || !key_read(m->from, &p->from) || p->hops > MESSAGE_HOPS_MAX)
		return false;
	m->hops = (uint8_t)p->hops;
	if (p->content_case == MESHD__EXCHANGE__ROUTED__CONTENT_PUNCH)
		return punch_read(m, p->punch);
	if (p->content_case == MESHD__EXCHANGE__ROUTED__CONTENT_JOIN) {
		m->kind = MESSAGE_ROUTED_JOIN;
		return join_read(m, p->join, keep);
	}
	return true;
}

static bool any_read(struct message *m, const Meshd__Exchange__Message *p, uint8_t keep[MESSAGE_MAX])
{
	switch (p->kind_case) {
	case MESHD__EXCHANGE__MESSAGE__KIND_SUMMARY:
		return summary_read(m, p->summary);
	case MESHD__EXCHANGE__MESSAGE__KIND_DIGESTS:
		return digests_read(m, p->digests);
	case MESHD__EXCHANGE__MESSAGE__KIND_LIST:
		return list_read(m, p->list);
	case MESHD__EXCHANGE__MESSAGE__KIND_WANT:
		return want_read(m, p->want);
	case MESHD__EXCHANGE__MESSAGE__KIND_PIECE:
		return piece_read(m, p->piece, keep);
	case MESHD__EXCHANGE__MESSAGE__KIND_ROUTED:
		return routed_read(m, p->routed, keep);
	case MESHD__EXCHANGE__MESSAGE__KIND_JOIN:
		m->kind = MESSAGE_JOIN;
		return join_read(m, p->join, keep);
	case MESHD__EXCHANGE__MESSAGE__KIND__NOT_SET:
	default:
		return true;
	}
}

bool message_read(struct message *m, const uint8_t *msg, size_t len, uint8_t keep[MESSAGE_MAX])
{
	Meshd__Exchange__Message *p;
	size_t inner;
	bool good;

	if (len < MESSAGE_HEADER || mesh_kind(msg, len) != MESH_EXCHANGE)
		return false;
	inner = get_le16(msg + 2);
	if (inner > len - MESSAGE_HEADER || inner > MESSAGE_MAX - MESSAGE_HEADER)
		return false;
	p = meshd__exchange__message__unpack(NULL, inner, msg + MESSAGE_HEADER);
	if (!p)
		return false;
	memset(m, 0, sizeof(*m));
	m->size = MESSAGE_HEADER + inner;
	good = any_read(m, p, keep);
	meshd__exchange__message__free_unpacked(p, NULL);
	return good;
}

static ProtobufCBinaryData data_of(const uint8_t *bytes, size_t len)
{
	return (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)bytes };
}

static size_t finish(uint8_t out[MESSAGE_MAX], const Meshd__Exchange__Message *p)
{
	size_t len = meshd__exchange__message__get_packed_size(p);

	if (len > MESSAGE_MAX - MESSAGE_HEADER)
		return 0;
	out[0] = MESH_EXCHANGE;
	out[1] = 0;
	put_le16(out + 2, (uint16_t)len);
	meshd__exchange__message__pack(p, out + MESSAGE_HEADER);
	return MESSAGE_HEADER + len;
}

static size_t summary_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__Summary s = MESHD__EXCHANGE__SUMMARY__INIT;

	s.digest = data_of(m->summary.digest, MESSAGE_DIGEST_LEN);
	s.items = m->summary.items;
	p->kind_case = MESHD__EXCHANGE__MESSAGE__KIND_SUMMARY;
	p->summary = &s;
	return finish(out, p);
}

static size_t digests_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__Digests d = MESHD__EXCHANGE__DIGESTS__INIT;

	d.digests = data_of(m->digests.v[0], sizeof(m->digests.v));
	p->kind_case = MESHD__EXCHANGE__MESSAGE__KIND_DIGESTS;
	p->digests = &d;
	return finish(out, p);
}

static size_t list_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__List l = MESHD__EXCHANGE__LIST__INIT;

	if (m->list.count > MESSAGE_IDS_MAX)
		return 0;
	l.first = data_of(m->list.first, ITEM_SHORT_ID);
	l.last = data_of(m->list.last, ITEM_SHORT_ID);
	l.ids = data_of(m->list.ids[0], m->list.count * ITEM_SHORT_ID);
	l.answer = m->list.answer;
	p->kind_case = MESHD__EXCHANGE__MESSAGE__KIND_LIST;
	p->list = &l;
	return finish(out, p);
}

static size_t want_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__Want w = MESHD__EXCHANGE__WANT__INIT;

	if (m->want.count > MESSAGE_WANT_MAX)
		return 0;
	w.ids = data_of(m->want.ids[0], m->want.count * ITEM_SHORT_ID);
	w.offset = m->want.offset;
	p->kind_case = MESHD__EXCHANGE__MESSAGE__KIND_WANT;
	p->want = &w;
	return finish(out, p);
}

static size_t piece_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__Piece e = MESHD__EXCHANGE__PIECE__INIT;

	if (m->piece.len > MESSAGE_PIECE_MAX)
		return 0;
	e.id = data_of(m->piece.id, ITEM_SHORT_ID);
	e.total = m->piece.total;
	e.offset = m->piece.offset;
	e.data = data_of(m->piece.data, m->piece.len);
	p->kind_case = MESHD__EXCHANGE__MESSAGE__KIND_PIECE;
	p->piece = &e;
	return finish(out, p);
}

static void join_fill(Meshd__Exchange__JoinPiece *j, const struct message_join *m)
{
	j->token = data_of(m->token, KEY_LEN);
	j->answer = m->answer;
	j->total = m->total;
	j->offset = m->offset;
	j->want = m->want;
	j->data = data_of(m->data, m->len);
}

static size_t join_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__JoinPiece j = MESHD__EXCHANGE__JOIN_PIECE__INIT;

	join_fill(&j, &m->join);
	p->kind_case = MESHD__EXCHANGE__MESSAGE__KIND_JOIN;
	p->join = &j;
	return finish(out, p);
}

static size_t routed_finish(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Routed *r, Meshd__Exchange__Message *p)
{
	if (m->hops > MESSAGE_HOPS_MAX)
		return 0;
	r->to = data_of(m->to, KEY_LEN);
	r->from = data_of(m->from, KEY_LEN);
	r->hops = m->hops;
	p->kind_case = MESHD__EXCHANGE__MESSAGE__KIND_ROUTED;
	p->routed = r;
	return finish(out, p);
}

static size_t routed_join_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__Routed r = MESHD__EXCHANGE__ROUTED__INIT;
	Meshd__Exchange__JoinPiece j = MESHD__EXCHANGE__JOIN_PIECE__INIT;

	join_fill(&j, &m->join);
	r.content_case = MESHD__EXCHANGE__ROUTED__CONTENT_JOIN;
	r.join = &j;
	return routed_finish(out, m, &r, p);
}

static size_t punch_write(uint8_t out[MESSAGE_MAX], const struct message *m, Meshd__Exchange__Message *p)
{
	Meshd__Exchange__Routed r = MESHD__EXCHANGE__ROUTED__INIT;
	Meshd__Exchange__Punch u = MESHD__EXCHANGE__PUNCH__INIT;
	Meshd__Exchange__Endpoint endpoints[MESSAGE_PUNCH_MAX], *list[MESSAGE_PUNCH_MAX];

	if (m->punch.count > MESSAGE_PUNCH_MAX)
		return 0;
	for (size_t i = 0; i < m->punch.count; i++) {
		item_endpoint_write(&endpoints[i], &m->punch.endpoints[i]);
		list[i] = &endpoints[i];
	}
	u.endpoints = list;
	u.n_endpoints = m->punch.count;
	u.answer = m->punch.answer;
	r.content_case = MESHD__EXCHANGE__ROUTED__CONTENT_PUNCH;
	r.punch = &u;
	return routed_finish(out, m, &r, p);
}

size_t message_write(uint8_t out[MESSAGE_MAX], const struct message *m)
{
	Meshd__Exchange__Message p = MESHD__EXCHANGE__MESSAGE__INIT;

	switch (m->kind) {
	case MESSAGE_SUMMARY:
		return summary_write(out, m, &p);
	case MESSAGE_DIGESTS:
		return digests_write(out, m, &p);
	case MESSAGE_LIST:
		return list_write(out, m, &p);
	case MESSAGE_WANT:
		return want_write(out, m, &p);
	case MESSAGE_PIECE:
		return piece_write(out, m, &p);
	case MESSAGE_ROUTED_PUNCH:
		return punch_write(out, m, &p);
	case MESSAGE_ROUTED_JOIN:
		return routed_join_write(out, m, &p);
	case MESSAGE_JOIN:
		return join_write(out, m, &p);
	case MESSAGE_NONE:
		break;
	}
	return 0;
}
