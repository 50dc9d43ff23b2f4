# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Two nodes and two cables between them, each with faults at will (lib/cable.c). Sourced after lib/netns.sh.
#
#	+-- a: wga ----------+                    +-- b: wgb ----------+
#	| 192.168.9.1/24     |                    | 192.168.9.2/24     |
#	|   10.61.1.1/24  e1-+--- c1 [ cable ] ---+-f1  10.61.1.2/24   |
#	|   10.61.2.1/24  e2-+--- c2 [ cable ] ---+-f2  10.61.2.2/24   |
#	+--------------------+                    +--------------------+
#	  and fd61:N::1/64, ::2/64

# cables_stage [4]: makes it, both cables perfect; 4: without IPv6. Needs a compiler.
cables_stage() {
	local n cc=${CC:-cc}
	command -v "$cc" >/dev/null || skip_all "no C compiler"
	$cc -std=c11 -O2 -o "$WORK/cable" "$HERE/lib/cable.c" || { fail "the cable compiles"; tap_done; }
	key a b
	ns_add a b c1 c2
	for n in 1 2; do
		veth a "e$n" "c$n" near
		veth b "f$n" "c$n" far
		address a "e$n" "10.61.$n.1/24"
		address b "f$n" "10.61.$n.2/24"
		[[ ${1:-} == 4 ]] || address a "e$n" "fd61:$n::1/64"
		[[ ${1:-} == 4 ]] || address b "f$n" "fd61:$n::2/64"
		plain_frames a "e$n"
		plain_frames b "f$n"
		plain_frames "c$n" near
		plain_frames "c$n" far
		in_ns "c$n" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
		cable "$n" "0 0 0 0"
		start "c$n" "$WORK/cable$n.log" "$WORK/cable" near far "$WORK/cable$n"
	done
	in_ns a sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	in_ns b sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
}
plain_frames() { in_ns "$1" ethtool -K "$2" tso off gso off gro off tx-udp-segmentation off tx off rx off >/dev/null 2>&1 || true; }

# cable N A-TO-B [B-TO-A]: each "DELAY-us JITTER-us LOSS-permille MTU"; without the second both are alike. "dead" and "fine" are words for such.
cable() {
	local there=$2 back=${3:-$2}
	there=${there/dead/0 0 1000 0} back=${back/dead/0 0 1000 0}
	there=${there/fine/0 0 0 0} back=${back/fine/0 0 0 0}
	printf '%s\n%s\n' "$there" "$back" >"$WORK/cable$1.new"
	mv "$WORK/cable$1.new" "$WORK/cable$1"
}

# cables_conf FAMILY: configs; what is on standard input goes into both [Interface]s. b knows no endpoint.
cables_conf() {
	local more one=10.61.1.2:51821 two=10.61.2.2:51821
	more=$(cat)
	[[ ${1:-4} == 4 ]] || one='[fd61:1::2]:51821' two='[fd61:2::2]:51821'
	conf wga <<-END
		[Interface]
		PrivateKey = $(private a)
		ListenPort = 51820
		Address = 192.168.9.1/24, fd09:9::1/64
		$more
		[Peer]
		PublicKey = $(public b)
		AllowedIPs = 192.168.9.2/32, fd09:9::2/128
		Endpoint = $one
		Endpoint = $two
		PersistentKeepalive = 25
	END
	conf wgb <<-END
		[Interface]
		PrivateKey = $(private b)
		ListenPort = 51821
		Address = 192.168.9.2/24, fd09:9::2/64
		$more
		[Peer]
		PublicKey = $(public a)
		AllowedIPs = 192.168.9.1/32, fd09:9::1/128
	END
}

tx_packets() { in_ns "$1" cat "/sys/class/net/$2/statistics/tx_packets"; }

# carrier: 1 or 2, whichever cable took more packets of a's in the last moment: those of a ping every 10 ms are many more than probes.
carrier() {
	local one two
	one=$(tx_packets a e1) two=$(tx_packets a e2)
	sleep "${1:-0.3}"
	((($(tx_packets a e1) - one) >= ($(tx_packets a e2) - two))) && echo 1 || echo 2
}

# watch_start LOG: a ping every 10 ms from a to b. gap_ms LOG: the longest time between two answers.
watch_start() { start a "$1" ping -n -D -i 0.01 -W 2 192.168.9.2; WATCH=$STARTED; }
gap_ms() {
	awk -F'[][]' '/bytes from/ { if (last && $2 - last > gap) gap = $2 - last; last = $2 } END { printf "%d\n", 1000 * gap }' "$1"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }
both_alive() { [[ $(alive_paths a wga) -ge 2 && $(alive_paths b wgb) -ge 2 ]]; }
alive_paths() { in_ns "$1" timeout 5 "$MESHD" paths "$2" --json | jq '[.. | objects | select(.state? == "alive")] | length'; }
