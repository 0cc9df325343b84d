#!/bin/bash
# ipsecctl import: what becomes of NAME.setkey and NAME.xfrm is NAME.ok, what is said on standard error first, and it loads as it is.
# With a second word accept, the output becomes the golden file.
set -u
ctl=$1 accept=${2:-}
here=$(cd "$(dirname "$0")" && pwd)/import
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
umask 077
cd "$tmp" || exit 1
bad=0
fail() { echo "FAIL: $*"; bad=1; }

n=0
for f in "$here"/*.setkey "$here"/*.xfrm; do
	name=$(basename "$f") want=0
	kind=${name##*.}
	cp "$f" "$name"
	"$ctl" import "$kind" "$name" >out 2>err
	got=$?
	grep -v -q -e ': warning: ' err && want=1
	[ $got -eq $want ] || fail "$name: status $got, not $want"
	cat err out >got
	if [ "$accept" = accept ]; then
		diff -u "$here/${name%.*}.ok" got
		cat got >"$here/${name%.*}.ok"
	fi
	diff -u "$here/${name%.*}.ok" got || fail "$name: not what ${name%.*}.ok says"
	# it loads, and says the same again
	"$ctl" -nf out 2>said || { fail "$name: its output does not load"; cat said; }
	"$ctl" -nvkf out 2>/dev/null >again
	"$ctl" -nvkf again 2>/dev/null | cmp -s - again || fail "$name: its output does not give the same again"
	# as a pipe would give it
	"$ctl" import "$kind" - <"$name" 2>/dev/null | cmp -s - out || fail "$name: other on standard input"
	n=$((n + 1))
done
[ $n -ge 4 ] || fail "only $n files"

# keys that others may read are not taken, and the rest is
cp "$here/gateway.setkey" open.setkey
chmod 644 open.setkey
"$ctl" import setkey open.setkey >out 2>err && fail "keys were taken from a file that others may read"
grep -q 'open.setkey:.*holds keys' err || fail "nothing is said of a file that others may read"
grep -q '^flow' out && ! grep -q '^esp\|^ah\|0x7aea' out err || fail "keys of a file that others may read"
# output that others may read is warned of
umask 022
"$ctl" import xfrm kernel.xfrm 2>err >out2
grep -q 'others may read' err || fail "no warning of an output that others may read"
# and no key is ever in a message
sed -n 's/.*0x\([0-9a-f]\{16\}\)[0-9a-f]*.*/\1/p' ./*.xfrm ./*.setkey | sort -u >keys
for name in *.xfrm *.setkey; do
	"$ctl" import "${name##*.}" "$name" 2>&1 >/dev/null | grep -F -f keys && fail "$name: a key is in a message"
done
for args in "" "x f" "xfrm" "xfrm a b"; do
	"$ctl" import $args >/dev/null 2>&1
	[ $? -eq 2 ] || fail "import $args: no usage"
done
"$ctl" import xfrm nosuch >/dev/null 2>err
[ $? -eq 1 ] && grep -q nosuch err || fail "a file that is not there"
exit $bad
