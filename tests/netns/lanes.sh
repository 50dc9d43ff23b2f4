#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A hub with several workers and four peers: flows to all of them at once, every lane works, nothing is lost or doubled while
# peers come and go, the port changes and sessions are made anew; offloads can be switched off one by one. Run also with a
# ThreadSanitizer build, whose reports the caller looks for.
#
#	+---------+   cable each   +---------+
#	| h: hub  |----------------| a b c d |   10.9.N.1 - 10.9.N.2, tunnel 10.8.0.1 - 10.8.0.1N, fd08::1 - fd08::1N
#	+---------+                +---------+
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

PEERS=(a b c d)
SECONDS_OF_LOAD=4
ns_add h "${PEERS[@]}"
key h "${PEERS[@]}"
i=0
for n in "${PEERS[@]}"; do
	i=$((i + 1))
	veth h "h$n" "$n" "e$n"
	address h "h$n" "10.9.$i.1/24"
	address "$n" "e$n" "10.9.$i.2/24"
done

hub_conf() { # WORKERS OFFLOADS [SUB-SESSIONS]
	local n i=0
	{
		printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.8.0.1/24, fd08::1/64\nWorkers = %s\nOffload = %s\nFlowSessions = %s\n' "$(private h)" "$1" "$2" "${3:-32}"
		for n in "${PEERS[@]}"; do
			i=$((i + 1))
			printf '\n[Peer]\nName = %s\nPublicKey = %s\nAllowedIPs = 10.8.0.1%d/32, fd08::1%d/128\nEndpoint = 10.9.%d.2:51820\n' "$n" "$(public "$n")" $i $i $i
		done
	} | conf hub
}
i=0
for n in "${PEERS[@]}"; do
	i=$((i + 1))
	printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.8.0.1%d/24, fd08::1%d/64\nWorkers = 2\n\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.8.0.0/24, fd08::/64\nEndpoint = 10.9.%d.1:51820\n' \
		"$(private "$n")" $i $i "$(public h)" $i | conf "w$n"
	check "$n comes up" meshd_up "$n" "w$n"
done
declare -A server=() client=()
i=0
for n in "${PEERS[@]}"; do
	start "$n" "$WORK/$n.server" iperf3 -s -p 5201
	server[$n]=$STARTED
	wait_for 5 listens "$n" 5201
done

# Four flows to each of four peers, pings beside them, half of them backwards.
load() {
	local n s total=0 i=0
	local -a reverse share
	for n in "${PEERS[@]}"; do
		i=$((i + 1))
		reverse=()
		((i % 2)) || reverse=(-R)
		start h "$WORK/$n.client" iperf3 -c "10.8.0.1$i" -p 5201 -P 4 -t $SECONDS_OF_LOAD "${reverse[@]}"
		client[$n]=$STARTED
	done
	start h "$WORK/ping.log" ping -n -i 0.05 -w $((SECONDS_OF_LOAD - 1)) fd08::13
	wait "$STARTED"
	for n in "${PEERS[@]}"; do
		wait "${client[$n]}"
		is "16 flows: the client of $n succeeded" "$?" 0
	done
	at_least "  pings beside them" "$(pings_answered "$WORK/ping.log")" "$SECONDS_OF_LOAD"
	mapfile -t share < <(status h hub '.lanes[] | .rx_packets + .tx_packets')
	for s in "${share[@]}"; do total=$((total + s)); done
	# Where flows come to lie is chance: a lane may have one of 32.
	for s in "${share[@]}"; do at_least "  each lane carried its part of $total packets" "$s" $((total / 100)); done
	is "  steering: no message came in at a wrong lane" "$(status h hub '[.lanes[].strays] | add')" 0
	for r in forged replayed bad_inner source queue_full; do is "  nothing dropped as $r" "$(drops h hub $r)" 0; done
}

for sessions in 0 32; do
	hub_conf 4 all $sessions
	check "the hub comes up with four workers, FlowSessions = $sessions" meshd_up h hub
	is "  which status says" "$(status h hub .workers)" 4
	for i in 1 2 3 4; do check "  it reaches peer $i" reach h "10.8.0.1$i"; done
	load
	handed=$(status h hub '[.lanes[].handed_over] | add')
	sent=$(status h hub '[.lanes[].tx_packets] | add')
	# A super-packet is handed over as one; without sub-sessions three of four are, with them those until a flow has its own.
	if ((sessions)); then
		at_most "  lanes sealed what they read, of $sent packets" "$handed" $((sent / 50))
		check "  down" meshd_down h hub
		hub_conf 4 all
		check "  and up again" meshd_up h hub
		check "  for peer 1" reach h 10.8.0.11
	else
		at_least "  what one lane read for another was handed over" "$handed" 100
		check "  down" meshd_down h hub
	fi
done

# Under load peers go and come back, the port changes, configs are reloaded, status is asked.
start h "$WORK/churn.client" iperf3 -c 10.8.0.11 -p 5201 -P 4 -t 6
churn=$STARTED
for i in 1 2 3; do
	sleep 0.5
	check "load, round $i: a peer leaves" in_ns h wg set hub peer "$(public d)" remove
	check "  reload brings it back" in_ns h timeout 20 "$MESHD" reload "$WORK/hub.conf"
	check "  another port" in_ns h wg set hub listen-port $((51900 + i))
	check "  status answers" in_ns h timeout 5 "$MESHD" status hub
	check "  that peer works again" reach h 10.8.0.14
done
wait "$churn"
is "the flows of another peer went on" "$?" 0
check "down" meshd_down h hub
check "nothing is left" traceless h hub
for n in "${PEERS[@]}"; do stop "${server[$n]}" KILL 2>/dev/null; done

# Every offload can be off, alone and together.
for off in none tso,uso gso,gro merge gso tso,gso,gro,merge; do
	hub_conf 2 "$off"
	check "Offload = $off: up" meshd_up h hub
	check "  the peer answers" reach h 10.8.0.11
	check "  TCP out" iperf a 10.8.0.11 h
	check "  TCP in" iperf a 10.8.0.11 h -R
	is "  and status says so" "$(status h hub '[.offloads | to_entries[] | select(.value) | .key] | join(",")')" \
		"$([[ $off == none ]] || echo "$off")"
	check "  down" meshd_down h hub
done
for n in "${PEERS[@]}"; do meshd_down "$n" "w$n" >/dev/null 2>&1; done
tap_done
