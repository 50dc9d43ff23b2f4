#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Replies leave from the address they came to. Stage: pair_stage in lib/netns.sh; b, which listens, has more addresses:
#
#	a: 10.9.0.1  fd09::1  ---  b: 10.9.0.2, 10.9.0.22, 10.99.0.2 (lo), fd09::2, fd09::22, fd99::2 (lo)
#
# Plain peers (FlowSessions = 0: as WireGuard): a node would follow its peer to the wrong address (roaming), so a's endpoint tells; the wire is
# watched as well. Those that speak paths use any address there is: then the one that was asked answers, secondary ones too, and stays a path.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
address b eb 10.9.0.22/24 fd09::22/64
address b lo 10.99.0.2/32 fd99::2/128
ip_ns a route add 10.99.0.2/32 via 10.9.0.2
ip_ns a -6 route add fd99::2/128 via fd09::2
others() { # ADDRESS: datagrams seen from b that are not from ADDRESS
	grep -c . <(grep -a ' > .*51820: ' "$WORK/wire.log" | grep -v -F " $1.51821 > ")
}
seen_from() { (($(grep -a -c -F " $1.51821 > " "$WORK/wire.log") >= 3)); }

# ADDRESS: a has a path there that is alive.
alive() { in_ns a timeout 5 "$MESHD" paths wga | grep -F -e " $1:51821 " -e " [$1]:51821 " | grep -q 'alive$'; }

for sessions in 0 32; do
	pair_conf 4
	sed -i "s/^ListenPort.*/&\nFlowSessions = $sessions/" "$WORK/wga.conf" "$WORK/wgb.conf"
	sed -i '/^Endpoint/d' "$WORK/wgb.conf"
	check "FlowSessions = $sessions: a comes up" meshd_up a wga || tap_done
	check "b comes up, without an endpoint for a" meshd_up b wgb || tap_done
	for to in 10.9.0.2 10.9.0.22 10.99.0.2 fd09::2 fd09::22 fd99::2; do
		e=$to:51821
		[[ $to != *:* ]] || e="[$to]:51821"
		start a "$WORK/wire.log" tcpdump --immediate-mode -n -l -i ea 'udp src port 51821'
		dump=$STARTED
		wait_for 5 grep -q listening "$WORK/wire.log"
		in_ns a wg set wga peer "$(public b)" remove
		in_ns b wg set wgb peer "$(public a)" remove
		in_ns b wg set wgb peer "$(public a)" allowed-ips 192.168.9.1/32,fd09:9::1/128
		in_ns a wg set wga peer "$(public b)" allowed-ips 192.168.9.2/32,fd09:9::2/128 endpoint "$e"
		check "to $to: a session" reach a 192.168.9.2
		check "  pings a to b" pings a 192.168.9.2 3
		check "  pings b to a" pings b fd09:9::1 3
		if ((sessions)); then
			check "  that is a path, and alive" wait_for 5 alive "$to"
			address a lo 10.99.9.9/32
			check "  also when addresses have changed" wait_for 5 alive "$to"
			ip_ns a address del 10.99.9.9/32 dev lo
			address b lo 10.99.9.8/32
			sleep 0.5
			check "  on either side" alive "$to"
			ip_ns b address del 10.99.9.8/32 dev lo
		else
			is "  a's endpoint stays" "$(endpoint_of a wga "$(public b)")" "$e"
		fi
		wait_for 5 seen_from "$to"
		stop "$dump"
		at_least "  datagrams came from there" "$(grep -a -c -F " $to.51821 > " "$WORK/wire.log")" 3
		((sessions)) || is "  and none from elsewhere" "$(others "$to")" 0
	done

	# The address in use goes away on the side that began: the kernel chooses again.
	address a ea 10.9.0.11/24
	in_ns a wg set wga peer "$(public b)" endpoint 10.9.0.2:51821
	reach a 192.168.9.2
	ip_ns a address del 10.9.0.1/24 dev ea
	ip_ns a address add 10.9.0.11/24 dev ea 2>/dev/null
	check "the local address in use goes away: traffic goes on from another" reach a 192.168.9.2
	if ((sessions)); then
		lacks "  the path of the address is gone" "$(in_ns a "$MESHD" paths wga)" "10.9.0.1 "
	else
		is "  b followed" "$(endpoint_of b wgb "$(public a)")" 10.9.0.11:51820
	fi

	# The same with the address b's replies leave from.
	in_ns a wg set wga peer "$(public b)" endpoint 10.9.0.22:51821
	reach a 192.168.9.2
	ip_ns b address del 10.9.0.22/24 dev eb
	check "the address the replies left from goes away: traffic b to a goes on" reach b 192.168.9.1
	if ((sessions)); then
		check_not "  and it is no path that is alive" wait_for 3 alive 10.9.0.22
	else
		is "  a followed" "$(endpoint_of a wga "$(public b)")" 10.9.0.2:51821
	fi
	for n in a b; do check "$n goes down" meshd_down $n wg$n; done
	ip_ns a address del 10.9.0.11/24 dev ea
	address a ea 10.9.0.1/24
	address b eb 10.9.0.22/24
	ip_ns a route replace 10.99.0.2/32 via 10.9.0.2
done
tap_done
