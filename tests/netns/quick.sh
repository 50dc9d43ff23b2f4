#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# wg-quick's files under "meshd up": addresses, MTU, tables, DNS, hooks, SaveConfig, default routes - and everything gone
# after "meshd down". Where wg-quick itself can run (userspace WireGuard, no kernel module), what it makes
# of the same file is the measure. Stage: pair_stage in lib/netns.sh; a's default route goes over b.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
ip_ns a route add default via 10.9.0.2
ip_ns a -6 route add default via fd09::2
address b lo 198.51.100.1/32 2001:db8:100::1/128
rm -f /etc/resolvconf/interface-order
pair_conf 4
meshd_up b wgb >/dev/null 2>&1 || { fail "b comes up"; tap_done; }
in_ns b wg set wgb peer "$(public a)" allowed-ips 192.168.9.0/24,fd09:9::/64

# A resolvconf that writes down how it was called, and a PATH without one.
mkdir "$WORK/bin" "$WORK/nothing"
cat >"$WORK/bin/resolvconf" <<-END
	#!/bin/sh
	echo "\$*" >>"$WORK/dns"
	[ "\$1" != -a ] || sed 's/^/  /' >>"$WORK/dns"
END
chmod +x "$WORK/bin/resolvconf"
for d in /usr/local/sbin /usr/sbin /usr/local/bin /usr/bin /sbin /bin; do
	for f in "$d"/*; do
		[[ ${f##*/} == resolvconf || -e $WORK/nothing/${f##*/} ]] || ln -s "$f" "$WORK/nothing/${f##*/}"
	done
done

# a_conf <INTERFACE LINES, [ALLOWED]: a config for wga with b as the peer.
a_conf() {
	{
		printf '[Interface]\nPrivateKey = %s\n' "$(private a)"
		cat
		printf '[Peer]\nPublicKey = %s\nEndpoint = 10.9.0.2:51821\nAllowedIPs = %s\n' "$(public b)" \
			"${1:-192.168.9.0/24, fd09:9::/64}"
	} | conf wga
}
up() { meshd_up a wga; }
down() { meshd_down a wga; }

# What the network looks like in a: everything that wg-quick touches. Link-local addresses are random.
shape() {
	ip_ns a -o address show | grep -v ' fe80:' | sed 's/^[0-9]*: //; s/[[:space:]]\+/ /g' | sort
	ip_ns a -o link show | grep -o 'wga:.* mtu [0-9]*' | sed 's/<[^>]*>//'
	for f in -4 -6; do
		ip_ns a $f route show table all | grep -v -e 'fe80::' -e '^multicast' | sed 's/[[:space:]]\+/ /g; s/ $//' | sort
		ip_ns a $f rule show
	done
	in_ns a nft list tables | sort | while read -r _ f t; do in_ns a nft list table "$f" "$t"; done | grep -v 'daddr fe80:'
	in_ns a sysctl net.ipv4.conf.all.src_valid_mark
}
clean=$(shape)
gone_again() { # WHAT: the shape is as before
	local now
	now=$(shape)
	is "$1" "$(diff <(printf '%s\n' "$clean") <(printf '%s\n' "$now"))" ""
	check "  no trace of wga" traceless a wga
}

# ---- addresses, MTU, table ----
a_conf <<-END
	Address = 192.168.9.1/24, fd09:9::1/64
	Address = 192.168.10.1
	MTU = 1380
END
check "addresses and MTU: up" up
addresses=$(ip_ns a -o address show dev wga)
for a in 192.168.9.1/24 fd09:9::1/64 192.168.10.1/32; do like "  $a is there" "$addresses" " $a "; done
like "  MTU as given" "$(ip_ns a -o link show dev wga)" 'mtu 1380 '
like "  the link is up" "$(ip_ns a -o link show dev wga)" '[<,]UP[,>]'
check "  down" down
gone_again "  everything is as before"

a_conf "192.168.9.0/24, 203.0.113.0/24, 2001:db8:200::/48" <<-END
	Address = 192.168.9.1/24
END
check "Table left out: up" up
is "  the connected route is not doubled" "$(ip_ns a route show 192.168.9.0/24 | wc -l)" 1
like "  a route to the other network" "$(ip_ns a route show 203.0.113.0/24)" 'dev wga'
like "  in IPv6 as well" "$(ip_ns a -6 route show 2001:db8:200::/48)" 'dev wga'
down >/dev/null 2>&1

a_conf "192.168.9.0/24, 203.0.113.0/24" <<-END
	Address = 192.168.9.1/24
	Table = off
END
check "Table = off: up" up
is "  no route" "$(ip_ns a route show table all | grep -c 203.0.113.0/24)" 0
down >/dev/null 2>&1

a_conf "192.168.9.0/24, 203.0.113.0/24, 0.0.0.0/0" <<-END
	Address = 192.168.9.1/24
	Table = 1234
END
check "Table = 1234: up" up
like "  the routes are there" "$(ip_ns a route show table 1234)" '203.0.113.0/24 dev wga'
like "  the default route too" "$(ip_ns a route show table 1234)" 'default dev wga'
unlike "  without a rule" "$(ip_ns a rule show)" 'suppress_prefixlength|fwmark'
check "  down" down
gone_again "  everything is as before"

# ---- DNS ----
a_conf <<-END
	Address = 192.168.9.1/24
	DNS = 192.0.2.53, example.org
	DNS = 2001:db8::53, corp.example
END
: >"$WORK/dns"
check "DNS: up" env PATH="$WORK/bin:$PATH" ip netns exec "$NS_PREFIX-a" timeout 20 "$MESHD" up "$WORK/wga.conf"
is "  resolvconf is called as wg-quick does" "$(cat "$WORK/dns")" "-a wga -m 0 -x
  nameserver 192.0.2.53
  nameserver 2001:db8::53
  search example.org corp.example"
: >"$WORK/dns"
check "  down" down
is "  and taken back" "$(cat "$WORK/dns")" "-d wga -f"
mkdir -p /etc/resolvconf
printf 'lo*\ntun*\n' >/etc/resolvconf/interface-order
: >"$WORK/dns"
env PATH="$WORK/bin:$PATH" ip netns exec "$NS_PREFIX-a" timeout 20 "$MESHD" up "$WORK/wga.conf" >/dev/null 2>&1
like "  the name has resolvconf's prefix" "$(head -n 1 "$WORK/dns")" '^-a lo\.wga '
rm -f /etc/resolvconf/interface-order
down >/dev/null 2>&1
out=$(env PATH="$WORK/nothing" ip netns exec "$NS_PREFIX-a" timeout 20 "$MESHD" up "$WORK/wga.conf" 2>&1)
is "no resolvconf: up all the same" "$?" 0
is "  with one warning" "$(grep -c -i 'resolvconf' <<<"$out")" 1
check "  down" down

# ---- hooks ----
cat >"$WORK/hook" <<-END
	#!/bin/sh
	# NAME IFACE: what a hook sees
	link=\$(ip -o link show dev "\$2" 2>/dev/null | grep -q '[<,]UP[,>]' && echo up || echo none)
	address=\$(ip -o -4 address show dev "\$2" 2>/dev/null | grep -o '192.168.9.1/24')
	route=\$(ip route show 203.0.113.0/24)
	key=\$(wg show "\$2" public-key 2>/dev/null)
	echo "\$1 \$2 link=\$link address=\$address route=\${route:+yes} key=\${key:+yes}" >>"$WORK/hooks"
END
chmod +x "$WORK/hook"
a_conf "192.168.9.0/24, 203.0.113.0/24" <<-END
	Address = 192.168.9.1/24
	PreUp = $WORK/hook PreUp %i
	PreUp = $WORK/hook PreUp2 %i
	PostUp = $WORK/hook PostUp %i; x=%i%i; $WORK/hook "PostUp-\$x" %i
	PreDown = $WORK/hook PreDown %i
	PostDown = $WORK/hook PostDown %i
	PostDown = $WORK/hook PostDown2 %i # a comment
END
: >"$WORK/hooks"
check "hooks: up" up
check "  down" down
is "  in this order, and each sees what it should" "$(cat "$WORK/hooks")" \
	"PreUp wga link=none address= route= key=
PreUp2 wga link=none address= route= key=
PostUp wga link=up address=192.168.9.1/24 route=yes key=yes
PostUp-wgawga wga link=up address=192.168.9.1/24 route=yes key=yes
PreDown wga link=up address=192.168.9.1/24 route=yes key=yes
PostDown wga link=none address= route= key=
PostDown2 wga link=none address= route= key="
gone_again "  everything is as before"

# ---- SaveConfig ----
key c
a_conf <<-END
	Address = 192.168.9.1/24
	SaveConfig = true
	PostUp = true # kept
END
check "SaveConfig: up" up
in_ns a wg set wga peer "$(public c)" allowed-ips 192.168.77.0/24 persistent-keepalive 7
address a wga 192.168.9.55/24
check "  down" down
saved=$(cat "$WORK/wga.conf")
contains "  a peer added with wg is in the file" "$saved" "PublicKey = $(public c)"
like "  with its allowed ips" "$saved" 'AllowedIPs = 192.168.77.0/24'
like "  and keepalive" "$saved" 'PersistentKeepalive = 7'
contains "  the private key still" "$saved" "PrivateKey = $(private a)"
like "  the addresses of the interface" "$saved" 'Address = .*192.168.9.1/24'
like "  the hook" "$saved" 'PostUp = true'
like "  and SaveConfig" "$saved" 'SaveConfig = true'
is "  the file's mode" "$(stat -c %a "$WORK/wga.conf")" 600
check "  the file is good: up again" up
contains "  with the saved peer" "$(in_ns a wg show wga peers)" "$(public c)"
down >/dev/null 2>&1

# Who takes it down is told when the file cannot be written.
mkdir "$WORK/there"
cp -p "$WORK/wga.conf" "$WORK/there/"
check "SaveConfig that cannot save: up" in_ns a timeout 20 "$MESHD" up "$WORK/there/wga.conf"
mv "$WORK/there" "$WORK/gone"
said=$(down 2>&1 >/dev/null)
is "  down fails" $? 1
is "  and says why, in one line" "$said" \
	"meshd: wga: it is down, but the config is not saved: $WORK/there/wga.conf: No such file or directory"
check "  it is down, and no trace of it left" traceless a wga

# A config far beyond what one frame once held: 200000 allowed IPs, several MiB.
a_conf <<-END
	Table = off
	SaveConfig = true
END
printf 'AllowedIPs = 10.%s/32\n' {0..199}.{0..249}.{0..3} >>"$WORK/wga.conf"
prefixes() { grep -o '10\.[0-9.]*/32' "$WORK/wga.conf" | sort; }
prefixes >"$WORK/before"
check "SaveConfig of a large config: up" up
is "  down without a word" "$(down 2>&1 >/dev/null)" ""
prefixes >"$WORK/after"
is "  all of it is in the file" "$(wc -l <"$WORK/after") $(cmp "$WORK/before" "$WORK/after")" "200000 "

# ---- the default route ----
a_conf "0.0.0.0/0, ::/0" <<-END
	Address = 192.168.9.1/24, fd09:9::1/64
END
check "default route: up" up
is "  the mark" "$(in_ns a wg show wga fwmark)" 0xca6c
like "  table 51820, IPv4" "$(ip_ns a route show table 51820)" 'default dev wga'
like "  table 51820, IPv6" "$(ip_ns a -6 route show table 51820)" 'default dev wga'
for f in -4 -6; do
	like "  rule not fwmark, IPv${f#-}" "$(ip_ns a $f rule show)" 'not from all fwmark 0xca6c lookup 51820'
	like "  rule suppress_prefixlength, IPv${f#-}" "$(ip_ns a $f rule show)" 'from all lookup main suppress_prefixlength 0'
done
like "  the firewall's rule, IPv4" "$(in_ns a nft list ruleset)" 'iifname != "wga" ip daddr 192.168.9.1 fib saddr type != local drop'
like "  the firewall's rule, IPv6" "$(in_ns a nft list ruleset)" 'iifname != "wga" ip6 daddr fd09:9::1 fib saddr type != local drop'
is "  src_valid_mark" "$(in_ns a sysctl -n net.ipv4.conf.all.src_valid_mark)" 1
check "  a session: the endpoint is reached outside the tunnel" reach a 192.168.9.2
before=$(status a wga .tx_packets)
check "  the world is reached through the tunnel, IPv4" pings a 198.51.100.1 3
check "  the world is reached through the tunnel, IPv6" pings a 2001:db8:100::1 3
at_least "  (packets through the tunnel)" $(($(status a wga .tx_packets) - before)) 6
quick=$(shape)
check "  down" down
in_ns a sysctl -qw net.ipv4.conf.all.src_valid_mark=0
gone_again "  everything is as before"

# wg-quick on the same file, over wireguard-go: it has to look the same.
if [[ -e /sys/module/wireguard ]] || ! command -v wireguard-go >/dev/null; then
	skip "wg-quick makes the same of it" "needs wireguard-go, and no kernel module wireguard"
else
	printf '%s\n' "$quick" >"$WORK/shape.meshd"
	env WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 ip netns exec "$NS_PREFIX-a" \
		timeout 20 wg-quick up "$WORK/wga.conf" >"$WORK/quick.log" 2>&1 || note "$(cat "$WORK/quick.log")"
	shape >"$WORK/shape.quick"
	is "wg-quick makes the same of it" "$(diff "$WORK/shape.quick" "$WORK/shape.meshd")" ""
	in_ns a timeout 20 wg-quick down "$WORK/wga.conf" >/dev/null 2>&1
	in_ns a sysctl -qw net.ipv4.conf.all.src_valid_mark=0
fi

# Without nft it is iptables, without either a warning.
rm "$WORK/nothing/nft"
if PATH=$WORK/nothing command -v iptables-restore >/dev/null; then
	check "no nft: up" env PATH="$WORK/nothing" ip netns exec "$NS_PREFIX-a" timeout 20 "$MESHD" up "$WORK/wga.conf"
	like "  the rule is iptables'" "$(in_ns a iptables-save -t raw)" '-A PREROUTING -d 192.168.9.1/32 ! -i wga .*-j DROP'
	check "  down" down
	unlike "  the rule is gone" "$(in_ns a iptables-save)" 'wga'
else
	skip "no nft: iptables" "no iptables here"
fi
tap_done
