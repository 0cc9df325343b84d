#!/usr/bin/env bash
# Tunnel mode: two hosts with a router between them, then a third host as gateway for a network behind it.
#
#   a ---- wire 1 ---- r (router, no bump) ---- wire 2 ---- b             a and b tunnel to each other
#   a ---- wire 1 ---- g (bump on its NIC) ---- h                         a tunnels to g, h knows nothing of IPsec
#
# The gateway is on a's own link while h is not: a's route to h goes by way of r, so the frames the stack makes carry r's link
# address, and the outer packets have to carry g's.
. "$(dirname "$0")/lib.sh"
begin "tunnel mode, IPv4 and IPv6, through a router and to a gateway"

for h in a b r g h; do host $h; done
wire w1
wire w2
plug a eth0 w1 pa
plug r eth1 w1 pr1
plug g eth0 w1 pg
plug r eth2 w2 pr2
plug b eth0 w2 pb
at g ip link add eth1 type veth peer name eth0 netns "$tag-h"
at g ip link set eth1 up
at h ip link set eth0 up
for h in r g; do
	at $h sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		for f in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >$f; done'
done
address() { # HOST NIC V4 V6 [GATEWAY4 GATEWAY6]
	on "$1" ip addr add "$3" dev "$2"
	on "$1" ip addr add "$4" dev "$2" nodad
	[ $# -lt 5 ] || on "$1" ip route add default via "$5"
	[ $# -lt 6 ] || on "$1" ip -6 route add default via "$6"
}
address a eth0 10.1.0.1/24 fd01::1/64 10.1.0.254 fd01::fe
address r eth1 10.1.0.254/24 fd01::fe/64
address r eth2 10.2.0.254/24 fd02::fe/64
address b eth0 10.2.0.1/24 fd02::1/64 10.2.0.254 fd02::fe
address g eth0 10.1.0.253/24 fd01::fd/64
address g eth1 10.20.0.254/24 fd20::fe/64
address h eth0 10.20.0.2/24 fd20::2/64 10.20.0.254 fd20::fe
# r knows h's network too, so that it answers in clear before there is a bump
on r ip route add 10.20.0.0/24 via 10.1.0.253
on r ip -6 route add fd20::/64 via fd01::fd

say "in clear, before there is a bump"
reach a 10.2.0.1
reach a fd02::1
reach a 10.20.0.2
reach a fd20::2

for i in 1 2 3 4 5 6 7 8; do new_key $i; done
{
	sa tunnel 10.1.0.1 10.2.0.1 0x1001 0x2001 "${key[1]}" "${key[2]}"
	sa tunnel fd01::1 fd02::1 0x1002 0x2002 "${key[3]}" "${key[4]}"
	sa tunnel 10.1.0.1 10.1.0.253 0x1003 0x2003 "${key[5]}" "${key[6]}"
	sa tunnel fd01::1 fd01::fd 0x1004 0x2004 "${key[7]}" "${key[8]}"
	echo 'flow esp tunnel from 10.1.0.1 to 10.2.0.1 local 10.1.0.1 peer 10.2.0.1'
	echo 'flow esp tunnel from fd01::1 to fd02::1 local fd01::1 peer fd02::1'
	echo 'flow esp tunnel from 10.1.0.1 to 10.20.0.0/24 local 10.1.0.1 peer 10.1.0.253'
	echo 'flow esp tunnel from fd01::1 to fd20::/64 local fd01::1 peer fd01::fd'
} >"$tmp/a.conf"
{
	sa tunnel 10.2.0.1 10.1.0.1 0x2001 0x1001 "${key[2]}" "${key[1]}"
	sa tunnel fd02::1 fd01::1 0x2002 0x1002 "${key[4]}" "${key[3]}"
	echo 'flow esp tunnel from 10.2.0.1 to 10.1.0.1 local 10.2.0.1 peer 10.1.0.1'
	echo 'flow esp tunnel from fd02::1 to fd01::1 local fd02::1 peer fd01::1'
} >"$tmp/b.conf"
{
	sa tunnel 10.1.0.253 10.1.0.1 0x2003 0x1003 "${key[6]}" "${key[5]}"
	sa tunnel fd01::fd fd01::1 0x2004 0x1004 "${key[8]}" "${key[7]}"
	echo 'flow esp tunnel from 10.20.0.0/24 to 10.1.0.1 local 10.1.0.253 peer 10.1.0.1'
	echo 'flow esp tunnel from fd20::/64 to fd01::1 local fd01::fd peer fd01::1'
} >"$tmp/g.conf"
echo '# nothing' >"$tmp/none.conf"
for h in a b g; do
	start $h eth0 "$tmp/none.conf"
	load $h "$tmp/$h.conf"
done

say "host to host, a router between"
sniff wire1 w1 pa -s 128
reach a 10.2.0.1
reach b 10.1.0.1
reach a fd02::1
reach b fd01::1
# 1500 = 20 outer IP + 16 + inner packet (28 + data) + pad + 2 + 16
largest a 10.2.0.1 1418
largest a fd02::1 1378
on a ping -c 2 -i 0.2 -W 3 -s 4000 10.2.0.1 >/dev/null
ok "4000 octets in fragments"
transfer a b 10.2.0.1
transfer b a fd01::1

say "a gateway on the link, the host behind it is not"
# r's neighbour entry is what the stack writes on the frames; were it used outside too, r would get the ESP packets
sniff router r eth1 "$ESP"
reach a 10.20.0.2
reach h 10.1.0.1
reach a fd20::2
reach h fd01::1
largest a 10.20.0.2 1418
transfer h a 10.1.0.1
transfer a h fd20::2
unsniff router
[ "$(frames router 'host 10.1.0.253 or host fd01::fd')" -eq 0 ] || fail "packets for the gateway went by way of the router"
ok "outer packets go straight to the gateway"
unsniff wire1
only_esp wire1

say "what is not in the policy does not pass"
silent a 10.1.0.254
silent g 10.1.0.1
done_all
