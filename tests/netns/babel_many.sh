#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ten thousand routes, half of each family, from a neighbour to a meshd in the middle, into its kernel and on to a third: how long that takes and how
# much memory; that other peers' packets through the middle are not disturbed; and that all are gone when they are withdrawn. First from a meshd
# over the mesh, then from a BIRD on a cable.
#
#	x ---+              +--- y		each a mesh link, but for b's cable
#	s ---+--- m (wgm) --+--- t
#	b ---+
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

EACH=5000
ALL=$((2 * EACH))
SOON_S=15		# asked for are 5
GROWTH_MAX_KB=10240	# 10 MB
GAP_MAX_MS=200
ROUNDS=${ROUNDS:-3}
LEAVES=(s t x y)

"$MESHD" --help 2>&1 | grep -qw routes || skip_all "this meshd has no Babel"
key m "${LEAVES[@]}"
ns_add m "${LEAVES[@]}" b
in_ns m sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.route.max_size=2147483647

# x and y only send packets to each other: they do not take the ten thousand, nor say them again.
leaf_conf() { # NAME NUMBER
	conf "wg$1" <<-END
		[Interface]
		PrivateKey = $(private "$1")
		Address = 10.9.$2.1/32, fd09:0:$2::1/128
		[Babel]
		Redistribute = 10.128.0.0/9 le=32
		Redistribute = fd80::/16 le=128
		$([[ $1 == [st] ]] || printf 'Filter = in deny 10.128.0.0/9\nFilter = in deny fd80::/16\n')
		[Peer]
		PublicKey = $(public m)
		AllowedIPs = auto
		Babel = on
		Endpoint = 172.20.$2.1:51820
	END
}
{
	printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.9.0.1/32, fd09::1/128\n[Babel]\nInterface = em0 type=wired\n' "$(private m)"
	for leaf in "${LEAVES[@]}"; do printf '[Peer]\nName = %s\nPublicKey = %s\nAllowedIPs = auto\nBabel = on\n' "$leaf" "$(public "$leaf")"; done
} | conf wgm
number=0
for leaf in b "${LEAVES[@]}"; do
	veth m "em$number" "$leaf" e
	address m "em$number" "172.20.$number.1/24"
	address "$leaf" e "172.20.$number.2/24"
	[[ $leaf == b ]] || leaf_conf "$leaf" "$number"
	number=$((number + 1))
done

# How many routes of Babel's a kernel has to what is announced; those that are lost and unreachable for a while do not count.
routes() { # NS
	{ ip_ns "$1" -4 route show root 10.128.0.0/9 proto 109; ip_ns "$1" -6 route show root fd80::/16 proto 109; } | grep -vc ^unreachable
}
have() { (($(routes "$1") == $2)); } # NS COUNT
both_have() { have t "$1" && have m "$1"; }
unreachable_gone() { (($({ ip_ns m -4 route show root 10.128.0.0/9 proto 109; ip_ns m -6 route show root fd80::/16 proto 109; } | wc -l) == 0)); }
since() { echo $(((${EPOCHREALTIME/./} - $1) / 1000)); }
babel_drops() { in_ns m ss -Huamn "sport = :6696" | sed -n 's/.*,d\([0-9]*\)).*/\1/p'; }
cpu_ms() { awk '{ print ($14 + $15) * 10 }' "/proc/$1/stat"; }

batch() { # add|del: commands for ip
	seq 0 $((EACH - 1)) | awk -v what="$1" '{
		printf "route %s unreachable 10.%d.%d.0/24 proto static\n", what, 128 + int($1 / 256), $1 % 256
		printf "route %s unreachable fd80:0:%x::/48 proto static\n", what, $1
	}' >"$WORK/$1.batch"
}
batch add
batch del
change() { # NS add|del
	local verb=enable proto
	[[ $1 == b ]] || { ip_ns "$1" -batch "$WORK/$2.batch" && return; }
	[[ $2 == add ]] || verb=disable
	for proto in four six; do in_ns b birdc -s "$WORK/b.ctl" "$verb" $proto >/dev/null; done
}

# A stream of pings from x to y, 100 a second, and what became of it.
stream() { start x "$WORK/$1.ping" ping -D -n -i 0.01 -W 2 10.9.4.1; }
lost() { # LOG: those before the last that was answered; those behind it are under way, unless they are too many for that
	awk -v sent="$(pings_sent "$1")" -v most="$((GAP_MAX_MS / 10))" '
		/bytes from.*icmp_seq=/ { got++; sub(/.*icmp_seq=/, ""); if ($1 + 0 > last) last = $1 + 0 }
		END { print last - got + (sent - last > most ? sent - last : 0) }' "$1"
}
stream_end() { # NAME WHAT
	local gap
	sleep 0.3
	stop "$(<"$WORK/$1.ping.pid")" INT
	gap=$(sed -n 's/^\[\([0-9.]*\)\].*bytes from.*/\1/p' "$WORK/$1.ping" |
		awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%d", 1000 * most }')
	at_most "  $2: pings of others that were lost" "$(lost "$WORK/$1.ping")" 1
	at_most "  $2:   their longest gap, in ms" "$gap" "$GAP_MAX_MS"
}

# rounds NS WHAT: it announces all, takes them back, and does so again.
rounds() {
	local ns=$1 what=$2 round at before first='' first_end='' used
	for ((round = 1; round <= ROUNDS; round++)); do
		before=$(rss_kb "$daemon") used=$(cpu_ms "$daemon") at=${EPOCHREALTIME/./}
		stream "$ns$round"
		change "$ns" add
		note "$what, round $round: it has them after $(since "$at") ms"
		wait_for "$SOON_S" have m "$ALL"
		note "in the middle's after $(since "$at") ms"
		wait_for "$SOON_S" both_have "$ALL"
		at_most "$what, round $round: $ALL routes are in the third one's kernel after ms" "$(since "$at")" $((SOON_S * 1000))
		check "  all of them, in the middle's too" both_have "$ALL"
		stream_end "$ns$round" "coming"
		note "the middle used $(($(cpu_ms "$daemon") - used)) ms of CPU, has $(rss_kb "$daemon") kB, $(($(rss_kb "$daemon") - before)) kB more than before"
		[[ -n $first ]] || at_most "  the middle takes so many kB more" $(($(rss_kb "$daemon") - before)) "$GROWTH_MAX_KB"
		first=${first:-$(rss_kb "$daemon")}
		at=${EPOCHREALTIME/./}
		stream "$ns-$round"
		change "$ns" del
		wait_for "$SOON_S" both_have 0
		at_most "  withdrawn: gone from both kernels after ms" "$(since "$at")" $((SOON_S * 1000))
		check "  all of them" both_have 0
		stream_end "$ns-$round" "going"
		first_end=${first_end:-$(rss_kb "$daemon")}
	done
	is "$what: packets that the middle's socket had no room for" "$(babel_drops)" 0
	for round in s m t; do is "  and that $round's lanes had none for" "$(drops $round wg$round routing_queue)" 0; done
	at_most "$what: $ROUNDS rounds take more than one did, in kB" $(($(rss_kb "$daemon") - first_end)) 3072 # 180 bytes of each route left would be 3600
}

check "up" meshd_up m wgm || tap_done
for leaf in "${LEAVES[@]}"; do meshd_up "$leaf" "wg$leaf" || fail "$leaf is up"; done
check "x reaches y through the middle" reach x 10.9.4.1 20 || tap_done
check "and s reaches t" reach s 10.9.2.1 20
daemon=$(daemon_pid wgm)
stream idle
sleep 3
stream_end idle "nothing happens"
rounds s "from a meshd"

# (babeld 1.12.1 loses some of so many changes of its kernel, and never says them.)
if command -v bird >/dev/null; then
	{
		printf 'log stderr all;\nrouter id 172.20.0.2;\nprotocol device { }\n'
		printf 'protocol static four { disabled; ipv4; %s }\n' "$(awk '/ add .*10\./ { printf "route %s unreachable; ", $4 }' "$WORK/add.batch")"
		printf 'protocol static six { disabled; ipv6; %s }\n' "$(awk '/ add .*fd80/ { printf "route %s unreachable; ", $4 }' "$WORK/add.batch")"
		printf 'protocol babel { randomize router id yes; ipv4 { export all; }; ipv6 { export all; }; interface "e" { type wired; }; }\n'
	} >"$WORK/b.conf"
	start b "$WORK/b.log" bird -f -c "$WORK/b.conf" -s "$WORK/b.ctl" -P "$WORK/b.bird.pid"
	wait_for 5 test -S "$WORK/b.ctl"
	bird_speaks() { in_ns m "$MESHD" routes wgm --neighbours | grep -q '^em0 .* 96  *96 '; }
	check "BIRD is a neighbour" wait_for 20 bird_speaks || note "$(in_ns m "$MESHD" routes wgm --neighbours; tail "$WORK/b.log")"
	rounds b "from a BIRD"
else
	skip "from a BIRD" "no bird (package bird2)"
fi
tap_done
