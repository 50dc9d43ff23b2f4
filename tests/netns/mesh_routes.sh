#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Meshes of meshds that know nothing but their neighbours (AllowedIPs = auto): a line, through whose middle packets go in the lane and by the
# kernel, and a diamond, which heals, with two exits to the Internet and a router of babeld's on a LAN behind it.
#
#	a --- b --- c			    b
#					  /   \
#	each NAME has 192.168.70.N and	a       d --- l (babeld)
#	fd70::N on its interface mNAME	  \   /
#					    c
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

declare -A NUMBER=([a]=1 [b]=2 [c]=3 [d]=4) INTERFACE=() BABEL=() # lines more of their configs
EDGES=()
SOON_S=20	# what must happen does so within this, most of it within one or two

# edges "A B"...: cables with addresses.
edges() {
	local e l r n=0
	EDGES=("$@")
	for e in "$@"; do
		read -r l r <<<"$e"
		n=$((n + 1))
		veth "$l" "to$r" "$r" "to$l"
		address "$l" "to$r" "10.7.$n.1/24"
		address "$r" "to$l" "10.7.$n.2/24"
	done
}

# node NAME: write its config.
node() {
	local name=$1 e l r i=0 peer at n=${NUMBER[$1]}
	key a b c d
	{
		printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 192.168.70.%d/32, fd70::%d/128\n' "$(private "$name")" "$n" "$n"
		printf '%b\n[Babel]\nHelloInterval = 1s\n%b\n' "${INTERFACE[$name]:-}" "${BABEL[$name]:-}"
		for e in "${EDGES[@]}"; do
			read -r l r <<<"$e"
			i=$((i + 1))
			case $name in
			"$l") peer=$r at=10.7.$i.2 ;;
			"$r") peer=$l at=10.7.$i.1 ;;
			*) continue ;;
			esac
			printf '[Peer]\nName = %s\nPublicKey = %s\nEndpoint = %s:51820\nAllowedIPs = auto\n' "$peer" "$(public "$peer")" "$at"
		done
	} | conf "m$name"
}
up() { node "$1" && meshd_up "$1" "m$1"; }
reload() { node "$1" && in_ns "$1" timeout 20 "$MESHD" reload "$WORK/m$1.conf" </dev/null; }

has_route() { # NS PREFIX
	local family=-4
	[[ $2 != *:* ]] || family=-6
	ip_ns "$1" "$family" -o route show "$2" | grep -v '^unreachable' | grep .
}
no_route() { ! has_route "$@"; }
becomes() { # WHAT COMMAND...
	local what=$1
	shift
	wait_for "$SOON_S" "$@"
	check "$what" "$@"
}
routes_json() { in_ns "$1" timeout 5 "$MESHD" routes "m$1" --json "${@:2}"; }
seqno() { routes_json "$1" | jq '[.routes[] | select(.own).seqno] | max'; }
chosen_peer() { routes_json "$1" | jq -r --arg p "$2" '.routes[] | select(.prefix == $p and .selected and (.own | not)).via'; } # NS PREFIX
reach_from_to() { wait_for 8 in_ns a ping -n -c 1 -W 1 -I "$1" "$2"; } # SOURCE DESTINATION, from a
exits() { ip_ns "$1" -6 -o route show table all default | grep -v ^unreachable; } # default routes, wherever
chosen_is() { [[ $(chosen_peer "$1" "$2") == "$3" ]]; }
knows() { # NS NAME: both addresses
	has_route "$1" "192.168.70.${NUMBER[$2]}" && has_route "$1" "fd70::${NUMBER[$2]}"
}
forgot() { no_route "$1" "192.168.70.${NUMBER[$2]}" && no_route "$1" "fd70::${NUMBER[$2]}"; }

# told NS DESTINATION REGEX OPTIONS of ping: what a packet that cannot pass is answered, of one in a few (such answers may be rare).
told() {
	local i out
	for ((i = 0; i < 5; i++)); do
		out=$(in_ns "$1" ping -n -c 1 -W 1 "${@:4}" "$2" 2>&1)
		echo "$out"
		[[ ! $out =~ $3 ]] || return 0
		sleep 0.3
	done
	return 1
}

# All sizes pass from a to c, once both have been told. (In the lane nothing is fragmented, and the kernel's answers to IPv4 pings may be.)
sizes() { # lane or kernel
	local size
	for size in 0 1252 1272 1400 4000; do
		[[ $1 == lane ]] && ((size > 1272)) || wait_for 8 in_ns a ping -n -c 1 -W 1 -s "$size" 192.168.70.3 || { echo "not $size, IPv4"; return 1; }
		wait_for 8 in_ns a ping -n -c 1 -W 1 -s "$size" fd70::3 || { echo "not $size, IPv6"; return 1; }
	done
}

# The kernel's routes and what "meshd routes" says of the same.
kernel_routes() {
	local family any
	for family in -4 -6; do
		if [[ $family == -4 ]]; then any=0.0.0.0/0; else any=::/0; fi
		ip_ns "$1" $family -o route show table all proto 109 | grep -v '^unreachable\| table 71[0-9]* ' |
			awk -v any="$any" '{ print ($1 == "default" ? any : $1) ($2 == "from" ? " from " $3 : "") }'
	done | sort
}
meshd_routes() {
	routes_json "$1" | jq -r '.routes[] | select(.selected and (.own | not)) | .prefix + (if .from then " from " + .from else "" end)' |
		sed -E 's,^([0-9.]+)/32,\1,; s,^([0-9a-f:]+)/128,\1,' | sort
}

# ---- a line ----

ns_add a b c
edges "a b" "b c"
INTERFACE[b]='MTU = 1300'
for n in a b c; do check "line: $n comes up" up "$n" || tap_done; done
becomes "a has routes to c" knows a c || note "$(in_ns a "$MESHD" routes ma --all)"
becomes "and c to a" knows c a
becomes "'meshd routes' and 'ip route' agree" eval '[[ $(meshd_routes a) == "$(kernel_routes a)" ]]' ||
	note "$(diff <(meshd_routes a) <(kernel_routes a))"
is "  on how many there are" "$(kernel_routes a | wc -l)" 4

for mode in lane kernel; do
	INTERFACE[b]="MTU = 1300\nTransit = $mode"
	check "Transit = $mode: reload" reload b
	if [[ $mode == kernel ]]; then forward=1; else forward=0; fi
	in_ns b sysctl -qw net.ipv4.ip_forward=$forward net.ipv6.conf.all.forwarding=$forward
	check "  first answer, IPv4" reach a 192.168.70.3
	check "  first answer, IPv6" reach a fd70::3
	check "  pings through the middle, IPv4" pings a 192.168.70.3 5
	check "  IPv6" pings c fd70::1 5
	check "  the middle says where time to live ends, IPv4" told a 192.168.70.3 'From 192\.168\.70\.2 .*Time to live exceeded' -t 1
	check "  IPv6" told a fd70::3 'From fd70::2 .*Time exceeded: Hop limit' -t 1
	ttl=$(in_ns a ping -n -c 1 -W 2 192.168.70.3 | grep -o 'ttl=[0-9]*')
	is "  one is taken off it" "$ttl" ttl=63
	in_ns a ip route flush cache
	in_ns a ip -6 route flush cache
	check "  it says how large a packet may be, IPv4" told a 192.168.70.3 'From 192\.168\.70\.2 .*mtu ?= ?1300' -M 'do' -s 1372
	check "  IPv6" told a fd70::3 'From fd70::2 .*mtu ?= ?1300' -M 'do' -s 1352
	check "  then all sizes pass" sizes "$mode"
	in_ns a ip route flush cache
	in_ns a ip -6 route flush cache
	check "  TCP, IPv4" iperf c 192.168.70.3 a
	check "  TCP, IPv6, the other way" iperf c fd70::3 a -R
done
INTERFACE[b]="MTU = 1300\nTransit = off"
check "Transit = off: reload" reload b
check "  nothing passes" silent a fd70::3
at_least "  it is counted" "$(drops b mb transit)" 1
check "  the middle itself is there" pings a fd70::2
INTERFACE[b]=
check "Transit by default: reload" reload b
check "  is not off" reach a fd70::3

# A source that nobody announces.
ip_ns a address add 192.168.99.9/32 dev lo
address a lo fd99::9/128
before=$(drops b mb source)
later=$(drops c mc source)
check_not "packets from a source that a does not announce: no answer, IPv4" in_ns a ping -n -c 2 -i 0.2 -W 1 -I 192.168.99.9 192.168.70.2
check_not "  IPv6, and on the way through" in_ns a ping -n -c 2 -i 0.2 -W 1 -I fd99::9 fd70::3
at_least "  they are counted where they come in" $(($(drops b mb source) - before)) 4
is "  and not later" "$(drops c mc source)" "$later"
check "  others pass" pings a fd70::3

# A plain peer of the middle's, which is no meshd that speaks Babel: what it is allowed is announced if that is said.
key plain
ns_add p
veth b top p tob
address b top 10.7.9.1/24
address p tob 10.7.9.2/24
BABEL[b]='Redistribute = fd71:9::/64'
node b
cat >>"$WORK/mb.conf" <<-END
	[Peer]
	PublicKey = $(public plain)
	AllowedIPs = fd71:9::/64
	Babel = off
END
check "the middle has a plain peer more" in_ns b timeout 20 "$MESHD" reload "$WORK/mb.conf"
conf mplain <<-END
	[Interface]
	Table = off
	PrivateKey = $(private plain)
	Address = fd71:9::1/64, fd71:66::1/64
	[Peer]
	PublicKey = $(public b)
	Endpoint = 10.7.9.1:51820
	AllowedIPs = ::/0
END
check "  which comes up" meshd_up p mplain
ip_ns p -6 route add fd70::/16 dev mplain
becomes "  c has a route to its network" has_route c fd71:9::/64
check "  and it reaches c" wait_for 8 in_ns p ping -n -c 1 -W 1 -I fd71:9::1 fd70::3
before=$(drops b mb source)
check_not "  but not with a source it is not allowed" in_ns p ping -n -c 2 -i 0.2 -W 1 -I fd71:66::1 fd70::3
at_least "  which is counted" $(($(drops b mb source) - before)) 2

# Restarts.
was=$(seqno c)
from=${EPOCHREALTIME/./}
check "c goes down" meshd_down c mc
check "  its routes are gone" wait_for 10 forgot a c
at_most "  at once, in ms" $(((${EPOCHREALTIME/./} - from) / 1000)) 2000 # rather than when it is missed
check "c comes up again" up c
becomes "  and is known again" knows a c
check "  and answers" reach a fd70::3
at_least "  its sequence number went on" $((($(seqno c) - was) & 65535)) 0
at_most "  where it was" $((($(seqno c) - was) & 65535)) 4
was=$(seqno c)
kill -KILL "$(daemon_pid mc)" "$(parent_pid mc)"
becomes "c is killed: its routes go" forgot a c
wait_for 5 eval '! ip_ns c link show dev mc' # the TUN goes with who had it
check "c comes up again" up c
becomes "  and is known again" knows a c
check "  and answers" reach a fd70::3
at_most "  its sequence number is no older" $((($(seqno c) - was) & 65535)) 200

# Redistribution and filters change without a restart.
ip_ns c link add stub type bridge
ip_ns c link set stub up
address c stub 192.168.71.1/24 fd71:3::1/64
daemon=$(daemon_pid mc)
BABEL[c]='Redistribute = 192.168.71.0/24\nRedistribute = fd71:3::/64'
check "c redistributes: reload" reload c
becomes "  a has the network, IPv4" has_route a 192.168.71.0/24
becomes "  IPv6" has_route a fd71:3::/64
check "  and reaches it" eval 'reach a 192.168.71.1 && reach a fd71:3::1'
BABEL[c]+='\nFilter = out deny fd71:3::/64'
check "a filter on the way out: reload" reload c
becomes "  takes it away" no_route a fd71:3::/64
check "  and nothing else" has_route a 192.168.71.0/24
BABEL[a]='Filter = in deny 192.168.71.0/24'
BABEL[c]='Redistribute = connected'
check "all that is connected, and a filter on the way in: reload" eval 'reload c && reload a'
becomes "  the one comes" has_route a fd71:3::/64
becomes "  the other goes" no_route a 192.168.71.0/24
ip_ns c link set stub down
becomes "the network goes away: so does the route" no_route a fd71:3::/64
is "all that without a restart" "$(daemon_pid mc)" "$daemon"
BABEL[a]='' BABEL[c]=''
for n in a b c; do check "line: $n goes down" meshd_down "$n" "m$n"; done
meshd_down p mplain
for n in a b c; do
	check "  nothing is left" traceless "$n" "m$n"
	is "  nor a route of Babel's" "$(kernel_routes "$n")" ""
done

# ---- a diamond ----

ip_ns b link delete dev toa
ip_ns b link delete dev toc
ns_add d l
INTERFACE=() BABEL=()
edges "a b" "a c" "b d" "c d"
for n in b c; do # exits: what is behind them answers there
	ip_ns "$n" link add exit type bridge
	ip_ns "$n" link set exit up
	ip_ns "$n" -6 route add default dev exit
	address "$n" lo "2001:db8::$n/128"
	BABEL[$n]="Redistribute = ::/0 from=fd7$n::/48"
done
INTERFACE[a]='Address = fd7b::1/128, fd7c::1/128'
BABEL[d]='Interface = lan hello=1s'
veth d lan l lan
in_ns d sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
address d lan 10.7.8.1/24
address l lan 10.7.8.2/24
for n in a b c d; do check "diamond: $n comes up" up "$n" || tap_done; done
becomes "a has routes to d" knows a d
becomes "and d to a" knows d a
check "  pings, IPv4" reach a 192.168.70.4
check "  pings, IPv6" reach a fd70::4
becomes "two exits: a default route for each source prefix" eval \
	'exits a | grep -q "from fd7b::/48" && exits a | grep -q "from fd7c::/48"' ||
	note "$(ip_ns a -6 route show table all)"
check "  from one prefix packets leave by b" reach_from_to fd7b::1 2001:db8::b
check "  from the other by c" reach_from_to fd7c::1 2001:db8::c
# By the direct way: were it dearer for a while, the other exit would be on it, and answer for itself.
becomes "  and not the other way round" eval '! in_ns a ping -n -c 2 -i 0.2 -W 1 -I fd7b::1 2001:db8::c'
becomes "  either" eval '! in_ns a ping -n -c 2 -i 0.2 -W 1 -I fd7c::1 2001:db8::b'
becomes "'meshd routes' and 'ip route' agree here too" eval '[[ $(meshd_routes a) == "$(kernel_routes a)" ]]' ||
	note "$(diff <(meshd_routes a) <(kernel_routes a))"

if command -v babeld >/dev/null; then
	ip_ns l link add stub type bridge
	ip_ns l link set stub up
	address l stub 192.168.72.1/24 fd72::1/64
	in_ns l sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	printf '%s\n' 'skip-kernel-setup true' "state-file $WORK/l.state" 'random-id true' 'interface lan type wired hello-interval 1' \
		'redistribute ip 192.168.72.0/24 eq 24' 'redistribute ip fd72::/64 eq 64' 'redistribute local deny' >"$WORK/l.conf"
	start l "$WORK/l.log" babeld -c "$WORK/l.conf" -I "$WORK/l.pid"
	becomes "babeld on a LAN behind d: its network is known to a, IPv6" has_route a fd72::/64
	becomes "  IPv4" has_route a 192.168.72.0/24
	becomes "  and a to it" has_route l fd70::1
	check "  pings, IPv6" reach a fd72::1
	check "  IPv4" reach a 192.168.72.1
else
	skip "babeld on a LAN behind d" "no babeld"
fi

middle=$(chosen_peer a fd70::4/128)
like "a goes to d by one of the two" "$middle" '^(b|c)$'
start a "$WORK/heal" ping -n -i 0.05 fd70::4
ping=$STARTED
wait_for 3 eval '(($(grep -c "bytes from" "$WORK/heal") > 10))'
kill -KILL "$(daemon_pid "m$middle")" "$(parent_pid "m$middle")"
other=b
[[ $middle != b ]] || other=c
becomes "that one is killed: a goes by the other" chosen_is a fd70::4/128 "$other"
check "  and reaches d" reach a fd70::4
check "  IPv4 too" reach a 192.168.70.4
stop "$ping" INT
at_most "  after, in ms" $(($(grep -o 'icmp_seq=[0-9]*' "$WORK/heal" | cut -d= -f2 | awk '$1 - last > gap { gap = $1 - last } { last = $1 } END { print gap }') * 50)) 6000
becomes "  its exit is not offered any more" eval '! exits a | grep -q "from fd7$middle::/48"'
tap_done
