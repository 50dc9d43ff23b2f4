#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ECN and DSCP through the tunnel: all cells of RFC 6040's table over IPv4 and IPv6, through a third node as well; a path that marks what must
# not be marked; what the keys Ecn and Dscp say.
#
#	+-- a: wga --+      +-- r --+      +-- b: wgb --+      +-- c: wgc --+
#	|        ea -+------+ marks +------+- eb     cb-+------+- ec        |
#	+------------+      +-------+      +------------+      +------------+
#	  10.9.1.1            .2  10.9.2.2   .1  10.9.3.1        .2          and fd09:N::
#	  inside 10.8.0.1                    10.8.0.2            10.8.0.3    and fd08::
#
# r sets the outer codepoint of what comes from a by its length: so a sender chooses both. a reaches c through b.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/capture.sh
. "$HERE/lib/capture.sh"
command -v nft >/dev/null || skip_all "no nft"

key a b c
ns_add a r b c
veth a ea r ra
veth r rb b eb
veth b cb c ec
address a ea 10.9.1.1/24 fd09:1::1/64
address r ra 10.9.1.2/24 fd09:1::2/64
address r rb 10.9.2.2/24 fd09:2::2/64
address b eb 10.9.2.1/24 fd09:2::1/64
address b cb 10.9.3.1/24 fd09:3::1/64
address c ec 10.9.3.2/24 fd09:3::2/64
ip_ns a route replace default via 10.9.1.2
ip_ns a -6 route replace default via fd09:1::2
ip_ns b route replace default via 10.9.2.2
ip_ns b -6 route replace default via fd09:2::2
for n in r b; do in_ns $n sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0; done

# marks RULES: what r does to the packets from a.
marks() {
	in_ns r nft -f - <<-END
		table inet m
		delete table inet m
		table inet m {
			chain f { type filter hook forward priority mangle; iif != ra accept; $1 }
		}
	END
}
by_length=
for f in ip ip6; do
	by_length+="udp length 250-349 $f ecn set not-ect; udp length 450-549 $f ecn set ect1; udp length 650-749 $f ecn set ect0; udp length 850-949 $f ecn set ce; "
done

unmerged=tso,uso,gso,gro # all but merge: what comes late and at once shall be seen a packet each
untrained=tso,uso,gro,merge # all but gso: what a busy machine sends late and at once shall pass the router as a packet each, with a length of its own

# all_up 4|6 A-LINES B-LINES: all three anew, these lines in [Interface] of a and b; waits until a and b have seen that they are meshds.
all_up() {
	local a=10.9.1.1 b=10.9.2.1 c=10.9.3.2
	[[ $1 == 4 ]] || a='[fd09:1::1]' b='[fd09:2::1]' c='[fd09:3::2]'
	for n in a b c; do meshd_down $n wg$n >/dev/null 2>&1; done
	conf wga <<-END
		[Interface]
		PrivateKey = $(private a)
		ListenPort = 51820
		Address = 10.8.0.1/24, fd08::1/64
		Offload = $untrained
		$2
		[Peer]
		PublicKey = $(public b)
		AllowedIPs = 10.8.0.0/24, fd08::/64
		Endpoint = $b:51820
	END
	conf wgb <<-END
		[Interface]
		PrivateKey = $(private b)
		ListenPort = 51820
		Address = 10.8.0.2/24, fd08::2/64
		Offload = $unmerged
		$3
		[Peer]
		PublicKey = $(public a)
		AllowedIPs = 10.8.0.1/32, fd08::1/128
		Endpoint = $a:51820
		[Peer]
		PublicKey = $(public c)
		AllowedIPs = 10.8.0.3/32, fd08::3/128
		Endpoint = $c:51820
	END
	conf wgc <<-END
		[Interface]
		PrivateKey = $(private c)
		ListenPort = 51820
		Address = 10.8.0.3/24, fd08::3/64
		Offload = $unmerged
		[Peer]
		PublicKey = $(public b)
		AllowedIPs = 10.8.0.0/24, fd08::/64
	END
	meshd_up c wgc && meshd_up b wgb && meshd_up a wga && reach a fd08::3 && in_ns a ping -n -q -i 0.1 -c 15 10.8.0.3
}

# cells ADDRESS...: three packets for each inner codepoint I and outer codepoint O, to port 7000 + 4 I + O.
cells() {
	in_ns a python3 - "$@" <<-'END'
		import socket, sys, time
		for address in sys.argv[1:]:
		    v6 = ":" in address
		    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
		    for inner in range(4):
		        s.setsockopt(*(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if v6 else (socket.IPPROTO_IP, socket.IP_TOS), inner)
		        for outer in range(4):
		            for _ in range(3):
		                s.sendto(bytes(200 + 200 * outer), (address, 7000 + 4 * inner + outer))
		                time.sleep(0.004)
	END
}
# TOS values of what a sent outside for cells.
sent() { awk '$8 > 249 && $8 < 950 { print $6 }' "$WORK/outer.txt" | sort; }
# One line a cell: inner, outer, codepoints received. The dropped one has no packets.
table() {
	awk '$5 >= 7000 && $5 < 7016 { got[$5 - 7000] = got[$5 - 7000] "" $6 }
		END { for (i = 0; i < 16; i++) printf "%d %d %s\n", i / 4, i % 4, i in got ? got[i] : "dropped" }' "$WORK/$1.txt"
}
six_each() { sed -E 's/ ([0-3])$/ \1\1\1\1\1\1/'; } # three over each family
RFC6040=$(six_each <<'END'
0 0 0
0 1 0
0 2 0
0 3 dropped
1 0 1
1 1 1
1 2 1
1 3 3
2 0 2
2 1 1
2 2 2
2 3 3
3 0 3
3 1 3
3 2 3
3 3 3
END
)
UNTOUCHED=$(for i in 0 1 2 3; do for o in 0 1 2 3; do echo "$i $o $i"; done; done | six_each)

for under in 4 6; do
	marks "$by_length"
	check "a, b and c up over IPv$under" all_up $under "" "" || tap_done
	CAPTURE_LEN=2000 capture b wgb at_b 'udp portrange 7000-7015'
	capture c wgc at_c 'udp portrange 7000-7015'
	capture r ra outer 'udp and (src net 10.9.1.1 or src net fd09:1::1)'
	before=$(drops b wgb ecn)
	cells 10.8.0.2 fd08::2 10.8.0.3 fd08::3
	for n in at_b at_c outer; do capture_end $n; done
	is "  RFC 6040, all cells, at b" "$(awk '$4 ~ /2$/' "$WORK/at_b.txt" >"$WORK/here.txt" && table here)" "$RFC6040"
	is "  and at c, through b" "$(table at_c)" "$RFC6040"
	is "  CE on Not-ECT: all 12 were counted" $(($(drops b wgb ecn) - before)) 12
	is "  a sent all four codepoints outside" "$(sent | uniq -c | awk '{ print $2 ": " ($1 >= 40) }' | paste -sd' ')" "0: 1 1: 1 2: 1 3: 1"
	unlike "  no wrong checksum inside" "$(tcpdump -n -vv -r "$WORK/at_b.pcap" 2>&1)" 'bad (udp )?cksum|incorrect'
done

# A path that marks whatever comes: nothing is learned from its marks, and nothing is lost to them.
marks "ip ecn set ce; ip6 ecn set ce;"
check "a path that turns Not-ECT into CE" all_up 4 "" ""
check "  packets pass, once that is known" wait_for 10 pings a 10.8.0.2 5
capture b wgb broken 'udp portrange 7000-7015'
capture r ra outer udp and src net 10.9.1.1
cells 10.8.0.2 fd08::2
capture_end broken
capture_end outer
is "  codepoints are as they were sent" "$(table broken)" "$UNTOUCHED"
is "  and a sends Not-ECT" "$(sent | uniq)" 0

marks "$by_length"
for off in a b; do
	[[ $off == a ]] && at=("Ecn = off" "") || at=("" "Ecn = off")
	check "Ecn = off at $off" all_up 4 "${at[@]}"
	capture b wgb off 'udp portrange 7000-7015'
	capture r ra outer udp and src net 10.9.1.1
	cells 10.8.0.2 fd08::2
	capture_end off
	capture_end outer
	is "  a sends Not-ECT" "$(sent | uniq)" 0
	[[ $off == a ]] || is "  b looks at no marks" "$(table off)" "$UNTOUCHED"
done

# Plain peers set no ECN field, so nothing is known of a mark on Not-ECT.
check "without sub-sessions both are plain peers" all_up 4 "FlowSessions = 0" ""
capture b wgb plain 'udp portrange 7000-7015'
cells 10.8.0.2 fd08::2
capture_end plain
is "  CE on Not-ECT is delivered" "$(table plain | sed -n 4p)" "0 3 000000"
is "  CE on ECT(0) too, as CE" "$(table plain | sed -n 12p)" "2 3 333333"

# dscp VALUE: outer TOS of pings with TOS 0x2a (DSCP 10, ECT(0)) inside, over both families.
dscp() {
	local under
	for under in 4 6; do
		all_up $under "Dscp = $1" "" >/dev/null || return 1
		capture r ra dscp 'udp and (src net 10.9.1.1 or src net fd09:1::1)'
		in_ns a ping -n -q -i 0.05 -c 3 -s 300 -Q 0x2a 10.8.0.2 >/dev/null
		capture_end dscp
		no_control dscp | awk '$8 > 300 { print $6 }' | sort -u
	done
}
marks ""
is "Dscp = none" "$(dscp none | paste -sd' ')" "2 2"
is "Dscp = copy" "$(dscp copy | paste -sd' ')" "42 42"
is "Dscp = 46" "$(dscp 46 | paste -sd' ')" "186 186"
for n in a b c; do meshd_down $n wg$n >/dev/null 2>&1; done
tap_done
