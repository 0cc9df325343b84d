"""Is any sequence number, or any IV, twice in a capture of Ethernet frames with ESP in them?

  esp_unique.py CAPTURE      tells how many packets of which SPIs; exit status 1: one is there twice, or there is no ESP
"""
import struct
import sys
from collections import Counter


def frames(path):
    with open(path, "rb") as f:
        magic = struct.unpack("<I", f.read(24)[:4])[0]
        if magic not in (0xA1B2C3D4, 0xA1B23C4D):
            sys.exit("not a capture of this machine")
        while len(head := f.read(16)) == 16:
            n = struct.unpack("<8xI4x", head)[0]
            data = f.read(n)
            if len(data) == n:
                yield data


def esp(frame):
    """The ESP packet in a frame, or nothing."""
    kind, ip = frame[12:14], frame[14:]
    if kind == b"\x08\x00" and len(ip) >= 20 and ip[9] == 50:
        return ip[(ip[0] & 15) * 4:]
    if kind == b"\x86\xdd" and len(ip) >= 40 and ip[6] == 50:
        return ip[40:]
    return None


packets, numbers, ivs = Counter(), Counter(), Counter()
for frame in frames(sys.argv[1]):
    p = esp(frame)
    if p is None or len(p) < 16:
        continue
    spi, number = struct.unpack(">II", p[:8])
    packets[spi] += 1
    numbers[spi, number] += 1
    ivs[spi, p[8:16]] += 1
twice = [(f"number {k[1]}", k[0], n) for k, n in numbers.items() if n > 1]
twice += [(f"IV {k[1].hex()}", k[0], n) for k, n in ivs.items() if n > 1]
for what, spi, n in twice[:20]:
    print(f"SPI {spi:#x}: {what} {n} times")
print(", ".join(f"{n} packets of SPI {spi:#x}" for spi, n in sorted(packets.items())))
sys.exit(1 if twice or not packets else 0)
