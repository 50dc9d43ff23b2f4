#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Meshes of two nodes behind routers and a third that is public, through which they come together: every pair of {public address, forwarded port,
# masquerade, masquerade with random ports}, four pairs at a time. What one sends to the other goes by the third first, and directly soon, where that
# can be; nothing is lost over it.
#
# The stage is lib/nats.sh's, with nodes 10.7.0.2 and 10.7.0.3 of each pair in the tunnel, and on the bridge p1..p4 at 203.0.113.11 to .14: one third
# for each pair, 10.7.0.1.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/nats.sh
. "$HERE/lib/nats.sh"

DIRECT_S=8	# by then packets go directly, where they can; it should be five
m() { local n=$1; shift; in_ns "$n" timeout 40 "$MESHD" "$@" </dev/null; } # NS COMMAND...

nats_stage
for n in 1 2 3 4; do
	ns_add "p$n"
	nats_attach "p$n" "203.0.113.1$n/24"
done
nats_way_to_public p1 p2 p3 p4

# join LEFT NODE NAME ADDRESS: one more in the mesh of p LEFT.
join() {
	local token
	token=$(m "p$1" invite "p$1" "$3" --addr "$4" 2>/dev/null) && m "n$2" join "$token" "w$2"
}
# One pair, from nothing to eight seconds of pings; $WORK/LEFT+RIGHT.log is what ping says, .up when the second node was up.
pair() { # LEFT RIGHT
	local a=$1 b=$2 end
	m "p$a" init "p$a" --mesh-name "m$a" --node third --addr 10.7.0.1 --port 51820 >/dev/null && m "p$a" up "p$a" || return 1
	wait_for 5 listening_endpoint "p$a" || return 1
	join "$a" "$a" left 10.7.0.2 && m "n$a" up "w$a" && join "$a" "$b" right 10.7.0.3 && m "n$b" up "w$b" || return 1
	echo "${EPOCHREALTIME/,/.}" >"$WORK/$a+$b.up"
	reach "n$a" 10.7.0.3 10 || return 1
	in_ns "n$a" timeout 20 ping -n -D -i 0.1 -c $((DIRECT_S * 10)) 10.7.0.3 >"$WORK/$a+$b.log" 2>&1
	m "n$a" mesh "w$a" --json >"$WORK/$a+$b.json"
	m "n$a" paths "w$a" >"$WORK/$a+$b.paths" 2>&1
	m "n$a" down "w$a" && m "n$b" down "w$b" && m "p$a" down "p$a"
}
listening_endpoint() { m "$1" mesh "$1" --json | jq -e '.nodes[0].endpoints | length > 0'; }
# When the first answer came that nobody had passed on, after the second node was up; ms.
direct_ms() { awk -v up="$(<"$WORK/$1.up")" '/ttl=64/ { gsub(/[][]/, "", $1); printf "%d\n", ($1 - up) * 1000; exit }' "$WORK/$1.log"; }
by_third() { grep -c 'ttl=63' "$WORK/$1.log"; }
lost() { echo $(($(pings_sent "$WORK/$1.log") - $(pings_answered "$WORK/$1.log"))); }
last_is_direct() { grep 'ttl=' "$WORK/$1.log" | tail -1 | grep -q 'ttl=64'; }

judge() { # LEFT RIGHT STATUS
	local what="${KINDS[$1]} and ${KINDS[$2]}" p="$1+$2"
	if ! is "$what: a mesh, and pings" "$3" 0; then
		note "$(cat "$WORK/$p".*)"
		return
	fi
	if hopeless "$1" "$2"; then
		is "  by the third, all of them" "$(by_third "$p")" "$(pings_answered "$WORK/$p.log")"
	else
		at_most "  directly after, ms" "$(direct_ms "$p")" $((DIRECT_S * 1000)) || note "$(tail -5 "$WORK/$p.log"; cat "$WORK/$p.paths")"
		check "  to the end" last_is_direct "$p"
	fi
	at_most "  lost" "$(lost "$p")" 1 || note "$(grep -o 'seq=[0-9]* ttl=[0-9]*' "$WORK/$p.log" | xargs)"
}
round() { # SHIFT
	local a
	local -a pids=() right=()
	for a in 1 2 3 4; do
		right[a]=$((5 + (a + $1) % 4))
		pair "$a" "${right[a]}" >"$WORK/$a+${right[a]}.out" 2>&1 &
		pids[a]=$!
	done
	for a in 1 2 3 4; do
		wait "${pids[a]}"
		judge "$a" "${right[a]}" "$?"
	done
	rm -f /etc/meshd/*
	nats_forget
}
for shift in 0 1 2 3; do round $shift; done
tap_done
