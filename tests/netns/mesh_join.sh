#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A mesh by its commands: init, up, invite, join - directly, and by way of another node when the inviter cannot be reached; what is refused and that it costs
# nothing; runs that are killed and repeated; the offline way; machines that are replaced, put out, renewed; delegates and another mesh key; a plain
# WireGuard device behind a node.
#
#	+-- a: alpha ---+     +-- b: beta ----+     +-- c: gamma ---+      a and c do not reach each other: b does not
#	|    10.9.0.1   +-----+ .2  10.8.0.2  +-----+  10.8.0.3     |      forward, and has firewalled nothing
#	+---------------+     +------+--------+     +---------------+
#	                             | 10.6.0.2
#	                      +------+--------+
#	                      | d  10.6.0.4   |  delta, and the phone
#	                      +---------------+
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

GO=$(command -v wireguard-go) || GO=
ns_add a b c d e
veth a ea b eb
veth b fb c fc
veth b gb d gd
address a ea 10.9.0.1/24
address b eb 10.9.0.2/24
address b fb 10.8.0.2/24
address c fc 10.8.0.3/24
address b gb 10.6.0.2/24
address d gd 10.6.0.4/24
in_ns b sysctl -qw net.ipv4.ip_forward=0
veth e nobody e other # where nobody is
address e nobody 10.0.0.1/8

m() { local n=$1; shift; in_ns "$n" timeout 90 "$MESHD" "$@" </dev/null; } # NS COMMAND...
up() { m "$1" up "$2"; }
# Output on both ways, for what must be refused: one line, and a failure.
refused() { # WHAT PATTERN NS COMMAND...
	local what=$1 pattern=$2 out status=0
	shift 2
	out=$(m "$@" 2>&1) || status=$?
	is "$what: refused" "$((status != 0))" 1
	is "  in one line" "$(wc -l <<<"$out")" 1
	like "  that says why" "$out" "$pattern"
}
standing() { m "$1" mesh "$2" --json | jq -r --arg n "$3" '[.nodes[] | select(.name == $n) | .standing] | sort | join(",")'; } # NS IFACE NODE
has_standing() { [[ $(standing "$1" "$2" "$3") == "$4" ]]; }
conf_key() { sed -n 's/^PrivateKey = //p' "/etc/meshd/$1"; }
files_sum() { find /etc/meshd -type f -exec sha256sum {} + | sort; }

# ---- A mesh, and what init does not do twice, or by halves.
refused "init with an address nobody can have" 'not one that a node can have' a init wa --addr ff02::1
is "  has written nothing" "$(ls /etc/meshd)" ""
if cp "$MESHD" /run/meshd.copy && out=$(in_ns a setpriv --reuid 65534 --clear-groups /run/meshd.copy init wa 2>&1) || [[ $out == meshd:* ]]; then
	like "init by somebody who may not says so" "$out" '^meshd: /etc/meshd: Permission denied'
else
	skip "init by somebody who may not says so" "no setpriv: $out"
fi
rm -f /run/meshd.copy
out=$(m a init wa --mesh-name lab --node alpha --addr 10.7.0.1)
is "init succeeds" "$?" 0
is "  and says what to do next in three lines" "$(wc -l <<<"$out")" 3
for f in wa.conf wa.mesh wa.mesh-key; do is "  $f is ours alone" "$(stat -c %a:%U "/etc/meshd/$f")" 600:root; done
lacks "  the config has no Address of its own" "$(cat /etc/meshd/wa.conf)" Address
lacks "  no secret was shown" "$out" "$(cat /etc/meshd/wa.mesh-key)"
before=$(files_sum)
refused "init again" 'wa\.conf: is there already' a init wa
is "  and nothing has changed" "$(files_sum)" "$before"

# Killed before the config was there: the same keys in the end.
key=$(conf_key wa.conf) secret=$(cat /etc/meshd/wa.mesh-key)
mv /etc/meshd/wa.conf /etc/meshd/wa.init
check "init that was interrupted goes on" m a init wa --mesh-name lab --node alpha --addr 10.7.0.1
is "  with the same node key" "$(conf_key wa.conf)" "$key"
is "  and the same mesh key" "$(cat /etc/meshd/wa.mesh-key)" "$secret"
check_not "  and leaves nothing behind" test -e /etc/meshd/wa.init
mv /etc/meshd/wa.conf "$WORK/away"
refused "init where the config is gone, but not the mesh" 'wa\.mesh: is there already' a init wa
mv "$WORK/away" /etc/meshd/wa.conf

check "alpha comes up" up a wa || tap_done
like "  with the address its record says" "$(ip_ns a -o -4 address show dev wa)" 'inet 10\.7\.0\.1/32'
like "mesh lists it" "$(m a mesh wa)" 'alpha +[A-Za-z0-9+/]{8} +10\.7\.0\.1 +transit,signs +good +(1y|364d)'

# ---- Directly.
token=$(m a invite wa beta --addr 10.7.0.2 2>"$WORK/invite.err")
is "invite prints one line" "$(wc -l <<<"$token")" 1
like "  a token" "$token" '^meshd1:[A-Za-z0-9_-]+$'
is "  and beside it one for people" "$(wc -l <"$WORK/invite.err")" 1
refused "a second node of that address" 'address' a invite wa other --addr 10.7.0.1
refused "a wrong time" "'soon' is not a time" a invite wa other --expires soon
refused "a wrong role" "'king' is not" a invite wa other --role king

refused "a token with a slip of copying" '.' b join "${token%????}AAAA" wb
check_not "  leaves nothing" test -e /etc/meshd/wb.join

# Killed while the inviter is silent; then again. A firewall stands for a machine that is down.
in_ns a nft -f - <<-END
	table ip t {
		chain i { type filter hook input priority 0; udp dport 51820 drop; }
	}
END
start b "$WORK/join.log" "$MESHD" join "$token" wb
wait_for 5 test -s /etc/meshd/wb.join
sleep 0.5
stop "$STARTED" KILL
key=$(conf_key wb.join)
like "join that was killed has kept its key" "$key" '^[A-Za-z0-9+/]{43}=$'
is "  for itself" "$(stat -c %a:%U /etc/meshd/wb.join)" 600:root
check_not "  and has written no config" test -e /etc/meshd/wb.conf
in_ns a nft delete table ip t
cp -a /etc/meshd/wb.join "$WORK/wb.join"
check "join again" m b join "$token" wb
is "  with that key" "$(conf_key wb.conf)" "$key"
check_not "  and nothing is left of the attempt" test -e /etc/meshd/wb.join
check "beta comes up" up b wb
check "  and reaches alpha" reach b 10.7.0.1
check "  and alpha beta" pings a 10.7.0.2

# A node of the mesh is not wg's to remove: what was set for it goes, and it stays, with its session.
beta=$(conf_key wb.conf | wg pubkey)
shown() { in_ns a wg show wa "$1" | grep -F "$beta" | cut -f2; } # WHAT
session=$(shown latest-handshakes)
start a "$WORK/ping.log" ping -n -q -i 0.02 -c 100 -w 10 10.7.0.2
pinger=$STARTED
check "wg sets something for it" in_ns a wg set wa peer "$beta" persistent-keepalive 7 endpoint 10.9.0.2:51820
is "  which is so" "$(shown persistent-keepalive)" 7
check "wg removes it" in_ns a wg set wa peer "$beta" remove
is "  what was set is gone" "$(shown persistent-keepalive)" off
check "wg removes it again" in_ns a wg set wa peer "$beta" remove
check "  and what wg was not told of with the rest, by syncconf" bash -c "ip netns exec $NS_PREFIX-a wg showconf wa | sed '/^\[Peer/,\$d' >'$WORK/sync' && ip netns exec $NS_PREFIX-a wg syncconf wa '$WORK/sync'"
is "  it has the session it had" "$(shown latest-handshakes)" "$session"
wait_for 20 gone "$pinger"
is "  pings at 20 ms that were lost meanwhile" $(($(pings_sent "$WORK/ping.log") - $(pings_answered "$WORK/ping.log"))) 0
is "  and it is a node still" "$(m a peers wa --json | jq -r --arg k "$beta" '[.peers[] | select(.public_key == $k) | .allowed_auto] | tostring')" '[true]'

# Killed after the inviter had answered: it answers the same.
mkdir "$WORK/done" && mv /etc/meshd/wb.conf /etc/meshd/wb.mesh "$WORK/done"
cp -a "$WORK/wb.join" /etc/meshd/
check "join that was killed later, again" m b join "$token" wb
is "  has the same key" "$(conf_key wb.conf)" "$key"
is "  and the same record" "$(m a mesh wa --json | jq '[.nodes[] | select(.name == "beta")] | length')" 1
cp -a "$WORK/wb.join" /etc/meshd/
check "  also when only its own file was left" m b join "$token" wb
check_not "  which is gone then" test -e /etc/meshd/wb.join
rm /etc/meshd/wb.conf
head -c 20 "$WORK/wb.join" >/etc/meshd/wb.join
refused "a damaged NAME.join" 'wb\.join: is damaged' b join "$token" wb
rm /etc/meshd/wb.join
mv "$WORK/done"/* /etc/meshd/
refused "a used token with another key" 'refused: the invitation has been used' b join "$token" wx
rm -f /etc/meshd/wx.join
refused "join where there is a config" 'wb\.conf: is there already' b join "$token" wb

# ---- By way of another node: gamma reaches beta only, and beta may not invite.
refused "beta may not invite" 'may not sign' b invite wb gamma
check "beta tells where it is" wait_for 15 bash -c "[[ \$(ip netns exec $NS_PREFIX-a '$MESHD' mesh wa --json | jq '[.nodes[] | select(.name == \"beta\") | .endpoints[]] | length') -ge 2 ]]"
token=$(m a invite wa gamma --addr 10.7.0.3 --role none 2>/dev/null)
out=$(m c join "$token" wc 2>&1)
is "gamma joins by way of beta" "$?" 0 || note "$out"
like "  and is told" "$out" 'This is gamma of the mesh lab'
check "gamma comes up" up c wc
check "  and reaches alpha" reach c 10.7.0.1 15

# ---- As a file, which has the other nodes as well; and what joins by it may be called what one likes.
check "invite into a file" bash -c "ip netns exec $NS_PREFIX-a '$MESHD' invite wa theta --file '$WORK/theta' >/dev/null 2>&1"
is "  that is ours alone" "$(stat -c %a "$WORK/theta")" 600
like "  and says what it is" "$(head -1 "$WORK/theta")" 'BEGIN MESHD INVITATION'
lacks "  export has no token in it" "$(m a export wa)" INVITATION
check "join by it, read from standard input" bash -c "ip netns exec $NS_PREFIX-d '$MESHD' join - wt <'$WORK/theta'"
like "  knows all nodes before it is up" "$(grep ^Nodes /etc/meshd/wt.mesh)" 'Nodes: 4'

# ---- What comes too late, or never.
token=$(m a invite wa late --valid 1s 2>/dev/null)
sleep 2.2
refused "an expired token" 'has expired' d join "$token" wd
token=$(m a invite wa eta 2>/dev/null)
start e "$WORK/silent.log" "$MESHD" join "$token" wd
silent_pid=$STARTED

# ---- Offline: nothing but files between them.
check "export" bash -c "ip netns exec $NS_PREFIX-a '$MESHD' export wa >'$WORK/lab.mesh'"
like "  armoured" "$(head -1 "$WORK/lab.mesh")" 'BEGIN MESHD MESH'
m c join --request wo --file "$WORK/lab.mesh" >"$WORK/request" 2>/dev/null
like "a request" "$(head -1 "$WORK/request")" 'BEGIN MESHD JOIN REQUEST'
m c join --request wo >"$WORK/request2" 2>/dev/null
is "  asked for again is of the same key" "$(grep ^Key "$WORK/request2")" "$(grep ^Key "$WORK/request")"
check "  is signed" bash -c "ip netns exec $NS_PREFIX-a '$MESHD' invite wa omega --addr 10.7.0.9 --sign '$WORK/request' >'$WORK/answer'"
check "  also one that was made without the mesh's file" bash -c "ip netns exec $NS_PREFIX-a '$MESHD' invite wa omega --sign '$WORK/request2' >'$WORK/answer2'"
refused "what is no request" '.' a invite wa nobody --sign "$WORK/lab.mesh"
refused "a file without our record" 'no invitation, and no record' c join "$WORK/lab.mesh" wo
check "the answer makes it a node" m c join "$WORK/answer" wo
check "  with a config" test -s /etc/meshd/wo.conf
check_not "  and nothing is left of the request" test -e /etc/meshd/wo.join

# ---- Import.
like "import says what is new" "$(m a import "$WORK/answer" wa)" 'wa: 0 new, [0-9]+ known'
check "import where nothing runs goes into the file" m d import "$WORK/answer" wt
like "  which has one more then" "$(grep ^Nodes /etc/meshd/wt.mesh)" 'Nodes: 5'
check "binary, of some nodes" bash -c "ip netns exec $NS_PREFIX-a '$MESHD' export wa --binary alpha $(m a mesh wa --json | jq -r '.nodes[] | select(.name == "beta") | .public_key') >'$WORK/binary'"
is "  has a head of its own" "$(head -c 5 "$WORK/binary")" meshd
like "  and is taken" "$(m b import "$WORK/binary" wb)" 'wb: 0 new'
refused "export of nobody" "'nobody' is no node" a export wa nobody
sed 's/^\(.\{20\}\)./\1A/' "$WORK/answer" >"$WORK/damaged"
refused "a damaged file" '.' a import "$WORK/damaged" wa
m d init foreign --node x >/dev/null
refused "a file of another mesh" 'mesh' a import /etc/meshd/foreign.mesh wa
rm /etc/meshd/foreign.*

# ---- A lost machine.
old=$(m a mesh wa --json | jq -r '.nodes[] | select(.name == "omega") | .public_key')
rm /etc/meshd/wo.*
token=$(m a invite wa omega --replace 2>/dev/null)
check "a machine takes another's place" m c join "$token" wo
new=$(m a mesh wa --json | jq -r '.nodes[] | select(.name == "omega" and .standing == "good") | .public_key')
like "  with a key of its own" "$new" '^[A-Za-z0-9+/]{43}=$'
unlike "  not the old one" "$new" "^${old//+/\\+}"
contains "  and the old one's address" "$(m a mesh wa --json | jq -r --arg k "$new" '.nodes[] | select(.public_key == $k) | .addresses[]')" 10.7.0.9
is "  while that is out" "$(m a mesh wa --json | jq -r --arg k "$old" '.nodes[] | select(.public_key == $k) | .standing')" revoked

# ---- Delegates, and another key of the mesh.
check "alpha has beta invite" m a invite wa beta --delegate
check "  which beta hears of" wait_for 10 bash -c "ip netns exec $NS_PREFIX-b '$MESHD' mesh wb --json | jq -e .may_sign"
token=$(m b invite wb zeta 2>/dev/null)
like "  and can" "$token" ^meshd1:
check "renew" m a invite wa gamma --renew --role transit --expires 30d
like "  changes the record" "$(m a mesh wa)" 'gamma +[^ ]+ +10\.7\.0\.3 +transit +good +(30d|29d)'
check "alpha has omega invite" m a invite wa omega --delegate
check "  and no more" m a revoke wa --delegate omega
is "  as mesh says" "$(m a mesh wa --json | jq '.nodes[] | select(.name == "omega" and .standing == "good") | .signs')" false
refused "omega once more" 'must not be one again' a invite wa omega --delegate
refused "somebody who is none" 'is no delegate' a revoke wa --delegate gamma
secret=$(cat /etc/meshd/wa.mesh-key)
check "another key for the mesh" m a init wa --rotate --overlap 10d
unlike "  takes the old one's place" "$(cat /etc/meshd/wa.mesh-key)" "^${secret//+/\\+}"
check_not "  and nothing is left over" test -e /etc/meshd/wa.mesh-key.new
is "  alpha is good by it" "$(standing a wa alpha)" good
check "  it can delegate" m a invite wa gamma --delegate

# ---- Names, wherever a peer is asked for.
like "paths by a node's name" "$(m a paths wa beta)" 'beta'
like "peers have names" "$(m a peers wa)" 'beta +up, backbone'

# ---- Out.
out=$(m a revoke wa gamma --reason "lost on a train")
is "revoke by name" "$?" 0
like "  warns of what is left to a delegate" "$out" "may sign .* revoke wa --delegate gamma"
check "  gamma hears of it itself" wait_for 5 has_standing c wc gamma revoked
refused "  and cannot invite to where it is not" 'not in good standing itself' c invite wc nobody
check "  its right to sign can be taken as well" m a revoke wa --delegate gamma
check "  is heard by beta" wait_for 5 has_standing b wb gamma revoked
check "  and gamma is not reached any more" silent a 10.7.0.3
refused "who is not there" 'no such node' a revoke wa nobody

# ---- A phone.
if [[ -n $GO ]]; then
	m b invite wb phone --plain --addr 10.7.0.50 --endpoint 10.6.0.2:51820 --allowed 10.99.0.0/16 >"$WORK/phone.conf" 2>"$WORK/phone.err"
	is "a plain device has a config of its own" "$?" 0 || note "$(cat "$WORK/phone.err")"
	contains "  with the address" "$(cat "$WORK/phone.conf")" "Address = 10.7.0.50/32"
	contains "  and what was said to be reached through it" "$(cat "$WORK/phone.conf")" 10.99.0.0/16
	sed '/^Address/d; /^#/d' "$WORK/phone.conf" >"$WORK/phone.wg"
	bare d phone "$GO" && in_ns d wg setconf phone "$WORK/phone.wg" &&
		ip_ns d address add 10.7.0.50/32 dev phone && ip_ns d link set phone mtu 1420 up && ip_ns d route add 10.7.0.0/24 dev phone
	check "  reaches its gateway" reach d 10.7.0.2
	check "  and a node behind that" reach d 10.7.0.1 15
	check "  and is reached" pings a 10.7.0.50
	like "  mesh says what it is" "$(m a mesh wa)" 'phone +[^ ]+ +10\.7\.0\.50 +plain +good'
else
	skip "a plain device" "no wireguard-go"
fi

# ---- QR codes.
out=$(m a invite wa qr --qr 2>&1)
if [[ $out == *"without libqrencode"* ]]; then
	skip "QR codes" "built without"
else
	contains "a token as a QR code" "$out" $'\xe2\x96\x88\xe2\x96\x88'
	like "  and as text" "$out" meshd1:
fi

# ---- A crowd: one after the other, and none waits for what is left of those before; nor does who comes with a used token, from next to the inviter.
crowd=0
began=$SECONDS
for i in {1..20}; do
	token=$(m a invite wa "crowd$i" 2>/dev/null)
	in_ns b timeout 20 "$MESHD" join "$token" "wk$i" >/dev/null 2>&1 </dev/null && crowd=$((crowd + 1))
	rm -f "/etc/meshd/wk$i".*
done
is "twenty machines join in a row" "$crowd" 20
check "  and none of them waits" test $((SECONDS - began)) -le 40
for n in a b; do refused "the last one's token once more, in $n" 'refused: the invitation has been used' "$n" join "$token" "wz$n"; done

# The silent one: within a minute, with who was asked.
check "join that nobody answers ends" wait_for 65 gone "$silent_pid"
like "  and says whom it has asked" "$(tail -1 "$WORK/silent.log")" 'no answer within 60 s; tried 10\.9\.0\.1:51820'
is "  in one line" "$(wc -l <"$WORK/silent.log")" 1
for n in a:wa b:wb c:wc; do check "${n#*:} goes down" m "${n%:*}" down "${n#*:}"; done
tap_done
