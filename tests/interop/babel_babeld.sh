#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# meshd's Babel with babeld: as the middle one and at both ends, over cables and through a tunnel of wireguard-go's; IPv6, IPv4 with and
# without addresses, source-specific routes, authentication and a change of keys, the delay metric; retraction, restart, kill -9, a cut
# cable; five hundred prefixes at MTU 1280. The stage: babel_lib.sh.
# shellcheck source=tests/interop/babel_lib.sh
. "$(dirname "$0")/babel_lib.sh"

S=$SUBJECT
need "$S"
need babeld
need wireguard-go

line a "$S babeld $S" addr4 sadr
line b "babeld $S babeld" addr4 sadr
line c "$S babeld $S" via6
line d "babeld $S babeld" via6
line e "$S babeld $S" tunnel addr4
line f "babeld $S babeld" tunnel via6 sadr
line g "$S babeld" tunnel rtt delay via6
line h "$S babeld" "key=$HMAC1" addr4
line i "$S babeld" "key=$BLAKE1" addr4
line j "$S babeld" "key=$HMAC1" addr4
KEYS[j2]=$HMAC2
line k "$S babeld" many mtu=1280
line m "babeld $S" many mtu=1280
ALL=(a b c d e f)

captures_begin a2-el a2-er b2-el b2-er d2-el h2-el i2-el j2-el k2-el m2-el
for c in k1 k2 m1 m2; do many_on "$c"; done
lines_up "${LINES[@]}"
captures_begin e2-we2 f1-wf1 g2-wg2
phase_begin "${ALL[@]}" g h i
phase_time "begin"
phase_sadr a b f
phase_wrong_key j
phase_time "source-specific, wrong key"
phase_many k m
phase_time "many prefixes"
phases_of_change "${ALL[@]}"
phases_of_keys h i

# The delay metric: the tunnel takes 30 ms each way. babeld's first sample counts double, and it forgets slowly.
delay_known() {
	babeld_rtt=$(babeld_dump g2 | sed -n 's/.*add neighbour .* rtt \([0-9]*\)\.[0-9]* .*/\1/p')
	((${babeld_rtt:-0} > 0))
}
wait_for "$SOON_S" delay_known
at_least "g: babeld measures the delay of the tunnel, in ms" "${babeld_rtt:-0}" 55
if subject_is meshd; then
	rtt=$(in_ns g1 "$MESHD" routes wg1 --neighbours --json | jq '[.. | .rtt_us? // empty][0]')
	at_least "g: meshd does so, in us" "$rtt" 55000
	at_most "g:   and no more than it is" "$rtt" 115000 # less than twice
	at_least "g:   and its route costs more for that" "$(in_ns g1 "$MESHD" routes wg1 --json |
		jq --arg p "fd61:${NUMBER[g2]}::/64" '.routes[] | select(.prefix == $p and .selected).metric')" 110
fi

captures_end a2-el a2-er b2-el b2-er d2-el h2-el i2-el e2-we2 f1-wf1 g2-wg2
check "every program is still there" all_alive
phase_time "captures"
tap_done
