#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two paths to a peer, and what happens when the one in use fails. Stage: lib/cables.sh.
#
#	sudo MESHD=./meshd tests/netns/failover.sh [--full]
#
# Quick: each kind of failure a few times, with bounds that hold on a busy machine. --full: ten times each, and the goals as bounds.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/cables.sh
. "$HERE/lib/cables.sh"
command -v ethtool >/dev/null || skip_all "no ethtool"
command -v iperf3 >/dev/null || skip_all "no iperf3"

if [[ ${1:-} == --full ]]; then runs=10 silent_ms=500 told_ms=100; else runs=3 silent_ms=1500 told_ms=600; fi

cables_stage
cables_conf 4 <<<""
check "b comes up" meshd_up b wgb || tap_done
check "a comes up" meshd_up a wga || tap_done
check "a session" reach a 192.168.9.2
check "both paths are found to be alive, by both sides" wait_for 10 both_alive

# fail_path KIND N / mend_path KIND N
fail_path() {
	case $1 in
	silent) cable "$2" dead ;;
	there) cable "$2" dead fine ;;
	back) cable "$2" fine dead ;;
	link) ip_ns a link set "e$2" down ;;
	address) ip_ns a address flush dev "e$2" ;;
	esac
}
mend_path() {
	case $1 in
	link) ip_ns a link set "e$2" up && address a "e$2" "fd61:$2::1/64" 2>/dev/null ;;
	address) address a "e$2" "10.61.$2.1/24" "fd61:$2::1/64" ;;
	*) cable "$2" fine ;;
	esac
}

# failures KIND RUNS: the longest gap of each run, a line each; "bad" where traffic did not end up on the other cable.
failures() {
	local i n gap
	for ((i = 1; i <= $2; i++)); do
		wait_for 15 both_alive || { echo bad; continue; }
		watch_start "$WORK/$1.$i.log"
		sleep 1.5
		n=$(carrier)
		sleep "0.$((RANDOM % 900 + 100))"
		fail_path "$1" "$n"
		sleep 2
		[[ $(carrier) != "$n" ]] || [[ $1 == back ]] || echo bad
		stop "$WATCH" INT
		gap=$(gap_ms "$WORK/$1.$i.log")
		echo "${gap:-bad}"
		mend_path "$1" "$n"
	done
}

# What goes both ways all the while must survive everything below.
start b "$WORK/server.log" iperf3 -s -1 -B 192.168.9.2
wait_for 3 listens b 5201
start a "$WORK/client.log" iperf3 -c 192.168.9.2 -b 2M -t 600 --bidir -J
tcp=$STARTED
for kind in silent there back link address; do
	gaps=$(failures "$kind" "$runs")
	note "$kind: longest gap of a 10 ms ping, each run: ${gaps//$'\n'/ } ms"
	unlike "$kind: traffic moved to the other cable each time" "$gaps" bad
	limit=$silent_ms
	[[ $kind != link && $kind != address ]] || limit=$told_ms
	at_most "  median gap, ms" "$(grep -v bad <<<"$gaps" | median)" "$limit"
done
check_not "TCP went on through all of it" gone "$tcp"
stop "$tcp" INT
is "  without an error" "$(jq -r '.error // "none"' "$WORK/client.log" | sed 's/interrupt.*/none/')" none
at_least "  both ways, MB" "$(jq '[([.intervals[].sum.bytes] | add), ([.intervals[].sum_bidir_reverse.bytes] | add)] | min / 1000000 | floor' "$WORK/client.log")" 1

# All dead, and back.
wait_for 15 both_alive
cable 1 dead
cable 2 dead
sleep 3
cable 2 fine
check "both cables dead, one comes back: traffic goes on" reach a 192.168.9.2 10
cable 1 fine
tap_done
