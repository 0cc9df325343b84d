#!/usr/bin/env bash
# What bitsd and ipsecctl refuse: the exit status, and a message that says what is wrong.
. "$(dirname "$0")/lib.sh"
begin "refusals and exit statuses"

host a
wire w
plug a eth0 w wa
on a ip addr add 10.9.0.1/24 dev eth0
echo 'flow from any to any type bypass' >"$tmp/bypass.conf"
mkdir -p "$tmp/a"
nic_of[a]=eth0

# refused STATUS PATTERN CMD...: that exit status, and a line of that kind
refused()
{
	local want=$1 pattern=$2 status=0
	shift 2
	timeout 20 "$@" >"$tmp/out" 2>&1 </dev/null || status=$?
	[ "$status" -eq "$want" ] || fail "status $status, not $want: $* ($(head -n 5 "$tmp/out"))"
	grep -qiE -- "$pattern" "$tmp/out" || fail "the message does not say '$pattern': $(head -n 5 "$tmp/out")"
	ok "$status: $(grep -iE -m 1 -- "$pattern" "$tmp/out" | cut -c 1-140)"
}
# daemon NIC [options...]: sets cmd to the command that would start it in host a
daemon()
{
	local args
	read -ra args < <(daemon_args a "$1" "$tmp/bypass.conf")
	cmd=(nsenter --net="/run/netns/$tag-a" "$BITSD" -d "${args[@]}" "${@:2}")
}
unchanged() { same a "$before" "afterwards"; }

say "bitsd refuses to start"
daemon nosuch0
refused 1 'nosuch0' "${cmd[@]}"
daemon lo
refused 1 'loopback' "${cmd[@]}"
on a ip link add br7 type bridge
on a ip link add dummy7 type veth peer name dummy8
on a ip link set dummy7 master br7
settle a
before=$(configuration a)
daemon dummy7
refused 1 'br7' "${cmd[@]}"
refused 2 'usage' "$BITSD" --no-such-option
refused 2 'usage' "$BITSD"
refused 1 'root' setpriv --reuid=65534 --regid=65534 --clear-groups "$BITSD" -d -i eth0 -f /dev/null
refused 1 '/dev/net/tun' unshare -m sh -c "mount -t tmpfs none /dev/net && exec nsenter --net=/run/netns/$tag-a '$BITSD' -d $(daemon_args a eth0 "$tmp/bypass.conf")"
printf 'flow from any to any type bypass\nflow frm any\n' >"$tmp/wrong.conf"
refused 1 'wrong.conf:2:[0-9]+: ' nsenter --net="/run/netns/$tag-a" "$BITSD" -d -i eth0 -f "$tmp/wrong.conf" --run-dir "$tmp/a/run" --state-dir "$tmp/a/state"
refused 1 'wrong.conf:2:[0-9]+: ' nsenter --net="/run/netns/$tag-a" "$BITSD" -n -i eth0 -f "$tmp/wrong.conf" --run-dir "$tmp/a/run" --state-dir "$tmp/a/state"
unchanged
show a bitsd -n
daemon eth0 -n
"${cmd[@]}" >"$tmp/out" 2>&1 || fail "-n refuses a good file and NIC: $(cat "$tmp/out")"
unchanged
ok "-n checks, and changes nothing"

say "ipsecctl without a daemon"
refused 3 'bitsd|socket|connect|running' "$IPSECCTL" -S "$tmp/a/run/eth0.sock" -s flow
refused 3 '.' "$IPSECCTL" -S "$tmp/a/run/eth0.sock" -f "$tmp/bypass.conf"
refused 2 'usage' "$IPSECCTL"
refused 2 'usage' "$IPSECCTL" -Z
refused 2 'usage|unknown' "$IPSECCTL" -s nonsense
refused 1 'wrong.conf:2:[0-9]+: .*near' "$IPSECCTL" -n -f "$tmp/wrong.conf"
refused 1 'no such file' "$IPSECCTL" -n -f "$tmp/absent.conf"
"$IPSECCTL" -n -f "$tmp/bypass.conf" || fail "-n refuses a good file"
ok "0: a good file, parsed only"

say "taken by another bitsd"
start a eth0 "$tmp/bypass.conf"
settle a
before=$(configuration a)
daemon eth0
refused 1 'taken|running|lock' "${cmd[@]}"
refused 1 'taken|running|lock' nsenter --net="/run/netns/$tag-a" "$BITSD" -d -i eth0 -f "$tmp/bypass.conf" \
	--run-dir "$tmp/a/run2" --state-dir "$tmp/a/state" --nic-netns "$tag-$(private a)"
unchanged
answers a >/dev/null || fail "the first one was hurt"
ok "the first one goes on"

say "a load is one transaction"
new_key 1
new_key 2
{
	sa transport 10.9.0.1 10.9.0.2 0x1001 0x2001 "${key[1]}" "${key[2]}"
	echo 'flow esp transport from 10.9.0.1 to 10.9.0.2'
	echo 'flow from any to any type bypass'
} >"$tmp/good.conf"
load a "$tmp/good.conf"
ctl a -s all -k >"$tmp/state1"
{
	echo 'flow from 10.9.0.0/24 to any type deny'
	echo 'flow from any to any tpye bypass'
	echo "esp transport from 10.9.0.1 to 10.9.0.3 spi 0x1005:0x2005 enc aes-128-gcm enckey 0x00:0x00"
} >"$tmp/bad.conf"
refused 1 'bad.conf:2:[0-9]+: ' "$IPSECCTL" -S "$(sock a)" -f "$tmp/bad.conf"
grep -qE 'bad.conf:3:[0-9]+: ' "$tmp/out" || fail "the second error is not told: $(cat "$tmp/out")"
ctl a -s all -k >"$tmp/state2"
cmp "$tmp/state1" "$tmp/state2" || fail "an erroneous file changed the state"
ok "two errors told, nothing changed"
refused 1 'stdin:1:[0-9]+: ' sh -c "echo 'nonsense' | '$IPSECCTL' -S '$(sock a)' -f -"
if grep -qi "${key[1]#0x}" <(ctl a -s all; ctl a -s all --json; ctl a -s sa -v); then
	fail "keys are shown without -k"
fi
ok "no key without -k"

say "what is shown can be fed back"
ctl a -F
[ -z "$(ctl a -s sa | grep -v "^#")" ] || fail "-F left an SA"
ctl a -f "$tmp/state1"
ctl a -s all -k >"$tmp/state3"
cmp "$tmp/state1" "$tmp/state3" || fail "$(diff "$tmp/state1" "$tmp/state3")"
ok "ipsecctl -s all -k > f; ipsecctl -f f"

say "without permission"
chmod 755 "$tmp" "$tmp/a" "$tmp/a/run" 2>/dev/null || :
refused 3 '.' setpriv --reuid=65534 --regid=65534 --clear-groups "$IPSECCTL" -S "$(sock a)" -s flow
[ "$(stat -c %a "$(sock a)")" = 600 ] || fail "the socket's mode is $(stat -c %a "$(sock a)")"
ok "the socket is 0600"

say "with a group's permission"
refused 2 'no group' "$BITSD" -i eth0 --group nosuchgroup
stop a
start a eth0 "$tmp/bypass.conf" --group 4242
cp "$IPSECCTL" "$tmp/ipsecctl" && chmod 755 "$tmp/ipsecctl"
chmod 711 "$tmp" "$tmp/a"
as() { who=(setpriv --reuid=65534 --regid="$1" "$2" "$tmp/ipsecctl" -S "$(sock a)"); }
as 65534 --groups=4243,4242
"${who[@]}" -s flow >/dev/null || fail "a member of the group is refused"
refused 3 'only root may see keys' "${who[@]}" -s sa -k
as 4242 --clear-groups
"${who[@]}" -s flow >/dev/null || fail "who has the group for his own is refused"
as 65534 --clear-groups
refused 3 '.' "${who[@]}" -s flow
as 65534 --groups=4243,4241
refused 3 '.' "${who[@]}" -s flow
[ "$(stat -c %a:%g "$(sock a)") $(stat -c %a:%g "$tmp/a/run")" = "660:4242 2710:4242" ] || fail "modes: $(stat -c %a:%g "$(sock a)" "$tmp/a/run")"
# a socket that somebody removed is made again as it was
rm "$(sock a)"
within 20 test -S "$(sock a)" || fail "the socket is not made again"
given() { [ "$(stat -c %a:%g "$(sock a)")" = 660:4242 ]; }
within 5 given || fail "made again: $(stat -c %a:%g "$(sock a)")"
# who gets at the socket all the same is asked who he is
chmod 777 "$tmp/a/run" && chmod 666 "$(sock a)"
refused 3 'permission denied' "${who[@]}" -s flow
ok "members only, and no keys for them"
if ls -l /proc/"${pid[bitsd-a]}"/cmdline >/dev/null && tr '\0' ' ' </proc/"${pid[bitsd-a]}"/cmdline | grep -qi "${key[1]#0x}"; then
	fail "a key stands on the command line"
fi
done_all
