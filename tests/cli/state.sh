#!/bin/bash
# What is in force: fed back, synchronised, put on trial.
. "$(dirname "$0")/lib.sh" "$1" "$2"

k() { printf '0x%0*d' "$2" "$1"; } # a key of so many digits
cat >"$tmp/conf" <<X
lan = "{ 10.1.0.0/16, fd01::/48 }"
esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 enc aes-128-gcm enckey $(k 1 40):$(k 2 40) lifetime hard 100 MB
esp tunnel from 192.0.2.1 to 198.51.100.7 spi 0x1002:0x2002 auth hmac-sha2-256 enc aes-256 authkey $(k 3 64):$(k 4 64) enckey $(k 5 64):$(k 6 64) esn replay 1024 reqid 7
ah transport from fd09::1 to fd09::2 spi 0x1003:0x2003 auth hmac-sha2-256 authkey $(k 7 64):$(k 8 64)
builtin dhcp type none
flow esp transport proto tcp from 10.9.0.1 to 10.9.0.2 port { 22, 80, 8000-8100 }
flow esp tunnel from \$lan to { 10.2.0.0/16, fd02::/48 } local 192.0.2.1 peer 198.51.100.7 reqid 7
flow ah transport from fd09::1 to fd09::2 type use
flow proto icmp from any to any icmptype 8 code 0 type bypass
flow out from any to 203.0.113.0-203.0.113.9 type deny
X
all() { ipsecctl -s all -k; }

# saved and restored: the same text, and -s all of an empty policy is one that loads too
all >"$tmp/empty" && ipsecctl -f "$tmp/empty" || fail "nothing cannot be fed back"
ipsecctl -f "$tmp/conf" 2>"$tmp/err" || fail "the policy does not load: $(cat "$tmp/err")"
all >"$tmp/one"
ipsecctl -F
ipsecctl -f "$tmp/one" 2>/dev/null || fail "what -s all -k shows does not load"
all | cmp -s - "$tmp/one" || { fail "fed back it is not the same"; all | diff "$tmp/one" -; }
all | ipsecctl -f - 2>/dev/null && all | cmp -s - "$tmp/one" || fail "by standard input it is not the same"

# sync: nothing to do is nothing done
generation() { ipsecctl -s nic --json >"$tmp/nic" && value 'd["generation"]' "$tmp/nic"; }
before=$(generation)
says 'rules: 0 added, 0 removed, 0 moved, 8 kept' sync -f "$tmp/one"
says 'SAs: 0 added, 0 removed, 0 moved, 6 kept' sync -f "$tmp/one"
[ "$(generation)" -eq "$before" ] || fail "a sync with nothing to do makes a generation"
grep -v 'port 80 ' "$tmp/one" | sed 's/^builtin dhcp.*//; s/replay 1024/replay 2048/' >"$tmp/two"
echo "flow in from any to any type deny" >>"$tmp/two"
ipsecctl -v sync -f "$tmp/two" >"$tmp/out" 2>/dev/null || fail "it does not synchronise"
for text in 'rules: 1 added, 1 removed, 0 moved, 7 kept' 'SAs: 2 added, 2 removed, 0 moved, 4 kept' 'built-ins: 1 changed' \
	'+ flow in from any to any type deny' '- flow esp transport proto tcp from 10.9.0.1 to 10.9.0.2 port 80'; do
	grep -qF -- "$text" "$tmp/out" || { fail "sync does not say '$text'"; cat "$tmp/out"; }
done
grep -q "$(k 1 40)" "$tmp/out" && fail "sync shows a key"
sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$tmp/two" >"$tmp/lines"
{ grep '^esp\|^ah' "$tmp/lines"; grep '^flow' "$tmp/lines" | tac; } >"$tmp/turned"
says 'rules: 0 added, 0 removed, 7 moved, 8 kept' sync -f "$tmp/turned"
all | grep '^flow' | head -1 | grep -q 'flow in from any to any type deny' || fail "sync does not put rules in order"

# on trial: confirmed, taken back by hand, and by the clock
ipsecctl -f "$tmp/one" 2>/dev/null
all >"$tmp/one"
echo 'flow from any to any type deny' >"$tmp/deny"
refused 'nothing to confirm' confirm
refused 'nothing to go back to' revert
ipsecctl -f "$tmp/deny" --confirm 100 || fail "--confirm"
says 'on trial, for ' -s nic
refused 'on trial' -f "$tmp/one"
refused 'on trial' -f "$tmp/one" --confirm 3
refused 'on trial' sync -f "$tmp/one"
refused 'on trial' -F
refused 'on trial' add flow from any to any type bypass
refused 'on trial' delete flow 0
refused 'on trial' move flow 0 to 0
says 'flow from any to any type deny' -s flow
ipsecctl revert || fail "revert"
all | cmp -s - "$tmp/one" || fail "revert does not bring back what was"
refused 'nothing to go back to' revert
ipsecctl --confirm 1 -f "$tmp/deny" || fail "--confirm"
for _ in {1..100}; do
	all | cmp -s - "$tmp/one" && break
	sleep 0.1
done
all | cmp -s - "$tmp/one" || fail "nobody confirmed, and it stays"
ipsecctl -f "$tmp/deny" --confirm 2 && ipsecctl confirm || fail "confirm"
sleep 2.5
says 'flow from any to any type deny' -s flow
ipsecctl -s nic --json >"$tmp/nic"
[ "$(value 'd["confirm_ms"]' "$tmp/nic")" = None ] || fail "still on trial"
ipsecctl -f "$tmp/one" 2>/dev/null || fail "after a trial nothing can be loaded"

# -v says everything an operator asks of an SA, and is still text that loads
echo "esp tunnel from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 enc aes-128-gcm enckey $(k 1 40):$(k 2 40) replay 256 lifetime soft 10 packets lifetime hard 3600 seconds" >"$tmp/one"
ipsecctl -f "$tmp/one" 2>/dev/null
for text in "esp tunnel aes-128-gcm by openssl, " " mature, " " octets of memory" "soft 10 packets, hard 3600.0 s, used 0 packets 0 octets" \
	" out 0 packets 0 octets, next number " "window 256, top number 0, replayed 0, too old 0, not authentic 0, other 0, lost 0"; do
	says "$text" -s sa -v
done
ipsecctl -s sa -v -k >"$tmp/two"
ipsecctl -n -f "$tmp/two" || fail "what -v shows does not load"
