#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a peer that is no meshd gets to see: plain WireGuard. One pair of ports, messages 1 to 4, nothing it cannot decrypt or that is no IP
# packet, the TOS of WireGuard in the kernel.
#
#	+-- m: wgm, meshd -+              +-- g: wgg, wireguard-go -+
#	| 192.168.8.1/24   |              | 192.168.8.2/24          |
#	|               em +---- veth ----+ eg                      |   tcpdump at eg
#	+------------------+              +-------------------------+
#	  10.8.0.1, fd08::1                 10.8.0.2, fd08::2
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/capture.sh
. "$HERE/lib/capture.sh"
command -v iperf3 >/dev/null || skip_all "no iperf3"
command -v tshark >/dev/null || skip_all "no tshark"
GO=$(command -v wireguard-go) || skip_all "no wireguard-go (package wireguard-go)"

key m g
ns_add m g
veth m em g eg
address m em 10.8.0.1/24 fd08::1/64
address g eg 10.8.0.2/24 fd08::2/64
tc -n "$NS_PREFIX-m" qdisc add dev em root tbf rate 50mbit burst 16kb latency 200ms # wireguard-go has a small socket buffer

# m_up LINES G-ENDPOINT: meshd with these lines in [Interface].
m_up() {
	meshd_down m wgm >/dev/null 2>&1
	conf wgm <<-END
		[Interface]
		PrivateKey = $(private m)
		ListenPort = 51820
		Address = 192.168.8.1/24
		FlowSessions = 32
		$1
		[Peer]
		PublicKey = $(public g)
		AllowedIPs = 192.168.8.2/32
		Endpoint = $2:51821
	END
	meshd_up m wgm
}
g_up() {
	rm -f /var/run/wireguard/wgg.sock
	start g "$WORK/wgg.log" env WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 LOG_LEVEL=verbose "$GO" -f wgg
	wait_for 5 test -S /var/run/wireguard/wgg.sock || return 1
	in_ns g wg set wgg private-key "$WORK/g.key" listen-port 51821 peer "$(public m)" allowed-ips 192.168.8.1/32 &&
		address g wgg 192.168.8.2/24 && ip_ns g link set wgg mtu 1420 up
}

# Pings and several flows in both directions, slow enough for wireguard-go to take every datagram.
traffic() {
	reach m 192.168.8.2 12 && pings m 192.168.8.2 3 && pings g 192.168.8.1 3 || return 1
	wait_for 5 eval '! listens g 5201'
	start g "$WORK/server" iperf3 -s -1
	wait_for 5 listens g 5201
	in_ns m timeout 20 iperf3 -c 192.168.8.2 -t 2 -P 4 -b 5M --bidir
}

ecn_pings() { # each codepoint, and a DSCP, inside
	local tos
	for tos in 0 1 2 3 0xb8; do in_ns m ping -n -q -i 0.1 -W 2 -c 3 -Q "$tos" 192.168.8.2 | grep ' 3 received' || return 1; done
}

field() { awk "$2" "$WORK/$1.txt" | sort -u | tr '\n' ' '; }
sent_udp() { awk -v from="$2" '$2 == from && $9 == 17 { sum += $8 - 8 } END { print sum + 0 }' "$WORK/$1.txt"; }

# observed: all that on record. One index in 128 looks as if it were a meshd's, and gets two offers: such a record does not count.
observed() {
	m_up "" 10.8.0.2 && g_up && capture g eg plain 'udp or icmp' && traffic && ecn_pings && sleep 1 && capture_end plain
}
looks_like_meshd() {
	local i
	for i in $(field plain '$2 == "10.8.0.2" && ($10 == 1 || $10 == 2) { print $11 }'); do ((16#$i & 127)) || return 0; done
	return 1
}
record() {
	local i
	for i in 1 2 3; do
		[[ ! -s $WORK/wgg.log.pid ]] || stop "$(<"$WORK/wgg.log.pid")"
		observed || return 1
		looks_like_meshd || return 0
	done
	return 1
}

check "pings, 4 flows each way, inner packets of all codepoints" record || tap_done
read -r got _ < <(transfer g wgg "$(public m)")
is "wireguard-go authenticated every byte it was sent" "$got" "$(sent_udp plain 10.8.0.1)"
unlike "  and found IP packets in all of it" "$(cat "$WORK/wgg.log")" 'invalid IP version|disallowed|Received message with unknown type|invalid'
is "one pair of ports" "$(field plain '$9 == 17 { print $2, $3, $4, $5 }')" "10.8.0.1 51820 10.8.0.2 51821 10.8.0.2 51821 10.8.0.1 51820 "
# Another program's opinion: of all UDP the dissector of WireGuard leaves nothing over.
dissected() { tshark -r "$WORK/plain.pcap" -d udp.port==51820,wg -d udp.port==51821,wg "$@" 2>/dev/null; }
is "tshark finds WireGuard in every datagram" "$(dissected -Y 'udp and not icmp and not wg' | wc -l)" 0
is "  of these types" "$(dissected -Y 'wg and not icmp' -T fields -e wg.type | sort -u | tr '\n' ' ')" "1 2 4 "
is "message types" "$(field plain '$9 == 17 { print $10 }')" "1 2 4 "
is "  nothing was answered with an ICMP error" "$(field plain '$9 == 1')" ""
given() { # receiver indices of data that the receiver gave out in no handshake
	awk '$9 != 17 { next } $10 == 1 || $10 == 2 { given[$2, $11] = 1 } $10 == 4 && !given[$4, $11] { print; bad = 1 } END { exit bad }' "$WORK/plain.txt"
}
check "receiver indices are those of the handshakes" given
like "  and meshd's name no sub-session" "$(field plain '$4 == "10.8.0.1" && $10 == 4 { print $11 }')" '^([0-9a-f]{6}[08]0 )+$'
is "TOS of meshd's handshakes: AF41" "$(field plain '$2 == "10.8.0.1" && ($10 == 1 || $10 == 2) { print $6 }')" "136 "
is "TOS of data, Ecn = mesh: nothing, whatever is inside" "$(field plain '$2 == "10.8.0.1" && $10 == 4 { print $6 }')" "0 "
is "meshd has sockets of no other port" "$(udp_ports m)" 1

# seen_tos INNER: outer TOS of data that carries such pings.
seen_tos() {
	capture g eg tos udp and src host "$2" && in_ns m ping -n -q -i 0.1 -W 2 -c 2 -Q "$1" 192.168.8.2 >/dev/null
	capture_end tos
	field tos '$10 == 4 && $8 > 100 { print $6 }'
}
for under in 10.8.0.1 fd08::1; do
	[[ $under == 10.* ]] && to=10.8.0.2 || to='[fd08::2]'
	check "Ecn = on, over $under" m_up "Ecn = on" "$to"
	check "  it works" reach m 192.168.8.2 12
	is "  Not-ECT inside: Not-ECT" "$(seen_tos 0 $under)" "0 "
	is "  ECT(1) inside: ECT(1)" "$(seen_tos 1 $under)" "1 "
	is "  ECT(0) inside: ECT(0)" "$(seen_tos 2 $under)" "2 "
	is "  CE inside: ECT(0)" "$(seen_tos 3 $under)" "2 "
done

meshd_down m wgm
tap_done
