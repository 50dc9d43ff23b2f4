/* SPDX-License-Identifier: MIT */
/*
 * Over a planned stop: what a speaker must know so that nobody notices that it is a new one. Neighbours were told nothing, so they go on
 * sending packets here, and the kernel has the routes for them.
 *
 * Feasibility distances (RFC 8966 2.4) are what keeps loops away: without them we might take a route that a neighbour has through us. And
 * Hellos must count on, for a jump says that the neighbour is another one now, and takes the link down until there are two (appendix A.1).
 * Both are text, a line each, for the driver to keep where it does not outlive the host:
 *
 *	meshd resume			at MICROSECONDS			router-id HEX
 *	hello SEQNO lan NAME		hello SEQNO link KEY		distance SEQNO METRIC HEX PREFIX [from PREFIX]
 *
 * Older than ROUTING_RESUME_US it is not taken: some neighbours hold nothing any more, and others may hold what is wrong. The next start is
 * then one as after a crash, with a retraction of all. Anything not understood makes the whole of it void.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/key.h"
#include "node/routing_inside.h"

enum {
	LINE_MAX_LEN = 256,
	HELLOS_MAX = BABEL_IFACES_MAX,
	DISTANCES_MAX = 1 << 18,
};

static const char first_line[] = "meshd resume";

void resume_done(struct resume *h)
{
	free(h->hellos);
	free(h->distances);
	*h = (struct resume){ 0 };
}

/* The owner of an interface, as a line has it. */
static void owner_of(const struct routing_iface *i, char out[64])
{
	memset(out, 0, 64);
	if (i->peer) {
		memcpy(out, "link ", 5);
		key_to_base64(out + 5, i->peer->public_key);
	} else {
		memcpy(out, "lan ", 4);
		memcpy(out + 4, i->lan.name, strlen(i->lan.name));
	}
}

_Static_assert(KEY_BASE64_MAX + 5 <= 64, "an owner fits");

/* --- writing --- */

static void add_id(struct text *t, const uint8_t id[BABEL_ROUTER_ID_LEN])
{
	for (size_t i = 0; i < BABEL_ROUTER_ID_LEN; i++)
		text_addf(t, "%02x", id[i]);
}

static void add_distance(void *ctx, const struct babel_distance *d)
{
	struct text *t = ctx;
	char pair[PAIR_TEXT_MAX];

	text_addf(t, "distance %u %u ", (unsigned int)d->seqno, (unsigned int)d->metric);
	add_id(t, d->router_id);
	text_addf(t, " %s\n", prefix_pair_format(&d->prefix, pair));
}

void node_routing_suspend(const struct node *n, struct text *out, struct instant now)
{
	const struct routing *r = n->routing;
	struct babel_iface_info info;
	char owner[64];

	if (!r->babel)
		return;
	text_addf(out, "%s\nat %lld\nrouter-id ", first_line, (long long)now.mono_us);
	add_id(out, babel_router_id(r->babel));
	text_add(out, "\n");
	for (size_t i = 0; babel_iface_at(r->babel, i, &info); i++) {
		owner_of(info.owner, owner);
		text_addf(out, "hello %u %s\n", (unsigned int)info.hello_seqno, owner);
	}
	babel_distances(r->babel, add_distance, out);
}

/* --- reading --- */

/* A decimal number up to 'max' and what follows it; NULL: there is none. */
static const char *read_number(const char *s, int64_t max, int64_t *out)
{
	const char *first = s;

	for (*out = 0; *s >= '0' && *s <= '9'; s++) {
		if (*out > (max - (*s - '0')) / 10)
			return NULL;
		*out = *out * 10 + (*s - '0');
	}
	return s > first ? s : NULL;
}

/* The same of sixteen bits and a space. */
static const char *read_u16(const char *s, uint16_t *out)
{
	int64_t value;

	s = read_number(s, UINT16_MAX, &value);
	*out = s ? (uint16_t)value : 0;
	return s && *s == ' ' ? s + 1 : NULL;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is behind it; NULL: there is no router-id. */
static const char *read_id(const char *s, uint8_t id[BABEL_ROUTER_ID_LEN])
{
	for (size_t i = 0; i < BABEL_ROUTER_ID_LEN; i++, s += 2) {
		int high = digit(s[0]), low = high < 0 ? -1 : digit(s[1]);

		if (low < 0)
			return NULL;
		id[i] = (uint8_t)(high << 4 | low);
	}
	return s;
}

static bool read_prefix(const char *s, struct ip_prefix *p)
{
	struct ip_prefix masked;

	if (!ip_prefix_parse(s, p))
		return false;
	masked = *p;
	ip_prefix_mask(&masked);
	return ip_prefix_equal(p, &masked);
}

static bool read_pair(char *s, struct prefix_pair *p)
{
	char *from = strchr(s, ' ');
	struct ip_prefix dst, src;

	if (from)
		*from++ = '\0';
	if (!read_prefix(s, &dst))
		return false;
	*p = prefix_pair_any(&dst);
	if (!from)
		return true;
	if (strncmp(from, "from ", 5) || !read_prefix(from + 5, &src) || src.addr.family != dst.addr.family)
		return false;
	p->src = src;
	return true;
}

/* Room for one more in a list that doubles; false: no memory, or it is full. */
static bool room(void **v, size_t count, size_t max, size_t width)
{
	void *bigger;

	if (count & (count - 1) || count == max)
		return count < max;
	bigger = realloc(*v, (count ? 2 * count : 1) * width);
	if (bigger)
		*v = bigger;
	return bigger;
}

static bool read_hello(struct resume *h, const char *s)
{
	struct resume_hello hello = { 0 };

	s = read_u16(s, &hello.seqno);
	if (!s || strlen(s) >= sizeof(hello.owner) || !room((void **)&h->hellos, h->hello_count, HELLOS_MAX, sizeof(*h->hellos)))
		return false;
	memcpy(hello.owner, s, strlen(s));
	h->hellos[h->hello_count++] = hello;
	return true;
}

static bool read_distance(struct resume *h, char *s)
{
	struct babel_distance d = { 0 };
	const char *at = read_u16(s, &d.seqno);

	at = at ? read_u16(at, &d.metric) : NULL;
	at = at ? read_id(at, d.router_id) : NULL;
	if (!at || *at != ' ' || !read_pair(s + (at + 1 - s), &d.prefix) ||
	    !room((void **)&h->distances, h->distance_count, DISTANCES_MAX, sizeof(*h->distances)))
		return false;
	h->distances[h->distance_count++] = d;
	return true;
}

/* One line of it, cut off. */
static bool read_line(struct resume *h, char *s, bool *has_id)
{
	const char *end;

	if (!strncmp(s, "hello ", 6))
		return read_hello(h, s + 6);
	if (!strncmp(s, "distance ", 9))
		return read_distance(h, s + 9);
	if (!strncmp(s, "at ", 3)) {
		end = read_number(s + 3, INT64_MAX / 2, &h->until_us);
		h->until_us += ROUTING_RESUME_US;
		return end && !*end;
	}
	if (strncmp(s, "router-id ", 10))
		return false;
	end = read_id(s + 10, h->router_id);
	*has_id = end && !*end;
	return *has_id;
}

static bool read_all(struct resume *h, const char *text)
{
	size_t len = strlen(first_line);
	char line[LINE_MAX_LEN];
	bool has_id = false;

	if (strncmp(text, first_line, len) || text[len] != '\n')
		return false;
	for (const char *s = text + len + 1, *end; *s; s = end + 1) {
		end = strchr(s, '\n');
		if (!end || end - s >= LINE_MAX_LEN)
			return false;
		memcpy(line, s, (size_t)(end - s));
		line[end - s] = '\0';
		if (!read_line(h, line, &has_id))
			return false;
	}
	return has_id && h->until_us;
}

bool node_routing_resume(struct node *n, const char *text, struct instant now)
{
	struct resume *h = &n->routing->resume;

	resume_done(h);
	/* One from the future is of another boot. */
	if (read_all(h, text) && now.mono_us <= h->until_us && h->until_us - now.mono_us <= ROUTING_RESUME_US)
		return true;
	resume_done(h);
	return false;
}

/* --- use --- */

bool resume_fits(const struct routing *r, const uint8_t router_id[BABEL_ROUTER_ID_LEN])
{
	const struct resume *h = &r->resume;

	return h->until_us && r->now.mono_us <= h->until_us && !memcmp(h->router_id, router_id, BABEL_ROUTER_ID_LEN);
}

bool resume_restore(struct routing *r, struct babel *b)
{
	struct resume *h = &r->resume;

	for (size_t i = 0; i < h->distance_count; i++)
		if (!babel_restore_distance(b, &h->distances[i], r->now))
			return false;
	free(h->distances);
	h->distances = NULL;
	h->distance_count = 0;
	return true;
}

/* With what a planned stop left, or else, and when there is no memory for it, as after a crash. */
struct babel *resume_speaker(struct node *n, struct babel_config *c)
{
	struct routing *r = n->routing;
	bool clean = c->clean;
	struct babel *b;

	c->clean = true;
	b = resume_fits(r, c->router_id) ? babel_new(c, &n->rng, &n->log) : NULL;
	if (b && resume_restore(r, b))
		return b;
	babel_free(b);
	resume_done(&r->resume);
	c->clean = clean;
	return babel_new(c, &n->rng, &n->log);
}

/* Once for each: an interface that goes and comes begins as any. */
void resume_iface(struct routing *r, struct routing_iface *i)
{
	struct resume *h = &r->resume;
	char owner[64];

	if (!i->babel || !h->until_us || r->now.mono_us > h->until_us)
		return;
	owner_of(i, owner);
	for (size_t k = 0; k < h->hello_count; k++) {
		if (strcmp(h->hellos[k].owner, owner))
			continue;
		babel_iface_resume(i->babel, h->hellos[k].seqno);
		h->hellos[k] = h->hellos[--h->hello_count];
		return;
	}
}
