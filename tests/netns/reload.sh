#!/usr/bin/env bash
# A thousand policies one after the other under traffic: a packet in flight meets the old one or the new one, never neither.
#
#      host a                wire w               host b
#   10.9.0.1  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2 (protected)  10.9.0.3 (bypassed)  10.9.0.4 (denied)
#
# Both policies of a say the same about these three, by other rules and another SA for what is sent, so nothing may be lost, leak or go
# the wrong way.  Each datagram is waited for: one that is lost is seen.
. "$(dirname "$0")/lib.sh"
: "${RELOADS:=1000}"
begin "$RELOADS reloads under traffic, by load and by sync: no packet is lost, leaks or goes the wrong way"

host a
host b
wire w
plug a eth0 w wa
plug b eth0 w wb
on a ip addr add 10.9.0.1/24 dev eth0
for i in 2 3 4; do on b ip addr add 10.9.0.$i/24 dev eth0; done

new_key 1
new_key 2
new_key 3
{
	echo "esp transport out from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm enckey ${key[1]}"
	echo "esp transport in from 10.9.0.2 to 10.9.0.1 spi 0x2001 enc aes-128-gcm enckey ${key[2]}"
	echo 'flow esp transport from 10.9.0.1 to 10.9.0.2'
	echo 'flow from 10.9.0.1 to 10.9.0.4 type deny'
	echo 'flow from 10.9.0.1 to 10.9.0.3 type bypass'
} >"$tmp/one.conf"
{
	echo 'flow from 10.9.0.1 to 10.9.0.3 type bypass'
	echo "esp transport in from 10.9.0.2 to 10.9.0.1 spi 0x2001 enc aes-128-gcm enckey ${key[2]}"
	echo "esp transport out from 10.9.0.1 to 10.9.0.2 spi 0x1002 enc aes-128-gcm enckey ${key[3]}"
	for i in $(seq 20); do echo "flow out from 10.9.0.1 to 10.77.0.$i type bypass"; done
	echo 'flow esp transport from 10.9.0.1 to 10.9.0.2'
	echo 'flow from any to any type deny'
} >"$tmp/two.conf"
{
	echo "esp transport in from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm enckey ${key[1]}"
	echo "esp transport in from 10.9.0.1 to 10.9.0.2 spi 0x1002 enc aes-128-gcm enckey ${key[3]}"
	echo "esp transport out from 10.9.0.2 to 10.9.0.1 spi 0x2001 enc aes-128-gcm enckey ${key[2]}"
	echo 'flow esp transport from 10.9.0.2 to 10.9.0.1'
	echo 'flow from 10.9.0.3 to 10.9.0.1 type bypass'
} >"$tmp/b.conf"
echo '# nothing' >"$tmp/none.conf"
for h in a b; do start $h eth0 "$tmp/none.conf"; done
load b "$tmp/b.conf"
load a "$tmp/one.conf"
reach a 10.9.0.2
reach a 10.9.0.3
silent a 10.9.0.4

# what a's bump dropped, but for what both policies deny
lost()
{
	ctl a -s drops --json | python3 -c '
import json, sys
for d in json.load(sys.stdin)["drops"]:
    if d["out"] + d["in"] and d["reason"] not in ("policy_discard", "policy_default"):
        print(d["reason"], d["out"] + d["in"])'
}
before=$(lost)
sniff wire w wa -s 96
background echo2 b python3 "$here/reload.py" echo 10.9.0.2 7000
background echo3 b python3 "$here/reload.py" echo 10.9.0.3 7000
within 5 grep -q listening "$tmp/echo2.log" || fail "no echo"
within 5 grep -q listening "$tmp/echo3.log" || fail "no echo"
background flow2 a python3 "$here/reload.py" flow 10.9.0.2 7000 "$tmp/end"
background flow3 a python3 "$here/reload.py" flow 10.9.0.3 7000 "$tmp/end"
background shout a python3 "$here/reload.py" shout 10.9.0.4 7000 "$tmp/end"

show a "$RELOADS reloads over the control socket"
at a python3 "$here/reload.py" load "$(sock a)" "$RELOADS" "$tmp/two.conf" "$tmp/one.conf" >"$tmp/load.log" 2>&1 || fail "$(cat "$tmp/load.log")"
ok "$(cat "$tmp/load.log")"
for i in 1 2 3; do # and as an operator does it
	load a "$tmp/two.conf"
	ctl a sync -f "$tmp/one.conf"
done
touch "$tmp/end"
for i in 2 3; do
	finished flow$i 20 || fail "$(cat "$tmp/flow$i.log")"
	read -r _ sent _ back _ missing _ twice _ foreign <"$tmp/flow$i.log"
	[ "$missing $twice $foreign" = "0 0 0" ] && [ "$sent" -eq "$back" ] || fail "10.9.0.$i: $(cat "$tmp/flow$i.log")"
	[ "$sent" -ge "$RELOADS" ] || fail "10.9.0.$i: only $sent datagrams passed beside $RELOADS reloads"
	ok "10.9.0.$i: $sent datagrams, each of them back, once"
done
finished shout 5
unsniff wire

[ "$(lost)" = "$before" ] || fail "dropped meanwhile: $(lost)"
ok "nothing was dropped but what both policies deny ($(sed -n 's/^sent //p' "$tmp/shout.log") tries)"
esp() { frames wire "ip proto 50 and ip[20:4] = $1"; }
[ "$(esp 0x1001)" -gt 0 ] && [ "$(esp 0x1002)" -gt 0 ] || fail "not both policies were in force"
ok "sent by the one SA: $(esp 0x1001), by the other: $(esp 0x1002)"
[ "$(frames wire 'udp and host 10.9.0.2')" -eq 0 ] || fail "what is to be protected was on the wire in clear"
[ "$(frames wire 'ip proto 50 and not host 10.9.0.2')" -eq 0 ] || fail "what is to be in clear was protected"
[ "$(frames wire 'ip and dst host 10.9.0.4')" -eq 0 ] || fail "what is denied was on the wire"
[ "$(frames wire 'udp and dst host 10.9.0.3')" -gt 0 ] || fail "nothing in clear: the capture does not see this wire"
ok "nothing in clear that is to be protected, nothing protected that is to be in clear, nothing that is denied"
done_all
