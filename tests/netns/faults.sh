#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What goes wrong, one reason on one line, exit status 1, nothing left behind: bad configs, a name in use, a port in
# use, no privileges, no /dev/net/tun; signals, kills and the interface deleted from outside; file modes, secrets, capabilities.
# Stage: pair_stage in lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
pair_conf 4
cp "$WORK/wga.conf" "$WORK/good.conf"

# refused WHAT PATTERN COMMAND...: exit status 1, one line on stderr that fits, nothing on stdout, nothing left.
refused() {
	local what=$1 pattern=$2 status=0 left
	shift 2
	timeout 20 "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || status=$?
	is "$what: exit status" "$status" 1
	is "  one line on stderr" "$(grep -c '' "$WORK/err")" 1
	like "  with the reason" "$(cat "$WORK/err")" "$pattern"
	is "  nothing on stdout" "$(cat "$WORK/out")" ""
	lacks "  no secret in it" "$(cat "$WORK/err")" "$(private a | cut -c 1-20)"
	[[ -n ${KEEP:-} ]] || check "  nothing left behind" traceless a wga
}
up=(ip netns exec "$NS_PREFIX-a" "$MESHD" up "$WORK/wga.conf")

# ---- configs: FILE:LINE: key: reason ----
bad() { # WHAT PATTERN, sed script over the good config
	sed "$3" "$WORK/good.conf" >"$WORK/wga.conf"
	refused "$1" "wga\.conf:[0-9]+: $2" "${up[@]}"
}
bad "a key that nobody knows" 'Adress: ' 's/^Address/Adress/'
bad "a private key that is none" 'PrivateKey: ' 's/^PrivateKey.*/PrivateKey = abc/'
bad "a private key cut short" 'PrivateKey: ' 's/^\(PrivateKey.*\)..$/\1/'
bad "a port too large" 'ListenPort: ' 's/^ListenPort.*/ListenPort = 65536/'
bad "an address that is none" 'Address: ' 's/^Address.*/Address = 192.168.9.1\/33/'
bad "an allowed IP that is none" 'AllowedIPs: ' 's/^AllowedIPs.*/AllowedIPs = 192.168.9.0\/24, x/'
bad "an endpoint without port" 'Endpoint: ' 's/^Endpoint.*/Endpoint = 10.9.0.2/'
bad "an MTU too small" 'MTU: ' 's/^ListenPort/MTU = 12\nListenPort/'
bad "a line without value" '.*' 's/^ListenPort.*/ListenPort/'
bad "a section nobody knows" '.*' 's/^\[Peer\]/[Pear]/'
rm "$WORK/wga.conf"
refused "no such file" 'wga.conf.*[Nn]o such file' "${up[@]}"
printf '[Interface]\0\377\n' >"$WORK/wga.conf"
refused "a file of junk" 'wga.conf:' "${up[@]}"
head -c 2000000 /dev/zero >"$WORK/wga.conf"
refused "a file too large" 'wga.conf' "${up[@]}"
cp "$WORK/good.conf" "$WORK/much-too-long-a-name.conf"
refused "a name that no interface can have" 'much-too-long' ip netns exec "$NS_PREFIX-a" "$MESHD" up "$WORK/much-too-long-a-name.conf"
cp "$WORK/good.conf" "$WORK/wga.conf"

# ---- surroundings ----
refused "no CAP_NET_ADMIN" 'CAP_NET_ADMIN' ip netns exec "$NS_PREFIX-a" setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
	"$MESHD" up "$WORK/wga.conf"
refused "no /dev/net/tun" '/dev/net/tun' ip netns exec "$NS_PREFIX-a" unshare -m sh -c \
	'mount -t tmpfs tmpfs /dev/net && exec "$0" up "$1"' "$MESHD" "$WORK/wga.conf"
start a "$WORK/socat4.log" socat -u UDP4-RECV:51820 -
wait_for 3 eval "in_ns a ss -Hlun | grep -q :51820"
refused "the port is in use (IPv4)" '51820' "${up[@]}"
stop "$STARTED"
start a "$WORK/socat6.log" socat -u UDP6-RECV:51820,ipv6only=1 -
wait_for 3 eval "in_ns a ss -Hlun | grep -q :51820"
refused "the port is in use (IPv6)" '51820' "${up[@]}"
stop "$STARTED"
ip_ns a tuntap add wga mode tap
KEEP=1 refused "an interface of that name exists" 'wga.*exist' "${up[@]}"
check "  and is left alone" ip_ns a link show dev wga
ip_ns a link delete wga
is "  no socket of it" "$(find /run/meshd /run/wireguard -name 'wga*' 2>/dev/null)" ""
sed 's/^ListenPort/PreUp = false\nListenPort/' "$WORK/good.conf" >"$WORK/wga.conf"
out=$("${up[@]}" 2>&1 </dev/null)
is "a PreUp that fails: exit status" "$?" 1
like "  said so" "$out" 'hook|PreUp'
check "  nothing left behind" traceless a wga
sed 's/^ListenPort/PostUp = exit 7\nListenPort/' "$WORK/good.conf" >"$WORK/wga.conf"
out=$("${up[@]}" 2>&1 </dev/null)
is "a PostUp that fails: exit status" "$?" 1
like "  said so" "$out" 'hook|PostUp'
check "  nothing left behind" traceless a wga
cp "$WORK/good.conf" "$WORK/wga.conf"
refused "down of what is not up" 'wga' ip netns exec "$NS_PREFIX-a" "$MESHD" down wga
refused "reload of what is not up" 'wga' ip netns exec "$NS_PREFIX-a" "$MESHD" reload "$WORK/wga.conf"
refused "status of what is not up" 'wga' ip netns exec "$NS_PREFIX-a" "$MESHD" status wga
in_ns a "$MESHD" --nonsense >"$WORK/out" 2>"$WORK/err"
is "a wrong option: exit status 2" "$?" 2
in_ns a "$MESHD" down >"$WORK/out" 2>"$WORK/err"
is "a missing argument: exit status 2" "$?" 2

# ---- double up ----
check "up" "${up[@]}"
KEEP=1 refused "up again" 'wga.*(already|runs|exists)' "${up[@]}"
check "  the first goes on" in_ns a "$MESHD" status wga
meshd_up b wgb >/dev/null 2>&1
check "  with its session" reach a 192.168.9.2

# ---- files, secrets, capabilities ----
is "/run/meshd is root's alone" "$(stat -c %a:%u:%g /run/meshd)" 700:0:0
is "the control socket too" "$(stat -c %a:%u:%g /run/meshd/wga.sock)" 600:0:0
like "the UAPI socket is for nobody else" "$(stat -c %a:%u:%g /run/wireguard/wga.sock)" '^[67]00:0:0$'
is "the state is root's alone" "$(stat -c %a:%u:%g /var/lib/meshd)" 700:0:0
open_files() { find /var/lib/meshd /run/meshd -type f ! -name '*.lock' -perm /077; }
is "  and every file in it" "$(open_files)" ""
parent=$(parent_pid wga) daemon=$(daemon_pid wga)
for pid in "$parent" "$daemon"; do
	lacks "no secret in the arguments of $(tr '\0' ' ' <"/proc/$pid/cmdline")" "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "$(private a)"
	lacks "  nor in its environment" "$(tr '\0' ' ' <"/proc/$pid/environ")" "$(private a)"
done
like "no core dumps of the daemon" "$(grep 'Max core' "/proc/$daemon/limits")" 'size +0 +0'
has() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
is "the daemon got no_new_privs" "$(has "$daemon" NoNewPrivs)" 1
allowed=$((1 << 12 | 1 << 13 | 1 << 10)) # CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE
is "  and no capability it cannot need" $((0x$(has "$daemon" CapPrm) & ~allowed)) 0
is "  nor can it get one" $((0x$(has "$daemon" CapBnd) & ~allowed)) 0

# ---- ends of all kinds ----
ended() { traceless a wga >/dev/null; }
end_by() { # WHAT COMMAND...: no trace afterwards
	local what=$1
	shift
	"$@"
	wait_for 5 ended
	check "$what leaves no trace" traceless a wga
	check "  and up works again" "${up[@]}"
	check "  with a session" reach a 192.168.9.2 15
}
meshd_down a wga >/dev/null 2>&1
"${up[@]}" >/dev/null 2>&1
for signal in TERM INT; do
	end_by "SIG$signal to the parent" eval 'kill -'$signal' "$(parent_pid wga)"'
	end_by "SIG$signal to the daemon" eval 'kill -'$signal' "$(daemon_pid wga)"'
done
end_by "the interface deleted from outside" ip_ns a link delete dev wga
end_by "SIGKILL of the daemon" eval 'kill -KILL "$(daemon_pid wga)"'

after_kill() { # WHAT PID...: the next up cleans up and starts
	local what=$1
	shift
	kill -KILL "$@"
	sleep 0.3
	check "$what: the next up works" wait_for 5 "${up[@]}"
	check "  with a session" reach a 192.168.9.2 15
	is "  one interface" "$(ip_ns a -o link show | grep -c wga:)" 1
}
after_kill "SIGKILL of the parent" "$(parent_pid wga)"
after_kill "SIGKILL of both" "$(parent_pid wga)" "$(daemon_pid wga)"
after_kill "SIGKILL of both, the other way round" "$(daemon_pid wga)" "$(parent_pid wga)"
# The interface of the dead is there a moment longer than they: that moment is made long.
pids=("$(daemon_pid wga)" "$(parent_pid wga)")
kill -KILL "${pids[@]}"
wait_for 5 gone "${pids[0]}"
sleep 0.3
ip_ns a tuntap add dev wga mode tun
(sleep 0.6 && ip_ns a link delete dev wga) &
check "up while the interface of a killed run is just going" "${up[@]}"
wait $!
check "down at last" meshd_down a wga
check "  nothing left behind" traceless a wga

# With a default route, a kill leaves rules; the next up and down takes them away.
rules() { ip_ns a rule show; ip_ns a -6 rule show; in_ns a nft list tables; }
before=$(rules)
sed 's/^AllowedIPs.*/AllowedIPs = 0.0.0.0\/0, ::\/0/' "$WORK/good.conf" >"$WORK/wga.conf"
"${up[@]}" >/dev/null 2>&1
unlike "default route: rules are there" "$before" "^$(rules)$"
kill -KILL "$(parent_pid wga)" "$(daemon_pid wga)"
sleep 0.3
check "  killed: the next up works" wait_for 5 "${up[@]}"
check "  down" meshd_down a wga
is "  and no rule, no table is left" "$(rules)" "$before"

# In front: SIGTERM ends it with status 0, and it says READY to systemd.
cp "$WORK/good.conf" "$WORK/wga.conf"
start a "$WORK/notify" socat -u "UNIX-RECV:$WORK/notify.sock" -
wait_for 3 test -S "$WORK/notify.sock"
start a "$WORK/front.log" env NOTIFY_SOCKET="$WORK/notify.sock" "$MESHD" up -f "$WORK/wga.conf"
front=$STARTED
check "in front: tells systemd when it is ready" wait_for 5 grep -q READY=1 "$WORK/notify"
check "  and then it works" in_ns a "$MESHD" status wga
kill -TERM "$front"
wait "$front"
is "  SIGTERM: exit status" "$?" 0
check "  nothing left behind" traceless a wga
check "  told systemd that it stops" wait_for 5 grep -q STOPPING=1 "$WORK/notify"
tap_done
