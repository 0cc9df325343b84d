#!/usr/bin/python3
"""AH over IPv4 options and IPv6 extension headers, by scapy: writes ah_scapy.txt.

A line is: name, authentication, and in hexadecimal the IP packet before AH, as it leaves, and as it arrives
when routers on the way have done what they may do to it.
"""
import sys

from scapy.layers.inet import IP, UDP, IPOption
from scapy.layers.inet6 import (HBHOptUnknown, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, PadN, RouterAlert)
from scapy.layers.ipsec import AH, SecurityAssociation

KEYS = {"hmac-sha1": ("HMAC-SHA1-96", 20), "hmac-sha2-256": ("SHA2-256-128", 32)}
MINE4, YOURS4, HOPS4 = "10.0.0.1", "10.0.0.2", ["10.0.9.1", "10.0.9.2"]
MINE6, YOURS6, HOPS6 = "fd00::1", "fd00::2", ["fd00:9::1", "fd00:9::2"]


def seal(auth, packet):
    name, n = KEYS[auth]
    key = bytes((99 + 7 * i) & 255 for i in range(n))
    sa = SecurityAssociation(AH, spi=0x1001, auth_algo=name, auth_key=key)
    return sa.encrypt(packet, seq_num=1)


def sealed4(auth, plain, final):
    """scapy leaves the destination of a source route as it is; RFC 4302 A1 counts the one it will have in the end."""
    packet = plain.copy()
    first, packet.dst = packet.dst, final
    del packet.chksum
    packet = IP(bytes(seal(auth, IP(bytes(packet)))))
    packet.dst = first
    del packet.chksum
    return bytes(packet)


def sealed6(auth, plain):
    """scapy takes every routing header for one still to be travelled; one at its end is sealed as the one it was."""
    route = plain.getlayer(IPv6ExtHdrRouting)
    if route is None or route.segleft:
        return bytes(seal(auth, plain))
    packet = plain.copy()
    before = packet[IPv6ExtHdrRouting]
    before.segleft = len(before.addresses)
    before.addresses, packet.dst = before.addresses[1:] + [packet.dst], before.addresses[0]
    packet = seal(auth, IPv6(bytes(packet)))
    packet[IPv6ExtHdrRouting].addresses, packet.dst = route.addresses, plain.dst
    packet[IPv6ExtHdrRouting].segleft = 0
    return bytes(packet)


def udp(n=20):
    return UDP(sport=1111, dport=2222) / bytes(range(n))


def option(*octets):
    return IPOption(bytes(octets))


def addr4(text):
    return bytes(int(x) for x in text.split("."))


def route4(kind, hops, pointer=4):
    return option(kind, 3 + 4 * len(hops), pointer, *b"".join(addr4(h) for h in hops))


def passed4(raw, route=None):
    """Routers: TOS, DF, TTL; a record of the route; a source route taken to its end."""
    p = IP(raw)
    octets = bytearray(raw)
    octets[1] = 0xb9
    octets[6:8] = b"\0\0"
    octets[8] -= 5
    at, end = 20, p.ihl * 4
    while at < end:
        if octets[at] == 0:
            break
        if octets[at] == 1:
            at += 1
            continue
        n = octets[at + 1]
        if octets[at] == 7:  # record route
            octets[at + 3:at + 7] = addr4("10.0.9.77")
            octets[at + 2] = 8
        if octets[at] == 68:  # timestamp
            octets[at + 4:at + 8] = b"\x01\x02\x03\x04"
            octets[at + 2] = 9
        if octets[at] in (131, 137):
            octets[16:20] = octets[at + n - 4:at + n]
            octets[at + 2] = n + 1
            for i in range(at + 3, at + n, 4):  # each hop leaves its own address
                octets[i:i + 4] = addr4("10.0.9.%d" % (100 + i))
        at += n
    octets[10:12] = b"\0\0"
    p = IP(bytes(octets))
    del p.chksum
    return bytes(p)


def passed6(raw):
    """Routers: class, label, hop limit; data of options that may change; a routing header taken to its end."""
    octets = bytearray(raw)
    octets[0:4] = b"\x6b\x9a\xbc\xde"
    octets[7] -= 5
    following, at = octets[6], 40
    while following in (0, 43, 60):
        n = (octets[at + 1] + 1) * 8
        if following == 43 and octets[at + 3]:
            hops = [bytes(octets[i:i + 16]) for i in range(at + 8, at + n, 16)]
            dst = bytes(octets[24:40])
            for i, hop in enumerate(hops):
                octets[at + 8 + 16 * i:at + 24 + 16 * i] = dst
                dst = hop
            octets[24:40] = dst
            octets[at + 3] = 0
        elif following != 43:
            i = at + 2
            while i < at + n:
                if octets[i] == 0:
                    i += 1
                    continue
                if octets[i] & 0x20:
                    for k in range(i + 2, i + 2 + octets[i + 1]):
                        octets[k] ^= 0x5a
                i += 2 + octets[i + 1]
        following, at = octets[at], at + n
    return bytes(octets)


def ip(options, dst=YOURS4):
    return IP(src=MINE4, dst=dst, tos=0x28, ttl=64, id=0x1234, flags="DF", options=options) / udp()


def change(kind, data):
    return HBHOptUnknown(otype=kind, optlen=len(data), optdata=data)


CASES4 = [
    ("plain", []),
    ("nop-eol", [option(1), option(1), option(0)]),
    ("security", [option(130, 11, 0x5d, 1, 2, 3, 4, 5, 6, 7, 8), option(0)]),
    ("extended-security", [option(133, 4, 9, 8)]),
    ("cipso", [option(134, 8, 0, 0, 0, 1, 7, 2)]),
    ("router-alert", [option(148, 4, 0, 0)]),
    ("directed-multi-destination", [option(149, 6, 10, 0, 0, 7), option(1), option(1)]),
    ("record-route", [option(7, 7, 4, 0, 0, 0, 0), option(0)]),
    ("timestamp", [option(68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0)]),
    ("unknown", [option(94, 6, 1, 2, 3, 4), option(1), option(1)]),
    ("mixed", [option(148, 4, 0, 0), option(1), option(7, 7, 4, 0, 0, 0, 0), option(133, 4, 9, 8)]),
    ("loose-route", [route4(131, [HOPS4[1], YOURS4]), option(0)]),
    ("strict-route", [route4(137, [HOPS4[1], YOURS4]), option(0)]),
]

CASES6 = [
    ("plain", IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])),
    ("router-alert", IPv6ExtHdrHopByHop(options=[RouterAlert()])),
    ("may-change", IPv6ExtHdrHopByHop(options=[change(0x3e, b"\1\2\3\4\5\6")])),
    ("may-not-change", IPv6ExtHdrHopByHop(options=[change(0x1e, b"\1\2\3\4\5\6")])),
    ("both", IPv6ExtHdrHopByHop(options=[change(0x3e, b"\1\2\3"), RouterAlert(), change(0x1e, b"\7")])),
    ("route", IPv6ExtHdrRouting(type=0, segleft=2, addresses=[HOPS6[1], YOURS6])),
    ("route-one", IPv6ExtHdrRouting(type=0, segleft=1, addresses=[YOURS6])),
    ("route-done", IPv6ExtHdrRouting(type=0, segleft=0, addresses=HOPS6)),
    ("destination-and-route", IPv6ExtHdrDestOpt(options=[change(0x3e, b"\1\2\3\4")]) /
     IPv6ExtHdrRouting(type=0, segleft=2, addresses=[HOPS6[1], YOURS6])),
    ("hop-destination-route", IPv6ExtHdrHopByHop(options=[change(0x3e, b"\1\2\3\4")]) /
     IPv6ExtHdrDestOpt(options=[change(0x1e, b"\1\2\3\4")]) /
     IPv6ExtHdrRouting(type=0, segleft=2, addresses=[HOPS6[1], YOURS6])),
]


def main(out):
    out.write("# Made by make_ah_vectors.py with scapy.  name, auth, plain, sealed, as it arrives\n")
    for auth in KEYS:
        for name, options in CASES4:
            routed = name.endswith("route") and name != "record-route"
            plain = IP(bytes(ip(options, HOPS4[0] if routed else YOURS4)))
            sealed = sealed4(auth, plain, YOURS4)
            out.write("4-%s %s %s %s %s\n" % (name, auth, bytes(plain).hex(), sealed.hex(),
                                             passed4(sealed).hex()))
        for name, headers in CASES6:
            routed = "route" in name and name not in ("router-alert", "route-done")
            plain = IPv6(bytes(IPv6(src=MINE6, dst=HOPS6[0] if routed else YOURS6, tc=0x28, fl=0x12345, hlim=64) /
                               headers / udp()))
            sealed = sealed6(auth, plain)
            out.write("6-%s %s %s %s %s\n" % (name, auth, bytes(plain).hex(), sealed.hex(),
                                             passed6(sealed).hex()))


if len(sys.argv) > 1:
    with open(sys.argv[1], "w") as file:
        main(file)
else:
    main(sys.stdout)
