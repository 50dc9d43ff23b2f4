/* SPDX-License-Identifier: MIT */
#ifndef MESHD_WIRE_MSS_H
#define MESHD_WIRE_MSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MSS_HEADERS4 = 40,	/* IP and TCP, without options: what an MSS is less than an MTU (RFC 9293 3.7.1) */
	MSS_HEADERS6 = 60,
};

/*
 * Make the MSS option of a TCP SYN 'max' where it says more; its checksum is repaired, if it is complete ('partial' sums, of the pseudo-header
 * alone, do not have it in them). Everything else is left alone: other packets, fragments, IPv6 with extension headers, and segments without the
 * option or with options that make no sense. True: something was changed.
 */
bool mss_clamp(uint8_t *packet, size_t len, uint16_t max, bool partial);

#endif
