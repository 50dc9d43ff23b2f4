#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# wg(8) on meshd's UAPI socket: everything it can set and show, and the errors it reports. Stage: pair_stage in lib/netns.sh; a
# is a bare interface, b a "meshd up" node.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
key c d
psk ab
pair_conf 4
check "b comes up" meshd_up b wgb || tap_done
check "a bare interface comes up" bare a wga || tap_done
w() { in_ns a wg "$@"; }

like "fresh: wg show" "$(w show wga)" '^interface: wga'
is "  no key" "$(w show wga private-key)" '(none)'
is "  no peers" "$(w show wga peers)" ''
is "wg show interfaces lists both" "$(w show interfaces | tr ' ' '\n' | sort | tr '\n' ' ')" 'wga wgb '

# ---- set, and read back ----
check "wg set: key, port, mark" w set wga private-key "$WORK/a.key" listen-port 51820 fwmark 0x1234
is "  private key" "$(w show wga private-key)" "$(private a)"
is "  public key" "$(w show wga public-key)" "$(public a)"
is "  port" "$(w show wga listen-port)" 51820
is "  mark" "$(w show wga fwmark)" 0x1234
check "wg set: fwmark off" w set wga fwmark off
is "  is off" "$(w show wga fwmark)" off
check "wg set: a peer with everything" w set wga peer "$(public b)" preshared-key "$WORK/ab.psk" endpoint 10.9.0.2:51821 \
	persistent-keepalive 25 allowed-ips 192.168.9.2/32,fd09:9::2/128,10.50.1.7/16
is "  preshared key" "$(w show wga preshared-keys)" "$(public b)	$(cat "$WORK/ab.psk")"
is "  endpoint" "$(w show wga endpoints)" "$(public b)	10.9.0.2:51821"
is "  keepalive" "$(w show wga persistent-keepalive)" "$(public b)	25"
is "  allowed ips, masked" "$(w show wga allowed-ips | cut -f2 | tr ' ' '\n' | sort | tr '\n' ' ')" \
	'10.50.0.0/16 192.168.9.2/32 fd09:9::2/128 '
is "  handshake: none yet" "$(w show wga latest-handshakes)" "$(public b)	0"
is "  transfer: none yet" "$(w show wga transfer | cut -f2)" 0
check "wg set: IPv6 endpoint" w set wga peer "$(public b)" endpoint '[fd09::2]:51821'
is "  endpoint" "$(w show wga endpoints)" "$(public b)	[fd09::2]:51821"
check "wg set: keepalive off, no preshared key" w set wga peer "$(public b)" persistent-keepalive off preshared-key /dev/null
is "  keepalive" "$(w show wga persistent-keepalive)" "$(public b)	off"
is "  preshared key" "$(w show wga preshared-keys)" "$(public b)	(none)"

# ---- peers ----
check "wg set: a second peer takes an allowed IP" w set wga peer "$(public c)" allowed-ips 10.50.0.0/16
unlike "  the first lost it" "$(w show wga allowed-ips | grep -F "$(public b)")" '10.50'
like "  the second has it" "$(w show wga allowed-ips | grep -F "$(public c)")" '10.50.0.0/16'
check "wg set: allowed-ips replaces" w set wga peer "$(public c)" allowed-ips 10.51.0.0/16
is "  only the new one" "$(w show wga allowed-ips | grep -F "$(public c)")" "$(public c)	10.51.0.0/16"
check "wg set: no allowed ips at all" w set wga peer "$(public c)" allowed-ips ''
is "  none" "$(w show wga allowed-ips | grep -F "$(public c)")" "$(public c)	(none)"
check "wg set: peer remove" w set wga peer "$(public c)" remove
is "  one left" "$(w show wga peers)" "$(public b)"
check "removing who is not there is fine" w set wga peer "$(public d)" remove
is "  and adds nobody" "$(w show wga peers)" "$(public b)"
check "our own key as a peer is ignored" w set wga peer "$(public a)" allowed-ips 10.60.0.0/16
is "  as WireGuard does" "$(w show wga peers)" "$(public b)"

# ---- dump ----
w set wga peer "$(public b)" preshared-key "$WORK/ab.psk" endpoint 10.9.0.2:51821 persistent-keepalive 9
is "wg show dump: interface" "$(w show wga dump | head -n 1)" "$(private a)	$(public a)	51820	off"
is "wg show dump: peer" "$(w show wga dump | tail -n 1)" \
	"$(public b)	$(cat "$WORK/ab.psk")	10.9.0.2:51821	192.168.9.2/32,fd09:9::2/128	0	0	0	9"
is "wg show all dump: as many lines" "$(w show all dump | grep -c '^wga')" 2

# ---- showconf, setconf, addconf, syncconf ----
w showconf wga >"$WORK/shown.conf"
check "showconf, setconf: goes in again" w setconf wga "$WORK/shown.conf"
is "  and comes out the same" "$(w showconf wga)" "$(cat "$WORK/shown.conf")"
cat >"$WORK/add.conf" <<-END
	[Peer]
	PublicKey = $(public c)
	AllowedIPs = 10.61.0.0/16, fd61::/32
	PersistentKeepalive = 3
END
check "addconf" w addconf wga "$WORK/add.conf"
is "  two peers" "$(w show wga peers | wc -l)" 2
contains "  with what it said" "$(w show wga allowed-ips)" "$(public c)	10.61.0.0/16 fd61::/32"
check "setconf replaces" w setconf wga "$WORK/shown.conf"
is "  one peer" "$(w show wga peers)" "$(public b)"

address a wga 192.168.9.1/24 fd09:9::1/64
ip_ns a link set wga mtu 1420 up
in_ns b wg set wgb peer "$(public a)" preshared-key "$WORK/ab.psk"
check "a session" reach a 192.168.9.2
shaken=$(handshake a wga "$(public b)")
like "wg show: handshake in words" "$(w show wga)" 'latest handshake: (Now|[0-9]+ second)'
like "wg show: transfer in words" "$(w show wga)" 'transfer: .* received, .* sent'
cat "$WORK/shown.conf" "$WORK/add.conf" >"$WORK/sync.conf"
check "syncconf with a peer more" w syncconf wga "$WORK/sync.conf"
is "  two peers" "$(w show wga peers | wc -l)" 2
check "syncconf without it" w syncconf wga "$WORK/shown.conf"
is "  one peer" "$(w show wga peers)" "$(public b)"
check "  the session goes on" pings a 192.168.9.2 3
is "  without a new handshake" "$(handshake a wga "$(public b)")" "$shaken"
check "another private key" w set wga private-key "$WORK/d.key"
is "  is in force" "$(w show wga public-key)" "$(public d)"
check "  and the session is void" silent a 192.168.9.2
check "the old one again" w set wga private-key "$WORK/a.key"
check "  recovers" reach a 192.168.9.2 15
check "no private key" w set wga private-key /dev/null
is "  is none" "$(w show wga public-key)" '(none)'
w set wga private-key "$WORK/a.key"

# ---- errors ----
start a "$WORK/socat.log" socat -u UDP4-RECV:51999 -
wait_for 3 eval 'in_ns a ss -Hlun | grep -q :51999'
check_not "a port in use is refused" w set wga listen-port 51999
is "  and the old one stays" "$(w show wga listen-port)" 51820
check "  listened on" eval 'in_ns a ss -Hlun | grep -q :51820'
check "port 0: the kernel chooses" w set wga listen-port 0
at_least "  one that wg shows" "$(w show wga listen-port)" 1024

# The protocol itself: answers end in errno=N and an empty line; more than one request a connection.
# shellcheck disable=SC2059 # the argument is a format
talk() { printf "$@" | in_ns a timeout 5 socat -t 2 - UNIX-CONNECT:/var/run/wireguard/wga.sock; }
like "UAPI get: ends in errno=0" "$(talk 'get=1\n\n')" 'errno=0'
like "UAPI get: protocol version of the peer" "$(talk 'get=1\n\n')" 'protocol_version=1'
is "UAPI set: nothing" "$(talk 'set=1\n\n')" 'errno=0'
unlike "UAPI set: a key nobody knows" "$(talk 'set=1\nnonsense=1\n\n')" 'errno=0'
unlike "UAPI set: a bad value" "$(talk 'set=1\nlisten_port=65536\n\n')" 'errno=0'
unlike "UAPI set: a protocol version nobody speaks" \
	"$(talk 'set=1\npublic_key=%s\nprotocol_version=2\n\n' "$(base64 -d "$WORK/b.pub" | od -An -v -tx1 | tr -d ' \n')")" 'errno=0'
is "UAPI: two requests on one connection" "$(talk 'set=1\n\nset=1\n\n' | grep -c 'errno=0')" 2
before=$(w showconf wga)
talk 'set=1\nfwmark=7\nreplace_peers=true\nlisten_port=x\n\n' >/dev/null
is "UAPI set: a bad request changes nothing" "$(w showconf wga)" "$before"
start a "$WORK/half.log" socat -u "SYSTEM:printf get=1; sleep 30" UNIX-CONNECT:/var/run/wireguard/wga.sock
sleep 0.3
check "a client that stops in the middle holds nobody up" in_ns a timeout 3 wg show wga
tap_done
