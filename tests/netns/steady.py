"""Traffic at a steady pace in which every datagram is known: what was lost, doubled, changed or overtaken, and when.

  steady.py flow ADDRESS PORT FILE RATE     numbered datagrams with a checksum to an echo, until killed; each one sent and each one back is a
                                            line of FILE
  steady.py judge FILE FROM HEALED TO       of what was sent in seconds FROM..TO (of /proc/uptime): how many were lost, and how long after
                                            HEALED the first one was sent that came back and after which a tenth of a second none was lost
  steady.py alive FILE SECONDS              status 0: all of the last SECONDS came back, but for what may still be on its way
  steady.py total FILE                      sums of it all
  steady.py stick PID                       stops the thread bits-worker of a process, alone, until killed
"""
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import time
import zlib

ON_ITS_WAY = 0.15  # s


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def flow(address, port, name, rate):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    s.setblocking(False)
    step, due, n, seen = 1 / float(rate), now(), 0, set()
    out = open(name, "w", buffering=1)
    top = -1
    while True:
        wait = due - now()
        if wait <= 0:
            body = struct.pack("!Qd", n, now()) + os.urandom(n % 1100)
            try:
                s.send(body + struct.pack("!I", zlib.crc32(body)))
            except OSError:  # no carrier, no buffer: lost like any other
                pass
            out.write(f"s {n} {now():.4f}\n")
            n += 1
            due = max(due + step, now() - 1)
            continue
        if not select.select([s], [], [], wait)[0]:
            continue
        try:
            data = s.recv(4096)
        except OSError:
            continue
        if len(data) < 20 or zlib.crc32(data[:-4]) != struct.unpack("!I", data[-4:])[0]:
            out.write("c 0 0\n")
            continue
        k = struct.unpack("!Q", data[:8])[0]
        out.write(f"{'d' if k in seen else 'o' if k < top else 'r'} {k} {now():.4f}\n")
        seen.add(k)
        top = max(top, k)


def read(name):
    sent, back, count = {}, {}, {"c": 0, "d": 0, "o": 0}
    with open(name) as f:
        for line in f:
            word = line.split()
            if len(word) != 3 or not line.endswith("\n"):
                continue
            kind, k, t = word[0], int(word[1]), float(word[2])
            if kind == "s":
                sent[k] = t
            else:
                count[kind] = count.get(kind, 0) + 1
                if kind in "ro":
                    back[k] = t
    return sent, back, count


def judge(name, start, healed, end):
    sent, back, count = read(name)
    start, healed, end = float(start), float(healed), float(end)
    window = [k for k, t in sent.items() if start <= t <= end - ON_ITS_WAY]
    lost = [k for k in window if k not in back]
    first = None
    for k in sorted(window):
        t = sent[k]
        if t < healed:
            continue
        if k in back:
            first = t if first is None else first
            if t - first >= 0.1:
                break
        else:
            first = None
    recover = "never" if first is None else f"{max(0, first - healed):.2f}"
    print(f"sent {len(window)} lost {len(lost)} recover {recover}")


def alive(name, seconds):
    sent, back, _ = read(name)
    t1 = now() - ON_ITS_WAY
    window = [k for k, t in sent.items() if t1 - float(seconds) <= t <= t1]
    sys.exit(0 if window and all(k in back for k in window) else 1)


def total(name):
    sent, back, count = read(name)
    delay = sorted(back[k] - sent[k] for k in back if k in sent) or [0]
    print(f"sent {len(sent)} back {len(back)} changed {count['c']} doubled {count['d']} overtaken {count['o']}"
          f" p50 {delay[len(delay) // 2] * 1000:.1f} ms p99 {delay[len(delay) * 99 // 100] * 1000:.1f} ms")


def stick(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as f:
            if f.read().strip() != "bits-worker":
                continue
        if libc.ptrace(0x4206, int(task), None, None) or libc.ptrace(0x4207, int(task), None, None):  # SEIZE, INTERRUPT
            sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))
        print("stuck", flush=True)
        signal.pause()
    sys.exit("there is no worker")


{"flow": flow, "judge": judge, "alive": alive, "total": total, "stick": stick}[sys.argv[1]](*sys.argv[2:])
