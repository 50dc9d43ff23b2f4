#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ten million events over hundreds of random Babel worlds, on two processors: nothing is violated, and what the rules are about did happen.
# BABEL_SIM_EVENTS, BABEL_SIM_WORLDS and BABEL_SIM_SEED change how long, how many and which. Prints TAP.
set -u
# shellcheck source=tests/lib/tap.sh
. "${srcdir:-.}/tests/lib/tap.sh"
events=${BABEL_SIM_EVENTS:-10000000}
worlds=${BABEL_SIM_WORLDS:-240}
seed=${BABEL_SIM_SEED:-1}
program=${builddir:-.}/tests/sim/babel_long
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

pids=()
for half in 0 1; do
	"$program" $((events / 2)) $((worlds / 2)) $((seed + half * 1000000)) >"$work/$half" 2>&1 &
	pids+=($!)
done
for half in 0 1; do
	if wait "${pids[half]}"; then
		pass "process $half: nothing was violated"
	else
		fail "process $half: nothing was violated" "$(tail -n 5 "$work/$half")"
	fi
done

# count WORD: the sum over both.
count() {
	sed -nE "s/^worlds.*/&/; s/(^|.* )$1 ([0-9]+).*/\2/p" "$work/0" "$work/1" | awk '{ s += $1 } END { printf "%d\n", s }'
}
at_least "events" "$(count events)" "$events"
at_least "worlds" "$(count worlds)" $((worlds < 200 ? worlds : 200))
for what in route_changes requests refusals restarts; do
	at_least "$what" "$(count $what)" $((events / 1000 < 10000 ? events / 1000 : 10000))
done
at_least "calm worlds compared with the shortest paths" "$(count settlings)" "$worlds"
note "$(grep -h '^worlds' "$work/0" "$work/1")"
tap_done
