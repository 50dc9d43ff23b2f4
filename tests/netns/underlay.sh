#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Babel's routes never take the packets that carry them: a peer's own network redistributed, a peer's endpoint announced by somebody, the way
# to it replaced; both families; and nothing is left behind.
#
#	a: ea 10.1.0.1/24 --- 10.1.0.254, .253 r 10.2.0.254 --- eb 10.2.0.2/24 :b
#	      fd01::1/64      fd01::fe           fd02::fe           fd02::2/64
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

key a b
ns_add a b r
veth a ea r ra
veth b eb r rb
address a ea 10.1.0.1/24 fd01::1/64
address b eb 10.2.0.2/24 fd02::2/64
address r ra 10.1.0.254/24 10.1.0.253/24 fd01::fe/64
address r rb 10.2.0.254/24 fd02::fe/64
in_ns r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for n in a b; do in_ns "$n" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 "net.ipv4.conf.e$n.rp_filter=0"; done
ip_ns a route add default via 10.1.0.254
ip_ns a -6 route add default via fd01::fe
ip_ns b route add default via 10.2.0.254
ip_ns b -6 route add default via fd02::fe

# write_conf [FAMILY] [LINE for b's Babel]
write_conf() {
	local a=10.1.0.1 b=10.2.0.2
	[[ ${1:-4} == 4 ]] || a='[fd01::1]' b='[fd02::2]'
	conf wga <<-END
		[Interface]
		PrivateKey = $(private a)
		ListenPort = 51820
		Address = 10.8.0.1/32, fd08::1/128
		[Babel]
		Redistribute = connected
		[Peer]
		Name = b
		PublicKey = $(public b)
		Endpoint = $b:51820
		AllowedIPs = auto
	END
	conf wgb <<-END
		[Interface]
		PrivateKey = $(private b)
		ListenPort = 51820
		Address = 10.8.0.2/32, fd08::2/128
		[Babel]
		Redistribute = connected
		${2:-}
		[Peer]
		Name = a
		PublicKey = $(public a)
		Endpoint = $a:51820
		AllowedIPs = auto
	END
}

babel_has() { ip_ns a "-$1" route show "$2" proto 109 | grep -q wga; }
straight() { [[ $(status a wga '.peers[0].endpoint_loops') == false ]]; }

# stays SECONDS ADDRESS: the other end answers every second, and no packet runs round.
stays() {
	local i
	for ((i = 0; i < $1; i++)); do
		in_ns a ping -n -q -c 1 -W 2 "$2" >/dev/null || return 1
		sleep 0.8
	done
	straight && [[ $(drops a wga endpoint_loop) == 0 ]]
}
ours() {
	{ ip_ns "$1" -4 rule; ip_ns "$1" -6 rule; } | grep 'proto 109'
	ip_ns "$1" -4 route show table all | grep -e 'proto 109' -e 'table 71703'
	ip_ns "$1" -6 route show table all | grep -e 'proto 109' -e 'table 71703'
}
# At once: whichever of them saw the other go would clean up.
kill_both() {
	kill -STOP "$parent" "$pid"
	kill -KILL "$parent" "$pid"
}
both_up() { meshd_up a wga && meshd_up b wgb; }
both_down() { meshd_down a wga && meshd_down b wgb; }

for f in 4 6; do
	lan=10.2.0.0/24 host=10.2.0.2 mesh=10.8.0.2 covering=10.0.0.0/8 gateway=10.2.0.254
	[[ $f == 4 ]] || lan=fd02::/64 host=fd02::2 mesh=fd08::2 covering=fd00::/8 gateway=fd02::fe
	write_conf $f
	check "IPv$f: up, each with the network it is in redistributed" both_up
	check "  the network of b's endpoint is behind the tunnel" wait_for 15 babel_has $f $lan
	check "  the other end is there" reach a $mesh
	check "  the mesh stays up for 20 s" stays 20 $mesh
	like "  the host goes there through the tunnel" "$(ip_ns a -$f route get $host)" 'dev wga'
	like "  the tunnel goes outside" "$(ip_ns a -$f route get $host mark 51820)" 'dev ea'
	ip_ns b -$f route add $covering via $gateway proto static
	ip_ns b -$f route add "$host" dev eb proto static
	write_conf $f 'Redistribute = static'
	check "IPv$f: b announces its endpoint alone, and all around it" in_ns b timeout 20 "$MESHD" reload wgb
	check "  it came" wait_for 15 babel_has $f $host
	check "  the mesh stays up" stays 5 $mesh
	ip_ns b -$f route del $host dev eb
	ip_ns b -$f route del $covering
	if [[ $f == 4 ]]; then
		ip_ns a route replace default via 10.1.0.253
		follows() { ip_ns a route get 10.2.0.2 mark 51820 | grep -q 10.1.0.253; }
		check "IPv4: another gateway: the tunnel follows" wait_for 8 follows
		check "  and the mesh stays up" stays 2 $mesh
	fi
	at_least "  rules for both families" "$(ours a | grep -c 'fwmark 0xca6c lookup 71703')" 2
	check "IPv$f: down" both_down
	is "  nothing is left" "$(ours a; ours b)" ""
done

write_conf 4
check "up again" both_up
check "  and it works" wait_for 15 babel_has 4 10.2.0.0/24
pid=$(daemon_pid wga) parent=$(parent_pid wga)
kill_both
check "killed" wait_for 5 gone "$pid"
at_least "  rules are left" "$(ours a | grep -c 'fwmark')" 2
check "up after that" meshd_up a wga
check "  one rule a family" test "$(ours a | grep -c 'fwmark')" = 2
check "  and it works" reach a 10.8.0.2 20
check "  for longer" stays 2 10.8.0.2
check "down" both_down
is "  nothing is left" "$(ours a; ours b)" ""

write_conf 4
check "up again" meshd_up a wga
pid=$(daemon_pid wga) parent=$(parent_pid wga)
kill_both
wait_for 5 gone "$pid"
in_ns a timeout 20 "$MESHD" down wga >/dev/null 2>&1
is "killed, and \"meshd down\": nothing is left" "$(ours a)" ""

# A third node, whose announcements are made up: the others' endpoints, its own, and everything.
key c
ns_add c
veth c ec r rc
address c ec 10.3.0.3/24
address r rc 10.3.0.254/24
ip_ns c route add default via 10.3.0.254
for p in 10.1.0.1 10.2.0.2 0.0.0.0/1 128.0.0.0/1; do ip_ns c route add "$p" via 10.3.0.254 proto static; done
ip_ns c route add 10.3.0.3 dev ec proto static
write_conf 4
conf wgc <<-END
	[Interface]
	PrivateKey = $(private c)
	ListenPort = 51820
	Address = 10.8.0.3/32
	[Babel]
	Redistribute = static
	[Peer]
	Name = a
	PublicKey = $(public a)
	Endpoint = 10.1.0.1:51820
	AllowedIPs = auto
END
cat >>"$WORK/wga.conf" <<-END
	[Peer]
	Name = c
	PublicKey = $(public c)
	Endpoint = 10.3.0.3:51820
	AllowedIPs = auto
END
check "a third node" both_up
check "  up" meshd_up c wgc
for p in 10.2.0.2 10.3.0.3 0.0.0.0/1; do check "  it says it has $p" wait_for 15 babel_has 4 $p; done
check "  both answer" eval "reach a 10.8.0.2 && reach a 10.8.0.3"
check "  the link to b stays up" stays 10 10.8.0.2
check "  and so does its own" stays 3 10.8.0.3
is "  no endpoint leads into the tunnel" "$(status a wga '[.peers[].endpoint_loops] | any')" false
check "down" both_down
check "  all" meshd_down c wgc
is "  nothing is left" "$(ours a; ours b; ours c)" ""
tap_done
