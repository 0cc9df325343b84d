"""TCP transfers with checksums, for one guest that answers all of them.

  peer.py serve PORT [ENCAP-PORT]     until killed: a client's octets are answered by their checksum, then by as many others and theirs;
                                      holds the UDP socket the kernel wants for ESP in UDP
  peer.py transfer ADDRESS PORT SIZE  there and back; exit status 0 when all of it arrived as it was sent
"""
import hashlib
import os
import socket
import sys
import threading

UDP_ENCAP, UDP_ENCAP_ESPINUDP = 100, 2


def receive(s, n):
    data = bytearray()
    while len(data) < n:
        piece = s.recv(min(n - len(data), 1 << 16))
        if not piece:
            raise EOFError(f"the connection ended after {len(data)} of {n} octets")
        data += piece
    return bytes(data)


def answer(s):
    try:
        with s:
            s.settimeout(20)
            size = int.from_bytes(receive(s, 8), "big")
            s.sendall(hashlib.sha256(receive(s, size)).digest())
            data = os.urandom(size)
            s.sendall(data + hashlib.sha256(data).digest())
    except (OSError, EOFError):
        pass  # the client tells


def serve(port, encap):
    kept = []
    for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        u = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        u.bind((any_address, encap))
        u.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
        kept.append(u)
    with socket.create_server(("::", port), family=socket.AF_INET6, backlog=16, dualstack_ipv6=True) as listener:
        while True:
            s, _ = listener.accept()
            threading.Thread(target=answer, args=(s,), daemon=True).start()


def transfer(address, port, size):
    data = os.urandom(size)
    with socket.create_connection((address, port), timeout=10) as s:
        s.settimeout(20)
        s.sendall(size.to_bytes(8, "big") + data)
        if receive(s, 32) != hashlib.sha256(data).digest():
            sys.exit("TCP: what was sent arrived changed")
        back = receive(s, size)
        if receive(s, 32) != hashlib.sha256(back).digest():
            sys.exit("TCP: what was received is not what was sent")


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), int(sys.argv[3]))
else:
    try:
        transfer(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    except (OSError, EOFError) as e:
        sys.exit(f"TCP: {e}")
