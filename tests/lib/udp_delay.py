#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""udp_delay.py MS PORT ADDRESS PORT: pass datagrams on to ADDRESS and back to who sent last, MS milliseconds late each way."""
import collections
import select
import socket
import sys
import time

delay_s, port, address, far_port = int(sys.argv[1]) / 1000, int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
near.bind(("0.0.0.0", port))
far.connect((address, far_port))
client, waiting = None, collections.deque()
while True:
    timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    for s in select.select([near, far], [], [], timeout)[0]:
        try:
            if s is near:
                data, client = near.recvfrom(65535)
                waiting.append((time.monotonic() + delay_s, far, data))
            else:
                waiting.append((time.monotonic() + delay_s, near, far.recv(65535)))
        except OSError:         # nobody listens there yet
            continue
    while waiting and waiting[0][0] <= time.monotonic():
        _, out, data = waiting.popleft()
        try:
            if out is far:
                far.send(data)
            elif client:
                near.sendto(data, client)
        except OSError:
            pass
