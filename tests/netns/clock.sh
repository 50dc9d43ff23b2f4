#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The clock was set back, or lost at boot: handshakes still work, as the last TAI64N stamp sent is remembered. No clock is
# touched: the remembered stamp in a's state is set into the future instead, which is the same from where meshd stands.
# Stage: pair_stage in lib/netns.sh.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

pair_stage
pair_conf 4
sed -i '/^Endpoint/d' "$WORK/wgb.conf" # only a begins
check "b comes up" meshd_up b wgb || tap_done
check "a comes up" meshd_up a wga || tap_done
check "a session" reach a 192.168.9.2
state=/var/lib/meshd/wga.tai64n
check "the stamp is remembered once sent" wait_for 5 test -s "$state"
is "  in a file nobody else reads" "$(stat -c %a:%U "$state")" 600:root
check "down" meshd_down a wga
check "  the stamp stays" test -s "$state"

# The file holds it in hexadecimal: seconds (8 bytes), nanoseconds (4).
later() { # FILE SECONDS
	local s
	s=$(<"$1")
	printf '%016x%s\n' $((0x${s:0:16} + $2)) "${s:16}" >"$1"
}
like "  it is a TAI64N stamp" "$(<"$state")" '^40[0-9a-f]{22}$'

later "$state" 86400
future=$(<"$state")
check "remembered from tomorrow: up" meshd_up a wga
check "  b accepts the handshake" reach a 192.168.9.2 8
newer() { [[ $(<"$state") > $future ]]; }
check "  and the stamp has moved on, not back" wait_for 5 newer
cp "$state" "$WORK/kept"
check "  down" meshd_down a wga

rm "$state"
check "not remembered: up" meshd_up a wga
check "  b refuses the handshake, as it must" silent a 192.168.9.2
at_least "  and counts it" "$(drops b wgb handshake_replayed)" 1
meshd_down a wga >/dev/null 2>&1

cp "$WORK/kept" "$state"
check "remembered again: up" meshd_up a wga
check "  b accepts" reach a 192.168.9.2 8
meshd_down a wga >/dev/null 2>&1

head -c 5 /dev/urandom >"$state"
check "a damaged state does no harm: up" meshd_up a wga
check "  down" meshd_down a wga
tap_done
