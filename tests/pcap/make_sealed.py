#!/usr/bin/python3 -B
"""Makes the captures of what must leave, octet by octet: rule-out*, each the host's packets and (NAME-wire) what RFC 4302 and 4303
make of them, sealed here by hand and not by the program under test (rules-out.conf and rules-outer.conf hold the keys).
"""
import hashlib
import hmac
import struct
import warnings

warnings.filterwarnings("ignore")
from scapy.all import ICMP, IP, TCP, UDP, IPOption, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN, Raw, fragment  # noqa: E402
from make_pcaps import A4, A6, ab, text, write  # noqa: E402
from make_rules import esp  # noqa: E402

IPID = 54213  # of the first outer IPv4 header, by --seed 1


def key(spi):
    return bytes([spi & 0xff]) * 32


def over(p, proto, octets):
    """The same IP header in front of something else."""
    q = p.copy()
    del q.chksum, q.len
    q.proto = proto
    q.remove_payload()
    return q / Raw(octets)


def seal(p, spi, seq, with_key=None, **how):
    """ESP in transport mode (RFC 4303 3.1.1): what stood behind the IP header goes into the payload."""
    return over(p, 50, esp(bytes(p.payload), seq, spi=spi, nh=p.proto, key=with_key or key(spi), **how))


def ah_bytes(octets, nh, spi, seq, immutable, high=b"", align=4, reserved=0, with_key=None):
    """AH (RFC 4302 2) for a packet whose headers, as the ICV counts them, are ${immutable}."""
    pad = bytes(-28 % align)
    head = struct.pack(">BBHII", nh, (28 + len(pad)) // 4 - 2, reserved, spi, seq)
    icv = hmac.new(with_key or key(spi), immutable + head + bytes(16) + pad + octets + high, hashlib.sha256).digest()[:16]
    return head + icv + pad + octets


def ah4(p, spi, seq):
    """RFC 4302 3.3.3.1.1.1: DSCP, ECN, flags, offset, TTL and checksum count as zeros."""
    octets = bytes(p.payload)
    q = over(p, 51, bytes(28) + octets)
    h = bytearray(bytes(q)[:20])
    h[1] = h[8] = 0
    h[6:8] = h[10:12] = b"\0\0"
    return over(p, 51, ah_bytes(octets, p.proto, spi, seq, bytes(h)))


def ah6(p, spi, seq, high=b""):
    """RFC 4302 3.3.3.1.2.1: class, flow label and hop limit count as zeros; the ICV is padded to 64 bits."""
    octets = bytes(p.payload)
    q = IPv6(src=p.src, dst=p.dst, nh=51, hlim=p.hlim, tc=p.tc, fl=p.fl, plen=32 + len(octets))
    h = bytearray(bytes(q))
    h[0:4] = b"\x60\0\0\0"
    h[7] = 0
    return q / Raw(ah_bytes(octets, p.nh, spi, seq, bytes(h), high=high, align=8))


def both(name, pairs):
    pairs = list(pairs)
    write(f"{name}.pcap", [ab(p) for p, _ in pairs])
    write(f"{name}-wire.pcap", [ab(w) for _, w in pairs])


def transport():
    to = lambda last, n=20, **how: IP(bytes(IP(src=A4, dst=f"10.9.0.{last}", id=7 + n, **how) / UDP(sport=5000, dport=53) / text(n)))
    # numbers from 1; padding 1, 2, 3 to a boundary of four octets, whatever the payload's length; next header and ICV behind it
    plain = [to(2, n) for n in range(5)] + [IP(bytes(IP(src=A4, dst="10.9.0.2", id=1, ttl=3, tos=0xb8, flags="DF") / ICMP() / text(9)))]
    both("rule-out", [(p, seal(p, 0x4001, n)) for n, p in enumerate(plain, 1)])
    # the high half of the number, 0 so far, is in the ICV and not sent
    both("rule-out-esn", [(to(3, n), seal(to(3, n), 0x4002, n, high=bytes(4))) for n in (1, 2)])
    both("rule-out-ah", [(p, ah4(p, 0x4003, n)) for n, p in enumerate([to(4, 1), to(4, 20, tos=0xb9, ttl=9, flags="DF")], 1)])
    # what does not fit any more is cut behind AH
    long = to(4, 1460)
    write("rule-out-ah-cut.pcap", [ab(long)])
    write("rule-out-ah-cut-wire.pcap", [ab(f) for f in fragment(ah4(long, 0x4003, 1), fragsize=1480)], step_ms=0)
    six = [IPv6(bytes(IPv6(src=A6, dst="fd09::2", tc=0xb9, fl=0x12345, hlim=h) / UDP(sport=5000, dport=53) / text(h))) for h in (1, 64)]
    both("rule-out-ah6", [(p, ah6(p, 0x4006, n, high=bytes(4))) for n, p in enumerate(six, 1)])
    # ESP in UDP from 4500 to the peer's port, checksum 0
    udp = lambda p, n: over(p, 17, bytes(UDP(sport=4500, dport=4501, chksum=0) / Raw(bytes(seal(p, 0x4004, n).payload))))
    kinds = [to(5), IP(bytes(IP(src=A4, dst="10.9.0.5", id=2) / TCP(dport=22))), IP(bytes(IP(src=A4, dst="10.9.0.5", id=3) / ICMP() / text(8)))]
    both("rule-out-natt", [(p, udp(p, n)) for n, p in enumerate(kinds, 1)])

    def padded(p, n):
        """Zeros up to 100 octets behind UDP, whose length says where it ends; nothing behind TCP, whose end nobody could find."""
        u = bytes(p.payload)
        u += bytes(100 - len(u) if p.proto == 17 else 0)
        return over(p, 50, esp(u, n, spi=0x4005, nh=p.proto, key=key(0x4005)))

    tcp = IP(bytes(IP(src=A4, dst="10.9.0.6", id=2) / TCP(dport=22, flags="A") / text(3)))
    both("rule-out-tfc", [(p, padded(p, n)) for n, p in enumerate([to(6, 1), tcp, to(6, 40)], 1)])
    # AH around ESP: both numbered from 1
    both("rule-out-bundle", [(p, ah4(seal(p, 0x4007, n), 0x4008, n)) for n, p in enumerate([to(7, 1), to(7, 2)], 1)])
    # behind hop-by-hop options, in front of destination options
    opt = bytes(UDP(sport=5000, dport=53, chksum=0) / text(6))
    inner = bytes(IPv6ExtHdrDestOpt(nh=17, options=[PadN(optdata=bytes(4))])) + opt
    hop = lambda nh: bytes(IPv6ExtHdrHopByHop(nh=nh, options=[PadN(optdata=bytes(4))]))
    p6 = IPv6(src=A6, dst="fd09::3", nh=0) / Raw(hop(60) + inner)
    w6 = IPv6(src=A6, dst="fd09::3", nh=0) / Raw(hop(50) + esp(inner, 1, spi=0x4009, nh=60, key=key(0x4009)))
    # behind IPv4's options
    p4 = IP(bytes(IP(src=A4, dst="10.9.0.2", id=9, options=[IPOption(b"\x94\x04\x00\x00")]) / UDP(sport=5000, dport=53) / text(6)))
    both("rule-out-place", [(p4, seal(p4, 0x4001, 1)), (p6, w6)])


def outer():
    """Outer headers (RFC 4301 5.1.2): a TTL of 64, no options of the inner packet, which stays as the host made it.  IDs count from where --seed 1 begins."""
    to = lambda net, **how: IP(bytes(IP(src="10.1.0.5", dst=f"10.2.{net}.5", id=77, **how) / UDP(sport=5000, dport=53) / text(20)))

    def tun(first, *rows):
        """(inner packet, what the outer header has besides); each network has a tunnel of its own"""
        seq = {}
        for i, (inner, how) in enumerate(rows):
            net = inner.dst.split(".")[2]
            seq[net] = seq.get(net, 0) + 1
            spi = 0x5000 + int(net)
            yield inner, IP(src="192.0.2.1", dst=f"198.51.100.{net}", id=first + i, ttl=64, proto=50, **how) / Raw(
                esp(bytes(inner), seq[net], spi=spi, nh=4, key=key(spi)))

    # DSCP and ECN as inside; then DSCP 10 and Not-ECT, whatever is inside
    both("rule-outer-class", tun(IPID, *((to(1, tos=0xb8 | e, ttl=1 + e), {"tos": 0xb8 | e}) for e in range(4)),
                                 *((to(2, tos=0xb8 | e, ttl=1 + e), {"tos": 40, "flags": "DF"}) for e in range(4))))
    # DF copied, set, cleared
    both("rule-outer-df", tun(IPID, (to(1), {}), (to(1, flags="DF"), {"flags": "DF"}),
                              (to(2), {"flags": "DF", "tos": 40}), (to(2, flags="DF"), {"flags": "DF", "tos": 40}),
                              (to(3), {}), (to(3, flags="DF"), {})))
    both("rule-outer-options", tun(IPID, (to(1, options=[IPOption(b"\x94\x04\x00\x00")]), {})))
    # in IPv6: flow label of an inner IPv6 packet, none of an IPv4 one; class, 64 hops, and no extension headers of the inner one
    udp = UDP(sport=5000, dport=53, chksum=0) / text(4)
    v6 = IPv6(bytes(IPv6(src="fd01::5", dst="fd02::5", tc=0xb9, fl=0x12345, hlim=1) / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]) / udp))
    v4 = to(4, tos=0x28)
    wrap6 = lambda p, seq, nh, **how: IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=64, nh=50, **how) / Raw(
        esp(bytes(p), seq, spi=0x5004, nh=nh, key=key(0x5004)))
    both("rule-outer-ip6", [(v6, wrap6(v6, 1, 41, tc=0xb9, fl=0x12345)), (v4, wrap6(v4, 2, 4, tc=0x28))])
    # AH covers the whole inner packet and what of the outer header stays as it is
    p = to(5, tos=0xb8)
    around = IP(bytes(IP(src="192.0.2.1", dst="198.51.100.5", id=IPID, ttl=64, tos=0xb8, proto=4) / Raw(bytes(p))))
    both("rule-outer-ah", [(p, ah4(around, 0x5005, 1))])


if __name__ == "__main__":
    transport()
    outer()
