#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A mesh as it grows and changes: ten nodes from one chain of invitations, whose founder is switched off after the third; an eleventh that comes with a
# file of the seventh's; half of all nodes that change their addresses at once; shortcuts, and what becomes of them when the direct way is cut; nodes
# that are put out, also while they are away.
#
#	+-- n1 ----+  +-- n2 ----+     +-- n11 ---+
#	| wan      |  | wan      | ... | wan      |	10.9.0.N/16 and fd09::N/64, but 3 and 5 have no IPv6, 4 and 10 no IPv4;
#	+--+-------+  +--+-------+     +--+-------+	in the tunnel: 10.7.0.N, interface wN, node nN
#	   |             |                |
#	===+=============+================+=======	bridge br0 in i
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
command -v nft >/dev/null || skip_all "no nft"

TO_ALL_S=10	# everybody reaches everybody within this, whatever has changed
OUT_S=5		# nobody speaks to a node that was put out, after so long

m() { local n=$1; shift; in_ns "n$n" timeout 90 "$MESHD" "$@" </dev/null; } # NODE COMMAND...
mesh() { m "$1" mesh "w$1" --json | jq -r "$2"; } # NODE JQ-FILTER
node_of() { mesh "$1" ".nodes[] | select(.name == \"n$2\") | $3"; } # NODE OTHER JQ-FILTER
key_of() { sed -n 's/^PrivateKey = //p' "/etc/meshd/w$1.conf" | wg pubkey; }
is_peer() { in_ns "n$1" wg show "w$1" peers | grep -qxF "$2"; } # NODE KEY
no_peer() { ! is_peer "$@"; }
may_sign() { [[ $(mesh "$1" .may_sign) == true ]]; }
knows() { [[ $(mesh "$1" .nodes_good) == "$2" ]]; } # NODE HOW-MANY
all_know() { local n=$1; shift; local i; for i; do knows "$i" "$n" || return 1; done; } # HOW-MANY NODE...
told_endpoints() { [[ $(node_of "$1" "$2" '.endpoints | length') -gt 0 ]]; } # NODE OTHER
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# wan NODE NUMBER: the addresses it has outside, those before are gone.
wan() {
	ip_ns "n$1" address flush dev wan scope global
	case $1 in 4 | 10) ;; *) address "n$1" wan "10.9.0.$2/16" ;; esac
	case $1 in 3 | 5) ;; *) address "n$1" wan "$(printf 'fd09::%x/64' "$2")" ;; esac
}

# answers NODE OTHER UNTIL-MS: one ping after the other until one is answered.
answers() {
	until in_ns "n$1" ping -n -q -i 0.2 -c 1 -w 2 "10.7.0.$2" >/dev/null 2>&1; do
		(($(now_ms) < $3)) || { echo "n$1 does not reach n$2"; return 1; }
		sleep 0.1
	done
}
# all_pairs SECONDS NODE...: all of them at once; how long it took goes to $WORK/took.
all_pairs() {
	local begin end a b failed=0
	local -a pids=()
	begin=$(now_ms)
	end=$((begin + $1 * 1000))
	shift
	for a; do for b; do ((a == b)) || { answers "$a" "$b" "$end" & pids+=($!); }; done; done
	for a in "${pids[@]}"; do wait "$a" || failed=1; done
	echo $(($(now_ms) - begin)) >"$WORK/took"
	return $failed
}
# Fewer links with Babel than a node may have, for each of them; how many there are goes to standard output.
sparse() {
	local n count
	for n; do
		count=$(mesh "$n" .backbone)
		echo "n$n: $count"
		((count >= 1 && count <= 8)) || return 1
	done
}
join_by() { # INVITER NEW: a token, and all that follows
	local token
	token=$(m "$1" invite "w$1" "n$2" --addr "10.7.0.$2" 2>"$WORK/invite.err") || { cat "$WORK/invite.err"; return 1; }
	m "$2" join "$token" "w$2" && up "$2"
}
# up NODE: without discovery on the LAN, for the bridge stands for the Internet.
up() {
	sed -i 's/^\[Interface\]/&\nLanDiscovery = off/' "/etc/meshd/w$1.conf"
	m "$1" up "w$1"
}

ns_add i
ip_ns i link add br0 type bridge
ip_ns i link set br0 up
for n in 1 2 3 4 5 6 7 8 9 10 11; do
	ns_add "n$n"
	ip link add "w$n" netns "$NS_PREFIX-i" type veth peer name wan netns "$NS_PREFIX-n$n"
	ip_ns i link set "w$n" master br0 up
	ip_ns "n$n" link set wan up
	case $n in 3 | 5) in_ns "n$n" sysctl -qw net.ipv6.conf.wan.disable_ipv6=1 ;; esac
	wan "$n" "$n"
done

# ---- The chain.
check "n1 makes a mesh" m 1 init w1 --mesh-name lab --node n1 --addr 10.7.0.1 --port 51820 || tap_done
check "  and comes up" up 1 || tap_done
check "  it tells where it is" wait_for 8 told_endpoints 1 1
check "n2 joins by n1" join_by 1 2 || tap_done
check "  reaches it" reach n2 10.7.0.1
check "  which has it invite" m 1 invite w1 n2 --delegate
check "  as it hears" wait_for 5 may_sign 2
check "n3 joins by n2" join_by 2 3 || tap_done
check "  as n1 hears" wait_for 5 all_know 3 1
check "n1 has it invite, too" m 1 invite w1 n3 --delegate
check "  as it hears" wait_for 5 may_sign 3
check "the founder is switched off" m 1 down w1
for n in 4 5 6 7 8 9 10; do
	begin=$(now_ms)
	check "n$n joins by n3" join_by 3 "$n" || tap_done
	note "$(($(now_ms) - begin)) ms"
done
check "everybody knows all ten" wait_for 10 all_know 10 2 3 4 5 6 7 8 9 10
check "all pairs reach each other" all_pairs "$TO_ALL_S" 2 3 4 5 6 7 8 9 10
note "after $(<"$WORK/took") ms"

# ---- One more, by a file of the seventh's, whom nobody has told of it; and what was a node's own is the next one's to know.
m 7 export w7 >"$WORK/lab.mesh"
is "n7 exports" "$(sed -n 's/^Nodes: //p' "$WORK/lab.mesh")" 10
m 11 join --request w11 --file "$WORK/lab.mesh" >"$WORK/request" 2>/dev/null
m 2 invite w2 n11 --addr 10.7.0.11 --sign "$WORK/request" >"$WORK/answer"
is "n2 signs for n11" "$?" 0
check "n11 joins by that file" m 11 join "$WORK/answer" w11 || tap_done
check "  and knows what n7 did" m 11 import "$WORK/lab.mesh" w11
check "  and comes up" up 11
check "all pairs reach each other" all_pairs "$TO_ALL_S" 2 3 4 5 6 7 8 9 10 11
note "after $(<"$WORK/took") ms"
check "everybody knows all eleven" all_know 11 2 3 4 5 6 7 8 9 10 11

# ---- Half of them are elsewhere.
for n in 2 4 6 8 10; do wan $n $((n + 100)); done
check "half of all change their addresses: all pairs reach each other" all_pairs "$TO_ALL_S" 2 3 4 5 6 7 8 9 10 11
note "after $(<"$WORK/took") ms"
sparse 2 3 4 5 6 7 8 9 10 11 >"$WORK/links"
is "nobody has more than eight links with Babel, nor none" "$?" 0
note "$(xargs <"$WORK/links")"

# ---- A shortcut: between two that are not neighbours by Babel. And then the direct way is cut, silently and for both.
use() { node_of "$1" "$2" '.use // ""'; }
apart() { [[ $(use "$1" "$2") != backbone && $(use "$2" "$1") != backbone ]]; }
is_shortcut() { [[ $(use "$1" "$2") == shortcut ]]; }
not_shortcut() { [[ $(use "$1" "$2") != shortcut ]]; }
pick_pair() {
	local a b
	for a in 2 6 7 8 9 11; do for b in 2 6 7 8 9 11; do
		((a < b)) && apart $a $b && { echo "$a $b"; return; }
	done; done
	return 1
}
wan_mac() { ip_ns "n$1" -j link show wan | jq -r '.[0].address'; }
cut_from() { # NODE OTHER: what comes from there straight is dropped
	in_ns "n$1" nft -f - <<-END
		table inet cut {
			chain i { type filter hook input priority -10; iif wan ether saddr $(wan_mac "$2") udp sport > 0 drop; }
		}
	END
}
if read -r a b <<<"$(pick_pair)" && [[ -n $b ]]; then
	start "n$a" "$WORK/shortcut.log" ping -n -q -i 0.1 -c 100 -w 30 "10.7.0.$b"
	pinger=$STARTED
	check "traffic between n$a and n$b opens a shortcut" wait_for 10 is_shortcut "$a" "$b"
	in_ns "n$a" "$MESHD" status "w$a" >"$WORK/status"
	like "  status says so" "$(<"$WORK/status")" "shortcut"
	direct=$(in_ns "n$a" ping -n -c 1 -W 1 "10.7.0.$b" | grep -o 'ttl=[0-9]*')
	is "  nobody is between them" "$direct" ttl=64
	cut_from "$a" "$b" && cut_from "$b" "$a"
	is "the direct way is cut" "$?" 0
	begin=$(now_ms)
	check "  the shortcut is given up" wait_for 15 not_shortcut "$a" "$b"
	note "after $(($(now_ms) - begin)) ms"
	check "  and they reach each other by others" reach "n$a" "10.7.0.$b" 2
	unlike "  who are between them" "$(in_ns "n$a" ping -n -c 1 -W 1 "10.7.0.$b" | grep -o 'ttl=[0-9]*')" '^(ttl=64)?$'
	wait_for 40 gone "$pinger"
	at_most "  pings at 100 ms that were lost" $(($(pings_sent "$WORK/shortcut.log") - $(pings_answered "$WORK/shortcut.log"))) 10
	in_ns "n$a" nft delete table inet cut
	in_ns "n$b" nft delete table inet cut
else
	fail "there are two that are not neighbours by Babel" "$(<"$WORK/links")"
fi

# ---- Out: one that is there, while another is away that has to hear of it when it returns; and one that is away itself.
nobody_has() { # KEY NODE...
	local key=$1 n
	shift
	for n; do no_peer "$n" "$key" || { echo "n$n"; return 1; }; done
}
is_alone() { # NODE OTHER...: reaches none of them
	local n=$1 i
	local -a pids=()
	shift
	for i; do in_ns "n$n" ping -n -q -c 3 -i 0.3 -W 1 "10.7.0.$i" >/dev/null 2>&1 & pids+=($!); done
	for i in "${pids[@]}"; do ! wait "$i" || return 1; done
}
key8=$(key_of 8) key9=$(key_of 9)
check "n10 goes away" m 10 down w10
check "n8, too" m 8 down w8
check "n9 is there" is_peer 2 "$key9"
check "n9 is put out" m 3 revoke w3 n9 --reason stolen
begin=$(now_ms)
check "  nobody has it as a peer any more" within "$OUT_S" nobody_has "$key9" 2 3 4 5 6 7 11
note "after $(($(now_ms) - begin)) ms"
check "  it reaches nobody" is_alone 9 2 3 4 5 6 7 11
check "  and nobody reaches it" silent n2 10.7.0.9
check "n8 is put out while it is away" m 2 revoke w2 n8
check "n10 returns" up 10
begin=$(now_ms)
check "  and hears of n9 and n8" within "$OUT_S" nobody_has "$key9" 10 && within "$OUT_S" nobody_has "$key8" 10
note "after $(($(now_ms) - begin)) ms"
check "n8 returns" m 8 up w8
check "  and reaches nobody" is_alone 8 2 3 4 5 6 7 10 11
check "  for nobody has it as a peer" nobody_has "$key8" 2 3 4 5 6 7 10 11
check "the founder returns" m 1 up w1
begin=$(now_ms)
check "  and hears of both" within "$OUT_S" nobody_has "$key9" 1 && within "$OUT_S" nobody_has "$key8" 1
note "after $(($(now_ms) - begin)) ms"
check "  and of who has come since" wait_for 10 knows 1 9

# ---- A shortcut that is opened while packets flow: first they go by others.
routed_to() { ip_ns n1 -o route show "10.7.0.$1" | grep -v '^unreachable' | grep -q .; }
for n in 2 3 4 5 6 7 10 11; do wait_for 10 routed_to $n; done
sleep 2 # it chooses its links
other=
for n in 11 10 7 6 5 4 3 2; do apart 1 $n && not_shortcut 1 $n && other=$n; done
if [[ -n $other ]]; then
	start n1 "$WORK/opening.log" ping -n -i 0.1 -c 100 "10.7.0.$other"
	pinger=$STARTED
	wait_for 20 gone "$pinger"
	note "$(grep -o 'ttl=[0-9]*' "$WORK/opening.log" | uniq -c | xargs)"
	like "n1 sends to n$other by others first" "$(grep -o -m 1 'ttl=[0-9]*' "$WORK/opening.log")" 'ttl=6[123]'
	at_least "  and then directly, of 100 pings" "$(grep -c 'ttl=64' "$WORK/opening.log")" 50
	at_most "  pings that were lost" $((100 - $(pings_answered "$WORK/opening.log"))) 1
else
	fail "there is one that is no neighbour of the founder's by Babel" "$(m 1 mesh w1)"
fi
check "all pairs reach each other" all_pairs "$TO_ALL_S" 1 2 3 4 5 6 7 10 11
note "after $(<"$WORK/took") ms"

# ---- What does not let in: a token that was used, one whose time is over, a file of another mesh.
refused() { # WHAT PATTERN NODE COMMAND...
	local what=$1 pattern=$2 out status=0
	shift 2
	out=$(m "$@" 2>&1) || status=$?
	is "$what is refused" "$((status != 0))" 1
	like "  and why" "$out" "$pattern"
}
check "n8 is taken down" m 8 down w8
rm -f /etc/meshd/w8.*
token=$(m 2 invite w2 again 2>/dev/null)
late=$(m 2 invite w2 late --valid 1s 2>/dev/null)
check "a machine joins by a token" m 8 join "$token" w8
refused "the same token from another machine" 'has been used' 8 join "$token" other
rm -f /etc/meshd/other.*
sleep 2.2
refused "a token whose time is over" 'expired' 8 join "$late" other
m 8 init foreign --node n8 >/dev/null
known=$(mesh 2 .nodes_known)
refused "a file of another mesh" 'mesh' 2 import /etc/meshd/foreign.mesh w2
is "  and nothing has come of it" "$(mesh 2 .nodes_known)" "$known"
for n in 1 2 3 4 5 6 7 9 10 11; do m $n down w$n || fail "n$n does not go down"; done
tap_done
