#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Short buffers below meshd: with a 20 Mbit/s token bucket on the sender's cable, what lies unsent in all of meshd's sockets stays
# at a burst or two, however much TCP would like to send; so the queue is where it can be managed. Stage: pair_stage in
# lib/netns.sh, with "tc qdisc tbf" on a's end.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

# Bytes the kernel counts as unsent in UDP sockets of namespace $1 (skmem's t), in all.
unsent() { in_ns "$1" ss -Huanm | grep -o 'skmem:([^)]*)' | sed 's/.*,t\([0-9]*\),.*/\1/' | awk '{ s += $1 } END { print s + 0 }'; }

pair_stage
if ! in_ns a tc qdisc add dev ea root tbf rate 20mbit burst 10kb limit 3mb 2>"$WORK/tc.err"; then
	skip_all "no tbf in this kernel: $(cat "$WORK/tc.err")"
fi
pair_conf 4
check "a comes up" meshd_up a wga
check "b comes up" meshd_up b wgb
check "they reach each other" reach a 192.168.9.2
start b "$WORK/server.log" iperf3 -s -1
wait_for 5 listens b 5201
start a "$WORK/client.log" iperf3 -C cubic -c 192.168.9.2 -P 4 -t 5
client=$STARTED
ticks() { awk '{ print $14 + $15 }' "/proc/$(daemon_pid wga)/stat"; }
before=$(ticks)
sleep 1
most=0 samples=0
while kill -0 "$client" 2>/dev/null && ((samples < 150)); do
	now=$(unsent a)
	((now > most)) && most=$now
	samples=$((samples + 1))
	echo "$now" >>"$WORK/samples"
	sleep 0.02
done
wait "$client"
is "TCP gets through the bucket" "$?" 0
at_most "  waiting for room costs no CPU: ticks of 10 ms in 5 s" $(($(ticks) - before)) 100
at_least "  the sockets were looked at often enough" "$samples" 15
at_least "  something was unsent, so the bucket was the bottleneck" "$most" 2000
# 64 KiB is where each worker begins to hold back, and less after a while; a burst may come on top. When a busy machine lets the sockets run dry
# the bound is doubled for a moment, so what counts is what is usual. The kernel counts memory, which is up to twice the bytes.
usual=$(sort -n "$WORK/samples" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] + 0 }')
at_most "  unsent bytes stay at a burst or two, usually" "$usual" 300000
tap_done
