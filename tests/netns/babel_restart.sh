#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The ways a meshd between two routers can end and come back: planned, without either noticing; plainly, so that they know at once; killed, with
# nothing left in the kernel of what it had. The routers are babeld's. Stage: babel_lib.sh of tests/interop.
# shellcheck source=tests/interop/babel_lib.sh
. "$(dirname "$0")/../interop/babel_lib.sh"

need meshd
need babeld
line a "babeld meshd babeld" addr4
NS=a2
IF=wa2
STATE=/var/lib/meshd/$IF.babel

seqno() { in_ns "$NS" "$MESHD" routes $IF --json | jq '.speakers[0].seqno'; }
no_older() { echo "$1, before $2" && (((($1 - $2) & 65535) < 32768)); } # it begins anywhere, and may pass its end meanwhile
value() { sed -n "s/^$1=//p" "$STATE"; }
routes_of() { ip_ns "$NS" -4 route show proto 109; ip_ns "$NS" -6 route show proto 109; }
far_routes() { # how many of the stubs' are in meshd's kernel
	routes_of | grep -cE '^(10\.61\.|fd61:)'
}
down() { in_ns "$NS" timeout 20 "$MESHD" down "$@" "$WORK/$IF.conf" </dev/null; }
up() { # not in a check, which is a shell of its own
	RUNNING[$NS]=
	if meshd_start $NS && wait_for 10 answers; then pass "  up"; else fail "  up" "$(cat "$WORK/$NS.log")"; fi
}
answers() { in_ns "$NS" "$MESHD" status $IF; }
pid() { echo $((RUNNING[$NS])); }
since() { echo $(((${EPOCHREALTIME/./} - $1) / 1000)); }

# What a neighbour's kernel sees of its routes, and what passes through us meanwhile.
watch() { # NAME
	local f
	for f in 4 6; do
		start a1 "$WORK/$1.monitor$f" ip -ts -$f monitor route
		start a3 "$WORK/$1.monitor3$f" ip -ts -$f monitor route
	done
	start a1 "$WORK/$1.ping4" ping -n -i 0.05 -W 1 -I 10.61.1.1 10.61.3.1
	start a1 "$WORK/$1.ping6" ping -n -i 0.05 -W 1 -I fd61:1::1 fd61:3::1
	sleep 0.5
}
watch_end() {
	local f
	for f in 4 6; do
		stop "$(<"$WORK/$1.ping$f.pid")" INT
		stop "$(<"$WORK/$1.monitor$f.pid")"
		stop "$(<"$WORK/$1.monitor3$f.pid")"
	done
}
undisturbed() { # NAME: of the watch
	local f
	for f in 4 6 34 36; do
		! grep -E '\] (Deleted|unreachable) .*(10\.61\.|fd61:)' "$WORK/$1.monitor$f" || return 1
	done
}
all_passed() { # NAME FAMILY. The last one may be under way
	local sent got
	sent=$(pings_sent "$WORK/$1.ping$2") got=$(pings_answered "$WORK/$1.ping$2")
	echo "$got of $sent"
	((sent >= 50 && got >= sent - 1))
}
planned_restart() { # WHAT COMMAND...: that takes it down
	local what=$1 seqno id count
	shift
	seqno=$(seqno) id=$(value router-id) count=$(far_routes)
	watch "$what"
	check "$what: down" "$@"
	check "  the process is gone" wait_for 5 gone "$(pid)"
	check_not "  and so is its interface" ip_ns "$NS" link show dev $IF
	is "  its routes over other interfaces are still in the kernel" "$(far_routes)" "$count"
	is "  the router-id is kept" "$(value router-id)" "$id"
	check "  and the sequence number" no_older "$(value seqno)" "$seqno"
	up
	check_not "  what was left for it is taken" test -e /run/meshd/$IF.resume
	sleep $((8 * HELLO_S)) # babeld forgets a router that says nothing in less
	check "  routes both ways" wait_for "$SOON_S" known_both_ways a
	watch_end "$what"
	check "  both neighbours kept their routes all along" undisturbed "$what"
	check "  pings through it went on, IPv4" all_passed "$what" 4
	check "  and IPv6" all_passed "$what" 6
	check "  the sequence number goes on" no_older "$(seqno)" "$seqno"
}

lines_up a
check "routes both ways" wait_for "$SOON_S" known_both_ways a || { explain a; tap_done; }
check "pings" ping_stub a1 a3

planned_restart "planned" down --planned
planned_restart "SIGUSR1" kill -USR1 "$(pid)"

check "planned, and it does not come back" down --planned
check "  its routes are there" test "$(far_routes)" -ge 4
check "  a plain down then removes them" down
is "  none is left" "$(routes_of)" ""
check_not "  another one has nothing to do" down
up
becomes "  routes both ways" known_both_ways a

check "planned, and killed on its way back" down --planned
up
router_end $NS KILL
up
becomes "  routes both ways" known_both_ways a

# Plainly: neighbours hear of it.
at=${EPOCHREALTIME/./}
check "a plain down" down
wait_for 5 stub_unknown a1 a3
at_most "  the neighbour has lost the routes, in ms" "$(since "$at")" 2000 # rather than when it is missed
check "  it has" stub_unknown a1 a3
is "  none is left in the kernel" "$(routes_of)" ""
up
becomes "  routes both ways" known_both_ways a

# kill -9. What was there meanwhile is not there any more.
seqno=$(seqno)
count=$(far_routes)
router_end $NS KILL
is "kill -9: its routes stay" "$(far_routes)" "$count"
router_end a3
stub_off a3
up
is "  of the dead run none is left" "$(routes_of | grep -v ^unreachable | grep -E '10\.61\.3\.|fd61:3:')" ""
check "  the sequence number is not lower" no_older "$(seqno)" "$seqno"
becomes "  routes of the one that is left" stub_known $NS a1
stub_on a3
check "  the other one comes back" router_up a3
becomes "  routes both ways" known_both_ways a
check "  pings" ping_stub a1 a3
tap_done
