"""Looks for keys in the memory of a process, as octets and as hex text, as root.

  memscan.py PID <KEYS       a key a line, 0x...; tells where each of them lies; exit status 1: somewhere
"""
import os
import re
import sys

PAGE = os.sysconf("SC_PAGE_SIZE")
CHUNK = 1 << 22
HUGE = 1 << 36  # a sanitizer's shadow: it holds no octets of ours


def present(pagemap, start, end):
    """The parts of start..end that are in memory or in swap, as (start, end)."""
    at, run = start, None
    while at < end:
        n = min((end - at) // PAGE, CHUNK // 8)
        os.lseek(pagemap, at // PAGE * 8, os.SEEK_SET)
        entries = os.read(pagemap, n * 8)
        if not entries:
            break
        for i in range(len(entries) // 8):
            here = at + i * PAGE
            if entries[i * 8 + 7] & 0xC0:
                run = (run[0], here + PAGE) if run else (here, here + PAGE)
            elif run:
                yield run
                run = None
        at += len(entries) // 8 * PAGE
    if run:
        yield run


def regions(pid):
    """Readable and writable mappings with pages in them, as (start, end, name)."""
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+\s*(.*)", line)
            start, end = int(m[1], 16), int(m[2], 16)
            if "rw" in m[3] and end - start < HUGE:
                yield start, end, m[4] or "anonymous"


def main():
    pid = int(sys.argv[1])
    patterns = {}
    for n, line in enumerate(sys.stdin, 1):
        text = line.strip()[2:]
        octets = bytes.fromhex(text)[:16]  # without a salt, which is no secret, and as an AES key schedule begins
        # hex text may be cut anywhere: half of it counts
        for what, p in (("octets", octets), ("text", text[:16].encode()), ("text", text[16:32].encode()),
                        ("TEXT", text[:16].upper().encode())):
            patterns[p] = f"key {n} as {what}"
    if not patterns:
        sys.exit("no keys to look for")
    any_of = re.compile(b"|".join(re.escape(p) for p in sorted(patterns, key=len, reverse=True)))
    mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    looked = found = 0
    for start, end, name in regions(pid):
        for a, b in present(pagemap, start, end):
            tail = b""
            for at in range(a, b, CHUNK):
                try:
                    data = tail + os.pread(mem, min(CHUNK, b - at), at)
                except OSError:
                    break
                base = at - len(tail)
                for m in any_of.finditer(data):
                    print(f"{patterns[m[0]]} at {base + m.start():#x} ({name})")
                    found += 1
                looked += len(data) - len(tail)
                tail = data[-63:]
    print(f"{looked >> 10} KB looked at")
    if not looked:
        sys.exit("nothing was looked at")
    sys.exit(1 if found else 0)


main()
