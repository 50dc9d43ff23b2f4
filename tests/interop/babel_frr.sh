#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# meshd's Babel with FRR's babeld: as the middle one and at both ends, over cables and through a tunnel of wireguard-go's; IPv6, IPv4;
# retraction, restart, kill -9, a cut cable; five hundred prefixes at MTU 1280. FRR has neither authentication nor source-specific routes.
# The stage: babel_lib.sh.
# shellcheck source=tests/interop/babel_lib.sh
. "$(dirname "$0")/babel_lib.sh"

S=$SUBJECT
need "$S"
need frr
need wireguard-go

line a "$S frr $S" addr4
line b "frr $S frr" addr4
line e "$S frr $S" tunnel addr4
line f "frr $S frr" tunnel addr4
line k "$S frr" many mtu=1280 addr4
line m "frr $S" many mtu=1280 addr4
ALL=(a b e f)

captures_begin a2-el a2-er b2-el b2-er k2-el m2-el
for c in k1 m2; do many_on "$c"; done # FRR has its own in its configuration
lines_up "${LINES[@]}"
captures_begin e2-we2 f1-wf1
phase_begin "${ALL[@]}"
phase_time "begin"
phase_many k m
phase_time "many prefixes"
phases_of_change "${ALL[@]}"
captures_end a2-el a2-er b2-el b2-er e2-we2 f1-wf1
check "every program is still there" all_alive
phase_time "captures"
tap_done
