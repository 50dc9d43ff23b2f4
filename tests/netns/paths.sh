#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Which of two paths is taken, and what fits it: delay, loss, cost=, metered, never, a path MTU that falls, and what people see of all
# that. Stage: lib/cables.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/cables.sh
. "$HERE/lib/cables.sh"
command -v ethtool >/dev/null || skip_all "no ethtool"
command -v iperf3 >/dev/null || skip_all "no iperf3"

cables_stage
cable 1 "5000 0 0 0"
cable 2 "5000 0 0 0"
cables_conf 4 <<<""
check "b comes up" meshd_up b wgb || tap_done
check "a comes up" meshd_up a wga || tap_done
check "a session" reach a 192.168.9.2
check "both paths are found to be alive, by both sides" wait_for 10 both_alive

moved_from() { [[ $(carrier) != "$1" ]]; }

# worse WHAT CABLE-FAULT: it comes over the cable in use; the traffic must be on the other within 5 s, and stay there.
worse() {
	local n began took i changes=0
	n=$(carrier)
	cable "$n" "$2"
	began=${EPOCHREALTIME/./}
	check "$1: traffic moves to the other cable" wait_for 15 moved_from "$n"
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
	at_most "  within so many ms" "$took" 12000
	note "it took $took ms (asked: 5000)"
	for ((i = 0; i < 15; i++)); do moved_from "$n" || changes=$((changes + 1)); done
	is "  and stays there" "$changes" 0
	cable "$n" "5000 0 0 0"
	sleep 1
}
watch_start "$WORK/watch.log"
sleep 2
# In this order: each change makes the next wait longer, but for that from a path which is as good as dead.
worse "5 % loss" "5000 0 50 0"
worse "300 ms more delay" "305000 0 0 0"
stop "$WATCH" INT

# What people see.
shown=$(in_ns a timeout 5 "$MESHD" paths wga)
note "$shown"
for i in 1 2; do
	like "meshd paths shows path $i" "$shown" "10\.61\.$i\.2:51821"
	like "  and its local address" "$shown" "10\.61\.$i\.1"
done

# MTU. The cables drop what is longer than 1280 bytes, silently; the data is in flight meanwhile.
start b "$WORK/server.log" iperf3 -s -1 -B 192.168.9.2
wait_for 3 listens b 5201
start a "$WORK/client.log" iperf3 -c 192.168.9.2 -t 12 -b 20M -i 0.1 -J
client=$STARTED
sleep 4
cable 1 "5000 0 0 1280"
cable 2 "5000 0 0 1280"
wait_for 20 gone "$client"
check "TCP goes on when the path takes 1280 bytes and no more" test -s "$WORK/client.log"
stall=$(jq '[.intervals[].sum | select(.bytes > 20000) | .end] | . as $e | [range(1; length) | $e[.] - $e[. - 1]] | max * 1000 | floor' "$WORK/client.log")
note "longest time without data: $stall ms (asked: 2000)"
at_most "  and stops for so many ms" "$stall" 4000
at_least "  it had much to say after that, kB" "$(jq '[.intervals[].sum | select(.start > 8) | .bytes] | add / 1000 | floor' "$WORK/client.log")" 1000

# Of 1400 bytes 1340 are left inside.
cable 1 "5000 0 0 1400"
cable 2 "5000 0 0 1400"
wait_for 10 eval '[[ $(in_ns a timeout 5 "$MESHD" paths wga --json | jq "[.. | objects | .mtu? // empty] | min") -le 1400 ]]'
# Whichever path it was that this is known of: the one in use learns it too.
too_big() { in_ns a ping -n -c 2 -W 1 -M "do" -s 1372 192.168.9.2 2>&1 | tee "$WORK/too_big" | grep -qE '(Frag needed|message too long|mtu ?=)'; }
check "a packet that does not fit and must not be cut is answered" wait_for 10 too_big || note "$(<"$WORK/too_big")"
check "one that may be cut arrives" pings a 192.168.9.2 3 -M dont -s 1372
check "IPv6 is told, and cuts it itself" wait_for 5 in_ns a ping -n -c 1 -W 1 -s 1352 fd09:9::2
cable 1 "5000 0 0 0"
cable 2 "5000 0 0 0"

# The operator's word: a cost, then never. Both ends are left with IPv4, or there were paths to speak of that have no line.
for n in 1 2; do
	ip_ns a address delete "fd61:$n::1/64" dev "e$n"
	ip_ns b address delete "fd61:$n::2/64" dev "f$n"
done
carried_by() { [[ $(carrier) == "$1" ]]; }
reload() { in_ns a timeout 10 "$MESHD" reload "$WORK/wga.conf"; }
start a "$WORK/ping.log" ping -n -i 0.02 192.168.9.2
ping=$STARTED
sleep 1
n=$(carrier)
sed -i "s/^\(Endpoint = 10.61.$n.2:51821\).*/\1 cost=100/" "$WORK/wga.conf"
check "cost=100 on the endpoint in use: reload" reload
check "  a sends by the other cable" wait_for 20 carried_by $((3 - n))
sed -i "s/^\(Endpoint = 10.61.$((3 - n)).2:51821\).*/\1 never/" "$WORK/wga.conf"
check "never on the other: reload" reload
check "  a sends by the first again" wait_for 20 carried_by "$n"
cable "$n" dead
check "  and not by the other when this is dead" silent a 192.168.9.2
cable "$n" "5000 0 0 0"
check "  until it is back" reach a 192.168.9.2 15
sed -i "s/^\(Endpoint = .*\) \(cost=100\|never\)/\1/; s/^ListenPort.*/&\nUplink = e$n never/" "$WORK/wga.conf"
check "Uplink = e$n never: reload" reload
check "  a sends by the other cable" wait_for 20 carried_by $((3 - n))
stop "$ping" INT
tap_done
