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
main=${pid[bitsd-a]} warden=$(warden_of a)
for p in "$main" "$warden"; do
	[[ "$(readlink "/proc/$p/cwd")" = / || "$(readlink "/proc/$p/cwd")" = */run/empty ]] || fail "it keeps the directory it was started in"
done

say "what each of its processes kept, and a worker"
word() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
none=0000000000000000
worker=$(grep -l '^bits-worker' /proc/"$main"/task/*/comm | sed -n '1s|.*/task/\([0-9]*\)/comm|\1|p')
[ -n "$worker" ] || fail "there is no worker"
for task in "$main" "$main/task/$worker" "$warden"; do
	[ "$(word "$task" NoNewPrivs)" = 1 ] || fail "$task may gain privileges"
	[ "$(word "$task" Seccomp)" = 2 ] || fail "the system calls of $task are not filtered"
	[ "$(word "$task" CapInh)$(word "$task" CapAmb)" = $none$none ] || fail "$task would hand capabilities on"
done
for task in "$main" "$main/task/$worker"; do
	for id in Uid Gid; do
		read -r real effective saved fs < <(word "$task" $id)
		[ "$real" -ne 0 ] && [ "$real $real $real" = "$effective $saved $fs" ] || fail "$task has $id $(word "$task" $id)"
	done
	[ -z "$(word "$task" Groups | tr -d ' ')" ] || fail "$task has groups $(word "$task" Groups)"
	for set in CapEff CapPrm CapBnd; do
		[ "$(word "$task" $set)" = $none ] || fail "$task has $set $(word "$task" $set)"
	done
done
[ "$(word "$worker" Seccomp_filters)" -gt "$(word "$main" Seccomp_filters)" ] || fail "the worker may do what the rest may"
[ "$(readlink "/proc/$main/root")" = "$tmp/a/run/empty" ] || fail "its root is $(readlink "/proc/$main/root")"
[ "$(stat -c '%u %a' run/empty)" = "0 555" ] && [ -z "$(ls -A run/empty)" ] || fail "its root is not empty, or not root's alone"
if find -L "/proc/$main/fd" -mindepth 1 -maxdepth 1 -type d ! -samefile state/seq 2>/dev/null | grep .; then fail "it has a directory open"; fi
ok "$(sed -n 's/.*clients, kept: //p' "$tmp/bitsd-a.log")"

# DAC_OVERRIDE, NET_ADMIN, NET_RAW, IPC_LOCK, SYS_CHROOT, SYS_PTRACE, SYS_ADMIN, and nothing else
for set in CapEff CapPrm CapBnd; do
	[ $((0x$(word "$warden" $set) & ~0x2c7002)) -eq 0 ] || fail "the warden has $set $(word "$warden" $set)"
done
[ "$(word "$warden" Threads)" = 1 ] || fail "the warden has threads"
if ss -lxp | grep -q "pid=$warden,"; then fail "the warden listens"; fi
grep -q 'NIC and TAP for it, kept: CAP_.*NET_ADMIN.*system calls' "$tmp/bitsd-a.log" || fail "it does not say what it kept"
ok "$(sed -n 's/.*TAP for it, kept: //p' "$tmp/bitsd-a.log")"
[ "$(stat -c '%u %a' state)" = "0 700" ] || fail "the state directory is not root's alone"
for f in state/seq state/windows; do
	[ "$(stat -c %u $f)" = "$(word "$main" Uid | cut -f 1)" ] || fail "$f is not of the user that writes it"
done

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

say "the service manager hears it from its empty root"
kill "${pid[bitsd-a]}" 2>/dev/null || : # the one of the examples
within 10 ended "${pid[bitsd-a]}" || fail "it does not end"
background manager a python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode(), flush=True)' "$tmp/notify"
within 5 grep -q bound "$tmp/manager.log" || fail "no service manager"
NOTIFY_SOCKET=$tmp/notify WATCHDOG_USEC=3000000 start a eth0 "$tmp/a/ipsec.conf"
within 5 grep -q READY=1 "$tmp/manager.log" || fail "it does not say that it is ready"
within 5 grep -q WATCHDOG=1 "$tmp/manager.log" || fail "it does not say that it is well"
stop a >/dev/null
within 2 grep -q STOPPING=1 "$tmp/manager.log" || fail "it does not say that it stops"
ok "READY, WATCHDOG, STOPPING"
done_all
