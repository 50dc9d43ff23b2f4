#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# "meshd reload" touches only what changed: the session, its counters and a running ping go on. Stage: pair_stage in
# lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
key c
pair_conf 4
check "a comes up" meshd_up a wga || tap_done
check "b comes up" meshd_up b wgb || tap_done
check "a session" reach a 192.168.9.2
reload() { in_ns a timeout 20 "$MESHD" reload "$WORK/wga.conf" </dev/null; }
shaken=$(handshake a wga "$(public b)")
index() { ip_ns a -o link show dev wga | cut -d: -f1; }
ifindex=$(index)
daemon=$(daemon_pid wga)
read -r rx _ < <(transfer a wga "$(public b)")
start a "$WORK/ping.log" ping -n -i 0.01 192.168.9.2
ping=$STARTED

check "reload of the same file" reload
cp "$WORK/wga.conf" "$WORK/base.conf"
cat >>"$WORK/wga.conf" <<-END
	[Peer]
	PublicKey = $(public c)
	AllowedIPs = 192.168.50.0/24, 2001:db8:50::/48
	PersistentKeepalive = 25
END
check "a peer more" reload
contains "  it is there" "$(in_ns a wg show wga allowed-ips)" "$(public c)	192.168.50.0/24 "
like "  with its route" "$(ip_ns a route show 192.168.50.0/24)" 'dev wga'
like "  in IPv6 as well" "$(ip_ns a -6 route show 2001:db8:50::/48)" 'dev wga'
sed -i 's/192.168.50.0\/24/192.168.51.0\/24/' "$WORK/wga.conf"
check "its allowed IPs change" reload
is "  the old route went" "$(ip_ns a route show 192.168.50.0/24)" ""
like "  the new one is there" "$(ip_ns a route show 192.168.51.0/24)" 'dev wga'
contains "  and wg shows it" "$(in_ns a wg show wga allowed-ips)" "$(public c)	192.168.51.0/24 "
cp "$WORK/base.conf" "$WORK/wga.conf"
check "that peer leaves" reload
lacks "  it is gone" "$(in_ns a wg show wga peers)" "$(public c)"
is "  with its routes" "$(ip_ns a route show 192.168.51.0/24)$(ip_ns a -6 route show 2001:db8:50::/48)" ""
sed -i 's/^Address.*/&, 192.168.60.1\/24/' "$WORK/wga.conf"
check "an address more" reload
like "  it is there" "$(ip_ns a -o address show dev wga)" '192.168.60.1/24'
sed -i 's/, 192.168.60.1\/24//' "$WORK/wga.conf"
check "and one less" reload
unlike "  it is gone" "$(ip_ns a -o address show dev wga)" '192.168.60.1/24'
like "  the others stay" "$(ip_ns a -o address show dev wga)" '192.168.9.1/24'
sed -i 's/^ListenPort.*/&\nMTU = 1400/' "$WORK/wga.conf"
check "another MTU" reload
like "  is set" "$(ip_ns a -o link show dev wga)" 'mtu 1400 '
sed -i 's/^ListenPort.*/ListenPort = 51999/' "$WORK/wga.conf"
check "another port" reload
is "  is listened on" "$(in_ns a wg show wga listen-port)" 51999
check "  and the session goes on there" pings a 192.168.9.2 3

cp "$WORK/wga.conf" "$WORK/good.conf"
before=$(in_ns a wg showconf wga; ip_ns a -o address show dev wga; ip_ns a route show)
sed -i 's/^Endpoint.*/Endpoint = nonsense/; s/^AllowedIPs.*/AllowedIPs = 192.168.99.0\/24/' "$WORK/wga.conf"
reload >"$WORK/out" 2>"$WORK/err"
is "a bad config is refused: exit status" "$?" 1
like "  with file, line and reason" "$(cat "$WORK/err")" 'wga\.conf:[0-9]+: Endpoint: '
is "  on one line" "$(grep -c '' "$WORK/err")" 1
is "  and nothing changed" "$(in_ns a wg showconf wga; ip_ns a -o address show dev wga; ip_ns a route show)" "$before"
cp "$WORK/good.conf" "$WORK/wga.conf"

sleep 1 # a quick machine is through with all that before a loss could show
stop "$ping" INT
sent=$(pings_sent "$WORK/ping.log")
got=$(pings_answered "$WORK/ping.log")
at_least "all the while pings were sent" "${sent:-0}" 20
at_most "  and hardly one was lost" $((${sent:-0} - ${got:-0})) 2
is "no new handshake" "$(handshake a wga "$(public b)")" "$shaken"
read -r rx2 _ < <(transfer a wga "$(public b)")
at_least "counters went on" "$rx2" $((rx + 1000))
is "the same interface" "$(index)" "$ifindex"
is "the same daemon" "$(daemon_pid wga)" "$daemon"

# An MTU that takes IPv6 away from the interface: refused for its routes, it leaves nothing behind that keeps the next reload out.
before=$(ip_ns a -o address show dev wga | grep -v fe80 | sort; ip_ns a route show; ip_ns a -6 route show dev wga | grep -v fe80)
sed -i 's/^MTU.*/MTU = 600/' "$WORK/wga.conf"
check_not "an MTU too small for the routes is refused" reload
is "  and nothing changed" "$(ip_ns a -o address show dev wga | grep -v fe80 | sort; ip_ns a route show; ip_ns a -6 route show dev wga | grep -v fe80)" "$before"
ip_ns a link set wga mtu 1000
cp "$WORK/good.conf" "$WORK/wga.conf"
check "reload after ip(8) has taken IPv6 away" reload
is "  brings it back" "$(ip_ns a -o address show dev wga | grep -v fe80 | sort; ip_ns a route show; ip_ns a -6 route show dev wga | grep -v fe80)" "$before"

# By name, from /etc/meshd.
meshd_down a wga >/dev/null 2>&1
cp "$WORK/good.conf" /etc/meshd/wga.conf
check "up by name" in_ns a timeout 20 "$MESHD" up wga
sed -i 's/^MTU.*/MTU = 1390/' /etc/meshd/wga.conf
check "reload by name" in_ns a timeout 20 "$MESHD" reload wga
like "  takes effect" "$(ip_ns a -o link show dev wga)" 'mtu 1390 '
check "down by name" meshd_down a wga
tap_done
