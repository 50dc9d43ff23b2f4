/* SPDX-License-Identifier: MIT */
#ifndef MESHD_NODE_CONFIG_PATHS_H
#define MESHD_NODE_CONFIG_PATHS_H

#include "node/config_keys.h"
#include "path/terms.h"

/* Keys about paths, as struct config_key has setters. */
bool config_add_endpoint(struct config_parser *p, char *value);
bool config_add_uplink(struct config_parser *p, char *value);
bool config_set_path_spread(struct config_parser *p, char *value);
bool config_set_mss_clamp(struct config_parser *p, char *value);

/* What stands behind an Endpoint or Uplink, up to the end of its line. */
void config_format_terms(const struct path_terms *terms, struct text *out);

#endif
