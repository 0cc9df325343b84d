"""The few functions of libgcrypt that make_vectors.py needs, by ctypes.

libgcrypt is neither of the libraries the daemon uses, which is the point.
"""
import ctypes
import ctypes.util

_lib = ctypes.CDLL(ctypes.util.find_library("gcrypt") or "libgcrypt.so.20")
_lib.gcry_check_version.restype = ctypes.c_char_p
_lib.gcry_check_version(None)
_lib.gcry_control(38, 0)  # GCRYCTL_INITIALIZATION_FINISHED

ECB, CBC, CTR, CCM, GCM, POLY1305 = 1, 3, 6, 8, 9, 10
DES3, CHACHA20 = 2, 316
_AES = {16: 7, 24: 8, 32: 9}
_MAC = {"hmac-md5": 106, "hmac-sha1": 105, "hmac-sha2-256": 101, "hmac-sha2-384": 104, "hmac-sha2-512": 103,
        "aes-cmac": 201}


def _check(err, what):
    if err:
        raise RuntimeError(f"libgcrypt: {what}: {err & 0xffff}")


class _Cipher:
    def __init__(self, algo, mode, key):
        self.h = ctypes.c_void_p()
        _check(_lib.gcry_cipher_open(ctypes.byref(self.h), algo, mode, 0), "open")
        _check(_lib.gcry_cipher_setkey(self.h, key, ctypes.c_size_t(len(key))), "setkey")

    def call(self, name, *args):
        _check(getattr(_lib, "gcry_cipher_" + name)(self.h, *args), name)

    def encrypt(self, data):
        out = ctypes.create_string_buffer(max(len(data), 1))
        if data:
            self.call("encrypt", out, ctypes.c_size_t(len(data)), data, ctypes.c_size_t(len(data)))
        return out.raw[:len(data)]

    def tag(self, n):
        out = ctypes.create_string_buffer(n)
        self.call("gettag", out, ctypes.c_size_t(n))
        return out.raw

    def __del__(self):
        _lib.gcry_cipher_close(self.h)


def ecb(key, data):
    return _Cipher(_AES[len(key)], ECB, key).encrypt(data)


def cbc(key, iv, data, des3=False):
    c = _Cipher(DES3 if des3 else _AES[len(key)], CBC, key)
    c.call("setiv", iv, ctypes.c_size_t(len(iv)))
    return c.encrypt(data)


def ctr(key, block, data):
    c = _Cipher(_AES[len(key)], CTR, key)
    c.call("setctr", block, ctypes.c_size_t(len(block)))
    return c.encrypt(data)


def aead(mode, key, nonce, aad, data, taglen):
    """(cipher text, tag)"""
    c = _Cipher(CHACHA20 if mode == POLY1305 else _AES[len(key)], mode, key)
    c.call("setiv", nonce, ctypes.c_size_t(len(nonce)))
    if mode == CCM:
        lengths = (ctypes.c_uint64 * 3)(len(data), len(aad), taglen)
        c.call("ctl", 69, lengths, ctypes.c_size_t(24))  # GCRYCTL_SET_CCM_LENGTHS
    if aad:
        c.call("authenticate", aad, ctypes.c_size_t(len(aad)))
    if mode != CCM:
        c.call("ctl", 5, None, ctypes.c_size_t(0))  # GCRYCTL_FINALIZE: the next piece is the last
    text = c.encrypt(data)
    return text, c.tag(16 if mode != CCM else taglen)[:taglen]


def mac(name, key, data):
    h = ctypes.c_void_p()
    _check(_lib.gcry_mac_open(ctypes.byref(h), _MAC[name], 0, None), "mac_open")
    _check(_lib.gcry_mac_setkey(h, key, ctypes.c_size_t(len(key))), "mac_setkey")
    _check(_lib.gcry_mac_write(h, data, ctypes.c_size_t(len(data))), "mac_write")
    out = ctypes.create_string_buffer(64)
    n = ctypes.c_size_t(64)
    _check(_lib.gcry_mac_read(h, out, ctypes.byref(n)), "mac_read")
    _lib.gcry_mac_close(h)
    return out.raw[:n.value]


def xcbc(key, data):
    """AES-XCBC-MAC (RFC 3566 4) on AES blocks alone; all 16 octets."""
    k1, k2, k3 = (ecb(key, bytes([i]) * 16) for i in (1, 2, 3))
    blocks = [data[i:i + 16] for i in range(0, len(data), 16)] or [b""]
    last = blocks.pop()
    key_last = k2 if len(last) == 16 else k3
    last = last if len(last) == 16 else (last + b"\x80").ljust(16, b"\0")
    state = bytes(16)
    for b in blocks:
        state = ecb(k1, bytes(x ^ y for x, y in zip(state, b)))
    return ecb(k1, bytes(x ^ y ^ z for x, y, z in zip(state, last, key_last)))
