#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An underlay with a smaller MTU than the tunnel needs: outer fragments, as with WireGuard; DF is clear on the outer packet
# whatever the inner one says, and path MTU errors from the way are heeded. That is so for plain peers (FlowSessions = 0). Those that speak paths
# find out how much fits: then senders are told, and what may be cut is cut inside. r is a router whose second cable is narrow:
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
# told NS ADDRESS: a ping that does not fit is refused for its length, by the kernel or by ICMP.
told() { in_ns "$1" ping -n -c 1 -W 1 -M 'do' -s 1392 "$2" 2>&1 | grep -qiE 'frag needed|message too long'; }

for sessions in 0 32; do
	df=do
	((sessions == 0)) || df=dont
	pair_conf 4
	sed -i 's/^Endpoint.*/Endpoint = 10.9.2.2:51821/; s/^Address = 192.168.9.1.*/&\nMTU = 1420/' "$WORK/wga.conf"
	sed -i '/^Endpoint/d; s/^ListenPort.*/&\nMTU = 1420/' "$WORK/wgb.conf"
	sed -i "s/^ListenPort.*/&\nFlowSessions = $sessions/" "$WORK/wga.conf" "$WORK/wgb.conf"
	meshd_up a wga >/dev/null 2>&1 && meshd_up b wgb >/dev/null 2>&1
	check "FlowSessions = $sessions: a session over IPv4" reach a 192.168.9.2
	start b "$WORK/wire.log" tcpdump --immediate-mode -n -l -v -i eb 'ip proto 17 and dst 10.9.2.2'
	dump=$STARTED
	wait_for 5 grep -q listening "$WORK/wire.log"
	check "full-size pings, inner DF set, while everything is wide" pings a 192.168.9.2 3 -s 1392 -M 'do'

	ip_ns r link set rb mtu 1300
	ip_ns b link set eb mtu 1300
	if ((sessions)); then
		check "the router's second cable is narrow: who sends more than fits, not to be cut, is told" wait_for 5 told a 192.168.9.2
		check "  and on the other side" wait_for 5 told b 192.168.9.1
		check "  what may be cut passes" pings a 192.168.9.2 5 -s 1392 -M dont -i 0.2
		check "  from the other side" pings b 192.168.9.1 5 -s 1392 -M dont -i 0.2
	else
		check "the router's second cable is narrow: IPv4 fragments on the way, full-size pings pass" \
			pings a 192.168.9.2 5 -s 1392 -M 'do' -i 0.2
		check "  and from the other side" pings b 192.168.9.1 5 -s 1392 -M 'do' -i 0.2
	fi
	sleep 0.3
	stop "$dump"
	like "  the wire shows fragments" "$(cat "$WORK/wire.log")" 'flags \[\+\]'
	if ((sessions)); then
		at_least "  only probes have DF" "$(grep -A1 'flags \[DF\]' "$WORK/wire.log" | grep -c '51820 > .*51821: UDP')" 1
		is "  no data" "$(grep -A1 'flags \[DF\]' "$WORK/wire.log" | grep ' > ' | grep -vc '51820 > .*51821: UDP')" 0
	else
		unlike "  and never DF" "$(cat "$WORK/wire.log")" 'flags \[DF\]'
	fi

	ip_ns a link set ea mtu 1290
	ip_ns r link set ra mtu 1290
	check "our own cable is narrow as well: we fragment" pings a 192.168.9.2 5 -s 1392 -M "$df" -i 0.2
	check "  TCP passes" iperf b 192.168.9.2 a

	ip_ns a link set ea mtu 1500
	ip_ns r link set ra mtu 1500
	in_ns a wg set wga peer "$(public b)" endpoint '[fd09:2::2]:51821'
	check "a session over IPv6" reach a fd09:9::2
	# The router answers "packet too big" to the first; the kernel then fragments at the source.
	wait_for 8 in_ns a ping -n -c 1 -W 1 -s 1392 -M "$df" 192.168.9.2
	check "IPv6 underlay, narrow on the way: full-size pings pass once the path's MTU is known" pings a 192.168.9.2 5 -s 1392 -M "$df" -i 0.2
	check "  TCP passes" iperf b fd09:9::2 a
	for n in a b; do check "$n goes down" meshd_down $n wg$n; done
	ip_ns r link set rb mtu 1500
	ip_ns b link set eb mtu 1500
	for n in a b; do
		ip_ns $n route flush cache
		ip_ns $n -6 route flush cache
	done
done
tap_done
