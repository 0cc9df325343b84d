#!/usr/bin/python3 -B
"""Makes the captures that show a rule of an RFC each (RULES says which): run it again after a change, and commit what it wrote.

What is sealed here is ESP with NULL encryption and AH, put together by hand or by scapy, so that a reader can see every octet.  Same input, same
octets: no clock, no random numbers.
"""
import hashlib
import hmac
import struct
import warnings

warnings.filterwarnings("ignore")
from scapy.all import AH, ICMP, IP, TCP, UDP, Dot1Q, Ether, IPOption, Raw, SecurityAssociation  # noqa: E402
from make_pcaps import A, A4, B, B4, ab, text, write  # noqa: E402

KEY = bytes(range(0x20, 0x40))
TUN_A, TUN_B = "192.0.2.1", "198.51.100.7"
UDP1 = UDP(sport=5000, dport=53) / text(20)


def inner_udp(n=20):
    """UDP as octets, its checksum for A4 -> B4."""
    return bytes((IP(src=A4, dst=B4) / UDP(sport=5000, dport=53) / text(n))[UDP])


def esp(payload, seq, spi=0x3001, nh=17, pad=None, padlen=None, high=b"", key=KEY):
    """NULL and HMAC-SHA-256-128 (RFC 4303 2, RFC 4868): SPI, number, payload, padding 1, 2, 3 ..., its length, next header, ICV."""
    n = -(len(payload) + 2) % 4 if pad is None else len(pad)
    pad = bytes(range(1, n + 1)) if pad is None else pad
    body = struct.pack(">II", spi, seq) + payload + pad + bytes([len(pad) if padlen is None else padlen, nh])
    return body + hmac.new(key, body + high, hashlib.sha256).digest()[:16]


def wire(octets, src=A4, dst=B4, proto=50, **how):
    return ab(IP(src=src, dst=dst, id=7, proto=proto, **how) / Raw(octets))


def flip(p, at):
    octets = bytearray(bytes(p))
    octets[at] ^= 1
    return bytes(octets)


def esp_rules():
    u = inner_udp()
    write("rule-pad.pcap", [wire(esp(u, 1)), wire(esp(u[:25] + b"", 2, nh=99, pad=bytes(range(1, 2)))),
                            wire(esp(u, 3, pad=bytes(range(1, 255)))),  # as long as it may be and aligned
                            wire(esp(u, 4, pad=b"\x01\x02\x03\x05\x05\x06")),  # not 1, 2, 3, 4
                            wire(esp(u, 5, padlen=200))])  # longer than all there is
    write("rule-dummy.pcap", [wire(esp(bytes(30), 1, nh=59)), wire(esp(u, 2))])
    write("rule-short.pcap", [wire(esp(u, 1)[:n]) for n in (0, 7, 8, 20)] + [wire(esp(u, 1))])
    write("rule-zero.pcap", [wire(esp(u, 1, spi=0)), wire(esp(u, 0)), wire(esp(u, 1))])
    # a forged number far ahead must not move the window; a replayed one is refused before its ICV is looked at
    write("rule-forged.pcap", [wire(esp(u, 1)), wire(esp(u, 5000, key=bytes(32))), wire(esp(u, 2)), wire(esp(u, 2, key=bytes(32)))])
    # 64 wide: 100 - 63 is within, 100 - 64 is not
    write("rule-window.pcap", [wire(esp(u, n)) for n in (100, 37, 36, 37, 101, 38, 37)])
    # the high half is in the ICV and not sent
    write("rule-esn.pcap", [wire(esp(u, n, spi=0x3002, high=bytes(4))) for n in (1, 2)] + [wire(esp(u, 3, spi=0x3002))]
          + [wire(esp(u, 4, spi=0x3002, high=b"\0\0\0\1"))])
    write("rule-dst.pcap", [wire(esp(u, 1), dst="10.9.0.77"), wire(esp(u, 1))])


def tunnel_rules():
    def tun(inner, seq, pad=b"", tos=0, nh=4):
        return wire(esp(bytes(inner) + pad, seq, spi=0x3003, nh=nh), src=TUN_A, dst=TUN_B, tos=tos)

    good = IP(src="10.1.0.5", dst="10.2.0.5", id=1) / UDP1
    write("rule-tfc.pcap", [tun(good, 1), tun(good, 2, pad=bytes(301))])
    # all pairs of RFC 6040 4.2, outer 0..3 for each inner; the outer DSCP is nobody's business
    write("rule-ecn.pcap", [tun(IP(src="10.1.0.5", dst="10.2.0.5", id=i, tos=0x28 | i) / UDP1, 1 + 4 * i + o, tos=0xb8 | o)
                            for i in range(4) for o in range(4)])
    write("rule-inner.pcap", [tun(good, 1, nh=41), tun(bytes(good)[:12], 2), tun(b"\x55" + bytes(good)[1:], 3), tun(good, 4)])


def ah_rules():
    s = SecurityAssociation(AH, spi=0x3101, auth_algo="SHA2-256-128", auth_key=KEY)
    p = lambda **how: IP(src="10.9.0.3", dst=B4, id=7, **how) / UDP1
    one = [bytes(ab(s.encrypt(p(options=o), seq_num=n))) for n, o in enumerate(
        ([], [IPOption(b"\x94\x04\x00\x00")], [IPOption(b"\x07\x07\x04" + bytes(4)), IPOption(b"\x01")], [], [], [], []), 1)]

    def mend(frame):
        """The header checksum of what a router changed."""
        h = 4 * (frame[14] & 15)
        p = IP(frame[14:14 + h])
        del p.chksum
        return frame[:14] + bytes(p)[:h] + frame[14 + h:]

    changed = lambda f, at, v: mend(f[:at] + bytes([v]) + f[at + 1:])
    write("rule-ah.pcap", [
        one[0],
        changed(one[1], 14 + 8, 9), one[1],  # TTL is mutable; the same again is a replay
        changed(one[2], 14 + 20 + 3, 0x77),  # a route that was recorded
        changed(one[3], 14 + 1, 0xb8),  # DSCP
        changed(one[4], 14 + 5, 9),  # the identification is covered
        changed(bytes(ab(s.encrypt(p(options=[IPOption(b"\x94\x04\x00\x00")]), seq_num=8))), 14 + 20 + 2, 1),  # and so is router alert
        flip(one[5], len(one[5]) - 1),
        one[5],
    ])


def natt_rules():
    e = esp(inner_udp(), 1, spi=0x3004)
    udp = lambda payload: ab(IP(src="10.9.0.4", dst=B4, id=7) / UDP(sport=4500, dport=4500, chksum=0) / Raw(payload))
    write("rule-natt.pcap", [udp(e), udp(b"\xff"), udp(bytes(4) + b"IKE, behind its marker"), udp(esp(inner_udp(), 2, spi=0x3333)),
                             wire(esp(inner_udp(), 3, spi=0x3004), src="10.9.0.4")])  # without UDP: not as configured


def policy_rules():
    ip = lambda **how: IP(src=A4, dst=B4, id=1) / (how.get("up") or UDP1)
    tcp = lambda port: ab(ip(up=TCP(sport=4711, dport=port, flags="S")))
    stamps = lambda kind: {"ts_ori": 1, "ts_rx": 2, "ts_tx": 3} if kind == 13 else {}  # else the time of day
    icmp = lambda kind, code: ab(ip(up=ICMP(type=kind, code=code, **stamps(kind)) / text(8)))
    write("rule-ports.pcap", [tcp(n) for n in (79, 80, 85, 90, 91, 443)] + [ab(ip(up=UDP(sport=9, dport=80)))])
    write("rule-icmp.pcap", [icmp(8, 0), icmp(0, 0), icmp(13, 0), icmp(3, 1), icmp(3, 2)])
    write("rule-ranges.pcap", [ab(IP(src=s, dst=d, id=1) / UDP1) for s, d in (
        ("10.9.0.9", "10.9.8.1"), ("10.9.0.10", "10.9.8.1"), ("10.9.0.13", "10.9.8.1"), ("10.9.0.14", "10.9.8.1"), ("10.9.0.11", "10.9.9.1"))])
    write("rule-order.pcap", [tcp(22), tcp(23)])
    write("rule-ike.pcap", [ab(IP(src=A4, dst=B4, id=1) / UDP(sport=500, dport=500) / text(28))])
    tag = lambda n: Ether(src=A, dst=B) / Dot1Q(vlan=n) / IP(src=A4, dst=B4, id=1) / UDP1
    write("rule-vlan.pcap", [tag(10), tag(20), ab(IP(src=A4, dst=B4, id=1) / UDP1)])


if __name__ == "__main__":
    for part in (esp_rules, tunnel_rules, ah_rules, natt_rules, policy_rules):
        part()
