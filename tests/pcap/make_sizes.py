#!/usr/bin/python3 -B
"""Makes the captures in in/ about fragments, path MTU, ICMP errors and what a link puts around packets; as make_pcaps.py.

One file a rule, so that TESTLIST reads as a table of them.
"""
import struct
import sys

from make_pcaps import A, A4, A6, B, B4, B6, KEY_AB, ab, ba, sa, sealed, text, write
from scapy.all import (ESP, ICMP, IP, LLC, SNAP, STP, TCP, UDP, Dot1AD, Dot1Q, Ether, ICMPv6DestUnreach,  # noqa: E402
                       ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN, Raw,
                       SecurityAssociation, fragment, fragment6)

R4, R6 = "10.9.7.7", "fd09::77"  # a router on the way, or who says so
GROUP4, GROUP6 = "239.1.1.1", "ff0e::77"
KEY6 = bytes(range(0x60, 0x74))


def big4(n=3000, ident=77, **how):
    return IP(src=A4, dst=B4, id=ident, **how) / UDP(sport=1, dport=2) / text(n)


def esp4(p, seq):
    return sealed(sa(0x1001), p, seq)


def pieces4(p, size=1480):
    return [ab(f) for f in fragment(p, fragsize=size)]


def changed(frame, at, mask):
    """A fragment with other octets and a right header checksum."""
    octets = bytearray(bytes(frame))
    octets[at] ^= mask
    return bytes(octets)


def moved(frame, octets, more=None):
    """The same fragment at another offset."""
    p = Ether(bytes(frame))
    p[IP].frag += octets // 8
    if more is not None:
        p[IP].flags = "MF" if more else 0
    del p[IP].chksum
    return p


def reassembly():
    one, two, three = pieces4(big4())
    write("frag-order.pcap", [three, two, one])
    write("frag-double.pcap", [one, two, two, one, three])
    e = pieces4(esp4(big4(), 1))
    write("frag-esp.pcap", [e[2], e[0], e[1]])
    write("frag-whole.pcap", [ab(big4())], times=[20])
    # one overlap, 8 octets of it, ends the datagram; so do other octets at the same place; what follows begins another that never ends
    write("frag-overlap.pcap", [e[0], moved(e[1], -8), e[2]] + pieces4(esp4(big4(), 2))[:1]
          + [changed(pieces4(esp4(big4(), 2))[0], 300, 1), ab(esp4(big4(100), 3))], times=[0, 1, 2, 3, 4, 40000])
    # every octet of it in pieces of 8, the shortest there are: into the ports, the SPI, the number
    tiny = pieces4(esp4(big4(100), 1), 8)
    write("frag-tiny.pcap", tiny[::2] + tiny[1::2], step_ms=1)
    # beyond 65535; a length that is no multiple of 8; two ends; behind the end; empty; each ends its datagram
    death = moved(e[2], 65528 - e[2][IP].frag * 8)
    odd = Ether(bytes(e[0]))
    odd[IP].len -= 4
    del odd[IP].chksum
    last = Ether(bytes(e[2]))
    empty = Ether(bytes(e[1]))
    empty[IP].remove_payload()
    del empty[IP].len, empty[IP].chksum
    write("frag-bad.pcap", [e[0], death, odd, last, moved(e[2], 8), last, moved(e[1], 1480), empty])
    # 30 seconds, counted from its first piece: the end comes too late, and begins one that ends when time does
    write("frag-late.pcap", [e[0], e[1], e[2], ab(esp4(big4(100), 2))], times=[0, 29000, 30000, 61000])
    # of one source at most 16 at a time; another's datagram completes meanwhile
    flood = [ab(IP(src="10.9.0.66", dst=B4, id=n, flags="MF") / UDP(sport=1, dport=2) / Raw(bytes(64))) for n in range(100)]
    write("frag-flood.pcap", [e[0]] + flood[:50] + [e[1]] + flood[50:] + [e[2], ab(esp4(big4(100), 2))],
          times=list(range(103)) + [40000])


def reassembly6():
    whole = IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(id=0x77) / UDP(sport=1, dport=2) / text(3000)
    f = [ab(p) for p in fragment6(whole, 1500)]
    write("frag6.pcap", [f[1], f[2], f[0]])
    s = SecurityAssociation(ESP, spi=0x1002, crypt_algo="AES-GCM", crypt_key=KEY6)

    def esp6(n, seq):
        p = sealed(s, IPv6(src=A6, dst=B6) / UDP(sport=1, dport=2) / text(n), seq)
        return IPv6(src=A6, dst=B6, hlim=64) / IPv6ExtHdrFragment(id=0x88 + seq) / p.payload

    e = [ab(p) for p in fragment6(esp6(3000, 1), 1500)]
    late = [ab(p) for p in fragment6(esp6(3000, 2), 1500)]
    write("frag6-esp.pcap", [e[1], e[0], e[2]])
    over = Ether(bytes(late[1]))
    over[IPv6ExtHdrFragment].offset -= 1
    write("frag6-bad.pcap", [late[0], over, e[0], e[1], e[2], ab(esp6(100, 3))], times=[0, 1, 2, 59000, 60002, 130000])
    # a whole datagram that says it is a fragment (RFC 6946): from the host, and from the wire around ESP
    write("atomic.pcap", [ab(IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(id=1) / UDP(sport=5, dport=6) / text(40)),
                          ab(IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(id=2) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])
                             / ICMPv6EchoRequest(id=7, seq=1, data=bytes(30)))])
    write("atomic-esp.pcap", [ab(esp6(40, 1))])
    # one fragment header inside another's datagram is none we put together twice
    write("frag6-nested.pcap", [ab(IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(id=1) / IPv6ExtHdrFragment(id=2, m=1)
                                   / UDP(sport=5, dport=6) / text(40))])


def needfrag(spi, seq, mtu, src=A4, dst=B4, proto=50, length=1500, router=R4, ident=1):
    quoted = IP(src=src, dst=dst, len=length, id=ident, flags="DF", proto=proto)
    if spi is not None:
        quoted = quoted / Raw(struct.pack(">II", spi, seq))
    return ba(IP(src=router, dst=A4, id=9) / ICMP(type=3, code=4, nexthopmtu=mtu) / quoted)


def toobig6(spi, seq, mtu):
    return ba(IPv6(src=R6, dst=A6) / ICMPv6PacketTooBig(mtu=mtu)
              / (IPv6(src=A6, dst=B6, plen=1460, nh=50) / Raw(struct.pack(">II", spi, seq))))


def error4(spi, seq, kind, code, **how):
    return ba(IP(src=R4, dst=A4, id=9) / ICMP(type=kind, code=code, **how)
              / (IP(src=A4, dst=B4, len=100, id=1, proto=50) / Raw(struct.pack(">II", spi, seq))))


def path_mtu():
    def df(n, ident):
        return ab(big4(n, ident, flags="DF"))

    # 1400 and 1438 of IP; 0x1001 has sent numbers 1, 2, ... when the router speaks
    write("pmtu-host.pcap", [df(1372, 1), df(1410, 2), df(1410, 3), df(1000, 4), df(1410, 5)], times=[0, 1, 20, 21, 601000])
    write("pmtu-wire.pcap", [needfrag(0x1001, 2, 1400)], times=[10])
    # each of them is not believed: unknown SPI, a number not sent yet, another peer, a number of none, quotes of no use
    write("pmtu-forged.pcap", [
        needfrag(0x9999, 1, 600), needfrag(0x1001, 77, 600), needfrag(0x1001, 1, 600, dst="10.9.0.9"),
        needfrag(0x1001, 0, 600), needfrag(None, 0, 600), needfrag(0x1001, 1, 600, src="10.9.0.9"),
        changed(needfrag(0x1001, 1, 600), 14 + 20 + 7, 1),  # its checksum is wrong
    ], times=[10, 11, 12, 13, 14, 15, 16])
    # never below 576; never up again by an error; of a router that does not say it, what is next below
    write("pmtu-least.pcap", [needfrag(0x1001, 2, 68), needfrag(0x1001, 2, 1300)], times=[10, 11])
    write("pmtu-old.pcap", [needfrag(0x1001, 2, 0, length=1476)], times=[10])
    write("pmtu6-host.pcap", [ab(IPv6(src=A6, dst=B6) / UDP(sport=1, dport=2) / text(n)) for n in (1400, 1250, 1232)], times=[0, 20, 21])
    write("pmtu6-wire.pcap", [toobig6(0x1002, 1, 1280)], times=[10])
    # without DF: cut after protection to what fits, by transport mode; nobody is told
    write("pmtu-cut.pcap", [ab(big4(1300, 1)), ab(big4(1400, 2))], times=[0, 20])
    write("pmtu-cut-wire.pcap", [needfrag(0x1001, 1, 1000)], times=[10])


def errors():
    # what the host is told of the ESP packet it knows nothing of: host unreachable as it is; no ESP there: host unreachable; time exceeded as it is;
    # a parameter problem in the IP header as it is, behind it unreachable
    write("errors-host.pcap", [ab(big4(60, n)) for n in range(1, 7)], step_ms=1)
    write("errors-wire.pcap", [error4(0x1001, 1, 3, 1), error4(0x1001, 2, 3, 2), error4(0x1001, 3, 11, 0), error4(0x1001, 4, 12, 0, ptr=8),
                               error4(0x1001, 5, 12, 0, ptr=24), error4(0x1001, 6, 3, 13),
                               error4(0x1001, 6, 5, 1),  # a redirect is none: policy decides
                               ba(IP(src=R4, dst=A4, id=9) / ICMP(type=3, code=1) / big4(60, 1))],  # it would not have left in clear
          times=range(100, 108))
    # inside the SA: about what the host sent, about what no rule would have sent there, and one cut short
    s = sa(0x1001)

    def inner(p, seq):
        return ab(sealed(s, IP(src=A4, dst=B4, id=seq) / ICMP(type=3, code=3) / p, seq))

    write("errors-esp.pcap", [inner(IP(src=B4, dst=A4, id=1) / UDP(sport=9, dport=8), 1),
                              inner(IP(src=B4, dst="10.77.0.1", id=1) / UDP(sport=9, dport=8), 2),
                              inner(IP(src="10.77.0.1", dst=A4, id=1) / UDP(sport=9, dport=8), 3),
                              inner(Raw(bytes(IP(src=B4, dst=A4))[:12]), 4)])


def link():
    small = [IP(src=A4, dst=B4, id=n) / UDP(sport=1, dport=2) / text(n) for n in (1, 2, 17)]
    # a NIC fills frames up to 60 octets; with what was in its memory, once
    write("padded.pcap", [bytes(ab(p)).ljust(60, b"\0") for p in small[:2]] + [bytes(ab(small[2])).ljust(60, b"\xee")])
    write("unpadded.pcap", [ab(p) for p in small])
    e = [ab(IP(src=A4, dst=B4, id=n, proto=59) / Raw(b"")) for n in (1, 2)] + [ab(esp4(p, n)) for n, p in enumerate(small, 1)]
    write("padded-esp.pcap", [bytes(p) + bytes(24) for p in e[2:]])
    q = Ether(src=A, dst=B) / Dot1AD(vlan=100, prio=5, id=1) / Dot1Q(vlan=5, prio=3)
    write("qinq.pcap", [q / IP(src=A4, dst=B4, id=n) / UDP(sport=1, dport=2) / text(30 + n) for n in (1, 2)]
          + [q / IPv6(src=A6, dst=B6) / UDP(sport=1, dport=2) / text(31)]
          + [Ether(bytes(q / p)) for p in fragment(big4(1500), 1480)])
    # LLDP, spanning tree, EAPOL, LACP, a time protocol, IPX behind SNAP; and IP where it has no business: in PPPoE, in three tags, behind SNAP
    group = "01:80:c2:00:00:0e"
    write("link.pcap", [
        Ether(src=A, dst=group, type=0x88cc) / text(40),
        Ether(bytes(Ether(src=A, dst="01:80:c2:00:00:00", type=38) / LLC() / STP())),
        Ether(src=A, dst="01:80:c2:00:00:03", type=0x888e) / text(40),
        Ether(src=A, dst="01:80:c2:00:00:02", type=0x8809) / text(110),
        Ether(src=A, dst=group, type=0x88f7) / text(44),
        Ether(src=A, dst=B, type=48) / LLC() / SNAP(OUI=0, code=0x8137) / text(40),
        Ether(src=A, dst=B, type=0x8864) / text(40),
        Ether(src=A, dst=B) / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / small[0],
        Ether(src=A, dst=B, type=48) / LLC() / SNAP(OUI=0, code=0x0800) / small[2],
    ])


def groups():
    def udp(src, dst, n):
        six = ":" in dst
        mac = "33:33:00:00:00:77" if six else "01:00:5e:01:01:01"
        return Ether(src=A, dst=mac) / ((IPv6 if six else IP)(src=src, dst=dst) / UDP(sport=1, dport=2) / text(n))

    write("group.pcap", [udp(A4, GROUP4, 20), udp(A6, GROUP6, 21), ab(IP(src=A4, dst=B4) / UDP(sport=1, dport=2) / text(22)),
                         udp(A4, "239.1.1.2", 23), Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / IP(src=A4, dst="10.9.0.255")
                         / UDP(sport=1, dport=2) / text(24)])


def segments():
    def syn(src, dst, port, mss, flags="S", more=()):
        return IP(src=src, dst=dst, flags="DF") / TCP(sport=port, dport=80, flags=flags, seq=1, options=[("MSS", mss), *more])

    write("mss.pcap", [ab(syn(A4, B4, 1, 1460)), ab(syn(A4, B4, 2, 1460, "SA", [("SAckOK", b""), ("WScale", 7)])), ab(syn(A4, B4, 3, 1000)),
                       ab(syn(A4, B4, 4, 1460, "A")), ab(IP(src=A4, dst=B4, flags="DF") / TCP(sport=5, dport=80, flags="S", seq=1))])


def encap():
    s = SecurityAssociation(ESP, spi=0x1001, crypt_algo="AES-GCM", crypt_key=KEY_AB, nat_t_header=UDP(sport=4500, dport=4500))

    def encapsulated(n, seq):
        p = sealed(s, big4(n), seq)
        p[UDP].len = len(p[UDP])  # (scapy leaves it at the header's)
        return p

    e = pieces4(encapsulated(3000, 1))
    write("encap.pcap", [e[1], e[2], e[0], ab(encapsulated(60, 2)), ab(sealed(s, big4(60), 3))])
    write("encap-host.pcap", [ab(big4()), ab(big4(60))], times=[20, 30])


def tunnel():
    def inner(n, ident, **how):
        return IP(src="10.1.0.5", dst="10.2.0.5", id=ident, **how) / UDP(sport=1, dport=2) / text(n)

    write("tunnel-cut.pcap", [ab(inner(1472, 1))] + [ab(f) for f in fragment(inner(4000, 2), 1480)] + [ab(inner(1472, 3, flags="DF"))])


if __name__ == "__main__":
    for part in (reassembly, reassembly6, path_mtu, errors, link, groups, segments, encap, tunnel):
        part()
    sys.exit(0)
