#!/usr/bin/env bash
# Two host namespaces of one machine, each with an eth0 and a bitsd, that share the state directory: --run-dir and --nic-netns tell them apart.
. "$(dirname "$0")/lib.sh"
begin "two host namespaces, one state directory"

daemon_args()
{
	echo -i "$2" -f "$3" --run-dir "$tmp/$1/run" --state-dir "$tmp/state" --nic-netns "$tag-$(private "$1")"
}

two_hosts
settle a
settle b
was_a=$(configuration a)
was_b=$(configuration b)
new_key 1
new_key 2
pair_conf
echo '# discard' >"$tmp/none.conf"
start a eth0 "$tmp/none.conf"
start b eth0 "$tmp/none.conf"
[ "$(find "$tmp/state" -name 'eth0.*.nic' | wc -l)" -eq 2 ] || fail "there are not two states: $(ls "$tmp/state")"
load a "$tmp/a.conf"
load b "$tmp/b.conf"
reach a 10.9.0.2

say "each goes on from its own after a crash"
slay a
slay b
start b eth0 "$tmp/b.conf"
start a eth0 "$tmp/a.conf"
reach b 10.9.0.1

say "each gives its own NIC back"
ctl a detach
same a "$was_a" "after detach"
[ "$(find "$tmp/state" -name 'eth0.*.nic' | wc -l)" -eq 1 ] || fail "the other's state is gone too"
slay b
start b eth0 "$tmp/b.conf"
ctl b detach
same b "$was_b" "after a crash and detach"
[ "$(find "$tmp/state" -name 'eth0.*.nic' | wc -l)" -eq 0 ] || fail "a state is left"
done_all
