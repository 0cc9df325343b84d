#!/bin/bash
# ipsecctl trace: rule, SA, sizes, and why the rules before did not match.
. "$(dirname "$0")/lib.sh" "$1" "$2"

k() { printf '0x%0*d' "$2" "$1"; } # a key of so many digits
cat >"$tmp/conf" <<X
esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 enc aes-128-gcm enckey $(k 1 40):$(k 2 40)
esp tunnel from 192.0.2.1 to 198.51.100.7 spi 0x1002:0x2002 auth hmac-sha2-256 enc aes-256 authkey $(k 3 64):$(k 4 64) enckey $(k 5 64):$(k 6 64) reqid 7
flow out proto tcp from any to any port 22 type bypass
flow in from any to any vlan 5 type deny
flow esp transport proto tcp from 10.9.0.1 to 10.9.0.2 port 80-90
flow esp tunnel from 10.1.0.0/16 to 10.2.0.0/16 local 192.0.2.1 peer 198.51.100.7 reqid 7
flow esp transport from 10.9.0.1 to 10.9.0.3
flow proto icmp from any to any icmptype 8 type bypass
builtin dhcp type deny
X
ipsecctl -f "$tmp/conf" || fail "the policy does not load"

t="trace proto tcp from 10.9.0.1 port 4711 to 10.9.0.2 port"
says 'rule     2: flow esp transport proto tcp from 10.9.0.1 to 10.9.0.2 port 80-90' $t 80
says 'SA       esp transport 0x00001001 10.9.0.1 -> 10.9.0.2: 40 -> 76 octets' $t http
says 'not      0, by its remote port: flow out proto tcp from any to any port 22 type bypass' $t 80
says 'not      1, by its direction' $t 80
says 'MTU      1500: it fits; the largest that fits has 1466 octets' $t 80 size 1466
says 'it is dropped as too big, and the host is told; the largest that fits has 1466 octets' $t 80 size 1467
says 'SA       esp tunnel 0x00001002 192.0.2.1 -> 198.51.100.7 reqid 7: 28 -> 92 octets' trace proto udp from 10.1.2.3 to 10.2.3.4 port 53
says 'verdict  drop, no_sa' trace proto udp from 10.9.0.1 to 10.9.0.3 port 53
says 'missing  esp transport 10.9.0.1 -> 10.9.0.3' trace proto udp from 10.9.0.1 to 10.9.0.3 port 53
says 'verdict  drop, policy_default' trace proto 47 from 10.9.0.1 to 10.9.0.9
says 'rule     none matches' trace proto 47 from 10.9.0.1 to 10.9.0.9
says 'verdict  bypass' trace in proto icmp from 10.9.0.9 to 10.9.0.1
says 'verdict  drop, clear_denied' trace in proto tcp from 10.9.0.2 port 80 to 10.9.0.1 port 4711
says 'taken    through esp transport 0x00002001 10.9.0.2 -> 10.9.0.1' trace in proto tcp from 10.9.0.2 port 80 to 10.9.0.1 port 4711
says 'verdict  drop, policy_discard' trace in proto udp from 10.9.0.2 to 10.9.0.1 vlan 5
says 'rule     builtin dhcp type deny' trace proto udp from 0.0.0.0 port 68 to 255.255.255.255 port 67
says '         20 clear + 20 payload + 8 ESP + 8 IV + 2 padding + 2 trailer + 16 ICV = 76' -v $t 80
says '         28 inner + 20 outer IP + 8 ESP + 16 IV + 2 padding + 2 trailer + 16 ICV = 92' -v trace proto udp from 10.1.2.3 to 10.2.3.4 port 53
refused 'one packet at a time' trace proto tcp from 10.9.0.1 to '{ 10.9.0.2 10.9.0.3 }'
refused 'one address to one address' trace proto tcp from 10.9.0.1 to any
refused 'one port' trace proto tcp from 10.9.0.1 to 10.9.0.2 port 1-2
refused 'proto' trace from 10.9.0.1 to 10.9.0.2
refused 'no such packet of 39 octets' trace proto tcp from 10.9.0.1 to 10.9.0.2 size 39
refused 'packet:1:' trace proto tcp from 10.9.0.1
ipsecctl --json trace proto tcp from 10.9.0.1 to 10.9.0.2 port 80 >"$tmp/json"
[ "$(value '[d["verdict"], d["rule"]["place"], d["steps"][0]["size"], d["largest"], d["fit"], [b["differs"] for b in d["before"]]]' "$tmp/json")" = \
	"['protect', 2, 76, 1466, 'whole', ['remote port', 'direction']]" ] || { fail "--json:"; cat "$tmp/json"; }
# nothing was counted
ipsecctl -s flow --json >"$tmp/json"
[ "$(value 'sum(f[x]["packets"] for f in d["flows"] for x in ("in", "out"))' "$tmp/json")" -eq 0 ] || fail "tracing counts"
