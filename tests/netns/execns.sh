#!/usr/bin/env bash
# `ip netns exec` gives a process a mount namespace of its own.  The NIC's namespace must outlive it all the same: were its name mounted
# there, the NIC would come back into the open with the daemon's death.
. "$(dirname "$0")/lib.sh"
begin "started by ip netns exec, killed, started again"

two_hosts
reach a 10.9.0.2
echo 'flow from any to any type bypass' >"$tmp/bypass.conf"
settle a
before=$(configuration a)
mkdir -p "$tmp/a"
nic_of[a]=eth0

exec_start()
{
	local args
	read -ra args < <(daemon_args a eth0 "$tmp/bypass.conf")
	show a ip netns exec a bitsd -d "${args[@]:0:2}"
	background bitsd-a a ip netns exec "$tag-a" "$BITSD" -d "${args[@]}" "$@"
	within 15 answers a || fail "bitsd does not answer"
}
exec_start
reach a 10.9.0.2
slay a
[ -e "/run/netns/$tag-$(private a)" ] || fail "the private namespace went with the daemon"
at "$(private a)" ip link show eth0 >/dev/null || fail "the NIC is not in its namespace"
silent a 10.9.0.2
exec_start --restore
reach a 10.9.0.2
stop a
same a "$before" "given back"
[ ! -e "/run/netns/$tag-$(private a)" ] || fail "the private namespace is still there"
reach a 10.9.0.2
done_all
