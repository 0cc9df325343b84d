#!/usr/bin/python3 -B
"""scapy_esp.py IPSECREPLAY: ESP against scapy, the independent second implementation.

For AES-GCM with keys of 128 and 256 bits, transport and tunnel, each pair of families: what ipsecreplay seals scapy decrypts
to what it was, and what scapy seals ipsecreplay opens to what it was, octet for octet.  The headers that ESP adds are looked at too: number,
IV never twice, padding, next header.
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
    from scapy.all import (ESP, ICMP, IP, TCP, UDP, Ether, ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop, PadN, Raw, RawPcapReader,
                           SecurityAssociation)
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
OUTER = {4: ("192.0.2.1", "198.51.100.7"), 6: ("2001:db8:1::1", "2001:db8:2::7")}
INNER = {4: ("10.1.0.5", "10.2.0.9"), 6: ("fd01::5", "fd02::9")}
NET = {4: ("10.1.0.0/16", "10.2.0.0/16"), 6: ("fd01::/48", "fd02::/48")}
HEAD = {4: IP, 6: IPv6}
SPI = 0x1001
# what may differ between the packet given and the packet got back: nothing
failures = []


def check(ok, what):
    if not ok:
        failures.append(what)
        print("FAILED:", what)


def body(n):
    return Raw(bytes((7 * i + n) & 0xff for i in range(n)))


def packets(af):
    """Every length of padding, a large one, the protocols."""
    src, dst = INNER[af]
    head = HEAD[af]
    out = [head(src=src, dst=dst) / UDP(sport=5000, dport=53) / body(n) for n in [*range(0, 18), 1300]]
    out.append(head(src=src, dst=dst) / TCP(sport=4711, dport=80, seq=7, flags="PA") / body(100))
    if af == 4:
        out.append(IP(src=src, dst=dst, tos=0xb8, ttl=2, flags="DF", id=4711) / ICMP(id=3, seq=9) / body(56))
    else:
        out.append(IPv6(src=src, dst=dst, tc=0xb8, fl=0xabcde, hlim=2) / ICMPv6EchoRequest(id=3, seq=9, data=bytes(56)))
    return [head(bytes(p)) for p in out]


class Case:
    def __init__(self, program, tmp, bits, mode, outer, inner):
        self.program, self.tmp, self.mode, self.outer, self.inner = program, tmp, mode, outer, inner
        self.name = f"aes-{bits}-gcm {mode} " + (f"IPv{inner} in IPv{outer}" if mode == "tunnel" else f"IPv{inner}")
        self.key = bytes((bits + 13 * i) & 0xff for i in range(bits // 8 + 4))
        self.src, self.dst = OUTER[outer] if mode == "tunnel" else INNER[inner]
        tunnel = HEAD[outer](src=self.src, dst=self.dst) if mode == "tunnel" else None
        self.sa = SecurityAssociation(ESP, spi=SPI, crypt_algo="AES-GCM", crypt_key=self.key, tunnel_header=tunnel)
        self.alg = f"aes-{bits}-gcm"

    def conf(self, side):
        """The sender's or the receiver's policy for the one SA."""
        path = os.path.join(self.tmp, "conf")
        way = "out" if side == "a" else "in"
        here, there = (self.src, self.dst) if side == "a" else (self.dst, self.src)
        nets = NET[self.inner] if self.mode == "tunnel" else INNER[self.inner]
        ends = f" local {here} peer {there}" if self.mode == "tunnel" else ""
        with open(path, "w") as f:
            f.write(f"esp {self.mode} from {self.src} to {self.dst} spi {SPI:#x} enc {self.alg} enckey 0x{self.key.hex()}\n")
            f.write(f"flow esp {self.mode} {way} from {nets[0]} to {nets[1]}{ends}\n")
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

    def seal(self):
        """Ours seals, scapy decrypts."""
        given = packets(self.inner)
        got, doc = self.replay("a", [Ether(src=A, dst=B) / p for p in given])
        check(len(got) == len(given) and doc["protected"]["out"] == len(given), f"{self.name}: {len(got)} of {len(given)} sealed")
        ivs = set()
        for i, (frame, want) in enumerate(zip(got, given), 1):
            what = f"{self.name}: sealed packet {i}"
            e = Ether(frame)
            outer = e[HEAD[self.outer]]
            check((e.src, e.dst, e.type) == (A, B, 0x800 if self.outer == 4 else 0x86dd), f"{what}: link header")
            check((outer.src, outer.dst) == (self.src, self.dst), f"{what}: {outer.src} -> {outer.dst}")
            check(outer[ESP].spi == SPI and outer[ESP].seq == i, f"{what}: SPI or number")
            ivs.add(bytes(outer[ESP].data)[:8])
            check((len(outer[ESP].data) - 8 - 16) % 4 == 0, f"{what}: not aligned to 4 (RFC 4303 2.4)")
            if self.outer == 4:
                sum_ = outer.chksum
                del outer.chksum
                outer = IP(bytes(outer))
                check(outer.chksum == sum_, f"{what}: IPv4 checksum")
                check(outer.len == len(frame) - 14, f"{what}: IPv4 length")
            try:
                opened = bytes(self.sa.decrypt(outer))
            except Exception as error:  # scapy raises many kinds
                check(False, f"{what}: scapy cannot open it: {error!r}")
                continue
            check(opened == bytes(want), f"{what}: opened\n  {opened.hex()}\n  {bytes(want).hex()}")
        check(len(ivs) == len(got), f"{self.name}: an IV came twice")

    def open(self):
        """Scapy seals, ours opens; a changed octet and a number seen before are refused."""
        given = packets(self.inner)
        sealed = [Ether(src=A, dst=B) / self.sa.encrypt(HEAD[self.inner](bytes(p)), seq_num=n, iv=struct.pack(">Q", n * 77))
                  for n, p in enumerate(given, 1)]
        bad = bytearray(bytes(sealed[3]))
        bad[-20] ^= 4
        got, doc = self.replay("b", [bytes(bad), *sealed, sealed[5]])
        drops = {d["reason"]: d["in"] for d in doc["drops"] if d["in"]}
        check(drops == {"auth_failed": 1, "replay_dup": 1}, f"{self.name}: drops {drops}")
        check(len(got) == len(given), f"{self.name}: {len(got)} of {len(given)} opened")
        for i, (frame, want) in enumerate(zip(got, given), 1):
            frame = frame[14:]
            check(frame == bytes(want), f"{self.name}: opened packet {i}:\n  {frame.hex()}\n  {bytes(want).hex()}")


def extension_headers(program, tmp):
    """IPv6 transport behind a hop-by-hop header: ESP comes after it (RFC 4303 3.1.1)."""
    c = Case(program, tmp, 128, "transport", 6, 6)
    c.name += " with a hop-by-hop header"
    p = IPv6(bytes(IPv6(src=INNER[6][0], dst=INNER[6][1]) / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])
                   / UDP(sport=1, dport=2) / body(30)))
    got, _ = c.replay("a", [Ether(src=A, dst=B) / p])
    check(len(got) == 1, f"{c.name}: sealed")
    e = IPv6(got[0][14:])
    check(e.nh == 0 and e[IPv6ExtHdrHopByHop].nh == 50, f"{c.name}: ESP is not behind it")
    check(bytes(c.sa.decrypt(e)) == bytes(p), f"{c.name}: scapy opens something else")
    sealed = c.sa.encrypt(IPv6(bytes(p)), seq_num=1, iv=bytes(8))
    got, doc = c.replay("b", [Ether(src=A, dst=B) / sealed])
    check([f[14:] for f in got] == [bytes(p)], f"{c.name}: we open something else")


def main(program):
    with tempfile.TemporaryDirectory() as tmp:
        cases = [Case(program, tmp, bits, mode, outer, inner)
                 for bits in (128, 256)
                 for mode, outer, inner in (("transport", 4, 4), ("transport", 6, 6), ("tunnel", 4, 4), ("tunnel", 4, 6),
                                            ("tunnel", 6, 4), ("tunnel", 6, 6))]
        for c in cases:
            c.seal()
            c.open()
        extension_headers(program, tmp)
        print(f"{len(cases)} suites, modes and families, both directions: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scapy_esp.py IPSECREPLAY")
    sys.exit(main(sys.argv[1]))
