#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Meshes of two nodes behind routers and a third that is public, through which they come together: every pair of {public address, forwarded port,
# masquerade, masquerade with random ports}, four pairs at a time. What one sends to the other goes by the third first, and directly soon, where that
# can be; nothing is lost over it.
#
#	+-- n1..n4 --+     +-- r1..r4 --+                  +-- r5..r8 --+     +-- n5..n8 --+
#	| 10.9.N.2   +-----+ router N   +--- 203.0.113.N --+ router N   +-----+ 10.9.N.2   |
#	+------------+     +------------+       (i)        +------------+     +------------+
#	  in the tunnel 10.7.0.2                 |                              10.7.0.3
#	                              +-- p1..p4 -----------+
#	                              | 203.0.113.11 to .14 |  one for each pair: 10.7.0.1
#	                              +---------------------+
# Routers are those of nat.sh: 1 and 5 route, and their nodes have 198.51.100.N besides; 2 and 6 forward port 51820; 3 and 7 masquerade and keep ports if
# they can; 4 and 8 masquerade and do not. All refuse what nobody inside asked for.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
for p in nft conntrack; do command -v "$p" >/dev/null || skip_all "no $p"; done

DIRECT_S=8	# by then packets go directly, where they can; it should be five
KINDS=('' public forwarded masquerade random public forwarded masquerade random)

router() { # N: its firewall
	local nat=''
	case ${KINDS[$1]} in
	forwarded) nat="chain d { type nat hook prerouting priority -100; iif wan udp dport 51820 dnat to 10.9.$1.2; }
		chain s { type nat hook postrouting priority 100; oif wan masquerade; }" ;;
	masquerade) nat="chain s { type nat hook postrouting priority 100; oif wan masquerade; }" ;;
	random) nat="chain s { type nat hook postrouting priority 100; oif wan masquerade fully-random; }" ;;
	esac
	in_ns "r$1" nft -f - <<-END
		table ip t {
			chain i { type filter hook input priority 0; iif wan ct state new drop; }
			chain f { type filter hook forward priority 0; ct status dnat accept; $([[ ${KINDS[$1]} == public ]] || echo 'iif wan ct state new drop;') }
			$nat
		}
	END
}
hopeless() { [[ ${KINDS[$1]}+${KINDS[$2]} =~ ^(random\+(random|masquerade)|masquerade\+random)$ ]]; }
m() { local n=$1; shift; in_ns "$n" timeout 40 "$MESHD" "$@" </dev/null; } # NS COMMAND...

ns_add i
ip_ns i link add br0 type bridge
ip_ns i link set br0 up
outside() { # NS IFACE: to the bridge
	ip link add "w$1" netns "$NS_PREFIX-i" type veth peer name "$2" netns "$NS_PREFIX-$1"
	ip_ns i link set "w$1" master br0 up
	ip_ns "$1" link set "$2" up
}
for n in 1 2 3 4 5 6 7 8; do
	ns_add "r$n" "n$n"
	veth "n$n" lan "r$n" lan
	outside "r$n" wan
	address "r$n" lan "10.9.$n.1/24"
	address "r$n" wan "203.0.113.$n/24"
	address "n$n" lan "10.9.$n.2/24"
	ip_ns "n$n" route add default via "10.9.$n.1"
	in_ns "r$n" sysctl -qw net.ipv4.ip_forward=1
	router $n
done
for n in 1 2 3 4; do
	ns_add "p$n"
	outside "p$n" wan
	address "p$n" wan "203.0.113.1$n/24"
done
for n in 1 5; do # a public address of the node's own, and the way to it
	address "n$n" lan "198.51.100.$n/32"
	ip_ns "n$n" route replace default via "10.9.$n.1" src "198.51.100.$n"
	ip_ns "r$n" route add "198.51.100.$n" via "10.9.$n.2"
	for m in r1 r2 r3 r4 r5 r6 r7 r8 p1 p2 p3 p4; do [[ $m == "r$n" ]] || ip_ns "$m" route add "198.51.100.$n" via "203.0.113.$n"; done
done

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
	for a in 1 2 3 4 5 6 7 8; do in_ns "r$a" conntrack -F 2>/dev/null; done
}
for shift in 0 1 2 3; do round $shift; done
tap_done
