#!/usr/bin/env bash
# Two hosts in transport mode, IPv4 and IPv6.
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
#   fd09::1/64                                    fd09::2/64
. "$(dirname "$0")/lib.sh"
begin "transport mode, IPv4 and IPv6, AES-GCM with 128 and 256 bits"

two_hosts6

say "in clear, before there is a bump"
reach a 10.9.0.2
reach a fd09::2
settle a
before=$(configuration a)

say "the bump without a policy discards"
echo "# no rules: discard" >"$tmp/none.conf"
start a eth0 "$tmp/none.conf"
start b eth0 "$tmp/none.conf"
silent a 10.9.0.2
[ "$(dropped a policy_default)" -gt 0 ] || fail "nothing is counted as policy_default"
ok "counted as policy_default: $(dropped a policy_default)"

say "SAs with manual keys, and one rule for each family"
new_key 1
new_key 2
new_key 3 36
new_key 4 36
{
	sa transport 10.9.0.1 10.9.0.2 0x1001 0x2001 "${key[1]}" "${key[2]}"
	sa transport fd09::1 fd09::2 0x1002 0x2002 "${key[3]}" "${key[4]}" aes-256-gcm
	echo 'flow esp transport from 10.9.0.1 to 10.9.0.2'
	echo 'flow esp transport from fd09::1 to fd09::2'
} >"$tmp/a.conf"
{
	sa transport 10.9.0.2 10.9.0.1 0x2001 0x1001 "${key[2]}" "${key[1]}"
	sa transport fd09::2 fd09::1 0x2002 0x1002 "${key[4]}" "${key[3]}" aes-256-gcm
	echo 'flow esp transport from 10.9.0.2 to 10.9.0.1'
	echo 'flow esp transport from fd09::2 to fd09::1'
} >"$tmp/b.conf"
sniff wire w wa
load a "$tmp/a.conf"
silent a 10.9.0.2
load b "$tmp/b.conf"
reach a 10.9.0.2
reach b 10.9.0.1
reach a fd09::2
reach b fd09::1

# IPv4: 1500 = 20 IP + 16 ESP, IV + 8 ICMP + data + pad + 2 + 16 ICV, padded to 4; IPv6 has 20 octets more of header
say "up to the MTU, and not an octet more"
largest a 10.9.0.2 1438
largest b 10.9.0.1 1438
largest a fd09::2 1418
[ "$(frames wire "$ESP and greater 1515")" -eq 0 ] || fail "a frame is larger than the wire's MTU"
unsniff wire
only_esp wire
[ "$(frames wire "$ESP and len = 1514")" -gt 0 ] || fail "the largest packet does not fill the wire's MTU"
ok "the largest packet is 1514 octets on the wire"

say "TCP both ways"
transfer a b 10.9.0.2
transfer b a fd09::1
ctl a -s all -v >"$tmp/all"
for text in 'out [1-9][0-9]* packets [1-9][0-9]* octets [0-9.]+ s ago, next number [1-9]' \
    'in [1-9][0-9]* packets [1-9][0-9]* octets [0-9.]+ s ago, window [0-9]+, top number [1-9]'; do
	grep -qE "$text" "$tmp/all" || fail "-s all -v does not say '$text': $(cat "$tmp/all")"
done
ok "each SA shows its counters, last use, next number and window"

say "many small datagrams at once"
on a ping -q -c 500 -i 0.002 -W 2 10.9.0.2 >"$tmp/flood"
grep -q ' 0% packet loss' "$tmp/flood" || fail "$(cat "$tmp/flood")"
ok "500 of 500"

same a "$before" "with the bump"
done_all
