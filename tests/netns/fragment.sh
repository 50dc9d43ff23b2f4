#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An underlay with a smaller MTU than the tunnel needs: outer fragments, as with WireGuard; DF is clear on the outer packet
# whatever the inner one says, and path MTU errors from the way are heeded. r is a router whose second cable is narrow:
#
#	a: ea 10.9.1.1 --- ra r rb --- eb 10.9.2.2 :b
#	      1500              1300
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

key a b
ns_add a r b
veth a ea r ra
veth r rb b eb
address a ea 10.9.1.1/24 fd09:1::1/64
address r ra 10.9.1.254/24 fd09:1::fe/64
address r rb 10.9.2.254/24 fd09:2::fe/64
address b eb 10.9.2.2/24 fd09:2::2/64
in_ns r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip_ns a route add default via 10.9.1.254
ip_ns b route add default via 10.9.2.254
ip_ns a -6 route add default via fd09:1::fe
ip_ns b -6 route add default via fd09:2::fe
pair_conf 4
sed -i 's/^Endpoint.*/Endpoint = 10.9.2.2:51821/; s/^Address = 192.168.9.1.*/&\nMTU = 1420/' "$WORK/wga.conf"
sed -i '/^Endpoint/d; s/^ListenPort.*/&\nMTU = 1420/' "$WORK/wgb.conf"
meshd_up a wga >/dev/null 2>&1 && meshd_up b wgb >/dev/null 2>&1
check "a session over IPv4" reach a 192.168.9.2
start b "$WORK/wire.log" tcpdump --immediate-mode -n -l -v -i eb 'ip proto 17 and dst 10.9.2.2'
dump=$STARTED
wait_for 5 grep -q listening "$WORK/wire.log"
check "full-size pings, inner DF set, while everything is wide" pings a 192.168.9.2 3 -s 1392 -M 'do'

ip_ns r link set rb mtu 1300
ip_ns b link set eb mtu 1300
check "the router's second cable is narrow: IPv4 fragments on the way, full-size pings pass" pings a 192.168.9.2 5 -s 1392 -M 'do' -i 0.2
check "  and from the other side" pings b 192.168.9.1 5 -s 1392 -M 'do' -i 0.2
sleep 0.3
stop "$dump"
like "  the wire shows fragments" "$(cat "$WORK/wire.log")" 'flags \[\+\]'
unlike "  and never DF" "$(cat "$WORK/wire.log")" 'flags \[DF\]'

ip_ns a link set ea mtu 1290
ip_ns r link set ra mtu 1290
check "our own cable is narrow as well: we fragment" pings a 192.168.9.2 5 -s 1392 -M 'do' -i 0.2
check "  TCP passes" iperf b 192.168.9.2 a

ip_ns a link set ea mtu 1500
ip_ns r link set ra mtu 1500
in_ns a wg set wga peer "$(public b)" endpoint '[fd09:2::2]:51821'
check "a session over IPv6" reach a fd09:9::2
# The router answers "packet too big" to the first; the kernel then fragments at the source.
wait_for 8 in_ns a ping -n -c 1 -W 1 -s 1392 -M 'do' 192.168.9.2
check "IPv6 underlay, narrow on the way: full-size pings pass once the path's MTU is known" pings a 192.168.9.2 5 -s 1392 -M 'do' -i 0.2
check "  TCP passes" iperf b fd09:9::2 a
tap_done
