#!/usr/bin/env bash
# An attacker on the wire, and a daemon that dies: nothing gets in, nothing gets out.
#
#   a eth0 ---- wa [br0 in w: the attacker stands here] wb ---- eth0 b
. "$(dirname "$0")/lib.sh"
begin "closed: injected packets, dead daemons"

mac_a=02:00:00:00:00:0a mac_b=02:00:00:00:00:0b mac_w=02:00:00:00:00:0e
two_hosts6 $mac_a $mac_b
reach a 10.9.0.2
reach a fd09::2

# what the host's transport layers got from the network, whether or not somebody listened
segments() { at "$1" awk '/^Tcp: [0-9]/ {print $11}' /proc/net/snmp; }
background listener a python3 "$here/traffic.py" listen 10.9.0.1 7777
background listener6 a python3 "$here/traffic.py" listen fd09::1 7777
within 10 grep -q listening "$tmp/listener.log"
within 10 grep -q listening "$tmp/listener6.log"
attack() # TEXT: datagrams and SYNs in clear to the host's address and MAC, as b would send them
{
	inject w wa udp $mac_b $mac_a 10.9.0.2 10.9.0.1 7777 "$1"
	inject w wa udp $mac_b $mac_a fd09::2 fd09::1 7777 "$1"
	inject w wa syn $mac_b $mac_a 10.9.0.2 10.9.0.1 7777
	inject w wa syn $mac_b $mac_a fd09::2 fd09::1 7777
	# a broadcast frame reaches any stack that listens on any NIC
	inject w wa udp $mac_b ff:ff:ff:ff:ff:ff 10.9.0.2 10.9.0.1 7777 "$1"
}
heard() { grep -q "^udp .* $1\$" "$tmp/listener.log" && grep -q "^udp .* $1\$" "$tmp/listener6.log"; }
deaf() # TEXT: no socket heard it, the TCP layer got nothing
{
	if never 1 grep -q "$1" "$tmp/listener.log" "$tmp/listener6.log"; then
		[ "$(segments a)" = "$tcp_before" ] || fail "the host's TCP got a segment in clear"
		ok "no socket got anything of it"
	else
		fail "plaintext reached a socket: $(cat "$tmp/listener.log" "$tmp/listener6.log")"
	fi
}

say "without a bump the attack works (so the test can fail)"
tcp_before=$(segments a)
attack open
within 5 heard open || fail "the attack does not work even without a bump: $(cat "$tmp/listener.log" "$tmp/listener6.log")"
[ "$(segments a)" -gt "$tcp_before" ] || fail "the SYN did not arrive"
ok "datagrams and SYNs arrive"

new_key 1
new_key 2
new_key 3
new_key 4
pair_conf aes-128-gcm aes-128-gcm
start_pair
reach a 10.9.0.2
reach a fd09::2
settle a
before=$(configuration a)

say "plaintext to a's address and MAC"
tcp_before=$(segments a)
expect_drops a clear_denied 5 attack evil1
deaf evil1

say "who has 10.9.0.1?"
# answers to this one who asks: b's kernel verifies a's address by itself some seconds after it was used, and is answered too
sniff arp w wa 'arp[6:2] = 2 and arp[24:4] = 0x0a090003'
inject w wa arp $mac_w 10.9.0.3 10.9.0.1
within 5 sh -c "[ \$(tcpdump -n -r '$tmp/arp.pcap' 2>/dev/null | wc -l) -ge 1 ]" || fail "nobody answers"
never 1 sh -c "[ \$(tcpdump -n -r '$tmp/arp.pcap' 2>/dev/null | wc -l) -ge 2 ]" || fail "more than one answer"
unsniff arp
tcpdump -n -e -r "$tmp/arp.pcap" 2>/dev/null | grep -q "10.9.0.1 is-at $mac_a" || fail "not a's own address"
ok "one answer, with a's own MAC"

say "ESP that a has no SA for, has had before, or that was touched"
# b's packet is caught while a is unplugged, so a has not seen it
sniff esp w wb "$ESP and src host 10.9.0.2"
on w ip link set wa nomaster
at b ping -c 1 -W 1 10.9.0.1 >/dev/null || :
within 5 sh -c "[ \$(tcpdump -n -r '$tmp/esp.pcap' 2>/dev/null | wc -l) -ge 1 ]" || fail "b sends no ESP"
unsniff esp
on w ip link set wa master br0
expect_drops a unknown_spi 1 inject w wa esp "$tmp/esp.pcap" 0 spi=0x7777
expect_drops a auth_failed 1 inject w wa esp "$tmp/esp.pcap" 0 flip=20
expect_drops a auth_failed 1 inject w wa esp "$tmp/esp.pcap" 0 flip=12
expect_drops a auth_failed 1 inject w wa esp "$tmp/esp.pcap" 0 seq=100000
expect_drops a runt 1 inject w wa esp "$tmp/esp.pcap" 0 cut=76
opened() { ctl a -s sa --json | python3 "$here/drops.py" --opened 0x00002001; }
n=$(opened)
inject w wa esp "$tmp/esp.pcap" 0
more() { [ "$(opened)" -gt "$n" ]; }
within 3 more || fail "the untouched packet is not taken"
ok "the untouched packet is still good: nothing forged moved the window"
expect_drops a replay_dup 3 inject w wa esp "$tmp/esp.pcap" 0 times=3
at b ping -q -c 70 -i 0.005 -W 1 10.9.0.1 >/dev/null
expect_drops a replay_old 1 inject w wa esp "$tmp/esp.pcap" 0

isolated() # the NIC is where it was, alone; the host's side is as it was, without carrier
{
	at "$(private a)" ip link show eth0 >/dev/null || fail "the NIC left its namespace"
	[ "$(at "$(private a)" ip -o addr show dev eth0 | wc -l)" -eq 0 ] || fail "the NIC has an address"
	within 3 no_carrier || fail "the TAP still has a carrier"
	[ "$(configuration a | without_flags)" = "$(without_flags <<<"$before")" ] || fail "$(diff <(without_flags <<<"$before") <(configuration a | without_flags))"
	ok "NIC isolated, TAP without carrier, addresses and routes as before"
}
no_carrier() { at a ip link show eth0 | grep -q NO-CARRIER; }
# a link without carrier says so in flags, state and `linkdown` at its routes
without_flags() { sed -E 's/<[A-Z_,-]*>//; s/ state [A-Z]+//; s/ qlen [0-9]+//; s/ linkdown//; s/ dead//; s/ +$//'; }

say "kill -9 in the midst of traffic"
sniff kill w wa
background load1 a python3 "$here/traffic.py" serve 10.9.0.1 7800 2000
within 10 grep -q listening "$tmp/load1.log"
background load2 b timeout 60 python3 "$here/traffic.py" client 10.9.0.1 7800 2000
background load3 a ping -q -i 0.002 10.9.0.2
background load4 a ping -q -i 0.002 fd09::2
within 10 sh -c "[ \$(tcpdump -n -r '$tmp/kill.pcap' 2>/dev/null | wc -l) -ge 2000 ]" || fail "no traffic"
slay a
isolated
tcp_before=$(segments a)
attack evil2
deaf evil2
# three seconds in which the host goes on trying
never 3 sees b 10.9.0.1 || fail "something still answers"
for p in load1 load2 load3 load4; do kill -9 "${pid[$p]}" 2>/dev/null || :; done
unsniff kill
# the attack's own frames are in the capture too: they come from port 6666
[ "$(frames kill "$CLEAR and not port 6666")" -eq 0 ] || fail "clear frames: $(tcpdump -n -r "$tmp/kill.pcap" "$CLEAR and not port 6666" 2>/dev/null | head -3)"
ok "$(frames kill "$ESP") ESP packets before, not one clear frame after"

say "a restart goes on where it was"
start a eth0 "$tmp/a.conf"
reach a 10.9.0.2
reach a fd09::2
reach b 10.9.0.1
same a "$before" "after the restart"
MB=20 transfer a b 10.9.0.2

say "SIGTERM without --restore"
sniff term w wa
background load3 a ping -q -i 0.002 10.9.0.2
within 10 sh -c "[ \$(tcpdump -n -r '$tmp/term.pcap' 2>/dev/null | wc -l) -ge 100 ]" || fail "no traffic"
stop a
isolated
tcp_before=$(segments a)
attack evil3
deaf evil3
kill "${pid[load3]}"
unsniff term
[ "$(frames term "$CLEAR and not port 6666")" -eq 0 ] || fail "clear frames on the wire"
ok "not one clear frame"
start a eth0 "$tmp/a.conf"
reach a 10.9.0.2
done_all
