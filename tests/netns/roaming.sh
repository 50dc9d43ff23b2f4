#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Roaming: a changes address, port and family; b follows authenticated packets, and only those. Stage: pair_stage in
# lib/netns.sh, with a second address at a.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
pair_conf 4
sed -i '/^Endpoint/d' "$WORK/wgb.conf"
check "a comes up" meshd_up a wga || tap_done
check "b comes up" meshd_up b wgb || tap_done
check "a session" reach a 192.168.9.2
is "b learned where a is" "$(endpoint_of b wgb "$(public a)")" 10.9.0.1:51820
shaken=$(handshake b wgb "$(public a)")

ip_ns a address del 10.9.0.1/24 dev ea
address a ea 10.9.0.77/24
check "a has another address: traffic goes on" reach a 192.168.9.2
is "  b followed" "$(endpoint_of b wgb "$(public a)")" 10.9.0.77:51820
check "  b to a" pings b 192.168.9.1 3

in_ns a wg set wga listen-port 51900
check "a has another port: traffic goes on" reach a 192.168.9.2
is "  b followed" "$(endpoint_of b wgb "$(public a)")" 10.9.0.77:51900
check "  b to a" pings b 192.168.9.1 3
like "  the kernel's sockets moved" "$(in_ns a ss -Hlun)" ':51900 '
unlike "  and the old port is free" "$(in_ns a ss -Hlun)" ':51820 '

in_ns a wg set wga peer "$(public b)" endpoint '[fd09::2]:51821'
check "a has another family: traffic goes on" reach a 192.168.9.2
is "  b followed" "$(endpoint_of b wgb "$(public a)")" '[fd09::1]:51900'
check "  b to a" pings b 192.168.9.1 3
is "all that without a new handshake" "$(handshake b wgb "$(public a)")" "$shaken"

# A stranger's datagrams, even with a valid receiver index at the right place, move nothing.
in_ns a wg set wga peer "$(public b)" endpoint 10.9.0.2:51821
reach a 192.168.9.2
before=$(endpoint_of b wgb "$(public a)")
for i in 1 2 3 4 5; do
	head -c 96 /dev/urandom | { printf '\004\000\000\000'; cat; } | in_ns a socat -u - "UDP4-SENDTO:10.9.0.2:51821,sourceport=4444$i"
done
sleep 0.3
is "forged datagrams do not move the endpoint" "$(endpoint_of b wgb "$(public a)")" "$before"
check "  and the session goes on" pings a 192.168.9.2 3
tap_done
