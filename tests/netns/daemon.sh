#!/usr/bin/env bash
# Without -d: ready when it returns, relative names go on to mean what they meant, SIGHUP reads the file again, SIGTERM leaves the NIC closed.
. "$(dirname "$0")/lib.sh"
begin "bitsd as a daemon"

host a
host b
wire w
plug a eth0 w wa
plug b eth0 w wb
on a ip addr add 10.9.0.1/24 dev eth0
on b ip addr add 10.9.0.2/24 dev eth0
reach a 10.9.0.2
mkdir -m 700 "$tmp/a" "$tmp/a/conf.d"
nic_of[a]=eth0
cd "$tmp/a" || exit 1
launch() { on a "$BITSD" -i eth0 -f ipsec.conf --run-dir run --state-dir state --nic-netns "$tag-$(private a)" >"$tmp/bitsd-a.log" 2>&1; }
rules() { ctl a -s flow --json | json '["flows"].__len__()'; }
rules_are() { [ "$(rules)" = "$1" ]; }

say "what is wrong is told before it goes to the background"
echo 'flow from any to' >ipsec.conf
if launch; then fail "a wrong file starts"; fi
grep -q '^ipsec.conf:1:' "$tmp/bitsd-a.log" || fail "$(cat "$tmp/bitsd-a.log")"
ok "exit status 1, and the place in the file"

say "it returns when traffic flows"
echo 'include "conf.d/*.conf"' >ipsec.conf
echo 'flow proto icmp from any to any type bypass' >conf.d/1.conf
launch || fail "it does not start: $(cat "$tmp/bitsd-a.log")"
children+=("$(cat run/eth0.pid)")
pid[bitsd-a]=$(cat run/eth0.pid)
rules_are 1 || fail "its policy is not in force"
reach a 10.9.0.2
[ "$(readlink "/proc/${pid[bitsd-a]}/cwd")" = / ] || fail "it keeps the directory it was started in"

say "SIGHUP reads the file again, and its includes"
echo 'flow proto udp from any to any type bypass' >conf.d/2.conf
kill -HUP "${pid[bitsd-a]}"
within 5 rules_are 2 || fail "there are $(rules) rules"
echo 'flow from' >conf.d/3.conf
kill -HUP "${pid[bitsd-a]}"
never 1 rules_are 0 || fail "a wrong file is in force"
rules_are 2 || fail "there are $(rules) rules"
reach a 10.9.0.2
ok "a wrong one changes nothing"

say "SIGTERM"
kill "${pid[bitsd-a]}"
within 10 ended "${pid[bitsd-a]}" || fail "it does not end"
[ ! -e run/eth0.sock ] && [ ! -e run/eth0.pid ] || fail "left over: $(ls run)"
silent a 10.9.0.2
at "$(private a)" ip link show eth0 >/dev/null || fail "the NIC left its namespace"
ok "socket and pid file are gone, the NIC stays isolated"
done_all
