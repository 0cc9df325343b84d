#!/usr/bin/python3 -B
"""scapy_ipsec.py IPSECREPLAY: ESP and AH against scapy, the independent second implementation.

For each suite that scapy has, in transport and tunnel mode, over both families, with extended numbers and in UDP: what ipsecreplay
seals scapy opens to what it was, and what scapy seals ipsecreplay opens to what it was, octet for octet.  The headers around are looked at
too: number, IV never twice, padding, lengths, checksum.

Left out, because scapy 2.5 gets them wrong: extended numbers with an HMAC in ESP (the high half is not under its MAC), ESP in UDP over IPv6
(its checksum, which IPv6 demands, is zero).  The kernel is asked for those (tests/interop/xfrm).
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
try:
    from scapy.all import (AH, ESP, ICMP, IP, TCP, UDP, Ether, ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop, PadN, Raw,
                           RawPcapReader, SecurityAssociation)
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
OUTER = {4: ("192.0.2.1", "198.51.100.7"), 6: ("2001:db8:1::1", "2001:db8:2::7")}
INNER = {4: ("10.1.0.5", "10.2.0.9"), 6: ("fd01::5", "fd02::9")}
NET = {4: ("10.1.0.0/16", "10.2.0.0/16"), 6: ("fd01::/48", "fd02::/48")}
HEAD = {4: IP, 6: IPv6}
SPI = 0x1001
TRANSPORT, TUNNEL = "transport", "tunnel"
ALL = [(TRANSPORT, 4, 4), (TRANSPORT, 6, 6), (TUNNEL, 4, 4), (TUNNEL, 4, 6), (TUNNEL, 6, 4), (TUNNEL, 6, 6)]  # outer, inner
SOME = [[(TRANSPORT, 4, 4), (TUNNEL, 6, 4)], [(TRANSPORT, 6, 6), (TUNNEL, 4, 6)]]  # by turns
EACH = [*range(0, 18), 1300]  # each length of padding
FEW = [0, 1, 13, 14, 1300]
failures = []

# ours, scapy's, octets of the key with its salt
ENC = {
    "aes-128-gcm": ("AES-GCM", 20), "aes-192-gcm": ("AES-GCM", 28), "aes-256-gcm": ("AES-GCM", 36),
    "aes-128-ccm": ("AES-CCM", 19), "aes-192-ccm": ("AES-CCM", 27), "aes-256-ccm": ("AES-CCM", 35),
    "chacha20-poly1305": ("CHACHA20-POLY1305", 36),
    "aes-128": ("AES-CBC", 16), "aes-192": ("AES-CBC", 24), "aes-256": ("AES-CBC", 32),
    "aes-128-ctr": ("AES-CTR", 20), "aes-192-ctr": ("AES-CTR", 28), "aes-256-ctr": ("AES-CTR", 36),
    "3des": ("3DES", 24), "null": ("NULL", 0),
}
AUTH = {
    "hmac-sha1": ("HMAC-SHA1-96", 20), "hmac-sha2-256": ("SHA2-256-128", 32), "hmac-sha2-384": ("SHA2-384-192", 48),
    "hmac-sha2-512": ("SHA2-512-256", 64), "aes-cmac": ("AES-CMAC-96", 16), "hmac-md5": ("HMAC-MD5-96", 16),
}
IV = {"AES-CBC": 16, "NULL": 0}
ICV = {"HMAC-SHA1-96": 12, "SHA2-256-128": 16, "SHA2-384-192": 24, "SHA2-512-256": 32, "AES-CMAC-96": 12, "HMAC-MD5-96": 12}
BLOCK = {"AES-CBC": 16, "3DES": 8}


def check(ok, what):
    if not ok:
        failures.append(what)
        print("FAILED:", what)


def body(n):
    return Raw(bytes((7 * i + n) & 0xff for i in range(n)))


def packets(af, lengths):
    """UDP of these many octets, TCP, and an ICMP with a header of its own."""
    src, dst = INNER[af]
    head = HEAD[af]
    out = [head(src=src, dst=dst) / UDP(sport=5000, dport=53) / body(n) for n in lengths]
    out.append(head(src=src, dst=dst) / TCP(sport=4711, dport=80, seq=7, flags="PA") / body(100))
    if af == 4:
        out.append(IP(src=src, dst=dst, tos=0xb8, ttl=2, flags="DF", id=4711) / ICMP(id=3, seq=9) / body(56))
    else:
        out.append(IPv6(src=src, dst=dst, tc=0xb8, fl=0xabcde, hlim=2) / ICMPv6EchoRequest(id=3, seq=9, data=bytes(56)))
    return [head(bytes(p)) for p in out]


def key(n, salt):
    return bytes((n * salt + 13 * i) & 0xff for i in range(n))


class Case:
    def __init__(self, program, tmp, enc, auth, way, extra=""):
        self.program, self.tmp, self.extra = program, tmp, extra
        self.mode, self.outer, self.inner = way
        self.lengths = EACH if way == ALL[0] else FEW
        self.name = " ".join(filter(None, (enc or "ah", auth, extra, self.mode, f"IPv{self.inner}",
                                           f"in IPv{self.outer}" if self.mode == TUNNEL else "")))
        self.src, self.dst = OUTER[self.outer] if self.mode == TUNNEL else INNER[self.inner]
        self.proto = ESP if enc else AH
        crypt, nenc = ENC[enc] if enc else (None, 0)
        mac, nauth = AUTH[auth] if auth else (None, 0)
        enckey, authkey = key(nenc, 3), key(nauth, 5)
        self.iv_len = IV.get(crypt, 8)
        self.icv_len = ICV.get(mac, 16)
        self.align = max(4, BLOCK.get(crypt, 1))
        self.words = " ".join([f"enc {enc}"] * bool(enc) + [f"auth {auth}"] * bool(auth) + [extra, "weak" if enc == "3des" or auth == "hmac-md5" else ""])
        self.keys = " ".join([f"enckey 0x{enckey.hex()}"] * bool(nenc) + [f"authkey 0x{authkey.hex()}"] * bool(auth))
        given = {"spi": SPI, "esn_en": "esn" in extra}
        if self.mode == TUNNEL:
            given["tunnel_header"] = HEAD[self.outer](src=self.src, dst=self.dst)
        if enc:
            given.update(crypt_algo=crypt, crypt_key=enckey or None)
        if auth:
            given.update(auth_algo=mac, auth_key=authkey)
        if "udpencap" in extra:
            given["nat_t_header"] = UDP(sport=4500, dport=4500)
        self.sa = SecurityAssociation(self.proto, **given)

    def conf(self, side):
        """The sender's or the receiver's policy for the one SA."""
        path = os.path.join(self.tmp, "conf")
        what = "esp" if self.proto is ESP else "ah"
        way = "out" if side == "a" else "in"
        here, there = (self.src, self.dst) if side == "a" else (self.dst, self.src)
        nets = NET[self.inner] if self.mode == TUNNEL else INNER[self.inner]
        ends = f" local {here} peer {there}" if self.mode == TUNNEL else ""
        with open(path, "w") as f:
            f.write(f"{what} {self.mode} from {self.src} to {self.dst} spi {SPI:#x} {self.words} {self.keys}\n")
            f.write(f"flow {what} {self.mode} {way} from {nets[0]} to {nets[1]}{ends}\n")
        os.chmod(path, 0o600)
        return path

    def replay(self, side, frames):
        """Runs the frames; the frames that come out, and the counters."""
        src, dst = os.path.join(self.tmp, "in.pcap"), os.path.join(self.tmp, "out.pcap")
        with open(src, "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
            for i, p in enumerate(frames):
                f.write(struct.pack("<IIII", 1700000000, i, len(p), len(p)) + bytes(p))
        names = ("--from-host", "--to-wire") if side == "a" else ("--from-wire", "--to-host")
        got = subprocess.run([self.program, "-f", self.conf(side), names[0], src, names[1], dst, "--json"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if got.returncode != 0:
            sys.exit(f"{self.name}: ipsecreplay: exit {got.returncode}: {got.stderr}")
        return [d for d, _ in RawPcapReader(dst)], json.loads(got.stdout)

    def look_ip(self, what, outer, octets):
        check((outer.src, outer.dst) == (self.src, self.dst), f"{what}: {outer.src} -> {outer.dst}")
        if self.outer == 6:
            check(outer.plen == octets - 40, f"{what}: IPv6 length")
            return
        check(outer.len == octets, f"{what}: IPv4 length")
        again = IP(bytes(outer))
        del again.chksum
        check(IP(bytes(again)).chksum == outer.chksum, f"{what}: IPv4 checksum")

    def look(self, what, outer, i):
        """What is around: number, alignment, ports; the IV."""
        h = outer[self.proto]
        check(h.spi == SPI and h.seq == i, f"{what}: SPI or number")
        if self.proto is AH:
            n = 12 + self.icv_len
            n += -n % (8 if self.outer == 6 else 4)
            check((h.payloadlen + 2) * 4 == n, f"{what}: AH has {(h.payloadlen + 2) * 4} octets, not {n} (RFC 4302 2.2)")
            return None
        sealed = len(h.data) - self.iv_len - self.icv_len
        check(sealed % self.align == 0, f"{what}: not aligned to {self.align} (RFC 4303 2.4)")
        if "udpencap" in self.extra:
            u = outer[UDP]
            check((u.sport, u.dport, u.chksum, u.len) == (4500, 4500, 0, len(u)), f"{what}: UDP header (RFC 3948 2.1)")
        return bytes(h.data)[:self.iv_len]

    def seal(self):
        """Ours seals, scapy opens."""
        given = packets(self.inner, self.lengths)
        got, doc = self.replay("a", [Ether(src=A, dst=B) / p for p in given])
        check(len(got) == len(given) and doc["protected"]["out"] == len(given), f"{self.name}: {len(got)} of {len(given)} sealed")
        ivs = set()
        for i, (frame, want) in enumerate(zip(got, given), 1):
            what = f"{self.name}: sealed packet {i}"
            e = Ether(frame)
            check((e.src, e.dst, e.type) == (A, B, 0x800 if self.outer == 4 else 0x86dd), f"{what}: link header")
            outer = e[HEAD[self.outer]]
            self.look_ip(what, outer, len(frame) - 14)
            ivs.add(self.look(what, outer, i))
            try:
                opened = bytes(self.sa.decrypt(outer))
            except Exception as error:  # scapy raises many kinds
                check(False, f"{what}: scapy cannot open it: {error!r}")
                continue
            check(opened == bytes(want), f"{what}: opened\n  {opened.hex()}\n  {bytes(want).hex()}")
        check(not self.iv_len or self.proto is AH or len(ivs) == len(got), f"{self.name}: an IV came twice")

    def scapy_seals(self, p, n):
        more = {} if self.proto is AH or not self.iv_len else {"iv": struct.pack(">Q", n * 77).rjust(self.iv_len, b"\x55")}
        sealed = self.sa.encrypt(HEAD[self.inner](bytes(p)), seq_num=n, **more)
        if "udpencap" in self.extra:
            sealed[UDP].len = 8 + len(sealed[ESP])  # scapy says 8: it fills it in before ESP is behind it
        return Ether(src=A, dst=B) / sealed

    def open(self):
        """Scapy seals, ours opens; a changed octet and a number seen before are refused."""
        given = packets(self.inner, self.lengths)
        sealed = [bytes(self.scapy_seals(p, n)) for n, p in enumerate(given, 1)]
        bad = bytearray(sealed[3])
        bad[-3] ^= 4
        got, doc = self.replay("b", [bytes(bad), *sealed, sealed[5]])
        drops = {d["reason"]: d["in"] for d in doc["drops"] if d["in"]}
        check(drops == {"auth_failed": 1, "replay_dup": 1}, f"{self.name}: drops {drops}")
        check(len(got) == len(given), f"{self.name}: {len(got)} of {len(given)} opened")
        for i, (frame, want) in enumerate(zip(got, given), 1):
            frame = frame[14:]
            check(frame == bytes(want), f"{self.name}: opened packet {i}:\n  {frame.hex()}\n  {bytes(want).hex()}")


def extension_headers(c):
    """IPv6 transport behind a hop-by-hop header: ESP comes after it (RFC 4303 3.1.1)."""
    c.name += " with a hop-by-hop header"
    p = IPv6(bytes(IPv6(src=INNER[6][0], dst=INNER[6][1]) / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])
                   / UDP(sport=1, dport=2) / body(30)))
    got, _ = c.replay("a", [Ether(src=A, dst=B) / p])
    check(len(got) == 1, f"{c.name}: sealed")
    e = IPv6(got[0][14:])
    check(e.nh == 0 and e[IPv6ExtHdrHopByHop].nh == (50 if c.proto is ESP else 51), f"{c.name}: it does not come behind it")
    check(bytes(c.sa.decrypt(e)) == bytes(p), f"{c.name}: scapy opens something else")
    got, _ = c.replay("b", [bytes(c.scapy_seals(p, 1))])
    check([f[14:] for f in got] == [bytes(p)], f"{c.name}: we open something else")


def suites():
    """Pairs of names, what else, and the ways."""
    yield "aes-128-gcm", None, "", ALL
    yield "aes-256-gcm", None, "", ALL
    yield None, "hmac-sha2-256", "", ALL
    for n, enc in enumerate(ENC):
        if enc in ("aes-128-gcm", "aes-256-gcm"):
            continue
        aead = "gcm" in enc or "ccm" in enc or "poly" in enc
        yield enc, None if aead else list(AUTH)[n % len(AUTH)], "", SOME[n % 2]
    for n, auth in enumerate(AUTH):
        if auth != "hmac-sha2-256":
            yield None, auth, "", SOME[n % 2]
    for enc in ("aes-128-gcm", "aes-256-ccm", "chacha20-poly1305"):
        yield enc, None, "esn", SOME[0]
    for auth in ("hmac-sha1", "hmac-sha2-512"):
        yield None, auth, "esn", SOME[1]
    for enc, auth in (("aes-128-gcm", None), ("aes-128", "hmac-sha2-256")):
        yield enc, auth, "udpencap 4500:4500", [(TRANSPORT, 4, 4), (TUNNEL, 4, 6)]


def main(program):
    n = 0
    with tempfile.TemporaryDirectory() as tmp:
        for enc, auth, extra, ways in suites():
            for way in ways:
                c = Case(program, tmp, enc, auth, way, extra)
                c.seal()
                c.open()
                n += 1
        for enc, auth in (("aes-128-gcm", None), (None, "hmac-sha2-256")):
            extension_headers(Case(program, tmp, enc, auth, (TRANSPORT, 6, 6)))
    print(f"{n} suites, modes and families, both directions: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scapy_ipsec.py IPSECREPLAY")
    sys.exit(main(sys.argv[1]))
