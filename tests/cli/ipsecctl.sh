#!/bin/bash
# ipsecctl without a daemon: usage is 2, no daemon 3, a wrong text 1; what is parsed prints as text that parses to the same.
set -u
ctl=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
umask 077
bad=0

# status WANT CMD...: exit status; 2 and 3 say something on stderr and nothing on stdout
status()
{
	local want=$1 got
	shift
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	if [ $got -ne "$want" ]; then
		echo "FAIL: $*: status $got, not $want: $(head -1 "$tmp/err")"
		bad=1
	elif [ "$want" -ge 2 ] && { [ -s "$tmp/out" ] || [ ! -s "$tmp/err" ]; }; then
		echo "FAIL: $*: status $want, and not one word on stderr alone"
		bad=1
	fi
}

mark=5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2
cat >"$tmp/good" <<X
lan = "{ 10.1.0.0/16, 10.3.0.0/16 }"
esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm enckey 0x$mark
flow proto icmp from any to any icmptype 8 type bypass
flow out from any to \$lan type deny
X
echo 'flow from any to' >"$tmp/bad"

status 0 "$ctl" --help
status 0 "$ctl" -n -f "$tmp/good"
status 1 "$ctl" -n -f "$tmp/bad"
grep -q "^$tmp/bad:1:[0-9]*: " "$tmp/err" || { echo "FAIL: no file:line:column"; bad=1; }
status 1 "$ctl" -n -f "$tmp/nosuch"
status 1 "$ctl" -S "$tmp/none" -f "$tmp/bad"
status 1 "$ctl" -S "$tmp/none" add flow from any to
for args in "" "-x" "-s" "-s x" "-F x" "-n" "-d" "-n -s flow" "-s flow -m" "-s flow add" "nothing" "add" "add at" "add at x flow" \
	"delete" "delete flow" "delete flow x" "delete esp" "delete esp spi 1 from x" "move" "move flow 1" "move flow 1 to -1" "attach x" \
	"sync" "sync -f" "sync $tmp/good" "confirm x" "--confirm 0 -f $tmp/good" "--confirm 5 -F" "--confirm 5 -n -f $tmp/good" \
	"trace" "trace proto tcp size" "trace proto tcp size 0" \
	"-D x -f $tmp/good" "-f"; do
	status 2 "$ctl" $args
done
for args in "-s flow" "-s sa" "-s a" "-s d" "-s nic --json" "-F" "-F sa" "-m" "-f $tmp/good" "-d -f $tmp/good" \
	"add flow from any to any type deny" "add at 0 flow from any to any type deny" "delete flow 0" "delete ah spi 0x1001 to 10.0.0.1" \
	"move flow 0 to 1" "trace proto tcp from 10.0.0.1 to 10.0.0.2 port 80" \
	"sync -f $tmp/good" "--confirm 5 -f $tmp/good" "confirm" "revert" "attach" "detach" "pause" "restart" "selftest"; do
	status 3 "$ctl" -S "$tmp/none" $args
done

# a key file is seen from the file that names it
echo "0x$mark" >"$tmp/k"
echo 'esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm enckey file "k"' >"$tmp/relative"
(cd / && status 0 "$ctl" -n -f "$tmp/relative"; exit $bad) || bad=1
(cd "$tmp" && status 0 "$ctl" -n -f relative && status 0 "$ctl" -n -f ./relative; exit $bad) || bad=1

# what is printed is what was read; keys are printed with -k only
"$ctl" -n -v -k -f "$tmp/good" >"$tmp/one" && "$ctl" -n -v -k -f - <"$tmp/one" >"$tmp/two" && cmp -s "$tmp/one" "$tmp/two" ||
	{ echo "FAIL: what -nv prints is not read as the same"; bad=1; }
# what bitsd will not have is shown all the same
printf 'ike esp from 10.1.1.1 to 10.1.1.2\nflow out from 10.1.1.1 to 10.1.1.3 type deny\n' >"$tmp/foreign"
refused 'foreign:1:1: ike rules need a key daemon' -nv -f "$tmp/foreign"
"$ctl" -n -v -f "$tmp/foreign" >"$tmp/shown" 2>/dev/null
grep -q '^ike esp from 10.1.1.1 to 10.1.1.2' "$tmp/shown" && grep -q '^flow .*10.1.1.3.* type deny' "$tmp/shown" ||
	{ echo "FAIL: -nv does not show what it read: $(cat "$tmp/shown")"; bad=1; }
grep -q "$mark" "$tmp/one" || { echo "FAIL: -k shows no key"; bad=1; }
"$ctl" -n -v -f "$tmp/good" 2>&1 | grep -q "$mark" && { echo "FAIL: a key without -k"; bad=1; }
"$ctl" -n -v -D lan=10.7.0.0/16 -f "$tmp/good" | grep -q 10.7.0.0/16 || { echo "FAIL: -D"; bad=1; }
printf '\e' >"$tmp/esc"
"$ctl" --help | grep -q -f "$tmp/esc" && { echo "FAIL: colour where nobody sees it"; bad=1; }
exit $bad
