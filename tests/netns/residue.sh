#!/usr/bin/env bash
# A key that is gone is gone from memory too: the daemon's memory is searched for its octets and its text after the SA went, by every way an SA goes.
. "$(dirname "$0")/lib.sh"
begin "no key is left behind in memory"

two_hosts
reach a 10.9.0.2

keys() { printf '%s\n' "${key[@]}"; }
scan() { keys | python3 "$here/memscan.py" "${pid[bitsd-$1]}" >"$tmp/scan"; }
has_keys() # HOST WHEN
{
	! scan "$1" || fail "$2: the keys are not found, so the search finds nothing: $(cat "$tmp/scan")"
	[ "$(grep -c 'as octets' "$tmp/scan")" -ge 2 ] || fail "$2: $(cat "$tmp/scan")"
	grep -q 'as text\|as TEXT' "$tmp/scan" && fail "$2: text of a key is left of the load: $(cat "$tmp/scan")"
	keys | python3 "$here/memscan.py" "$(warden_of "$1")" >"$tmp/scan-warden" || fail "$2: the warden has keys: $(cat "$tmp/scan-warden")"
	ok "$2: found $(grep -c 'as octets' "$tmp/scan") times as octets, never as text, and not in the process with the privileges"
}
no_keys() { within 3 scan "$1" || fail "$2: $(cat "$tmp/scan")"; ok "$2: not found in $(tail -n 1 "$tmp/scan")"; }
algorithm() # NAME OCTETS: both hosts' files, with new keys
{
	new_key 1 "$2"
	new_key 2 "$2"
	pair_conf "$1"
}

echo '# nothing' >"$tmp/none.conf"
start a eth0 "$tmp/none.conf"
start b eth0 "$tmp/none.conf"
for alg in 'aes-128-gcm 20' 'chacha20-poly1305 36'; do
	say "${alg% *}: loaded, used, flushed"
	read -ra words <<<"$alg"
	algorithm "${words[@]}"
	load a "$tmp/a.conf"
	load b "$tmp/b.conf"
	reach a 10.9.0.2
	has_keys a "in force"
	show a ipsecctl -F
	ctl a -F
	no_keys a "after -F"
	ctl b -F
done

say "replaced by other keys"
algorithm aes-256-gcm 36
load a "$tmp/a.conf"
load b "$tmp/b.conf"
reach a 10.9.0.2
has_keys a "in force"
old=("${key[@]}")
algorithm aes-256-gcm 36
load a "$tmp/a.conf"
load b "$tmp/b.conf"
reach a 10.9.0.2
new=("${key[@]}")
key=()
for k in "${old[@]}"; do key[old${#key[@]}]=$k; done
no_keys a "the old ones"
key=([1]="${new[0]}" [2]="${new[1]}")

say "removed one by one"
has_keys a "in force"
for spi in 0x1001 0x2001; do
	show a ipsecctl delete esp spi $spi
	ctl a delete esp spi $spi >/dev/null || fail "it cannot be deleted"
done
no_keys a "after delete"

say "read from a file by SIGHUP, and replaced by SIGHUP"
cp "$tmp/a.conf" "$tmp/hup.conf"
stop a
start a eth0 "$tmp/hup.conf"
has_keys a "at the start"
cp "$tmp/none.conf" "$tmp/hup.conf"
show a "kill -HUP (bitsd)"
kill -HUP "${pid[bitsd-a]}"
no_keys a "after SIGHUP"

say "no core"
read -r soft hard < <(sed -n 's/^Max core file size *\([^ ]*\) *\([^ ]*\).*/\1 \2/p' "/proc/${pid[bitsd-a]}/limits")
[ "$soft$hard" = 00 ] || fail "a core may have $soft, at most $hard octets"
ok "its limit is 0 octets, and nobody can raise it again"
[ "$(stat -c %U "/proc/${pid[bitsd-a]}/mem")" = root ] || fail "another user may read its memory"
done_all
