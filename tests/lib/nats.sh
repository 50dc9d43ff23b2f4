# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Eight nodes, four on each side, each behind a router of its own. Sourced after lib/netns.sh.
#
#	+-- n1..n4 --+     +-- r1..r4 --+                  +-- r5..r8 --+     +-- n5..n8 --+
#	| 10.9.N.2   +-----+ router N   +--- 203.0.113.N --+ router N   +-----+ 10.9.N.2   |
#	+------------+     +------------+  (br0, in i)     +------------+     +------------+
#
# Routers 1 and 5 route, and their nodes have 198.51.100.N besides; 2 and 6 forward port 51820; 3 and 7 masquerade and keep ports if they can;
# 4 and 8 masquerade and do not. All refuse what nobody inside asked for.
for p in nft conntrack; do command -v "$p" >/dev/null || skip_all "no $p"; done

KINDS=('' public forwarded masquerade random public forwarded masquerade random)

router() { # N: its firewall
	local nat='' guard='iif wan ct state new drop;'
	case ${KINDS[$1]} in
	public) guard='' ;;
	forwarded) nat="chain d { type nat hook prerouting priority -100; iif wan udp dport 51820 dnat to 10.9.$1.2; }
		chain s { type nat hook postrouting priority 100; oif wan masquerade; }" ;;
	masquerade) nat="chain s { type nat hook postrouting priority 100; oif wan masquerade; }" ;;
	random) nat="chain s { type nat hook postrouting priority 100; oif wan masquerade fully-random; }" ;;
	esac
	in_ns "r$1" nft -f - <<-END
		table ip t {
			chain i { type filter hook input priority 0; iif wan ct state new drop; }
			chain f { type filter hook forward priority 0; ct status dnat accept; $guard }
			$nat
		}
	END
}

# nats_attach NS ADDRESS: an interface "wan" on the bridge in the middle.
nats_attach() {
	ip link add "w$1" netns "$NS_PREFIX-i" type veth peer name wan netns "$NS_PREFIX-$1"
	ip_ns i link set "w$1" master br0 up
	ip_ns "$1" link set wan up
	address "$1" wan "$2"
}

# nats_way_to_public NS...: these reach the two public nodes.
nats_way_to_public() {
	local n m
	for n in 1 5; do
		for m; do [[ $m == "r$n" ]] || ip_ns "$m" route add "198.51.100.$n" via "203.0.113.$n"; done
	done
}

# nats_stage: makes it.
nats_stage() {
	local n
	ns_add i
	ip_ns i link add br0 type bridge
	ip_ns i link set br0 up
	for n in 1 2 3 4 5 6 7 8; do
		ns_add "r$n" "n$n"
		veth "n$n" lan "r$n" lan
		nats_attach "r$n" "203.0.113.$n/24"
		address "r$n" lan "10.9.$n.1/24"
		address "n$n" lan "10.9.$n.2/24"
		ip_ns "n$n" route add default via "10.9.$n.1"
		in_ns "r$n" sysctl -qw net.ipv4.ip_forward=1
		router "$n"
	done
	for n in 1 5; do # a public address of the node's own, and the way to it
		address "n$n" lan "198.51.100.$n/32"
		ip_ns "n$n" route replace default via "10.9.$n.1" src "198.51.100.$n"
		ip_ns "r$n" route add "198.51.100.$n" via "10.9.$n.2"
	done
	nats_way_to_public r1 r2 r3 r4 r5 r6 r7 r8
}

# nats_forget: as if nothing had ever gone through the routers.
nats_forget() {
	local n
	for n in 1 2 3 4 5 6 7 8; do in_ns "r$n" conntrack -F 2>/dev/null; done
}

# Whether nobody can get through: where both are behind a NAT and one does not keep ports. Nor could any WireGuard.
hopeless() { [[ ${KINDS[$1]}+${KINDS[$2]} =~ ^(random\+(random|masquerade)|masquerade\+random)$ ]]; }
