#!/usr/bin/env bash
# Without -d: ready when it returns, relative names go on to mean what they meant, SIGHUP reads the file again, SIGTERM leaves the NIC closed.
. "$(dirname "$0")/lib.sh"
begin "bitsd as a daemon"

two_hosts
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

say "it kept what it needs, and its worker less"
word() { sed -n "s/^$2:[[:space:]]*//p" "/proc/${pid[bitsd-a]}/task/$1/status"; }
worker=$(grep -l '^bits-worker' /proc/"${pid[bitsd-a]}"/task/*/comm | sed -n '1s|.*/task/\([0-9]*\)/comm|\1|p')
[ -n "$worker" ] || fail "there is no worker"
for task in "${pid[bitsd-a]}" "$worker"; do
	[ "$(word "$task" NoNewPrivs)" = 1 ] || fail "task $task may gain privileges"
	[ "$(word "$task" Seccomp)" = 2 ] || fail "the system calls of task $task are not filtered"
	# DAC_OVERRIDE, NET_ADMIN, NET_RAW, IPC_LOCK, SYS_CHROOT, SYS_PTRACE, SYS_ADMIN, and nothing else
	for set in CapEff CapPrm CapBnd; do
		[ $((0x$(word "$task" $set) & ~0x2c7002)) -eq 0 ] || fail "task $task has $set $(word "$task" $set)"
	done
	[ "$(word "$task" CapInh)" = 0000000000000000 ] || fail "task $task would hand capabilities on"
done
[ "$(word "$worker" CapEff)$(word "$worker" CapPrm)" = 00000000000000000000000000000000 ] || fail "the worker has capabilities"
grep -q 'kept: CAP_.*NET_ADMIN.*system calls' "$tmp/bitsd-a.log" || fail "it does not say what it kept"
ok "$(sed -n 's/.*kept: //p' "$tmp/bitsd-a.log"); a worker: no capability"

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

say "the examples of bitsd(8)"
rm -r conf.d
mkdir "$tmp/bin"
printf '#!/bin/sh\nexec "%s" "$@" -f "%s/ipsec.conf" --run-dir "%s/run" --state-dir "%s/state" --nic-netns "%s"\n' \
	"$BITSD" "$PWD" "$PWD" "$PWD" "$tag-$(private a)" >"$tmp/bin/bitsd"
printf '#!/bin/sh\nexec "%s" -S "%s/run/eth0.sock" "$@"\n' "$IPSECCTL" "$PWD" >"$tmp/bin/ipsecctl"
chmod +x "$tmp/bin/"*
n=0
while IFS= read -r command; do
	n=$((n + 1))
	show a "$command"
	# shellcheck disable=SC2086 # words, as a shell would part them
	(PATH=$tmp/bin:$PATH at a $command) >"$tmp/example$n.log" 2>&1 </dev/null || fail "'$command': $(cat "$tmp/example$n.log")"
	if [ "$n" -eq 2 ]; then
		pid[bitsd-a]=$(cat run/eth0.pid)
		children+=("${pid[bitsd-a]}")
		silent a 10.9.0.2 # no rule
	fi
done < <("$here/../man_commands" "$top/tools/man/bitsd.8")
[ $n -eq 4 ] || fail "there are $n of them, not 4"
grep -q eth0 "$tmp/example3.log" || fail "-s nic does not tell of eth0: $(cat "$tmp/example3.log")"
at a ip -d link show eth0 | grep -q veth || fail "the NIC is not back"
reach a 10.9.0.2
ok "checked, started, looked at, given back"
done_all
