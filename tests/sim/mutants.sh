#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Whether the Babel simulator bites: speakers that lack one thing the protocol rests on are built from a changed copy of the source, and
# must be caught within a million events; the unchanged copy must not. A change that does not apply is a failure. Prints TAP.
set -u
# shellcheck source=tests/lib/tap.sh
. "${srcdir:-.}/tests/lib/tap.sh"
top=$(cd "${srcdir:-.}" && pwd)
build=$(cd "${builddir:-.}" && pwd)
events=${BABEL_MUTANT_EVENTS:-1000000}
# shellcheck disable=SC2206 # words
libs=(${CORE_LIBS:-$(sed -nE 's/^(SODIUM_LIBS|AEAD_LIBS) = //p' "$build/Makefile")})
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# copy NAME: the speaker's source, to be changed.
copy() {
	mkdir -p "$work/$1/src" && cp -r "$top/src/babel" "$work/$1/src/"
}

# mutate NAME FILE OLD NEW: exactly one place of the file is changed.
mutate() {
	local file=$work/$1/src/babel/$2 count
	count=$(grep -cF -- "$3" "$file")
	if [[ $count != 1 ]]; then
		echo "\"$3\" is $count times in $2, not once"
		return 1
	fi
	OLD=$3 NEW=$4 perl -pi -e 's/\Q$ENV{OLD}\E/$ENV{NEW}/' "$file" && ! cmp -s "$file" "$top/src/babel/$2"
}

# build NAME: the simulator with that speaker.
build_sim() {
	local dir=$work/$1
	"${CC:-cc}" -std=c11 -O2 -w -I"$dir/src" -I"$top/src" -I"$build" -I"$top/tests/sim" -o "$dir/sim" \
		"$top"/tests/sim/babel_{chaos,long,settled,trace,watch,world}.c "$dir"/src/babel/*.c "$build/libmeshcore.a" "${libs[@]}"
}

# A simulator that says "seed" is one that saw a violation: one that crashes has shown something else.
run_sim() {
	timeout 300 "$work/$1/sim" "$events" 20 1
}

control() {
	copy control && build_sim control && run_sim control
}

caught() {
	local out status=0
	out=$(run_sim "$1" 2>&1) || status=$?
	note "$1: $(grep -m 1 '^# seed' <<<"$out")"
	[[ $status == 1 ]] && grep -q '^# seed' <<<"$out"
}

check "the speaker as it is: $events events without a violation" control

# made NAME FILE OLD NEW
made() {
	copy "$1" && mutate "$@" && build_sim "$1"
}

# mutant NAME WHAT FILE OLD NEW
mutant() {
	local name=$1 what=$2
	shift 2
	if check "$name: $what: it applies and builds" made "$name" "$@" && caught "$name"; then
		pass "$name: is caught"
	else
		fail "$name: is caught"
	fi
}

mutant feasibility "every route may be used" source.c \
	'	return !s || better(seqno, metric, s);' '	return true;'
mutant distance "what is announced is not recorded" announce.c \
	'	if (metric != BABEL_INFINITY && !source_record(b, p, prefix_seqno(b, p), metric))' '	if (false)'
mutant seqno "our seqno grows by two for a request" request.c \
	'	b->seqno++;' '	b->seqno += 2;'
mutant hold "what was lost is not held" select.c \
	'	p->held = true;' '	p->held = false;'
mutant trust "neighbours are trusted at once after an unclean start" neighbour.c \
	'	n->trusted = n->iface->babel->clean;' '	n->trusted = true;'
tap_done
