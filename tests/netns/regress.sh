#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Defects that were found by trying to break it, each of them once: each failed before it was mended. Stage: pair_stage in
# lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage

# with LINE...: pair_conf, and these lines at the end of a's [Interface]
with() {
	pair_conf 4
	printf '%s\n' "$@" >"$WORK/lines"
	sed -i "/^ListenPort/r $WORK/lines" "$WORK/wga.conf"
}

# ---- a second request to go down does not cut off what the first has begun ----
with "PostDown = touch $WORK/begun && sleep 1 && touch $WORK/post-down"
check "up, with a slow PostDown" meshd_up a wga
meshd_down a wga >/dev/null 2>&1 &
first=$!
wait_for 5 test -e "$WORK/begun"
check "a second down meanwhile" meshd_down a wga
wait "$first"
is "  the first has ended well" "$?" 0
check "  and PostDown was not cut off" test -e "$WORK/post-down"
check "  nothing left behind" traceless a wga

with "PostDown = false" "PostDown = touch $WORK/next-down"
meshd_up a wga >/dev/null 2>&1
check "down, with a PostDown that fails" meshd_down a wga
check "  the next one runs nevertheless" test -e "$WORK/next-down"

# ---- a second Ctrl-C does not leave firewall rules: nft is not its business ----
mkdir "$WORK/bin"
printf '#!/bin/sh\nsleep 0.5\nexec %s "$@"\n' "$(command -v nft)" >"$WORK/bin/nft"
chmod 755 "$WORK/bin/nft"
tables() { in_ns a nft list tables; }
if command -v nft >/dev/null; then
	with
	sed -i 's/^AllowedIPs.*/AllowedIPs = 0.0.0.0\/0/' "$WORK/wga.conf"
	start a "$WORK/front.log" setsid env PATH="$WORK/bin:$PATH" "$MESHD" up -f "$WORK/wga.conf"
	front=$STARTED
	check "a default route: rules" wait_for 8 eval 'tables | grep -q wga'
	wait_for 5 in_ns a "$MESHD" status wga
	sleep 0.3
	kill -INT -- "-$front"
	sleep 0.2
	kill -INT -- "-$front"
	check "  interrupted twice: it ends" wait_for 8 gone "$front"
	is "  and no table is left" "$(tables)" ""
	in_ns a nft flush ruleset
else
	skip "firewall rules and Ctrl-C" "no nft"
fi

# ---- a daemon that hangs does not keep down waiting long ----
with
meshd_up a wga >/dev/null 2>&1
kill -STOP "$(daemon_pid wga)"
check "down of a daemon that hangs" meshd_down a wga
check "  nothing left behind" traceless a wga

# ---- a refused reload names the interface once ----
with
meshd_up a wga >/dev/null 2>&1
start a "$WORK/socat.log" socat -u UDP4-RECV:51999 -
wait_for 3 eval "in_ns a ss -Hlun | grep -q :51999"
sed -i 's/^ListenPort.*/ListenPort = 51999/' "$WORK/wga.conf"
is "reload to a port in use" "$(in_ns a "$MESHD" reload "$WORK/wga.conf" 2>&1)" \
	"meshd: wga: ListenPort 51999 is in use by another program"
stop "$STARTED"
meshd_down a wga >/dev/null 2>&1

# ---- SaveConfig keeps every address that was configured, and none that the kernel made up ----
with "Address = fe80::77/64" "SaveConfig = true"
meshd_up a wga >/dev/null 2>&1
made=$(ip_ns a -o -6 address show dev wga scope link | grep -v 'fe80::77' | grep -o 'fe80::[^ ]*')
meshd_down a wga >/dev/null 2>&1
contains "SaveConfig: a link-local address of the config's" "$(cat "$WORK/wga.conf")" fe80::77/64
contains "  a unique-local one" "$(cat "$WORK/wga.conf")" fd09:9::1/64
[[ -z $made ]] || lacks "  the kernel's own is not in it" "$(cat "$WORK/wga.conf")" "$made"

# ---- what a directory says that is not root's alone ----
sleep 100 &
victim=$!
PIDS+=("$victim")
hold() { # with a lock, as if the name were up in process $victim
	printf '%10d\n' "$victim" >/run/meshd/wga.lock
	exec python3 -c 'import fcntl, struct, time
f = open("/run/meshd/wga.lock", "r+")
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("locked", flush=True)
time.sleep(100)'
}
if command -v python3 >/dev/null; then
	mkdir -p /run/meshd
	chown 65534 /run/meshd
	hold >"$WORK/hold.log" &
	PIDS+=("$!")
	holder=$!
	wait_for 5 grep -q locked "$WORK/hold.log"
	out=$(meshd_down a wga 2>&1)
	is "down, with /run/meshd another user's: exit status" "$?" 1
	like "  says so" "$out" '/run/meshd'
	check "  and no process it names is ended" kill -0 "$victim"
	stop "$holder" KILL
	wait "$holder" 2>/dev/null
	rm -rf /run/meshd
else
	skip "down, with /run/meshd another user's" "no python3"
fi
# ---- an interface that is moved to another network namespace goes on there, with its sockets where they were ----
ns_add c
pair_conf 4
meshd_up b wgb >/dev/null 2>&1
grep -v Address "$WORK/wga.conf" >"$WORK/wgm.conf"
check "a bare interface" bare a wgm
ip_ns a link set wgm netns "$NS_PREFIX-c"
in_ns a wg setconf wgm "$WORK/wgm.conf"
address c wgm 192.168.9.1/24
ip_ns c link set wgm up
check "moved to another namespace: it works there" reach c 192.168.9.2
check "  and can be looked at" in_ns a "$MESHD" status wgm
ip_ns c link set wgm down
ip_ns c link set wgm up
check "  down and up again" reach c 192.168.9.2
ip_ns c link delete wgm
removed() { [[ -z $(pids_of a wgm) && ! -e /run/wireguard/wgm.sock ]]; }
check "  deleted there: nothing is left" wait_for 5 removed

tap_done
