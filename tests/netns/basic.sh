#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two nodes with "meshd up FILE": IPv4 and IPv6 underlay, IPv4 and IPv6 overlay, in all four combinations; what "wg show" and
# "meshd status" say about it; and that nothing is left after "meshd down". Stage: pair_stage in lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
for under in 4 6; do
	pair_conf "$under"
	check "IPv$under underlay: a comes up" meshd_up a wga || tap_done
	check "IPv$under underlay: b comes up" meshd_up b wgb || tap_done
	check "  IPv4 over IPv$under: first answer" reach a 192.168.9.2 || note "$(in_ns a wg show wga)"
	check "  IPv6 over IPv$under: first answer" reach b fd09:9::1
	check "  IPv4 over IPv$under: pings" pings a 192.168.9.2 5
	check "  IPv6 over IPv$under: pings" pings a fd09:9::2 5
	check "  IPv4 over IPv$under: big pings" pings a 192.168.9.2 3 -s 1392 -M 'do'
	check "  IPv6 over IPv$under: TCP a to b" iperf b fd09:9::2 a
	check "  IPv4 over IPv$under: TCP b to a" iperf b 192.168.9.2 a -R

	show=$(in_ns a wg show wga)
	contains "  wg show: its key" "$show" "public key: $(public a)"
	like "  wg show: port" "$show" "listening port: 51820"
	contains "  wg show: the peer" "$show" "peer: $(public b)"
	like "  wg show: allowed ips" "$show" "allowed ips: 192.168.9.2/32, fd09:9::2/128"
	like "  wg show: handshake" "$show" "latest handshake: .*(second|Now|ago)"
	if ((under == 4)); then e=10.9.0.2:51821; else e='[fd09::2]:51821'; fi
	is "  wg show: endpoint" "$(endpoint_of a wga "$(public b)")" "$e"
	read -r rx tx < <(transfer a wga "$(public b)")
	at_least "  wg show: bytes received" "$rx" 1000000
	at_least "  wg show: bytes sent" "$tx" 1000000

	json=$(in_ns a "$MESHD" status wga --json)
	check "  status --json is one valid document" jq -es 'length == 1' <<<"$json"
	is "  status --json: the interface" "$(jq -r '.interfaces[0].name' <<<"$json")" wga
	is "  status --json: its key" "$(jq -r '.interfaces[0].public_key' <<<"$json")" "$(public a)"
	is "  status --json: the peer" "$(jq -r '.interfaces[0].peers[0].public_key' <<<"$json")" "$(public b)"
	is "  status --json: endpoint" "$(jq -r '.interfaces[0].peers[0].endpoint' <<<"$json")" "$e"
	is "  status --json: session" "$(jq -r '.interfaces[0].peers[0].has_session' <<<"$json")" true
	at_least "  status --json: bytes" "$(jq -r '.interfaces[0].peers[0].rx_bytes' <<<"$json")" 1000000
	lacks "  status --json holds no secret" "$json" "$(private a)"
	text=$(in_ns a "$MESHD" status wga)
	like "  status in words: interface" "$text" "wga"
	like "  status in words: endpoint" "$text" "${e//[\[\]]/.}"
	unlike "  status in words: no colour codes into a pipe" "$text" $'\e'

	is "  MTU as wg-quick chooses it" "$(ip_ns a -o link show dev wga | grep -o 'mtu [0-9]*')" "mtu 1420"
	check "  a goes down" meshd_down a wga
	check "  b goes down" meshd_down b wgb
	check "  nothing is left in a" traceless a wga
	check "  nothing is left in b" traceless b wgb
done

# Without a config: meshd makes one, and says on three lines what it did and what to do next.
out=$(in_ns a timeout 20 "$MESHD" up mine </dev/null 2>&1)
is "meshd up of a name without config succeeds" "$?" 0
is "  and says so on three lines" "$(wc -l <<<"$out")" 3
is "  made a config nobody else can read" "$(stat -c %a:%U /etc/meshd/mine.conf)" 600:root
unlike "  whose key it did not show" "$out" "$(sed -n 's/^PrivateKey *= *//p' /etc/meshd/mine.conf)"
like "  the interface has a unique-local address" "$(ip_ns a -o -6 address show dev mine)" "inet6 fd[0-9a-f]{2}:"
first=$(ip_ns a -o -6 address show dev mine | grep -o 'inet6 fd[^ ]*')
meshd_down a mine
check "  a second up finds the config" in_ns a timeout 20 "$MESHD" up mine
is "  and the address is the same" "$(ip_ns a -o -6 address show dev mine | grep -o 'inet6 fd[^ ]*')" "$first"
check "  and down again" meshd_down a mine

# Keys: the same as wg(8)'s.
is "meshd pubkey agrees with wg pubkey" "$("$MESHD" pubkey <"$WORK/a.key")" "$(public a)"
like "meshd genkey makes a key" "$("$MESHD" genkey)" '^[A-Za-z0-9+/]{43}=$'
check "  that wg pubkey takes" bash -c '"$MESHD" genkey | wg pubkey'
like "meshd genpsk makes a key" "$("$MESHD" genpsk)" '^[A-Za-z0-9+/]{43}=$'
tap_done
