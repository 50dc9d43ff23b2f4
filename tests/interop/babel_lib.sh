# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Lines of routers that speak Babel, some of them meshd and some another program. Sourced by babel_*.sh.
#
# A line is two or three namespaces in a row; each has a router, and a network of its own behind it (a bridge "stub"):
#
#	+-- NAME1 --------------+            +-- NAME2 --------------+            +-- NAME3 --------------+
#	| stub: 10.61.N.1/24    |            | stub                  |            | stub                  |
#	| fd61:N::1/64       er +--- veth ---+ el                 er +--- veth ---+ el                    |
#	+-----------------------+            +-----------------------+            +-----------------------+
#
# With "tunnel" the first cable carries a WireGuard tunnel (interfaces wNAME1 and wNAME2), and Babel runs in it: meshd by itself, other
# programs on an interface of wireguard-go's.
#
# BABEL_SUBJECT=babeld puts babeld in meshd's place: that tests these scripts, not meshd.

# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/capture.sh
. "$HERE/lib/capture.sh"

SUBJECT=${BABEL_SUBJECT:-meshd}
HELLO_S=1
SOON_S=30	# what must happen does so within this; most of it in a tenth
FRR_DIR=/usr/lib/frr
# shellcheck disable=SC2034
HMAC1=hmac-sha256:303132333435363738396162636465663031323334353637383961626364656631 # an octet more than 32, so never a plain 256-bit one
# shellcheck disable=SC2034
HMAC2=hmac-sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
# shellcheck disable=SC2034
BLAKE1=blake2s128:f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff101112131415161718191a1b1c1d1e1f
# shellcheck disable=SC2034
BLAKE2=blake2s128:000102030405060708090a0b0c0d0e0f

# Of each router, by its namespace: program, number, options of its line, interfaces it speaks on, keys, processes, peer through the tunnel.
declare -A KIND=() NUMBER=() OPTS=() IFACES=() KEYS=() RUNNING=() PEER=() NODES=()
LINES=()
router_count=0

subject_is() { [[ $SUBJECT == "$1" ]]; }
has_opt() { [[ " ${OPTS[$1]} " == *" $2 "* ]]; } # NS OPTION
nodes() { echo "${NODES[$1]}"; }                  # LINE: its namespaces

# need KIND: skip the script without that program.
need() {
	case $1 in
	meshd) "$MESHD" --help 2>&1 | grep -qw routes || skip_all "this meshd has no Babel" ;;
	babeld) command -v babeld >/dev/null || skip_all "no babeld" ;;
	wireguard-go) command -v wireguard-go >/dev/null || skip_all "no wireguard-go" ;;
	bird) command -v bird >/dev/null || skip_all "no bird (package bird2)" ;;
	frr)
		[[ -x $FRR_DIR/babeld && -x $FRR_DIR/zebra ]] || skip_all "no babeld of FRR's (package frr)"
		sed -i -E 's/^(frrvty|frr):(.*):([^:]*)$/\1:\2:root,\3/; s/,$//' /etc/group # a copy of it; FRR runs as root here and insists
		;;
	esac
}

# line NAME "KIND KIND [KIND]" [OPTION...]: build it; its routers are not started. Options:
#	addr4	IPv4 addresses on the cables		sadr	each router has a route to fd62:N::/64 from fd63::/48
#	via6	IPv4 routes with IPv6 next hops		rtt	the delay metric
#	tunnel	the first cable carries a tunnel	delay	which takes 30 ms each way
#	mtu=N	of the cables				key=KEY	in meshd's words; KEYS[NS] has it for one router
line() {
	local name=$1 kinds=$2 kind last='' i=0 option
	shift 2
	LINES+=("$name")
	NODES[$name]=
	for kind in $kinds; do
		i=$((i + 1))
		router_add "$name$i" "$kind" "$*"
		NODES[$name]+="${NODES[$name]:+ }$name$i"
		[[ -z $last ]] || cable "$last" "$name$i" $((i == 2))
		last=$name$i
	done
}

router_add() { # NS KIND OPTIONS
	local ns=$1 n=$((++router_count)) option
	KIND[$ns]=$2 OPTS[$ns]=$3 NUMBER[$ns]=$n IFACES[$ns]='' RUNNING[$ns]=''
	for option in $3; do [[ $option != key=* ]] || KEYS[$ns]=${option#key=}; done
	ns_add "$ns"
	in_ns "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.forwarding=1 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	ip_ns "$ns" link add stub type bridge
	ip_ns "$ns" link set stub up
	address "$ns" stub "10.61.$n.1/24" "fd61:$n::1/64"
	if has_opt "$ns" sadr; then
		address "$ns" lo "fd62:$n::1/128"
		address "$ns" stub "fd63:0:0:$n::1/64"
		ip_ns "$ns" -6 route add "fd62:$n::/64" dev stub proto static
	fi
}

cable() { # NS-LEFT NS-RIGHT FIRST?
	local l=$1 r=$2 option n=${NUMBER[$1]}
	veth "$l" er "$r" el
	for option in ${OPTS[$l]}; do
		[[ $option != mtu=* ]] || { ip_ns "$l" link set er mtu "${option#mtu=}" && ip_ns "$r" link set el mtu "${option#mtu=}"; }
	done
	if (($3)) && has_opt "$l" tunnel; then
		address "$l" er "172.20.$n.1/24"
		address "$r" el "172.20.$n.2/24"
		key "$l" "$r"
		PEER[$l]=$r PEER[$r]=$l
		IFACES[$l]+=" w$l" IFACES[$r]+=" w$r"
		return
	fi
	if has_opt "$l" addr4; then
		address "$l" er "10.60.$n.1/24"
		address "$r" el "10.60.$n.2/24"
	fi
	IFACES[$l]+=" er" IFACES[$r]+=" el"
}

# Where the other end of the tunnel is: directly, or behind the delay, which runs on the left side.
endpoint_for() {
	local n=${NUMBER[$1]}
	if [[ $1 == *1 ]]; then
		if has_opt "$1" delay; then echo "172.20.$n.1:51822"; else echo "172.20.$n.2:51820"; fi
	else
		has_opt "$1" delay || echo "172.20.$((n - 1)).1:51820"
	fi
}

# The interface of wireguard-go's that a program other than meshd speaks on.
wireguard_up() { # NS
	local ns=$1 n=${NUMBER[$1]} endpoint
	[[ ! -S /var/run/wireguard/w$ns.sock ]] || return 0
	bare "$ns" "w$ns" "$(command -v wireguard-go)" || return 1
	endpoint=$(endpoint_for "$ns")
	in_ns "$ns" wg set "w$ns" private-key "$WORK/$ns.key" listen-port 51820 peer "$(public "${PEER[$ns]}")" \
		allowed-ips 0.0.0.0/0,::/0 persistent-keepalive 5 ${endpoint:+endpoint "$endpoint"}
	if [[ ${KIND[$ns]} != frr ]]; then # FRR's interface goes down and up, and so has the kernel's link-local address
		ip_ns "$ns" link set "w$ns" addrgenmode none
		address "$ns" "w$ns" "fe80::$n/64"
	fi
	has_opt "$ns" via6 || address "$ns" "w$ns" "10.60.$((n + 100)).1/32"
	ip_ns "$ns" link set "w$ns" mtu 1420 multicast on up
}

# The same for each program: write the config, start, reread.

router_up() { # NS
	local ns=$1
	RUNNING[$ns]=
	if [[ -n ${PEER[$ns]:-} ]]; then
		if has_opt "$ns" delay && [[ $ns == *1 && ! -e $WORK/$ns.delay.pid ]]; then
			start "$ns" "$WORK/$ns.delay" python3 "$HERE/lib/udp_delay.py" 30 51822 "172.20.${NUMBER[$ns]}.2" 51820
		fi
		[[ ${KIND[$ns]} == meshd ]] || wireguard_up "$ns" || return 1
	fi
	"${KIND[$ns]}_conf" "$ns" && "${KIND[$ns]}_start" "$ns"
}
begun() { start "$@" && RUNNING[$1]+=" $STARTED"; } # as start(); it belongs to the router

# router_end NS [SIGNAL]
router_end() {
	local pid
	for pid in ${RUNNING[$1]}; do
		[[ ${2:-TERM} != KILL || ${KIND[$1]} != meshd ]] || pgrep -P "$pid" | xargs -r kill -KILL # the daemon proper
		stop "$pid" "${2:-TERM}" 10
	done
	RUNNING[$1]=
}
router_alive() { # NS
	local pid
	for pid in ${RUNNING[$1]}; do ! gone "$pid" || { echo "${KIND[$1]} of $1 has ended"; tail -n 20 "$WORK/$1".*log; return 1; }; done
}

# key_parts KEY: sets algorithm and hex.
key_parts() { algorithm=${1%%:*} hex=${1#*:}; }

babeld_conf() {
	local ns=$1 n=${NUMBER[$1]} i algorithm hex
	{
		echo "skip-kernel-setup true"
		echo "state-file $WORK/$ns.babel-state"
		echo "local-path $WORK/$ns.babeld.sock"
		echo "random-id true"
		if [[ -n ${KEYS[$ns]:-} ]]; then
			key_parts "${KEYS[$ns]}"
			echo "key id k type $algorithm value $hex"
		fi
		for i in ${IFACES[$ns]}; do
			echo "interface $i type $([[ $i == w* ]] && echo tunnel || echo wired) hello-interval $HELLO_S update-interval $((4 * HELLO_S))" \
				"v4-via-v6 $(has_opt "$ns" via6 && echo true || echo false)" \
				"enable-timestamps $(has_opt "$ns" rtt && echo true || echo false) ${KEYS[$ns]:+key k}"
		done
		has_opt "$ns" sadr && echo "redistribute ip fd62:$n::/64 eq 64 src-prefix fd63::/48"
		echo "redistribute ip 10.61.$n.0/24 eq 24"
		echo "redistribute ip fd61:$n::/64 eq 64"
		has_opt "$ns" sadr && echo "redistribute ip fd63:0:0:$n::/64 eq 64"
		has_opt "$ns" many && echo "redistribute ip fd64:$n::/32 le 64"
		echo "redistribute local deny"
	} >"$WORK/$ns.conf"
}
babeld_start() {
	rm -f "$WORK/$1.babeld.pid" "$WORK/$1.babeld.sock" # it refuses to start when one of them is there
	begun "$1" "$WORK/$1.log" babeld -c "$WORK/$1.conf" -I "$WORK/$1.babeld.pid"
}
babeld_reread() { router_end "$1" && router_up "$1"; } # it cannot
babeld_dump() { (echo dump; sleep 0.3) | socat - "UNIX-CONNECT:$WORK/$1.babeld.sock"; }

bird_keys() { # NS
	local k algorithm hex
	[[ -n ${KEYS[$1]:-} ]] || return 0
	echo "authentication mac;"
	for k in ${KEYS[$1]}; do
		key_parts "$k"
		echo "password $(sed 's/../&:/g; s/:$//' <<<"$hex") { algorithm ${algorithm/hmac-sha256/hmac sha256}; };"
	done
}
bird_conf() {
	local ns=$1 n=${NUMBER[$1]} i six='ipv6' table='' export='export where source = RTS_DEVICE || source = RTS_STATIC || source = RTS_BABEL;'
	if has_opt "$ns" sadr; then six='ipv6 sadr' table='table sadr6;'; fi
	{
		echo "log stderr all;"
		echo "router id 10.61.$n.1;"
		[[ -z $table ]] || echo "ipv6 sadr table sadr6;"
		echo "protocol device { scan time 1; }"
		echo "protocol direct { ipv4; $six { $table }; interface \"stub\"; }"
		echo "protocol kernel { ipv4 { export all; }; scan time 2; }"
		echo "protocol kernel { $six { $table export where source != RTS_STATIC; }; scan time 2; }"
		[[ -z $table ]] || echo "protocol static { $six { $table }; route fd62:$n::/64 from fd63::/48 via \"stub\"; }"
		if has_opt "$ns" many; then
			echo "protocol static { ipv6; $(for ((i = 0; i < MANY; i++)); do printf 'route fd64:%s:0:%x::/64 via "stub"; ' "$n" "$i"; done) }"
		fi
		echo "protocol babel bb { randomize router id yes; ipv4 { $export }; $six { $table $export };"
		for i in ${IFACES[$ns]}; do
			echo "interface \"$i\" { type wired; hello interval $HELLO_S s; update interval $((4 * HELLO_S)) s; $(bird_keys "$ns") };"
		done
		echo "}"
	} >"$WORK/$ns.conf"
}
bird_start() { begun "$1" "$WORK/$1.log" bird -f -c "$WORK/$1.conf" -s "$WORK/$1.bird.ctl" -P "$WORK/$1.bird.pid"; }
bird_reread() { bird_conf "$1" && in_ns "$1" birdc -s "$WORK/$1.bird.ctl" configure; }

frr_conf() {
	local ns=$1 i
	mkdir -p "$WORK/$ns.frr"
	{
		echo "hostname $ns"
		for i in ${IFACES[$ns]}; do
			printf 'interface %s\n babel wired\n babel hello-interval %d\n babel update-interval %d\n no babel split-horizon\n!\n' \
				"$i" $((1000 * HELLO_S)) $((4000 * HELLO_S))
		done
		echo "router babel"
		for i in ${IFACES[$ns]}; do echo " network $i"; done
		printf ' redistribute ipv4 connected\n redistribute ipv6 connected\n'
		has_opt "$ns" many && echo " redistribute ipv6 static"
	} >"$WORK/$ns.conf"
	{
		printf 'hostname %s\nip forwarding\nipv6 forwarding\n' "$ns"
		if has_opt "$ns" many; then for ((i = 0; i < MANY; i++)); do printf 'ipv6 route fd64:%s:0:%x::/64 stub\n' "${NUMBER[$ns]}" "$i"; done; fi
	} >"$WORK/$ns.zebra.conf"
}
frr_runs() { in_ns "$1" vtysh --vty_socket "$WORK/$1.frr" -c 'show babel interface' | grep -q '^stub is '; } # it knows the interfaces
frr_has_many() { (($(in_ns "$1" vtysh --vty_socket "$WORK/$1.frr" -c 'show ipv6 route static' | grep -c ' fd64:') >= MANY)); }
frr_start() {
	local d=$WORK/$1.frr i
	rm -f "$d"/*
	begun "$1" "$WORK/$1.zebra.log" "$FRR_DIR/zebra" -u root -g root -z "$d/zserv" -i "$d/zebra.pid" --vty_socket "$d" -P 0 -f "$WORK/$1.zebra.conf"
	wait_for 5 test -S "$d/zserv" || return 1
	if has_opt "$1" many; then
		begun "$1" "$WORK/$1.static.log" "$FRR_DIR/staticd" -u root -g root -z "$d/zserv" -i "$d/staticd.pid" --vty_socket "$d" -P 0 -f "$WORK/$1.zebra.conf"
		wait_for 20 frr_has_many "$1" # its babeld is to find them all there, rather than hear of them while it begins
	fi
	# FRR 8.4 stays silent on an interface that was up before it came (FRR issue 13569).
	for i in ${IFACES[$1]}; do ip_ns "$1" link set "$i" down; done
	# Its sequence number is kept in a file of a fixed name, without which neighbours would not believe what it says after a restart.
	mkdir -p /run/frr "$d-state"
	begun "$1" "$WORK/$1.log" unshare --mount --propagation private bash -c 'mount --bind "$0" /run/frr && exec "$@"' "$d-state" \
		"$FRR_DIR/babeld" -u root -g root -z "$d/zserv" -i "$d/babeld.pid" --vty_socket "$d" -P 0 -f "$WORK/$1.conf"
	wait_for 5 frr_runs "$1"
	for i in ${IFACES[$1]}; do ip_ns "$1" link set "$i" up; done
}

meshd_conf() {
	local ns=$1 n=${NUMBER[$1]} i k keys='' endpoint
	for k in ${KEYS[$ns]:-}; do keys+=" key=$k"; done
	key "$ns"
	{
		printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = fd61:%s:f::1/128, 10.62.%s.1/32\n' "$(private "$ns")" "$n" "$n"
		printf '[Babel]\nHelloInterval = %ds\n' "$HELLO_S"
		for i in ${IFACES[$ns]}; do
			[[ $i == w* ]] ||
				echo "Interface = $i type=$(has_opt "$ns" rtt && echo tunnel || echo wired) hello=${HELLO_S}s update=$((4 * HELLO_S))s$keys"
		done
		echo "Redistribute = 10.61.$n.0/24"
		echo "Redistribute = fd61:$n::/64"
		has_opt "$ns" sadr && printf 'Redistribute = fd62:%s::/64 from=fd63::/48\nRedistribute = fd63:0:0:%s::/64\n' "$n" "$n"
		has_opt "$ns" many && echo "Redistribute = fd64:$n::/32 le=64"
		if [[ -n ${PEER[$ns]:-} ]]; then
			printf '[Peer]\nPublicKey = %s\nAllowedIPs = auto\nBabel = on\nPersistentKeepalive = 5\n' "$(public "${PEER[$ns]}")"
			endpoint=$(endpoint_for "$ns")
			[[ -z $endpoint ]] || echo "Endpoint = $endpoint"
		fi
	} | conf "w$ns"
}
meshd_start() { begun "$1" "$WORK/$1.log" "$MESHD" up -f "$WORK/w$1.conf"; }
meshd_reread() { meshd_conf "$1" && in_ns "$1" timeout 20 "$MESHD" reload "$WORK/w$1.conf" </dev/null; }

router_reread() { "${KIND[$1]}_reread" "$1"; } # NS: the config is another

lines_up() { # LINE...
	local l ns
	for l in "$@"; do
		for ns in $(nodes "$l"); do router_up "$ns" || note "the ${KIND[$ns]} of $ns did not start: $(cat "$WORK/$ns".*log)"; done
	done
}

# What a user sees.

# has_route NS PREFIX [from PREFIX]: the kernel would send packets there somewhere.
has_route() {
	local n=$1 family=-4
	shift
	[[ $1 != *:* ]] || family=-6
	if (($# == 1)); then
		ip_ns "$n" $family -o route show "$1" | grep -vE '^(unreachable|blackhole|prohibit)| from ' | grep .
	else
		ip_ns "$n" $family -o route show "$1" | grep -v ^unreachable | grep "from $3"
	fi
}
no_route() { ! has_route "$@"; }

# Stubs of one router seen from another: stub_known NS-from NS-to [4|6|46]
stub_known() {
	local n=${NUMBER[$2]}
	[[ ${3:-46} != *4* ]] || has_route "$1" "10.61.$n.0/24" || return 1
	[[ ${3:-46} != *6* ]] || has_route "$1" "fd61:$n::/64"
}
stub_unknown() {
	local n=${NUMBER[$2]}
	[[ ${3:-46} != *4* ]] || no_route "$1" "10.61.$n.0/24" || return 1
	[[ ${3:-46} != *6* ]] || no_route "$1" "fd61:$n::/64"
}
stub_off() {
	ip_ns "$1" link set stub down
	[[ ${KIND[$1]} != babeld ]] || kill -USR2 "${RUNNING[$1]# }" # the kernel tells nobody of IPv4 routes that go with a link: look again
}
stub_on() { # (IPv6 addresses went with it)
	ip_ns "$1" link set stub up
	address "$1" stub "fd61:${NUMBER[$1]}::1/64"
	! has_opt "$1" sadr || address "$1" stub "fd63:0:0:${NUMBER[$1]}::1/64"
	! has_opt "$1" sadr || ip_ns "$1" -6 route add "fd62:${NUMBER[$1]}::/64" dev stub proto static
}

ping_stub() { # NS-from NS-to [4|6|46]
	local a=${NUMBER[$1]} b=${NUMBER[$2]}
	[[ ${3:-46} != *4* ]] || reach_from "$1" "10.61.$a.1" "10.61.$b.1" || return 1
	[[ ${3:-46} != *6* ]] || reach_from "$1" "fd61:$a::1" "fd61:$b::1"
}
reach_from() { wait_for 8 in_ns "$1" ping -n -c 1 -W 1 -I "$2" "$3"; } # NS SOURCE DESTINATION

# Which families a line carries.
families() {
	local ns
	ns=$(first "$1")
	if has_opt "$ns" addr4 || has_opt "$ns" via6 || has_opt "$ns" tunnel; then echo 46; else echo 6; fi
}
first() { echo "${NODES[$1]%% *}"; }
last() { echo "${NODES[$1]##* }"; }
middle() { local a; read -ra a <<<"${NODES[$1]}"; echo "${a[1]}"; }
kinds() { local ns out=; for ns in $(nodes "$1"); do out+="${out:+ - }${KIND[$ns]}"; done; echo "$out"; }

known_both_ways() { stub_known "$(first "$1")" "$(last "$1")" "$(families "$1")" && stub_known "$(last "$1")" "$(first "$1")" "$(families "$1")"; }

# becomes WHAT COMMAND...: within SOON_S.
becomes() {
	local what=$1
	shift
	wait_for "$SOON_S" "$@"
	check "$what" "$@"
}

explain() { # LINE: why it might be
	local ns
	for ns in $(nodes "$1"); do
		note "$ns (${KIND[$ns]}):" "$(ip_ns "$ns" route; ip_ns "$ns" -6 route | grep -v '^fe80::/64'; tail -n 5 "$WORK/$ns".*log "$WORK/$ns.log" 2>/dev/null)"
		[[ ${KIND[$ns]} != meshd ]] || note "$(in_ns "$ns" "$MESHD" routes "w$ns" --all 2>&1)"
	done
}

# The phases that every program goes through, all lines side by side.

# captures_begin NS-IFACE...
captures_begin() {
	local c
	for c in "$@"; do
		wait_for 5 ip_ns "${c%-*}" link show dev "${c#*-}"
		capture_babel "${c%-*}" "${c#*-}" || note "no capture on $c"
	done
}

declare -A LOST=()
standing() { local l; for l in "$@"; do [[ -n ${LOST[$l]:-} ]] || echo "$l"; done; } # LINE...: those that came up at all

phase_begin() { # LINE...
	local l f
	for l in "$@"; do
		f=$(families "$l")
		becomes "$l: $(kinds "$l"), ${OPTS[$(first "$l")]:-plain}: routes both ways" known_both_ways "$l" || {
			explain "$l"
			LOST[$l]=yes
			continue
		}
		[[ $f != *6* ]] || check "  pings end to end, IPv6" ping_stub "$(first "$l")" "$(last "$l")" 6
		[[ $f != *4* ]] || check "  pings end to end, IPv4" ping_stub "$(first "$l")" "$(last "$l")" 4
	done
}

phase_retract() {
	local l f
	for l in $(standing "$@"); do stub_off "$(last "$l")"; done
	for l in $(standing "$@"); do
		becomes "$l: a network that goes away is retracted from end to end" stub_unknown "$(first "$l")" "$(last "$l")" || explain "$l"
	done
	for l in $(standing "$@"); do stub_on "$(last "$l")"; done
	for l in $(standing "$@"); do
		f=$(families "$l")
		becomes "$l:   and comes back" stub_known "$(first "$l")" "$(last "$l")" "$f" || explain "$l"
		check "$l:   pings" ping_stub "$(first "$l")" "$(last "$l")" "$f"
	done
}

phase_restart() { # WHICH (first, middle or last) SIGNAL LINE...
	local which=$1 signal=$2 l f far
	shift 2
	for l in $(standing "$@"); do router_end "$($which "$l")" "$signal"; done
	for l in $(standing "$@"); do
		far=$(last "$l")
		[[ $which != last ]] || far=$(first "$l")
		becomes "$l: the $which router (${KIND[$($which "$l")]}) ends by SIG$signal: its routes go" \
			stub_unknown "$far" "$([[ $which == last ]] && last "$l" || first "$l")" || explain "$l"
	done
	for l in $(standing "$@"); do router_up "$($which "$l")"; done
	for l in $(standing "$@"); do
		f=$(families "$l")
		becomes "$l:   and are there again with it" known_both_ways "$l" || explain "$l"
		check "$l:   pings" ping_stub "$(first "$l")" "$(last "$l")" "$f"
	done
}

# The first cable goes silent, with its carrier up.
silence() { # NS IFACE
	in_ns "$1" nft -f - <<-END
		table netdev cut {
			chain incoming { type filter hook ingress device $2 priority 0; policy drop;
			}
		}
	END
}
heal() { in_ns "$1" nft delete table netdev cut; }
phase_cut() { # LINE...
	local l f
	for l in $(standing "$@"); do
		silence "$(first "$l")" er
		silence "$(middle "$l")" el
	done
	for l in $(standing "$@"); do
		becomes "$l: the first link goes silent: its routes go" stub_unknown "$(first "$l")" "$(last "$l")" || explain "$l"
		check "$l:   from both sides" wait_for "$SOON_S" stub_unknown "$(last "$l")" "$(first "$l")"
	done
	for l in $(standing "$@"); do
		heal "$(first "$l")"
		heal "$(middle "$l")"
	done
	for l in $(standing "$@"); do
		f=$(families "$l")
		becomes "$l:   and come back with it" known_both_ways "$l" || explain "$l"
		check "$l:   pings" ping_stub "$(first "$l")" "$(last "$l")" "$f"
	done
}

# Source-specific: a packet from the right source passes, another one is not even sent.
phase_sadr() { # LINE...
	local l a b ends
	for l in $(standing "$@"); do
		for ends in "$(first "$l") $(last "$l")" "$(last "$l") $(first "$l")"; do
			read -r a b <<<"$ends"
			becomes "$l: ${KIND[$a]} has the source-specific route of ${KIND[$b]}" has_route "$a" "fd62:${NUMBER[$b]}::/64" from fd63::/48 || explain "$l"
			becomes "  and the way back" has_route "$b" "fd63:0:0:${NUMBER[$a]}::/64"
			check "  a packet with that source passes" reach_from "$a" "fd63:0:0:${NUMBER[$a]}::1" "fd62:${NUMBER[$b]}::1"
			check_not "  one with another does not" in_ns "$a" ping -n -c 1 -W 1 -I "fd61:${NUMBER[$a]}::1" "fd62:${NUMBER[$b]}::1"
		done
	done
}

# How long each phase takes, for who wonders.
phase_at=$SECONDS
phase_time() { note "$1: $((SECONDS - phase_at)) s" && phase_at=$SECONDS; }

# What every program has to go through: a network goes and comes back, routers end in good order and not, a cable is silent.
phases_of_change() { # LINE...
	phase_retract "$@"
	phase_time "retraction"
	phase_restart last TERM "$@"
	phase_time "restart"
	phase_restart middle KILL "$@"
	phase_time "kill"
	phase_cut "$@"
	phase_time "cut"
}

# And those that authenticate: other keys, one line with each kind.
phases_of_keys() { # HMAC-LINE BLAKE-LINE
	phase_rotate "$1" "$HMAC1" "$HMAC2"
	phase_rotate "$2" "$BLAKE1" "$BLAKE2"
	phase_time "rotation of keys"
}

# Captures. All that a router says and hears in Babel on one of its interfaces.
capture_babel() { CAPTURE_LEN=0 capture "$1" "$2" "$1-$2" -p udp port 6696; } # NS IFACE (FRR does not like promiscuous mode to change)
capture_babel_end() { sleep 0.1; stop "$(<"$WORK/$1-$2.tcpdump.pid")" INT; }

# dissect NAME...: $WORK/NAME.fields has a line for each packet: length, source, types of TLVs, "malformed" or not; NAME.text is tcpdump's.
dissect() {
	local name
	local -a pids=()
	for name in "$@"; do
		tshark -r "$WORK/$name.pcap" -Y babel -T fields -e udp.length -e ipv6.src -e babel.message.type -e _ws.malformed >"$WORK/$name.fields" 2>/dev/null &
		pids+=($!)
		tcpdump -vv -n -r "$WORK/$name.pcap" >"$WORK/$name.text" 2>/dev/null &
		pids+=($!)
	done
	wait "${pids[@]}"
}

# Neither dissector finds anything wrong; and there was something to find it in. What these two are too old for is left out: tshark 4.0 reads
# no timestamps in an IHU, and tcpdump 4.99 no address encoding 4 (IPv4 via IPv6).
well_formed() { # NAME
	local ns=${1%-*} count
	count=$(wc -l <"$WORK/$1.fields")
	echo "$count packets"
	((count >= 10)) || return 1
	if has_opt "$ns" rtt; then awk -F'\t' '$3 !~ /(^|,)5(,|$)/' "$WORK/$1.fields"; else cat "$WORK/$1.fields"; fi |
		awk -F'\t' '$4 != ""' | head -n 5 | grep . && return 1
	sed 's/.bad udp cksum[^]]*.//' "$WORK/$1.text" | # which a veth leaves to be done
		if ! has_opt "$ns" addr4; then grep -v 'Update (invalid)'; else cat; fi |
		grep -iE 'invalid|truncated|malformed|bad |\[\||corrupt' | head -n 5 | grep . && return 1
	return 0
}
largest() { awk -F'\t' '$1 - 8 > most { most = $1 - 8 } END { print most + 0 }' "$WORK/$1.fields"; } # NAME: payload of UDP

captures_end() { # NS-IFACE...
	local c
	for c in "$@"; do capture_babel_end "${c%-*}" "${c#*-}"; done
	dissect "$@"
	for c in "$@"; do
		check "tshark and tcpdump find no malformed packet on $c, $(kinds "${c%%[0-9]*}")" well_formed "$c"
		at_most "  and none is too large" "$(largest "$c")" $((1500 - 48))
	done
}
all_alive() {
	local ns
	for ns in "${!KIND[@]}"; do router_alive "$ns" || return 1; done
}

# Five hundred networks each way, at the least MTU of IPv6.
MANY=500
many_on() { # NS
	local i n=${NUMBER[$1]}
	for ((i = 0; i < MANY; i++)); do printf 'route add fd64:%s:0:%x::/64 dev stub proto static\n' "$n" "$i"; done | ip_ns "$1" -6 -batch -
}
many_known() { # NS-from NS-to
	local count
	count=$(ip_ns "$1" -6 -o route show root "fd64:${NUMBER[$2]}::/32" | grep -vc ^unreachable)
	echo "$count of $MANY"
	((count == MANY))
}
phase_many() { # LINE...
	local l a b
	for l in "$@"; do
		a=$(first "$l") b=$(last "$l")
		wait_for 60 many_known "$a" "$b" # other daemons tell of what their zebra brings them by and by
		becomes "$l: $(kinds "$l"), MTU 1280: $MANY networks of the right one come to the left" many_known "$a" "$b"
		becomes "$l:   and of the left one to the right" many_known "$b" "$a"
		wait_for 5 full_update_seen "$l"
		capture_babel_end "$b" el
		dissect "$b-el"
		check "$l:   no packet is malformed" well_formed "$b-el"
		at_most "$l:   the largest datagram" "$(largest "$b-el")" 1232
		at_least "$l:   and they were filled" "$(largest "$b-el")" 1000
	done
}
full_update_seen() { (($(stat -c %s "$WORK/$(last "$1")-el.pcap") > 40000)); }

# Authentication.

heard_both_ways() { # NAME of a capture: either end said something more than a few times
	(($(tcpdump -n -r "$WORK/$1.pcap" 2>/dev/null | awk '{ heard[$3]++ } END { for (who in heard) ends += heard[who] > 4; print ends + 0 }') >= 2))
}
phase_wrong_key() { # LINE: captured at its right end
	local a b
	a=$(first "$1") b=$(last "$1")
	wait_for "$SOON_S" heard_both_ways "$b-el"
	check "$1: $(kinds "$1") with different keys: both speak" heard_both_ways "$b-el"
	check "$1:   the left one learns nothing" stub_unknown "$a" "$b" 46
	check "$1:   nor does the right one" stub_unknown "$b" "$a" 46
	capture_babel_end "$b" el
}

# From one key to another: the subject takes both, the other one changes, the subject forgets the old one. What has no two keys at a time
# (babeld) starts anew.
phase_rotate() { # LINE OLD NEW
	local l=$1 a b pids ping
	[[ -n $(standing "$l") ]] || return
	a=$(first "$l") b=$(last "$l") pids=${RUNNING[$a]}
	start "$a" "$WORK/$l.rotate" ping -n -q -i 0.1 -I "fd61:${NUMBER[$a]}::1" "fd61:${NUMBER[$b]}::1"
	ping=$STARTED
	if [[ ${KIND[$a]} == meshd ]]; then
		KEYS[$a]="$2 $3"
		check "$l: meshd takes a second key (${2%%:*})" router_reread "$a"
		check "$l:   and goes on with the first" stub_known "$a" "$b"
	fi
	KEYS[$b]=$3
	if router_reread "$b"; then pass "$l: ${KIND[$b]} has the new key"; else fail "$l: ${KIND[$b]} has the new key"; fi
	[[ ${KIND[$a]} == meshd ]] || { KEYS[$a]=$3 && router_reread "$a"; }
	becomes "$l:   they understand each other" known_both_ways "$l" || explain "$l"
	if [[ ${KIND[$a]} == meshd ]]; then
		KEYS[$a]=$3
		check "$l: meshd forgets the old key" router_reread "$a"
		sleep $((3 * HELLO_S)) # an adjacency that is lost takes so long to go
		is "$l:   it has not been started anew" "${RUNNING[$a]}" "$pids"
	fi
	becomes "$l:   routes are there" known_both_ways "$l"
	check "$l:   pings" ping_stub "$a" "$b" 6
	stop "$ping" INT
	if [[ ${KIND[$a]} == meshd && ${KIND[$b]} != babeld ]]; then
		at_most "$l:   and hardly one was lost on the way" $(($(pings_sent "$WORK/$l.rotate") - $(pings_answered "$WORK/$l.rotate"))) 2
	fi
}
