#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The rules of the house that a program can hold: who may include whom, what the pure archive may ask of
# the system, the sizes of files and functions. Prints TAP. Run by "make check".
set -u
cd "${srcdir:-.}" || exit 1
top=$PWD
build=${builddir:-.}
n=0

# report WHAT OFFENDERS: passes when there are no offenders.
report() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		sed 's/^/# /' <<<"$2"
	fi
}

pure="base wire crypto transport flow path babel exchange node"

# DESIGN: base < wire, crypto < transport, flow, path, babel, exchange (never each other) < node < sys < cli.
may_include() {
	case $1 in
	base) echo "base" ;;
	wire) echo "base wire" ;;
	crypto) echo "base crypto" ;;
	transport | flow | path | babel) echo "base wire crypto $1" ;;
	exchange) echo "base wire crypto exchange proto" ;;
	node) echo "base wire crypto transport flow path babel exchange node" ;;
	sys) echo "base wire crypto transport flow path babel exchange node sys proto" ;;
	cli) echo "base wire crypto transport flow path babel exchange node sys cli proto" ;;
	esac
}

offenders=
for dir in $pure sys cli; do
	[ -d "src/$dir" ] || continue
	allowed=" $(may_include "$dir") "
	while IFS=: read -r file line text; do
		what=$(sed -E 's/.*"([^"/]*)\/.*/\1/' <<<"$text")
		[[ $allowed == *" $what "* ]] || offenders+="$file:$line: $text"$'\n'
	done < <(grep -rnE '^#include "[^"]*/' "src/$dir" --include='*.[ch]')
done
report "every include leads downwards" "${offenders%$'\n'}"

headers='stdatomic|stdint|stddef|stdbool|string|limits|inttypes|stdarg|stdlib|stdio|protobuf-c/protobuf-c|errno|assert|sodium|gcrypt|openssl/[a-z]+'
report "the pure core includes no system header with I/O in it" "$(
	for dir in $pure; do
		[ -d "src/$dir" ] && grep -rnE '^#include <' "src/$dir" --include='*.[ch]' | grep -vE "<($headers)\.h>"
	done
	grep -rnE '<(gcrypt|openssl/.*)\.h>' src | grep -v '^src/crypto/aead_'
	grep -rlE '<sodium\.h>' src | grep -vE '^src/(crypto/|base/hash\.c|sys/clock\.c)'
)"

# Every symbol the archive needs from outside must be on the list; a clock, a socket, a file, a lock is not.
allowed_symbols='^(bcmp|mem(cmp|cpy|chr|move|set)|str(len|cmp|ncmp|chr|cspn|spn|rchr)|[cm]alloc|realloc|free|abort|qsort|bsearch|vsnprintf|snprintf|__(mem|v?snprintf|str)[a-z]*_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|sodium_(init|memcmp|memzero|is_zero|bin2hex|hex2bin|bin2base64|base642bin)|crypto_(scalarmult|aead|auth_hmacsha256|shorthash|stream|onetimeauth)[a-z0-9_]*|crypto_sign_[a-z0-9_]*|protobuf_c_[a-z_]*|meshd__exchange__[a-z0-9_]*|gcry_(cipher|check|control|mpi|md)[a-z_]*|EVP_[A-Za-z0-9_]*|OSSL_[A-Za-z_]*)$'
n_undefined="the pure archive asks the system for memory and strings, and nothing else"
# (Sanitizers add symbols of their own, so their builds leave this to the plain one.)
if [ -n "${SANITIZERS:-}" ]; then
	echo "# sanitizers: symbols are looked at in the plain build"
elif [ ! -e "$build/libmeshcore.a" ]; then
	report "$n_undefined" "$build/libmeshcore.a has not been built"
else
	defined=$("${NM:-nm}" -g --defined-only "$build/libmeshcore.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
	undefined=$("${NM:-nm}" -gu "$build/libmeshcore.a" 2>/dev/null | awk 'NF == 2 { print $2 }' | sort -u)
	report "$n_undefined" "$(comm -13 <(echo "$defined") <(echo "$undefined") | grep -vE "$allowed_symbols")"
fi

cc=${CC:-cc}
report "every header stands by itself" "$(
	for header in $(find src -name '*.h' | sort); do
		case $header in
		src/sys/* | src/cli/*) flags=${SYS_CPPFLAGS:-"-D_GNU_SOURCE -I${srcdir:-$top}/src -I."} ;;
		*) flags=${PURE_CPPFLAGS:-"-I${srcdir:-$top}/src"} ;;
		esac
		# shellcheck disable=SC2086
		(cd "$build" && $cc -std=c11 $flags -fsyntax-only -x c "${srcdir:-$top}/$header" 2>&1 | head -3)
	done
)"

report "every source includes its own header first" "$(
	for source in $(find src -mindepth 2 -name '*.c' | sort); do
		[ -e "${source%.c}.h" ] || continue
		first=$(grep -m1 '^#include' "$source")
		[ "$first" = "#include \"${source#src/}" ] && continue
		[ "$first" = "#include \"${source#src/}\"" ] && continue
		[ "$first" = "#include \"$(sed 's|^src/||; s|\.c$|.h|' <<<"$source")\"" ] || echo "$source: $first"
	done
)"

report "no file has more than 900 lines" "$(
	find src tests -name '*.[ch]' ! -name handshake_vectors.h -print0 | xargs -0 wc -l | awk '$1 > 900 && $2 != "total" { print $2 ": " $1 " lines" }'
)"

report "no function has more than 80 lines" "$(
	find src -name '*.c' | sort | while read -r f; do
		awk -v f="$f" '/^[a-z].*\(/ && !/;[ \t]*$/ { name = $0 } /^\{/ { s = NR }
			/^\}/ { if (s && NR - s > 80) print f ":" s ": " NR - s " lines: " name; s = 0 }' "$f"
	done
)"

report "every source says its licence in the first line" "$(
	find src tests proto contrib -name '*.pb-c.[ch]' -o \( -name '*.[ch]' -o -name '*.proto' -o -name '*.sh' \) -print | sort | while read -r f; do
		head -2 "$f" | grep -q 'SPDX-License-Identifier: MIT' || echo "$f"
	done
)"

report "no struct typedefs" "$(grep -rnE '^typedef struct' src --include='*.[ch]')"

echo "1..$n"
