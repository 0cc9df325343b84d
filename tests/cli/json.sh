#!/bin/bash
# Every --json document, key by key, against tests/cli/json/NAME.json.  Keys stay: scripts hold on to them.  ACCEPT=1 takes new output.
. "$(dirname "$0")/lib.sh" "$1" "$2"
here=$(dirname "$0")

# (addresses that no host has: whose they are decides which SA sends)
k() { printf '0x%0*d' "$2" "$1"; } # a key of so many digits
cat >"$tmp/conf" <<X
esp transport from 198.19.77.1 to 198.19.77.2 spi 0x1001:0x2001 enc aes-128-gcm enckey $(k 1 40):$(k 2 40)
ah tunnel from 198.19.77.1 to 198.51.100.7 spi 0x1002 auth hmac-sha2-256 authkey $(k 3 64) esn replay 1024 reqid 7
builtin dhcp type none
flow esp transport proto tcp from 198.19.77.1 to 198.19.77.2 port 80-90
flow ah tunnel from 10.1.0.0/16 to 10.2.0.0/16 local 198.19.77.1 peer 198.51.100.7 reqid 7 type use
flow out proto icmp from any to any icmptype 8 type bypass
X
# golden NAME: what lies in $tmp/raw is the document NAME
golden()
{
	python3 "$here/normal.py" <"$tmp/raw" >"$tmp/$1.json" || fail "$1: no JSON"
	[ "${ACCEPT:-}" ] && cp "$tmp/$1.json" "$here/json/$1.json"
	diff -u "$here/json/$1.json" "$tmp/$1.json" || fail "$1"
}
# document NAME ARGS...
document()
{
	local name=$1
	shift
	ipsecctl --json "$@" 2>"$tmp/err" </dev/null >"$tmp/raw" || fail "$*: status $?: $(head -2 "$tmp/err")"
	golden "$name"
}
document load -f "$tmp/conf"
document flow -s flow
document sa -s sa
document all -s all -k
document drops -s drops
document stats -s stats
document nic -s nic
document trace-out trace proto tcp from 198.19.77.1 to 198.19.77.2 port 80
document trace-in trace in proto tcp from 198.19.77.2 port 80 to 198.19.77.1
document trace-missing trace proto tcp from 198.19.77.1 to 198.19.77.2 port 79
{ sed '$d' "$tmp/conf"; echo 'flow from any to any type deny'; } >"$tmp/other"
document sync sync -f "$tmp/other"
document delete delete flow 0
document version version

# the table of the known answers differs from host to host: its first line of an algorithm that all have
ipsecctl --json selftest >"$tmp/all" 2>/dev/null || fail "selftest"
python3 - "$tmp/all" >"$tmp/raw" <<'X'
import json, sys
d = json.load(open(sys.argv[1]))
d["tests"] = [t for t in d["tests"] if t["alg"] == "aes-128-gcm" and t["backend"] == "openssl"]
json.dump(d, sys.stdout)
X
golden selftest

# a monitor: a document a line, written as the event happens
ipsecctl --json -m >"$tmp/lines" 2>"$tmp/err" &
monitor=$!
for _ in {1..50}; do # until it listens
	ipsecctl -f "$tmp/other" --confirm 100 2>/dev/null && ipsecctl confirm
	[ -s "$tmp/lines" ] && break
	sleep 0.1
done
ipsecctl -f "$tmp/conf" --confirm 100 2>/dev/null || fail "--confirm"
ipsecctl revert || fail "revert"
for _ in {1..100}; do
	grep -q reverted "$tmp/lines" && break
	sleep 0.1
done
kill $monitor
wait $monitor 2>/dev/null
tail -n 2 "$tmp/lines" | python3 -c 'import json, sys; json.dump([json.loads(line) for line in sys.stdin], sys.stdout)' >"$tmp/raw" || fail "lines that are no JSON"
golden monitor
