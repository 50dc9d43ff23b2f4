# shellcheck shell=bash disable=SC2034 # the package lists are read through a name
# SPDX-License-Identifier: MIT
# What contrib/demo and contrib/check share: packages, a copy of the sources, a build, and saying what is done.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Package names by system, in the same order: what building takes, and what the demo takes on top.
BUILD_DEBIAN=(gcc libc6-dev make autoconf automake pkg-config libsodium-dev libev-dev libmnl-dev libprotobuf-c-dev
	protobuf-c-compiler libgcrypt20-dev libqrencode-dev)
BUILD_FEDORA=(gcc make autoconf automake pkgconf-pkg-config libsodium-devel libev-devel libmnl-devel protobuf-c-devel
	protobuf-c-compiler libgcrypt-devel qrencode-devel)
BUILD_ALPINE=(bash gcc musl-dev make autoconf automake pkgconf libsodium-dev libev-dev libmnl-dev linux-headers protobuf-c-dev
	protobuf-c-compiler libgcrypt-dev libqrencode-dev)
BUILD_ARCH=(gcc make autoconf automake pkgconf libsodium libev libmnl protobuf-c libgcrypt qrencode)
DEMO_DEBIAN=(iproute2 iputils-ping wireguard-tools procps)
DEMO_FEDORA=(iproute iputils wireguard-tools procps-ng)
DEMO_ALPINE=(iproute2 iputils wireguard-tools procps)
DEMO_ARCH=(iproute2 iputils wireguard-tools procps-ng)

die() {
	echo "$*" >&2
	exit 1
}

# Print a command as wg-quick does, and run it.
cmd() {
	printf '[#] %s\n' "$*"
	"$@"
}

need_root() { ((EUID == 0)) || die "${0##*/}: must be root (network namespaces, TUN devices): sudo contrib/${0##*/}"; }

# packages_install LIST-NAME...: install what is missing of BUILD, DEMO...; only apt is driven, for others the command is printed.
packages_install() {
	local list suffix installer p
	local -a names=() missing=()
	if command -v apt-get >/dev/null; then
		suffix=DEBIAN installer="apt-get install"
	elif command -v dnf >/dev/null; then
		suffix=FEDORA installer="dnf install"
	elif command -v apk >/dev/null; then
		suffix=ALPINE installer="apk add"
	elif command -v pacman >/dev/null; then
		suffix=ARCH installer="pacman -S --needed"
	else
		echo "No package manager that is known here; going on with what is installed."
		return 0
	fi
	for list in "$@"; do
		local -n packages=${list}_$suffix
		names+=("${packages[@]}")
	done
	if [[ $suffix != DEBIAN ]]; then
		printf 'Going on with what is installed. If something is missing:\n\n    %s %s\n\n' "$installer" "${names[*]}"
		return 0
	fi
	for p in "${names[@]}"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^.i' || missing+=("$p")
	done
	((${#missing[@]})) || return 0
	export DEBIAN_FRONTEND=noninteractive
	cmd apt-get update -q || echo "(package lists could not be refreshed; trying with the old ones)"
	cmd apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# source_copy DIRECTORY: the sources as they are now, without what earlier builds left, so that nothing is written to the tree.
source_copy() {
	mkdir -p "$1"
	if git -c safe.directory='*' -C "$TOP" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		# Files that are deleted but not committed are listed and missing.
		(cd "$TOP" && git -c safe.directory='*' ls-files -z -c -o --exclude-standard |
			while IFS= read -r -d '' f; do [[ ! -e $f && ! -L $f ]] || printf '%s\0' "$f"; done |
			tar --null --no-recursion -T - -cf -) | tar -C "$1" --no-same-owner -xf -
	else
		tar -C "$TOP" --exclude=.git --exclude='*.o' --exclude='*.a' --exclude=config.status --exclude=./Makefile -cf - . |
			tar -C "$1" --no-same-owner -xf -
	fi
}

jobs_count() { nproc 2>/dev/null || echo 2; }
