#!/usr/bin/env bash
# The ways to the wire besides messages on packet sockets: a receive ring on one host.
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
#   fd09::1/64   ring                             fd09::2/64
. "$(dirname "$0")/lib.sh"
begin "a receive ring on one host"
MB=3

two_hosts6 02:00:00:00:00:0a 02:00:00:00:00:0b
settle a
settle b
for n in 1 2 3 4; do new_key $n; done
pair_conf aes-128-gcm aes-128-gcm
echo 'flow from any to any type bypass' >"$tmp/clear.conf"
declare -A way=([a]=ring [b]=packet)
# edge HOST: how its NIC is read and written, as it says
edge() { ctl "$1" -s nic --json | json '["edge"]'; }
both_reach()
{
	reach a 10.9.0.2
	reach b fd09::1
}

say "TCP of both families both ways, UDP whole and in fragments, ping"
echo '# nothing' >"$tmp/none.conf"
for h in a b; do
	start $h eth0 "$tmp/none.conf" --lower "${way[$h]}"
	load $h "$tmp/$h.conf"
	[ "$(edge $h)" = ${way[$h]} ] || fail "$h: the edge is $(edge $h)"
	grep -q "taken, in its own namespace as eth0 by ${way[$h]}," "$tmp/bitsd-$h.log" || fail "$h: the log does not say how"
done
both_reach
sniff wire w wa
transfer a b 10.9.0.2
transfer b a fd09::1
background mirror b python3 "$here/traffic.py" mirror 10.9.0.2 4711
on a timeout 60 python3 "$here/traffic.py" sizes 10.9.0.2 4711 100 1400 2000 5000
on b ping -q -i 0.02 -c 30 -s 3000 fd09::1 >"$tmp/ping" || fail "$(cat "$tmp/ping")"
unsniff wire
only_esp wire
for reason in auth_failed unknown_spi replay_dup no_room edge_error; do
	for h in a b; do [ "$(dropped $h $reason)" -eq 0 ] || fail "$h drops $(dropped $h $reason) as $reason"; done
done
ok "nothing is dropped that should not be"

say "in clear: super-frames"
for h in a b; do load $h "$tmp/clear.conf"; done
transfer a b 10.9.0.2
transfer b a fd09::1
for h in a b; do load $h "$tmp/$h.conf"; done

say "the NIC goes down and up, is unplugged and plugged in again, is given back and taken again"
for h in a b; do
	on "$(private $h)" ip link set eth0 down
	on "$(private $h)" ip link set eth0 up
	both_reach
done
for h in a b; do
	on w ip link del w$h
	if [ $h = a ]; then silent a 10.9.0.2; else silent b 10.9.0.1; fi
	on "$(private $h)" ip link add eth0 address 02:00:00:00:00:0$h type veth peer name w$h netns "$tag-w"
	on w ip link set w$h master br0 up
	on "$(private $h)" ip link set eth0 up
	both_reach
done
for h in a b; do
	show $h ipsecctl detach, attach
	ctl $h detach
	ctl $h attach
	both_reach
done
transfer a b fd09::2

say "killed, and started again"
slay a
start a eth0 "$tmp/a.conf" --lower ring
both_reach
stop a
stop b
done_all
