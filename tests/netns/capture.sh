#!/usr/bin/env bash
# What passes a running bump can be looked at, and judged again later: sessions recorded on both hosts give the same verdicts offline.
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
#                              wx ---- eth0  x: repeats what it saw
. "$(dirname "$0")/lib.sh"
: "${IPSECREPLAY:=$BITS_BUILD/tools/ipsecreplay}"
command -v tshark >/dev/null || skip "tshark is not installed (sudo tools/deps)"
[ -x "$IPSECREPLAY" ] || skip "no $IPSECREPLAY (build first)"
begin "live capture, and the same verdicts by replay"

host a
host b
host x
wire w
plug a eth0 w wa
plug b eth0 w wb
plug x eth0 w wx
on a ip addr add 10.9.0.1/24 dev eth0
on b ip addr add 10.9.0.2/24 dev eth0
new_key 1
new_key 2
{
	sa transport 10.9.0.1 10.9.0.2 0x1001 0x2001 "${key[1]}" "${key[2]}"
	echo 'flow esp transport proto icmp from 10.9.0.1 to 10.9.0.2'
	echo 'flow esp transport proto udp from 10.9.0.1 to 10.9.0.2'
} >"$tmp/a.conf"
{
	sa transport 10.9.0.2 10.9.0.1 0x2001 0x1001 "${key[2]}" "${key[1]}"
	echo 'flow esp transport proto icmp from 10.9.0.2 to 10.9.0.1'
	echo 'flow esp transport proto udp from 10.9.0.2 to 10.9.0.1'
} >"$tmp/b.conf"
echo "# no rules: discard" >"$tmp/none.conf"
start a eth0 "$tmp/none.conf"
start b eth0 "$tmp/none.conf"
load a "$tmp/a.conf"
load b "$tmp/b.conf"

capturing() { [ -s "$tmp/$1.pcapng" ]; }
# capture HOST NAME ARGS...: in the background, into $tmp/NAME.pcapng
capture()
{
	local h=$1 name=$2
	shift 2
	show "$h" ipsecctl capture "$@"
	background "$name" "$h" "$IPSECCTL" -S "$(sock "$h")" capture -w "$tmp/$name.pcapng" "$@"
	within 10 capturing "$name" || fail "no capture on $h: $(cat "$tmp/$name.log")"
}
# notes FILE: side, direction and words of each packet, without its number
notes()
{
	tshark -r "$1" -T fields -e frame.interface_name -e frame.comment 2>"$tmp/tshark.err" |
	    sed -E 's/\t(out|in) [0-9]+ /\t\1 /' | sort
}

say "both hosts are recorded from the first packet on"
capture a live-a
capture b live-b
sniff wire w wa
reach a 10.9.0.2
on a ping -q -c 20 -i 0.02 10.9.0.2 >/dev/null
at a python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x" * 3000, ("10.9.0.2", 9))'
at a python3 -c '
import socket
s = socket.socket(); s.settimeout(1)
try: s.connect(("10.9.0.2", 22))
except OSError: pass' # no rule: dropped
inject x eth0 esp "$tmp/wire.pcap" 0 >/dev/null
inject x eth0 esp "$tmp/wire.pcap" 2 flip=20 seq=+500 >/dev/null
inject x eth0 esp "$tmp/wire.pcap" 2 spi=0x7777 >/dev/null
on a ping -q -c 1 -W 2 10.9.0.2 >/dev/null # (the bridge learns again where a is)
on b ping -q -c 5 -i 0.02 10.9.0.1 >/dev/null
unsniff wire
for h in a b; do
	kill -INT "${pid[live-$h]}"
	finished "live-$h" 10 || fail "ipsecctl capture ends with status $?: $(cat "$tmp/live-$h.log")"
	grep -q ', 0 lost$' "$tmp/live-$h.log" || fail "$(cat "$tmp/live-$h.log")"
	[ "$(stat -c %a "$tmp/live-$h.pcapng")" = 600 ] || fail "others may read the capture"
	notes "$tmp/live-$h.pcapng" >"$tmp/live-$h.notes"
	[ ! -s "$tmp/tshark.err" ] || grep -q 'as user' "$tmp/tshark.err" || fail "tshark: $(cat "$tmp/tshark.err")"
	ok "$h: $(tail -1 "$tmp/live-$h.log")"
done
for words in $'host\tout protected rule=0 sa=esp:0x00001001 seq=1$' $'wire\tout protected rule=0 sa=esp:0x00001001 seq=1$' \
	$'wire\tin opened rule=0 sa=esp:0x00002001 seq=1$' $'host\tin opened rule=0 sa=esp:0x00002001 seq=1$' \
	$'host\tout dropped reason=policy_default: ' $'wire\tout bypassed builtin=arp$'; do
	grep -qE "$words" "$tmp/live-a.notes" || fail "a: no packet says '$words': $(cat "$tmp/live-a.notes")"
done
for words in 'reason=replay_dup: ' 'reason=auth_failed: ' 'reason=unknown_spi: '; do
	grep -qE $'^wire\tin dropped .*'"$words" "$tmp/live-b.notes" || fail "b: no packet says '$words': $(cat "$tmp/live-b.notes")"
done
ok "each packet says what became of it"

say "replayed offline, with the same policy and keys"
for h in a b; do
	tshark -r "$tmp/live-$h.pcapng" -Y 'frame.interface_name == "host" && frame.comment matches "^out "' -F nsecpcap -w "$tmp/$h-host.pcap" 2>/dev/null
	tshark -r "$tmp/live-$h.pcapng" -Y 'frame.interface_name == "wire" && frame.comment matches "^in "' -F nsecpcap -w "$tmp/$h-wire.pcap" 2>/dev/null
	"$IPSECREPLAY" -f "$tmp/$h.conf" --from-host "$tmp/$h-host.pcap" --from-wire "$tmp/$h-wire.pcap" --annotate "$tmp/re-$h.pcapng" \
		>"$tmp/re-$h.log" 2>&1 || fail "ipsecreplay: $(cat "$tmp/re-$h.log")"
	notes "$tmp/re-$h.pcapng" >"$tmp/re-$h.notes"
	diff "$tmp/live-$h.notes" "$tmp/re-$h.notes" >"$tmp/diff" || fail "$h: live < and replayed > differ: $(head -20 "$tmp/diff")"
	ok "$h: $(wc -l <"$tmp/re-$h.notes") verdicts, all the same"
done

say "points, filters, numbers, pipes"
capture a pings --point host -c 3 icmp and dst host 10.9.0.2
on a ping -q -c 4 -i 0.02 10.9.0.2 >/dev/null
finished pings 10 || fail "$(cat "$tmp/pings.log")"
[ "$(tshark -r "$tmp/pings.pcapng" -Y 'icmp.type == 8 && frame.interface_name == "host"' 2>/dev/null | wc -l)" -eq 3 ] || fail "not three echo requests"
capture b drops --point drop -c 1
inject x eth0 esp "$tmp/wire.pcap" 0 >/dev/null
finished drops 10 || fail "$(cat "$tmp/drops.log")"
notes "$tmp/drops.pcapng" | grep -q replay_dup || fail "the drop is not captured"
background pipe a sh -c "'$IPSECCTL' -S '$(sock a)' capture -c 2 -w - icmp and dst host 10.9.0.2 | tshark -r - -T fields -e frame.comment 2>/dev/null"
background lines a "$IPSECCTL" -S "$(sock a)" capture -c 2 icmp and dst host 10.9.0.2
sleep 0.5
on a ping -q -c 4 -i 0.1 10.9.0.2 >/dev/null
finished pipe 10 || fail "$(cat "$tmp/pipe.log")"
[ "$(grep -c 'out [0-9]* protected rule=0 sa=esp:0x00001001 seq=' "$tmp/pipe.log")" -eq 2 ] || fail "pipe: $(cat "$tmp/pipe.log")"
finished lines 10 || fail "$(cat "$tmp/lines.log")"
grep -qE '^[0-9:.]* host out [0-9]* protected rule=0 .*, 98 octets$' "$tmp/lines.log" || fail "lines: $(cat "$tmp/lines.log")"
ok "three of three, one drop, a pipe into tshark, and lines"

say "bitsd ends: the capture is whole, and says so"
capture b end
reach a 10.9.0.2
stop b
finished end 10 && fail "status 0, though bitsd ended"
grep -q 'hung up' "$tmp/end.log" || fail "$(cat "$tmp/end.log")"
tshark -r "$tmp/end.pcapng" >/dev/null 2>"$tmp/tshark.err" || fail "$(cat "$tmp/tshark.err")"
done_all
