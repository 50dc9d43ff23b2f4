# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Captures, and what they say about the outer flows. Source it after netns.sh.

command -v tcpdump >/dev/null || skip_all "no tcpdump"
command -v python3 >/dev/null || skip_all "no python3"

# capture NS IFACE NAME [FILTER]: record headers (CAPTURE_LEN bytes of each packet) into $WORK/NAME.pcap until capture_end NAME.
capture() {
	local n=$1 i=$2 name=$3
	shift 3
	start "$n" "$WORK/$name.tcpdump" tcpdump -Z root -U --immediate-mode -B 8192 -s "${CAPTURE_LEN:-128}" -n -i "$i" -w "$WORK/$name.pcap" "$@"
	wait_for 5 grep -q 'listening on' "$WORK/$name.tcpdump" || { cat "$WORK/$name.tcpdump"; return 1; }
}

# capture_end NAME: $WORK/NAME.txt has then a line for each packet, see pcap.py.
capture_end() {
	sleep 0.2
	stop "$(<"$WORK/$1.tcpdump.pid")" INT
	python3 "$HERE/lib/pcap.py" "$WORK/$1.pcap" >"$WORK/$1.txt"
}

# no_control NAME: without what goes on the control sub-session, whose probes take any path, of any length: the index ends in seven ones.
no_control() { awk '!($9 == 17 && $10 == 4 && $11 ~ /[7f]f$/)' "$WORK/$1.txt"; }

# tuples NAME BYTES [SOURCE-ADDRESS]: the different UDP 5-tuples, with flow label, that carry at least so many bytes:
# "source sport destination dport label bytes".
tuples() {
	awk -v least="$2" -v from="${3:-}" '
		$9 == 17 && (from == "" || $2 == from) { sum[$2 " " $3 " " $4 " " $5 " " $7] += $8 }
		END { for (t in sum) if (sum[t] >= least) print t, sum[t] }' "$WORK/$1.txt" | sort
}
tuple_count() { tuples "$@" | wc -l; }
