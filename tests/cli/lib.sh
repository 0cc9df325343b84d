# For tests of ipsecctl against a bitsd without a NIC (ctld).  To be sourced: . lib.sh IPSECCTL CTLD
set -u
ctl=$1
tmp=$(mktemp -d) || exit 1
umask 077
bad=0
coproc CTLD { "$2" "$tmp/sock" 2>"$tmp/log"; }
daemon=$CTLD_PID
finish()
{
	# (bash forgets the descriptors when the daemon ends early)
	[ -n "${CTLD[1]:-}" ] && eval "exec ${CTLD[1]}>&-"
	wait "$daemon" || { echo "FAIL: ctld ended with status $?"; sed -n '1,40p' "$tmp/log"; bad=1; }
	rm -rf "$tmp"
	exit $bad
}
trap finish EXIT
read -r -t 20 line <&"${CTLD[0]}" && [ "$line" = ready ] || { echo "FAIL: ctld does not start"; bad=1; exit; }

fail() { echo "FAIL: $*"; bad=1; }
ipsecctl() { "$ctl" -S "$tmp/sock" "$@"; }
# refused WORDS ARGS...: status 1, the words on stderr
refused()
{
	local words=$1 got=0
	shift
	ipsecctl "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || got=$?
	[ $got -eq 1 ] && grep -q -- "$words" "$tmp/err" || fail "$*: status $got, not 1 with '$words': $(head -2 "$tmp/err")"
}
# says TEXT ARGS...: a line of the output is, or contains, that text
says()
{
	local text=$1
	shift
	ipsecctl "$@" >"$tmp/out" 2>&1 </dev/null || fail "$*: status $?: $(head -2 "$tmp/out")"
	grep -qF -- "$text" "$tmp/out" || { fail "$*: it does not say '$text', but:"; cat "$tmp/out"; }
}
# value EXPR FILE: of a JSON document d
value() { python3 -c 'import json,sys; d = json.load(open(sys.argv[2])); print(eval(sys.argv[1]))' "$1" "$2"; }
