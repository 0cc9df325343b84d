#!/usr/bin/env bash
# Taking the NIC over and giving it back: the host's addresses and routes are the same before, in between and after.
. "$(dirname "$0")/lib.sh"
begin "detach, attach and --restore give the host its NIC back as it was"

host a
host b
wire w
plug a eth0 w wa 02:00:00:00:00:0a
plug b eth0 w wb
on b ip addr add 10.9.0.2/24 dev eth0
on b ip addr add fd09::2/64 dev eth0 nodad

say "a host with a bit of everything"
on a ip link set eth0 mtu 1400
on a ip addr add 10.9.0.1/24 brd + dev eth0
on a ip addr add 10.9.0.11/24 dev eth0
on a ip addr add 10.9.7.1 peer 10.9.7.2/32 dev eth0 scope link
on a ip addr add 10.9.8.1/24 dev eth0 valid_lft 3600 preferred_lft 1800
on a ip addr add fd09::1/64 dev eth0 nodad
on a ip addr add fd0a::1/64 dev eth0 nodad noprefixroute
on a ip route add default via 10.9.0.2
on a ip route add 172.16.0.0/12 via 10.9.0.2 metric 50 mtu 1300 src 10.9.0.11
on a ip route add 192.0.2.0/24 via 198.51.100.1 dev eth0 onlink
on a ip route add 203.0.113.9 dev eth0 scope link
on a ip route add blackhole 198.18.0.0/15
on a ip route add 10.30.0.0/16 via 10.9.0.2 table 100
on a ip rule add from 10.9.0.11 lookup 100
on a ip -6 route add default via fd09::2 metric 512
on a ip -6 route add fd30::/48 via fd09::2 mtu 1300
on a ip neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 nud permanent dev eth0
reach a 10.9.0.2
reach a fd09::2
settle a
before=$(configuration a)
raw=$(all_of_it a)
given_back()
{
	at a ethtool -i eth0 2>/dev/null | grep -q '^driver: veth' || at a ip -d link show eth0 | grep -q veth || fail "eth0 is not the NIC"
	[ ! -e "/run/netns/$tag-$(private a)" ] || fail "the private namespace is still there"
	[ -z "$raw" ] || [ "$(all_of_it a)" = "$raw" ] || fail "$(diff <(echo "$raw") <(all_of_it a))"
}

echo 'flow from any to any type bypass' >"$tmp/bypass.conf"
say "taken over"
start a eth0 "$tmp/bypass.conf"
at a ip -d link show eth0 | grep -q tun || fail "eth0 is no TAP"
same a "$before" "with the bump"
reach a 10.9.0.2
reach a fd09::2

say "detach"
show a ipsecctl detach
ctl a detach
same a "$before" "after detach"
given_back
reach a 10.9.0.2
reach a fd09::2

say "attach"
show a ipsecctl attach
ctl a attach
at a ip -d link show eth0 | grep -q tun || fail "eth0 is no TAP"
same a "$before" "attached again"
reach a 10.9.0.2

say "what is changed in between is kept"
on a ip addr add 10.9.5.5/24 dev eth0
on a ip route add 100.64.0.0/10 via 10.9.0.2
before=$(configuration a)
raw=''
stop a
[ -e "/run/netns/$tag-$(private a)" ] || fail "a stop without --restore gave the NIC back"
ok "a stop without --restore keeps the NIC"

say "a stop with --restore"
start a eth0 "$tmp/bypass.conf" --restore
stop a
same a "$before" "after --restore"
given_back
reach a 10.9.0.2
reach a fd09::2

say "kill -9, and the next one gives it all back"
start a eth0 "$tmp/bypass.conf"
slay a
start a eth0 "$tmp/bypass.conf" --restore
stop a
same a "$before" "after a crash and --restore"
given_back
reach a 10.9.0.2
done_all
