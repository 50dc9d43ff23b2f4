#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sub-sessions seen on the cable: each TCP flow has an outer flow of its own, in both directions, as many as FlowSessions says and in
# the way FlowSpread says; a flow leaves session 0 when its own is ready; nothing is left when the interface goes.
#
#	+-- a: wga ----+   N TCP flows, inside    +-- b: wgb ----+
#	|              |==========================|              |
#	|           ea +--------- veth -----------+ eb           |   tcpdump at ea
#	+--------------+   N UDP flows, outside   +--------------+
#
# Stage: pair_stage in lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/capture.sh
. "$HERE/lib/capture.sh"
command -v iperf3 >/dev/null || skip_all "no iperf3"

pair_stage
BULK=100000 # bytes in about a second that make a flow a settled flow

# only FAMILY: there is but one path between the two, so that it is known whose packets to count: which of two was answered first is chance.
only() {
	local n i
	for n in a b; do
		[[ $n == a ]] && i=1 || i=2
		ip_ns "$n" address flush dev "e$n" scope global
		if [[ $1 == 4 ]]; then address "$n" "e$n" "10.9.0.$i/24"; else address "$n" "e$n" "fd09::$i/64"; fi || return 1
	done
}

# both_up A-LINES B-LINES [4|6]: both interfaces anew, with these lines in [Interface] of a and of b, and no other family between them.
both_up() {
	meshd_down a wga >/dev/null 2>&1
	meshd_down b wgb >/dev/null 2>&1
	only "${3:-4}" || return 1
	pair_conf "${3:-4}"
	sed -i "s/^PrivateKey.*/&\n$1/" "$WORK/wga.conf"
	sed -i "s/^PrivateKey.*/&\n$2/" "$WORK/wgb.conf"
	meshd_up a wga && meshd_up b wgb
}

# load NAME FLOWS SECONDS [OPTIONS of iperf3]: begin with so many flows from a to b.
load() {
	local name=$1 flows=$2 seconds=$3
	shift 3
	wait_for 5 eval '! listens b 5201'
	start b "$WORK/$name.server" iperf3 -s -1
	wait_for 5 listens b 5201 || return 1
	start a "$WORK/$name.client" timeout 20 iperf3 -c 192.168.9.2 -t "$seconds" -P "$flows" "$@"
}
load_end() { wait "$STARTED" || { cat "$WORK/$1.client"; return 1; }; }

# settled NAME FLOWS [OPTIONS]: record what is on the cable after the flows have settled. whole: from before they begin.
settled() {
	local name=$1 client
	load "$1" "$2" 3 "${@:3}" || return 1
	client=$STARTED
	sleep 1.5
	capture a ea "$name" udp || return 1
	sleep 0.8
	capture_end "$name"
	STARTED=$client
	load_end "$name"
}
whole() {
	local name=$1
	capture a ea "$name" udp && load "$1" "$2" 1 "${@:3}" && load_end "$name" && capture_end "$name"
}

# apart NAME FLOWS SENDER: so many outer flows carry settled data from this side, and session 0 has no part in it.
apart() {
	local from count
	from=10.9.0.1
	[[ $3 == a ]] || from=10.9.0.2
	tuples "$1" "$BULK" "$from"
	count=$(tuple_count "$1" "$BULK" "$from")
	((count == $2)) && ! tuples "$1" "$BULK" "$from" | grep -qE "^$from 5182[01] [^ ]* 5182[01] "
}

# What a watcher sees of both directions together: different pairs of ports.
port_pairs() { awk '$9 == 17 && $10 >= 1 && $10 <= 4 { print $3 < $5 ? $3 " " $5 : $5 " " $3 }' "$WORK/$1.txt" | sort -u | wc -l; }

for workers in 1 2; do
	check "Workers = $workers: both come up" both_up "Workers = $workers" "Workers = $workers" || tap_done
	check "  they reach each other" reach a 192.168.9.2
	check "  16 TCP flows from a to b" settled out 16
	apart out 16 a >/dev/null || settled out 16 >/dev/null # see below
	check "  no two of them share an outer flow" apart out 16 a
	((workers > 1)) || check "  16 TCP flows from b to a" settled in 16 -R
	((workers > 1)) || apart in 16 b >/dev/null || settled in 16 -R >/dev/null
	((workers > 1)) || check "  no two of them share an outer flow" apart in 16 b
	at_most "  there are no more than 32 and session 0" "$(port_pairs out)" 33
done

# A flow that began when there was no sub-session. Where it is after that long, and whether it ever paused.
leaves() { # NAME of the capture. A second late counts: the machine may be busy
	no_control "$1" | awk -v from=10.9.0.1 '
		$2 != from || $9 != 17 || $8 < 1000 { next }
		!first { first = last = $1 }
		$1 - last > pause { pause = $1 - last }
		{ last = $1 }
		$3 == 51820 && $5 == 51821 || $3 == 51821 && $5 == 51820 { base = $1 }
		!own && !($3 == 51820 && $5 == 51821) { own = $1 }
		END {
			printf "own outer flow after %.3f s, last on session 0 after %.3f s, longest pause %.3f s, end after %.3f s\n", own - first, base - first, pause, last - first
			exit !(own && base - first < 2 && pause < 1 && last - first > 2.5)
		}'
}
check "new interfaces" both_up "" ""
first() { capture a ea first udp && load first 1 3 && load_end first && capture_end first; }
check "a flow before there is any sub-session" first
leaves first >/dev/null || { both_up "" "" && first; } >/dev/null
check "  gets its own soon, leaves session 0 and does not pause" leaves first

check "FlowSessions = 8 at a" both_up "FlowSessions = 8" ""
check "  16 flows" settled eight 16
at_most "  share 8 and session 0" "$(port_pairs eight)" 9
at_least "  and use most of them" "$(tuple_count eight "$BULK" 10.9.0.1)" 6

check "FlowSessions = 0 at b" both_up "" "FlowSessions = 0"
check "  4 flows" whole none 4
is "  are one" "$(port_pairs none)" 1
check "FlowSpread = off at a" both_up "FlowSpread = off" ""
check "  4 flows" whole off 4
is "  are one" "$(port_pairs off)" 1

# Labels alone, over IPv6; nothing to tell flows apart over IPv4.
check "FlowSpread = label, over IPv6" both_up "FlowSpread = label" "FlowSpread = label" 6
check "  16 flows" settled label 16
is "  have one pair of ports" "$(port_pairs label)" 1
labels() { tuples label "$BULK" fd09::1 | tee /dev/stderr | awk '$5 != 0 { print $5 }' | sort -u | wc -l; }
sixteen_labels() { (($(labels) == 16)); }
# On a busy machine flows may pause long enough for others to take their places: that would not happen twice.
sixteen_labels 2>/dev/null || settled label 16 >/dev/null
check "  and 16 flow labels, out" sixteen_labels
is "  sockets: of one port" "$(udp_ports a)" 1
check "FlowSpread = label, over IPv4" both_up "FlowSpread = label" "FlowSpread = label" 4
check "  4 flows" whole label4 4
is "  are one" "$(port_pairs label4)" 1

# One side starts anew; the other still has sub-sessions, which nobody listens to. Whichever of the two opens them.
check "32 again" both_up "" ""
check "  flows" whole before 4
for n in a b; do
	[[ $n == a ]] && to=192.168.9.2 || to=192.168.9.1
	check "$n goes down" meshd_down "$n" "wg$n"
	check "  and up" meshd_up "$n" "wg$n"
	check "  its very first packets are answered" pings "$n" "$to" 3
	check "  flows" whole "restart-$n" 4
	at_least "  have sub-sessions again" "$(port_pairs "restart-$n")" 4
done

# The end.
check "16 flows" settled again 16
at_least "  a or b has sockets for them" $(($(udp_ports a) + $(udp_ports b))) 10
check "a goes down" meshd_down a wga
check "  nothing is left" traceless a wga
is "  no socket either" "$(in_ns a ss -Haun)" ""
check "a is back" meshd_up a wga
load kill 4 10
sleep 1
kill -KILL "$(daemon_pid wga)"
check "its daemon is killed under load: what it had goes" wait_for 5 traceless a wga
is "  no socket either" "$(in_ns a ss -Haun)" ""
stop "$STARTED"
stop "$(<"$WORK/kill.server.pid")"
check "  up again works" meshd_up a wga
check "  they reach each other" reach a 192.168.9.2 20
check "  16 flows" settled last 16
apart last 16 a >/dev/null || settled last 16 >/dev/null
check "  no two of them share an outer flow" apart last 16 a
meshd_down a wga
meshd_down b wgb
tap_done
