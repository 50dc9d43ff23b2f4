#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sub-sessions through NATs: every pair of {public address, forwarded port, masquerade, masquerade with random ports}. Sixteen links at once
# between four nodes on one side and four on the other, each behind a router of its own.
#
# The stage is lib/nats.sh's; in the tunnel a node is 10.8.N.1. tcpdump is in the middle, on the bridge in i.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/nats.sh
. "$HERE/lib/nats.sh"
# shellcheck source=tests/lib/capture.sh
. "$HERE/lib/capture.sh"
command -v iperf3 >/dev/null || skip_all "no iperf3"

outside() { case ${KINDS[$1]} in public) echo "198.51.100.$1" ;; *) echo "203.0.113.$1" ;; esac; }

node_conf() { # N PEER...
	local n=$1 p
	shift
	{
		printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.8.%d.1/32\nFlowSessions = %s\n' "$(private "$n")" "$n" "$SESSIONS"
		for p; do
			printf '\n[Peer]\nName = n%d\nPublicKey = %s\nAllowedIPs = 10.8.%d.1/32\nEndpoint = %s:51820\nPersistentKeepalive = 2\n' \
				"$p" "$(public "$p")" "$p" "$(outside "$p")"
		done
	} | conf "w$n"
}

for n in 1 2 3 4 5 6 7 8; do key $n; done
nats_stage

all_up() { # SESSIONS
	local n
	SESSIONS=$1
	for n in 1 2 3 4; do node_conf "$n" 5 6 7 8 && meshd_up "n$n" "w$n" || return 1; done
	for n in 5 6 7 8; do node_conf "$n" 1 2 3 4 && meshd_up "n$n" "w$n" || return 1; done
}
all_down() {
	local n
	for n in 1 2 3 4 5 6 7 8; do meshd_down "n$n" "w$n" || return 1; done
	nats_forget
}
# Whether two nodes have a session after so many seconds.
linked() { [[ $(handshake "n$1" "w$1" "$(public "$2")") != 0 ]] && in_ns "n$1" ping -n -q -c 1 -W 1 "10.8.$2.1" >/dev/null; }

each() { # FUNCTION: for all pairs, all at once; fails when one did
	local a b failed=0
	local -a pids=()
	for a in 1 2 3 4; do for b in 5 6 7 8; do "$1" $a $b & pids+=($!); done; done
	for a in "${pids[@]}"; do wait "$a" || failed=1; done
	return $failed
}

# What plain WireGuard can do.
check "all nodes come up, FlowSessions = 0" all_up 0 || tap_done
judge_plain() {
	local within=20
	! hopeless "$1" "$2" || { sleep 7 && within=0; }
	wait_for "$within" linked "$1" "$2" && echo linked >"$WORK/plain.$1.$2" || echo "not linked" >"$WORK/plain.$1.$2"
}
each judge_plain
for a in 1 2 3 4; do for b in 5 6 7 8; do
	hopeless $a $b && want="not linked" || want=linked
	is "plain WireGuard: ${KINDS[a]} and ${KINDS[b]}: $want" "$(<"$WORK/plain.$a.$b")" "$want"
done; done
check "all down" all_down

# With sub-sessions: four flows over each link, half of the time passed before they are looked at.
LOAD_S=10
check "all nodes come up, FlowSessions = 32" all_up 32 # several lanes share them
reach_each() { hopeless "$1" "$2" || wait_for 20 linked "$1" "$2"; }
check "those are linked again" each reach_each
flows() {
	hopeless "$1" "$2" && return
	in_ns "n$2" timeout 25 iperf3 -s -1 -p "52$1$2" >/dev/null 2>&1 &
	wait_for 5 listens "n$2" "52$1$2"
	in_ns "n$1" timeout 25 iperf3 -c "10.8.$2.1" -p "52$1$2" -t "$LOAD_S" -P 4 -l 1000 -b 1M >"$WORK/flows.$1.$2" 2>&1
}
all_flows() {
	local flowing
	each flows &
	flowing=$!
	sleep $((LOAD_S - 3))
	capture i br0 nat udp || return 1
	sleep 2
	capture_end nat
	wait "$flowing"
}
# subs A B: how many sub-sessions carry data from node A to node B, by the receiver index.
subs() {
	awk -v from="$(outside "$1")" -v to="$(outside "$2")" '
		$2 == from && $4 == to && $9 == 17 && $10 == 4 { sum[substr($11, 7) " " $3 " " $5] += $8 }
		END { for (s in sum) if (sum[s] > 30000) print s }' "$WORK/nat.txt" |
		while read -r low _; do ((16#$low % 128)) && echo "$low"; done | wc -l
}
spread() { # each flow of each link has its own
	local a b
	for a in 1 2 3 4; do for b in 5 6 7 8; do
		hopeless $a $b || (($(subs $a $b) == 4)) || return 1
	done; done
}
check "four flows over each link" all_flows
spread || all_flows # a machine that was busy in just that moment would not be so twice
for a in 1 2 3 4; do for b in 5 6 7 8; do
	hopeless $a $b || is "${KINDS[a]} and ${KINDS[b]}: four flows on four sub-sessions" "$(subs $a $b)" 4
done; done

# A NAT forgets one sub-session. What node 5 sends to node 4 on it is lost until node 5 is told.
start n4 "$WORK/receive" python3 "$HERE/lib/udp_flows.py" receive 6000 4 12
receiver=$STARTED
start n5 "$WORK/send" python3 "$HERE/lib/udp_flows.py" send 10.8.4.1 6000 4 14
sleep 4
capture n4 lan before udp and dst host 10.9.4.2
sleep 1
capture_end before
# shellcheck disable=SC2046 # two words
set -- $(tuples before 5000 198.51.100.5 | awk '$4 != 51820 { print $4 }' | sort)
at_least "flows to a node behind a NAT with random ports: on sub-sessions" $# 3
check "  the NAT forgets one" in_ns r4 conntrack -D -p udp --orig-src 10.9.4.2 --orig-port-src "$1"
wait "$receiver"
note "$(cat "$WORK/receive")"
is "  every flow goes on to the end" "$(awk '$4 > 11000' "$WORK/receive" | wc -l)" 4
at_most "  the longest pause, ms" "$(awk '$3 > m { m = $3 } END { print m }' "$WORK/receive")" 5000
is "  the other three noticed nothing" "$(awk '$3 < 800' "$WORK/receive" | wc -l)" 3
all_down >/dev/null
tap_done
