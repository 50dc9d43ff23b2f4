#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An endpoint that is a prefix: each sub-session has an address of its own in it, in both directions.
#
#	+-- a: wga --+      +------ r ------+      +-- b: wgb ------------------------+
#	|         ea +------+ ra         rb +------+ eb    ListenPrefix               |
#	+------------+      +---------------+      +----------------------------------+
#	  fd09:1::1           ::2       ::2          fd09:2::1, 2001:db8:1234::/118 by route
#	  inside 10.8.0.1                            10.8.0.2
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/capture.sh
. "$HERE/lib/capture.sh"
command -v iperf3 >/dev/null || skip_all "no iperf3"

PREFIX=2001:db8:1234::/118
key a b
ns_add a r b
veth a ea r ra
veth r rb b eb
address a ea fd09:1::1/64
address r ra fd09:1::2/64
address r rb fd09:2::2/64
address b eb fd09:2::1/64
ip_ns a -6 route add default via fd09:1::2
ip_ns b -6 route add default via fd09:2::2
ip_ns r -6 route add "$PREFIX" via fd09:2::1
in_ns r sysctl -qw net.ipv6.conf.all.forwarding=1

confs() { # LINES ENDPOINT: of a's [Interface], and of b in a's config
	conf wga <<-END
		[Interface]
		PrivateKey = $(private a)
		ListenPort = 51820
		Address = 10.8.0.1/24
		$1
		[Peer]
		PublicKey = $(public b)
		AllowedIPs = 10.8.0.2/32
		Endpoint = $2
	END
	conf wgb <<-END
		[Interface]
		PrivateKey = $(private b)
		ListenPort = 51820
		ListenPrefix = $PREFIX
		Address = 10.8.0.2/24
		[Peer]
		PublicKey = $(public a)
		AllowedIPs = 10.8.0.1/32
	END
}
local_route() { ip_ns b -6 route show table local | grep -c "^local $PREFIX"; }

# load NAME: eight flows, recorded on a's cable after they have settled.
load() {
	local client
	wait_for 5 eval '! listens b 5201'
	start b "$WORK/$1.server" iperf3 -s -1
	wait_for 5 listens b 5201 || return 1
	start a "$WORK/$1.client" timeout 20 iperf3 -c 10.8.0.2 -t 3 -P 8
	client=$STARTED
	sleep 1.5
	capture a ea "$1" udp || return 1
	sleep 1
	capture_end "$1"
	wait "$client" || { cat "$WORK/$1.client"; return 1; }
}
# Addresses of b that bulk data goes to.
to_b() { tuples "$1" 100000 fd09:1::1 | awk '{ print $3 }' | sort -u; }
answered_from_there() { # a port of a's goes with one address of b's, whoever sends
	no_control "$1" | awk '$9 != 17 { next }
		$2 == "fd09:1::1" { seen[$3 " " $4]; next }
		{ seen[$5 " " $2]; back++ }
		END {
			for (s in seen) { split(s, w); if (++count[w[1]] > 1) { print "port " w[1] " also with " w[2]; bad = 1 } }
			exit bad || !back
		}'
}
in_prefix() { ! grep -vE '^2001:db8:1234::([0-9a-f]{1,2}|[1-3][0-9a-f]{2})?$' <<<"$1"; }

confs "" "[$PREFIX]:51820"
check "b comes up" meshd_up b wgb || tap_done
is "  the prefix is local" "$(local_route)" 1
check "  an address of it answers pings" pings a 2001:db8:1234::77 1
check "a comes up" meshd_up a wga
check "  they reach each other" reach a 10.8.0.2
check "  eight flows" load eight
is "  go to eight addresses" "$(to_b eight | wc -l)" 8
check "  in the prefix" in_prefix "$(to_b eight)"
check "  and are answered from them" answered_from_there eight
is "  session 0 has the address as it is written" "$(endpoint_of a wga "$(public b)")" "[2001:db8:1234::]:51820"

meshd_down a wga
confs "FlowSpread = label" "[2001:db8:1234::5]:51820"
check "an address in the prefix as a plain endpoint" meshd_up a wga
check "  they reach each other" reach a 10.8.0.2
asked_alive() { in_ns b timeout 5 "$MESHD" paths wgb | grep -F ' 2001:db8:1234::5 ' | grep -q 'alive$'; }
check "  the address that was asked answers" wait_for 5 asked_alive
check "  eight flows" load plain
# The one that was asked, or on a busy machine that of another path: b tells its own.
like "  go to one address" "$(to_b plain)" '^2001:db8:1234::5?$'

check "b goes down" meshd_down b wgb
is "  the prefix is not local any more" "$(local_route)" 0
check "b is back" meshd_up b wgb
is "  the prefix is local" "$(local_route)" 1
kill -KILL "$(daemon_pid wgb)"
check "its daemon is killed" wait_for 5 traceless b wgb
is "  its prefix is gone" "$(local_route)" 0
check "  up again works" meshd_up b wgb
is "  the prefix is local" "$(local_route)" 1
check "  they reach each other" reach a 10.8.0.2 20
check "down" meshd_down b wgb
is "  the prefix is not local any more" "$(local_route)" 0
meshd_down a wga
tap_done
