#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Roaming: a changes address, port and family. b follows authenticated packets, and only those, at once where a is plain (FlowSessions = 0: as
# WireGuard). Where both speak paths it is at one that a really has, and traffic goes on. Stage: pair_stage in lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
a_at() { endpoint_of b wgb "$(public a)"; }
is_at() { [[ $(a_at) =~ $1 ]]; }
paths() { in_ns b timeout 5 "$MESHD" paths wgb; }

# follows PLAIN PATHS: the endpoint b must have for a, by a pattern where they speak paths.
follows() {
	if ((sessions)); then
		check "  b has an address of a that is one" wait_for 5 is_at "$2" || note "$(paths)"
	else
		is "  b followed" "$(a_at)" "$1"
	fi
}

old_port_left() { paths | grep -q '^ *>.*:51900' && ! paths | grep -q '^ *>.*:51820'; }

# back: b to a. Where they speak paths what was in use is found dead first, some tenths of a second later.
back() {
	if ((sessions)); then check "  b to a" reach b 192.168.9.1 5; else check "  b to a" pings b 192.168.9.1 3; fi
}

for sessions in 0 32; do
	pair_conf 4
	sed -i "s/^ListenPort.*/&\nFlowSessions = $sessions/" "$WORK/wga.conf" "$WORK/wgb.conf"
	sed -i '/^Endpoint/d' "$WORK/wgb.conf"
	check "FlowSessions = $sessions: a comes up" meshd_up a wga || tap_done
	check "b comes up" meshd_up b wgb || tap_done
	check "a session" reach a 192.168.9.2
	is "b learned where a is" "$(a_at)" 10.9.0.1:51820
	shaken=$(handshake b wgb "$(public a)")
	((sessions == 0)) || sleep 1 # they find their paths

	ip_ns a address del 10.9.0.1/24 dev ea
	address a ea 10.9.0.77/24
	check "a has another address: traffic goes on" reach a 192.168.9.2
	follows 10.9.0.77:51820 '^(10\.9\.0\.77|\[fd09::1\]):51820$'
	back

	in_ns a wg set wga listen-port 51900
	check "a has another port: traffic goes on" reach a 192.168.9.2
	follows 10.9.0.77:51900 '^(10\.9\.0\.77|\[fd09::1\]):51900$'
	back
	((sessions == 0)) || check "  before long the old port is not used" wait_for 5 old_port_left
	like "  the kernel's sockets moved" "$(in_ns a ss -Hlun)" ':51900 '
	unlike "  and the old port is free" "$(in_ns a ss -Hlun)" ':51820 '

	in_ns a wg set wga peer "$(public b)" endpoint '[fd09::2]:51821'
	check "a has another family: traffic goes on" reach a 192.168.9.2
	follows '[fd09::1]:51900' '^(10\.9\.0\.77|\[fd09::1\]):51900$'
	back
	is "all that without a new handshake" "$(handshake b wgb "$(public a)")" "$shaken"

	# A stranger's datagrams, even with a valid receiver index at the right place, move nothing.
	in_ns a wg set wga peer "$(public b)" endpoint 10.9.0.2:51821
	reach a 192.168.9.2
	before=$(a_at)
	for i in 1 2 3 4 5; do
		head -c 96 /dev/urandom | { printf '\004\000\000\000'; cat; } | in_ns a socat -u - "UDP4-SENDTO:10.9.0.2:51821,sourceport=4444$i"
	done
	sleep 0.3
	is "forged datagrams do not move the endpoint" "$(a_at)" "$before"
	lacks "  nor make paths" "$(paths)" :4444
	check "  and the session goes on" pings a 192.168.9.2 3
	for n in a b; do check "$n goes down" meshd_down $n wg$n; done
	ip_ns a address del 10.9.0.77/24 dev ea
	address a ea 10.9.0.1/24
done
tap_done
