#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A million junk datagrams (tests/netns/flood.c) from random sources at b, beside a good session of a with b:
#
#	a: ea 10.9.0.1 ----------- eb 10.9.0.2
#	                                       :b
#	f: ef 10.9.3.1 ----------- fb 10.9.3.2
#	sources 10.8.0.0/16
#
# No crash, no growth, the session goes on, and what was dropped is counted by reason.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

COUNT=${FLOOD_COUNT:-1000000}
RATE=${FLOOD_RATE:-60000}		# a second: near what one core takes, so that meshd and not the socket buffer sees most of it
GROWTH_KB=1024		# of the resident size that may come from tables filled on first use
cc=${CC:-cc}
command -v "$cc" >/dev/null || skip_all "no C compiler"
src=$HERE/../src
$cc -std=c11 -D_GNU_SOURCE -O2 -I"$src" -o "$WORK/flood" "$HERE/netns/flood.c" "$src/crypto/blake2s.c" "$src/crypto/key.c" -lsodium ||
	{ fail "the flooder compiles"; tap_done; }

pair_stage
ns_add f
veth f ef b fb
address f ef 10.9.3.1/24
address b fb 10.9.3.2/24
ip_ns b route add 10.8.0.0/16 via 10.9.3.1
ip_ns f route add blackhole 10.8.0.0/16
in_ns b sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.fb.rp_filter=0
pair_conf 4
check "b comes up" meshd_up b wgb || tap_done
start b "$WORK/dump.log" tcpdump --immediate-mode -Z root -n -U -w "$WORK/good.pcap" -i eb 'udp dst port 51821'
dump=$STARTED
wait_for 5 grep -q listening "$WORK/dump.log"
check "a comes up" meshd_up a wga || tap_done
check "a session" reach a 192.168.9.2
pings a 192.168.9.2 5 >/dev/null 2>&1
sleep 0.3
stop "$dump"

flood() { # COUNT SEED
	in_ns f timeout 120 "$WORK/flood" 10.9.3.2 51821 "$1" "$RATE" "$2" "$WORK/good.pcap" \
		"$(base64 -d "$WORK/b.pub" | od -An -v -tx1 | tr -d ' \n')"
}
total() { status b wgb '[.drops | to_entries[] | .value] | add // 0'; }
socket_drops() { in_ns b awk 'NR > 1 { split($2, l, ":"); if (l[2] == "CA6D") n += $13 } END { print n + 0 }' /proc/net/udp; }
settled() { local t; t=$(total); sleep 0.3; [[ $t == "$(total)" ]]; }
alive() { [[ -d /proc/$daemon ]]; }

# What the daemon has open, a line each: a file's path or a socket's kind and, where it has some, port.
descriptors() {
	local fd to kind
	for fd in "/proc/$daemon/fd"/*; do
		to=$(readlink "$fd") || continue # closed meanwhile
		if [[ $to == socket:* ]]; then
			kind=$(awk -v inode="${to//[^0-9]/}" '
				FNR == 1 { n = split(FILENAME, path, "/"); at = 0; for (i = 1; i <= NF; i++) if (tolower($i) == "inode") at = i }
				path[n] ~ /^(udp|raw|tcp)/ { at = 10 } # whose headers have more words than their lines
				$at == inode { split($2, local, ":"); print path[n], path[n] ~ /^udp/ ? local[2] : ""; exit }
				' "/proc/$daemon/net/"{udp,udp6,unix,netlink,raw,raw6,packet,tcp,tcp6})
			to="socket ${kind:-of another kind}"
		fi
		echo "$to"
	done
}
# Sockets of the good session's sub-sessions are not counted with the rest: they are opened as its flows come, up to FlowSessions.
SUB_SESSION='^socket udp6? ([^C]|C[^A]|CA[^6]|CA6[^D])'
no_new() { # what is new; a client of the control socket may still be on its way out
	descriptors | sort >"$WORK/after"
	! comm -13 "$WORK/before" "$WORK/after" | grep -vE "$SUB_SESSION"
}
sub_session_sockets() { grep -cE "$SUB_SESSION" "$WORK/after"; }

daemon=$(daemon_pid wgb)
shaken=$(handshake b wgb "$(public a)")
check "a first wave of $((COUNT / 20)), to fill what fills on first use" flood $((COUNT / 20)) 1
wait_for 10 settled
rss=$(rss_kb "$daemon")
descriptors | sort >"$WORK/before"
drops=$(total)
lost=$(socket_drops)

start a "$WORK/ping.log" ping -n -i 0.2 -W 2 192.168.9.2
ping=$STARTED
check "the flood: $COUNT datagrams" flood "$COUNT" 2
stop "$ping" INT
wait_for 10 settled
check "b is alive" alive
is "  the same process" "$(daemon_pid wgb)" "$daemon"
at_most "  its resident size grew by so many kB" $(($(rss_kb "$daemon") - rss)) "$GROWTH_KB"
wait_for 5 no_new
check "  and no file was opened" no_new
at_most "  but for sockets of sub-sessions" "$(sub_session_sockets)" 64 # of both families
at_least "  (those that it has to have are seen)" "$(grep -c 'udp.*CA6D' "$WORK/after")" 2

seen=$(($(total) - drops)) lost=$(($(socket_drops) - lost))
note "$COUNT sent, $lost lost in the full socket buffer, $seen counted by reason"
status b wgb .drops | sed 's/^/# /'
at_least "most came through to meshd and were counted" "$seen" $((COUNT / 2))
# Of what it took, a part may be answered (cookie replies) rather than dropped: initiations with a right MAC1 are three in eight at most.
at_least "  and hardly any is unaccounted for" $((seen + lost)) $((COUNT * 5 / 8))
for reason in not_wireguard bad_mac1 no_index forged replayed; do
	at_least "  reason $reason" "$(drops b wgb "$reason")" $((COUNT / 200))
done
at_least "  handshakes without a right to be" \
	$(($(drops b wgb handshake_forged) + $(drops b wgb handshake_replayed) + $(drops b wgb handshake_queue) + $(drops b wgb rate_limited))) 100

sent=$(pings_sent "$WORK/ping.log")
got=$(pings_answered "$WORK/ping.log")
note "$(tail -n 2 "$WORK/ping.log")"
at_least "the good session went on meanwhile: half of ${sent:-0} pings and more" "${got:-0}" $((${sent:-0} / 2 + 1))
check "  and goes on" pings a 192.168.9.2 10
is "  where it was" "$(endpoint_of b wgb "$(public a)")" 10.9.0.1:51820
is "  without a new handshake" "$(handshake b wgb "$(public a)")" "$shaken"
in_ns a wg set wga peer "$(public b)" remove
in_ns a wg set wga peer "$(public b)" allowed-ips 192.168.9.2/32 endpoint 10.9.0.2:51821
check "  and a new handshake is possible" reach a 192.168.9.2 15
check "down" meshd_down b wgb
tap_done
