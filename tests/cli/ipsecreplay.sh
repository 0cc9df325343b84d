#!/bin/bash
# ipsecreplay: usage is 2, a bad text or file 1; outputs never overwrite inputs; keys go into a file of the owner's alone and nowhere
# else; a seed gives the same octets; -v and --json say the same.
set -u
replay=$1
pcap=$(cd "$(dirname "$0")/../pcap" && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0

fail()
{
	echo "FAIL: $*"
	bad=1
}

# status WANT ARGUMENTS...
status()
{
	local want=$1 got
	shift
	"$replay" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	[ $got -eq "$want" ] || fail "$*: status $got, not $want: $(head -1 "$tmp/err")"
	[ "$want" -ne 2 ] || { [ ! -s "$tmp/out" ] && [ -s "$tmp/err" ]; } || fail "$*: usage, and not on stderr alone"
}

conf=$pcap/transport-a.conf
in=$pcap/in/mixed4.pcap
cp "$in" "$tmp/copy.pcap"
cp "$conf" "$tmp/conf"

for args in "" "-x" "--nothing" "-f" "-f $conf" "-f $conf --to-wire $tmp/o" "--from-host $in" "-f $conf --from-host $in more" \
	"-f $conf --mtu 0 --from-host $in" "-f $conf --mtu 575 --from-host $in" "-f $conf --mtu 65536 --from-host $in" \
	"-f $conf --mtu 1e3 --from-host $in" "-f $conf --seed -1 --from-host $in" "-f $conf --seed 18446744073709551616 --from-host $in" \
	"-f $conf --from-host $tmp/copy.pcap --to-wire $tmp/copy.pcap" \
	"-f $conf --from-host $in --from-wire $tmp/copy.pcap --to-wire $tmp/./copy.pcap" \
	"-f $conf --from-host $in --to-wire $tmp/o --to-host $tmp/o" "-f $tmp/conf --from-host $in --to-wire $tmp/conf" \
	"-f $tmp/conf -k $tmp/conf"; do
	status 2 $args
done
cmp -s "$in" "$tmp/copy.pcap" || fail "an input was written over"
cmp -s "$conf" "$tmp/conf" || fail "the configuration was written over"

status 0 --help
grep -q -- --from-wire "$tmp/out" || fail "--help says nothing of --from-wire"
status 0 --version
grep -q '^ipsecreplay [0-9]' "$tmp/out" || fail "no version"
status 0 -f "$conf" --from-host "$in"
status 0 -f - --from-host "$in" <"$conf"
status 1 -f "$tmp/none" --from-host "$in"
status 1 -f "$pcap/bad.conf" --from-host "$in"
grep -q "^$pcap/bad.conf:[0-9]*:[0-9]*: " "$tmp/err" || fail "no file:line:column"
status 1 -f "$conf" --from-host "$conf"
grep -q "$conf" "$tmp/err" || fail "the unreadable file is not named"
status 1 -f "$conf" --from-host "$in" --to-wire "$tmp/no/folder"
status 1 -f "$conf" --from-host "$in" --to-wire /dev/full
grep -q '/dev/full: No space left' "$tmp/err" || fail "a full disk is not told"
"$replay" -f "$conf" --from-host "$in" --json >/dev/full 2>/dev/null && fail "a full standard output is not told"

# what was whole in a torn file is written and counted
status 1 -f "$conf" --from-host "$pcap/in/torn.pcap" --to-wire "$tmp/torn.pcap" --json
grep -q 'torn.pcap: packet 6: ' "$tmp/err" || fail "the packet is not numbered"
[ -s "$tmp/out" ] && [ "$(stat -c %s "$tmp/torn.pcap")" -gt 1000 ] || fail "nothing of a torn file"

# Wireshark's file: 0600 whatever there was and whatever the umask says, and no key anywhere else
key=101112131415161718191a1b1c1d1e1f20212223
umask 0
echo old >"$tmp/keys"
chmod 666 "$tmp/keys"
status 0 -f "$conf" -k "$tmp/keys"
[ "$(stat -c %a "$tmp/keys")" = 600 ] || fail "the key file is $(stat -c %a "$tmp/keys")"
[ "$(wc -l <"$tmp/keys")" -eq 4 ] || fail "$(wc -l <"$tmp/keys") lines of keys, not 4"
grep -q "^\"IPv4\",\"10.9.0.1\",\"10.9.0.2\",\"0x00001001\",.*,\"0x$key\"," "$tmp/keys" || fail "not Wireshark's form"
rm "$tmp/keys"
status 0 -f "$conf" -k "$tmp/keys"
[ "$(stat -c %a "$tmp/keys")" = 600 ] || fail "a new key file is $(stat -c %a "$tmp/keys")"
ln -s "$tmp/elsewhere" "$tmp/link"
status 1 -f "$conf" -k "$tmp/link"
[ ! -e "$tmp/elsewhere" ] || fail "keys went through a symbolic link"
status 1 -f "$conf" -k /no/folder/keys
"$replay" -f "$conf" --from-host "$in" -v --json >"$tmp/out" 2>&1
grep -q "$key" "$tmp/out" && fail "a key in the output"

# same seed, same octets; the words of -v are the objects of --json
umask 077
cat >"$tmp/cbc.conf" <<X
esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128 auth hmac-sha2-256 enckey 0x000102030405060708090a0b0c0d0e0f \
	authkey 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
flow esp transport out from 10.9.0.1 to 10.9.0.2
X
for n in 1 2 3; do
	status 0 -f "$tmp/cbc.conf" --from-host "$in" --to-wire "$tmp/$n.pcap" --seed $((n / 3))
done
cmp -s "$tmp/1.pcap" "$tmp/2.pcap" || fail "one seed, two results"
cmp -s "$tmp/2.pcap" "$tmp/3.pcap" && fail "two seeds, one result"
status 0 -f "$tmp/cbc.conf" --from-host "$in" --to-wire "$tmp/4.pcap"
status 0 -f "$tmp/cbc.conf" --from-host "$in" --to-wire "$tmp/5.pcap"
cmp -s "$tmp/4.pcap" "$tmp/5.pcap" && fail "no seed, and the same IVs"
"$replay" -f "$pcap/transport-b.conf" --from-wire "$pcap/in/replayed.pcap" -v | grep -c '^in [0-9]* dropped .*reason=replay_dup$' >"$tmp/text"
"$replay" -f "$pcap/transport-b.conf" --from-wire "$pcap/in/replayed.pcap" -v --json |
	python3 -c 'import json, sys; print(sum(p["reason"] == "replay_dup" for p in json.load(sys.stdin)["packets"]))' >"$tmp/json"
[ "$(cat "$tmp/text")" = 4 ] && cmp -s "$tmp/text" "$tmp/json" || fail "-v says $(cat "$tmp/text"), --json $(cat "$tmp/json"), not 4"
# --expect: the same octets are no difference, whatever the link type; the first that is not is shown by its fields
status 0 -f "$conf" --from-host "$in" --expect "$pcap/ok/transport4.pcap"
[ ! -s "$tmp/err" ] || fail "no difference, but: $(head -1 "$tmp/err")"
status 0 -f "$pcap/transport-b.conf" --from-wire "$pcap/ok/transport4.pcapng" --expect "$in"
status 2 -f "$conf" --from-host "$in" --from-wire "$in" --expect "$in"
status 2 -f "$conf" -k "$tmp/keys" --expect "$in"
status 1 -f "$conf" --from-host "$in" --expect "$tmp/none.pcap"
python3 - "$pcap/ok/transport4.pcap" "$tmp" <<'X'
import struct, sys
data, tmp = bytearray(open(sys.argv[1], "rb").read()), sys.argv[2]
open(tmp + "/short.pcap", "wb").write(data[:24])
open(tmp + "/long.pcap", "wb").write(data + struct.pack("<IIII", 1700000001, 0, 14, 14) + bytes(14))
first = struct.unpack_from("<I", data, 24 + 8)[0]
at = 24 + 16 + first + 16  # the second packet
data[at + 14 + 8] = 7  # TTL
data[at + 14 + 20 + 7] = 9  # sequence number
data[at - 12] ^= 1  # time
open(tmp + "/fields.pcap", "wb").write(data)
X
status 1 -f "$conf" --from-host "$in" --expect "$tmp/short.pcap"
grep -q "short.pcap: packet 1 is not there; made of packet 1 of the input" "$tmp/err" || fail "short: $(cat "$tmp/err")"
status 1 -f "$conf" --from-host "$in" --expect "$tmp/long.pcap"
grep -q "long.pcap: packet 7 did not come" "$tmp/err" || fail "long: $(cat "$tmp/err")"
status 1 -f "$conf" --from-host "$in" --expect "$tmp/fields.pcap"
cat >"$tmp/want" <<'X'
fields.pcap: packet 2 differs; made of packet 2 of the input
  frame.time_epoch is 1700000000.010000000, not 1700000000.010000001
  ip.ttl is 64, not 7
  esp.sequence is 2, not 9
X
sed "s|^$tmp/||" "$tmp/err" | diff - "$tmp/want" || fail "fields"

# --explain: every step, and the verdict; the same packet of either side
status 0 -f "$conf" --from-host "$in" --explain 2
for words in '^packet out 2, 54 octets, 0.010 s after the first' '1 classify  tcp from 10.9.0.1 port 4711 to 10.9.0.2 port 22$' \
	'2 policy    rule 0 decides: flow esp ' '3 SA        esp transport 0x00001001 10.9.0.1 -> 10.9.0.2, .*, next number 2$' \
	'4 fit       40 octets become 76 of 1500: it fits' '^verdict       protected rule=0 sa=esp:0x00001001 seq=2, 90 octets to the wire$'; do
	grep -q "$words" "$tmp/out" || fail "--explain 2 does not say '$words': $(cat "$tmp/out")"
done
status 0 -f "$pcap/transport-b.conf" --from-host "$pcap/in/mixed4-from-b.pcap" --from-wire "$pcap/in/replayed.pcap" --explain in:8
for words in '2 SA        SPI 0x00001001, number 4: esp transport' '3 replay    4 with top 200 and 64 wide: before the window' \
	'^verdict       dropped spi=0x00001001 seq=4 reason=replay_old: '; do
	grep -q "$words" "$tmp/out" || fail "--explain in:8 does not say '$words': $(cat "$tmp/out")"
done
grep -q '^packet out' "$tmp/out" && fail "--explain in:8 explains the other side"
status 1 -f "$conf" --from-host "$in" --explain 99
grep -q 'no packet 99' "$tmp/err" || fail "there is no packet 99, and nobody says so"
status 2 -f "$conf" --from-host "$in" --explain 0
status 2 -f "$conf" --from-host "$in" --explain 2 --json

# --stats and --svg: the numbers of --json
status 0 -f "$pcap/transport-b.conf" --from-wire "$pcap/in/replayed.pcap" --stats --svg "$tmp/line.svg"
for words in '^read  *0  *9$' '^protected, opened  *0  *4$' '^replay_dup  *0  *4$' '^replay_old  *0  *1$' '^esp in  *0x00001001  *4 '; do
	grep -q "$words" "$tmp/out" || fail "--stats does not say '$words': $(cat "$tmp/out")"
done
python3 - "$tmp/line.svg" <<'X' || fail "the picture"
import sys
import xml.etree.ElementTree as tree
words = " ".join(t.text for t in tree.parse(sys.argv[1]).iter() if t.tag.endswith("text"))
sys.exit(0 if all(w in words for w in ("opened 4", "dropped: replay_dup 4", "dropped: replay_old 1")) else words)
X
status 1 -f "$conf" --from-host "$in" --svg /dev/full
status 1 -f "$conf" --from-host "$in" --annotate /dev/full
status 2 -f "$conf" --from-host "$tmp/copy.pcap" --annotate "$tmp/copy.pcap"
status 2 -f "$conf" --from-host "$in" --expect "$tmp/copy.pcap" --to-wire "$tmp/copy.pcap"
exit $bad
