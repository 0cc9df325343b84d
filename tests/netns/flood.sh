#!/usr/bin/env bash
# An attacker on the wire who sends as fast as it can: forged ICMP, fragments that overlap, fragments that never end.  What others send goes on,
# nothing is believed, and every frame is counted.
. "$(dirname "$0")/lib.sh"
: "${FLOOD_MB:=10}" # of each TCP transfer, both ways
: "${FLOOD_S:=4}"   # how long an attack takes
: "${BLAST:=$BITS_BUILD/tests/netns/blast}"
MB=$FLOOD_MB
begin "floods of forged ICMP errors and of fragments"

for h in a b m; do host $h; done
wire w
plug a eth0 w wa
plug b eth0 w wb
plug m eth0 w wm
for h in a b m; do
	i=$(case $h in a) echo 1 ;; b) echo 2 ;; m) echo 9 ;; esac)
	on $h ip addr add 10.9.0.$i/24 dev eth0
done
new_key 1
new_key 2
pair_conf
for h in a b; do echo 'flow from any to any type bypass' >>"$tmp/$h.conf"; done
start_pair
reach a 10.9.0.2
reach m 10.9.0.1
amac=$(mac_of a eth0) mmac=$(mac_of m eth0)

rate() { sed -n 's/^rate //p' "$tmp/client.log"; }
path() { ctl a -s sa --json | json '["sas"][0]["path"]["mtu"]'; }
say "what it is without an attack"
transfer a b 10.9.0.2
calm=$(rate)

# flood RATE WHAT ARGS...: begins it; so many frames a second, or (an empty RATE) all that the wire takes
flood()
{
	local rate=$1
	shift
	show m flood "$1" "${rate:+at $rate a second}"
	at m python3 "$here/flood.py" "$tmp/flood.pcap" "$1" "$mmac" "$amac" "${@:2}"
	# shellcheck disable=SC2086 # none, or one
	background flood m "$BLAST" eth0 "$tmp/flood.pcap" "$FLOOD_S" $rate
	sleep 0.5
}
# attack NAME REASON ARGS...: a transfer meanwhile
attack()
{
	local what=$1 reason=$2 before
	shift 2
	before=$(dropped a "$reason")
	flood '' "$what" "$@"
	transfer a b 10.9.0.2
	finished flood $((FLOOD_S + 20)) || fail "the flood ends with status $?: $(cat "$tmp/flood.log")"
	[ "$(($(dropped a "$reason") - before))" -gt 1000 ] || fail "counted as $reason: $(($(dropped a "$reason") - before))"
	[ "$(path)" -eq 1500 ] || fail "the path's MTU has become $(path)"
	ok "$what: $(cat "$tmp/flood.log") in $FLOOD_S s, $reason $(($(dropped a "$reason") - before)); TCP $(rate), without $calm"
}
say "who guesses sequence numbers"
attack toobig icmp_unsent 10.9.0.9 10.9.0.1 10.9.0.2 0x1001
say "fragments that overlap"
attack overlap frag_overlap 10.9.0.9 10.9.0.1
say "datagrams that never end"
attack fragments frag_full 10.9.0.9 10.9.0.1
say "and of ESP, each from another source"
attack esp frag_full 10.9.1.0 10.9.0.1

# large WHAT LOST ARGS...: datagrams of three fragments, out in ESP and back, meanwhile: at most LOST in a hundred are lost, at a rate
# at which the processor is not what they lack
large()
{
	local what=$1 most=$2 lost
	shift 2
	flood 20000 "$what" "$@"
	on a ping -q -c $((FLOOD_S * 8)) -i 0.1 -W 2 -s 4000 10.9.0.2 >"$tmp/ping" || fail "$(cat "$tmp/ping")"
	finished flood $((FLOOD_S + 20))
	lost=$(sed -n 's/.* \([0-9]*\)[.0-9]*% packet loss.*/\1/p' "$tmp/ping")
	ok "$what: $(cat "$tmp/flood.log"), $lost % of large datagrams lost"
	[ "$lost" -le "$most" ] || fail "datagrams of others are lost"
}
say "large datagrams of others meanwhile"
large fragments 9 10.9.0.9 10.9.0.1
# that the wire itself is full of such fragments, from as many sources, takes part of those that wait for their others there
large esp 50 10.9.1.0 10.9.0.1
[ "$(ctl a -s drops --json | python3 -c 'import json, sys; print(next(d["out"] for d in json.load(sys.stdin)["drops"] if d["reason"] == "frag_full"))')" -eq 0 ] ||
	fail "strangers' fragments push out the host's"
ok "none of the host's own fragments was pushed out"
done_all
