#!/usr/bin/env bash
# An attacker on the wire keeps every packet and sends it again after the receiver was killed, stopped, or its policy flushed: none is taken
# twice, whatever the receiver has forgotten; and what is new is taken at once, though the sender's numbers go on without a gap.
. "$(dirname "$0")/lib.sh"
begin "a restart opens no door for replays"

two_hosts6
new_key 1
new_key 2
new_key 3 36
new_key 4 36
pair_conf aes-128-gcm chacha20-poly1305 esn
start_pair
reach a 10.9.0.2
reach a fd09::2

opened() { ctl a -s sa --json | python3 -c 'import json, sys; print(sum(s["in"]["packets"] for s in json.load(sys.stdin)["sas"] if "in" in s and "packets" in s["in"]))'; }
# (with ESN a number behind the window is taken for one of the next epoch, and fails there)
old() { ctl a -s drops --json | python3 -c 'import json, sys; print(sum(d["in"] for d in json.load(sys.stdin)["drops"] if d["reason"] in ("replay_old", "replay_dup", "auth_failed")))'; }
# again WHAT: everything captured, once more; not one is taken
again()
{
	local n before taken
	taken=$(opened) before=$(old)
	n=$(at w python3 "$here/inject.py" wa again "$tmp/wire.pcap")
	[ "$n" -gt 300 ] || fail "only $n packets were captured"
	refused() { [ $(($(old) - before)) -ge "$n" ]; }
	within 5 refused || fail "$1: of $n packets sent again only $(($(old) - before)) were refused"
	[ "$(opened)" -eq "$taken" ] || fail "$1: $(($(opened) - taken)) packets were taken twice"
	ok "$1: $n packets sent again, 0 taken"
}
# at_once WHAT: the very next packets of the sender are good
at_once()
{
	at b ping -q -c 5 -i 0.01 -W 1 10.9.0.1 >"$tmp/ping" && at b ping -q -c 5 -i 0.01 -W 1 fd09::1 >>"$tmp/ping" || fail "$1: $(cat "$tmp/ping")"
	[ "$(grep -c ' 0% packet loss' "$tmp/ping")" -eq 2 ] || fail "$1: new packets are lost: $(cat "$tmp/ping")"
	ok "$1: and of what is new nothing is lost"
}
traffic() # both ways, so a's own numbers move too; 200 packets of each family
{
	at b ping -q -f -c 200 -W 1 10.9.0.1 >/dev/null
	at b ping -q -f -c 200 -W 1 fd09::1 >/dev/null
}

sniff wire w wb "$ESP and (src host 10.9.0.2 or src host fd09::2)"
traffic
within 5 sh -c "[ \$(tcpdump -n -r '$tmp/wire.pcap' 2>/dev/null | wc -l) -ge 400 ]" || fail "nothing was captured"
again "without a restart"

say "killed in the midst of traffic"
background load4 b ping -q -i 0.002 10.9.0.1
background load6 b ping -q -i 0.002 fd09::1
sleep 0.5
slay a
for p in load4 load6; do kill "${pid[$p]}"; done
unsniff wire
start a eth0 "$tmp/a.conf"
# b's packets that came while nobody listened are in the capture too: never taken, they would be good still, once, until the window is past them
reach b 10.9.0.1
reach b fd09::1
traffic
again "killed"
at_once "killed"

say "stopped"
stop a
start a eth0 "$tmp/a.conf"
again "stopped"
at_once "stopped"

say "started without the SAs, which are loaded later"
stop a
start a eth0 "$tmp/none.conf"
load a "$tmp/a.conf"
again "loaded later"
at_once "loaded later"

say "the record is lost: that is told"
stop a
rm -r "$tmp/a/state/windows"
start a eth0 "$tmp/a.conf"
grep -q 'replay windows have no record' "$tmp/bitsd-a.log" || fail "it is not told: $(cat "$tmp/bitsd-a.log")"
ok "$(grep -m 1 'replay windows have no record' "$tmp/bitsd-a.log")"
taken=$(opened)
at w python3 "$here/inject.py" wa again "$tmp/wire.pcap" >/dev/null
more() { [ "$(opened)" -gt "$taken" ]; }
within 3 more || fail "without the record nothing is taken either: this test cannot fail"
ok "without the record $(($(opened) - taken)) packets were taken once more: the record is what keeps them out"
done_all
