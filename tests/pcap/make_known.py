#!/usr/bin/python3 -B
"""As make_rules.py: captures for one rule of an RFC each, and NAME-host or NAME-wire beside them where all of what must come out is known beforehand."""
import struct
import warnings

warnings.filterwarnings("ignore")
from scapy.all import (AH, ESP, ICMP, IP, TCP, UDP, ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment,  # noqa: E402
                       HBHOptUnknown, IPv6ExtHdrHopByHop, Raw, SecurityAssociation)
from scapy.utils import checksum  # noqa: E402
from make_pcaps import A4, A6, B4, B6, ab, text, write  # noqa: E402
from make_rules import KEY, TUN_A, TUN_B, UDP1, esp, inner_udp, wire  # noqa: E402
from make_sealed import ah_bytes, seal  # noqa: E402

u = inner_udp()


def shown(name, side, rows, times=None):
    """NAME with the first of each pair, and NAME-SIDE with what comes out for it; None: nothing."""
    times = times or [10 * i for i in range(len(rows))]
    write(f"{name}.pcap", [p for p, _ in rows], times=times)
    write(f"{name}-{side}.pcap", [q for _, q in rows if q is not None], times=[t for t, (_, q) in zip(times, rows) if q is not None])


def with_host(name, rows, times=None):
    shown(name, "host", rows, times)


def passes(name, side, rows, times=None):
    """(packet, does it pass?)"""
    shown(name, side, [(p, p if yes else None) for p, yes in rows], times)


def sealed(p, seq):
    """The frame ${p} in ESP, as SPI 0x3001 does it."""
    return ab(seal(whole(p[IP]), 0x3001, seq, with_key=KEY))


def whole(p):
    """As octets, lengths and checksums in them."""
    return type(p)(bytes(p))


def sa_rules():
    # two SAs for the same traffic, made one after the other: each takes what it gets, in any order and with any DSCP
    with_host("rule-twins", [(wire(esp(u, n, spi=spi), tos=tos), wire(u, proto=17, tos=tos)) for spi, n, tos in (
        (0x3005, 1, 0xb8), (0x3001, 1, 0x28), (0x3001, 2, 0xb8), (0x3005, 2, 0x28))])
    # the SPI says which SA; where the outer packet comes from does not
    inner = IP(src="10.1.0.5", dst="10.2.0.5", id=1) / UDP1
    with_host("rule-src", [(wire(esp(bytes(inner), 1, spi=0x3003, nh=4), src="203.0.113.9", dst=TUN_B), ab(inner))])
    # RFC 6040 4.2's table, also where the SA sends Not-ECT; figure 4: a row for each inner field, None: dropped
    becomes = ((0, 0, 0, None), (1, 1, 1, 3), (2, 1, 2, 3), (3, 3, 3, 3))
    inner = lambda i, ecn: ab(IP(src="10.1.0.5", dst="10.2.0.5", id=i, tos=0x28 | ecn) / UDP1)
    with_host("rule-ecn-off", [(wire(esp(bytes(inner(4 * i + o, i)[IP]), 1 + 4 * i + o, spi=0x3008, nh=4), src=TUN_A, dst=TUN_B, tos=o),
                                None if becomes[i][o] is None else inner(4 * i + o, becomes[i][o])) for i in range(4) for o in range(4)])
    # the second packet is the last one
    with_host("rule-expired", [(wire(esp(u, n)), wire(u, proto=17) if n <= 2 else None) for n in range(1, 5)])
    # a fragment of ESP whose others never come: the next packet finds its time over
    with_host("rule-esp-piece", [(wire(esp(u, 1)[:40], flags="MF"), None), (wire(esp(u, 2)), wire(u, proto=17))], times=[0, 31000])


def bundle_rules():
    """AH around ESP; then ESP alone, which is less than the rule asks for; then once more than it asks for."""

    def ah(octets, nh, seq, spi=0x3102):
        # what the ICV counts: DSCP, flags, TTL and checksum as zeros
        h = bytearray(bytes(IP(src="10.9.0.5", dst=B4, id=7, proto=51, len=20 + 28 + len(octets))))
        h[1] = h[8] = 0
        h[6:8] = h[10:12] = b"\0\0"
        return ah_bytes(octets, nh, spi, seq, bytes(h), with_key=KEY)

    mine = lambda octets, proto: wire(octets, src="10.9.0.5", proto=proto)
    with_host("rule-bundle", [(mine(ah(esp(u, 1, spi=0x3006), 50, 1), 51), mine(u, 17)),
                              (mine(esp(u, 2, spi=0x3006), 50), None),
                              (mine(ah(ah(esp(u, 3, spi=0x3006), 50, 2), 51, 3), 51), None)])


def mended(frame):
    """With a right checksum in its IPv4 header, whatever that holds."""
    octets = bytearray(bytes(frame))
    n = 4 * (octets[14] & 15)
    octets[24:26] = b"\0\0"
    octets[24:26] = struct.pack(">H", checksum(bytes(octets[14:14 + n])))
    return bytes(octets)


def ah_rules():
    # a reserved field that is not zero, and says so to the ICV, does not matter
    h = bytearray(bytes(IP(src="10.9.0.3", dst=B4, id=7, proto=51, len=20 + 28 + len(u))))
    h[1] = h[8] = 0
    h[6:8] = h[10:12] = b"\0\0"
    mine = lambda octets, proto: wire(octets, src="10.9.0.3", proto=proto)
    good, odd = ah_bytes(u, 17, 0x3101, 1, bytes(h), with_key=KEY), ah_bytes(u, 17, 0x3101, 2, bytes(h), with_key=KEY, reserved=0xbeef)
    with_host("rule-ah-reserved", [(mine(good, 51), mine(u, 17)), (mine(odd, 51), mine(u, 17)),
                                   (mine(ah_bytes(u, 17, 0x3101, 3, bytes(h), with_key=KEY)[:2] + b"\xbe\xef"
                                         + ah_bytes(u, 17, 0x3101, 3, bytes(h), with_key=KEY)[4:], 51), None)])
    # not the length that the SA's ICV gives it
    with_host("rule-ah-length", [(mine(bytes([17, n]) + good[2:], 51), None) for n in (0, 4, 6, 255)]
              + [(mine(good[:n], 51), None) for n in (2, 12, 27)] + [(mine(good, 51), mine(u, 17))])
    # each option as RFC 4302 A1 lists it, the last octet of its data another on the way: covered, or counted as zeros
    rows = []
    for n, (kind, mutable) in enumerate([(k, False) for k in (130, 133, 134, 148, 149)] + [(k, True) for k in (131, 137, 7, 68, 82, 94)], 1):
        option = bytes([kind, 7, 8, 0, 0, 0, 0])  # a route that is travelled to its end: the pointer is behind the one address
        fixed = bytes(IP(src="10.9.0.3", dst=B4, id=7, ttl=0, proto=51, ihl=7, len=28 + 28 + len(u), chksum=0))
        sealed = ah_bytes(u, 17, 0x3101, n, fixed + (bytes(7) if mutable else option) + b"\0", with_key=KEY)
        options = option[:6] + b"\x77" + b"\0"
        arrived = lambda proto, octets: ab(IP(bytes(IP(src="10.9.0.3", dst=B4, id=7, proto=proto, ihl=7, len=28 + len(octets)))[:20] + options + octets))
        rows.append((mended(arrived(51, sealed)), mended(arrived(17, u)) if mutable else None))
    with_host("rule-ah-options", rows)
    # AH in two fragments; and one whose other half never comes
    h = bytearray(bytes(IP(src="10.9.0.3", dst=B4, id=7, proto=51, len=20 + 28 + len(u))))
    h[1] = h[8] = 0
    h[6:8] = h[10:12] = b"\0\0"
    octets = ah_bytes(u, 17, 0x3101, 1, bytes(h), with_key=KEY)
    half = lambda at, end, **how: wire(octets[at:end], src="10.9.0.3", proto=51, frag=at // 8, **how)
    with_host("rule-ah-pieces", [(half(0, 32, flags="MF"), None), (half(32, None), mine(u, 17)), (half(0, 32, flags="MF"), None),
                                 (mine(ah_bytes(u, 17, 0x3101, 2, bytes(h), with_key=KEY), 51), mine(u, 17))], times=[0, 10, 20, 31000])
    # IPv6: class, flow label, hop limit; an option that may change, one that may not; a routing header at its end
    s6 = SecurityAssociation(AH, spi=0x3103, auth_algo="SHA2-256-128", auth_key=KEY)
    base = lambda: IPv6(src=A6, dst=B6, hlim=64)
    hop = lambda kind: IPv6ExtHdrHopByHop(options=[HBHOptUnknown(otype=kind, optdata=b"\1\2\3\4")])
    udp = UDP(bytes(UDP(sport=5000, dport=53, chksum=0) / text(8)))
    kinds = {"plain": base() / udp, "may": base() / hop(0x3e) / udp, "may not": base() / hop(0x1e) / udp}
    rows = []
    for n, (kind, at, v, right) in enumerate((("plain", 1, 0xb5, True), ("plain", 7, 9, True), ("may", 44, 0x77, True), ("may", 7, 9, True),
                                              ("may not", 7, 9, True), ("may not", 44, 0x77, False), ("may not", 42, 0x5e, False),
                                              ("plain", 23, 2, False)), 1):
        put = lambda p: ab(IPv6(p[:at] + bytes([v]) + p[at + 1:]))
        p = whole(kinds[kind])
        rows.append((put(bytes(s6.encrypt(p, seq_num=n))), put(bytes(p)) if right else None))
    with_host("rule-ah6", rows)


def natt_rules():
    udp = lambda payload, src="10.9.0.4", dst=B4, **how: ab(IP(src=src, dst=dst, id=7) / UDP(sport=4500, dport=4500, **how) / Raw(payload))
    e = lambda n: esp(u, n, spi=0x3004)
    mine = wire(bytes(whole(IP(src="10.9.0.4", dst=B4) / UDP1).payload), src="10.9.0.4", proto=17)  # its checksum mended, as below
    # whatever UDP's checksum is: none, the right one, a wrong one (RFC 3948 2.1: not to be relied on)
    with_host("rule-natt-sums", [(udp(e(1), chksum=0), mine), (udp(e(2)), mine), (udp(e(3), chksum=0x1234), mine)])
    # TCP and UDP inside, their checksums for the address before the NAT, another one behind it; ICMP's covers no address
    before = lambda up: bytes(IP(bytes(IP(src="192.168.1.5", dst=B4) / up)).payload)
    after = lambda up: bytes(IP(bytes(IP(src="10.9.0.4", dst=B4) / up)).payload)
    ups = (TCP(sport=4711, dport=22) / text(5), UDP1, ICMP(id=1) / text(5))
    nh = (6, 17, 1)
    got = [ab(whole(IP(src="10.9.0.4", dst=B4, id=7, proto=h) / Raw(after(x)))) for h, x in zip(nh, ups)]
    with_host("rule-natt-mend", [(udp(esp(before(x), n, spi=0x3004, nh=h), chksum=0), g) for n, (h, x, g) in enumerate(zip(nh, ups, got), 1)])
    # a tunnel behind a NAT: an inner source that is not the one agreed on
    inner = lambda src: IP(src=src, dst="10.2.0.5", id=1) / UDP1
    with_host("rule-natt-inner", [(udp(esp(bytes(inner(s)), n, spi=0x3007, nh=4), src="203.0.113.9", dst=TUN_B, chksum=0), h)
                                  for n, (s, h) in enumerate((("10.3.0.5", ab(inner("10.3.0.5"))), ("10.1.0.5", None)), 1)])


def esn_rules():
    e = lambda n: (wire(esp(u, n & 0xffffffff, spi=0x3002, high=struct.pack(">I", n >> 32))), wire(u, proto=17))
    no = lambda n: (e(n)[0], None)
    # RFC 4303 A2, a window of 64 over the edge of 2^32: on, late, again, at its left end, and one left of it, which would be 2^32 further on
    edge = 1 << 32
    with_host("rule-esn-edge", [e(edge - 16), e(edge - 1), e(edge), e(edge + 5), e(edge - 11), no(edge - 11), no(edge + 5), no(edge - 16), e(edge - 58),
                                no(edge - 59)])
    # A3: more than 2^32 lost; the high half is looked for after eight in a row were wrong, and found
    far = 5 << 32
    with_host("rule-esn-lost", [e(1)] + [no(far + n) for n in range(2, 10)] + [e(far + 10), e(far + 11), no(1)], times=[500 * n for n in range(12)])


def key(spi, n):
    return bytes((16 * (spi & 15) + i) & 0xff for i in range(n))


def algorithms():
    """scapy's ciphers and MACs, a packet each; then the same with its last octet changed."""
    rows = []
    for spi, (enc, n, auth, m) in enumerate((
            ("AES-GCM", 20, None, 0), ("AES-GCM", 36, None, 0), ("AES-CCM", 19, None, 0), ("CHACHA20-POLY1305", 36, None, 0),
            ("AES-CBC", 16, "SHA2-256-128", 32), ("AES-CBC", 32, "SHA2-512-256", 64), ("AES-CTR", 20, "HMAC-SHA1-96", 20),
            ("AES-CBC", 24, "AES-CMAC-96", 16), ("NULL", 0, "SHA2-384-192", 48), ("3DES", 24, "HMAC-MD5-96", 16)), 0x6001):
        how = {"auth_algo": auth, "auth_key": key(spi, m)} if auth else {}
        s = SecurityAssociation(ESP, spi=spi, crypt_algo=enc, crypt_key=key(spi, n), **how)
        p = whole(IP(src=A4, dst=B4, id=7) / UDP1)
        iv = bytes(range(16 if enc == "AES-CBC" else 0 if enc == "NULL" else 8))
        f = bytes(ab(s.encrypt(p, seq_num=1, iv=iv)))
        rows += [(f[:-1] + bytes([f[-1] ^ 1]), None), (f, ab(p))]
    with_host("rule-algs", rows)


def policy_rules():
    ip = lambda up, src=A4, dst=B4, **how: ab(IP(src=src, dst=dst, id=1, **how) / up)
    # nothing passes by itself: IKE, IKE and ESP in UDP, ESP, AH, IP in IP
    write("rule-all.pcap", [ip(UDP(sport=500, dport=500) / text(28)), ip(UDP(sport=4500, dport=4500) / Raw(bytes(4)) / text(28)),
                            ip(UDP(sport=4500, dport=4500) / Raw(esp(u, 1))), wire(esp(u, 1)), wire(bytes(40), proto=51),
                            ip(IP(src=A4, dst=B4) / UDP1)])
    p = ip(UDP1)
    shown("rule-transit", "wire", [(p, sealed(p, 1)), (ip(UDP1, src="10.9.0.77"), None)])
    tcp = lambda sport, dport, dst=B4: ip(TCP(sport=sport, dport=dport, flags="S"), dst=dst)
    rows = [(tcp(*r), sealed(tcp(*r), n)) for n, r in enumerate([(4711, 80), (1000, 443), (2000, 443)], 1)]
    shown("rule-lists", "wire", rows + [(tcp(*r), None) for r in ((999, 80), (2001, 80), (4711, 81), (4711, 80, "10.9.0.9"), (4711, 80, "10.9.0.4"))])
    icmp6 = lambda kind: ab(IPv6(src=A6, dst=B6) / ICMPv6EchoRequest(type=kind, data=b"abcd"))
    passes("rule-icmp6", "wire", [(icmp6(128), 1), (icmp6(129), 0), (icmp6(8), 0), (ip(ICMP(type=8)), 0), (ip(Raw(bytes(icmp6(128))[54:]), proto=58), 0),
                                  (ab(IPv6(src=A6, dst=B6, nh=1) / Raw(bytes(ICMP(type=13, ts_ori=1, ts_rx=2, ts_tx=3)))), 0)])
    mh = lambda kind: ab(IPv6(src=A6, dst=B6, nh=135) / Raw(bytes([59, 0, kind, 0, 0, 0, 0, 0])))
    passes("rule-mh", "wire", [(mh(0), 0), (mh(1), 1), (mh(3), 1), (mh(4), 0), (mh(5), 1)])
    # behind the fragment header of a later fragment: destination options, behind which nothing can be seen, or UDP
    frag6 = lambda nh, off, m: ab(IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(nh=nh, offset=off, m=m, id=9 + nh) / Raw(bytes(16)))
    passes("rule-opaque", "host", [(frag6(60, 1, 0), 1), (frag6(17, 1, 0), 0), (ab(IPv6(src=A6, dst=B6) / UDP1), 0)], times=[0, 10, 61000])
    # a later fragment without its first, under a rule with a port: it waits, in vain; then a whole datagram
    passes("rule-frag", "host", [(ab(IP(src=A4, dst=B4, id=5, frag=8, proto=17) / text(16)), 0), (ip(UDP(sport=7, dport=53) / text(4)), 1)],
           times=[0, 31000])
    # 7.3: what follows its first fragment passes at once; without it, or after thirty seconds, it waits in vain
    udp53 = bytes(UDP(sport=7, dport=53, len=8 + 64) / text(64))
    part = lambda ident, at, more: ab(IP(src=A4, dst=B4, id=ident, frag=at // 8, flags="MF" if more else 0, proto=17) / Raw(udp53[at:at + 24]))
    passes("rule-stateful", "host", [(part(1, 0, True), 1), (part(1, 24, True), 1), (part(2, 24, True), 0), (part(1, 48, False), 0),
                                     (part(3, 0, True), 1), (part(3, 24, False), 1), (ip(UDP(sport=7, dport=53) / text(4)), 1)],
           times=[0, 10, 20, 30500, 31000, 31010, 62000])
    # one by one (7.2, 7.3): a first fragment of TCP, a second that would write over its flags, the true second; and a first without ports
    tcp80 = bytes(TCP(sport=7, dport=80) / text(28))
    piece = lambda ident, at, octets, more: ab(IP(src=A4, dst=B4, id=ident, frag=at // 8, flags="MF" if more else 0, proto=6) / Raw(octets))
    passes("rule-tiny", "host", [(piece(1, 0, tcp80[:24], True), 1), (piece(1, 8, tcp80[8:24], True), 0), (piece(1, 24, tcp80[24:], False), 1),
                                 (piece(2, 0, tcp80[:2], True), 0)])
    # an ICMP error that no rule takes, about a packet that came by an SA (it goes by that SA), and about one that did not
    error = lambda dport: ip(ICMP(type=3, code=3) / whole(IP(src="10.9.0.6", dst=A4) / UDP(sport=5555, dport=dport) / text(8)), dst="10.9.0.6")
    shown("rule-quote", "wire", [(error(7), sealed(error(7), 1)), (error(8), None)])
    udp = lambda n: ip(UDP(sport=1000, dport=n) / text(4))
    shown("rule-pfp", "wire", [(udp(53), sealed(udp(53), 1)), (udp(54), None), (udp(53), sealed(udp(53), 2))])


if __name__ == "__main__":
    for part in (sa_rules, bundle_rules, ah_rules, natt_rules, esn_rules, algorithms, policy_rules):
        part()
