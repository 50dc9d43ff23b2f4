#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs as the first process of the guest that kernel.sh boots: kernel WireGuard (k) against meshd (m).
#
#	+--- k: wgk ---+            +--- m: wgm ----+
#	| 192.168.7.1  |            |  192.168.7.2  |
#	| fd07::1      |            |  fd07::2      |
#	|     ek ------+--- veth ---+------ em      |
#	+--------------+            +---------------+
#	  10.7.0.1, .11               10.7.0.2, .12
#	  fd10:7::1, ::11             fd10:7::2, ::12
if (($$ == 1)); then
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t tmpfs tmpfs /run
	mkdir -p "/lib/modules" && ln -sfn "$MODULES" "/lib/modules/$(uname -r)"
	for m in tun veth wireguard sch_htb sch_fq_codel; do modprobe "$m" || echo "# guest: no module $m"; done
	[[ -c /dev/net/tun ]] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }
	ln -sfn /proc/self/fd /dev/fd
	ip link set lo up
	bash "$0"
	sync
	echo o >/proc/sysrq-trigger
	sleep 30
fi

# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

key k m
psk km
ns_add k m
veth k ek m em
address k ek 10.7.0.1/24 10.7.0.11/24 fd10:7::1/64 fd10:7::11/64
address m em 10.7.0.2/24 10.7.0.12/24 fd10:7::2/64 fd10:7::12/64

kernel_side() {
	ip_ns k link add wgk type wireguard
	in_ns k wg set wgk private-key "$WORK/k.key" listen-port 51820 \
		peer "$(public m)" allowed-ips 192.168.7.2/32,fd07::2/128
	address k wgk 192.168.7.1/24 fd07::1/64
	ip_ns k link set wgk mtu 1420 up
}

meshd_side() {
	bare m wgm && in_ns m wg set wgm private-key "$WORK/m.key" listen-port 51821 \
		peer "$(public k)" allowed-ips 192.168.7.1/32,fd07::1/128 &&
		address m wgm 192.168.7.2/24 fd07::2/64 && ip_ns m link set wgm mtu 1420 up
}

# Forget the session on both sides, so that the next packet makes a handshake. The endpoints go as well.
fresh() {
	in_ns k wg set wgk peer "$(public m)" remove
	in_ns m wg set wgm peer "$(public k)" remove
	in_ns k wg set wgk peer "$(public m)" allowed-ips 192.168.7.2/32,fd07::2/128
	in_ns m wg set wgm peer "$(public k)" allowed-ips 192.168.7.1/32,fd07::1/128
}

shook() { local t; t=$(handshake "$1" "$2" "$3"); [[ ${t:-0} != 0 ]]; }
both_shook() { shook k wgk "$(public m)" && shook m wgm "$(public k)"; }
both_ways() { pings "$1" "$2" 3 && pings "$3" "$4" 3; }

check "kernel side comes up" kernel_side || tap_done
check "meshd side comes up" meshd_side || tap_done

for under in 4 6; do
	if ((under == 4)); then k=10.7.0.1 m=10.7.0.2; else k='[fd10:7::1]' m='[fd10:7::2]'; fi
	for over in 4 6; do
		if ((over == 4)); then ki=192.168.7.1 mi=192.168.7.2; else ki=fd07::1 mi=fd07::2; fi
		fresh
		in_ns k wg set wgk peer "$(public m)" endpoint "$m:51821"
		check "kernel begins: IPv$over over IPv$under" reach k "$mi" 10
		check "  and packets pass both ways" both_ways k "$mi" m "$ki"
		fresh
		in_ns m wg set wgm peer "$(public k)" endpoint "$k:51820"
		check "meshd begins: IPv$over over IPv$under" reach m "$ki" 10
		check "  and packets pass both ways" both_ways m "$ki" k "$mi"
	done
done
check "both say when they shook hands" both_shook

fresh
in_ns k wg set wgk peer "$(public m)" preshared-key "$WORK/km.psk"
in_ns m wg set wgm peer "$(public k)" preshared-key "$WORK/km.psk" endpoint 10.7.0.1:51820
check "with a preshared key, meshd begins" reach m 192.168.7.1 10
fresh
in_ns m wg set wgm peer "$(public k)" preshared-key "$WORK/km.psk"
in_ns k wg set wgk peer "$(public m)" preshared-key "$WORK/km.psk" endpoint 10.7.0.2:51821
check "with a preshared key, kernel begins" reach k 192.168.7.2 10
fresh
in_ns m wg set wgm peer "$(public k)" preshared-key "$WORK/km.psk" endpoint 10.7.0.1:51820
check "a preshared key on one side only does not work" silent m 192.168.7.1

# Sizes: up to the tunnel's MTU, and beyond it in inner fragments.
fresh
in_ns m wg set wgm peer "$(public k)" endpoint 10.7.0.1:51820
reach m 192.168.7.1 10
sizes() {
	local s
	for s in 0 1 15 16 17 100 1391 1392 1393 4000; do pings m 192.168.7.1 1 -s "$s" && pings k 192.168.7.2 1 -s "$s" || return 1; done
}
check "all sizes pass, padding and fragments included" sizes

# Roaming: traffic from a new address or port moves the endpoint on the other side, both ways round.
roamed() { # NS IFACE PEER PATTERN
	local e
	e=$(endpoint_of "$1" "$2" "$(public "$3")")
	echo "endpoint $e"
	# shellcheck disable=SC2053 # a pattern is wanted
	[[ $e == $4 ]]
}
ip_ns m address del 10.7.0.2/24 dev em # the primary one goes, .12 becomes the source
ip_ns m address add 10.7.0.12/24 dev em 2>/dev/null
check "meshd moves to another address: traffic goes on" reach m 192.168.7.1 10
check "  and the kernel saw it" roamed k wgk m 10.7.0.12:51821
check "  and answers there" pings k 192.168.7.2 3
in_ns m wg set wgm listen-port 51833
check "meshd moves to another port: traffic goes on" reach m 192.168.7.1 10
check "  and the kernel saw it" roamed k wgk m 10.7.0.12:51833
ip_ns k address del 10.7.0.1/24 dev ek
ip_ns k address add 10.7.0.11/24 dev ek 2>/dev/null
check "kernel moves to another address: traffic goes on" reach k 192.168.7.2 10
check "  and meshd saw it" roamed m wgm k 10.7.0.11:51820
check "  and answers there" pings m 192.168.7.1 3
in_ns m wg set wgm peer "$(public k)" endpoint '[fd10:7::1]:51820'
check "from IPv4 to IPv6 by wg set" reach m 192.168.7.1 10
check "  and the kernel saw it" roamed k wgk m '\[fd10:7::*\]:51833'

# Keepalive: no traffic of ours, yet a handshake and bytes.
fresh
in_ns m wg set wgm peer "$(public k)" endpoint 10.7.0.11:51820 persistent-keepalive 1
check "a persistent keepalive alone makes a session" wait_for 10 both_shook
received() { local r; read -r r _ < <(transfer k wgk "$(public m)"); echo "received $r"; ((${r:-0} >= 148 + 32 * 3)); }
wait_for 10 received
check "  and goes on" received

# Either side starts again and forgets everything.
in_ns m wg set wgm peer "$(public k)" persistent-keepalive off
ip_ns k link delete wgk
kernel_side
check "the kernel starts again, meshd recovers" reach m 192.168.7.1 20

# The queue of the sending host itself, which may go by a hash that the kernel keeps with a socket: two meshds, p and q, and fq_codel
# with a backlog on the cable of p. It has to see as many flows as there are inside.
ns_add p q
veth p ep q eq
address p ep 10.8.0.1/24
address q eq 10.8.0.2/24
key p q
slow_down() {
	in_ns p tc qdisc replace dev ep root handle 1: htb default 1 &&
		in_ns p tc class add dev ep parent 1: classid 1:1 htb rate 1mbit burst 3k &&
		in_ns p tc qdisc add dev ep parent 1:1 handle 10: fq_codel
}
# flows_pair PEER-KEYS: p and q anew, with these lines in their [Interface].
flows_pair() {
	local n o
	for n in p q; do
		o=$([[ $n == p ]] && echo q || echo p)
		meshd_down "$n" "wg$n" >/dev/null 2>&1
		conf "wg$n" <<-END
			[Interface]
			PrivateKey = $(private "$n")
			ListenPort = 51840
			Address = 192.168.8.$([[ $n == p ]] && echo 1 || echo 2)/24
			$1
			[Peer]
			PublicKey = $(public "$o")
			AllowedIPs = 192.168.8.0/24
			Endpoint = 10.8.0.$([[ $o == p ]] && echo 1 || echo 2):51840
		END
		meshd_up "$n" "wg$n" || return 1
	done
	reach p 192.168.8.2 20
}
# backlogged ENOUGH: the most flows with a backlog while six of them send more than the cable takes; looked at until there are so many.
backlogged() {
	local n most=0 load
	in_ns q iperf3 -s -1 -D
	wait_for 10 listens q 5201 || return 1
	in_ns p timeout 20 iperf3 -c 192.168.8.2 -u -P 6 -b 300k -l 1000 -t 8 >/dev/null 2>&1 &
	load=$!
	while ((most < $1)) && ! gone "$load"; do
		sleep 0.5
		n=$(in_ns p tc class show dev ep | grep -c 'class fq_codel')
		((n <= most)) || most=$n
	done
	wait "$load"
	echo "$most"
}
check "two meshds, and a slow cable" flows_pair "FlowSessions = 32"
check "  with fq_codel on the sending host" slow_down
at_least "  which sees the flows" "$(backlogged 4)" 4
check "without sub-sessions" flows_pair "FlowSessions = 0"
at_most "  it sees one" "$(backlogged 3)" 2
tap_done
