#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The files of a node of a mesh: kept current, whole at whatever moment it is killed, refused when they are damaged, and left alone when they
# are somebody's own. Stage: one node, whose mesh grows by plain devices.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

ns_add a b
veth a ea b eb
address a ea 10.9.0.1/24
FILE=/etc/meshd/wga.mesh
CONF=/etc/meshd/wga.conf
HOSTS=/run/wga.hosts
ISSUED=/var/lib/meshd/wga.invitations

m() { # NS COMMAND...: a command of meshd's there
	local n=$1
	shift
	in_ns "$n" timeout 20 "$MESHD" "$@" </dev/null
}
nodes() { count "$FILE"; }
count() { sed -n 's/^Nodes: //p' "$1"; }
has_nodes() { (($(nodes) == $1)); }
grow() { m a invite wga --plain "$1" --endpoint 192.0.2.1:51820 >/dev/null; }
addresses() { ip_ns a -o address show dev wga | grep -o 'inet6* [^ ]*' | grep -v fe80 | sort | xargs; }
one_line() { # WHAT STATUS FILE-WITH-STDERR PATTERN
	is "$1: exit status" "$2" 1
	like "  on one line, with the file and the reason" "$(cat "$3")" "$4"
	is "  and no more" "$(grep -c '' "$3")" 1
}

check "a mesh is made" m a init wga --mesh-name home --node north --addr 10.7.0.1 --port 51820 || tap_done
printf '%s\n' "HostsFile = $HOSTS" >"$WORK/hosts-line"
sed -i "/^File/r $WORK/hosts-line" "$CONF"
check "up" m a up wga || tap_done
like "the record's addresses are on the interface" "$(addresses)" '^inet 10\.7\.0\.1/32 inet6 fd[0-9a-f:]*/128$'
like "Babel runs, without a section for it" "$(m a routes wga --json | jq '.speakers[0].router_id')" '"'
like "status tells of the mesh" "$(m a status wga)" 'mesh +home: 1 node; 0 of 0 neighbours in step'
is "  in JSON, too" "$(status a wga '.mesh | "\(.name) \(.nodes_good)"')" "home 1"
is "the file is root's alone" "$(stat -c '%a %u' "$FILE")" "600 0"

# What is learnt is written, soon if not at once.
check "a device is invited" grow phone1
check "  and written within seconds" wait_for 8 has_nodes 2
check "names are in the hosts file" grep -q $'\tnorth north.home$' "$HOSTS"
check "  that of the device soon, too" wait_for 8 grep -q phone1 "$HOSTS"
is "  which everybody may read" "$(stat -c %a "$HOSTS")" 644
rm "$FILE" "$HOSTS"
check "  files that are removed are written again" wait_for 20 has_nodes 2
check "  with names" wait_for 20 grep -q phone1 "$HOSTS"
check "another device" grow phone2
check "down" m a down wga
check "  writes what was not written yet" has_nodes 3
check_not "  and removes the hosts file" test -e "$HOSTS"
check "invited with a token" m a up wga
m a invite wga west >"$WORK/token" 2>/dev/null
check "  it is remembered" test -s "$ISSUED"
is "  by root alone" "$(stat -c %a "$ISSUED")" 600
m a down wga

# What an operator decides is in the file before it is said to be done.
standing() { m a mesh wga --json | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .standing'; }
m a up wga
check "a device more" grow phone3
is "  is in the file at once" "$(nodes)" 4
check "  and put out" m a revoke wga phone3
pids=("$(parent_pid wga)" "$(daemon_pid wga)")
kill -KILL "${pids[@]}"
wait_for 5 gone "${pids[1]}"
m a up wga
is "  is out after a crash right after that" "$(standing phone3)" revoked
m a down wga

# The disk is full.
cp -a /etc/meshd "$WORK/meshd"
mount -t tmpfs -o size=20k,mode=0700 tmpfs /etc/meshd
cp -a "$WORK/meshd/." /etc/meshd/
m a up wga
dd if=/dev/zero of=/etc/meshd/fill bs=1k count=64 2>/dev/null
m a revoke wga phone2 >"$WORK/out" 2>"$WORK/err"
one_line "put out while the disk is full" "$?" "$WORK/err" '^meshd: wga: it counts from now on, but is forgotten .* /etc/meshd/wga\.mesh cannot be written \(No space'
is "  it is out" "$(standing phone2)" revoked
rm /etc/meshd/fill
sleep 11 # the pause to the next attempt
pids=("$(parent_pid wga)" "$(daemon_pid wga)")
kill -KILL "${pids[@]}"
wait_for 5 gone "${pids[1]}"
m a up wga
is "with room again it is written by itself" "$(standing phone2)" revoked
m a down wga
umount /etc/meshd

# A hosts file that is not ours.
printf '127.0.0.1 localhost\n' >"$HOSTS"
check "up with a hosts file of somebody else's" m a up wga
is "  it is left alone" "$(cat "$HOSTS")" "127.0.0.1 localhost"
m a down wga
is "  at the end, too" "$(cat "$HOSTS")" "127.0.0.1 localhost"
rm "$HOSTS"

# Damage.
cp "$FILE" "$WORK/good.mesh"
damaged() { # WHAT
	m a up wga >"$WORK/out" 2>"$WORK/err"
	one_line "$1" "$?" "$WORK/err" '^meshd: wga: \[Mesh\] File: /etc/meshd/wga\.mesh: .'
	check "  and nothing is left behind" traceless a wga
	cp "$WORK/good.mesh" "$FILE"
}
head -c $(($(stat -c %s "$WORK/good.mesh") / 2)) "$WORK/good.mesh" >"$FILE"
damaged "a file cut in half"
: >"$FILE"
damaged "an empty file"
sed -i '6s/./A/3; 6s/./B/4' "$FILE"
cmp -s "$FILE" "$WORK/good.mesh" && sed -i '6s/./C/3' "$FILE"
damaged "a file with a wrong character"
rm "$FILE"
damaged "no file"

# Reload.
check "up again" m a up wga
cp "$WORK/good.mesh" /etc/meshd/other.mesh
sed -i 's/^File = .*/File = other.mesh/' "$CONF"
check "reload with the file elsewhere" m a reload wga
echo damaged >/etc/meshd/other.mesh
m a reload wga >"$WORK/out" 2>"$WORK/err"
one_line "reload with a damaged file" "$?" "$WORK/err" '^meshd: wga: \[Mesh\] File: /etc/meshd/other\.mesh: .'
check "another mesh" m b init wgb --mesh-name away --node far --port 51820
cp /etc/meshd/wgb.mesh /etc/meshd/other.mesh
m a reload wga >"$WORK/out" 2>"$WORK/err"
one_line "reload with another mesh's" "$?" "$WORK/err" 'other\.mesh: it is of another mesh'
sed -i '/^\[Mesh\]/d; /^File/d; /^HostsFile/d' "$CONF"
m a reload wga >"$WORK/out" 2>"$WORK/err"
one_line "reload without a mesh" "$?" "$WORK/err" 'to enter or leave a mesh'
is "the mesh goes on" "$(status a wga .mesh.name)" home
m a down wga
printf '[Mesh]\nFile = wga.mesh\n' >>"$CONF"
rm -f /etc/meshd/wgb.* /etc/meshd/other.mesh

# Killed while it writes: what is there is the old file or the new one. A reload with another File writes that at once, with what both have, so that
# two take turns.
ended=0 whole=0 kept=0 written=0 other=/etc/meshd/other.mesh
cp "$FILE" "$other"
for ((i = 0; i < 24; i++)); do
	m a up wga >"$WORK/out" 2>&1 && whole=$((whole + 1))
	pids=("$(parent_pid wga)" "$(daemon_pid wga)")
	grow "killed$i"
	old=$(count "$other") new=$(status a wga .mesh.nodes_good)
	sed -i "s,^File = .*,File = $other," "$CONF"
	m a reload wga >/dev/null 2>&1 &
	sleep "0.0$((i % 24 + 10))"
	kill -KILL "${pids[@]}"
	wait_for 5 gone "${pids[1]}" && ended=$((ended + 1))
	wait $!
	now=$(count "$other")
	if ((now == old || now >= new)); then kept=$((kept + 1)); else note "round $i: $now nodes, neither $old nor $new"; fi
	((now > old)) && written=$((written + 1))
	if [[ $other == "$FILE" ]]; then other=/etc/meshd/other.mesh; else other=$FILE; fi
done 2>/dev/null
is "it came up after every kill" "$whole" 24
is "  having been killed every time" "$ended" 24
is "each file was the old one or the new one" "$kept" 24
note "$written of them were the new one"
check "up for the last time" m a up wga
m a down wga
tap_done
