#!/usr/bin/env bash
# A NIC that cannot move into another namespace stays where it is, guarded: the host's stack gets nothing from it but by
# way of the bump.  A bridge is such a device; a veth told to stay shows the same on a NIC the attacker reaches directly.
#
#   a eth0 ---- wa [br0 in w: the attacker] wb ---- eth0 b
. "$(dirname "$0")/lib.sh"
begin "guarded: a NIC that stays in the host's namespace"
command -v nft >/dev/null || skip "nft is not installed (sudo tools/deps)"

mac_a=02:00:00:00:00:0a mac_b=02:00:00:00:00:0b mac_w=02:00:00:00:00:0e
two_hosts6 $mac_a $mac_b
on a ip route add default via 10.9.0.2
if ! at a nft add table netdev probe; then skip "this kernel has no nftables"; fi
if ! at a nft add chain netdev probe c '{ type filter hook ingress device "eth0" priority 0; }' 2>/dev/null; then
	skip "this kernel has no nftables netdev hook"
fi
at a nft delete table netdev probe
reach a 10.9.0.2
reach a fd09::2
settle a
before=$(configuration a)

new_key 1
new_key 2
pair_conf
echo '# nothing' >"$tmp/none.conf"

segments() { at a awk '/^Tcp: [0-9]/ {print $11}' /proc/net/snmp; }
attack()
{
	inject w wa udp $mac_b $mac_a 10.9.0.2 10.9.0.1 7777 "$1"
	inject w wa udp $mac_b $mac_a fd09::2 fd09::1 7777 "$1"
	inject w wa syn $mac_b $mac_a 10.9.0.2 10.9.0.1 7777
	inject w wa udp $mac_b ff:ff:ff:ff:ff:ff 10.9.0.2 10.9.0.1 7777 "$1"
}
closed() # TEXT
{
	local tcp_before
	tcp_before=$(segments)
	attack "$1"
	never 1 grep -q "$1" "$tmp/listener.log" "$tmp/listener6.log" || fail "plaintext reached a socket"
	[ "$(segments)" = "$tcp_before" ] || fail "the host's TCP got a segment in clear"
	ok "no socket got anything of it"
}
one_answer()
{
	sniff arp w wa 'arp[6:2] = 2'
	inject w wa arp $mac_w 10.9.0.3 10.9.0.1
	never 1 false
	unsniff arp
	[ "$(frames arp)" -eq 1 ] || fail "$(frames arp) answers to one ARP request"
	ok "one answer to one ARP request"
}

say "a NIC told to stay"
start b eth0 "$tmp/none.conf"
load b "$tmp/b.conf"
start a eth0 "$tmp/none.conf" --guard-in-place
load a "$tmp/a.conf"
background listener a python3 "$here/traffic.py" listen 10.9.0.1 7777
background listener6 a python3 "$here/traffic.py" listen fd09::1 7777
within 10 grep -q listening "$tmp/listener.log"
within 10 grep -q listening "$tmp/listener6.log"
ctl a -s nic --json | grep -q '"guarded"' || fail "it does not say which way it took"
[ ! -e "/run/netns/$tag-$(private a)" ] || fail "it made a namespace all the same"
ok "it says that the NIC is guarded in place"
[ "$(configuration a | grep -c 10.9.0.1/24)" -eq 1 ] || fail "two devices have the address"
reach a 10.9.0.2
reach b 10.9.0.1
sniff wire w wa
MB=20 transfer a b 10.9.0.2
unsniff wire
only_esp wire
closed evil1
one_answer

say "and with the daemon dead"
slay a
closed evil2
silent a 10.9.0.2
start a eth0 "$tmp/a.conf" --guard-in-place
reach a 10.9.0.2
say "given back"
ctl a detach
ctl b detach
same a "$before" "given back"
[ -z "$(at a nft list ruleset)" ] || fail "the guard is still there: $(at a nft list ruleset)"
stop a
stop b
reach a 10.9.0.2

say "a bridge cannot move, and is guarded without being told to"
at a ip addr flush dev eth0
at a ip link add lan0 address 02:00:00:00:00:1a type bridge stp_state 0 forward_delay 0 mcast_snooping 0
at a ip link set eth0 master lan0
at a ip link set lan0 up
on a ip addr add 10.9.0.1/24 dev lan0
reach a 10.9.0.2
settle a
before=$(configuration a)
start a lan0 "$tmp/none.conf"
start b eth0 "$tmp/none.conf"
load a "$tmp/a.conf"
load b "$tmp/b.conf"
ctl a -s nic --json | grep -q '"guarded"' || fail "it does not say which way it took"
reach a 10.9.0.2
kill "${pid[listener]}"
background listener a python3 "$here/traffic.py" listen 10.9.0.1 7777
within 10 grep -q listening "$tmp/listener.log"
tcp_before=$(segments)
inject w wa udp $mac_b 02:00:00:00:00:1a 10.9.0.2 10.9.0.1 7777 evil3
inject w wa syn $mac_b 02:00:00:00:00:1a 10.9.0.2 10.9.0.1 7777
never 1 grep -q evil3 "$tmp/listener.log" || fail "plaintext reached a socket"
[ "$(segments)" = "$tcp_before" ] || fail "the host's TCP got a segment in clear"
ok "no socket got anything of it"
ctl a detach
same a "$before" "given back"
done_all
