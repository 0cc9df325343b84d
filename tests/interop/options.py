"""options.py SOURCE DESTINATION: pings with each kind of IPv4 option, or IPv6 extension header, that a host may send; each is answered.

What AH covers of them differs by the option (RFC 4302 3.3.3.1 and Appendix A): some are covered as they are, some as zeros.
"""
import os
import socket
import struct
import sys
import time

# RFC 791, 2113: no operation, record route, time stamps with addresses, router alert; padded to words by the kernel
OPTIONS4 = {
    "no operation": "01010101",
    "record route": "070f04" + 12 * "00",
    "time stamps": "44140501" + 16 * "00",
    "router alert": "94040000",
    "record route between others": "94040000" "01" "070b04" + 8 * "00",
}
PAD = "01040000 0000"  # PadN that fills eight octets
HBH, DST = "hop-by-hop", "destination"
ALERT = "05020000 0100"  # RFC 2711, and PadN of no octets
CHANGES = "3e04 5a5a5a5a"  # a kind for experiments (RFC 4727) that is skipped by who does not know it, and may change on the way
KEEPS = "1e04 5a5a5a5a"  # and one that may not
OPTIONS6 = {
    "padding": {HBH: PAD},
    "router alert": {HBH: ALERT},
    "an option that may change": {HBH: CHANGES},
    "destination options": {DST: PAD},
    "destination options that may change": {DST: CHANGES},
    "both": {HBH: KEEPS, DST: KEEPS},
}


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def echo(six, ident, number, data):
    head = struct.pack(">BBHHH", 128 if six else 8, 0, 0, ident, number)
    # (the kernel writes that of ICMPv6, which covers addresses)
    return head[:2] + struct.pack(">H", 0 if six else checksum(head + data)) + head[4:] + data


def answered(s, six, ident, number, data):
    end = time.monotonic() + 3
    while (left := end - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            got = s.recv(65535)
        except socket.timeout:
            return False
        if not six:
            got = got[(got[0] & 15) * 4:]
        if got[0] == (129 if six else 0) and got[4:] == struct.pack(">HH", ident, number) + data:
            return True
    return False


def main(src, dst):
    six = ":" in dst
    ident = os.getpid() & 0xffff
    data = bytes(range(56))
    for number, (name, what) in enumerate((OPTIONS6 if six else OPTIONS4).items()):
        s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW,
                          socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
        s.bind((src, 0))
        if six:
            for kind, option in what.items():
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS if kind == HBH else socket.IPV6_DSTOPTS,
                             bytes(2) + bytes.fromhex(option))
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex(what))
        for _ in range(3):  # the first may meet an unknown neighbour
            s.sendto(echo(six, ident, number, data), (dst, 0))
            if answered(s, six, ident, number, data):
                break
        else:
            sys.exit(f"{src} -> {dst}: no answer with {name}")
        s.close()
    print("answered with:", ", ".join(OPTIONS6 if six else OPTIONS4))


main(sys.argv[1], sys.argv[2])
