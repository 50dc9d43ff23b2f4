#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# wg-quick(8) with meshd as its userspace WireGuard: WG_QUICK_USERSPACE_IMPLEMENTATION=meshd wg-quick up. wg-quick looks for
# one only where the kernel has no WireGuard. Stage: pair_stage in lib/netns.sh; b is a "meshd up" node.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

command -v wg-quick >/dev/null || skip_all "no wg-quick (package wireguard-tools)"
[[ ! -e /sys/module/wireguard ]] || skip_all "the kernel module wireguard is loaded: wg-quick uses that"
pair_stage
if ip_ns a link add wgprobe type wireguard 2>/dev/null; then skip_all "the kernel has WireGuard: wg-quick uses that"; fi

mkdir "$WORK/bin"
ln -s "$MESHD" "$WORK/bin/meshd"
pair_conf 4
check "b comes up" meshd_up b wgb || tap_done
quick() { # VERB
	env PATH="$WORK/bin:$PATH" WG_QUICK_USERSPACE_IMPLEMENTATION=meshd \
		ip netns exec "$NS_PREFIX-a" timeout 30 wg-quick "$1" "${2:-$WORK/wga.conf}" </dev/null
}

check "wg-quick up" quick up
like "  it is meshd that runs" "$(readlink "/proc/$(ip netns pids "$NS_PREFIX-a" | head -n 1)/exe")" "$MESHD"
check "  a session" reach a 192.168.9.2
check "  pings, IPv4" pings a 192.168.9.2 3
check "  pings, IPv6" pings a fd09:9::2 3
contains "  wg show" "$(in_ns a wg show wga)" "public key: $(public a)"
check "  meshd status knows it too" in_ns a "$MESHD" status wga
check "wg-quick save" quick save
contains "  wrote the peer" "$(cat "$WORK/wga.conf")" "PublicKey = $(public b)"
like "  and its endpoint" "$(cat "$WORK/wga.conf")" 'Endpoint = 10.9.0.2:51821'
check "wg-quick down" quick down
ended() { traceless a wga; }
wait_for 5 ended
check "  nothing left behind" traceless a wga
check "what it saved comes up again" quick up
check "  with a session" reach a 192.168.9.2
check "wg syncconf < wg-quick strip" eval 'quick strip >"$WORK/stripped" 2>/dev/null && in_ns a wg syncconf wga "$WORK/stripped"'
check "  the session goes on" pings a 192.168.9.2 3
quick down >/dev/null 2>&1
wait_for 5 ended

# The default route, with wg-quick's rules over meshd's sockets.
ip_ns a route add default via 10.9.0.2
address b lo 198.51.100.1/32
sed -i 's/^AllowedIPs.*/AllowedIPs = 0.0.0.0\/0, ::\/0/' "$WORK/wga.conf"
check "default route: wg-quick up" quick up
is "  the mark came to meshd" "$(in_ns a wg show wga fwmark)" 0xca6c
check "  the world is reached through the tunnel" reach a 198.51.100.1
at_least "  (inner packets)" "$(status a wga .tx_packets)" 1
check "  wg-quick down" quick down
wait_for 5 ended
check "  nothing left behind" traceless a wga
is "  no rule either" "$(ip_ns a rule show | grep -c 51820)" 0

# Foreground, as wireguard-go has it.
start a "$WORK/front.log" env WG_PROCESS_FOREGROUND=1 "$MESHD" wgx
front=$STARTED
check "WG_PROCESS_FOREGROUND=1: stays in front" wait_for 5 test -S /var/run/wireguard/wgx.sock
check "  with its interface" ip_ns a link show dev wgx
check "  the process is the one started" test -d "/proc/$front"
ip_ns a link delete dev wgx
check "  deleting the interface ends it" wait_for 5 gone "$front"
check "  nothing left behind" traceless a wgx
in_ns a timeout 10 "$MESHD" wgy </dev/null >"$WORK/out" 2>&1
is "in the background: exit status" "$?" 0
check "  the socket is there when it returns" test -S /var/run/wireguard/wgy.sock
in_ns a timeout 10 "$MESHD" wgy </dev/null >"$WORK/out" 2>&1
is "a second one of that name: exit status" "$?" 1
check "  the first goes on" in_ns a wg show wgy
rm /var/run/wireguard/wgy.sock
ended() { traceless a wgy; }
wait_for 5 ended
check "removing the socket ends it, as with wireguard-go" traceless a wgy
tap_done
