#!/usr/bin/env bash
# Two workers on each host: several flows at once, both ways, by two SAs; counters that add up; and what comes and goes under them.
#
#      host a                wire w               host b
#   10.9.0.1/24  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2/24
#   fd09::1/64                                    fd09::2/64
. "$(dirname "$0")/lib.sh"
[ "$(nproc)" -ge 2 ] || skip "one processor: there is one worker"
begin "two workers on each host"
MB=3

# books HOST: all that was read is accounted for
books()
{
	python3 - <(ctl "$1" -s stats --json) <(ctl "$1" -s drops --json) <<'PY'
import json, sys
s, d = (json.load(open(f)) for f in sys.argv[1:3])
for way in ("out", "in"):
    read = s["read"][way]["packets"] + s["made"][way]
    kept = s["bypassed"][way] + s["protected"][way] + s["consumed"][way] + sum(r[way] for r in d["drops"])
    if read != kept:
        sys.exit(f"{way}: read and made {read}, accounted for {kept}")
PY
}
# in_sas HOST WAY, in_rules HOST WAY: packets, by the counters of the SAs and of the rules that protect
in_sas() { ctl "$1" -s sa --json | python3 -c 'import json, sys; print(sum(s[sys.argv[1]]["packets"] for s in json.load(sys.stdin)["sas"] if sys.argv[1] in s))' "$2"; }
in_rules() { ctl "$1" -s flow --json | python3 -c 'import json, sys; print(sum(f[sys.argv[1]]["packets"] for f in json.load(sys.stdin)["flows"] if f["action"] == "protect"))' "$2"; }
protected() { ctl "$1" -s stats --json | json '["protected"]'"[\"$2\"]"; }
# workers HOST: time each of its workers has had, ms
workers()
{
	local t
	for t in /proc/"${pid[bitsd-$1]}"/task/*; do
		[ "$(cat "$t/comm")" != bits-worker ] || awk '{ print int($1 / 1000000) }' "$t/schedstat"
	done
}
# clean WHAT: nothing was lost on the way for a reason that several workers might bring about
clean()
{
	local h reason
	for h in a b; do
		for reason in replay_old replay_dup auth_failed seq_exhausted seq_unreserved sa_expired unknown_spi crypto; do
			[ "$(dropped $h $reason)" -eq 0 ] || fail "$1: $h drops $(dropped $h $reason) as $reason"
		done
		books $h || fail "$1: the books of $h do not balance"
	done
	ok "$1: no packet is dropped for its number or its SA, and all are accounted for"
}

two_hosts6
settle a
settle b
for n in 1 2 3 4; do new_key $n; done
pair_conf aes-128-gcm aes-128-gcm
# what two workers send by one SA may overtake each other
sed -i -E '/^esp /s/$/ replay 4096/' "$tmp/a.conf" "$tmp/b.conf"
echo '# nothing' >"$tmp/none.conf"
for h in a b; do
	start $h eth0 "$tmp/none.conf" --workers 2
	load $h "$tmp/$h.conf"
done
reach a 10.9.0.2
reach a fd09::2

say "TCP by both SAs and both ways, UDP, and ping, while the policy is loaded again and again"
for n in 1 2 3 4; do
	case $n in 1 | 2) to=10.9.0.2 ;; *) to=fd09::2 ;; esac
	background serve$n b python3 "$here/traffic.py" serve $to $((20000 + n)) $MB
	within 30 grep -q listening "$tmp/serve$n.log" || fail "no listener $n"
done
background mirror b python3 "$here/traffic.py" mirror 10.9.0.2 4711
for n in 1 2 3 4; do
	case $n in 1 | 2) to=10.9.0.2 ;; *) to=fd09::2 ;; esac
	background client$n a timeout 60 python3 "$here/traffic.py" client $to $((20000 + n)) $MB
done
background ping4 a ping -q -i 0.02 -c 60 -s 3000 10.9.0.2
background ping6 b ping -q -i 0.02 -c 60 fd09::1
background udp a timeout 60 python3 "$here/traffic.py" sizes 10.9.0.2 4711 100 1000 1400 2000 5000
for n in 1 2 3 4 5; do
	ctl a -f "$tmp/a.conf"
	ctl b -f "$tmp/b.conf"
	sleep 0.1
done
for n in 1 2 3 4; do
	finished client$n 60 || fail "TCP $n breaks: $(cat "$tmp/client$n.log")"
	finished serve$n 10 || fail "TCP $n breaks: $(cat "$tmp/serve$n.log")"
	[ "$(sed -n 's/^sent //p' "$tmp/client$n.log")" = "$(sed -n 's/^received //p' "$tmp/serve$n.log")" ] || fail "TCP $n: other octets arrive"
	[ "$(sed -n 's/^received //p' "$tmp/client$n.log")" = "$(sed -n 's/^sent //p' "$tmp/serve$n.log")" ] || fail "TCP $n: other octets come back"
done
ok "four TCP flows, $MB MB each there and back, checksums equal"
finished udp 60 || fail "datagrams: $(cat "$tmp/udp.log")"
for n in ping4 ping6; do
	finished $n 30 || fail "$n: $(cat "$tmp/$n.log")"
	grep -q ' 0% packet loss' "$tmp/$n.log" || fail "$n: $(tail -n 3 "$tmp/$n.log")"
done
ok "datagrams, whole and in fragments, and 60 pings each way: none is lost"
clean "under traffic"

say "both workers have worked, and their counters are shown as one"
for h in a b; do
	mapfile -t ms < <(workers $h)
	[ ${#ms[@]} -eq 2 ] || fail "$h has ${#ms[@]} workers"
	for n in 0 1; do [ "${ms[n]}" -ge 5 ] || fail "$h: a worker has done nothing: ${ms[*]} ms"; done
	for way in out in; do
		n=$(protected $h $way)
		[ "$n" -gt 1000 ] || fail "$h: $way: only $n packets are protected"
		# fragments of what was protected whole are protected packets more: those of the pings and the datagrams
		[ "$(in_sas $h $way)" -le "$n" ] && [ "$(in_sas $h $way)" -ge $((n - 140)) ] ||
			fail "$h: $way: $n packets are protected, $(in_sas $h $way) by the SAs' counters"
		# a rule meets super-frames before they are cut into packets that fit
		[ $(($(in_rules $h $way) * 4)) -ge $((n * 3)) ] || fail "$h: $way: $n packets are protected, $(in_rules $h $way) by the rules' counters"
	done
	ok "$h: ${ms[*]} ms; out $(protected $h out), in $(protected $h in)"
done

say "the NIC goes down and up, the TAP is deleted, the NIC is given back and taken again"
on "$(private a)" ip link set eth0 down
on "$(private a)" ip link set eth0 up
reach a 10.9.0.2
reach a fd09::2
on a ip link del eth0
reach a 10.9.0.2
reach a fd09::2
for n in detach attach; do
	show a ipsecctl $n
	ctl a $n
done
reach a 10.9.0.2
reach b fd09::1
transfer a b fd09::2
clean "afterwards"

say "a TAP that was made for several will do for one; one that was made for one is not taken by several"
slay a
start a eth0 "$tmp/a.conf"
reach a 10.9.0.2
ctl a detach
ctl a attach
slay a
read -ra args < <(daemon_args a eth0 "$tmp/a.conf")
if at a timeout 20 "$BITSD" -d "${args[@]}" --workers 2 >"$tmp/refused.log" 2>&1; then fail "it is taken"; fi
grep -q 'made for one worker: give the NIC back first' "$tmp/refused.log" || fail "$(cat "$tmp/refused.log")"
ok "refused: $(grep 'made for one' "$tmp/refused.log")"
stop b
done_all
