#!/usr/bin/env -S python3 -B
"""analyser.py IPSECREPLAY IPSECCTL CTLD: other programs see into our captures by the keys we write for them.

One SA for each algorithm tshark knows: what ipsecreplay sealed, tshark opens by `ipsecreplay -k` and by `ipsecctl export
wireshark -k`, finds each ICV good, and bad when a bit is flipped; tcpdump opens the ciphers it knows.  An annotated capture has both
sides, and for each packet the words of -v.
"""
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

REPLAY, CTL, CTLD = sys.argv[1:4]
PCAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pcap")
ENC = {"aes-128": 16, "aes-192": 24, "aes-256": 32, "aes-128-ctr": 20, "aes-192-ctr": 28, "aes-256-ctr": 36, "3des": 24, "null": 0}
AEAD = {f"aes-{bits}-gcm{icv}": bits // 8 + 4 for bits in (128, 192, 256) for icv in ("", "-12", "-8")}
AUTH = {"hmac-sha1": 20, "hmac-sha2-256": 32, "hmac-sha2-384": 48, "hmac-sha2-512": 64, "hmac-md5": 16}
UNCHECKED = {"aes-xcbc": 16, "aes-cmac": 16}  # tshark knows their length only
TEXT = b"what was said in clear"
bad = []


def check(what, *words):
    if not what:
        bad.append(" ".join(map(str, words)))


def run(*argv, **how):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **how)


def combinations():
    rows = [(e, a) for e in ("aes-256",) for a in list(AUTH) + list(UNCHECKED)]
    rows += [(e, "hmac-sha2-256") for e in ENC if e != "aes-256"] + [("aes-128", "hmac-sha1"), ("3des", "hmac-sha1")]
    return rows + [(e, None) for e in AEAD]


def write(path, packets):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 101))
        for i, p in enumerate(packets):
            f.write(struct.pack("<IIII", 1700000000, i, len(p), len(p)) + p)


def octets(path):
    data, at, found = open(path, "rb").read(), 24, []
    while at < len(data):
        n = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16:at + 16 + n])
        at += 16 + n
    return found


def packet(i):
    udp = struct.pack(">HHHH", 5000, 9, 8 + len(TEXT), 0) + TEXT
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0, bytes([10, 9, 0, 1]), bytes([10, 9, 1, i]))
    s = sum(struct.unpack(">10H", head))
    s = (s & 0xffff) + (s >> 16)
    s = ~((s & 0xffff) + (s >> 16)) & 0xffff
    return head[:10] + struct.pack(">H", s) + head[12:] + udp


def configuration(rows):
    lines = []
    for i, (enc, auth) in enumerate(rows, 1):
        key = lambda n, k: "0x" + bytes((k + j * 7 + i) & 0xff for j in range(n)).hex()
        n = ENC.get(enc, AEAD.get(enc))
        line = f"esp transport from 10.9.0.1 to 10.9.1.{i} spi 0x{0x2000 + i:x} enc {enc}"
        line += f" auth {auth}" if auth else ""
        line += " weak" if enc == "3des" or auth == "hmac-md5" else ""
        line += f" enckey {key(n, 16)}" if n else ""
        line += f" authkey {key((AUTH | UNCHECKED)[auth], 99)}" if auth else ""
        lines += [line, f"flow esp transport out from 10.9.0.1 to 10.9.1.{i}"]
    return "\n".join(lines) + "\n"


def tshark(tmp, keys, capture, *fields):
    home = os.path.join(tmp, "home")
    os.makedirs(os.path.join(home, "wireshark"), exist_ok=True)
    shutil.copy(keys, os.path.join(home, "wireshark", "esp_sa"))
    got = run("tshark", "-r", capture, "-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE",
              "-T", "fields", *[w for f in fields for w in ("-e", f)], env={**os.environ, "XDG_CONFIG_HOME": home})
    check(got.returncode == 0, "tshark:", got.stderr.decode())
    return [line.split("\t") for line in got.stdout.decode().splitlines()]


def private(path):
    mode = stat.S_IMODE(os.stat(path).st_mode)
    check(mode == 0o600, f"{path} has mode {mode:o}")


def keys(tmp, rows):
    conf, clear, sealed, sa = (os.path.join(tmp, n) for n in ("conf", "clear.pcap", "esp.pcap", "esp_sa"))
    open(conf, "w").write(configuration(rows))
    os.chmod(conf, 0o600)
    write(clear, [packet(i) for i in range(1, len(rows) + 1)])
    got = run(REPLAY, "-f", conf, "--from-host", clear, "--to-wire", sealed, "-k", sa)
    if got.returncode:
        sys.exit("ipsecreplay: " + got.stderr.decode())
    private(sa)
    check(len(octets(sealed)) == len(rows), "not every packet was sealed")
    lines = tshark(tmp, sa, sealed, "esp.spi", "esp.icv_good", "esp.icv_bad", "udp.dstport", "data.data")
    check(len(lines) == len(rows), f"tshark sees {len(lines)} packets, not {len(rows)}")
    for (enc, auth), (spi, good, wrong, port, data) in zip(rows, lines):
        check(port == "9" and data == TEXT.hex(), f"tshark does not open {enc} {auth}: port {port}, data {data}")
        check((good == "1" and wrong in ("", "0")) or auth in UNCHECKED, f"the ICV of {enc} {auth}: good {good}, bad {wrong}")
    # or "good" proves nothing
    write(os.path.join(tmp, "flipped.pcap"), [p[:40] + bytes([p[40] ^ 1]) + p[41:] for p in octets(sealed)])
    for (enc, auth), (good, wrong) in zip(rows, tshark(tmp, sa, os.path.join(tmp, "flipped.pcap"), "esp.icv_good", "esp.icv_bad")):
        check(good != "1" or auth in UNCHECKED, f"a changed packet of {enc} {auth} passes: good {good}, bad {wrong}")
    return conf, sealed, sa


def exports(tmp, conf, sealed, sa, rows):
    sock = os.path.join(tmp, "sock")
    daemon = subprocess.Popen([CTLD, sock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        check(daemon.stdout.readline() == b"ready\n", "ctld does not start")
        got = run(CTL, "-S", sock, "-f", conf)
        check(got.returncode == 0, "load:", got.stderr.decode())
        mine, dump, loose = (os.path.join(tmp, n) for n in ("mine", "dump", "loose"))
        os.umask(0)
        for form, path in (("wireshark", mine), ("tcpdump", dump)):
            got = run(CTL, "-S", sock, "export", form, "-k", path)
            check(got.returncode == 0, f"export {form}:", got.stderr.decode())
            private(path)
        check(sorted(open(mine)) == sorted(open(sa)), "ipsecctl's esp_sa is not ipsecreplay's")
        piped = run(CTL, "-S", sock, "-k", "export", "wireshark").stdout.decode()
        check(piped == open(mine).read(), "a pipe does not get what the file does")
        check(run(CTL, "-S", sock, "export", "wireshark").returncode == 2, "keys without -k")
        check(run(CTL, "-S", sock, "export", "nothing", "-k").returncode == 2, "no usage")
        with open(loose, "w") as f:
            got = subprocess.run([CTL, "-S", sock, "export", "wireshark", "-k"], stdout=f, stderr=subprocess.PIPE)
        check(got.returncode == 1 and os.path.getsize(loose) == 0, "keys went where others can read them")
    finally:
        daemon.stdin.close()
        daemon.wait(30)
    if shutil.which("tcpdump"):
        known = [i for i, (e, a) in enumerate(rows) if e in ("aes-128", "aes-192", "aes-256", "3des")
                 and a in ("hmac-sha1", "hmac-md5", "aes-xcbc", "aes-cmac")]
        check(len(open(dump).readlines()) == len(known), "not all that tcpdump knows is exported")
        root = ("-Z", "root") if os.geteuid() == 0 else ()
        out = run("tcpdump", "-n", "-t", *root, "-E", f"file {dump}", "-r", sealed).stdout.decode().splitlines()
        check(len(out) == len(rows), f"tcpdump prints {len(out)} packets")
        for i in known if len(out) == len(rows) else []:
            check(f"UDP, length {len(TEXT)}" in out[i], f"tcpdump does not open {rows[i]}: {out[i]}")


def annotated(tmp):
    for conf, inputs, packets in (("transport-b", ("--from-host", "mixed4-from-b", "--from-wire", "replayed"), 6 + 6 + 9 + 4),
                                  ("transport-b", ("--from-wire", "flipped"), 8 + 1), ("deny", ("--from-host", "mixed4"), 6 + 4),
                                  ("transport-a", ("--from-host", "fragments"), 3 + 3), ("transport-a", ("--from-host", "sll4"), 7 + 7),
                                  ("transport-a", ("--from-host", "big"), 3 + 2 + 2)):
        argv = [a if a.startswith("-") else os.path.join(PCAP, "in", a + ".pcap") for a in inputs]
        out = os.path.join(tmp, "notes.pcapng")
        got = run(REPLAY, "-f", os.path.join(PCAP, conf + ".conf"), "-v", "--annotate", out, *argv)
        check(got.returncode == 0, conf, inputs, got.stderr.decode())
        said = [x for x in got.stdout.decode().splitlines() if not x.split()[0].endswith(":")]
        shark = run("tshark", "-r", out, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment", "-e", "frame.time_epoch")
        check(shark.returncode == 0 and not b"malformed" in shark.stderr, conf, inputs, "tshark:", shark.stderr.decode())
        notes = [x.split("\t") for x in shark.stdout.decode().splitlines()]
        check(len(notes) == packets, conf, inputs, f"{len(notes)} packets are noted, not {packets}")
        words = [n[1].split(": ")[0] for n in notes]
        for line in said:
            check(line in words, conf, inputs, "no packet says:", line)
        for side, note, _ in notes:
            first = "wire" if note.startswith("in ") else "host"
            check(side in ("host", "wire") and (side == first or "dropped" not in note), "on the wrong side:", side, note)
            check("dropped" not in note or len(note.split(": ")) == 2, "no sentence of why:", note)


if not shutil.which("tshark"):
    sys.exit(77)
top = tempfile.mkdtemp()
try:
    combos = combinations()
    exports(top, *keys(top, combos), combos)
    annotated(top)
finally:
    shutil.rmtree(top)
for b in bad:
    print("FAIL:", b)
sys.exit(1 if bad else 0)
