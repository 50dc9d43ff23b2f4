/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_CONFIG_BABEL_H
#define MESHD_NODE_CONFIG_BABEL_H

#include <stdbool.h>

#include "base/text.h"

struct babel_settings;
struct config_parser;

/* The keys of [Babel], as config_keys.h wants setters. */
bool config_add_babel_interface(struct config_parser *p, char *value);
bool config_add_redistribute(struct config_parser *p, char *value);
bool config_add_filter(struct config_parser *p, char *value);
bool config_set_hello_interval(struct config_parser *p, char *value);
bool config_set_router_id(struct config_parser *p, char *value);

/* The section as text, with its keys' secrets; nothing if there is none. */
void config_format_babel(const struct babel_settings *s, struct text *out);

#endif
