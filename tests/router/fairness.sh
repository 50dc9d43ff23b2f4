#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a tunnel's flows get in a router with fq_codel, and what they do to a call beside them: native (no tunnel), wireguard-go
# and meshd, side by side in one run. Stage: router.sh.
#
#	sudo MESHD=./meshd tests/router/fairness.sh               quick: generous limits, about 85 s; what contrib/check runs
#	sudo MESHD=./meshd tests/router/fairness.sh --full --save=doc
#
#	--full          the goals as limits, 5 runs, longer measures, every queue
#	--runs=N        how often; medians are quoted
#	--kinds=LIST    of native, wgo, meshd, meshd-6, meshd-label, meshd-bw, and what --kind adds (default: all but meshd-6)
#	--kind=NAME:FAMILY:QUEUES:LINES
#	                one more meshd: outer family 4 or 6; what it is measured behind, fq_codel, fifo or fq_codel+fifo; lines for its
#	                [Interface], separated by ";". Its name is added to the list.
#	--bandwidth=X   of meshd-bw (default 19mbit: a little below the bottleneck)
#	--fetch         wireguard-go of bookworm-backports, into MESHD_TEST_CACHE, beside Debian's (WIREGUARD_GO names another)
#	--limits=LIMITS of figures.py, instead of those of the mode
#	--save=DIR      also DIR/router.json and DIR/router.svg
#	--keep=DIR      copies what was measured, before it is condensed, there
#
# Measured, per run and queue:
#
#	ratio-N   N TCP flows in the tunnel against one outside it, at the same time: bytes a tunnelled flow takes of the bottleneck to
#	          what the native one takes, in IP packets as they come out of the router
#	probe     50 packets of 160 bytes a second, there and back, beside 4 TCP flows through the same tunnel
#	share     4 flows in meshd against 4 in wireguard-go
#
# Behind the FIFO there is only the probe. That kind native has a ratio of one in a full run shows that the router does its part.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
cache=${MESHD_TEST_CACHE:-${XDG_CACHE_HOME:-/var/cache}/meshd-tests}/wireguard-go

limits=()
mode=quick runs='' names=native,wgo,meshd,meshd-label,meshd-bw fetch='' save='' keep='' bandwidth=19mbit
declare -A family=([native]=4 [wgo]=4 [meshd]=4 [meshd-6]=6 [meshd-label]=6 [meshd-bw]=4)
declare -A queues=([meshd-bw]=fifo)
declare -A lines=([meshd-label]='FlowSpread = label')
for option in "$@"; do
	value=${option#*=}
	case $option in
	--full) mode=full ;;
	--quick) mode=quick ;;
	--runs=*) runs=$value ;;
	--kinds=*) names=$value ;;
	--kind=*)
		IFS=: read -r name f q l <<<"$value"
		family[$name]=$f queues[$name]=${q//+/ } lines[$name]=$l names+=,$name
		;;
	--bandwidth=*) bandwidth=$value ;;
	--fetch) fetch=yes ;;
	--limits=*) read -ra limits <<<"$value" ;;
	--save=*) save=$(realpath "$value") ;;
	--keep=*) keep=$(realpath "$value") ;;
	*) sed -n '3,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
	esac
done
lines[meshd-bw]="Bandwidth = $bandwidth"
IFS=, read -ra kinds <<<"$names"
[[ ,$names, == *,native,* ]] || kinds=(native "${kinds[@]}") # what the others are compared with
for name in "${kinds[@]}"; do
	[[ -n ${family[$name]:-} ]] || { echo "fairness: no kind $name" >&2; exit 2; }
done
if [[ $mode == full ]]; then
	runs=${runs:-5} flow_s=12 probe_s=10
else
	runs=${runs:-1} flow_s=8 probe_s=8
	((${#limits[@]})) || limits=(--ratio-least=0.6 --ratio-most=1.7 --mean=8 --p99=60) # other programs use the machine, too
fi

# Before the stage, where apt has its files.
if [[ -z ${MESHD_STAGE:-} && -z ${WIREGUARD_GO:-} ]]; then
	if [[ -n $fetch ]]; then
		mkdir -p "$cache"
		python3 -B -c 'import sys; sys.path.insert(0, sys.argv[1]); import build; build.backport(sys.argv[2], True)' \
			"$here/../bench" "$cache" 2>&1 | tail -n 1 | sed 's/^/# /'
	fi
	WIREGUARD_GO=$cache/root/usr/bin/wireguard-go
	[[ -x $WIREGUARD_GO ]] || WIREGUARD_GO=$(command -v wireguard-go || true)
	export WIREGUARD_GO
fi
# shellcheck source=tests/router/router.sh
. "$here/router.sh" "$@"

is_meshd() { [[ $1 != native && $1 != wgo ]]; }

# measured KIND QUEUE: whether it is to be measured behind this one. In a quick run, a FIFO is there only for whom it is asked.
measured() {
	local for_it=${queues[$1]:-}
	[[ -n $for_it ]] || for_it="fq_codel $([[ $mode == full ]] && echo fifo)"
	[[ " $for_it " == *" $2 "* ]]
}

# Addresses a kind is reached at, b's end; 10.72.K.1 and .2 inside its tunnel.
target() {
	if [[ $1 != native ]]; then echo "10.72.${number[$1]}.2"
	elif [[ ${2:-4} == 6 ]]; then echo "$B6"; else echo "$B4"; fi
}

# wgo_up SIDE OTHER ENDPOINT-OPTIONS...
wgo_up() {
	local side=$1 other=$2
	shift 2
	bare "$side" "wgo$side" "$WIREGUARD_GO" &&
		in_ns "$side" wg set "wgo$side" private-key "$WORK/$side.key" listen-port 51900 \
			peer "$(public "$other")" allowed-ips "10.72.${number[wgo]}.0/24" "$@" &&
		ip_ns "$side" link set "wgo$side" mtu 1420 up
}
wgo_both() {
	wgo_up b a && wgo_up a b endpoint "$B4:51900" &&
		address a wgoa "10.72.${number[wgo]}.1/24" && address b wgob "10.72.${number[wgo]}.2/24"
}

# meshd_conf KIND SIDE OTHER OWN-NUMBER [ENDPOINT]
meshd_conf() {
	local n=${number[$1]}
	conf "m$n$2" <<-END
		[Interface]
		PrivateKey = $(private "$2")
		ListenPort = $((51820 + n))
		Address = 10.72.$n.$4/24
		MTU = 1420
		$([[ ${family[$1]} == 4 ]] || echo "FwMark = $((6000 + n))")
		$(tr ';' '\n' <<<"${lines[$1]:-}")
		[Peer]
		PublicKey = $(public "$3")
		AllowedIPs = 10.72.$n.0/24
		${5:+Endpoint = $5}
	END
}
# Both hosts have both families, and peers tell each other so: what is to be measured over IPv6 must not go by IPv4, which has no labels.
meshd_both() {
	local n=${number[$1]} at=$B4 side
	if [[ ${family[$1]} == 6 ]]; then
		at="[$B6]"
		for side in a b; do ip_ns "$side" rule add fwmark $((6000 + n)) unreachable || return 1; done
	fi
	meshd_conf "$1" b a 2
	meshd_conf "$1" a b 1 "$at:$((51820 + n))"
	meshd_up b "m${n}b" && meshd_up a "m${n}a"
}

# bring_up KIND: its tunnel, reaching the other side. A meshd that does not know a key says which in its diagnostics.
bring_up() {
	local out
	case $1 in
	native) return 0 ;;
	wgo) check "wgo comes up" wgo_both || return 1 ;;
	*)
		if ! out=$(meshd_both "$1" 2>&1); then
			[[ -z ${lines[$1]:-} ]] || out="this meshd does not know ${lines[$1]%% *}? $out"
			fail "$1 comes up" "$out"
			return 1
		fi
		pass "$1 comes up"
		;;
	esac
	check "$1 reaches the other side" reach a "$(target "$1")" 10
}

# flows NAME ADDRESS PORT COUNT SECONDS: TCP from a to b, in the background; its client's pid in STARTED. The first two
# seconds are left out of its own figures.
servers=()
flows() {
	start b "$WORK/server.$3.log" iperf3 -s -1 -p "$3"
	servers+=("$STARTED")
	wait_for 5 listens b "$3" || return 1
	start a "$out/$1.iperf.json" timeout $(($5 + 15)) iperf3 -J -C cubic -c "$2" -p "$3" -P "$4" -O 2 -t $(($5 - 2))
}

# The counters when the flows have found their rates, and before the first ends.
window() {
	sleep 2.5
	counters >"$out/$1.from.json"
	sleep "$(($2 - 4))"
	counters >"$out/$1.to.json"
}

# settle PID...: wait for the clients, end servers that still wait for one, and let the queue drain.
settle() {
	local pid status=0
	for pid in "$@"; do wait "$pid" || status=1; done
	for pid in "${servers[@]}"; do stop "$pid"; done
	servers=()
	sleep 0.3
	return "$status"
}

# ratio RUN QUEUE KIND COUNT
ratio() {
	local name=$1.$2.$3.ratio-$4 native=$B4 bulk
	[[ ${family[$3]} == 4 ]] || native=$B6
	flows "$name" "$(target "$3")" 5201 "$4" "$flow_s" || return 1
	bulk=$STARTED
	flows "$name.one" "$native" 5301 1 "$flow_s" || return 1
	window "$name" "$flow_s"
	settle "$bulk" "$STARTED"
}

# share RUN QUEUE KIND
share() {
	local name=$1.$2.$3.share first
	flows "$name" "$(target "$3")" 5201 4 "$flow_s" || return 1
	first=$STARTED
	flows "$name.other" "$(target wgo)" 5202 4 "$flow_s" || return 1
	window "$name" "$flow_s"
	settle "$first" "$STARTED"
}

# probe RUN QUEUE KIND. Both ends of it at real-time priority, so that their own waiting for a processor is not in it.
probe() {
	local name=$1.$2.$3.probe at bulk server
	at=$(target "$3")
	start b "$WORK/irtt.log" "${realtime[@]}" irtt server -b "$at:2112"
	server=$STARTED
	wait_for 5 probe_listens || return 1
	flows "$name" "$at" 5201 4 $((probe_s + 4)) || return 1
	bulk=$STARTED
	sleep 2.5
	in_ns a timeout $((probe_s + 15)) "${realtime[@]}" irtt client -q -i 20ms -d "${probe_s}s" -l 160 -o "$out/$name.irtt.json" "$at:2112" \
		>"$WORK/irtt.client.log" 2>&1
	settle "$bulk"
	stop "$server"
}
probe_listens() { in_ns b ss -Hlun "sport = :2112" | grep -q .; }

declare -A number=()
for i in "${!kinds[@]}"; do number[${kinds[i]}]=$((i + 1)); done
realtime=(chrt -f 10)
"${realtime[@]}" true 2>/dev/null || realtime=()
out=$WORK/out
mkdir "$out"
began=$SECONDS
key a b
router_stage
[[ ! -x ${WIREGUARD_GO:-} && " ${kinds[*]} " == *" wgo "* ]] && skip_all "no wireguard-go (package wireguard-go)"
said=$(router_boot)
booted=$?
((booted == 0)) || router_started || skip_all "user-mode Linux does not run here: $(tail -n 1 "$WORK/router.log")"
is "the router boots" "$booted" 0 || { note "$said"; tap_done; }
counters_add || tap_done
check "it takes a queue" router_queue fq_codel || tap_done
up=()
for name in "${kinds[@]}"; do bring_up "$name" && up+=("$name"); done

failures=
did() { "$@" || failures+=" $*;"; }
for ((run = 1; run <= runs; run++)); do
	for queue in fq_codel fifo; do
		todo=()
		for name in "${up[@]}"; do measured "$name" "$queue" && todo+=("$name"); done
		[[ ${todo[*]} != native || $queue == fq_codel ]] || continue
		((${#todo[@]})) || continue
		router_queue "$queue" || { fail "the router takes $queue"; break 2; }
		for name in "${todo[@]}"; do did probe "$run" "$queue" "$name"; done
		[[ $queue == fq_codel ]] || continue
		for name in "${todo[@]}"; do
			[[ $name != native || $mode == full ]] || continue
			did ratio "$run" "$queue" "$name" 4
			[[ $name == wgo && $mode == quick ]] || did ratio "$run" "$queue" "$name" 16
			[[ " native wgo " == *" $name "* || " ${todo[*]} " != *" wgo "* ]] || did share "$run" "$queue" "$name"
		done
	done
done
is "everything was measured" "${failures:-all}" all
check "the router ends when told to" router_stop

jq -n --arg mode "$mode" --arg runs "$runs" --arg seconds $((SECONDS - began)) --arg date "$(date +%F)" \
	--arg meshd "$("$MESHD" --version 2>&1 | head -n 1)" --arg wgo "$("${WIREGUARD_GO:-true}" --version 2>/dev/null | sed -n '1s/ *$//p')" \
	--arg uml "$(sed -n 's/^Linux version \([^ ]*\).*/\1/p' "$WORK/router.log")" --arg rate "$ROUTER_RATE" --arg delay "$ROUTER_DELAY" \
	--arg realtime "${realtime[*]}" --arg kinds "${up[*]}" \
	"$(for name in "${kinds[@]}"; do printf '.lines["%s"] = "%s" | ' "$name" "${lines[$name]:-}"; done) . + {\$mode, \$runs, \$seconds, \$date,
	\$meshd, \$wgo, \$uml, \$rate, \$delay, \$realtime, \$kinds}" >"$out/about.json"
[[ -z $keep ]] || cp -r "$out/." "$WORK/router.log" "$keep/"
python3 -B "$here/figures.py" "${limits[@]}" "$out" ${save:+"$save"} >"$WORK/report" 2>"$WORK/figures.err" || fail "figures" "$(<"$WORK/figures.err")"
while IFS=$'\t' read -r verdict what why; do
	case $verdict in
	ok) pass "$what" ;;
	"not ok") fail "$what" "$why" ;;
	*) note "$verdict" ;;
	esac
done <"$WORK/report"
tap_done
