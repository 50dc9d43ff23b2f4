#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# meshd (m) against wireguard-go (g): all four address combinations with either side beginning, preshared keys, roaming of
# either side, new handshakes while data flows, keepalive, restarts.
#
#	+-- m: wgm --------+          +-- g: wgg --------+
#	| 192.168.8.1/24   |          | 192.168.8.2/24   |
#	| fd08:8::1/64     |          | fd08:8::2/64     |
#	|        em -------+-- veth --+------- eg        |
#	+------------------+          +------------------+
#	  10.8.0.1, .11                 10.8.0.2, .12
#	  fd08::1                       fd08::2
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

GO=$(command -v wireguard-go) || skip_all "no wireguard-go (package wireguard-go)"
key m g
psk mg
ns_add m g
veth m em g eg
address m em 10.8.0.1/24 fd08::1/64
address g eg 10.8.0.2/24 fd08::2/64

meshd_side() { # "meshd up", so that both ways of starting one are seen in these tests
	conf wgm <<-END
		[Interface]
		PrivateKey = $(private m)
		ListenPort = 51820
		Address = 192.168.8.1/24, fd08:8::1/64
		[Peer]
		PublicKey = $(public g)
		AllowedIPs = 192.168.8.2/32, fd08:8::2/128
	END
	meshd_up m wgm
}
go_side() {
	bare g wgg "$GO" && in_ns g wg set wgg private-key "$WORK/g.key" listen-port 51821 \
		peer "$(public m)" allowed-ips 192.168.8.1/32,fd08:8::1/128 &&
		address g wgg 192.168.8.2/24 fd08:8::2/64 && ip_ns g link set wgg mtu 1420 up
}

# Forget sessions and endpoints on both sides.
fresh() {
	in_ns m wg set wgm peer "$(public g)" remove
	in_ns g wg set wgg peer "$(public m)" remove
	in_ns m wg set wgm peer "$(public g)" allowed-ips 192.168.8.2/32,fd08:8::2/128
	in_ns g wg set wgg peer "$(public m)" allowed-ips 192.168.8.1/32,fd08:8::1/128
}
m_knows() { in_ns m wg set wgm peer "$(public g)" endpoint "$1"; }
g_knows() { in_ns g wg set wgg peer "$(public m)" endpoint "$1"; }
both_ways() { pings m "$1" 3 && pings g "$2" 3; }
roamed() { # NS IFACE PEER ENDPOINT
	local e
	e=$(endpoint_of "$1" "$2" "$(public "$3")")
	echo "endpoint $e"
	[[ $e == "$4" ]]
}

check "meshd comes up" meshd_side || tap_done
check "wireguard-go comes up" go_side || tap_done

for under in 4 6; do
	if ((under == 4)); then m=10.8.0.1 g=10.8.0.2; else m='[fd08::1]' g='[fd08::2]'; fi
	for over in 4 6; do
		if ((over == 4)); then mi=192.168.8.1 gi=192.168.8.2; else mi=fd08:8::1 gi=fd08:8::2; fi
		fresh
		m_knows "$g:51821"
		check "meshd begins: IPv$over over IPv$under" reach m "$gi" 12
		check "  and packets pass both ways" both_ways "$gi" "$mi"
		check "  TCP from meshd" iperf g "$gi" m
		fresh
		g_knows "$m:51820"
		check "wireguard-go begins: IPv$over over IPv$under" reach g "$mi" 12
		check "  and packets pass both ways" both_ways "$gi" "$mi"
		check "  TCP from wireguard-go" iperf m "$mi" g
	done
done

# Preshared keys.
with_psk() {
	fresh
	in_ns m wg set wgm peer "$(public g)" preshared-key "$WORK/mg.psk"
	in_ns g wg set wgg peer "$(public m)" preshared-key "${1:-$WORK/mg.psk}"
}
with_psk
m_knows 10.8.0.2:51821
check "preshared key, meshd begins" reach m 192.168.8.2 12
with_psk
g_knows 10.8.0.1:51820
check "preshared key, wireguard-go begins" reach g 192.168.8.1 12
psk other
with_psk "$WORK/other.psk"
m_knows 10.8.0.2:51821
check "different preshared keys: nothing passes, meshd begins" silent m 192.168.8.2
with_psk "$WORK/other.psk"
g_knows 10.8.0.1:51820
check "different preshared keys: nothing passes, wireguard-go begins" silent g 192.168.8.1

# Sizes.
fresh
m_knows 10.8.0.2:51821
reach m 192.168.8.2 12
sizes() {
	local s
	for s in 0 1 15 16 17 100 1391 1392 1393 4000 20000; do
		pings m 192.168.8.2 1 -s "$s" && pings g 192.168.8.1 1 -s "$s" || return 1
	done
}
check "all sizes pass, padding and inner fragments included" sizes

# Roaming.
ip_ns m address del 10.8.0.1/24 dev em
address m em 10.8.0.11/24
check "meshd moves to another address" reach m 192.168.8.2
check "  wireguard-go followed" roamed g wgg m 10.8.0.11:51820
check "  and answers there" pings g 192.168.8.1 3
in_ns m wg set wgm listen-port 51830
check "meshd moves to another port" reach m 192.168.8.2
check "  wireguard-go followed" roamed g wgg m 10.8.0.11:51830
address g eg 10.8.0.12/24
in_ns g wg set wgg listen-port 51831
check "wireguard-go moves to another port" reach g 192.168.8.1
check "  meshd followed" roamed m wgm g 10.8.0.2:51831
check "  and answers there" pings m 192.168.8.2 3
ip_ns g address del 10.8.0.2/24 dev eg
ip_ns g address add 10.8.0.12/24 dev eg 2>/dev/null
in_ns g wg set wgg listen-port 51832 # its old socket sticks to the address that is gone
check "wireguard-go moves to another address" reach g 192.168.8.1
check "  meshd followed" roamed m wgm g 10.8.0.12:51832
check "  and answers there" pings m 192.168.8.2 3
g_knows '[fd08::1]:51830'
check "wireguard-go moves from IPv4 to IPv6" reach g 192.168.8.1 12
check "  meshd followed" roamed m wgm g '[fd08::2]:51832'
check "  and answers there" pings m 192.168.8.2 3

# New handshakes on a running session: WireGuard's timers take 120 s, but either side can be made to begin by forgetting
# only its own keys, which going down and up does.
ip_ns g link set wgg down
ip_ns g link set wgg up
check "wireguard-go forgot its keys and begins anew" reach g 192.168.8.1 12
check "  the other way too" pings m 192.168.8.2 3
m_knows '[fd08::2]:51832'
ip_ns m link set wgm down
ip_ns m link set wgm up
check "meshd forgot its keys and begins anew" reach m 192.168.8.2 12
check "  the other way too" pings g 192.168.8.1 3

# Keepalive alone makes and keeps a session.
fresh
m_knows '[fd08::2]:51832'
in_ns m wg set wgm peer "$(public g)" persistent-keepalive 1
heard() { local r; read -r r _ < <(transfer g wgg "$(public m)"); echo "$r bytes"; ((${r:-0} >= 148 + 3 * 32)); }
wait_for 12 heard
check "meshd's persistent keepalive makes a session and goes on" heard
fresh
g_knows '[fd08::1]:51830'
in_ns g wg set wgg peer "$(public m)" persistent-keepalive 1
heard() { local r; read -r r _ < <(transfer m wgm "$(public g)"); echo "$r bytes"; ((${r:-0} >= 148 + 3 * 32)); }
wait_for 12 heard
check "wireguard-go's does as well" heard

# Restarts: the other side still thinks it has a session.
in_ns g wg set wgg peer "$(public m)" persistent-keepalive off
ip_ns g link delete dev wgg
check "wireguard-go starts again" wait_for 5 go_side
check "  and begins" eval "g_knows '[fd08::1]:51830' && reach g 192.168.8.1 12"
check "meshd goes down" meshd_down m wgm
check "  and up" meshd_side
check "  and begins" eval "m_knows '[fd08::2]:51821' && reach m 192.168.8.2 15"

# Several at once: bulk both ways while pinging.
start g "$WORK/bulk1.log" iperf3 -s -1 -p 5301
wait_for 5 listens g 5301
start m "$WORK/bulk2.log" timeout 20 iperf3 -t 2 --bidir -p 5301 -c 192.168.8.2
bulk=$STARTED
in_ns m ping -n -q -i 0.1 -W 5 -c 15 192.168.8.2 >"$WORK/ping.log" 2>&1
at_least "pings beside bulk both ways: most are answered" "$(pings_answered "$WORK/ping.log")" 10
wait "$bulk"
is "  and the bulk got through" "$?" 0
tap_done
