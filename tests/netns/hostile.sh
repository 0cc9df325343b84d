#!/usr/bin/env bash
# Clients that send garbage, half a message or 100 MB, that never read, or come a thousand at once: packets pass meanwhile, none is lost,
# and who asks properly gets an answer.
. "$(dirname "$0")/lib.sh"
begin "hostile clients of the control socket"

two_hosts
new_key 1
new_key 2
echo '# nothing' >"$tmp/none.conf"
for h in a b; do start $h eth0 "$tmp/none.conf"; done
pair_conf
load a "$tmp/a.conf"
load b "$tmp/b.conf"
reach a 10.9.0.2
before=$(ctl a -s all)
drops=$(ctl a -s drops)

background echo b python3 "$here/reload.py" echo 10.9.0.2 7000
within 5 grep -q listening "$tmp/echo.log" || fail "no echo"
background flow a python3 "$here/reload.py" flow 10.9.0.2 7000 "$tmp/end"

# what it costs, with the good traffic beside it, is told with each attack
cpu_of() { awk '{print ($14 + $15) * 10}' "/proc/${pid[bitsd-a]}/stat"; } # ms
now_ms() { awk '{printf "%d", $1 * 1000}' /proc/uptime; }
attack()
{
	local k from cpu
	from=$(now_ms) cpu=$(cpu_of)
	for k in "$@"; do background "$k" a python3 "$here/hostile.py" "$(sock a)" "$k"; done
	for k in "$@"; do
		show a "hostile client: $k"
		finished "$k" 60 || fail "$k: $(cat "$tmp/$k.log")"
		ok "$k: $(cat "$tmp/$k.log"); CPU $((100 * ($(cpu_of) - cpu) / ($(now_ms) - from))) %"
	done
	# who asks properly is answered, at the latest when the slow ones have been cut
	within 15 answers a || fail "ipsecctl gets no answer any more"
}
attack nonsense
attack huge
attack crowd
attack stranger
attack garbage deaf half
touch "$tmp/end"
finished flow 20 || fail "$(cat "$tmp/flow.log")"
read -r _ sent _ back _ missing _ twice _ foreign <"$tmp/flow.log"
[ "$missing $twice $foreign" = "0 0 0" ] && [ "$sent" -eq "$back" ] && [ "$sent" -gt 1000 ] || fail "$(cat "$tmp/flow.log")"
ok "$sent datagrams meanwhile, each of them back, once"
[ "$(ctl a -s drops)" = "$drops" ] || fail "packets were dropped: $(ctl a -s drops)"
[ "$(ctl a -s all)" = "$before" ] || fail "the policy is not what it was"
ok "nothing was dropped, and policy and SAs are what they were"
kill "${pid[bitsd-a]}"
finished bitsd-a 60 || fail "bitsd ended with status $?" # a sanitizer looks through all that was touched
done_all
