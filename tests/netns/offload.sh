#!/usr/bin/env bash
# Super-frames: the host's are cut to what fits, what comes in is joined, clear ones pass whole; and without them the same.
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
#   fd09::1/64                                    fd09::2/64
. "$(dirname "$0")/lib.sh"
begin "super-frames from the host and to it, protected and in clear, and without them"

two_hosts6
settle a
settle b

# longest NAME [FILTER]: octets of the longest frame of a capture
longest() { tcpdump -n -e -r "$tmp/$1.pcap" "${2:-}" 2>/dev/null | sed -n 's/.* length \([0-9]*\): .*/\1/p' | sort -n | tail -n 1; }

new_key 1
new_key 2
new_key 3
new_key 4
for h in a b; do
	if [ $h = a ]; then
		sa transport 10.9.0.1 10.9.0.2 0x1001 0x2001 "${key[1]}" "${key[2]}"
		sa transport fd09::1 fd09::2 0x1002 0x2002 "${key[3]}" "${key[4]}"
		echo 'flow esp transport from 10.9.0.1 to 10.9.0.2'
		echo 'flow esp transport from fd09::1 to fd09::2'
	else
		sa transport 10.9.0.2 10.9.0.1 0x2001 0x1001 "${key[2]}" "${key[1]}"
		sa transport fd09::2 fd09::1 0x2002 0x1002 "${key[4]}" "${key[3]}"
		echo 'flow esp transport from 10.9.0.2 to 10.9.0.1'
		echo 'flow esp transport from fd09::2 to fd09::1'
	fi >"$tmp/$h.conf"
	echo 'flow from any to any type bypass' >"$tmp/clear.conf"
done

say "protected: super-frames at the hosts, full packets on the wire, nobody is told of a smaller MTU"
start a eth0 "$tmp/a.conf"
start b eth0 "$tmp/b.conf"
# a key's first use is said by hand
load a "$tmp/a.conf"
load b "$tmp/b.conf"
reach a 10.9.0.2
reach a fd09::2
sniff wire w wa
sniff up b eth0 tcp
transfer a b 10.9.0.2
transfer a b fd09::2
unsniff wire
unsniff up
only_esp wire
[ "$(longest wire)" -le 1514 ] || fail "a frame of $(longest wire) octets on the wire"
ok "the longest frame on the wire has $(longest wire) octets"
[ "$(longest up)" -gt 10000 ] || fail "b's host gets no super-frames: the longest has $(longest up) octets"
ok "b's host gets frames of up to $(longest up) octets"
[ "$(dropped a too_big)" -le 4 ] || fail "super-frames are too big: $(dropped a too_big)"
ok "too big: $(dropped a too_big), single frames of the first round trips"

say "the stack of the NIC's own namespace is spared what is for the bump alone"
received() { at "$(private "$1")" awk '$1 == "Ip:" && $2 ~ /[0-9]/ { print $4 }' /proc/net/snmp; }
if at "$(private b)" tc filter show dev eth0 ingress 2>/dev/null | grep -q bits_aside; then
	[ "$(received b)" -lt 10 ] || fail "$(received b) packets went into it"
	ok "packets that went into it: $(received b)"
else
	ok "this kernel takes no program at the ingress (CONFIG_NET_CLS_BPF): $(received b) packets went into it"
fi

say "datagrams in one send (UDP GSO)"
on a python3 - 10.9.0.2 "$tmp/udp-ready" <<'PY' &
import os, socket, sys, time
for i in range(100):
    if os.path.exists(sys.argv[2]): break
    time.sleep(0.1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 1000)  # UDP_SEGMENT
for k in range(20):
    s.sendto(b"".join(bytes([k, i]) * 500 for i in range(30)), (sys.argv[1], 4711))
    time.sleep(0.01)
PY
children+=($!)
on b timeout 30 python3 - "$tmp/udp-ready" <<'PY' || fail "not every datagram arrives as it was"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind(("10.9.0.2", 4711))
open(sys.argv[1], "w").close()
for k in range(20):
    for i in range(30):
        d = s.recv(65536)
        if d != bytes([k, i]) * 500:
            sys.exit(f"datagram {k}.{i}: {len(d)} octets, {d[:4]}")
PY
ok "600 datagrams, each as it was sent"

say "ESP in UDP: joined for the wire, and the peer takes it so"
for h in a b; do sed -E "s/^(esp .*)/\\1 udpencap 4500:4500/" "$tmp/$h.conf" >"$tmp/$h-udp.conf"; done
load a "$tmp/a-udp.conf"
load b "$tmp/b-udp.conf"
reach a 10.9.0.2
reach a fd09::2
sniff wire w wa
transfer a b 10.9.0.2
transfer a b fd09::2
unsniff wire
CLEAR_UDP="not udp port 4500 and not arp and not $ND and not $MLD"
[ "$(frames wire "$CLEAR_UDP")" -eq 0 ] || fail "frames in clear on the wire"
[ "$(longest wire 'udp port 4500')" -gt 10000 ] || fail "none is joined: the longest has $(longest wire) octets"
ok "the longest frame on the wire has $(longest wire) octets"
for h in a b; do
	[ "$(dropped $h auth_failed)" -eq 0 ] || fail "$h: packets that are not what was sent: $(dropped $h auth_failed)"
done

say "in clear: super-frames pass the wire whole"
load a "$tmp/clear.conf"
load b "$tmp/clear.conf"
sniff wire w wa
transfer a b 10.9.0.2
unsniff wire
[ "$(longest wire)" -gt 10000 ] || fail "none passes whole: the longest has $(longest wire) octets"
ok "the longest frame on the wire has $(longest wire) octets"
stop a
stop b

say "without offloads: one frame, one packet"
start a eth0 "$tmp/clear.conf" --no-offload
start b eth0 "$tmp/clear.conf" --no-offload
reach a 10.9.0.2
sniff wire w wa
sniff up b eth0 tcp
transfer a b 10.9.0.2
unsniff wire
unsniff up
[ "$(longest wire)" -le 1514 ] || fail "a frame of $(longest wire) octets on the wire"
[ "$(longest up)" -le 1514 ] || fail "b's host gets a frame of $(longest up) octets"
ok "no frame is longer than 1514 octets"
done_all
