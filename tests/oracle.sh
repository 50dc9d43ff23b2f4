#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The handshake vectors the unit tests use are those of the independent implementation in contrib/oracle. Prints TAP.
set -u
cd "${srcdir:-.}" || exit 1

if ! command -v python3 >/dev/null; then
	echo "1..0 # SKIP python3 is not installed"
	exit 0
fi
echo 1..2
out=$(python3 contrib/oracle/wg_oracle.py --check 2>&1) && echo "ok 1 - the oracle passes its own vectors" || {
	echo "not ok 1 - the oracle passes its own vectors"
	sed 's/^/# /' <<<"$out"
}
if python3 contrib/oracle/wg_oracle.py --c-header - 2>/dev/null | cmp -s - tests/unit/handshake_vectors.h; then
	echo "ok 2 - tests/unit/handshake_vectors.h is what the oracle writes"
else
	echo "not ok 2 - tests/unit/handshake_vectors.h is what the oracle writes"
fi
