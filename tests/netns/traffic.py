"""One TCP connection, SIZE megabytes there and then SIZE back, each side telling what it sent and received (SHA-256).

  traffic.py serve  ADDRESS PORT SIZE
  traffic.py client ADDRESS PORT SIZE
  traffic.py listen ADDRESS PORT        UDP and TCP: one line for each datagram and connection, until killed
  traffic.py mirror ADDRESS PORT        UDP: tells of each datagram (octets, checksum) and sends it back, until killed
  traffic.py single ADDRESS PORT SIZE   UDP: one datagram to a mirror, which may have no way to send it back; prints what the mirror must tell
  traffic.py beyond ADDRESS PORT SIZE   a datagram for which protection has no room: the sender is told so (EMSGSIZE) within two seconds
  traffic.py sizes  ADDRESS PORT SIZE.. a datagram of each size to a mirror and back; the path may eat three of one size
"""
import errno
import hashlib
import os
import select
import socket
import sys
import time

CHUNK = 1 << 18


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(s, total):
    """Random octets, so that nothing but the very same octets has the same checksum."""
    h = hashlib.sha256()
    block = bytearray(os.urandom(CHUNK))
    n = 0
    while n < total:
        block[0:8] = n.to_bytes(8, "big")
        piece = memoryview(block)[:min(CHUNK, total - n)]
        s.sendall(piece)
        h.update(piece)
        n += len(piece)
    return h.hexdigest()


def receive(s, total):
    h = hashlib.sha256()
    n = 0
    while n < total:
        data = s.recv(min(CHUNK, total - n))
        if not data:
            sys.exit(f"the connection ended after {n} of {total} octets")
        h.update(data)
        n += len(data)
    return h.hexdigest()


def serve(address, port, size):
    with socket.create_server((address, port), family=family(address)) as listener:
        print("listening", flush=True)
        listener.settimeout(60)
        s, _ = listener.accept()
        s.settimeout(60)
        print("received", receive(s, size))
        print("sent", send(s, size))
        s.shutdown(socket.SHUT_WR)
        s.recv(1)  # the other side has it all when it closes


def client(address, port, size):
    start = time.monotonic()
    with socket.create_connection((address, port), timeout=60) as s:
        s.settimeout(60)
        print("sent", send(s, size))
        print("received", receive(s, size))
    seconds = time.monotonic() - start
    print(f"rate {2 * size * 8 / seconds / 1e6:.0f} Mbit/s")


def listen(address, port):
    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.bind((address, port))
    tcp = socket.create_server((address, port), family=family(address))
    print("listening", flush=True)
    while True:
        for s in select.select([udp, tcp], [], [])[0]:
            if s is udp:
                data, peer = udp.recvfrom(65535)
                print("udp", peer[0], data.decode(errors="replace"), flush=True)
            else:
                c, peer = tcp.accept()
                print("tcp", peer[0], flush=True)
                c.close()


def told(data):
    return f"{len(data)} octets, {hashlib.sha256(data).hexdigest()}"


def single(address, port, size):
    data = os.urandom(size)
    with socket.socket(family(address), socket.SOCK_DGRAM) as udp:
        udp.sendto(data, (address, port))
    print(told(data))


def mirror(address, port):
    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.bind((address, port))
    print("listening", flush=True)
    while True:
        data, peer = udp.recvfrom(65535)
        print(told(data), flush=True)
        for _ in range(3):  # a path that has just become narrower refuses once
            try:
                udp.sendto(data, peer)
                break
            except OSError as e:
                print(e, flush=True)


def once(udp, data):
    """Is it back, whole, within a second?"""
    try:
        udp.send(data)
        return udp.recv(65535) == data
    except OSError:  # told that it is too big, or no answer
        return False


def sizes(address, port, wanted):
    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.connect((address, port))
    udp.settimeout(1)
    lost = 0
    for size in wanted:
        data = os.urandom(size)
        for tries in range(4):
            if once(udp, data):
                break
        else:
            sys.exit(f"a datagram of {size} octets does not arrive whole")
        lost += tries
    print("lost", lost)


def beyond(address, port, size):
    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.connect((address, port))
    udp.settimeout(2)
    udp.send(os.urandom(size))
    try:
        got = udp.recv(65535)
    except OSError as e:
        if e.errno == errno.EMSGSIZE:
            return
        sys.exit(f"{size} octets: {e}")
    sys.exit(f"{len(got)} octets came back")


what, where, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
if what == "listen":
    listen(where, number)
elif what == "mirror":
    mirror(where, number)
elif what == "single":
    single(where, number, int(sys.argv[4]))
elif what == "beyond":
    beyond(where, number, int(sys.argv[4]))
elif what == "sizes":
    sizes(where, number, [int(a) for a in sys.argv[4:]])
else:
    {"serve": serve, "client": client}[what](where, number, int(sys.argv[4]) * 1000 * 1000)
