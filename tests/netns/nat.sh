#!/usr/bin/env bash
# A host behind a NAT that gives each flow a port of its own and forgets it after three seconds without a packet.
#
#   a 10.1.0.1 ---- w1 ---- r (masquerades) ---- w2 ---- b 203.0.113.9
#                                                 `----- m 203.0.113.66, who only guesses
#
# ESP in UDP (RFC 3948) gets through in tunnel and in transport mode; the far end follows the NAT's port, but only behind a packet that it verified;
# keepalives hold the mapping.
. "$(dirname "$0")/lib.sh"
: "${NAT_MB:=3}"
MB=$NAT_MB
begin "behind a NAT"
command -v nft >/dev/null || skip "nft is not installed (sudo tools/deps)"

for h in a b r m; do host $h; done
wire w1
wire w2
plug a eth0 w1 pa
plug r eth1 w1 pr1
plug r eth2 w2 pr2
plug b eth0 w2 pb
plug m eth0 w2 pm
at a ip addr add 10.1.0.1/24 dev eth0
at a ip addr add 172.16.1.1/32 dev lo
at a ip route add default via 10.1.0.254
at r ip addr add 10.1.0.254/24 dev eth1
at r ip addr add 203.0.113.1/24 dev eth2
at b ip addr add 203.0.113.9/24 dev eth0
at b ip addr add 172.16.2.1/32 dev lo
at b ip route add default via 203.0.113.1
at m ip addr add 203.0.113.66/24 dev eth0
at a ip route add 172.16.2.0/24 via 10.1.0.254 src 172.16.1.1
at b ip route add 172.16.1.0/24 via 203.0.113.1 src 172.16.2.1
at r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
at r nft -f - <<'X' || skip "this kernel has no NAT"
table ip nat {
	chain post {
		type nat hook postrouting priority srcnat
		oifname "eth2" udp sport 4500 masquerade to :40000-49999 random
		oifname "eth2" masquerade
	}
}
X
at r sh -c 'cd /proc/sys/net/netfilter && echo 3 >nf_conntrack_udp_timeout && echo 3 >nf_conntrack_udp_timeout_stream' ||
	skip "the NAT's timeouts cannot be set here"

# shape MODE OPTIONS-OF-A: SAs and flows of both
shape()
{
	local mode=$1 ends_a='' ends_b='' net_a=10.1.0.1 net_b=203.0.113.9 seen_a=203.0.113.1
	new_key there
	new_key back
	if [ "$mode" = tunnel ]; then
		net_a=172.16.1.0/24 net_b=172.16.2.0/24 seen_a=$net_a
		ends_a='local 10.1.0.1 peer 203.0.113.9' ends_b='local 203.0.113.9 peer 203.0.113.1'
	fi
	cat >"$tmp/a.conf" <<-X
		$(sa "$mode" 10.1.0.1 203.0.113.9 "$2" "$3" "${key[there]}" "${key[back]}") udpencap 4500:4500 ${4:-}
		flow esp $mode from $net_a to $net_b $ends_a
	X
	cat >"$tmp/b.conf" <<-X
		$(sa "$mode" 203.0.113.9 203.0.113.1 "$3" "$2" "${key[back]}" "${key[there]}") udpencap 4500:4500 follow
		flow esp $mode from $net_b to $seen_a $ends_b
	X
}
# both: a reaches b, and right behind it, while the NAT knows it, b reaches a
there_and_back() { sees a 172.16.2.1 && sees b 172.16.1.1; }
both()
{
	show a ping -c 1 172.16.2.1
	show b ping -c 1 172.16.1.1
	within 10 there_and_back || fail "a and b do not reach each other"
	ok "a and b reach each other"
}
# peer_port: to which port of the NAT b sends now
peer_port() { ctl b -s sa --json | json '["sas"][0]["peer"]["port"]'; }
# guess: m sends what could be ESP of a's SA, from the right port
guess()
{
	show m "ESP in UDP with a made-up ICV, 5 times"
	at m python3 -c 'import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("203.0.113.66", 4500))
for n in range(5): s.sendto(bytes.fromhex("00001001%08x" % (9000 + n)) + os.urandom(60), ("203.0.113.9", 4500))'
}

echo 'flow esp from any to any type bypass' >"$tmp/clear.conf"
shape tunnel 0x1001 0x2001
for h in a b; do
	start $h eth0 "$tmp/clear.conf"
	load $h "$tmp/$h.conf"
done

say "tunnel mode"
sniff wire w2 pr2
silent b 172.16.1.1 # before a spoke, nobody can know the port
reach a 172.16.2.1
first=$(peer_port)
[ "$first" -ge 40000 ] || fail "b does not follow: it sends to port $first"
ok "b sends to port $first"
both
transfer a b 172.16.2.1

say "the NAT forgets"
sleep 4
silent b 172.16.1.1
both
second=$(peer_port)
[ "$second" != "$first" ] || fail "the NAT gave the same port again"
ok "b sends to port $second now"

say "who only guesses is not followed"
expect_drops b auth_failed 5 guess
[ "$(peer_port)" = "$second" ] || fail "b follows a packet it could not verify, to port $(peer_port)"
both

say "transport mode, and keepalives"
shape transport 0x1003 0x2003 'keepalive 1'
load a "$tmp/a.conf"
load b "$tmp/b.conf"
reach a 203.0.113.9
transfer a b 203.0.113.9
before=$(peer_port)
sleep 6
reach b 203.0.113.1
[ "$(peer_port)" = "$before" ] || fail "the mapping did not last: port $(peer_port), was $before"
ok "six seconds later the NAT still knows port $before"
unsniff wire
[ "$(frames wire "udp port 4500 and udp[4:2] = 9")" -ge 3 ] || fail "no keepalives on the wire"
# (the NAT itself says of a port it forgot that nobody is there)
[ "$(frames wire "host 203.0.113.1 and not udp port 4500 and not arp and not icmp[0] = 3")" -eq 0 ] || fail "something else than ESP in UDP on the wire"
ok "on the wire: $(frames wire "udp port 4500") packets of ESP in UDP, $(frames wire "udp port 4500 and udp[4:2] = 9") of them keepalives, nothing else"
for h in a b; do
	[ "$(dropped $h auth_failed)" -le 5 ] || fail "$h: packets that are not what was sent"
	stop $h
done
done_all
