#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Replies leave from the address they came to; addresses of another tunnel are none for this. Stage: pair_stage in lib/netns.sh; b, which listens, has more addresses:
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

# LOCAL-ADDRESS: a has no path from there.
without() { in_ns a timeout 5 "$MESHD" paths wga >"$WORK/paths" && ! grep -F -e " $1 " "$WORK/paths"; }
# ADDRESS: a has a path there that is alive; knows of none.
no_life() { in_ns a timeout 5 "$MESHD" paths wga >"$WORK/paths" && ! grep -F " $1:51821 " "$WORK/paths" | grep -q 'alive$'; }
alive() { in_ns a timeout 5 "$MESHD" paths wga | grep -F -e " $1:51821 " -e " [$1]:51821 " | grep -q 'alive$'; }

endpoint_is() { [[ $(endpoint_of "$1" "$2" "$(public "$3")") == "$4" ]]; } # NODE INTERFACE PEER ENDPOINT

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
			check "  on either side" wait_for 5 alive "$to"
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
		check "  the path of the address is gone" wait_for 2 without 10.9.0.1 || note "$(<"$WORK/paths")"
	else
		check "  b followed" wait_for 2 endpoint_is b wgb a 10.9.0.11:51820
	fi

	# The same with the address b's replies leave from.
	in_ns a wg set wga peer "$(public b)" endpoint 10.9.0.22:51821
	reach a 192.168.9.2
	ip_ns b address del 10.9.0.22/24 dev eb
	check "the address the replies left from goes away: traffic b to a goes on" reach b 192.168.9.1
	if ((sessions)); then
		check "  and it is no path that is alive" wait_for 5 no_life 10.9.0.22
		sleep 0.5
		check "  nor will it be" no_life 10.9.0.22
	else
		check "  a followed" wait_for 2 endpoint_is a wga b 10.9.0.2:51821
	fi
	for n in a b; do check "$n goes down" meshd_down $n wg$n; done
	ip_ns a address del 10.9.0.11/24 dev ea
	address a ea 10.9.0.1/24
	address b eb 10.9.0.22/24
	ip_ns a route replace 10.99.0.2/32 via 10.9.0.2
done

# Another tunnel beside, between the same two hosts: wgc at a, 10.66.0.1, wgd at b, 10.66.0.2. What went through it would go twice.
key c d
side_conf() { # NAME KEY PEER'S-KEY PORT NUMBER [ENDPOINT]
	conf "$1" <<-END
		[Interface]
		PrivateKey = $(private "$2")
		ListenPort = $4
		FlowSessions = 0
		Address = 10.66.0.$5/24
		[Peer]
		PublicKey = $(public "$3")
		AllowedIPs = 10.66.0.0/24, 203.0.113.0/24
		${6:+Endpoint = $6}
	END
}
side_conf wgc c d 51830 1 10.9.0.2:51831
side_conf wgd d c 51831 2
check "another tunnel at a" meshd_up a wgc || tap_done
check "  and at b" meshd_up b wgd || tap_done
check "  they reach each other" reach a 10.66.0.2

# paths_at NODE: of its peer, REMOTE LOCAL STATE. alive_at NODE REMOTE LOCAL: patterns.
paths_at() {
	in_ns "$1" timeout 5 "$MESHD" paths "wg$1" --json |
		jq -r '.. | objects | select(.state? and .remote?) | "\(.remote) \(.local_address) \(.state)"'
}
alive_at() { paths_at "$1" | grep -q "^$2:[0-9]* $3 alive"; }
# through_it: paths by the other tunnel, on either side, but those that there could be and are refused.
through_it() { { paths_at a; paths_at b; } | grep -v 'no_route$' | grep -F 10.66.0.; }
# both_up LINE-AT-A LINE-AT-B [ENDPOINT]: only a has one. That the other has IPv6 each is told, in one message with all it is told.
both_up() {
	meshd_down a wga
	meshd_down b wgb
	pair_conf 4
	sed -i "s/^ListenPort.*/&\n$1/; s/^Endpoint.*/Endpoint = ${3:-10.9.0.2}:51821/" "$WORK/wga.conf"
	sed -i "s/^ListenPort.*/&\n$2/; /^Endpoint/d" "$WORK/wgb.conf"
	meshd_up a wga && meshd_up b wgb
} >/dev/null 2>&1
both_told() { alive_at a '\[fd09::2\]' fd09::1 && alive_at b '\[fd09::1\]' fd09::2; }

check "the mesh beside it, both up" both_up "" ""
check "  a session" reach a 192.168.9.2
check "  they tell each other addresses" wait_for 10 both_told
sleep 0.5
is "  and none of the other tunnel; nothing goes through it" "$(through_it)" ""

# The kernel can be made to send there, and would not by itself.
ip_ns a route del 203.0.113.0/24 dev wgc
ip_ns a route add 203.0.113.0/24 dev wgc metric 100
ip_ns a route add 203.0.113.0/24 via 10.9.0.2 metric 50
address b lo 203.0.113.2/32
told_more() { alive_at a 203.0.113.2 10.9.0.1; }
check "an address of b to which both lead is reached by the better route" wait_for 10 told_more
sleep 0.5
is "  alone" "$(through_it)" ""

check "Uplink names the other tunnel on both sides" both_up "Uplink = wgc" "Uplink = wgd"
check "  a session" reach a 192.168.9.2
check "  then its addresses are told and used: at a" wait_for 10 alive_at a 10.66.0.2 10.66.0.1
check "  at b" wait_for 10 alive_at b 10.66.0.1 10.66.0.2
check "  also to where the kernel would not go by itself" wait_for 10 alive_at a 203.0.113.2 10.66.0.1

check "an endpoint that the other tunnel alone leads to" both_up "" "" 10.66.0.2
check "  a session" reach a 192.168.9.2
check "  over a path through it, at a" wait_for 5 alive_at a 10.66.0.2 10.66.0.1
check "  and at b" wait_for 5 alive_at b 10.66.0.1 10.66.0.2
for n in a b; do check "$n goes down" meshd_down $n wg$n; done
tap_done
