#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Bandwidth: rates are kept, for the interface and for a peer; who shares one shares it fairly; the queue is here and short, not in the slow
# line.
#
#	                          +----- r -----+        +-- b: 10.8.0.2 --+
#	+-- a: wga ------+   10.9.1.2           10.9.3.2 | 10.9.3.1        |
#	|   10.8.0.1  ar +--------+ ra       rb +--------+ eb              |
#	|   10.9.1.1     |        +-------------+        +-----------------+
#	|                |                               +-- c: 10.8.0.3 --+
#	|             ac +-------------------------------+ ec              |
#	+----------------+   10.9.2.1           10.9.2.2 +-----------------+
#
# In the end rb is a slow line.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
for p in iperf3 jq tc; do command -v "$p" >/dev/null || skip_all "no $p"; done

key a b c
ns_add a b c r
veth a ar r ra
veth r rb b eb
veth a ac c ec
address a ar 10.9.1.1/24
address r ra 10.9.1.2/24
address r rb 10.9.3.2/24
address b eb 10.9.3.1/24
address a ac 10.9.2.1/24
address c ec 10.9.2.2/24
ip_ns a route add 10.9.3.0/24 via 10.9.1.2
ip_ns b route add 10.9.1.0/24 via 10.9.3.2
in_ns r sysctl -qw net.ipv4.ip_forward=1
i=1
for n in b c; do
	i=$((i + 1))
	conf "w$n" <<-END
		[Interface]
		PrivateKey = $(private $n)
		ListenPort = 51820
		Address = 10.8.0.$i/24
		[Peer]
		PublicKey = $(public a)
		AllowedIPs = 10.8.0.0/24
		Endpoint = 10.9.$((i - 1)).1:51820
	END
	check "$n comes up" meshd_up $n w$n || tap_done
	start $n "$WORK/$n.server" iperf3 -s
	wait_for 5 listens $n 5201
done

a_up() { # LINES for [Interface], for b, for c
	meshd_down a wga >/dev/null 2>&1
	conf wga <<-END
		[Interface]
		PrivateKey = $(private a)
		ListenPort = 51820
		Address = 10.8.0.1/24
		$1
		[Peer]
		PublicKey = $(public b)
		AllowedIPs = 10.8.0.2/32
		Endpoint = 10.9.3.1:51820
		$2
		[Peer]
		PublicKey = $(public c)
		AllowedIPs = 10.8.0.3/32
		Endpoint = 10.9.2.2:51820
		$3
	END
	meshd_up a wga && reach a 10.8.0.2 && reach a 10.8.0.3
}

# rate NAME [OPTIONS]: kbit/s on the cable of b or c while TCP runs, from its second second on: IP packets, without Ethernet headers.
rate() {
	local n=$1 to=10.8.0.2 dir=rx from
	[[ $n == b ]] || to=10.8.0.3
	[[ $* != *-R* ]] || dir=tx
	shift
	in_ns a timeout 20 iperf3 -c $to -t 3.5 "$@" >"$WORK/rate.$n" 2>&1 &
	sleep 1
	from=${EPOCHREALTIME/./} # before the one and after the other reading: a late one counts as less than it was
	in_ns "$n" cat "/sys/class/net/e$n/statistics/${dir}_bytes" "/sys/class/net/e$n/statistics/${dir}_packets" >"$WORK/from.$n"
	echo "$from" >>"$WORK/from.$n"
	sleep 2
	in_ns "$n" cat "/sys/class/net/e$n/statistics/${dir}_bytes" "/sys/class/net/e$n/statistics/${dir}_packets" >"$WORK/to.$n"
	echo "${EPOCHREALTIME/./}" >>"$WORK/to.$n"
	wait $!
	paste "$WORK/from.$n" "$WORK/to.$n" | awk '{ d[NR] = $2 - $1 } END { printf "%d\n", 8000 * (d[1] - 14 * d[2]) / d[3] }'
}
near() { # WHAT KBIT-PER-S LIMIT. A busy machine wakes too late to use all of it.
	at_least "$1" "$2" $(($3 * 65 / 100))
	at_most "$1" "$2" $(($3 * 102 / 100))
}
# rate_of LIMIT NAME [OPTIONS]: rate, measured again where the machine was too busy for it.
rate_of() {
	local i v
	for i in 1 2 3; do
		v=$(rate "${@:2}")
		((v < $1 * 65 / 100)) || break
	done
	echo "$v"
}
# both_rates: "B C", while a flow goes to each; again likewise.
both_rates() {
	local i b c other
	for i in 1 2 3; do
		rate b >"$WORK/b.rate" &
		other=$!
		c=$(rate c)
		wait "$other"
		b=$(<"$WORK/b.rate")
		((b + c < 20000 * 65 / 100)) || break
	done
	echo "$b $c"
}

check "Bandwidth = 20mbit of the interface" a_up "Bandwidth = 20mbit" "" ""
near "  one flow" "$(rate_of 20000 b)" 20000
near "  eight flows" "$(rate_of 20000 b -P 8)" 20000
read -r b c < <(both_rates)
near "  a flow to each of two peers, together" $((b + c)) 20000
at_least "  the second's share, in percent" $((100 * c / (b + c + 1))) 35
at_most "  the second's share, in percent" $((100 * c / (b + c + 1))) 65
at_least "  nothing limits the other direction" "$(rate b -R)" 25000

check "Bandwidth = 20mbit of the interface, two workers" a_up $'Bandwidth = 20mbit\nWorkers = 2' "" ""
near "  eight flows" "$(rate_of 20000 b -P 8)" 20000

check "Bandwidth = 10mbit of one peer" a_up "" "Bandwidth = 10mbit" ""
rate c >"$WORK/c.rate" &
other=$!
near "  is kept" "$(rate_of 10000 b)" 10000
wait "$other"
at_least "  the other peer is not limited" "$(<"$WORK/c.rate")" 25000
in_ns a wg set wga peer "$(public b)" persistent-keepalive 25
near "  and after wg set" "$(rate_of 10000 b)" 10000

# A slow line with a long queue, as modems have them.
tc -n "$NS_PREFIX-r" qdisc add dev rb root tbf rate 20mbit burst 16kb latency 600ms
beside() { # mean round trip in ms of pings beside a flow
	start a "$WORK/beside" timeout 20 iperf3 -c 10.8.0.2 -t 4
	sleep 1.5
	in_ns a ping -n -q -i 0.1 -W 3 -c 20 10.8.0.2 >"$WORK/ping" 2>&1
	wait "$STARTED" || return 1
	sed -n 's|.*= [0-9.]*/\([0-9]*\).*|\1|p' "$WORK/ping"
}
check "no shaper, 20 Mbit/s line" a_up "" "" ""
note "pings beside a flow take $(beside) ms: the line's queue"
check "Bandwidth = 18mbit on that line" a_up "Bandwidth = 18mbit" "" ""
near "  a flow" "$(rate_of 18000 b)" 18000
at_most "  pings beside a flow take, in ms" "$(beside)" 40
for n in a b c; do meshd_down $n w$n >/dev/null 2>&1; done
tap_done
