# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A stage with a real router in the middle: user-mode Linux with the kernel's own htb, fq_codel and netem. Sourced by the
# scripts here, on top of lib/netns.sh.
#
#	+-- a ----------+   +-- r -----------------------------------------------------+   +-- b ----------+
#	| 10.71.0.1     |   |          +---- linux.uml ----------------------+          |   | 10.71.1.1     |
#	| fd71:0:0:a::1 |   |          |   .254                      .254    |          |   | fd71:0:0:b::1 |
#	|       ea -----+---+-- brA ---+-- vec0                      vec1 ---+-- brB ---+---+---- eb        |
#	|               |   |          |   netem 20 ms    htb and fq_codel   |          |   |               |
#	+---------------+   |          +-------------------------------------+          |   +---------------+
#	                    +-----------------------------------------------------------+
#
# What A sends meets a bottleneck of 20 Mbit/s, what B sends a delay of 20 ms. Only the router is emulated; both ends of a VPN
# run at native speed. Segmentation is off on the cables, so that the router sees packets as a wire would carry them.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"

ROUTER_RATE=${ROUTER_RATE:-20mbit}
ROUTER_DELAY=${ROUTER_DELAY:-20ms}
ROUTER_BOOT_S=60   # it takes 3 to 5
ROUTER_LIFE_S=3600 # it ends by itself when a script was killed
ROUTER_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
A4=10.71.0.1 A6=fd71:0:0:a::1 B4=10.71.1.1 B6=fd71:0:0:b::1

router_needs() {
	local p m
	for p in linux.uml:user-mode-linux irtt:irtt iperf3:iperf3 ethtool:ethtool nft:nftables jq:jq python3:python3 \
		wg:wireguard-tools tc:iproute2 halt:systemd-sysv; do
		command -v "${p%:*}" >/dev/null || skip_all "no ${p%:*} (package ${p#*:})"
	done
	for m in sch_htb sch_fq_codel sch_netem; do
		[[ -n $(find /usr/lib/uml/modules -name "$m.ko" 2>/dev/null) ]] || skip_all "user-mode Linux has no module $m"
	done
}

# cable NS IFACE BRIDGE: from a namespace to a bridge in r, with a tap beside it for the router.
cable() {
	local tap=tap${3#br} up=up${3#br} i
	veth "$1" "$2" r "$up"
	for i in "$1 $2" "r $up"; do
		# shellcheck disable=SC2086
		set -- $i "$3"
		in_ns "$1" ethtool -K "$2" tso off gso off gro off tx off sg off >/dev/null 2>&1
	done
	ip_ns r link add "$3" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	ip_ns r tuntap add dev "$tap" mode tap
	in_ns r sysctl -qw "net.ipv6.conf.$3.disable_ipv6=1" "net.ipv6.conf.$up.disable_ipv6=1" "net.ipv6.conf.$tap.disable_ipv6=1"
	for i in "$up" "$tap"; do ip_ns r link set "$i" master "$3" up; done
	ip_ns r link set "$3" up
}

# The namespaces and cables, and a router that forwards without a bottleneck yet.
router_stage() {
	router_needs
	ns_add a b r
	cable a ea brA
	cable b eb brB
	address a ea "$A4/24" "$A6/64"
	address b eb "$B4/24" "$B6/64"
	ip_ns a route add default via 10.71.0.254
	ip_ns a route add default via fd71:0:0:a::fe
	ip_ns b route add default via 10.71.1.254
	ip_ns b route add default via fd71:0:0:b::fe
	ROUTER_DIR=$WORK/router
	mkdir "$ROUTER_DIR"
	install -m 0755 "$ROUTER_HERE/uml_init.sh" "$ROUTER_DIR/init" # the sources may lie where nothing is executable
	cat >"$ROUTER_DIR/config" <<-END
		ADDRESSES_A="10.71.0.254/24 fd71:0:0:a::fe/64"
		ADDRESSES_B="10.71.1.254/24 fd71:0:0:b::fe/64"
		LIFE_S=$ROUTER_LIFE_S
		MODULES="lib/crc-ccitt net/ipv6/ipv6 net/sched/sch_htb net/sched/sch_fq_codel net/sched/sch_netem"
	END
}

# Boot it. It has a processor of its own in life, so its priority is real-time here. (What is to be remembered is in files:
# "check" calls functions in a subshell.)
router_boot() {
	local -a first=(chrt -r 5)
	rm -f "$ROUTER_DIR"/command.* "$ROUTER_DIR/stop"
	chrt -r 5 true 2>/dev/null || first=(nice -n -10)
	start r "$WORK/router.log" "${first[@]}" linux.uml mem=128M rootfstype=hostfs ro hostfs=/ init="$ROUTER_DIR/init" \
		uml_dir="$WORK/uml" umid=router "ROUTER_DIR=$ROUTER_DIR" con=null con0=null,fd:1 \
		vec0:transport=tap,ifname=tapA,depth=128,gro=0,mac=02:71:00:00:00:fe \
		vec1:transport=tap,ifname=tapB,depth=128,gro=0,mac=02:71:00:00:01:fe
	router_says "router: ready" "$ROUTER_BOOT_S" || { tail -n 20 "$WORK/router.log"; return 1; }
	wait_for 5 in_ns a ping -n -c 1 -W 1 "$B4" && wait_for 5 in_ns a ping -n -c 1 -W 1 "$B6"
}

# Whether its kernel came to anything at all.
router_started() { grep -q '^Linux version' "$WORK/router.log"; }

# router_says TEXT SECONDS: wait for this on its console; in vain when it has ended.
router_says() {
	local end=$((SECONDS + $2))
	until grep -qF "$1" "$WORK/router.log"; do
		((SECONDS < end)) || return 1
		gone "$(<"$WORK/router.log.pid")" && return 1
		sleep 0.1
	done
}

# router_do <SCRIPT: run it inside and wait for it; its status.
router_do() {
	local n=1
	while [[ -e $ROUTER_DIR/command.$n ]]; do n=$((n + 1)); done
	cat >"$ROUTER_DIR/.next"
	mv "$ROUTER_DIR/.next" "$ROUTER_DIR/command.$n"
	router_says "router: command $n done, " 20 || return 1
	grep -q "router: command $n done, 0" "$WORK/router.log"
}

# router_queue fq_codel|fifo: the bottleneck toward B with this queue, and the delay toward A. Can be changed at any time.
router_queue() {
	local leaf=fq_codel
	[[ $1 == fq_codel ]] || leaf="pfifo limit 1000"
	router_do <<-END
		tc qdisc del dev vec1 root 2>/dev/null
		tc qdisc del dev vec0 root 2>/dev/null
		set -e
		tc qdisc add dev vec0 root netem delay $ROUTER_DELAY limit 10000
		tc qdisc add dev vec1 root handle 1: htb default 10
		tc class add dev vec1 parent 1: classid 1:10 htb rate $ROUTER_RATE burst 3k quantum 1514
		tc qdisc add dev vec1 parent 1:10 handle 10: $leaf
		tc qdisc show dev vec1
	END
}

router_stop() {
	touch "$ROUTER_DIR/stop"
	wait_for 10 gone "$(<"$WORK/router.log.pid")"
}

# Count what comes out of the bottleneck, in IP bytes by class, where it comes into b.
counters_add() {
	in_ns b nft -f - <<-'END'
		table inet wire {
			counter one { }
			counter bulk { }
			counter wgo { }
			counter mesh { }
			chain in {
				type filter hook prerouting priority -300
				iifname != "eb" accept
				tcp dport 5301 counter name one accept
				tcp dport 5201 counter name bulk accept
				udp dport 51900 counter name wgo accept
				udp dport 2112 accept
				meta l4proto udp counter name mesh accept
			}
		}
	END
}

# Their values and the time: one line of JSON.
counters() {
	in_ns b nft -j list counters | jq -c --arg us "${EPOCHREALTIME/./}" \
		'[.nftables[].counter // empty | {key: .name, value: .bytes}] | from_entries + {us: ($us | tonumber)}'
}
