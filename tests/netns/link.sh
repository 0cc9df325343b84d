#!/usr/bin/env bash
# What happens to the NIC is seen on the host's side: link, MTU, a NIC that goes and comes back.
. "$(dirname "$0")/lib.sh"
begin "link state and MTU follow the NIC"

two_hosts 02:00:00:00:00:0a
echo 'flow from any to any type bypass' >"$tmp/bypass.conf"
start a eth0 "$tmp/bypass.conf"
reach a 10.9.0.2

carrier() { at a ip link show eth0 | grep -q LOWER_UP; }
no_carrier() { at a ip link show eth0 | grep -q NO-CARRIER; }
mtu_is() { at a ip link show eth0 | grep -q " mtu $1 "; }
nic=$(private a)

say "the cable is pulled"
on w ip link set wa down
within 2 no_carrier || fail "the TAP still has a carrier"
ok "no carrier on the host's side"
silent a 10.9.0.2
on w ip link set wa up
within 2 carrier || fail "the TAP has no carrier"
reach a 10.9.0.2

say "the NIC's MTU changes"
for mtu in 1400 1280 1500; do
	on "$nic" ip link set eth0 mtu $mtu
	within 2 mtu_is $mtu || fail "the TAP's MTU is not $mtu"
	ok "the TAP's MTU is $mtu"
done
reach a 10.9.0.2

say "jumbo frames"
for h in w b; do
	for d in wa wb br0 eth0; do at $h ip link set $d mtu 9000 2>/dev/null || :; done
done
on "$nic" ip link set eth0 mtu 9000
within 2 mtu_is 9000 || fail "the TAP's MTU is not 9000"
on a ping -c 1 -W 2 -M "do" -s 8972 10.9.0.2 >/dev/null
ok "8972 octets of payload in one frame"

say "802.1Q tags"
# not every kernel has VLAN devices: the frame itself shows that a tag passes both ways of the bump unharmed
sniff tagged a eth0 'vlan 7 and udp port 7777'
inject w wa vlan 7 udp 02:00:00:00:00:0e 02:00:00:00:00:0a 10.9.0.9 10.9.0.1 7777 tagged
arrived() { [ "$(frames "$1")" -ge 1 ]; }
within 3 arrived tagged || fail "a tagged frame does not reach the host"
unsniff tagged
sniff tagged2 w wa 'vlan 7 and udp port 7777'
inject a eth0 vlan 7 udp 02:00:00:00:00:0a 02:00:00:00:00:0b 10.9.0.1 10.9.0.2 7777 tagged
within 3 arrived tagged2 || fail "a tagged frame of the host does not reach the wire"
unsniff tagged2
ok "both ways"
if at a ip link add link eth0 name eth0.7 type vlan id 7 2>/dev/null; then
	at b ip link add link eth0 name eth0.7 type vlan id 7
	at a ip addr add 10.7.0.1/24 dev eth0.7
	at b ip addr add 10.7.0.2/24 dev eth0.7
	at a ip link set eth0.7 up
	at b ip link set eth0.7 up
	reach a 10.7.0.2
else
	echo "note: this kernel has no VLAN devices, so none was made"
fi

say "many bytes through super-frames and jumbo frames"
MB=20 transfer a b 10.9.0.2

say "the NIC goes away"
on w ip link del wa
within 3 no_carrier || fail "the TAP still has a carrier"
silent a 10.9.0.2
answers a >/dev/null || fail "the daemon does not answer"
ok "bitsd lives on, closed"

say "and comes back"
at "$nic" ip link add eth0 address 02:00:00:00:00:0a type veth peer name wa netns "$tag-w"
at w ip link set wa master br0 up
at "$nic" ip link set eth0 up
within 5 carrier || fail "the TAP has no carrier"
reach a 10.9.0.2
done_all
