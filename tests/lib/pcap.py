#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tests want to know of the packets in a capture file, one line a packet:

    time source sport destination dport tos flow-label length protocol type word1 word2

The addresses, TOS (traffic class) and flow label are the outermost header's. length is the IP payload's. type is the first byte of a UDP
payload (of WireGuard: the message type), word1 and word2 the next but three and four bytes each, in hexadecimal: the sender index of types 1 and 2, the
receiver index of type 4, and of type 2 the receiver index. What is not there is 0. Ethernet and raw IP, as tcpdump writes them.
"""
import ipaddress
import struct
import sys

ETHERNET, RAW = 1, (12, 101)


def network(frame, link):
    """Strip the link layer. None: no IP."""
    if link in RAW:
        return frame
    if link == ETHERNET and frame[12:14] in (b"\x08\x00", b"\x86\xdd"):
        return frame[14:]
    return None


def ip(p):
    """(source, destination, tos, label, payload length, protocol, payload). None: cut short, or no IP."""
    if len(p) >= 20 and p[0] >> 4 == 4:
        head = (p[0] & 15) * 4
        return (ipaddress.ip_address(p[12:16]), ipaddress.ip_address(p[16:20]), p[1], 0,
                struct.unpack(">H", p[2:4])[0] - head, p[9], p[head:])
    if len(p) >= 40 and p[0] >> 4 == 6:
        first = struct.unpack(">I", p[:4])[0]
        return (ipaddress.ip_address(p[8:24]), ipaddress.ip_address(p[24:40]), first >> 20 & 255, first & 0xfffff,
                struct.unpack(">H", p[4:6])[0], p[6], p[40:])
    return None


def line(when, frame, link):
    packet = network(frame, link)
    found = ip(packet) if packet else None
    if not found:
        return
    source, destination, tos, label, length, protocol, rest = found
    sport = dport = kind = word1 = word2 = 0
    if protocol in (6, 17) and len(rest) >= 4:
        sport, dport = struct.unpack(">HH", rest[:4])
    if protocol == 17 and len(rest) >= 20:
        kind = rest[8]
        word1, word2 = struct.unpack("<II", rest[12:20])
    print(f"{when:.6f} {source} {sport} {destination} {dport} {tos} {label} {length} {protocol} {kind} {word1:08x} {word2:08x}")


def main(path):
    with open(path, "rb") as f:
        data = f.read()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    link = struct.unpack(order + "I", data[20:24])[0] & 0xffff
    at = 24
    while at + 16 <= len(data):
        seconds, micros, kept, _ = struct.unpack(order + "IIII", data[at:at + 16])
        if at + 16 + kept > len(data):
            break
        line(seconds + micros / 1e6, data[at + 16:at + 16 + kept], link)
        at += 16 + kept


main(sys.argv[1])
