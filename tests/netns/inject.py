"""What an attacker on the wire can do: put any frame on it.

  inject.py NIC udp SRC-MAC DST-MAC SRC DST PORT TEXT     a datagram in clear
  inject.py NIC syn SRC-MAC DST-MAC SRC DST PORT          a TCP SYN in clear
  inject.py NIC vlan ID udp|syn ...                       the same with an 802.1Q tag
  inject.py NIC arp SRC-MAC SRC TARGET                    who has TARGET?
  inject.py NIC esp FILE N [spi=X] [seq=+K] [flip=OCTET] [cut=OCTETS] [times=K]
                 the N-th ESP frame (from 0; -1: the last) of a capture again, changed or not; OCTET counts from the ESP header
  inject.py NIC again FILE                                each ESP frame of a capture, as it is; prints how many
"""
import ipaddress
import socket
import struct
import sys

from frame import capture, checksum, esp_offset, mac


def ip(src, dst, proto, payload):
    """An IP packet without options; also its EtherType."""
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 6:
        return 0x86dd, struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) + a.packed + b.packed + payload
    h = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0) + a.packed + b.packed
    return 0x0800, h[:10] + struct.pack("!H", checksum(h)) + h[12:] + payload


def with_checksum(src, dst, proto, segment, at):
    a, b = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    pseudo = a + b + struct.pack("!IHBB", len(segment), 0, 0, proto)
    return segment[:at] + struct.pack("!H", checksum(pseudo + segment)) + segment[at + 2:]


def udp(src_mac, dst_mac, src, dst, port, text):
    body = struct.pack("!HHHH", 6666, int(port), 8 + len(text), 0) + text.encode()
    kind, packet = ip(src, dst, 17, with_checksum(src, dst, 17, body, 6))
    return mac(dst_mac) + mac(src_mac) + struct.pack("!H", kind) + packet


def syn(src_mac, dst_mac, src, dst, port):
    body = struct.pack("!HHIIBBHHH", 6666, int(port), 1, 0, 0x50, 0x02, 65535, 0, 0)
    kind, packet = ip(src, dst, 6, with_checksum(src, dst, 6, body, 16))
    return mac(dst_mac) + mac(src_mac) + struct.pack("!H", kind) + packet


def vlan(number, kind, *args):
    frame = {"udp": udp, "syn": syn}[kind](*args)
    return frame[:12] + struct.pack("!HH", 0x8100, int(number)) + frame[12:]


def arp(src_mac, src, target):
    a, b = ipaddress.ip_address(src).packed, ipaddress.ip_address(target).packed
    return b"\xff" * 6 + mac(src_mac) + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac(src_mac) + a + bytes(6) + b


def esp(name, number, *changes):
    frame = bytearray([f for f in capture(name) if esp_offset(f)][int(number)])
    at = esp_offset(frame)
    times = 1
    for change in changes:
        key, value = change.split("=")
        if key == "spi":
            frame[at:at + 4] = struct.pack("!I", int(value, 0))
        elif key == "seq":
            old = struct.unpack("!I", frame[at + 4:at + 8])[0]
            frame[at + 4:at + 8] = struct.pack("!I", (old + int(value)) & 0xffffffff)
        elif key == "flip":
            frame[at + int(value)] ^= 0x01
        elif key == "cut":  # shorter, and the IP header says so
            frame = frame[:len(frame) - int(value)]
            if frame[12:14] == b"\x08\x00":
                frame[16:18] = struct.pack("!H", len(frame) - 14)
                frame[24:26] = b"\0\0"
                frame[24:26] = struct.pack("!H", checksum(bytes(frame[14:at])))
            else:
                frame[18:20] = struct.pack("!H", len(frame) - 54)
        elif key == "times":
            times = int(value)
        else:
            sys.exit(f"inject.py: what is {key}?")
    return [bytes(frame)] * times


def again(name):
    frames = [f for f in capture(name) if esp_offset(f)]
    print(len(frames))
    return frames


nic, what = sys.argv[1], sys.argv[2]
made = {"udp": udp, "syn": syn, "vlan": vlan, "arp": arp, "esp": esp, "again": again}[what](*sys.argv[3:])
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind((nic, 0))
    for frame in made if isinstance(made, list) else [made]:
        s.send(frame.ljust(60, b"\0"))
