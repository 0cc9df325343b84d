#!/usr/bin/env bash
# The ways to the wire besides messages on packet sockets: a receive ring on one host, AF_XDP on the other.
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
#   fd09::1/64   ring                       xdp   fd09::2/64
. "$(dirname "$0")/lib.sh"
command -v ethtool >/dev/null || skip "ethtool is not installed (sudo tools/deps)"
begin "a receive ring on one host, AF_XDP on the other"
MB=3

two_hosts6 02:00:00:00:00:0a 02:00:00:00:00:0b
settle a
settle b
for n in 1 2 3 4; do new_key $n; done
pair_conf aes-128-gcm aes-128-gcm
echo 'flow from any to any type bypass' >"$tmp/clear.conf"
declare -A way=([a]=ring [b]=xdp)
# fit: what AF_XDP asks of b's NIC and of its peer: nothing that is told beside the frame
fit()
{
	at "$1" ethtool -K eth0 rxvlan off >/dev/null
	at w ethtool -K wb tx off txvlan off >/dev/null
}
# program HOST: is there an XDP program on its NIC?
program() { at "$1" ip link show eth0 | grep -q xdp; }
# edge HOST: how its NIC is read and written, as it says
edge() { ctl "$1" -s nic --json | json '["edge"]'; }
both_reach()
{
	reach a 10.9.0.2
	reach b fd09::1
}

say "what AF_XDP cannot do with is refused, with what would help"
echo '# nothing' >"$tmp/none.conf"
read -ra args < <(daemon_args b eth0 "$tmp/none.conf")
# refused WORDS OPTIONS...
refused()
{
	local words=$1
	shift
	show b bitsd -n "$@"
	if at b timeout 20 "$BITSD" -n "${args[@]}" "$@" >"$tmp/refused.log" 2>&1; then fail "it is not refused"; fi
	grep -q -- "$words" "$tmp/refused.log" || fail "$(cat "$tmp/refused.log")"
	ok "$(cat "$tmp/refused.log")"
}
refused 'ethtool -K eth0 rxvlan off' --lower xdp
fit b
at b ip link set eth0 mtu 9000
refused 'of up to 3818 octets, and its MTU is 9000' --lower xdp
at b ip link set eth0 mtu 1500
[ "$(nproc)" -eq 1 ] || refused 'with one worker' --lower xdp --workers 2

say "TCP of both families both ways, UDP whole and in fragments, ping"
for h in a b; do
	start $h eth0 "$tmp/none.conf" --lower "${way[$h]}"
	load $h "$tmp/$h.conf"
	[ "$(edge $h)" = "${way[$h]}" ] || fail "$h: the edge is $(edge $h)"
	[ "$(ctl $h -s nic | sed -n 's/^edge *//p')" = "${way[$h]}" ] || fail "$h: ipsecctl -s nic does not say so"
	grep -q "taken, in its own namespace as eth0 by ${way[$h]}," "$tmp/bitsd-$h.log" || fail "$h: the log does not say how"
done
both_reach
program "$(private b)" || fail "there is no XDP program on b's NIC"
sniff wire w wa
transfer a b 10.9.0.2
transfer b a fd09::1
background mirror b python3 "$here/traffic.py" mirror 10.9.0.2 4711
within 30 grep -q listening "$tmp/mirror.log" || fail "no mirror on b"
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

say "the NIC goes down and up, has another MAC, is unplugged and plugged in again, is given back and taken again"
for h in a b; do
	on "$(private $h)" ip link set eth0 down
	on "$(private $h)" ip link set eth0 up
	both_reach
done
for mac in 02:00:00:00:00:1b 02:00:00:00:00:0b; do
	on "$(private b)" ip link set eth0 address $mac
	at a ip neigh flush dev eth0
	both_reach
done
for h in a b; do
	on w ip link del w$h
	if [ $h = a ]; then silent a 10.9.0.2; else silent b 10.9.0.1; fi
	on "$(private $h)" ip link add eth0 address 02:00:00:00:00:0$h type veth peer name w$h netns "$tag-w"
	[ $h = a ] || fit "$(private b)"
	on w ip link set w$h master br0 up
	on "$(private $h)" ip link set eth0 up
	both_reach
done
for h in a b; do
	show $h ipsecctl detach, attach
	ctl $h detach
	if program $h; then fail "the NIC is given back with an XDP program"; fi
	ctl $h attach
	both_reach
done
transfer a b fd09::2

say "killed, and started again: no program without its daemon"
for h in a b; do
	slay $h
	if program "$(private $h)"; then fail "an XDP program outlives bitsd"; fi
	start $h eth0 "$tmp/$h.conf" --lower "${way[$h]}"
	both_reach
done
stop a
stop b
done_all
