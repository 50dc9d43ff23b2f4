#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An endpoint whose route leads into our own TUN: refused and counted, not sent round; works again when the routes change.
# Stage: pair_stage in lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
# The only path there is: any other would be taken.
ip_ns a address del fd09::1/64 dev ea
pair_conf 4
meshd_up a wga >/dev/null 2>&1 && meshd_up b wgb >/dev/null 2>&1
check "a session, as long as the route is right" reach a 192.168.9.2
is "  status: no loop" "$(status a wga '.peers[0].endpoint_loops')" false

looping() { [[ $(status a wga '.peers[0].endpoint_loops') == true ]]; }
straight() { ! looping; }
counted() { drops a wga endpoint_loop; }
is "  and nothing counted" "$(counted)" 0

in_ns a wg set wga peer "$(public b)" allowed-ips 192.168.9.2/32,fd09:9::2/128,10.9.0.2/32
ip_ns a route add 10.9.0.2/32 dev wga
check "the route to the endpoint leads into the TUN: status says so" wait_for 5 looping
tun_tx() { in_ns a cat /sys/class/net/wga/statistics/tx_packets; }
before=$(tun_tx)
check "  packets for the peer do not pass" silent a 192.168.9.2
at_least "  they are counted" "$(counted)" 1
at_most "  and nothing went round and round" $(($(tun_tx) - before)) 50
like "  status in words says it" "$(in_ns a "$MESHD" status wga)" 'not used: its route leads into wga itself'

ip_ns a route del 10.9.0.2/32 dev wga
check "the route is right again: status says so" wait_for 5 straight
check "  and packets pass" reach a 192.168.9.2
tap_done
