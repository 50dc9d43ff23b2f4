#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A second opinion on WireGuard's handshake.

Written from the WireGuard whitepaper (Donenfeld, "WireGuard: Next Generation Kernel Network
Tunnel"), RFC 7748, RFC 8439 and draft-irtf-cfrg-xchacha-03, sharing no code with meshd:
X25519, ChaCha20, Poly1305 and XChaCha20 are spelled out below, BLAKE2s and HMAC come from
Python's standard library. Everything is deterministic: whatever would be random is an argument.

It is an oracle for tests. It is slow, not constant-time, and must never see a key that matters.
"""
import argparse
import hashlib
import hmac
import ipaddress
import json
import os
import struct
import sys

# --- X25519, RFC 7748 section 5 ------------------------------------------------------------------

P = 2**255 - 19


def clamp(scalar):
    b = bytearray(scalar)
    b[0] &= 248
    b[31] &= 127
    b[31] |= 64
    return bytes(b)


def x25519(scalar, point=b"\x09" + bytes(31)):
    """The Montgomery ladder, as the pseudocode of the RFC has it."""
    k = int.from_bytes(clamp(scalar), "little")
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        k_t = k >> t & 1
        if swap ^ k_t:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = k_t
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


# --- ChaCha20-Poly1305, RFC 8439; HChaCha20 and XChaCha20, draft-irtf-cfrg-xchacha-03 ------------


def _quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = s[x] + s[y] & 0xFFFFFFFF
        v = s[z] ^ s[x]
        s[z] = (v << n | v >> (32 - n)) & 0xFFFFFFFF


def _rounds(key, tail):
    """Initial state and the state after 20 rounds; 'tail' is the fourth row (counter and nonce)."""
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8L", key), *struct.unpack("<4L", tail)]
    s = list(start)
    for _ in range(10):
        for i in range(4):
            _quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            _quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return start, s


def chacha20_block(key, counter, nonce):
    start, s = _rounds(key, struct.pack("<L", counter) + nonce)
    return struct.pack("<16L", *((x + y) & 0xFFFFFFFF for x, y in zip(start, s)))


def chacha20(key, counter, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        stream = chacha20_block(key, counter + i // 64, nonce)
        out += bytes(x ^ y for x, y in zip(data[i:i + 64], stream))
    return bytes(out)


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(key[16:], "little")
    acc = 0
    for i in range(0, len(message), 16):
        acc = (acc + int.from_bytes(message[i:i + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return (acc + s & 2**128 - 1).to_bytes(16, "little")


def _tag(key, nonce, ciphertext, ad):
    def pad(x):
        return x + bytes(-len(x) % 16)
    one_time = chacha20_block(key, 0, nonce)[:32]
    return poly1305(one_time, pad(ad) + pad(ciphertext) + struct.pack("<QQ", len(ad), len(ciphertext)))


def seal(key, nonce, plain, ad=b""):
    ciphertext = chacha20(key, 1, nonce, plain)
    return ciphertext + _tag(key, nonce, ciphertext, ad)


def open_sealed(key, nonce, sealed, ad=b""):
    ciphertext, tag = sealed[:-16], sealed[-16:]
    if not hmac.compare_digest(tag, _tag(key, nonce, ciphertext, ad)):
        raise ValueError("does not authenticate")
    return chacha20(key, 1, nonce, ciphertext)


def hchacha20(key, nonce16):
    _, s = _rounds(key, nonce16)
    return struct.pack("<8L", *s[:4], *s[12:])


def xseal(key, nonce24, plain, ad=b""):
    return seal(hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:], plain, ad)


def xopen(key, nonce24, sealed, ad=b""):
    return open_sealed(hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:], sealed, ad)


# --- The whitepaper's functions, section 5.4 -----------------------------------------------------

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
LABEL_MAC1 = b"mac1----"
LABEL_COOKIE = b"cookie--"


def hash_(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    """Keyed BLAKE2s with 16 bytes of output (not HMAC)."""
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def hmac_(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def kdf(n, key, data):
    t0 = hmac_(key, data)
    t, out = b"", []
    for i in range(1, n + 1):
        t = hmac_(t0, t + bytes([i]))
        out.append(t)
    return out


def counter_nonce(counter):
    return bytes(4) + struct.pack("<Q", counter)


def aead(key, counter, plain, ad):
    return seal(key, counter_nonce(counter), plain, ad)


def unaead(key, counter, sealed, ad):
    return open_sealed(key, counter_nonce(counter), sealed, ad)


# --- The handshake, sections 5.4.2 to 5.4.5 ------------------------------------------------------


class Side:
    """One end: a static key pair, an ephemeral one, and the running hash and chaining key."""

    def __init__(self, private, ephemeral, index, psk=bytes(32)):
        self.private, self.public = private, x25519(private)
        self.ephemeral, self.ephemeral_public = ephemeral, x25519(ephemeral)
        self.index, self.psk = index, psk
        self.c = self.h = b""

    def start(self, responder_public):
        self.c = hash_(CONSTRUCTION)
        self.h = hash_(hash_(self.c, IDENTIFIER), responder_public)

    def mix_hash(self, data):
        self.h = hash_(self.h, data)

    def mix_key(self, data):
        (self.c,) = kdf(1, self.c, data)

    def mix_dh(self, private, public):
        """Chaining key and an AEAD key out of a Diffie-Hellman secret."""
        self.c, key = kdf(2, self.c, x25519(private, public))
        return key

    def mix_psk(self):
        self.c, tau, key = kdf(3, self.c, self.psk)
        self.mix_hash(tau)
        return key


def with_macs(body, remote_public, cookie=None):
    """Append mac1 and mac2 (section 5.4.4); without a cookie mac2 is zero."""
    body += mac(hash_(LABEL_MAC1, remote_public), body)
    return body + (mac(cookie, body) if cookie else bytes(16))


def create_initiation(i, responder_public, timestamp, cookie=None):
    i.start(responder_public)
    i.mix_key(i.ephemeral_public)
    i.mix_hash(i.ephemeral_public)
    static = aead(i.mix_dh(i.ephemeral, responder_public), 0, i.public, i.h)
    i.mix_hash(static)
    stamp = aead(i.mix_dh(i.private, responder_public), 0, timestamp, i.h)
    i.mix_hash(stamp)
    body = struct.pack("<LL", 1, i.index) + i.ephemeral_public + static + stamp
    return with_macs(body, responder_public, cookie)


def consume_initiation(r, message):
    """The responder's view. Returns what it learns: index, ephemeral, static key, timestamp."""
    kind, index = struct.unpack_from("<LL", message)
    ephemeral, static, stamp = message[8:40], message[40:88], message[88:116]
    if len(message) != 148 or kind != 1:
        raise ValueError("not an initiation")
    if message[116:132] != mac(hash_(LABEL_MAC1, r.public), message[:116]):
        raise ValueError("mac1 of the initiation is wrong")
    r.start(r.public)
    r.mix_key(ephemeral)
    r.mix_hash(ephemeral)
    public = unaead(r.mix_dh(r.private, ephemeral), 0, static, r.h)
    r.mix_hash(static)
    timestamp = unaead(r.mix_dh(r.private, public), 0, stamp, r.h)
    r.mix_hash(stamp)
    return index, ephemeral, public, timestamp


def create_response(r, initiator_index, initiator_ephemeral, initiator_public, cookie=None):
    r.mix_key(r.ephemeral_public)
    r.mix_hash(r.ephemeral_public)
    r.mix_key(x25519(r.ephemeral, initiator_ephemeral))
    r.mix_key(x25519(r.ephemeral, initiator_public))
    empty = aead(r.mix_psk(), 0, b"", r.h)
    r.mix_hash(empty)
    body = struct.pack("<LLL", 2, r.index, initiator_index) + r.ephemeral_public + empty
    return with_macs(body, initiator_public, cookie)


def consume_response(i, message):
    """The initiator's view. Returns the responder's index."""
    kind, index, receiver = struct.unpack_from("<LLL", message)
    ephemeral, empty = message[12:44], message[44:60]
    if len(message) != 92 or kind != 2 or receiver != i.index:
        raise ValueError("not the response to this initiation")
    if message[60:76] != mac(hash_(LABEL_MAC1, i.public), message[:60]):
        raise ValueError("mac1 of the response is wrong")
    i.mix_key(ephemeral)
    i.mix_hash(ephemeral)
    i.mix_key(x25519(i.ephemeral, ephemeral))
    i.mix_key(x25519(i.private, ephemeral))
    if unaead(i.mix_psk(), 0, empty, i.h) != b"":
        raise ValueError("the response seals something")
    i.mix_hash(empty)
    return index


def session_keys(side):
    """The initiator's sending key, the responder's, and the exporter: the KDF's third output,
    which WireGuard does not use and which leaves the first two as they are."""
    return kdf(3, side.c, b"")


# --- Cookies, section 5.4.7, and data, section 5.4.6 ---------------------------------------------


def source_bytes(text):
    """'192.0.2.1:1234' or '[2001:db8::1]:1234' as meshd feeds it to the cookie's MAC: the 4 or 16
    bytes of the address, then the port, big-endian. The whitepaper leaves the encoding open."""
    address, _, port = text.rpartition(":")
    return ipaddress.ip_address(address.strip("[]")).packed + struct.pack(">H", int(port))


def create_cookie_reply(responder_public, message, secret, source, nonce):
    """Answer an initiation or a response (whose mac1 is the additional data)."""
    cookie = mac(secret, source_bytes(source))
    sender = struct.unpack_from("<L", message, 4)[0]
    sealed = xseal(hash_(LABEL_COOKIE, responder_public), nonce, cookie, message[-32:-16])
    return struct.pack("<LL", 3, sender) + nonce + sealed


def consume_cookie_reply(responder_public, message, mac1):
    """The cookie in it."""
    return xopen(hash_(LABEL_COOKIE, responder_public), message[8:32], message[32:], mac1)


def data_message(key, receiver, counter, plain):
    """A data message; the plaintext is padded with zeros to a multiple of 16."""
    plain += bytes(-len(plain) % 16)
    return struct.pack("<LLQ", 4, receiver, counter) + aead(key, counter, plain, b"")


def transcript(v):
    """Fill in everything that follows from the inputs in 'v', and check both sides agree."""
    i = Side(v["initiator_private"], v["initiator_ephemeral"], v["initiator_index"], v["psk"])
    r = Side(v["responder_private"], v["responder_ephemeral"], v["responder_index"], v["psk"])
    out = dict(v)

    out["initiation"] = create_initiation(i, r.public, v["timestamp"])
    seen = consume_initiation(r, out["initiation"])
    agree("initiation", seen, (i.index, i.ephemeral_public, i.public, v["timestamp"]))

    out["cookie_reply"] = create_cookie_reply(r.public, out["initiation"], v["cookie_secret"],
                                              v["source_text"], v["nonce"])
    cookie = consume_cookie_reply(r.public, out["cookie_reply"], out["initiation"][116:132])
    agree("cookie", cookie, mac(v["cookie_secret"], source_bytes(v["source_text"])))
    again = create_initiation(Side(i.private, i.ephemeral, i.index), r.public, v["timestamp"], cookie)
    agree("initiation with a cookie", again[:132], out["initiation"][:132])
    out["initiation2_mac2"] = again[132:]

    out["response"] = create_response(r, seen[0], seen[1], seen[2])
    agree("response", consume_response(i, out["response"]), r.index)
    agree("hash", i.h, r.h)
    agree("chaining key", i.c, r.c)
    out["chaining_key"] = i.c
    out["initiator_send"], out["responder_send"], out["exporter"] = session_keys(i)

    out["data_message"] = data_message(out["initiator_send"], r.index, v["data_counter"], v["data_plain"])
    return out


def agree(what, a, b):
    if a != b:
        raise SystemExit(f"wg_oracle: {what}: {a!r} is not {b!r}")


# --- The transcripts the C tests use -------------------------------------------------------------


def stream(label, length):
    """Bytes that look random and are the same everywhere."""
    out, n = b"", 0
    while len(out) < length:
        out += hash_(b"meshd handshake vectors ", label.encode(), bytes([n]))
        n += 1
    return out[:length]


def inputs(name, **given):
    v = {
        "initiator_private": clamp(stream(name + " initiator private", 32)),
        "responder_private": clamp(stream(name + " responder private", 32)),
        "initiator_ephemeral": clamp(stream(name + " initiator ephemeral", 32)),
        "responder_ephemeral": clamp(stream(name + " responder ephemeral", 32)),
        "psk": stream(name + " psk", 32),
        "timestamp": struct.pack(">QL", 0x400000000000000A + 1767225600, 0x2A000000),
        "initiator_index": int.from_bytes(stream(name + " initiator index", 4), "little"),
        "responder_index": int.from_bytes(stream(name + " responder index", 4), "little"),
        "cookie_secret": stream(name + " cookie secret", 32),
        "source_text": "192.0.2.1:1234",
        "nonce": stream(name + " nonce", 24),
        "data_counter": 0,
        "data_plain": stream(name + " data", 64),
    }
    v.update(given)
    return v


def standard_inputs():
    return [
        inputs("zero psk", psk=bytes(32)),
        inputs("random psk", source_text="[2001:db8::7]:51820", data_plain=stream("packet", 96)),
        inputs("extremes", psk=b"\xff" * 32, timestamp=b"\xff" * 12, initiator_index=0,
               responder_index=0xFFFFFFFF, source_text="203.0.113.254:65535",
               data_counter=2**64 - 2**13 - 2, data_plain=b""),
    ]


# Name, C type, size: the order of the struct. Size None: text; "len": an array and its length.
FIELDS = [
    ("initiator_private", "uint8_t", 32), ("responder_private", "uint8_t", 32),
    ("initiator_ephemeral", "uint8_t", 32), ("responder_ephemeral", "uint8_t", 32),
    ("psk", "uint8_t", 32), ("timestamp", "uint8_t", 12),
    ("initiator_index", "uint32_t", 0), ("responder_index", "uint32_t", 0),
    ("cookie_secret", "uint8_t", 32), ("source_text", "char", None), ("nonce", "uint8_t", 24),
    ("initiation", "uint8_t", 148), ("response", "uint8_t", 92), ("cookie_reply", "uint8_t", 64),
    ("initiation2_mac2", "uint8_t", 16), ("chaining_key", "uint8_t", 32),
    ("initiator_send", "uint8_t", 32), ("responder_send", "uint8_t", 32), ("exporter", "uint8_t", 32),
    ("data_counter", "uint64_t", 0), ("data_plain", "uint8_t", "len"), ("data_message", "uint8_t", "len"),
]
DATA_MAX = 128

HEAD = """\
/* SPDX-License-Identifier: MIT */
/* Written by contrib/oracle/wg_oracle.py --c-header; do not edit. */
#ifndef MESHD_TESTS_HANDSHAKE_VECTORS_H
#define MESHD_TESTS_HANDSHAKE_VECTORS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Whole handshakes, computed by an implementation that shares no code with meshd. Private keys are clamped.
 * 'initiation' and 'response' carry mac1 and a mac2 of zero. 'cookie_reply' answers that initiation, seen from
 * source_text, sealed with 'nonce'; the cookie in it is MAC(cookie_secret, source), keyed BLAKE2s-128, the source being the
 * 4 or 16 bytes of the address and the port, big-endian. 'initiation2_mac2' is the mac2 the same
 * initiation carries once its sender has that cookie. 'exporter' is the third output of the KDF that gives the
 * two sending keys. 'data_message' goes from initiator to responder and seals data_plain, whose length is
 * a multiple of 16 (0: a keepalive), with data_counter.
 */
static const struct handshake_vector {
"""


def c_declaration(name, kind, size):
    if size is None:
        return f"\tconst {kind} *{name};\n"
    if size == "len":
        return f"\t{kind} {name}[{DATA_MAX}];\n\tsize_t {name}_len;\n"
    return f"\t{kind} {name}[{size}];\n" if size else f"\t{kind} {name};\n"


def c_value(name, kind, size, value):
    if size is None:
        return f'\t\t.{name} = "{value}",\n'
    if size == 0:
        macro = "UINT64_C" if kind == "uint64_t" else "UINT32_C"
        return f"\t\t.{name} = {macro}(0x{value:x}),\n"
    rows = [value[k:k + 16] for k in range(0, len(value), 16)] or [b"\0"]
    body = "".join("\t\t\t" + " ".join(f"0x{b:02x}," for b in row) + "\n" for row in rows)
    text = f"\t\t.{name} = {{\n{body}\t\t}},\n"
    return text + (f"\t\t.{name}_len = {len(value)},\n" if size == "len" else "")


def c_header():
    out = HEAD + "".join(c_declaration(*f) for f in FIELDS) + "} handshake_vectors[] = {\n"
    for v in map(transcript, standard_inputs()):
        out += "\t{\n" + "".join(c_value(*f, v[f[0]]) for f in FIELDS) + "\t},\n"
    return out + "};\n\n#endif\n"


# --- Self-test: the published vectors ------------------------------------------------------------


def check_x25519():
    x = bytes.fromhex
    agree("RFC 7748 5.2, first", x25519(
        x("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        x("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")),
        x("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"))
    agree("RFC 7748 5.2, second", x25519(
        x("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
        x("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493")),
        x("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"))
    k = u = b"\x09" + bytes(31)
    for _ in range(1000):
        k, u = x25519(k, u), k
    agree("RFC 7748 5.2, 1000 times", k,
          x("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"))
    a = x("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    b = x("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    agree("RFC 7748 6.1", (x25519(a, x25519(b)), x25519(b, x25519(a))),
          (x("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),) * 2)


SUNSCREEN = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
             b"future, sunscreen would be it.")


def check_aead():
    x = bytes.fromhex
    agree("RFC 8439 2.3.2", chacha20_block(bytes(range(32)), 1, x("000000090000004a00000000")), x(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"))
    agree("RFC 8439 2.5.2", poly1305(
        x("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"),
        b"Cryptographic Forum Research Group"), x("a8061dc1305136c6c22b8baf0c0127a9"))
    key, ad = bytes(range(0x80, 0xA0)), x("50515253c0c1c2c3c4c5c6c7")
    nonce = x("070000004041424344454647")
    sealed = x("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
               "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
               "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
               "3ff4def08e4b7a9de576d26586cec64b6116" "1ae10b594f09e26a7e902ecbd0600691")
    agree("RFC 8439 2.8.2", seal(key, nonce, SUNSCREEN, ad), sealed)
    agree("RFC 8439 2.8.2, opened", open_sealed(key, nonce, sealed, ad), SUNSCREEN)
    agree("XChaCha draft 2.2.1", hchacha20(bytes(range(32)), x("000000090000004a0000000031415927")),
          x("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"))
    nonce = bytes(range(0x40, 0x58))
    sealed = x("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
               "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
               "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
               "21f9664c97637da9768812f615c68b13b52e" "c0875924c1c7987947deafd8780acf49")
    agree("XChaCha draft A.3.1", xseal(key, nonce, SUNSCREEN, ad), sealed)
    agree("XChaCha draft A.3.1, opened", xopen(key, nonce, sealed, ad), SUNSCREEN)


def check_forgery():
    """Opening must refuse every message with one bit changed, or agreement above says nothing."""
    sealed = bytearray(seal(bytes(32), bytes(12), b"text", b"ad"))
    for i in range(len(sealed)):
        sealed[i] ^= 1
        try:
            open_sealed(bytes(32), bytes(12), bytes(sealed), b"ad")
        except ValueError:
            sealed[i] ^= 1
            continue
        raise SystemExit(f"wg_oracle: a forgery of byte {i} was taken")


def check_hash():
    x = bytes.fromhex
    agree("RFC 7693 B", hash_(b"abc"), x("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"))
    # The two Noise constants every implementation of WireGuard has precomputed.
    c = hash_(CONSTRUCTION)
    agree("initial chaining key", c, x("60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36"))
    agree("initial hash", hash_(c, IDENTIFIER),
          x("2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3"))


def self_test():
    check_hash()
    check_x25519()
    check_aead()
    check_forgery()
    for v in standard_inputs():
        transcript(v)
    print("wg_oracle: RFC 7693, 7748, 8439, XChaCha and the handshake agree")


# --- The command ---------------------------------------------------------------------------------


def print_transcript(args):
    v = inputs("zero psk", psk=bytes(32))
    for name, kind, size in FIELDS:
        given = getattr(args, name, None)
        if given is None:
            continue
        if size is None:
            v[name] = given
        elif size == 0:
            v[name] = int(given, 0)
        else:
            v[name] = bytes.fromhex(given)
            if size != "len" and len(v[name]) != size:
                raise SystemExit(f"wg_oracle: --{name.replace('_', '-')}: {size} bytes wanted")
    out = transcript(v)
    print(json.dumps({k: x.hex() if isinstance(x, bytes) else x for k, x in out.items()}, indent=2))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    default = os.path.join(here, "..", "..", "tests", "unit", "handshake_vectors.h")
    p = argparse.ArgumentParser(description="An independent WireGuard handshake for tests. Without an action: print "
                                            "a transcript as JSON; every input can be given (bytes in hex).")
    action = p.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="run the published vectors and both sides")
    action.add_argument("--c-header", nargs="?", const=default, metavar="FILE",
                        help="write the C vectors (- for standard output; default tests/unit/handshake_vectors.h)")
    for name in inputs("zero psk"):
        p.add_argument("--" + name.replace("_", "-"), dest=name)
    args = p.parse_args()
    if args.check:
        self_test()
    elif args.c_header == "-":
        sys.stdout.write(c_header())
    elif args.c_header:
        with open(args.c_header, "w", encoding="ascii") as f:
            f.write(c_header())
    else:
        print_transcript(args)


if __name__ == "__main__":
    main()
