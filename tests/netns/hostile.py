"""Clients of the control socket as nobody wants them; each tells what it did.

  hostile.py SOCKET garbage       octets that are no message, again and again
  hostile.py SOCKET half          a request cut in its middle, and one that drips in an octet at a time
  hostile.py SOCKET huge          100 MB as one request, and headers that promise more than there may be
  hostile.py SOCKET deaf          asks for everything and for all events, and reads nothing
  hostile.py SOCKET crowd         1,000 connections at once
  hostile.py SOCKET stranger      tries to connect, as another user
  hostile.py SOCKET nonsense      well-formed messages that ask for what is not there
"""
import json
import os
import random
import socket
import struct
import sys
import time


def dial():
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.settimeout(5)
    return s


def head(length, kind=1, version=1, magic=b"BITS"):
    return magic + struct.pack("!BBHI", version, kind, 0, length)


def push(s, data):
    """Sends what is taken; how much that was."""
    n = 0
    try:
        while n < len(data):
            n += s.send(data[n:n + 65536])
    except OSError:
        pass
    return n


def garbage():
    rnd = random.Random(1)
    for i in range(200):
        with dial() as s:
            start = b"" if i % 3 else head(rnd.randrange(1 << 32), rnd.randrange(256), rnd.randrange(3))
            push(s, start + rnd.randbytes(rnd.randrange(1, 5000)))
    print("200 times garbage")


def half():
    body = json.dumps({"verb": "show", "what": "all"}).encode()
    held = []
    for i in range(40):
        s = dial()
        push(s, (head(len(body)) + body)[:i])
        held.append(s)
    s = dial()
    push(s, head(1000))
    dripped = 0
    start = time.monotonic()
    while time.monotonic() - start < 4 and push(s, b" ") == 1:
        dripped += 1
        time.sleep(0.05)
    print(f"40 halves, {dripped} drops")


def huge():
    total = 100_000_000
    with dial() as s:
        sent = push(s, head(total))
        block = b" " * (1 << 20)
        while sent < total and push(s, block[:total - sent]) > 0:
            sent += len(block)
        s.settimeout(30)  # it is read whole before it is found to be nothing
        try:
            answer = s.recv(100)
        except OSError:
            answer = b""
    for length in ((1 << 28) + 1, (1 << 32) - 1):
        with dial() as s:
            push(s, head(length) + b"[" * 100000)
    print(f"{min(sent, total)} octets, {'an answer' if answer else 'no answer'}")


def deaf():
    held = []
    for what in ({"verb": "monitor"}, {"verb": "show", "what": "all"}, {"verb": "show", "what": "drops"}):
        for _ in range(3):
            s = dial()
            body = json.dumps(what).encode()
            s.settimeout(0.2)
            asked = 0
            while asked < 100 and push(s, head(len(body)) + body) == 12 + len(body):
                asked += 1
            held.append(s)
    time.sleep(3)
    print(f"{len(held)} that read nothing")


def crowd():
    held, refused = [], 0
    for _ in range(1000):
        try:
            held.append(dial())
        except OSError:
            refused += 1
    time.sleep(2)
    print(f"{len(held)} connections, {refused} refused")


def stranger():
    # he may come as far as the socket; its own permissions are what holds him
    top = os.path.dirname(os.path.dirname(os.path.dirname(path)))
    for d in (top, os.path.dirname(os.path.dirname(path)), os.path.dirname(path)):
        os.chmod(d, 0o755)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    let_in, tries, start = 0, 0, time.monotonic()
    while time.monotonic() - start < 2:
        tries += 1
        try:
            dial().close()
            let_in += 1
        except PermissionError:
            pass
    print(f"{tries} tries, let in {let_in} times")
    sys.exit(let_in > 0)


def nonsense():
    asks = [None, [], 5, {}, {"verb": 5}, {"verb": "nothing"}, {"verb": "load"}, {"verb": "load", "text": "\0" * 1000},
            {"verb": "load", "text": "flow " * 100000}, {"verb": "load", "text": "x = \"$x\"\nflow from $x to $x\n"},
            {"verb": "delete", "flow": -1}, {"verb": "move", "from": 1 << 62, "to": 0}, {"verb": "trace"},
            {"verb": "show", "what": "x" * 100000}]
    wrong = 0
    for what in asks + ["[" * 100000, '{"verb":' * 10000, "\ud800"]:
        body = what.encode("utf-8", "surrogatepass") if isinstance(what, str) else json.dumps(what).encode()
        with dial() as s:
            push(s, head(len(body)) + body)
            answer = s.recv(65536)
            wrong += b'"status":1' in answer.replace(b" ", b"")
    print(f"{wrong} of {len(asks) + 3} refused")
    sys.exit(wrong != len(asks) + 3)


path = sys.argv[1]
os.nice(5)  # the attacker's share of this machine is not what is tested
{"garbage": garbage, "half": half, "huge": huge, "deaf": deaf, "crowd": crowd, "stranger": stranger, "nonsense": nonsense}[sys.argv[2]]()
