# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Stages of network namespaces for the tests.
#
# A script that sources this runs itself again in a mount namespace of its own, with a fresh tmpfs on /run (and so on
# /var/run/wireguard, /run/meshd and the names of network namespaces) and on /var/lib, and a copy of /etc: nothing it or the
# programs under test write reaches the machine, and its namespaces end with it even when it is killed. The trap ends
# what still runs in its namespaces, by process id.
#
# MESHD is the program under test (default: ./meshd, then meshd in PATH).

set -u
export LC_ALL=C
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/lib/tap.sh
. "$HERE/lib/tap.sh"

stage_enter() {
	((EUID == 0)) || skip_all "not root"
	[[ -c /dev/net/tun ]] || skip_all "no /dev/net/tun"
	command -v ip >/dev/null || skip_all "no ip (iproute2)"
	unshare --net true 2>/dev/null || skip_all "no network namespaces here"
	MESHD_STAGE=$$ exec unshare --mount --propagation private -- bash "$0" "$@"
}

[[ -n ${MESHD_STAGE:-} ]] || stage_enter "$@"

if [[ -z ${MESHD:-} ]]; then
	if [[ -x ./meshd ]]; then MESHD=$PWD/meshd; else MESHD=$(command -v meshd || true); fi
fi
MESHD=$(readlink -f "${MESHD:-/nonexistent}")
[[ -x $MESHD ]] || skip_all "no meshd: build it, or set MESHD"
export MESHD
NS_PREFIX=msh$$
NS_LIST=()
PIDS=()
WORK=

# Everything of ours that still runs, namespaces, scratch files. Called by the trap; also ends what ran outside them.
stage_leave() {
	local n pid
	local -a all=()
	trap - EXIT INT TERM HUP
	all=("${PIDS[@]}")
	for n in "${NS_LIST[@]}"; do
		while read -r pid; do all+=("$pid"); done < <(ip netns pids "$n" 2>/dev/null)
	done
	for pid in "${all[@]}"; do kill -TERM "$pid" 2>/dev/null; done
	for ((n = 0; n < 20; n++)); do
		for pid in "${all[@]}"; do
			if kill -0 "$pid" 2>/dev/null && [[ $(process_state "$pid") != Z ]]; then
				sleep 0.1
				continue 2
			fi
		done
		break
	done
	for pid in "${all[@]}"; do kill -KILL "$pid" 2>/dev/null; done
	for n in "${NS_LIST[@]}"; do
		while read -r pid; do kill -KILL "$pid" 2>/dev/null; done < <(ip netns pids "$n" 2>/dev/null)
		ip netns delete "$n" 2>/dev/null
	done
	[[ -z $WORK ]] || umount -l "$WORK" 2>/dev/null
	[[ -z $WORK ]] || rmdir "$WORK"
}

process_state() { sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null; }

WORK=$(mktemp -d "${TMPDIR:-/tmp}/meshd-test.XXXXXX") || skip_all "no scratch directory"
trap stage_leave EXIT
trap 'exit 1' INT TERM HUP
mount -t tmpfs -o mode=0700 tmpfs "$WORK"
mkdir "$WORK/etc"
cp -a /etc/. "$WORK/etc/"
rm -rf "$WORK/etc/meshd" "$WORK/etc/wireguard"
mount --bind "$WORK/etc" /etc
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /var/lib
mkdir -m 0700 /etc/meshd /etc/wireguard
mkdir -m 0755 /run/netns

# ns_add NAME...: namespaces, loopback up, no duplicate address detection to wait for.
ns_add() {
	local n
	for n in "$@"; do
		ip netns add "$NS_PREFIX-$n"
		NS_LIST+=("$NS_PREFIX-$n")
		ip -n "$NS_PREFIX-$n" link set lo up
		in_ns "$n" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
	done
}

# in_ns NAME COMMAND...
in_ns() {
	local n=$1
	shift
	ip netns exec "$NS_PREFIX-$n" "$@"
}

# ip_ns NAME ARGUMENTS of ip(8)
ip_ns() {
	local n=$1
	shift
	ip -n "$NS_PREFIX-$n" "$@"
}

# veth A IFA B IFB: a cable between two namespaces, both ends up.
veth() {
	ip link add "$2" netns "$NS_PREFIX-$1" type veth peer name "$4" netns "$NS_PREFIX-$3"
	ip_ns "$1" link set "$2" up
	ip_ns "$3" link set "$4" up
}

# address NAME IF ADDRESS...
address() {
	local n=$1 i=$2 a
	shift 2
	for a in "$@"; do
		if [[ $a == *:* ]]; then
			ip_ns "$n" address add "$a" dev "$i" nodad
		else
			ip_ns "$n" address add "$a" dev "$i"
		fi
	done
}

# wait_for SECONDS COMMAND...: poll every 50 ms until the command succeeds. The bound is for what would never come, and so not short on a busy
# machine; what was asked to be so within a time says "within".
WAIT_LEAST_S=20
wait_for() { within $(($1 > 0 && $1 < WAIT_LEAST_S ? WAIT_LEAST_S : $1)) "${@:2}"; }

# within SECONDS COMMAND...: the same, with just that bound.
within() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	while ! "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/./} < end)) || return 1
		sleep 0.05
	done
}

# start NAME LOGFILE COMMAND...: a process in a namespace, in the background; its pid in STARTED and in LOGFILE.pid.
# It is exec'ed, so the pid is the program's own, and SIGINT works, which a shell's background processes ignore.
start() {
	local n=$1 logfile=$2
	shift 2
	ip netns exec "$NS_PREFIX-$n" env --default-signal=INT,QUIT "$@" >"$logfile" 2>&1 </dev/null &
	STARTED=$!
	PIDS+=("$STARTED")
	echo "$STARTED" >"$logfile.pid"
}

# stop PID [SIGNAL] [SECONDS]: end it and wait until it is gone.
stop() {
	kill "-${2:-TERM}" "$1" 2>/dev/null || return 0
	wait_for "${3:-5}" gone "$1"
}

gone() { [[ ! -d /proc/$1 || $(process_state "$1") == Z ]]; }

# key NAME: make $WORK/NAME.key and .pub once; psk NAME: $WORK/NAME.psk.
key() {
	local n
	for n in "$@"; do
		[[ -e $WORK/$n.key ]] || (umask 077 && wg genkey >"$WORK/$n.key" && wg pubkey <"$WORK/$n.key" >"$WORK/$n.pub")
	done
}
psk() { [[ -e $WORK/$1.psk ]] || (umask 077 && wg genpsk >"$WORK/$1.psk"); }
private() { cat "$WORK/$1.key"; }
public() { cat "$WORK/$1.pub"; }

# conf NAME <TEXT: write $WORK/NAME.conf, mode 0600.
conf() { (umask 077 && cat >"$WORK/$1.conf"); }

# meshd_up NS NAME [OPTIONS]: "meshd up" with $WORK/NAME.conf; bounded. meshd_down NS NAME.
meshd_up() {
	local n=$1 c=$2
	shift 2
	in_ns "$n" timeout 20 "$MESHD" up "$@" "$WORK/$c.conf" </dev/null
}
meshd_down() { in_ns "$1" timeout 20 "$MESHD" down "$2" </dev/null; }

# bare NS IFACE [PROGRAM]: a bare interface in the manner of wireguard-go; waits for its UAPI socket.
bare() {
	in_ns "$1" env WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 LOG_LEVEL=error \
		timeout 20 "${3:-$MESHD}" "$2" </dev/null >"$WORK/$2.bare.log" 2>&1 || { cat "$WORK/$2.bare.log"; return 1; }
	wait_for 5 test -S "/var/run/wireguard/$2.sock"
}

# pings NS DESTINATION [COUNT] [OPTIONS of ping]: every one must be answered.
pings() {
	local n=$1 dst=$2 count=${3:-3}
	shift 2
	(($# == 0)) || shift
	in_ns "$n" ping -n -q -i 0.1 -W 2 -c "$count" "$@" "$dst" | tee /dev/stderr | grep -q " $count received"
}

# How many of the pings in LOGFILE (of "ping -n") were sent, and answered.
pings_sent() { grep -o '^[0-9]* packets' "$1" | cut -d' ' -f1; }
pings_answered() { grep -o '[0-9]* received' "$1" | cut -d' ' -f1; }

# Whether DESTINATION answers within SECONDS (for links that need a first handshake). reach NS DESTINATION [SECONDS]
reach() { wait_for "${3:-8}" in_ns "$1" ping -n -c 1 -W 2 "$2"; }

# Whether it stays silent. silent NS DESTINATION
silent() { ! in_ns "$1" ping -n -c 2 -i 0.2 -W 1 "$2"; }

# iperf NS-server ADDRESS NS-client [OPTIONS]: one second of TCP; prints bits/s received.
iperf() {
	local s=$1 a=$2 c=$3 v
	shift 3
	rm -f "$WORK/iperf.pid"
	wait_for 5 not_listening "$s" 5201 # the one before may not be gone yet
	in_ns "$s" iperf3 -s -1 -D -B "$a" -I "$WORK/iperf.pid"
	wait_for 5 test -s "$WORK/iperf.pid" || { echo "no server"; return 1; }
	wait_for 5 listens "$s" 5201 || { echo "the server does not listen"; return 1; }
	in_ns "$c" timeout 20 iperf3 -J -t 1 -c "$a" "$@" >"$WORK/iperf.json"
	v=$(jq '.end.sum_received.bits_per_second // 0 | floor' "$WORK/iperf.json")
	echo "${v:-0} $(jq -r '.error // empty' "$WORK/iperf.json")"
	((${v:-0} > 1000000))
}
not_listening() { ! listens "$@"; }
listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q .; }

# udp_ports NS: how many UDP ports are in use there, whatever the number of sockets on each.
udp_ports() { in_ns "$1" ss -Hlun | awk '{ sub(/.*:/, "", $4); print $4 }' | sort -u | wc -l; }

# handshake NS IFACE PUBLIC-KEY: time of the last one, 0: never. endpoint_of likewise. transfer: "RX TX".
handshake() { in_ns "$1" wg show "$2" latest-handshakes | awk -v k="$3" '$1 == k { print $2 }'; }
endpoint_of() { in_ns "$1" wg show "$2" endpoints | awk -v k="$3" '$1 == k { print $2 }'; }
transfer() { in_ns "$1" wg show "$2" transfer | awk -v k="$3" '$1 == k { print $2, $3 }'; }

# status NS IFACE JQ-FILTER: of its object in "meshd status --json". drops NS IFACE REASON: that counter.
status() { in_ns "$1" timeout 5 "$MESHD" status "$2" --json | jq -r ".interfaces[0] | $3"; }
drops() { status "$1" "$2" ".drops.$3 // 0"; }

# Pids: of the parent that holds the name, of the daemon proper (its child). Resident size in kB.
parent_pid() { local p; p=$(<"/run/meshd/$1.lock") && echo $((p)); }
daemon_pid() { pgrep -o -P "$(parent_pid "$1")"; }
rss_kb() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

# The stage most tests play on: two nodes and a cable.
#
#	+-- a: wga ------+          +-- b: wgb ------+
#	| 192.168.9.1/24 |          | 192.168.9.2/24 |
#	| fd09:9::1/64   |          | fd09:9::2/64   |
#	|        ea -----+-- veth --+---- eb         |
#	+----------------+          +----------------+
#	  10.9.0.1/24                 10.9.0.2/24
#	  fd09::1/64                  fd09::2/64
pair_stage() {
	key a b
	ns_add a b
	veth a ea b eb
	address a ea 10.9.0.1/24 fd09::1/64
	address b eb 10.9.0.2/24 fd09::2/64
}

# pair_conf [4|6]: config files for both, with endpoints in this family; what is on standard input goes into a's [Interface].
pair_conf() {
	local a=10.9.0.1 b=10.9.0.2
	[[ ${1:-4} == 4 ]] || a='[fd09::1]' b='[fd09::2]'
	conf wga <<-END
		[Interface]
		PrivateKey = $(private a)
		ListenPort = 51820
		Address = 192.168.9.1/24, fd09:9::1/64
		[Peer]
		PublicKey = $(public b)
		AllowedIPs = 192.168.9.2/32, fd09:9::2/128
		Endpoint = $b:51821
	END
	conf wgb <<-END
		[Interface]
		PrivateKey = $(private b)
		ListenPort = 51821
		Address = 192.168.9.2/24
		Address = fd09:9::2/64
		[Peer]
		PublicKey = $(public a)
		AllowedIPs = 192.168.9.1/32, fd09:9::1/128
		Endpoint = $a:51820
	END
}

# pids_of NS NAME: processes of the program under test in a namespace whose arguments name NAME.
pids_of() {
	local pid
	while read -r pid; do
		[[ $(readlink "/proc/$pid/exe") == "$MESHD"* ]] || continue
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "$2" && echo "$pid"
	done < <(ip netns pids "$NS_PREFIX-$1" 2>/dev/null)
}

# What is left of an interface NAME in namespace NS: prints it and fails when there is anything.
left_behind() {
	ip_ns "$1" -o link show dev "$2" 2>/dev/null
	find /run/meshd /run/wireguard -name "$2*" 2>/dev/null
	pids_of "$1" "$2" | sed 's/^/process /'
}
traceless() {
	local left
	left=$(left_behind "$1" "$2")
	[[ -z $left ]] || { echo "left behind: $left"; return 1; }
}
