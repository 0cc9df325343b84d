"""The configurations: how two hosts are connected, by us and by others."""
import os
import secrets

from lab import Failed, Skipped, have, within

CHARON = "/usr/lib/ipsec/charon"
LIBIPSEC = "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"


class Setup:
    """A way of connecting two hosts.  up() leaves namespaces in a and b, b's address in address, daemons' numbers in pids."""
    group = "raw"
    backend = None

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.a = self.b = None
        self.address = "10.9.0.2"
        self.pids = []

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def up(self, lab):
        self.a, self.b = lab.hosts(self.name)
        self.connect(lab)
        if not within(15, lambda: self.reaches(lab)):
            raise Failed("one host does not reach the other")

    def connect(self, lab):
        pass

    def reaches(self, lab):
        try:
            lab.at(self.a, "ping", "-c", "1", "-W", "1", self.address)
        except Failed:
            return False
        return True


class RawNoOffload(Setup):
    def connect(self, lab):
        for space in (self.a, self.b):
            lab.at(space, "ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off")

    def missing(self):
        return None if not have("ethtool") else "ethtool is not installed"


def key(octets):
    return "0x" + secrets.token_hex(octets)


class Bits(Setup):
    """Two bumps.  ${suite}: what stands behind the SPIs, with a place for each pair of keys."""
    group = "bits"

    def __init__(self, name, text, build, backend, suite, proto="esp", options=(), preload=None):
        super().__init__(name, text)
        self.build, self.backend, self.suite, self.proto, self.options = build, backend, suite, proto, options
        self.preload = preload and os.path.join(build, preload)

    def missing(self):
        for program in ("shim/bitsd", "tools/ipsecctl"):
            if not os.access(os.path.join(self.build, program), os.X_OK):
                return f"no {program} in {self.build} (build first)"
        if self.preload and not os.path.exists(self.preload):
            return f"no {self.preload} (build first: --target bits_bench_nullcipher)"
        return None

    def conf(self, mine, other, spi, keys):
        if self.suite is None:
            return "flow from any to any type bypass\n"
        suite = self.suite
        for pair in keys:
            suite = suite.replace("KEYS", ":".join(pair), 1)
        return f"{self.proto} transport from {mine} to {other} spi {spi} {suite}\nflow {self.proto} transport from {mine} to {other}\n"

    def files(self, lab):
        keys, text = [], self.suite or ""
        for word in text.split():
            if word.startswith("KEYS/"):
                keys.append((key(int(word[5:])), key(int(word[5:]))))
                text = text.replace(word, "KEYS", 1)
        self.suite = text if self.suite else None
        back = [(k[1], k[0]) for k in keys]
        return {self.a: lab.write(f"{self.name}-a.conf", self.conf("10.9.0.1", "10.9.0.2", "0x1001:0x2001", keys)),
                self.b: lab.write(f"{self.name}-b.conf", self.conf("10.9.0.2", "10.9.0.1", "0x2001:0x1001", back))}

    def connect(self, lab):
        if "xdp" in " ".join(self.options):  # it wants tags where they were
            for space in (self.a, self.b):
                lab.at(space, "ethtool", "-K", "eth0", "rxvlan", "off")
        empty, files, started = lab.write("empty.conf", "# nothing yet\n"), self.files(lab), []
        for space, conf in files.items():
            home = lab.path(f"{space}.d")
            os.mkdir(home)
            lab.adopt(f"{space}-nic")
            daemon = lab.start(space, os.path.join(self.build, "shim/bitsd"), "-d", "-i", "eth0", "-f", empty, "--run-dir", f"{home}/run",
                               "--state-dir", f"{home}/state", "--nic-netns", f"{space}-nic", "--crypto", self.backend or "auto",
                               *self.options, log=f"{space}.log", env={"LD_PRELOAD": self.preload} if self.preload else None)
            self.pids.append(daemon.pid)
            started.append((daemon, [os.path.join(self.build, "tools/ipsecctl"), "-S", f"{home}/run/eth0.sock"], conf, space))
        for daemon, ctl, conf, space in started:
            if not within(15, lambda d=daemon, c=ctl: d.poll() is not None or self.answers(lab, c)) or daemon.poll() is not None:
                said = last_line(lab.path(space + ".log"))
                raise (Skipped if self.backend == "ipsec-mb" and "ipsec-mb" in said else Failed)(f"bitsd does not start: {said}")
            lab.at(space, *ctl, "-f", conf)

    def answers(self, lab, ctl):
        try:
            lab.at(self.a, *ctl, "-s", "nic")
        except Failed:
            return False
        return True


def last_line(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        lines = f.read().strip().splitlines()
    return lines[-1] if lines else "without a word"


class WireGuard(Setup):
    group = "peer"

    def missing(self):
        tool = have("wireguard-go", "wg")
        return f"{tool} is not installed (apt-get install wireguard-go wireguard-tools)" if tool else None

    def connect(self, lab):
        private, public = {}, {}
        for space in (self.a, self.b):
            private[space] = lab.write(f"{space}.key", lab.at(space, "wg", "genkey"))
            with open(private[space], encoding="ascii") as f:
                public[space] = lab.at(space, "wg", "pubkey", stdin=f.read()).strip()
        for space, other, n in ((self.a, self.b, 1), (self.b, self.a, 2)):
            name = f"{lab.tag}w{n}"  # sockets of that name lie in one folder for all namespaces
            self.pids.append(lab.start(space, "wireguard-go", "-f", name, log=f"{space}.log", env={"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"}).pid)
            if not within(10, lambda s=space, i=name: os.path.exists(f"/var/run/wireguard/{i}.sock") and up(lab, s, i)):
                raise Failed(f"wireguard-go does not start: {last_line(lab.path(space + '.log'))}")
            lab.at(space, "wg", "set", name, "private-key", private[space], "listen-port", "51820", "peer", public[other],
                   "endpoint", f"10.9.0.{3 - n}:51820", "allowed-ips", "10.8.0.0/24")
            lab.at(space, "ip", "addr", "add", f"10.8.0.{n}/24", "dev", name)
            lab.at(space, "ip", "link", "set", name, "up", "mtu", "1420")
        self.address = "10.8.0.2"


def up(lab, space, name):
    try:
        lab.at(space, "ip", "link", "show", name)
    except Failed:
        return False
    return True


class OpenVpn(Setup):
    """TLS with two certificates that know each other by fingerprint; the data channel in user space."""
    group = "peer"

    def missing(self):
        tool = have("openvpn", "openssl")
        return f"{tool} is not installed (apt-get install openvpn)" if tool else None

    def connect(self, lab):
        print_of = {}
        for space in (self.a, self.b):
            lab.at(space, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
                   "-keyout", lab.path(f"{space}.pem"), "-out", lab.path(f"{space}.crt"))
            print_of[space] = lab.at(space, "openssl", "x509", "-in", lab.path(f"{space}.crt"), "-noout", "-fingerprint", "-sha256").strip().split("=")[1]
        for space, other, n in ((self.a, self.b, 1), (self.b, self.a, 2)):
            self.pids.append(lab.start(space, "openvpn", "--dev", "tun0", "--dev-type", "tun", "--proto", "udp", "--local", f"10.9.0.{n}", "--port", "1194",
                                       "--remote", f"10.9.0.{3 - n}", "1194", "--ifconfig", f"10.8.0.{n}", f"10.8.0.{3 - n}", "--disable-dco", "--verb", "1",
                                       "--data-ciphers", "AES-128-GCM", "--tls-server" if n == 1 else "--tls-client", *(["--dh", "none"] if n == 1 else []),
                                       "--cert", lab.path(f"{space}.crt"), "--key", lab.path(f"{space}.pem"), "--peer-fingerprint", print_of[other],
                                       log=f"{space}.log").pid)
        self.address = "10.8.0.2"


SWAN_CONF = """charon {{
  load = random nonce openssl aes sha1 sha2 hmac kdf gcm curve25519 kernel-libipsec kernel-netlink socket-default vici updown
  plugins {{ vici {{ socket = unix://{dir}/vici }} }}
  filelog {{ log {{ path = {dir}/log
    default = 1 }} }}
}}
"""
SWAN_CONNECTION = """connections {{ bench {{
  version = 2
  local_addrs = {mine}
  remote_addrs = {other}
  proposals = aes128-sha256-curve25519
  local {{ auth = psk
    id = {mine} }}
  remote {{ auth = psk
    id = {other} }}
  children {{ bench {{
    local_ts = 10.8.{n}.1/32
    remote_ts = 10.8.{m}.1/32
    esp_proposals = {esp} }} }}
}} }}
secrets {{ ike-bench {{ secret = {psk} }} }}
"""


class StrongSwan(Setup):
    """IKEv2 by PSK, packets by kernel-libipsec: the other ESP in user space."""
    group = "peer"

    def __init__(self, name, text, esp):
        super().__init__(name, text)
        self.esp = esp

    def missing(self):
        tool = have(CHARON, LIBIPSEC, "swanctl")
        return f"{os.path.basename(tool)} is not installed (apt-get install strongswan-swanctl strongswan-charon libcharon-extra-plugins)" if tool else None

    def connect(self, lab):
        psk, homes = key(32), {}
        for space, n in ((self.a, 1), (self.b, 2)):
            home = homes[space] = lab.path(f"{space}.d")
            os.mkdir(home)
            lab.write(f"{space}.d/strongswan.conf", SWAN_CONF.format(dir=home))
            lab.write(f"{space}.d/swanctl.conf", SWAN_CONNECTION.format(mine=f"10.9.0.{n}", other=f"10.9.0.{3 - n}", n=n, m=3 - n, esp=self.esp, psk=psk))
            lab.at(space, "ip", "addr", "add", f"10.8.{n}.1/32", "dev", "lo")
            # its pid file has one place only: a /run of its own
            self.pids.append(lab.start(space, "unshare", "-m", "sh", "-c", f"mount -t tmpfs none /run && exec {CHARON}", log=f"{space}.log",
                                       env={"STRONGSWAN_CONF": f"{home}/strongswan.conf"}).pid)
        for space, home in homes.items():
            if not within(10, lambda h=home: os.path.exists(f"{h}/vici")):
                raise Failed(f"charon does not start: {last_line(lab.path(space + '.log'))}")
            lab.at(space, "swanctl", "--load-all", "--noprompt", "--uri", f"unix://{home}/vici", "--file", f"{home}/swanctl.conf")
        lab.at(self.a, "swanctl", "--initiate", "--child", "bench", "--timeout", "10", "--uri", f"unix://{homes[self.a]}/vici", timeout=20)
        self.address = "10.8.2.1"


ESP = [
    ("esp_gcm128", "ESP AES-128-GCM", "enc aes-128-gcm enckey KEYS/20", "esp"),
    ("esp_gcm256", "ESP AES-256-GCM", "enc aes-256-gcm enckey KEYS/36", "esp"),
    ("esp_chacha20", "ESP ChaCha20-Poly1305", "enc chacha20-poly1305 enckey KEYS/36", "esp"),
    ("esp_cbc_sha256", "ESP AES-128-CBC, HMAC-SHA-256", "auth hmac-sha2-256 enc aes-128 authkey KEYS/32 enckey KEYS/16", "esp"),
    ("ah_sha256", "AH HMAC-SHA-256", "auth hmac-sha2-256 authkey KEYS/32", "ah"),
    ("gcm128_udpencap", "ESP AES-128-GCM in UDP", "enc aes-128-gcm enckey KEYS/20 udpencap 4500:4500", "esp"),
]


def all_setups(build, options=()):
    """Every configuration, in the order it is shown in."""
    found = [Setup("raw", "veth, all offloads"), RawNoOffload("raw_nooffload", "veth, no segmentation offload"),
             Bits("bits_bypass", "bitsd, everything bypassed", build, None, None, options=options)]
    for name, text, suite, proto in ESP:
        for backend in ("ipsec-mb", "openssl"):
            found.append(Bits(f"bits_{name}_{'imb' if backend == 'ipsec-mb' else 'ossl'}", f"bitsd, {text}, {backend}", build, backend, suite, proto, options))
        if name == "esp_gcm128":  # what is left without the cipher's time
            found.append(Bits("bits_esp_nocipher", "bitsd, ESP, payload moved as it is", build, "ipsec-mb", suite, proto, options, "tools/nullcipher.so"))
    return found + [WireGuard("wireguard_go", "wireguard-go"), OpenVpn("openvpn", "OpenVPN, AES-128-GCM, TLS"),
                    StrongSwan("strongswan_gcm128", "strongSwan kernel-libipsec, AES-128-GCM", "aes128gcm16-curve25519"),
                    StrongSwan("strongswan_cbc_sha256", "strongSwan kernel-libipsec, AES-128-CBC, HMAC-SHA-256", "aes128-sha256-curve25519")]
