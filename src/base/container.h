/* SPDX-License-Identifier: MIT */
#ifndef MESHD_BASE_CONTAINER_H
#define MESHD_BASE_CONTAINER_H

#include <stddef.h>

/* The struct of 'type' whose 'member' is at 'ptr'. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#endif
