#!/usr/bin/env bash
# An attacker on the wire while good traffic counts itself: what is kept of it, what the attack costs in CPU, under which names its frames are
# counted, and that the host hears nothing, the window does not move and the log stays quiet.
#
#   ATTACK_RATE=N    frames a second, 0: as many as there can be (default 2000)
#   ATTACK_S=N       seconds of each
#   ATTACKS=all      each kind there is, or the kinds named (default: five)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faultlib.sh"
: "${ATTACK_RATE:=2000}" "${ATTACK_S:=1}" "${ATTACKS:=spi jump sizes flows arp}"
[ "$ATTACKS" != all ] || ATTACKS='spi icv replay jump sizes flows ports martian fragments arp nd'
begin "attacks from the wire, $ATTACK_RATE frames a second"
bed
# (the bridge's own look at IP headers would keep the worst from us)
at w sh -c 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables' 2>/dev/null || :
host m
plug m eth0 w wm 02:00:00:00:00:0e
# packets that the attacker has seen
sniff seen w wb 'ip proto 50 and src host 10.9.0.2'
within 20 sh -c "[ \$(tcpdump -n -r '$tmp/seen.pcap' 2>/dev/null | wc -l) -ge 100 ]" || fail "nothing to capture"
unsniff seen

# what the host's own stack got that was not the flow's: a counter of datagrams to ports where nobody listens, of segments, of echo requests
strange() { at a awk '/^Udp: [0-9]/ {n += $3} /^Tcp: [0-9]/ {n += $11} /^Ip: [0-9]/ {n += $5 + $6 + $8} END {print n}' /proc/net/snmp; }
drops_all() { ctl a -s drops --json | python3 -c 'import json, sys
for d in json.load(sys.stdin)["drops"]:
    if d["in"]: print(d["reason"], d["in"])' | sort; }
lines() { wc -l <"$tmp/bitsd-a.log"; }
declare -A expected=([spi]=unknown_spi [icv]=auth_failed [replay]=replay_ [jump]=auth_failed [sizes]=. [flows]=clear_denied\|policy
	[ports]=clear_denied\|policy [martian]=. [fragments]=frag)

# a and b have IPv6 too, protected
sixth()
{
	new_key 4
	new_key 5
	sa transport fd09::1 fd09::2 0x1006 0x2006 "${key[4]}" "${key[5]}" >>"$tmp/a.conf"
	sa transport fd09::2 fd09::1 0x2006 0x1006 "${key[5]}" "${key[4]}" >>"$tmp/b.conf"
	echo 'flow esp transport from fd09::1 to fd09::2' >>"$tmp/a.conf"
	echo 'flow esp transport from fd09::2 to fd09::1' >>"$tmp/b.conf"
	at a ip addr add fd09::1/64 dev eth0 nodad
	at b ip addr add fd09::2/64 dev eth0 nodad
	load a "$tmp/a.conf"
	load b "$tmp/b.conf"
	reach a fd09::2
}
# the host believes it, as it would without a bump, until it hears from b again, and sends what is for b to the attacker: sealed
spoofed() # KIND
{
	unsniff spoof
	[ "$(frames spoof "$ESP")" -gt 0 ] || fail "$1: nothing is sent to the attacker, so this shows nothing"
	[ "$(frames spoof "$CLEAR")" -eq 0 ] || fail "$1: the attacker got $(frames spoof "$CLEAR") frames in clear"
	ok "$1: $(frames spoof "$ESP") packets come to the attacker, all of them sealed"
	at a ip neigh flush dev eth0
}

attack()
{
	local kind=$1 from to ticks loud heard lost all n what
	local -a from_to=(10.9.0.2 10.9.0.1)
	drops_all >"$tmp/before"
	[ "$kind" != nd ] || from_to=(fd09::2 fd09::1)
	[ "$kind" != nd ] || sixth
	case $kind in arp | nd) sniff spoof m eth0 "ether src 02:00:00:00:00:0a and ether dst 02:00:00:00:00:0e and not arp and not $ND and not $MLD" ;; esac
	from=$(uptime_now) ticks=$(cpu_of) loud=$(lines) heard=$(strange)
	background attack m python3 "$here/attack.py" eth0 "$kind" 02:00:00:00:00:0e 02:00:00:00:00:0a "${from_to[@]}" 0x2001 "$tmp/seen.pcap" "$ATTACK_S" "$ATTACK_RATE"
	[ "$kind" != nd ] || at a ping -q -f -w "$ATTACK_S" fd09::2 >/dev/null 2>&1 || :
	finished attack 60 || fail "$kind: $(cat "$tmp/attack.log")"
	case $kind in arp | nd) spoofed "$kind" ;; esac
	to=$(uptime_now)
	ticks=$(($(cpu_of) - ticks))
	within 30 whole || fail "$kind: the traffic does not come back"
	sleep 0.5 # on a busy machine what is on its way is not lost
	read -r _ all _ lost _ _ < <(python3 "$here/steady.py" judge "$tmp/flow" "$from" "$from" "$to")
	n=$(sed -n 's/^sent //p' "$tmp/attack.log")
	drops_all >"$tmp/after"
	what=$(join -a 2 -e 0 -o 2.1,2.2,1.2 "$tmp/before" "$tmp/after" | awk '$2 > $3 {printf "%s%s %d", s, $1, $2 - $3; s = ", "}')
	line=$(printf '%-10s %6d frames: good traffic kept %3d %%, CPU %3d %%; %s' "$kind" "$n" $((all ? 100 - 100 * lost / all : 0)) \
		"$(awk -v t=$ticks -v a="$from" -v b="$to" 'BEGIN {printf "%d", t / (b - a)}')" "$what")
	[ "$(leaked)" -eq 0 ] || fail "$kind: $(leaked) frames leaked"
	[ $(($(lines) - loud)) -le $((40 * (ATTACK_S + 3))) ] || fail "$kind: $(($(lines) - loud)) lines in the log"
	if [ "$kind" != arp ] && [ "$kind" != nd ]; then
		[ "$(strange)" -eq "$heard" ] || fail "$kind: the host heard $(($(strange) - heard)) of it"
		grep -qE "${expected[$kind]}" <<<"$what" || fail "$kind is not counted as ${expected[$kind]}: $what"
		[ "$ATTACK_RATE" -eq 0 ] || [ $((20 * lost)) -le "$all" ] || fail "$line: $lost of $all good datagrams were lost"
	fi
	ok "$line"
	echo "$line" >>"$tmp/figures"
}
for kind in $ATTACKS; do attack "$kind"; done

in_all
ok "$total"
cat "$tmp/figures"
done_all
