#!/usr/bin/env bash
# An SA made when the first packet wants it, by what listens to `ipsecctl monitor`; with PFP flags, one for each flow.
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
. "$(dirname "$0")/lib.sh"
begin "type acquire: the first packets wait for the SA; pfp: it serves one flow"

two_hosts

echo 'flow esp transport from 10.9.0.1 to 10.9.0.2 type acquire' >"$tmp/a.conf"
echo 'flow esp transport from 10.9.0.2 to 10.9.0.1 type acquire' >"$tmp/b.conf"
start a eth0 "$tmp/a.conf"
start b eth0 "$tmp/b.conf"
new_key 1
new_key 2
sniff wire w wa
background monitor a "$IPSECCTL" -S "$(sock a)" -m --json
sleep 0.5 # until it listens

say "three pings before there is an SA: asked for once, and none is lost"
background ping a ping -c 3 -i 0.3 -W 8 10.9.0.2
within 5 grep -q '"acquire"' "$tmp/monitor.log" || fail "nobody is told"
sleep 1
requests=$(grep -c '"acquire"' "$tmp/monitor.log")
[ "$requests" -eq 1 ] || fail "$requests requests"
python3 - "$tmp/monitor.log" <<'X' || fail "the request says something else"
import json, sys
e = [json.loads(l) for l in open(sys.argv[1])]
e = [x for x in e if x["event"] == "acquire"][0]
assert e["request"]["text"] == "esp transport from 10.9.0.1 to 10.9.0.2", e
assert e["request"]["mode"] == "transport" and e["next"] == 1 and "spi" not in e, e
X
ok "$(grep -o 'acquire esp[^"]*' "$tmp/monitor.log")"
ctl b add "$(sa transport 10.9.0.2 10.9.0.1 0x2001 0x1001 "${key[2]}" "${key[1]}")"
ctl a add "$(sa transport 10.9.0.1 10.9.0.2 0x1001 0x2001 "${key[1]}" "${key[2]}")"
finished ping 10 || fail "a packet that waited is lost"
ok "all three answered"

say "nobody answers: they end under their name"
ctl a delete esp spi 0x1001
ctl a delete esp spi 0x2001
at a ping -c 1 -W 1 10.9.0.2 >/dev/null && fail "a ping without an SA"
within 8 drops_reached a acquire_timeout 1 || fail "no acquire_timeout"
ok "acquire_timeout: $(dropped a acquire_timeout)"

say "pfp: the SA of one flow serves no other"
echo 'flow esp transport proto udp from 10.9.0.1 to 10.9.0.2 pfp ports type acquire' >"$tmp/a2.conf"
load a "$tmp/a2.conf"
at a python3 -c '
import socket
for port in (7001, 7002):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.9.0.1", 5000))
    s.sendto(b"x", ("10.9.0.2", port))
    s.close()
'
within 5 grep -q 'port 5000 to 10.9.0.2 port 7002' "$tmp/monitor.log" || fail "no request for the second flow"
grep -q 'for proto udp from 10.9.0.1 port 5000 to 10.9.0.2 port 7001' "$tmp/monitor.log" || fail "no request for the first"
new_key 3
new_key 4
ctl a add "$(sa transport 10.9.0.1 10.9.0.2 0x1003 0x2003 "${key[3]}" "${key[4]}") for proto udp from 10.9.0.1 port 5000 to 10.9.0.2 port 7001"
packets() { ctl a -s sa --json | json '["sas"][0]["out"]["packets"]'; }
went() { [ "$(packets)" -ge 1 ]; }
within 5 went || fail "the packet that waited did not go"
[ "$(packets)" -eq 1 ] || fail "it serves another flow"
ok "one packet by the SA of its flow; the other waits for its own"
unsniff wire
only_esp wire
done_all
