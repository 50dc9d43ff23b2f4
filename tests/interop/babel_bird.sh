#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# meshd's Babel with BIRD: as the middle one and at both ends, over cables and through a tunnel of wireguard-go's; IPv6, IPv4,
# source-specific routes, authentication and a change of keys without a restart; retraction, restart, kill -9, a cut cable; five hundred
# prefixes at MTU 1280. The stage: babel_lib.sh.
# shellcheck source=tests/interop/babel_lib.sh
. "$(dirname "$0")/babel_lib.sh"

S=$SUBJECT
need "$S"
need bird
need wireguard-go

line a "$S bird $S" addr4
line b "bird $S bird" addr4
line c "$S bird $S" addr4 sadr
line d "bird $S bird" addr4 sadr
line e "$S bird $S" tunnel addr4
line f "bird $S bird" tunnel addr4
line h "$S bird" "key=$HMAC1" addr4
line i "$S bird" "key=$BLAKE1" addr4
line j "$S bird" "key=$HMAC1" addr4
KEYS[j2]=$HMAC2
line k "$S bird" many mtu=1280 addr4
line m "bird $S" many mtu=1280 addr4
ALL=(a b c d e f)

captures_begin a2-el a2-er b2-el b2-er c2-el d2-el h2-el i2-el j2-el k2-el m2-el
for c in k1 m2; do many_on "$c"; done # BIRD has its own in its configuration
lines_up "${LINES[@]}"
captures_begin e2-we2 f1-wf1
phase_begin "${ALL[@]}" h i
phase_time "begin"
phase_sadr c d
phase_wrong_key j
phase_time "source-specific, wrong key"
phase_many k m
phase_time "many prefixes"
phases_of_change "${ALL[@]}"
phases_of_keys h i
captures_end a2-el a2-er b2-el b2-er c2-el d2-el h2-el i2-el e2-we2 f1-wf1
check "every program is still there" all_alive
phase_time "captures"
tap_done
