#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every file of the fuzz corpora through its harness, without libFuzzer. Prints TAP.
set -u
corpora=${srcdir:-.}/tests/fuzz/corpus
n=0
for program in "${builddir:-.}"/tests/fuzz/replay_*; do
	[ -x "$program" ] && [ "${program%.o}" = "$program" ] || continue
	name=${program##*/replay_}
	n=$((n + 1))
	if out=$("$program" "$corpora/$name" 2>&1) && ! grep -q '^not ok' <<<"$out"; then
		echo "ok $n - $name: $(find "$corpora/$name" -type f | wc -l) inputs"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' <<<"$out"
	fi
done
echo "1..$n"
