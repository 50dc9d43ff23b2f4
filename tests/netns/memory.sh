#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How much it takes: an idle meshd with 100 configured peers, and the size of the stripped program. Stage: one namespace.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

RSS_MAX_KB=8192
BINARY_MAX=$((900 * 1024))	# no room for libraries nobody asked for
key a
ns_add a
{
	printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.200.255.254/16, fd20::ffff/64\n' "$(private a)"
	for ((i = 1; i <= 100; i++)); do
		printf '[Peer]\nPublicKey = %s\nEndpoint = 192.0.2.%d:51820\nAllowedIPs = 10.200.%d.0/24, fd20::%x/128\nPresharedKey = %s\n' \
			"$(wg genkey | wg pubkey)" "$i" "$i" "$i" "$(wg genpsk)"
	done
} | conf wga
check "up with 100 peers" meshd_up a wga || tap_done
is "  they are there" "$(in_ns a wg show wga peers | wc -l)" 100
sleep 1
parent=$(parent_pid wga) daemon=$(daemon_pid wga)
if nm -D "$MESHD" 2>/dev/null | grep -q __asan; then
	skip "resident size" "built with sanitizers"
	skip "size of the program" "built with sanitizers"
else
	at_most "resident size of the daemon in kB" "$(rss_kb "$daemon")" "$RSS_MAX_KB"
	# Pages the two share, libraries above all, count once: proportional set size.
	pss=0
	for pid in "$parent" "$daemon"; do pss=$((pss + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup"))); done
	at_most "parent and daemon together in kB" "$pss" "$RSS_MAX_KB"
	note "parent $(rss_kb "$parent") kB resident, daemon $(rss_kb "$daemon") kB"
	strip -o "$WORK/stripped" "$MESHD"
	at_most "bytes of the stripped program" "$(stat -c %s "$WORK/stripped")" "$BINARY_MAX"
fi
idle() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }
before=$(idle)
sleep 2
at_most "it is idle: clock ticks used in 2 s" $(($(idle) - before)) 4
tap_done
