#!/usr/bin/env bash
# Two hosts with a narrow link between two routers: 1400 octets of IPv4, 1280 of IPv6.  No bump knows of it before it is told.
#
#   a ---- w1 ---- r ==== 1400, 1280 ==== s ---- w2 ---- b
#
# Small packets pass and large ones vanish: that is what must not happen, in transport and tunnel mode, in UDP and without.
. "$(dirname "$0")/lib.sh"
: "${PMTU_MB:=1}" # of each TCP transfer, each way
MB=$PMTU_MB
begin "a narrow link on the way: path MTU, fragments and ICMP"
command -v tracepath >/dev/null || skip "tracepath is not installed (sudo tools/deps)"

for h in a b r s; do host $h; done
wire w1
wire w2
plug a eth0 w1 pa
plug r eth1 w1 pr
plug s eth1 w2 ps
plug b eth0 w2 pb
at r ip link add eth2 type veth peer name eth2 netns "$tag-s"
for h in r s; do
	at $h ip link set eth2 mtu 1400 up
	at $h sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit' 2>/dev/null || :
done
address() { # HOST NIC V4 V6
	at "$1" ip addr add "$3" dev "$2"
	at "$1" ip addr add "$4" dev "$2" nodad
}
route() { # HOST DESTINATION4 VIA4 DESTINATION6 VIA6
	at "$1" ip route add "$2" via "$3"
	at "$1" ip -6 route add "$4" via "$5"
}
address a eth0 10.1.0.1/24 fd01::1/64
address r eth1 10.1.0.254/24 fd01::fe/64
address r eth2 10.3.0.1/24 fd03::1/64
address s eth2 10.3.0.2/24 fd03::2/64
address s eth1 10.2.0.254/24 fd02::fe/64
address b eth0 10.2.0.1/24 fd02::1/64
route a default 10.1.0.254 default fd01::fe
route b default 10.2.0.254 default fd02::fe
route r 10.2.0.0/24 10.3.0.2 fd02::/64 fd03::2
route s 10.1.0.0/24 10.3.0.1 fd01::/64 fd03::1

say "in clear, before there is a bump"
reach a 10.2.0.1
reach a fd02::1
for h in r s; do # a link that comes up sets it back
	at $h sh -c 'echo 1280 >/proc/sys/net/ipv6/conf/eth2/mtu'
done
at a ping -c 1 -M "do" -s 1400 10.2.0.1 >"$tmp/ping" 2>&1 || :
grep -q 'mtu = 1400' "$tmp/ping" || fail "the narrow link is not narrow: $(cat "$tmp/ping")"

prefix=''
ah() { echo "ah $1 from $2 to $3 spi $4:$5 auth hmac-sha2-256 authkey $6:$7"; }
# shape MODE|ah SPI [options]: both hosts get SAs of that kind, for both families
shape()
{
	local mode=$1 out=$2 opt=${3:-} i back out6 back6 proto=esp make=sa octets=20
	printf -v back '0x%x' $((out + 0x100))
	printf -v out6 '0x%x' $((out + 1))
	printf -v back6 '0x%x' $((out + 0x101))
	if [ "$mode" = ah ]; then mode=transport proto=ah make=ah octets=32; fi
	for i in 1 2 3 4; do new_key "$2-$i" $octets; done
	{
		echo "$prefix"
		echo "$($make "$mode" 10.1.0.1 10.2.0.1 "$out" "$back" "${key[$2-1]}" "${key[$2-2]}") $opt"
		echo "$($make "$mode" fd01::1 fd02::1 "$out6" "$back6" "${key[$2-3]}" "${key[$2-4]}") $opt"
		echo "flow $proto $mode from 10.1.0.1 to 10.2.0.1 local 10.1.0.1 peer 10.2.0.1"
		echo "flow $proto $mode from fd01::1 to fd02::1 local fd01::1 peer fd02::1"
	} >"$tmp/a.conf"
	{
		echo "$prefix"
		echo "$($make "$mode" 10.2.0.1 10.1.0.1 "$back" "$out" "${key[$2-2]}" "${key[$2-1]}") $opt"
		echo "$($make "$mode" fd02::1 fd01::1 "$back6" "$out6" "${key[$2-4]}" "${key[$2-3]}") $opt"
		echo "flow $proto $mode from 10.2.0.1 to 10.1.0.1 local 10.2.0.1 peer 10.1.0.1"
		echo "flow $proto $mode from fd02::1 to fd01::1 local fd02::1 peer fd01::1"
	} >"$tmp/b.conf"
	load a "$tmp/a.conf"
	load b "$tmp/b.conf"
	for h in a b; do
		at $h ip route flush cache
		at $h ip -6 route flush cache
	done
	reach a 10.2.0.1
	reach a fd02::1
}
# told ADDRESS OCTETS MTU: an echo request of OCTETS of IP packet does not pass, and the first answer is the MTU that does
told()
{
	local header=28
	case $1 in *:*) header=48 ;; esac
	show a ping -c 1 -M "do" -s $(($2 - header)) "$1"
	at a ping -c 1 -W 2 -M "do" -s $(($2 - header)) "$1" >"$tmp/ping" 2>&1 || :
	grep -qE "mtu ?[=:]? ?$3\b" "$tmp/ping" || fail "not told that $3 octets fit: $(cat "$tmp/ping")"
	# (the way back has to learn it too: the first answer of that size may be lost)
	at a ping -c 2 -i 0.2 -W 2 -M "do" -s $(($3 - header)) "$1" >"$tmp/ping" 2>&1 || fail "$3 octets do not pass: $(cat "$tmp/ping")"
	ok "the first packet of $2 octets brings the answer: $3; that passes"
}
retransmitted() { at "$1" awk '/^Tcp:/ && $13 ~ /[0-9]/ { print $13 }' /proc/net/snmp; }
# tcp ADDRESS: a transfer both ways loses one window at most in each direction
tcp()
{
	local before_a before_b
	before_a=$(retransmitted a) before_b=$(retransmitted b)
	transfer a b "$1"
	before_a=$(($(retransmitted a) - before_a)) before_b=$(($(retransmitted b) - before_b))
	[ $((before_a + before_b)) -le 60 ] || fail "$before_a and $before_b segments were sent again"
	ok "segments sent again: $before_a and $before_b"
}
# hole ADDRESS: segments as large as the NIC takes do not get through the narrow link
hole()
{
	local port=$((20000 + RANDOM % 20000))
	show a "TCP to $1"
	background hole b python3 "$here/traffic.py" serve "$1" $port 1
	within 30 grep -q listening "$tmp/hole.log" || fail "no listener on b"
	background stuck a python3 "$here/traffic.py" client "$1" $port 1
	within 10 drops_reached a icmp_denied 3 || fail "$(dropped a icmp_denied) ICMP errors are refused"
	sleep 1
	if grep -q received "$tmp/hole.log"; then fail "large segments get through: no black hole"; fi
	kill "${pid[stuck]}" "${pid[hole]}"
	ok "nothing comes through, and $(dropped a icmp_denied) ICMP errors are refused"
}
# udp ADDRESS LARGEST: datagrams there and back; in transport mode the largest of IP has no room for ESP
udp()
{
	local port=$((20000 + RANDOM % 20000))
	show a "UDP to $1: 1, 1472, 1473, 8000, $2 octets and back"
	background mirror b python3 "$here/traffic.py" mirror "$1" $port
	within 30 grep -q listening "$tmp/mirror.log" || fail "no mirror on b"
	at a timeout 60 python3 "$here/traffic.py" sizes "$1" $port 1 1472 1473 8000 "$2" >"$tmp/sizes.log" 2>&1 ||
		fail "UDP to $1: $(cat "$tmp/sizes.log")"
	kill "${pid[mirror]}"
	ok "all whole, $(cat "$tmp/sizes.log") on the way"
}
# beyond ADDRESS: no datagram of IP is as large as that one protected, and the application hears it
beyond()
{
	on a python3 "$here/traffic.py" beyond "$1" 9 65507 || fail "65507 octets of UDP to $1"
	ok "who sends 65507 octets of UDP is told that there is no room"
}
# path ADDRESS MTU HOPS: what tracepath makes of it
path()
{
	show a tracepath -n "$1"
	at a tracepath -n "$1" >"$tmp/tracepath" 2>&1 || fail "tracepath: $(cat "$tmp/tracepath")"
	grep -q "Resume: pmtu $2 hops $3 " "$tmp/tracepath" || fail "not MTU $2 and $3 hops: $(cat "$tmp/tracepath")"
	ok "tracepath says MTU $2, $3 hops"
	case $1 in
	*:*) ;;
	*) ctl a -s sa -v | grep -q "largest packet $2: " || fail "-s sa -v does not say that $2 octets fit: $(ctl a -s sa -v | grep largest)" ;;
	esac
}

echo '# nothing' >"$tmp/none.conf"
for h in a b; do start $h eth0 "$tmp/none.conf"; done
sniff narrow r eth2 -s 200

# ESP with AES-GCM adds 8 header, 8 IV, 2 and padding to 4, 16 ICV; UDP 8 and a tunnel its IP header.  IPv6 has no path below 1280: the host
# hears that, and such packets are cut after protection.
say "transport mode"
shape transport 0x1001
path 10.2.0.1 1366 3
grep -q '10.1.0.254' "$tmp/tracepath" || fail "the first router does not show: $(cat "$tmp/tracepath")"
path fd02::1 1280 3
tcp 10.2.0.1
tcp fd02::1
udp 10.2.0.1 65470
udp fd02::1 65470

beyond 10.2.0.1
beyond fd02::1

say "transport mode, what ping hears"
shape transport 0x1003
told 10.2.0.1 1460 1366
told fd02::1 1440 1280

say "tunnel mode"
shape tunnel 0x1005
told 10.2.0.1 1440 1346
told fd02::1 1400 1280
tcp 10.2.0.1
tcp fd02::1
udp 10.2.0.1 65507
udp fd02::1 65507
path 10.2.0.1 1346 1
path fd02::1 1280 1

say "transport mode in UDP"
shape transport 0x1007 "udpencap 4500:4500"
told 10.2.0.1 1440 1358
tcp 10.2.0.1
tcp fd02::1
udp 10.2.0.1 65462
udp fd02::1 65462

say "tunnel mode in UDP"
shape tunnel 0x1009 "udpencap 4500:4500"
told 10.2.0.1 1430 1338
tcp 10.2.0.1
tcp fd02::1
udp 10.2.0.1 65507
udp fd02::1 65507

say "AH, transport mode"
shape ah 0x100b
told 10.2.0.1 1460 1372
told fd02::1 1440 1280
tcp 10.2.0.1
udp 10.2.0.1 65470
udp fd02::1 65470

say "who hears no ICMP error: a black hole, and what mss does about it"
prefix='builtin icmp type deny'
shape transport 0x100d
hole 10.2.0.1
shape transport 0x100f "mss 1180"
tcp 10.2.0.1
tcp fd02::1

unsniff narrow
clear=$(frames narrow "not $ESP and not ip proto 51 and not ip6 proto 51 and not (ip6 proto 44 or (ip6[6] = 44)) and not udp port 4500 and not icmp and not icmp6 and not arp and ip[6:2] & 0x1fff = 0")
[ "$clear" -eq 0 ] || fail "$clear frames in clear on the narrow link"
ok "nothing in clear on the narrow link"
done_all
