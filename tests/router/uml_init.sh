#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs as the first process of the user-mode Linux that router.sh boots: the router between two namespaces. ROUTER_DIR is on
# the kernel's command line; that directory of the host, which is seen here through hostfs, read-only, holds
#
#	config       ADDRESSES_A, ADDRESSES_B: of vec0 (toward A) and vec1 (toward B); MODULES: what to insert, in order;
#	             LIFE_S: how long it lives at most
#	command.N    scripts run here one after the other, as they appear; what they print goes to the console
#	stop         ends the router
#
# The console says "router: ready" and "router: command N done, STATUS" (on lines of their own).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
# shellcheck disable=SC1091 # made by router.sh
. "$ROUTER_DIR/config"
for module in $MODULES; do
	insmod "/usr/lib/uml/modules/$(uname -r)/kernel/$module.ko" || echo "router: no module $module"
done
ip link set lo up
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
for address in $ADDRESSES_A; do ip address add "$address" dev vec0; done
for address in $ADDRESSES_B; do ip address add "$address" dev vec1; done
ip link set vec0 up
ip link set vec1 up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
echo "router: ready"

n=1
while [ ! -e "$ROUTER_DIR/stop" ] && read -r up _ </proc/uptime && [ "${up%.*}" -lt "$LIFE_S" ]; do
	if [ -e "$ROUTER_DIR/command.$n" ]; then
		sh "$ROUTER_DIR/command.$n"
		echo "router: command $n done, $?"
		n=$((n + 1))
	else
		sleep 0.2
	fi
done
halt -f || echo o >/proc/sysrq-trigger
sleep 10
