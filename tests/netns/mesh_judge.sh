#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Who is believed what in a mesh: a node announces a network of its own and one that is not; two have default routes, one of which is an exit by its record;
# behind a gateway and behind a node that is none there are routers of babeld's; and a node is in the middle that has no transit role, then has it.
#
#	+-- hub ---+  +-- liar --+  +-- exit --+  +-- door --+  +-- gate --+  +-- leaf --+        +-- far ---+
#	|   .1     |  |   .2     |  |   .3     |  |   .4     |  |   .5     |  |   .6     +- cable +   .7     |
#	+---+------+  +---+------+  +---+------+  +---+------+  +---+--+---+  +---+------+        +----------+
#	    |             |             |             |             |  |          |     10.9.1.6      10.9.1.7
#	====+=============+=============+=============+=============+==|==========+==  10.9.0.N/24, bridge br0 in i
#	                  | lan                                        | lan
#	            babeld in slab                               babeld in lab		each NAME has 10.7.0.N on wNAME
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

SOON_S=15
declare -A NUMBER=([hub]=1 [liar]=2 [exit]=3 [door]=4 [gate]=5 [leaf]=6 [far]=7)

m() { local n=$1; shift; in_ns "$n" timeout 40 "$MESHD" "$@" </dev/null; } # NS COMMAND...
# Whether Babel has chosen a route for the prefix there, of another's.
routed() { m "$1" routes "w$1" --json | jq -e --arg p "$2" '[.routes[] | select(.prefix == $p and .selected and (.own | not))] | length > 0'; } # NODE PREFIX
announces() { m "$1" routes "w$1" --json | jq -e --arg p "$2" '[.routes[] | select(.prefix == $p and .own)] | length > 0'; } # NODE PREFIX
not_routed() { ! routed "$@"; }
origin() { # NODE PREFIX: whose route is chosen
	m "$1" routes "w$1" --json | jq -r --arg p "$2" '.routes[] | select(.prefix == $p and .selected and (.own | not)) | .router_id'
}
router_id() { m "$1" routes "w$1" --json | jq -r '.speakers[0].router_id'; }
refused_routes() { m "$1" mesh "w$1" --json | jq .routes_refused; }
becomes() { # WHAT COMMAND...
	local what=$1
	shift
	wait_for "$SOON_S" "$@"
	check "$what" "$@"
}
believed() { # PREFIX NODE...: by all of them
	local p=$1 n
	shift
	for n; do becomes "  $n believes $p" routed "$n" "$p"; done
}
doubted() { # PREFIX NODE...: by none
	local p=$1 n
	shift
	for n; do check "  $n does not believe $p" not_routed "$n" "$p"; done
}
network() { # NS IFACE ADDRESS...: that is there
	ip_ns "$1" link add "$2" type bridge
	ip_ns "$1" link set "$2" up
	address "$@"
}
# node NAME "OPTIONS of invite" "LINES of [Babel]": it joins by the hub and comes up.
node() {
	local token
	# shellcheck disable=SC2086 # words
	token=$(m hub invite whub "$1" --addr "10.7.0.${NUMBER[$1]}" $2 2>"$WORK/err") || { cat "$WORK/err"; return 1; }
	m "$1" join "$token" "w$1" && settle "$1" "$3"
}
settle() { # NAME "LINES of [Babel]": and up
	printf '\n[Babel]\nHelloInterval = 1s\n%b\n' "$2" >>"/etc/meshd/w$1.conf"
	sed -i 's/^\[Interface\]/&\nLanDiscovery = off/' "/etc/meshd/w$1.conf"
	m "$1" up "w$1"
}

ns_add i
ip_ns i link add br0 type bridge
ip_ns i link set br0 up
for n in hub liar exit door gate leaf; do
	ns_add "$n"
	ip link add "$n" netns "$NS_PREFIX-i" type veth peer name wan netns "$NS_PREFIX-$n"
	ip_ns i link set "$n" master br0 up
	ip_ns "$n" link set wan up
	address "$n" wan "10.9.0.${NUMBER[$n]}/24"
done
ns_add far
veth leaf cable far cable
address leaf cable 10.9.1.6/24
address far cable 10.9.1.7/24
# babeld NS NODE PREFIX...: on a LAN with the node, with networks behind it.
babeld_at() {
	local ns=$1 node=$2 p k=0
	shift 2
	ns_add "$ns"
	veth "$node" lan "$ns" lan
	address "$node" lan "10.8.${NUMBER[$node]}.1/24"
	address "$ns" lan "10.8.${NUMBER[$node]}.2/24"
	in_ns "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	{
		printf '%s\n' 'skip-kernel-setup true' "state-file $WORK/$ns.state" 'random-id true' 'interface lan type wired hello-interval 1'
		for p; do
			k=$((k + 1))
			network "$ns" "net$k" "${p%.0/*}.1/24"
			echo "redistribute ip $p eq 24"
		done
		echo 'redistribute local deny'
	} >"$WORK/$ns.conf"
	start "$ns" "$WORK/$ns.log" babeld -c "$WORK/$ns.conf" -I "$WORK/$ns.pid"
}

check "hub makes a mesh" m hub init whub --mesh-name lab --node hub --addr 10.7.0.1 --port 51820 || tap_done
check "  and comes up" settle hub '' || tap_done

# ---- One's own, and what is not.
network liar own 192.168.5.1/24 fd05::1/64
network liar other 192.168.6.1/24 fd06::1/64
check "liar joins" node liar '--prefix 192.168.5.0/24 --prefix fd05::/64' 'Redistribute = 192.168.5.0/24\nRedistribute = fd05::/64
Redistribute = 192.168.6.0/24\nRedistribute = fd06::/64\nRedistribute = 192.168.5.128/25' || tap_done
ip_ns liar route add 192.168.5.128/25 dev own
# ---- Default routes, of which nobody's is the hub's own.
for n in exit door; do
	network $n net "192.0.2.${NUMBER[$n]}/24"
	ip_ns $n route add default via 192.0.2.200 dev net
	ip_ns $n -6 route add default dev net
done
check "door joins" node door '' 'Redistribute = 0.0.0.0/0\nRedistribute = ::/0' || tap_done
check "leaf joins" node leaf '--role none' '' || tap_done

becomes "liar announces what is its own" announces liar 192.168.5.0/24
becomes "  and what is not" announces liar 192.168.6.0/24
for p in 192.168.5.0/24 fd05::/64 192.168.5.128/25; do believed $p hub door leaf; done
for p in 192.168.6.0/24 fd06::/64; do doubted $p hub door leaf; done
at_least "  hub counts them" "$(refused_routes hub)" 1
check "  and reaches what is liar's own" reach hub 192.168.5.1

becomes "door announces a default route" announces door 0.0.0.0/0
becomes "  and one of IPv6" announces door ::/0
becomes "  door itself is known" routed hub 10.7.0.4/32
doubted 0.0.0.0/0 hub liar leaf
doubted ::/0 hub liar leaf
check "exit joins" node exit '--role transit,exit' 'Redistribute = 0.0.0.0/0\nRedistribute = ::/0' || tap_done
believed 0.0.0.0/0 hub liar leaf
believed ::/0 hub liar leaf
is "  the exit's, and no other's" "$(origin hub 0.0.0.0/0)" "$(router_id exit)"

# The record decides, and whoever has it changed.
check "liar is given the other network, too" m hub invite whub liar --renew --prefix 192.168.5.0/24 --prefix fd05::/64 --prefix 192.168.6.0/24
believed 192.168.6.0/24 hub door leaf
doubted fd06::/64 hub door leaf
check "exit is none any more" m hub invite whub exit --renew --role transit
becomes "  its default route is not believed any more" not_routed hub 0.0.0.0/0
becomes "  by nobody" not_routed leaf 0.0.0.0/0

# ---- Who is in the middle without the transit role.
check "leaf says where it is" wait_for 8 eval "m hub mesh whub --json | jq -e '.nodes[] | select(.name == \"leaf\") | .endpoints | map(select(startswith(\"10.9.1.6\"))) | length > 0'"
token=$(m hub invite whub far --addr 10.7.0.7 2>/dev/null)
check "far joins, by way of leaf" m far join "$token" wfar || tap_done
check "  and comes up" settle far ''
becomes "  it has a route to leaf" routed far 10.7.0.6/32
check "  and reaches it" reach far 10.7.0.6
check "  but none to hub, for that would be through leaf" not_routed far 10.7.0.1/32
becomes "  hub has none to it, either" not_routed hub 10.7.0.7/32
check "  so they do not reach each other" silent far 10.7.0.1
check "leaf is given the role" m hub invite whub leaf --renew --role transit
becomes "  far has a route to hub" routed far 10.7.0.1/32
becomes "  and hub to far" routed hub 10.7.0.7/32
check "  they reach each other" reach far 10.7.0.1
check "the role is taken again" m hub invite whub leaf --renew --role none
becomes "  hub has no route to far" not_routed hub 10.7.0.7/32
becomes "  far has none to hub" not_routed far 10.7.0.1/32
check "  leaf itself is reached" reach hub 10.7.0.6

# ---- Routers that are no nodes: behind a gateway, what its record says; behind others nothing, but what a gateway's record says is believed from whomever.
if ! command -v babeld >/dev/null; then
	skip "babeld behind a gateway" "no babeld"
	tap_done
fi
in_ns gate sysctl -qw net.ipv4.ip_forward=1
in_ns liar sysctl -qw net.ipv4.ip_forward=1
babeld_at lab gate 172.20.1.0/24 172.21.1.0/24
check "gate joins" node gate '--role transit,gateway --external 172.20.0.0/16' 'Interface = lan hello=1s' || tap_done
becomes "  and hears of the networks behind it" routed gate 172.20.1.0/24
becomes "  all of them" routed gate 172.21.1.0/24
believed 172.20.1.0/24 hub exit leaf
becomes "  and lab of the mesh" eval 'ip_ns lab route show 10.7.0.1 | grep -q .'
check "  which it reaches" wait_for 8 in_ns lab ping -n -c 1 -W 1 -I 172.20.1.1 10.7.0.1
check "  and by which it is reached" reach leaf 172.20.1.1
doubted 172.21.1.0/24 hub exit leaf
unlike "  it has a router-id of its own" "$(origin hub 172.20.1.0/24)" "^$(router_id gate)\$"
babeld_at slab liar 172.22.1.0/24
echo 'Interface = lan hello=1s' >"$WORK/more"
sed -i "/^\[Babel\]/r $WORK/more" /etc/meshd/wliar.conf
check "liar has a router, too" m liar reload wliar
becomes "  and hears of the network behind it" routed liar 172.22.1.0/24
sleep 2
doubted 172.22.1.0/24 hub exit leaf gate
check "gate's record does not say that any more" m hub invite whub gate --renew --role transit
becomes "  and nobody believes it" not_routed hub 172.20.1.0/24
becomes "  nor elsewhere" not_routed leaf 172.20.1.0/24
check "  gate itself is reached" reach hub 10.7.0.5
for n in hub liar exit door gate leaf far; do check "$n goes down" m $n down w$n; done
tap_done
