"""Frames and captures, for the programs here that make or read some."""
import struct
import sys


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def capture(name):
    """The frames of a pcap file, as far as they are whole."""
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
    with open(name, "rb") as f:
        magic = f.read(24)[:4]
        if magic not in order:
            sys.exit(f"{name}: no pcap file")
        while len(head := f.read(16)) == 16:
            size = struct.unpack(order[magic] + "8xI4x", head)[0]
            data = f.read(size)
            if len(data) == size:
                yield data


def esp_offset(frame):
    """Where the ESP header begins in an Ethernet frame, or None."""
    if frame[12:14] == b"\x08\0" and len(frame) >= 34 and frame[23] == 50:
        return 14 + 4 * (frame[14] & 15)
    if frame[12:14] == b"\x86\xdd" and len(frame) >= 54 and frame[20] == 50:
        return 54
    return None
