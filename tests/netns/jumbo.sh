#!/usr/bin/env bash
# Jumbo frames, and the largest packets that IP knows: ESP and AH, transport and tunnel, over wires of MTU 9000 and 65521 (a TAP's most).
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
#   fd09::1/64                                    fd09::2/64
. "$(dirname "$0")/lib.sh"
begin "frames of 9000 and of 65521 octets"
MB=20

# widen MTU NS-A NS-B: the wire, its ports and both NICs, which stand in these namespaces
widen()
{
	show w ip link set mtu "$1"
	at w ip link set wa mtu "$1"
	at w ip link set wb mtu "$1"
	at w ip link set br0 mtu "$1"
	at "$2" ip link set eth0 mtu "$1"
	at "$3" ip link set eth0 mtu "$1"
}

# forget HOST...: what it has learnt of paths, which else holds for ten minutes
forget() { for h in "$@"; do at "$h" ip -4 route flush cache && at "$h" ip -6 route flush cache; done; }

host a
host b
wire w
plug a eth0 w wa
plug b eth0 w wb
widen 9000 a b
on a ip addr add 10.9.0.1/24 dev eth0
on a ip addr add fd09::1/64 dev eth0 nodad
on b ip addr add 10.9.0.2/24 dev eth0
on b ip addr add fd09::2/64 dev eth0 nodad
reach a 10.9.0.2
settle a
before=$(configuration a)

new_key 1
new_key 2
new_key 3 36
new_key 4 36
new_key 5 32
new_key 6 32
# rules MODE4 MODE6 LOCAL REMOTE SPI-OUT SPI-IN OUT4 IN4 OUT6 IN6
rules()
{
	sa "$1" "10.9.0.$3" "10.9.0.$4" "$5" "$6" "$7" "$8"
	sa "$2" "fd09::$3" "fd09::$4" "${5}a" "${6}a" "$9" "${10}" aes-256-gcm
	echo "flow esp $1 from 10.9.0.$3 to 10.9.0.$4"
	echo "flow esp $2 from fd09::$3 to fd09::$4"
}
rules transport tunnel 1 2 0x1001 0x2001 "${key[1]}" "${key[2]}" "${key[3]}" "${key[4]}" >"$tmp/a.conf"
rules transport tunnel 2 1 0x2001 0x1001 "${key[2]}" "${key[1]}" "${key[4]}" "${key[3]}" >"$tmp/b.conf"

say "MTU 9000: ESP, transport mode over IPv4, tunnel mode over IPv6"
echo '# no rules: discard' >"$tmp/none.conf"
start a eth0 "$tmp/none.conf"
start b eth0 "$tmp/none.conf"
load a "$tmp/a.conf"
load b "$tmp/b.conf"
sniff nine w wa
# 9000 = 20 IP + 16 ESP, IV + 8 ICMP + 8938 + pad + 2 + 16 ICV; the tunnel: 40 + 16 + 40 + 8 + 8878 + 2 + 16
largest a 10.9.0.2 8938
largest b fd09::1 8878
transfer a b 10.9.0.2
transfer b a fd09::1
unsniff nine
only_esp nine
[ "$(frames nine "$ESP and len = 9014")" -gt 0 ] || fail "the largest packet does not fill the wire's MTU"
[ "$(frames nine 'greater 9015')" -eq 0 ] || fail "a frame is larger than the wire's MTU"
ok "the largest packet is 9014 octets on the wire"

say "MTU 9000: AH with its ICV over all of a jumbo frame"
# ah MODE LOCAL REMOTE SPI-OUT SPI-IN KEY-OUT KEY-IN
ah() { echo "ah $1 from $2 to $3 spi $4:$5 auth hmac-sha2-256 authkey $6:$7" && echo "flow ah $1 from $2 to $3"; }
ah transport 10.9.0.1 10.9.0.2 0x3001 0x4001 "${key[5]}" "${key[6]}" >"$tmp/ah-a.conf"
ah transport 10.9.0.2 10.9.0.1 0x4001 0x3001 "${key[6]}" "${key[5]}" >"$tmp/ah-b.conf"
load a "$tmp/ah-a.conf"
load b "$tmp/ah-b.conf"
forget a b
reach a 10.9.0.2
largest a 10.9.0.2 8944
transfer a b 10.9.0.2

say "an MTU changed under the running daemon: 65521, and packets of nearly 64 KB"
load a "$tmp/a.conf"
load b "$tmp/b.conf"
forget a b
widen 65521 "$(private a)" "$(private b)"
wide() { at "$1" ip link show eth0 | grep -q 'mtu 65521'; }
within 5 wide a || fail "the host's device does not follow: $(at a ip link show eth0)"
within 5 wide b || fail "the host's device does not follow: $(at b ip link show eth0)"
largest a 10.9.0.2 65458
largest b fd09::1 65398
transfer a b 10.9.0.2
transfer b a fd09::1
[ "$(dropped a truncated)" -eq 0 ] || fail "packets were cut"

widen 9000 "$(private a)" "$(private b)"
same a "$before" "with the bump"
stop a
stop b
done_all
