/* SPDX-License-Identifier: MIT */
/*
 * What this node announces as its own: the addresses of its interface, each as a host route, and what "Redistribute" lines choose of
 * the kernel's routes and of peers' allowed IPs.
 *
 * Whenever one of these changes the whole list is made again, sorted, and compared with the one before: the speaker hears of the
 * differences alone. The first Redistribute line that matches a route decides; then filters have their say (babel/filter.h). Of two
 * that come to the same prefix pair the lower metric is announced.
 */
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "node/mesh.h"
#include "node/routing_inside.h"

struct list {
	const struct node *n;
	struct originated *v;
	size_t count, size;
	size_t left_out;		/* there are more than we announce */
	bool failed;
};

static void add(struct list *l, const struct prefix_pair *p, uint16_t metric, const char *iface)
{
	const struct babel_settings *s = &l->n->routing->settings;
	const struct babel_filter_route route = { .prefix = p, .iface = iface };
	struct originated *v;
	size_t size = l->size ? 2 * l->size : 16;

	metric = babel_filter_metric(s->filters, s->filter_count, BABEL_FILTER_REDISTRIBUTE, &route, metric);
	if (metric == BABEL_INFINITY)
		return;
	if (l->count == ROUTING_ORIGINATED_MAX) {
		l->left_out++;
		return;
	}
	if (l->count == l->size) {
		v = realloc(l->v, size * sizeof(*v));
		if (!v) {
			l->failed = true;
			return;
		}
		l->v = v;
		l->size = size;
	}
	l->v[l->count++] = (struct originated){ .prefix = *p, .metric = metric };
}

static unsigned int kind_of(uint8_t protocol)
{
	switch (protocol) {
	case 2:		/* RTPROT_KERNEL */
		return REDISTRIBUTE_CONNECTED;
	case 3:		/* RTPROT_BOOT */
	case 4:		/* RTPROT_STATIC */
		return REDISTRIBUTE_STATIC;
	default:
		return REDISTRIBUTE_KERNEL;
	}
}

static bool takes_prefix(const struct babel_redistribute *d, const struct ip_prefix *dst)
{
	return d->prefix.addr.family == IP_NONE || (ip_prefix_contains(&d->prefix, dst) && dst->len <= d->len_max);
}

/* Of any source where the line names none. */
static struct prefix_pair announced_as(const struct babel_redistribute *d, const struct prefix_pair *p)
{
	struct prefix_pair as = *p;

	if (d->from.len && d->from.addr.family == p->dst.addr.family)
		as.src = d->from;
	return as;
}

static void add_kernel_route(struct list *l, const struct kernel_route *k)
{
	const struct babel_settings *s = &l->n->routing->settings;

	for (size_t i = 0; i < s->redistribute_count; i++) {
		const struct babel_redistribute *d = &s->redistributes[i];
		struct prefix_pair as = announced_as(d, &k->prefix);

		if (!takes_prefix(d, &k->prefix.dst) || !(d->kinds & kind_of(k->protocol)) ||
		    (d->proto >= 0 && d->proto != k->protocol) || (d->iface[0] && strcmp(d->iface, k->iface)))
			continue;
		add(l, &as, d->metric, k->iface);
		return;
	}
}

/* Allowed IPs are routes into the mesh; a line names them by their prefix, so that "static" alone does not give them away. */
static bool add_allowed(void *ctx, const struct ip_prefix *p, void *value)
{
	struct list *l = ctx;
	const struct babel_settings *s = &l->n->routing->settings;
	const struct prefix_pair pair = prefix_pair_any(p);

	/* A device behind us has nobody else to speak for it. */
	if (container_of((struct lane_peer *)value, struct peer, data)->mesh.device) {
		add(l, &pair, 0, "");
		return !l->failed;
	}
	for (size_t i = 0; i < s->redistribute_count; i++) {
		const struct babel_redistribute *d = &s->redistributes[i];
		struct prefix_pair as = announced_as(d, &pair);

		if (d->prefix.addr.family == IP_NONE || !takes_prefix(d, p) || d->iface[0] || d->proto >= 0)
			continue;
		add(l, &as, d->metric, "");
		break;
	}
	return !l->failed;
}

static void add_address(struct list *l, const struct ip_prefix *address)
{
	struct prefix_pair pair = prefix_pair_any(address);

	if (ip_addr_is_link_local(&address->addr))
		return;
	pair.dst.len = (uint8_t)ip_family_bits(address->addr.family);
	add(l, &pair, 0, "");
}

/* Of plain devices behind us, by the mesh's records. */
static void add_device(void *ctx, const struct ip_prefix *p)
{
	struct prefix_pair pair = prefix_pair_any(p);

	add(ctx, &pair, 0, "");
}

static int by_prefix(const void *a, const void *b)
{
	const struct originated *x = a, *y = b;
	int order = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));

	return order ? order : (int)x->metric - (int)y->metric;
}

static void sort_unique(struct list *l)
{
	size_t kept = 0;

	if (!l->count)
		return;
	qsort(l->v, l->count, sizeof(*l->v), by_prefix);
	for (size_t i = 0; i < l->count; i++)
		if (!kept || !prefix_pair_equal(&l->v[kept - 1].prefix, &l->v[i].prefix))
			l->v[kept++] = l->v[i];
	l->count = kept;
}

/* Tell the speaker what is in one list and not the other. Both are sorted. What it had no room for goes out of the new one: to be told again. */
static void tell(struct routing *r, struct list *l, struct instant now)
{
	size_t i = 0, k = 0, kept = 0;

	while (i < r->originated_count || k < l->count) {
		const struct originated *old = i < r->originated_count ? &r->originated[i] : NULL;
		const struct originated *new = k < l->count ? &l->v[k] : NULL;
		int order = !old ? 1 : !new ? -1 : memcmp(&old->prefix, &new->prefix, sizeof(old->prefix));

		if (order < 0)
			babel_withdraw(r->babel, &old->prefix, now);
		else if ((order == 0 && old->metric == new->metric) || babel_originate(r->babel, &new->prefix, new->metric, now))
			l->v[kept++] = *new;
		i += order <= 0;
		k += order >= 0;
	}
	l->left_out += l->count - kept;
	l->count = kept;
}

bool redistribute(struct node *n, struct instant now)
{
	struct routing *r = n->routing;
	struct list l = { .n = n };

	if (!r->babel || r->stopped)
		return true;
	for (size_t i = 0; i < r->address_count; i++)
		add_address(&l, &r->addresses[i]);
	for (size_t i = 0; i < r->kernel_route_count; i++)
		add_kernel_route(&l, &r->kernel_routes[i]);
	lpm_walk(&n->allowed, add_allowed, &l);
	node_mesh_devices(n, add_device, &l);
	if (l.failed) {
		free(l.v);
		return false;
	}
	sort_unique(&l);
	tell(r, &l, now);
	if (l.left_out && !r->left_out)
		log_warning(&n->log, "Babel: %zu prefixes of ours are not announced, there is no room for so many", l.left_out);
	r->left_out = l.left_out;
	free(r->originated);
	r->originated = l.v;
	r->originated_count = l.count;
	return true;
}

void redistribute_forget(struct routing *r)
{
	free(r->originated);
	r->originated = NULL;
	r->originated_count = 0;
}
