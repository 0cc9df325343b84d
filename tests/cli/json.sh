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
# document NAME ARGS...
document()
{
	local name=$1
	shift
	ipsecctl --json "$@" 2>"$tmp/err" </dev/null >"$tmp/raw" || fail "$*: status $?: $(head -2 "$tmp/err")"
	python3 "$here/normal.py" <"$tmp/raw" >"$tmp/$name.json" || fail "$*: no JSON"
	[ "${ACCEPT:-}" ] && cp "$tmp/$name.json" "$here/json/$name.json"
	diff -u "$here/json/$name.json" "$tmp/$name.json" || fail "$*"
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
