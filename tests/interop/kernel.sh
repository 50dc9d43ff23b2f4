#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# meshd against WireGuard in the Linux kernel.
#
#	host:   qemu (software emulation), Debian's kernel, host's root read-only over 9p
#	guest:  tests/interop/kernel_guest.sh: namespaces, kernel WireGuard on one side, meshd on the other
#
# The guest's TAP lines come over the serial console. Skipped, with the reason, where qemu or the kernel cannot be had.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"

LIMIT_S=600
MODULES=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci netfs fscache
	9pnet 9pnet_virtio 9p overlay)

((EUID == 0)) || skip_all "not root"
[[ $(uname -m) == x86_64 ]] || skip_all "only for x86-64 ($(uname -m) here)"
if [[ -z ${MESHD:-} ]]; then
	if [[ -x ./meshd ]]; then MESHD=$PWD/meshd; else MESHD=$(command -v meshd || true); fi
fi
MESHD=$(readlink -f "${MESHD:-/nonexistent}")
[[ -x $MESHD ]] || skip_all "no meshd: build it, or set MESHD"
for p in qemu-system-x86_64 cpio depmod apt-get wg ip; do
	command -v "$p" >/dev/null || skip_all "no $p (packages qemu-system-x86 cpio kmod wireguard-tools iproute2; apt)"
done

cache=${MESHD_TEST_CACHE:-${XDG_CACHE_HOME:-/var/cache}/meshd-tests}
work=$(mktemp -d "${TMPDIR:-/tmp}/meshd-kernel.XXXXXX") || skip_all "no scratch directory"
qemu_pid=
cleanup() {
	trap - EXIT
	[[ -z $qemu_pid ]] || kill -KILL "$qemu_pid" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# package_get NAME: a Debian package unpacked in $cache/NAME.
package_get() {
	[[ ! -e $cache/$1/complete ]] || return 0
	install -d -m 0755 "$cache"
	rm -rf "${cache:?}/$1" "$work/deb"
	mkdir "$work/deb"
	(cd "$work/deb" && apt-get download "$1") >"$work/download.log" 2>&1 ||
		skip_all "cannot download $1: $(tail -n 1 "$work/download.log")"
	dpkg -x "$work"/deb/*.deb "$cache/$1" || skip_all "cannot unpack $1"
	rm -rf "$work/deb"
	touch "$cache/$1/complete"
}

# The newest Debian kernel, and a static busybox (installing one would replace the machine's own).
kernel_get() {
	package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
	if [[ -z $package ]]; then # no package lists: one fetched earlier will do
		package=$(find "$cache" -mindepth 1 -maxdepth 1 -type d -name 'linux-image-*' -printf '%f\n' 2>/dev/null | sort -V | tail -n 1)
		[[ -n $package ]] || skip_all "apt knows no linux-image-amd64 here"
	fi
	package_get "$package"
	package_get busybox-static
	version=${package#linux-image-}
	modules=$cache/$package/lib/modules/$version
	vmlinuz=$cache/$package/boot/vmlinuz-$version
	[[ -r $vmlinuz && -d $modules ]] || skip_all "$package holds no kernel we can use"
	if [[ ! -e $modules/pruned ]]; then # 300 MB of drivers the guest has no use for
		find "$modules/kernel/drivers" -mindepth 1 -maxdepth 1 ! -name net ! -name virtio -exec rm -rf {} +
		rm -rf "$modules"/kernel/drivers/net/{ethernet,wireless} "$modules/kernel/sound" "${cache:?}/$package/usr"
		depmod -b "$cache/$package" "$version" && touch "$modules/pruned"
	fi
}

# An initrd that mounts the host's root over 9p, puts a tmpfs over it and runs the guest script there.
initrd_make() {
	local m f tree=$work/initrd
	mkdir -p "$tree"/{bin,modules,host,rw,root,proc,dev}
	cp "$cache/busybox-static/bin/busybox" "$tree/bin/busybox"
	: >"$tree/modules/order"
	for m in "${MODULES[@]}"; do
		f=$(find "$modules" -name "$m.ko*" | head -n 1)
		[[ -n $f ]] || continue # built in
		case $f in
		*.xz) xz -dc "$f" >"$tree/modules/$m.ko" ;;
		*.zst) zstd -qdc "$f" >"$tree/modules/$m.ko" ;;
		*) cp "$f" "$tree/modules/$m.ko" ;;
		esac
		echo "$m" >>"$tree/modules/order"
	done
	cat >"$tree/init" <<-END
		#!/bin/busybox sh
		b=/bin/busybox
		\$b mount -t proc proc /proc
		\$b mount -t devtmpfs dev /dev
		for m in \$(\$b cat /modules/order); do \$b insmod /modules/\$m.ko || echo "# initrd: cannot insert \$m"; done
		\$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro host /host || echo "# initrd: no 9p"
		\$b mount -t tmpfs tmpfs /rw && \$b mkdir /rw/upper /rw/work
		\$b mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /root || echo "# initrd: no overlay"
		\$b umount /proc
		\$b mount --move /dev /root/dev
		exec \$b switch_root /root /bin/bash -c 'export MESHD="$MESHD" MODULES="$modules"; exec /bin/bash "$here/interop/kernel_guest.sh" >/dev/console 2>&1 </dev/null'
	END
	chmod 0755 "$tree/init"
	(cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initrd.gz"
}

kernel_get
initrd_make
note "kernel $version, $MESHD"

qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -kernel "$vmlinuz" -initrd "$work/initrd.gz" \
	-display none -no-reboot -nodefaults -serial stdio -monitor none \
	-fsdev local,id=h,path=/,security_model=none,multidevs=remap,readonly=on -device virtio-9p-pci,fsdev=h,mount_tag=host \
	-append "console=ttyS0 quiet loglevel=1 panic=-1" </dev/null >"$work/console" 2>"$work/qemu.log" &
qemu_pid=$!

# Pass the console's TAP lines on as they come, until the guest has powered off.
end=$((SECONDS + LIMIT_S))
shown=0
plan=
failed=0
while :; do
	running=yes
	kill -0 "$qemu_pid" 2>/dev/null || running=
	total=$(wc -l <"$work/console")
	if ((total > shown)); then
		while IFS= read -r line; do
			case $line in
			"not ok "*) failed=$((failed + 1)); echo "$line" ;;
			"ok "* | "#"*) echo "$line" ;;
			1..*) plan=$line ;;
			esac
		done < <(sed -n "$((shown + 1)),${total}p" "$work/console" | tr -d '\r')
		shown=$total
	fi
	[[ -n $running ]] || break
	if ((SECONDS > end)); then
		kill -KILL "$qemu_pid"
		break
	fi
	sleep 0.5
done
wait "$qemu_pid" 2>/dev/null
qemu_pid=
if [[ -z $plan ]]; then
	note "the guest printed no plan (limit $LIMIT_S s); the last it said:"
	note "$(tail -n 30 "$work/console" "$work/qemu.log" | tr -d '\r')"
	echo "Bail out! guest did not finish"
	exit 1
fi
echo "$plan"
exit $((failed > 0))
