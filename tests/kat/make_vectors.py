#!/usr/bin/python3
"""Make the ESP and AH answers that no RFC prints.

    make_vectors.py rows > sadb/crypto_kat_rows.h     the answers compiled in
    make_vectors.py data > tests/kat/esp_made.kat     whole packets, with ESN and without
    make_vectors.py check FILE...                     do libgcrypt's answers agree with these files?

The octets come from libgcrypt (gcry.py).  Where scapy can build the same packet (it uses the cryptography module), the
two are compared and a difference ends the program, so each answer has two witnesses besides the code under test.
"""
import sys

import gcry

# name: (key octets, salt, iv, icv)
CBC = {f"aes-{b}": (b // 8, 0, 16) for b in (128, 192, 256)} | {"3des": (24, 0, 8)}
CTR = {f"aes-{b}-ctr": (b // 8, 4, 8) for b in (128, 192, 256)}
GCM = {f"aes-{b}-gcm{s}": (b // 8, 4, 8, n) for s, n in (("", 16), ("-12", 12), ("-8", 8)) for b in (128, 192, 256)}
CCM = {f"aes-{b}-ccm{s}": (b // 8, 3, 8, n) for s, n in (("", 16), ("-12", 12), ("-8", 8)) for b in (128, 192, 256)}
GMAC = {f"aes-{b}-gmac": (b // 8, 4, 8, 16) for b in (128, 192, 256)}
CHACHA = {"chacha20-poly1305": (32, 4, 8, 16)}
NULL = {"null": (0, 0, 0)}
ENC = CBC | CTR | GCM | CCM | GMAC | CHACHA | NULL
AUTH = {"hmac-sha1": (20, 12), "hmac-sha2-256": (32, 16), "hmac-sha2-384": (48, 24), "hmac-sha2-512": (64, 32),
        "aes-xcbc": (16, 12), "aes-cmac": (16, 12), "hmac-md5": (16, 12)}

# scapy's names
SCAPY_ENC = dict.fromkeys(("aes-128", "aes-192", "aes-256"), "AES-CBC") | {"3des": "3DES", "null": "NULL"} \
    | dict.fromkeys(CTR, "AES-CTR") | dict.fromkeys((n for n in GCM if GCM[n][3] == 16), "AES-GCM") | dict.fromkeys(CCM, "AES-CCM") \
    | dict.fromkeys(CHACHA, "CHACHA20-POLY1305")
SCAPY_AUTH = {"hmac-sha1": "HMAC-SHA1-96", "hmac-sha2-256": "SHA2-256-128", "hmac-sha2-384": "SHA2-384-192",
              "hmac-sha2-512": "SHA2-512-256", "aes-cmac": "AES-CMAC-96", "hmac-md5": "HMAC-MD5-96"}


def count_up(n, start):
    return bytes((start + i) & 0xff for i in range(n))


def be32(v):
    return v.to_bytes(4, "big")


def mac(auth, key, data):
    full = gcry.xcbc(key, data) if auth == "aes-xcbc" else gcry.mac(auth, key, data)
    return full[:AUTH[auth][1]]


def esp(enc, key, auth, authkey, spi, seq, hi, iv, payload):
    """(payload on the wire, ICV); hi None: no ESN"""
    head = be32(spi) + be32(seq)
    aad = head if hi is None else be32(spi) + be32(hi) + be32(seq)
    k = ENC[enc][0]
    if enc in GMAC:
        return payload, gcry.aead(gcry.GCM, key[:k], key[k:] + iv, aad + iv + payload, b"", 16)[1]
    for table, mode in ((GCM, gcry.GCM), (CCM, gcry.CCM), (CHACHA, gcry.POLY1305)):
        if enc in table:
            return gcry.aead(mode, key[:k], key[k:] + iv, aad, payload, table[enc][3])
    if enc in CBC:
        text = gcry.cbc(key, iv, payload, enc == "3des")
    elif enc in CTR:
        text = gcry.ctr(key[:k], key[k:] + iv + be32(1), payload)
    else:
        text = payload
    return text, mac(auth, authkey, head + iv + text + (b"" if hi is None else be32(hi)))


def gmac_ah(key, iv, data):
    return gcry.aead(gcry.GCM, key[:-4], key[-4:] + iv, data, b"", 16)[1]


def scapy_agrees(enc, key, auth, authkey, spi, seq, hi, iv, payload, text, icv):
    """False: scapy cannot build this one."""
    if enc not in SCAPY_ENC or (auth is not None and (auth not in SCAPY_AUTH or hi is not None)):
        return False
    from scapy.layers.ipsec import ESP, SecurityAssociation, _ESPPlain
    sa = SecurityAssociation(ESP, spi=spi, crypt_algo=SCAPY_ENC[enc], crypt_key=key or None,
                             auth_algo=SCAPY_AUTH[auth] if auth else None, auth_key=authkey if auth else None)
    pad = payload[-2]
    plain = _ESPPlain(spi=spi, seq=seq, iv=iv, data=payload[:-2 - pad], padding=payload[len(payload) - 2 - pad:-2],
                      padlen=pad, nh=payload[-1])
    wire = sa.crypt_algo.encrypt(sa, plain, sa.crypt_key, len(icv) if auth is None else 0, hi is not None, hi or 0)
    if auth is not None:
        wire = sa.auth_algo.sign(wire, authkey)
    if bytes(wire) != be32(spi) + be32(seq) + iv + text + icv:
        sys.exit(f"scapy and libgcrypt differ: {enc} {auth}\n{bytes(wire).hex()}\n{(text + icv).hex()}")
    return True


def trailer(data, block, next_header=4):
    """${data} with padding 1, 2, 3.. (RFC 4303 2.4), pad length and next header"""
    pad = -(len(data) + 2) % max(block, 4)
    return data + count_up(pad, 1) + bytes([pad, next_header])


def pairs():
    """Every enc, then null with every auth: what is compiled in."""
    for enc in ENC:
        if enc != "null":
            yield enc, "hmac-sha2-256" if len(ENC[enc]) == 3 else None
    for auth in AUTH:
        yield "null", auth


def rows():
    print("/* Made by tests/kat/make_vectors.py rows.  Keys 10 11 12.. and 80 81.., IV a0 a1.., payload 00 01.. */")

    def row(enc, auth, esn, text, icv):
        quoted = [f'"{x}"' if x else "NULL" for x in (enc, auth)]
        print(f"{{{quoted[0]}, {quoted[1]}, {'true' if esn else 'false'},\n    "
              + (f'"{text.hex()}"' if text else "NULL") + f',\n    "{icv.hex()}"}},')

    def esp_row(enc, auth, hi):
        key, authkey = count_up(sum(ENC[enc][:2]), 0x10), count_up(AUTH[auth][0], 0x80) if auth else b""
        iv, payload = count_up(ENC[enc][2], 0xa0), count_up(32, 0)
        text, icv = esp(enc, key, auth, authkey, 0x01020304, 0x0a0b0c0d, hi, iv, payload)
        scapy_agrees(enc, key, auth, authkey, 0x01020304, 0x0a0b0c0d, hi, iv, payload, text, icv)
        row(enc, auth, hi is not None, text if text != payload else None, icv)

    print("/* clang-format off */")
    for enc, auth in pairs():
        esp_row(enc, auth, None)
    for enc, auth in (("aes-128-gcm", None), ("aes-128-gmac", None), ("null", "hmac-sha2-256")):
        esp_row(enc, auth, 5)
    for auth in AUTH:
        row(None, auth, False, None, mac(auth, count_up(AUTH[auth][0], 0x80), count_up(61, 0)))
    for auth in GMAC:
        key = count_up(sum(GMAC[auth][:2]), 0x80)
        row(None, auth, False, None, gmac_ah(key, count_up(8, 0xa0), count_up(61, 0)))
    print("/* clang-format on */")


def data():
    print("""# Whole ESP packets.  No RFC prints packets of these (or none with ESN), so tests/kat/make_vectors.py made them:
# octets by libgcrypt; those marked scapy were built by scapy as well, with the same result.""")
    made = [p + (hi,) for p in pairs() for hi in (None, 0xfffffffe)]
    made += [("aes-128", a, hi) for a in AUTH for hi in (None, 1)]
    for n, (enc, auth, hi) in enumerate(made):
        block = 16 if enc.startswith("aes") and enc in CBC else 8 if enc == "3des" else 4
        key, authkey = count_up(sum(ENC[enc][:2]), 3 * n), count_up(AUTH[auth][0], 7 * n) if auth else b""
        iv, spi, seq = count_up(ENC[enc][2], 0xc0 + n), 0xc0de0000 + n, 0xfffffff0 + n % 16
        payload = trailer(count_up(40 + 3 * n, n), block)
        text, icv = esp(enc, key, auth, authkey, spi, seq, hi, iv, payload)
        both = scapy_agrees(enc, key, auth, authkey, spi, seq, hi, iv, payload, text, icv)
        print(f"\ntest {enc}{' ' + auth if auth else ''}{' esn' if hi is not None else ''}{' (scapy)' if both else ''}")
        print(f"enc {enc}" + (f"\nenckey {key.hex()}" if key else ""))
        if auth:
            print(f"auth {auth}\nauthkey {authkey.hex()}")
        if hi is not None:
            print(f"esn {be32(hi).hex()}")
        print(f"packet {(be32(spi) + be32(seq) + iv + text + icv).hex()}\nclear {payload.hex()}")


def octets(text):
    """hex, or hh*n"""
    parts = (w.split("*") + ["1"] for w in text.split())
    return b"".join(bytes.fromhex(w[0]) * int(w[1]) for w in parts)


def read(path):
    """Each test of a file as a dict; octets where the value is octets."""
    tests = []
    for line in open(path, encoding="ascii"):
        word, _, value = line.strip().partition(" ")
        if word == "test":
            tests.append({word: value})
        elif word and word[0] != "#":
            tests[-1][word] = value if word in ("enc", "auth") else octets(value)
    return tests


def agrees(t):
    enc, auth, key, authkey = t.get("enc"), t.get("auth"), t.get("enckey", b""), t.get("authkey", b"")
    if "data" in t:
        got = gmac_ah(authkey, t["iv"], t["data"]) if auth in GMAC else mac(auth, authkey, t["data"])
        return got == t["icv"]
    if "text" in t:
        return esp(enc, key, "hmac-sha2-256", bytes(32), 0, 0, None, t["iv"], t["clear"])[0] == t["text"]
    p, ivlen = t["packet"], ENC[enc][2]
    hi = int.from_bytes(t["esn"], "big") if "esn" in t else None
    spi, seq = int.from_bytes(p[:4], "big"), int.from_bytes(p[4:8], "big")
    return b"".join(esp(enc, key, auth, authkey, spi, seq, hi, p[8:8 + ivlen], t["clear"])) == p[8 + ivlen:]


def check(paths):
    tests = [(path, t) for path in paths for t in read(path)]
    wrong = [f"{path}: {t['test']}" for path, t in tests if not agrees(t)]
    print(f"{len(tests)} tests, {len(wrong)} wrong", *wrong, sep="\n")
    sys.exit(1 if wrong or not tests else 0)


if __name__ == "__main__":
    makers = {"rows": rows, "data": data}
    if len(sys.argv) > 2 and sys.argv[1] == "check":
        check(sys.argv[2:])
    if len(sys.argv) != 2 or sys.argv[1] not in makers:
        sys.exit(__doc__)
    makers[sys.argv[1]]()
