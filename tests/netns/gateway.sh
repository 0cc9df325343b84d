#!/usr/bin/env bash
# The gateway gets another link address (a fail-over: gratuitous ARP, an unsolicited neighbour advertisement), and the flow through it goes on, in
# transport mode, where the host writes the link address, and in a tunnel, where the bump does.
#
#   a ---- w1 ---- r ---- w2 ---- b
. "$(dirname "$0")/lib.sh"
begin "a gateway's link address changes under a flow"

for h in a b r; do host $h; done
wire w1
wire w2
plug a eth0 w1 pa
plug r eth1 w1 pr 02:00:00:00:00:f1
plug r eth2 w2 ps
plug b eth0 w2 pb
at r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	echo 1 >/proc/sys/net/ipv4/conf/eth1/arp_notify; echo 1 >/proc/sys/net/ipv6/conf/eth1/ndisc_notify'
at a ip addr add 10.1.0.1/24 dev eth0
at a ip addr add fd01::1/64 dev eth0 nodad
at r ip addr add 10.1.0.254/24 dev eth1
at r ip addr add fd01::fe/64 dev eth1 nodad
at r ip addr add 10.2.0.254/24 dev eth2
at r ip addr add fd02::fe/64 dev eth2 nodad
at b ip addr add 10.2.0.1/24 dev eth0
at b ip addr add fd02::1/64 dev eth0 nodad
at a ip route add default via 10.1.0.254
at a ip -6 route add default via fd01::fe
at b ip route add default via 10.2.0.254
at b ip -6 route add default via fd02::fe
echo '# nothing' >"$tmp/none.conf"
for h in a b; do start $h eth0 "$tmp/none.conf"; done

number=1
# carried MODE A B: pings from a to B, four of which at most are lost while the gateway's address changes
carried()
{
	local mode=$1 a=$2 b=$3 out in lost
	printf -v out '0x10%02x' $number
	printf -v in '0x20%02x' $number
	new_key "$number-1"
	new_key "$number-2"
	{
		sa "$mode" "$a" "$b" $out $in "${key[$number-1]}" "${key[$number-2]}"
		echo "flow esp $mode from $a to $b local $a peer $b"
	} >"$tmp/a.conf"
	{
		sa "$mode" "$b" "$a" $in $out "${key[$number-2]}" "${key[$number-1]}"
		echo "flow esp $mode from $b to $a local $b peer $a"
	} >"$tmp/b.conf"
	load a "$tmp/a.conf"
	load b "$tmp/b.conf"
	reach a "$b"
	sniff moved w1 pr "$ESP and ether dst 02:00:00:00:01:$(printf '%02x' $number)"
	background pings a ping -q -c 50 -i 0.1 -W 2 "$b"
	sleep 1.5
	on r ip link set eth1 address "02:00:00:00:01:$(printf '%02x' $number)"
	# (what a real one sends some more of; the kernel's own may come before the address is in use)
	at r ping -q -c 1 -W 1 "$([ "${a#*:}" = "$a" ] && echo 10.1.0.1 || echo fd01::1)" >/dev/null 2>&1 || :
	finished pings 30 || fail "no answer at all: $(cat "$tmp/pings.log")"
	unsniff moved
	lost=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$tmp/pings.log")
	lost=$((50 - lost))
	[ "$(frames moved)" -gt 20 ] || fail "$(frames moved) packets went to the new address"
	[ $lost -le 4 ] || fail "$lost of 50 are lost"
	ok "$mode mode to $b: $lost of 50 lost, $(frames moved) went to the new address"
	number=$((number + 1))
}
carried tunnel 10.1.0.1 10.2.0.1
carried transport 10.1.0.1 10.2.0.1
carried tunnel fd01::1 fd02::1
carried transport fd01::1 fd02::1
done_all
