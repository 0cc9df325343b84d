"""Traffic that notices a single lost datagram, and a client that has the policy replaced again and again.

  reload.py echo ADDRESS PORT...                sends every datagram back, until killed
  reload.py flow ADDRESS PORT FILE              numbered datagrams to an echo, 16 on their way at a time, until FILE is there; tells how many
                                                came back, and how many were lost, doubled or none of ours
  reload.py shout ADDRESS PORT FILE             datagrams to somebody who must not hear them, until FILE is there
  reload.py load SOCKET TIMES FILE FILE         has bitsd take the two texts in turns, each way (load, sync) half of the time
"""
import json
import os
import selectors
import socket
import struct
import sys
import time

WINDOW = 16
PATIENCE = 5.0  # s: what has not come back by then is lost


def echo(address, *ports):
    wait = selectors.DefaultSelector()
    for port in ports:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, int(port)))
        wait.register(s, selectors.EVENT_READ)
    print("listening", flush=True)
    while True:
        for key, _ in wait.select():
            data, peer = key.fileobj.recvfrom(2048)
            key.fileobj.sendto(data, peer)


def flow(address, port, end):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    s.settimeout(0.5)
    number = back = twice = foreign = 0
    out = {}
    seen = set()
    while out or not os.path.exists(end):
        while len(out) < WINDOW and not os.path.exists(end):
            s.send(struct.pack("!Q", number) + bytes(number % 1200))
            out[number] = time.monotonic()
            number += 1
        time.sleep(0.0003)  # enough to meet each reload, and not so much that a capture beside it misses some
        try:
            data = s.recv(2048)
            n = struct.unpack("!Q", data[:8])[0]
            if n in out and len(data) == 8 + n % 1200:
                del out[n]
                seen.add(n)
                back += 1
            elif n in seen:
                twice += 1
            else:
                foreign += 1
        except TimeoutError:
            if out and time.monotonic() - min(out.values()) > PATIENCE:
                break
    print(f"sent {number} back {back} lost {len(out)} twice {twice} foreign {foreign}")


def shout(address, port, end):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    n = 0
    while not os.path.exists(end):
        s.sendto(b"nobody may hear this", (address, int(port)))
        n += 1
        time.sleep(0.002)
    print("sent", n)


def ask(s, request):
    body = json.dumps(request).encode()
    s.sendall(b"BITS" + struct.pack("!BBHI", 1, 1, 0, len(body)) + body)
    head = b""
    while len(head) < 12:
        head += s.recv(12 - len(head)) or sys.exit("bitsd hung up")
    left = struct.unpack("!I", head[8:])[0]
    answer = b""
    while len(answer) < left:
        answer += s.recv(left - len(answer)) or sys.exit("bitsd hung up")
    return json.loads(answer)


def load(path, times, *names):
    texts = [open(name).read() for name in names]
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    worst = 0
    first = None
    for i in range(int(times)):
        start = time.monotonic()
        # two ways, and each text by each of them
        answer = ask(s, {"verb": ("load", "sync")[i // 2 % 2], "name": "reload", "text": texts[i % 2]})
        worst = max(worst, time.monotonic() - start)
        if answer["status"] != 0:
            sys.exit(f"refused: {answer}")
        first = first or answer["generation"]
    print(f"generations {answer['generation'] - first + 1} slowest {worst * 1000:.0f} ms")


{"echo": echo, "flow": flow, "shout": shout, "load": load}[sys.argv[1]](*sys.argv[2:])
