"""Is any sequence number, or any IV, twice in a capture of Ethernet frames with ESP in them?

  esp_unique.py CAPTURE      tells how many packets of which SPIs; exit status 1: one is there twice, or there is no ESP
"""
import struct
import sys
from collections import Counter

from frame import capture, esp_offset


packets, numbers, ivs = Counter(), Counter(), Counter()
for frame in capture(sys.argv[1]):
    at = esp_offset(frame)
    if at is None or len(frame) < at + 16:
        continue
    p = frame[at:]
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
