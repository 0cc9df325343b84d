#!/usr/bin/env bash
# The daemon is killed again and again in the midst of traffic, and started again: on the wire no sequence number and no IV of a key is ever
# there twice, and the peer, whose replay window goes on, takes what comes after each restart.
#
#   KILLS=N    how often (default 5; a thousand take half an hour)
#   SEED=N     of the random times, which are told
. "$(dirname "$0")/lib.sh"
: "${KILLS:=5}" "${SEED:=$$}"
begin "killed $KILLS times, seed $SEED"
RANDOM=$SEED

two_hosts6
reach a 10.9.0.2
new_key 1
new_key 2
new_key 3 36
new_key 4 36
pair_conf aes-128-gcm chacha20-poly1305
start_pair
reach a 10.9.0.2
reach a fd09::2

sniff wire w wa
background load4 a ping -q -i 0.003 10.9.0.2
background load6 b ping -q -i 0.003 fd09::1
ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
worst=0 total=0
for ((round = 1; round <= KILLS; round++)); do
	sleep "0.$(printf %03d $((RANDOM % 600)))"
	# every third time it is the peer's turn
	h=a other=10.9.0.2
	[ $((round % 3)) -ne 0 ] || { h=b; other=10.9.0.1; }
	slay $h >/dev/null
	begun=$(ms)
	start $h eth0 "$tmp/$h.conf" >/dev/null
	within 10 at $h ping -c 1 -W 0.2 "$other" || fail "round $round: $h does not reach $other"
	took=$(($(ms) - begun))
	total=$((total + took))
	[ $took -le $worst ] || worst=$took
done
for p in load4 load6; do kill "${pid[$p]}"; done
unsniff wire
ok "$KILLS restarts; from start to the first answer $((total / KILLS)) ms, at most $worst ms"

say "every packet on the wire"
python3 "$here/esp_unique.py" "$tmp/wire.pcap" >"$tmp/unique" || fail "$(cat "$tmp/unique")"
ok "$(tail -n 1 "$tmp/unique"): no number and no IV twice"
only_esp wire

say "the search does find what is there twice"
python3 - "$tmp/wire.pcap" "$tmp/twice.pcap" <<'END'
import struct
import sys
data = open(sys.argv[1], "rb").read()
n = struct.unpack("<8xI4x", data[24:40])[0]
at = 24
while data[at + 16 + 12:at + 16 + 14] != b"\x08\x00" or data[at + 16 + 23] != 50:
    at += 16 + struct.unpack("<8xI4x", data[at:at + 16])[0]
one = data[at:at + 16 + struct.unpack("<8xI4x", data[at:at + 16])[0]]
open(sys.argv[2], "wb").write(data + one)
END
if python3 "$here/esp_unique.py" "$tmp/twice.pcap" >/dev/null; then fail "it does not"; fi
ok "one more copy of one packet is found"

say "the peer's window took all that came after the restarts"
for h in a b; do
	for reason in replay_dup replay_old auth_failed; do
		n=$(dropped $h $reason)
		[ "$n" -eq 0 ] || fail "$h dropped $n packets as $reason"
	done
done
ok "nothing dropped as replay_dup, replay_old or auth_failed since the last start of each"
done_all
