#!/bin/bash
# bitsd's command line: usage is 2, and what cannot work is refused with 1 and a sentence before anything is touched.
set -u
bitsd=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
umask 077
bad=0

# refused STATUS WORDS ARGS...: that exit status, and the words on stderr
refused()
{
	local want=$1 words=$2 got
	shift 2
	timeout 10 "$bitsd" --run-dir "$tmp/run" --state-dir "$tmp/state" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	if [ $got -ne "$want" ] || ! grep -q -- "$words" "$tmp/err"; then
		echo "FAIL: bitsd $*: status $got, not $want with '$words': $(head -2 "$tmp/err")"
		bad=1
	fi
}

echo 'flow from any to any type bypass' >"$tmp/good"
echo 'flow from any to' >"$tmp/bad"
"$bitsd" --help | grep -q -- --nic-netns || { echo "FAIL: --help"; bad=1; }
for option in interface file foreground verbose check socket run-dir state-dir nic-netns crypto lower workers no-offload restore dissolve user; do
	"$bitsd" --help | grep -q -- "--$option" || { echo "FAIL: --help says nothing of --$option"; bad=1; }
done
refused 2 "-i NIC is missing"
refused 2 usage -x
refused 2 "what is this for" -i eth0 eth1
refused 2 "name" -i a/b
refused 2 "name" -i a-name-of-more-than-fifteen
refused 2 "crypto" -i eth0 --crypto rot13
refused 2 "lower" -i eth0 --lower dpdk
for way in auto packet ring xdp; do refused 1 "no such NIC" -n -i nosuch0 --lower $way -f "$tmp/good"; done
[ "$(nproc)" -eq 1 ] || refused 1 "with one worker" -n -i nosuch0 --lower xdp --workers 2 -f "$tmp/good"
refused 2 "workers" -i eth0 --workers 0
refused 2 "workers" -i eth0 --workers -1
refused 1 "--workers 9999: there are processors for $(nproc)" -n -i nosuch0 --workers 9999 -f "$tmp/good"
refused 2 "nic-netns" -i eth0 --nic-netns ../x
refused 1 "$tmp/bad:1:" -n -i lo -f "$tmp/bad"
refused 1 "$tmp/nosuch" -n -i lo -f "$tmp/nosuch"
refused 1 "lo" -n -i lo -f "$tmp/good"
refused 1 "nosuch0" -n -i nosuch0 -f "$tmp/good"
if [ "$(id -u)" -ne 0 ]; then
	refused 1 "root" -i lo -f "$tmp/good"
else
	refused 1 "lo" -d -i lo -f "$tmp/good"
	refused 1 "no user nosuchuser; to make one: useradd" -d -i lo -f "$tmp/good" --user nosuchuser
	refused 1 "is root" -d -i lo -f "$tmp/good" --user root
	refused 1 "lo" -i lo -f "$tmp/good" # as a daemon: the parent tells
	refused 1 "not taken" -i nosuch0 --dissolve
fi
[ -e "$tmp/run/lo.sock" ] && { echo "FAIL: a socket was made"; bad=1; }
exit $bad
