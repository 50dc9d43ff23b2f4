#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Link-local endpoints, with their scope, of plain peers (FlowSessions = 0) and of such that speak paths. b has two cables, with the same link-local address of a behind both:
#
#	a: ea fe80::a ---- eb fe80::b :b
#	a: fa fe80::a ---- fb fe80::b :b
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

key a b
ns_add a b
veth a ea b eb
veth a fa b fb
for c in e f; do
	ip_ns a link set "${c}a" addrgenmode none
	ip_ns b link set "${c}b" addrgenmode none
	ip_ns a address flush dev "${c}a"
	ip_ns b address flush dev "${c}b"
	address a "${c}a" fe80::a/64
	address b "${c}b" fe80::b/64
done
index() { ip_ns "$1" -o link show dev "$2" | cut -d: -f1; }
scoped() { # NS IFACE PEER ADDRESS DEVICE: the endpoint has this scope, by name or by number
	local e
	e=$(endpoint_of "$1" "$2" "$(public "$3")")
	echo "endpoint $e"
	[[ $e == "[$4%$5]:"* || $e == "[$4%$(index "$1" "$5")]:"* ]]
}

tx() { in_ns a cat /sys/class/net/"$1"/statistics/tx_packets; }
both_alive() { (($(in_ns a timeout 5 "$MESHD" paths wga | grep -c '\[fe80::b%.*alive$') == 2)); }

for sessions in 0 32; do
	pair_conf 4
	sed -i 's/^Endpoint.*/Endpoint = [fe80::b%ea]:51821/' "$WORK/wga.conf"
	sed -i '/^Endpoint/d' "$WORK/wgb.conf"
	sed -i "s/^ListenPort.*/&\nFlowSessions = $sessions/" "$WORK/wga.conf" "$WORK/wgb.conf"

	check "FlowSessions = $sessions: a comes up" meshd_up a wga || tap_done
	check "b comes up" meshd_up b wgb || tap_done
	check "a session over the first cable" reach a 192.168.9.2
	check "  pings back" pings b fd09:9::1 3
	check "  wg show in a has the scope" scoped a wga b fe80::b ea
	check "  wg show in b has the scope" scoped b wgb a fe80::a eb
	check "  status has it too" grep -q 'fe80::b%' <(in_ns a "$MESHD" status wga)

	in_ns a wg set wga peer "$(public b)" endpoint '[fe80::b%fa]:51821'
	check "the other cable by wg set" reach a 192.168.9.2
	if ((sessions)); then
		check "  both cables are paths, and alive" wait_for 5 both_alive
		ip_ns a link set ea down
		check "  the first cable goes: traffic goes on" reach a 192.168.9.2
	fi
	check "  b followed to the other cable" wait_for 3 scoped b wgb a fe80::a fb
	check "  pings back" pings b 192.168.9.1 3
	before=$(tx fa)
	pings a 192.168.9.2 5 >/dev/null 2>&1
	at_least "  packets leave by it" $(($(tx fa) - before)) 5
	check_not "an unknown scope is refused by wg set" in_ns a wg set wga peer "$(public b)" endpoint '[fe80::b%nosuch]:51821'
	for n in a b; do check "$n goes down" meshd_down $n wg$n; done
done
tap_done
