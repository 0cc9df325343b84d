#!/bin/bash
# selftest IPSECCTL CTLD [BITSD]: every algorithm's known answers by every back end.  With BITSD, both daemons were built with one wrong
# answer: selftest says which and exits 1, and bitsd does not start.
. "$(dirname "$0")/lib.sh" "$1" "$2"
bitsd=${3:-}

status=0
ipsecctl selftest >"$tmp/out" 2>"$tmp/err" || status=$?
ipsecctl --json selftest >"$tmp/json" 2>/dev/null
[ "$(value 'len(d["tests"])' "$tmp/json")" -ge 40 ] || fail "hardly a table: $(head -3 "$tmp/out")"
[ "$(value 'len(d["tests"])' "$tmp/json")" -eq $(($(wc -l <"$tmp/out") - 1)) ] || fail "the table has other lines than the document"
for name in aes-128-gcm aes-256-ccm-8 chacha20-poly1305 3des aes-128-ctr aes-xcbc hmac-sha2-512 aes-256-gmac; do
	grep -q "^$name .* openssl  *" "$tmp/out" || fail "the table has no $name"
done
if [ -z "$bitsd" ]; then
	[ $status -eq 0 ] || fail "status $status: $(cat "$tmp/err")"
	grep -q WRONG "$tmp/out" && fail "a wrong answer: $(grep WRONG "$tmp/out")"
	[ "$(value 'd["failed"]' "$tmp/json")" -eq 0 ] || fail "failures"
	exit
fi
[ $status -eq 1 ] || fail "with a wrong answer: status $status"
[ "$(grep -c '^aes-128 .* openssl .*WRONG' "$tmp/out")" -eq 1 ] || fail "which is wrong is not said: $(cat "$tmp/out")"
grep -q 'known answers came out wrong' "$tmp/err" || fail "it does not say so: $(cat "$tmp/err")"
echo 'flow from any to any type bypass' >"$tmp/conf"
timeout 20 "$bitsd" -n -i lo -f "$tmp/conf" >"$tmp/out" 2>"$tmp/err" </dev/null
status=$?
[ $status -eq 1 ] && grep -q 'known answer of .* came out wrong' "$tmp/err" || fail "bitsd starts all the same: status $status, $(cat "$tmp/err")"
