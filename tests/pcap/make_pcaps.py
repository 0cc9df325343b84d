#!/usr/bin/python3 -B
"""Makes the captures in in/: run it again after a change, and commit what it wrote.

The ESP in them is scapy's, so that what ipsecreplay opens was sealed by somebody else.  Same input, same octets: no clock, no
random numbers.
"""
import os
import struct
import sys
import warnings

warnings.filterwarnings("ignore")
from scapy.all import (ARP, BOOTP, DHCP, ESP, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6MLReport2,  # noqa: E402
                       ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPOption, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN,
                       Raw, RouterAlert, SecurityAssociation, fragment)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "in")
A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
A4, B4, A6, B6 = "10.9.0.1", "10.9.0.2", "fd09::1", "fd09::2"
START = 1_700_000_000_000_000_000  # ns
ETHER, RAW, IPV4, BSD, LOOP, SLL, SLL2 = 1, 101, 228, 0, 108, 113, 276

# one key a direction: key, then salt
KEY_AB = bytes(range(0x10, 0x24))
KEY_BA = bytes(range(0x40, 0x54))
KEY256_AB = bytes(range(0x10, 0x34))


def write(name, packets, link=ETHER, step_ms=10, times=None, snap=None, cut=0):
    """pcap with nanoseconds; packets are scapy's or octets."""
    out = [struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, link)]
    for i, p in enumerate(packets):
        octets = bytes(p)
        ts = START + (times[i] if times else i * step_ms) * 1_000_000
        kept = octets[:snap] if snap else octets
        out.append(struct.pack("<IIII", ts // 10**9, ts % 10**9, len(kept), len(octets)) + kept)
    octets = b"".join(out)
    save(name, octets[:len(octets) - cut])


def save(name, octets):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(octets)


def text(n):
    return Raw(bytes((i * 7 + n) & 0xff for i in range(n)))


def ab(p):
    return Ether(src=A, dst=B) / p


def ba(p):
    return Ether(src=B, dst=A) / p


def mixed4(a=A4, b=B4, ident=100):
    return [
        IP(src=a, dst=b, id=ident) / ICMP(id=7, seq=1) / text(56),
        IP(src=a, dst=b, id=ident + 1, flags="DF") / TCP(sport=4711, dport=22, flags="S", seq=1000),
        IP(src=a, dst=b, id=ident + 2, tos=0xb8) / UDP(sport=5000, dport=53) / text(1),
        IP(src=a, dst=b, id=ident + 3, ttl=3) / UDP(sport=5000, dport=53) / text(2),
        IP(src=a, dst=b, id=ident + 4) / UDP(sport=5000, dport=53) / text(1399),
        IP(src=a, dst=b, id=ident + 5, proto=99) / text(17),
    ]


def mixed6(a=A6, b=B6):
    return [
        IPv6(src=a, dst=b) / ICMPv6EchoRequest(id=7, seq=1, data=bytes(56)),
        IPv6(src=a, dst=b, fl=0x12345, tc=0xb8) / TCP(sport=4711, dport=22, flags="S", seq=1000),
        IPv6(src=a, dst=b, hlim=3) / UDP(sport=5000, dport=53) / text(3),
        IPv6(src=a, dst=b) / UDP(sport=5000, dport=53) / text(1359),
    ]


def sa(spi, key=KEY_AB, **how):
    return SecurityAssociation(ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=key, **how)


def sealed(s, p, seq):
    """Scapy's ESP around p; the IV is the number, as ours is."""
    return s.encrypt(p, seq_num=seq, iv=struct.pack(">Q", seq))


def flip(p, at, bit=1):
    octets = bytearray(bytes(p))
    octets[at] ^= bit
    return bytes(octets)


def clear():
    write("mixed4.pcap", [ab(p) for p in mixed4()])
    write("mixed6.pcap", [ab(p) for p in mixed6()])
    write("inner4.pcap", [ab(p) for p in mixed4("10.1.0.5", "10.2.0.5")])
    write("inner6.pcap", [ab(p) for p in mixed6("fd01::5", "fd02::5")])
    write("raw4.pcap", mixed4(), link=RAW)
    write("raw46.pcap", mixed4() + mixed6(), link=RAW)
    write("rawv4.pcap", mixed4(), link=IPV4)
    write("vlan4.pcap", [Ether(src=A, dst=B) / Dot1Q(vlan=5, prio=3) / p for p in mixed4()]
          + [Ether(src=A, dst=B) / Dot1Q(vlan=6) / Dot1Q(vlan=5) / mixed4()[0]])
    write("bsd46.pcap", [struct.pack("<I", 2) + bytes(p) for p in mixed4()] + [struct.pack("<I", 30) + bytes(p) for p in mixed6()],
          link=BSD)
    write("loop4.pcap", [struct.pack(">I", 2) + bytes(p) for p in mixed4()], link=LOOP)
    # Linux cooked: type 4, outgoing; Ethernet; an address of 6 octets
    mac = bytes.fromhex(A.replace(":", "")) + bytes(2)
    write("sll4.pcap", [struct.pack(">HHH", 4, 1, 6) + mac + b"\x08\x00" + bytes(p) for p in mixed4()]
          + [struct.pack(">HHH", 1, 1, 6) + mac + b"\x08\x06" + bytes(ARP(op=1, hwsrc=A, psrc=A4, pdst=B4))], link=SLL)
    write("sll2.pcap", [struct.pack(">HHIHBB", 0x0800, 0, 7, 1, 4, 6) + mac + bytes(p) for p in mixed4()], link=SLL2)
    write("backwards.pcap", [ab(p) for p in mixed4()], times=[50, 40, 60, 55, 70, 80])
    write("nil.pcap", [])
    write("mixed4-from-b.pcap", [ba(p) for p in mixed4(B4, A4, 200)])


def options():
    write("options4.pcap", [
        ab(IP(src=A4, dst=B4, id=1, options=[IPOption(b"\x94\x04\x00\x00")]) / UDP(sport=1, dport=2) / text(9)),
        ab(IP(src=A4, dst=B4, id=2, options=[IPOption(b"\x44\x08\x05\x00" + bytes(4)), IPOption(b"\x01")])
           / TCP(sport=1, dport=2) / text(100)),
    ])
    write("options6.pcap", [
        ab(IPv6(src=A6, dst=B6) / IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"")]) / UDP(sport=1, dport=2)
           / text(9)),
        ab(IPv6(src=A6, dst=B6) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / UDP(sport=1, dport=2) / text(10)),
    ])


def builtins():
    ns = IPv6(src="fe80::a", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt=B6) / ICMPv6NDOptSrcLLAddr(lladdr=A)
    mld = IPv6(src="fe80::a", dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"")]) \
        / ICMPv6MLReport2()
    dhcp = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) \
        / BOOTP(chaddr=bytes(6)) / DHCP(options=[("message-type", "discover"), "end"])
    write("builtins.pcap", [
        Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=A, psrc=A4, pdst=B4),
        Ether(src=A, dst="33:33:ff:00:00:02") / ns,
        Ether(src=A, dst="33:33:00:00:00:16") / mld,
        Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / dhcp,
        Ether(src=A, dst="01:80:c2:00:00:0e", type=0x88cc) / text(40),
        ab(mixed4()[0]),
        ab(mixed6()[0]),
        ab(IPv6(src="fe80::a", dst=B6, hlim=64) / ICMPv6ND_NS(tgt=B6)),  # not by a neighbour: hop limit
    ])


def inbound():
    s = sa(0x1001)
    one = [ab(sealed(s, p, n)) for n, p in enumerate(mixed4(), 1)]
    # replayed at once, later, out of order, and from before the window
    far = ab(sealed(s, mixed4()[0], 200))
    write("replayed.pcap", [one[0], one[0], one[2], one[1], one[2], one[1], far, one[3], far])
    # one flipped bit each: SPI, number, IV, cipher text, the last octet of the ICV
    esp = 14 + 20
    first = one[4]
    write("flipped.pcap", [flip(first, esp + at) for at in (3, 7, 15, 16, 700, len(first) - esp - 1)]
          + [bytes(first)[:14 + 20 + 6], first])
    # an inner packet its rule does not cover, and one that claims to be from a third host
    t = sa(0x1001, tunnel_header=IP(src="192.0.2.1", dst="198.51.100.7"))
    inner = mixed4("10.1.0.5", "10.2.0.5")
    write("tunnel-lies.pcap", [
        ab(sealed(t, inner[0], 1)),
        ab(sealed(t, IP(src="10.7.0.5", dst="10.2.0.5") / ICMP(), 2)),
        ab(sealed(t, IP(src="10.1.0.5", dst="10.3.0.5") / ICMP(), 3)),
        ab(sealed(t, IP(src="127.0.0.1", dst="10.2.0.5") / ICMP(), 4)),
        ab(IP(src="192.0.2.1", dst="198.51.100.7", id=9) / ESP(spi=0x1001, seq=5, data=bytes(64))),
        ab(inner[1]),  # in clear, though the rule wants a tunnel
        ab(IP(src="192.0.2.1", dst="198.51.100.7", id=9) / ESP(spi=0x9999, seq=1, data=bytes(64))),
    ])
    # the window and the lifetimes follow the packets' own clock
    write("lifetime.pcap", [ab(mixed4()[0])] * 6, times=[0, 1000, 4999, 5000, 5001, 90000])


def files():
    write("cut.pcap", [ab(p) for p in mixed4()], snap=80)
    write("torn.pcap", [ab(p) for p in mixed4()], cut=10)
    save("empty.pcap", b"")
    save("magic.pcap", b"\x0a\x0d\x0d\x0b" + bytes(60))
    head = struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, ETHER)
    one = bytes(ab(mixed4()[0]))
    save("absurd.pcap", head + struct.pack("<IIII", START // 10**9, 0, len(one), len(one)) + one
         + struct.pack("<IIII", START // 10**9, 1, 0x7fffffff, 0x7fffffff) + one)
    save("wifi.pcap", struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 105))
    big = IP(src=A4, dst=B4, id=9, flags="DF") / UDP(sport=1, dport=2) / text(1460)
    write("big.pcap", [ab(big), ab(IP(src=A4, dst=B4, id=10) / UDP(sport=1, dport=2) / text(1460)),
                       ab(IPv6(src=A6, dst=B6) / UDP(sport=1, dport=2) / text(1440))])
    whole = IP(src=A4, dst=B4, id=77) / UDP(sport=1, dport=2) / text(3000)
    write("fragments.pcap", [ab(f) for f in fragment(whole, fragsize=1480)])


if __name__ == "__main__":
    os.makedirs(HERE, exist_ok=True)
    for part in (clear, options, builtins, inbound, files):
        part()
    sys.exit(0)
