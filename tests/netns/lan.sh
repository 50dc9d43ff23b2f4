#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Nodes of a mesh on one cable find each other by multicast, without any address that was given to them, also several on one host; not where
# LanDiscovery is off.
#
#	+-- a: wga ---+          +-- b: wgb, wgc ---+
#	|       ea ---+-- veth --+--- eb            |
#	+-------------+          +------------------+
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

ns_add a b
veth a ea b eb
m() { # NS COMMAND...: a command of meshd's there
	local n=$1
	shift
	in_ns "$n" timeout 20 "$MESHD" "$@" </dev/null
}
# join NS NAME NODE ADDRESS: by files, for nobody can be reached.
join() {
	m "$1" join --request "$2" --file /etc/meshd/wga.mesh >"$WORK/$2.request" &&
		m a invite wga "$3" --sign "$WORK/$2.request" --addr "$4" >"$WORK/$2.answer" &&
		m "$1" join "$WORK/$2.answer" "$2"
}
lan_ports() { in_ns "$1" ss -Hlun "sport = :6697" | wc -l; }

check "a mesh is made" m a init wga --mesh-name home --node north --addr 10.7.0.1 --port 51820 || tap_done
check "up" m a up wga || tap_done
check "another node joins by files" join b wgb south 10.7.0.2
sed -i 's/^\[Interface\]/&\nLanDiscovery = off/' /etc/meshd/wgb.conf
check "  and comes up without discovery" m b up wgb
is "  it does not listen" "$(lan_ports b)" 0
check "  so they do not meet" silent a 10.7.0.2
sed -i 's/^LanDiscovery = off/LanDiscovery = on/' /etc/meshd/wgb.conf
check "with discovery" m b reload wgb
check "  they do" reach a 10.7.0.2 10
like "  by link-local addresses" "$(status a wga '.peers[0].endpoint')" '^\[fe80::.*%.*\]:'

check "a second one on that host" join b wgc east 10.7.0.3
check "  comes up beside it" m b up wgc
is "  and shares the port" "$(lan_ports b)" 2
check "  it is found, too" reach a 10.7.0.3 10

ip_ns a link set ea down
check "the cable is unplugged" silent a 10.7.0.2
ip_ns a link set ea up
check "  and plugged in again" reach a 10.7.0.2 10

sed -i 's/^LanDiscovery = on/LanDiscovery = off/' /etc/meshd/wgb.conf
check "off again" m b reload wgb
is "  it listens no longer" "$(lan_ports b)" 1
for n in wgb wgc; do m b down $n; done
m a down wga
is "nobody listens at the end" "$(lan_ports a)$(lan_ports b)" 00
tap_done
