#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Steady one-way UDP flows, and what becomes of them.

    udp_flows.py send ADDRESS PORT FLOWS SECONDS       a packet of 200 bytes each 20 ms to each of the ports PORT, PORT + 1, ...
    udp_flows.py receive PORT FLOWS SECONDS            a line for each: port, packets, longest pause and the last one's time, in ms

The receiver's seconds begin with the first packet.
"""
import select
import socket
import sys
import time

EVERY_S = 0.02


def send(address, port, flows, seconds):
    socks = [socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
    for i, s in enumerate(socks):
        s.connect((address, port + i))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for s in socks:
            try:
                s.send(bytes(200))
            except OSError:
                pass
        time.sleep(EVERY_S)


def receive(port, flows, seconds):
    socks = {}
    for i in range(flows):
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", port + i))
        socks[s] = port + i
    first = None
    last, pause, count = {}, dict.fromkeys(socks.values(), 0.0), dict.fromkeys(socks.values(), 0)
    while first is None or time.monotonic() - first < seconds:
        ready, _, _ = select.select(list(socks), [], [], 0.5 if first else 30)
        if not ready and first is None:
            break
        now = time.monotonic()
        first = first or now
        for s in ready:
            s.recv(2000)
            p = socks[s]
            pause[p] = max(pause[p], now - last.get(p, first))
            last[p] = now
            count[p] += 1
    for p in sorted(count):
        print(p, count[p], round(1000 * pause[p]), round(1000 * (last[p] - first)) if p in last else -1)


if sys.argv[1] == "send":
    send(sys.argv[2], *map(int, sys.argv[3:6]))
else:
    receive(*map(int, sys.argv[2:5]))
