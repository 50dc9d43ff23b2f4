# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# TAP for shell scripts: every check is one line "ok N - what", "not ok N - what" or "ok N - what # SKIP reason";
# what a failed command said follows as comments. tap_done prints the plan, so a script that died has none.

TAP_COUNT=0
TAP_FAILED=0

# A comment, any number of lines.
note() { printf '%s\n' "$*" | sed 's/^/# /'; }

pass() {
	TAP_COUNT=$((TAP_COUNT + 1))
	printf 'ok %d - %s\n' "$TAP_COUNT" "$1"
}

# fail WHAT [DIAGNOSTICS]
fail() {
	TAP_COUNT=$((TAP_COUNT + 1))
	TAP_FAILED=$((TAP_FAILED + 1))
	printf 'not ok %d - %s\n' "$TAP_COUNT" "$1"
	[[ -z ${2:-} ]] || note "$2"
}

# skip WHAT REASON
skip() {
	TAP_COUNT=$((TAP_COUNT + 1))
	printf 'ok %d - %s # SKIP %s\n' "$TAP_COUNT" "$1" "$2"
}

# check WHAT COMMAND...: passes when the command does. Its output is shown when it does not.
check() {
	local what=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	if ((status == 0)); then
		pass "$what"
		return 0
	fi
	fail "$what" "$(printf '%s: exit status %d\n%s' "$*" "$status" "$(head -n 60 <<<"$out")")"
	return 1
}

# check_not WHAT COMMAND...: passes when the command fails (but could be run).
check_not() {
	local what=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	if ((status != 0 && status < 126)); then
		pass "$what"
		return 0
	fi
	fail "$what" "$(printf '%s: exit status %d, should have failed\n%s' "$*" "$status" "$(head -n 60 <<<"$out")")"
	return 1
}

# is WHAT GOT WANTED
is() {
	if [[ $2 == "$3" ]]; then
		pass "$1"
		return 0
	fi
	fail "$1" "$(printf 'got:    %s\nwanted: %s' "$2" "$3")"
	return 1
}

# like WHAT GOT REGEX (extended)
like() {
	if [[ $2 =~ $3 ]]; then
		pass "$1"
		return 0
	fi
	fail "$1" "$(printf 'got:     %s\npattern: %s' "$2" "$3")"
	return 1
}

# unlike WHAT GOT REGEX
unlike() {
	if [[ ! $2 =~ $3 ]]; then
		pass "$1"
		return 0
	fi
	fail "$1" "$(printf 'got:         %s\nbut pattern: %s' "$2" "$3")"
	return 1
}

# contains WHAT GOT TEXT, lacks WHAT GOT TEXT: as it stands, no pattern (keys have + in them)
contains() {
	if [[ $2 == *"$3"* ]]; then
		pass "$1"
		return 0
	fi
	fail "$1" "$(printf 'got:    %s\nlacks: %s' "$2" "$3")"
	return 1
}

lacks() {
	if [[ $2 != *"$3"* ]]; then
		pass "$1"
		return 0
	fi
	fail "$1" "$(printf 'got:       %s\ncontains: %s' "$2" "$3")"
	return 1
}

# at_most WHAT GOT LIMIT / at_least WHAT GOT LIMIT: whole numbers.
at_most() {
	if [[ $2 =~ ^-?[0-9]+$ ]] && (($2 <= $3)); then
		pass "$1 ($2, at most $3)"
		return 0
	fi
	fail "$1" "$(printf 'got:     %s\nat most: %s' "$2" "$3")"
	return 1
}

at_least() {
	if [[ $2 =~ ^-?[0-9]+$ ]] && (($2 >= $3)); then
		pass "$1 ($2, at least $3)"
		return 0
	fi
	fail "$1" "$(printf 'got:      %s\nat least: %s' "$2" "$3")"
	return 1
}

# Skip the whole script: one line with the reason, exit 77.
skip_all() {
	printf '1..0 # SKIP %s\n' "$*"
	exit 77
}

# The plan and the exit status. The last line of every script.
tap_done() {
	printf '1..%d\n' "$TAP_COUNT"
	exit $((TAP_FAILED > 0))
}
