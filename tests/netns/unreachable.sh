#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ICMP errors into the TUN: a destination without peer, and a peer without endpoint; IPv4 and IPv6. Stage: pair_stage in
# lib/netns.sh; peer b is there, a third peer has no endpoint, and 192.168.9.99 belongs to nobody.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
key c
pair_conf 4
cat >>"$WORK/wga.conf" <<-END
	[Peer]
	PublicKey = $(public c)
	AllowedIPs = 192.168.9.3/32, fd09:9::3/128
END
meshd_up a wga >/dev/null 2>&1 && meshd_up b wgb >/dev/null 2>&1
check "a session" reach a 192.168.9.2
start a "$WORK/icmp.log" tcpdump --immediate-mode -n -l -v -i wga 'icmp or icmp6'
dump=$STARTED
wait_for 5 grep -q listening "$WORK/icmp.log"

refused() { # DESTINATION PATTERN: ping gets an error at once, with this text
	local out
	out=$(in_ns a ping -n -c 1 -W 3 "$1" 2>&1)
	echo "$out"
	[[ $out =~ $2 ]]
}

check "no peer, IPv4: host unreachable" refused 192.168.9.99 'Destination Host Unreachable'
check "no peer, IPv6: no route" refused fd09:9::99 'Destination unreachable: No route'
at_least "  counted" "$(drops a wga no_peer)" 2
check "no endpoint, IPv4: host unreachable" refused 192.168.9.3 'Destination Host Unreachable'
check "no endpoint, IPv6: address unreachable" refused fd09:9::3 'Destination unreachable: Address unreachable'
at_least "  counted" "$(drops a wga no_endpoint)" 2

# UDP and TCP programs see it as well: connect() fails at once rather than after minutes.
check_not "TCP to nobody fails" in_ns a timeout 3 bash -c 'exec 3<>/dev/tcp/192.168.9.99/80'
said=$(in_ns a timeout 3 bash -c 'exec 3<>/dev/tcp/192.168.9.99/80' 2>&1)
like "  with the right reason" "$said" 'No route to host'

# No errors about errors, nor about multicast.
in_ns a bash -c 'echo x >/dev/udp/192.168.9.255/9' 2>/dev/null
ip_ns a route add 239.1.1.1/32 dev wga
in_ns a ping -n -c 1 -W 1 239.1.1.1 >/dev/null 2>&1
sleep 0.3
stop "$dump"
unlike "no error about multicast" "$(cat "$WORK/icmp.log")" '239.1.1.1 unreachable|host 239'
like "IPv4 errors are for the sender" "$(cat "$WORK/icmp.log")" '> 192.168.9.1: ICMP host 192.168.9.99 unreachable'
check "the session beside them goes on" pings a 192.168.9.2 3
tap_done
