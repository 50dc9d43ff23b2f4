/* SPDX-License-Identifier: MIT */
/*
 * The lists of what [Babel] says. They grow by doubling and keep no capacity, as those of a change do (node/change.c): a list is full
 * exactly when its count is zero or a power of two.
 *
 * Invariant: MAC keys (RFC 8967) lie in the list of interfaces, so memory a list leaves behind is wiped before it is freed; that is why
 * realloc() is not used.
 */
#include "node/babel_settings.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

const char *transit_mode_name(enum transit_mode mode)
{
	static const char *const names[TRANSIT_MODES] = {
		[TRANSIT_LANE] = "lane",
		[TRANSIT_KERNEL] = "kernel",
		[TRANSIT_OFF] = "off",
	};

	return names[mode];
}

const char *babel_link_type_name(enum babel_link_type type)
{
	static const char *const names[BABEL_LINK_TYPES] = {
		[BABEL_WIRED] = "wired",
		[BABEL_WIRELESS] = "wireless",
		[BABEL_TUNNEL] = "tunnel",
	};

	return names[type];
}

/* What a list of 'count' has room for. */
static size_t room_of(size_t count)
{
	size_t room = 1;

	while (room < count)
		room *= 2;
	return room;
}

static void drop_list(void *list, size_t count, size_t item_size)
{
	if (list)
		crypto_wipe(list, count * item_size);
	free(list);
}

/* A list with one zeroed item more in the place of '*list', and that item; NULL: no memory, or 'max' are there. */
static void *add_item(void **list, size_t *count, size_t item_size, size_t max)
{
	uint8_t *bigger = *list;

	if (*count >= max)
		return NULL;
	if ((*count & (*count - 1)) == 0) {
		bigger = malloc(room_of(*count + 1) * item_size);
		if (!bigger)
			return NULL;
		if (*count)
			memcpy(bigger, *list, *count * item_size);
		drop_list(*list, *count, item_size);
		*list = bigger;
	}
	memset(bigger + *count * item_size, 0, item_size);
	return bigger + (*count)++ * item_size;
}

struct babel_lan *babel_settings_add_lan(struct babel_settings *s)
{
	void *list = s->lans;
	struct babel_lan *l = add_item(&list, &s->lan_count, sizeof(*l), BABEL_LANS_MAX);

	s->lans = list;
	if (l)
		l->rtt = l->split_horizon = -1;
	return l;
}

struct babel_redistribute *babel_settings_add_redistribute(struct babel_settings *s)
{
	void *list = s->redistributes;
	struct babel_redistribute *r = add_item(&list, &s->redistribute_count, sizeof(*r), BABEL_REDISTRIBUTES_MAX);

	s->redistributes = list;
	if (r)
		r->proto = -1;
	return r;
}

struct babel_filter *babel_settings_add_filter(struct babel_settings *s)
{
	void *list = s->filters;
	struct babel_filter *f = add_item(&list, &s->filter_count, sizeof(*f), BABEL_FILTERS_MAX);

	s->filters = list;
	return f;
}

/* NULL for an empty list, and with '*good' false where there is no memory. */
static void *copy_list(const void *from, size_t count, size_t item_size, bool *good)
{
	void *to;

	if (!count)
		return NULL;
	to = malloc(room_of(count) * item_size);
	if (to)
		memcpy(to, from, count * item_size);
	else
		*good = false;
	return to;
}

bool babel_settings_copy(struct babel_settings *to, const struct babel_settings *from)
{
	bool good = true;

	*to = *from;
	to->lans = copy_list(from->lans, from->lan_count, sizeof(*to->lans), &good);
	to->redistributes = copy_list(from->redistributes, from->redistribute_count, sizeof(*to->redistributes), &good);
	to->filters = copy_list(from->filters, from->filter_count, sizeof(*to->filters), &good);
	if (!good)
		babel_settings_done(to);
	return good;
}

void babel_settings_done(struct babel_settings *s)
{
	drop_list(s->lans, s->lan_count, sizeof(*s->lans));
	free(s->redistributes);
	free(s->filters);
	memset(s, 0, sizeof(*s));
}
