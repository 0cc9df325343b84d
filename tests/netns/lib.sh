# Hosts, wires and the daemon for the tests in network namespaces; sourced by each script (bash).
#
#   hosts     host a               a network namespace named b<pid>-a
#   wires     wire w; plug a eth0 w wa     a bridge in a namespace of its own; whoever stands there is on the wire
#   commands  on a CMD...          shown, and run in the host's namespace
#             at a CMD...          run there without a word
#             within 5 CMD...      again and again until it succeeds, at most 5 seconds
#   daemon    start a eth0 FILE; ctl a ARGS...; stop a; slay a
#
# Everything made here goes away at exit, also after a failure or a signal: processes by their number, namespaces by their names, which
# carry this shell's number; files lie in one folder made by mktemp.
set -euo pipefail
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
: "${BITS_BUILD:=$top/build/dev}"
: "${BITSD:=$BITS_BUILD/shim/bitsd}"
: "${IPSECCTL:=$BITS_BUILD/tools/ipsecctl}"
: "${MB:=100}" # how much each TCP transfer moves
tag=b$$
tmp=''
declare -A pid=() nic_of=()
children=()

bold='' red='' green='' blue='' grey='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' blue=$'\e[34m' grey=$'\e[90m' plain=$'\e[0m'
fi

say() { printf '%s== %s%s\n' "$bold" "$*" "$plain"; }
ok() { printf '%sok%s   %s\n' "$green" "$plain" "$*"; }
fail()
{
	printf '%sFAIL%s %s\n' "$red" "$plain" "$*"
	exit 1
}
skip()
{
	echo "skipped: $*"
	exit 77
}

cleanup()
{
	local status=$? p n i
	trap - EXIT INT TERM ERR
	set +e
	if [ $status -ne 0 ] && [ $status -ne 77 ] && [ -n "$tmp" ]; then
		for n in "$tmp"/*.log; do
			[ -s "$n" ] && printf '%s--- the end of %s%s\n' "$grey" "${n##*/}" "$plain" && tail -n 40 "$n"
		done
	fi
	for p in "${children[@]}"; do kill "$p" 2>/dev/null; done
	for ((i = 0; i < 30; i++)); do
		n=0
		for p in "${children[@]}"; do kill -0 "$p" 2>/dev/null && n=1; done
		[ $n -eq 0 ] && break
		sleep 0.1
	done
	for p in "${children[@]}"; do kill -9 "$p" 2>/dev/null; done
	wait 2>/dev/null
	for n in /run/netns/"$tag"-*; do
		[ -e "$n" ] && ip netns del "${n##*/}"
	done
	if [ -n "${BITS_KEEP:-}" ]; then
		echo "kept: $tmp"
	elif [ -n "$tmp" ]; then
		rm -rf "$tmp"
	fi
	exit $status
}

# begin TITLE: what this script shows; skips when the machine lacks what it needs
begin()
{
	[ "$(id -u)" -eq 0 ] || skip "not root"
	[ -x "$BITSD" ] || skip "no $BITSD (build first)"
	[ -x "$IPSECCTL" ] || skip "no $IPSECCTL (build first)"
	for tool in ip nsenter ping tcpdump python3; do
		command -v $tool >/dev/null || skip "$tool is not installed (sudo tools/deps)"
	done
	{ : <>/dev/net/tun; } 2>/dev/null || skip "/dev/net/tun cannot be opened"
	ip netns add "$tag-probe" 2>/dev/null || skip "network namespaces cannot be made here"
	if ! ip -n "$tag-probe" link add br0 type bridge 2>/dev/null; then
		ip netns del "$tag-probe"
		skip "this kernel has no bridge"
	fi
	ip netns del "$tag-probe"
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/bits-test.XXXXXX")
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	trap 'printf "%sFAIL%s %s:%s: %s\n" "$red" "$plain" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND"' ERR
	say "$*"
}

at()
{
	local h=$1
	shift
	nsenter --net="/run/netns/$tag-$h" "$@"
}
show() { printf '%s[%s]%s %s\n' "$blue" "$1" "$plain" "${*:2}"; }
on()
{
	show "$@"
	at "$@"
}

# within SECONDS CMD...: until it succeeds; its status after the last try
within()
{
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000)) status=0
	shift
	while :; do
		if "$@" >/dev/null 2>&1; then return 0; else status=$?; fi
		[ "${EPOCHREALTIME/[.,]/}" -lt $end ] || return $status
		sleep 0.05
	done
}
# never SECONDS CMD...: it keeps failing that long
never()
{
	! within "$@"
}

host()
{
	ip netns add "$tag-$1"
	at "$1" ip link set lo up
}
# wire W: a bridge that floods like a hub is enough of a wire; its namespace says nothing by itself
wire()
{
	ip netns add "$tag-$1"
	at "$1" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null || :
	at "$1" ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	at "$1" ip link set br0 up
}
# plug HOST NIC WIRE PORT [MAC]
plug()
{
	at "$1" ip link add "$2" ${5:+address $5} type veth peer name "$4" netns "$tag-$3"
	at "$3" ip link set "$4" master br0 up
	at "$1" ip link set "$2" up
}
# two_hosts [MAC-A [MAC-B]]: a 10.9.0.1 and b 10.9.0.2, each with its eth0 on the wire w, at its ports wa and wb; two_hosts6: and fd09::1, fd09::2
two_hosts()
{
	host a
	host b
	wire w
	plug a eth0 w wa "${1:-}"
	plug b eth0 w wb "${2:-}"
	on a ip addr add 10.9.0.1/24 dev eth0
	on b ip addr add 10.9.0.2/24 dev eth0
}
two_hosts6()
{
	two_hosts "$@"
	on a ip addr add fd09::1/64 dev eth0 nodad
	on b ip addr add fd09::2/64 dev eth0 nodad
}
mac_of() { at "$1" ip -o link show "$2" | sed 's/.*link\/ether \([^ ]*\).*/\1/'; } # (/sys is another namespace's)

# background NAME HOST CMD...: runs beside; its output in $tmp/NAME.log, its number in pid[NAME] (so no function may stand between)
background()
{
	local name=$1 h=$2
	shift 2
	: >"$tmp/$name.log" # else who waits for a word in it may find the one of the time before
	nsenter --net="/run/netns/$tag-$h" "$@" >"$tmp/$name.log" 2>&1 </dev/null &
	pid[$name]=$!
	children+=($!)
}
# gone PID [SECONDS]: has that process ended?
ended() { ! kill -0 "$1" 2>/dev/null; }
finished() # NAME SECONDS: waits for a background command; its exit status
{
	within "$2" ended "${pid[$1]}" || fail "$1 does not end"
	wait "${pid[$1]}"
}

# --- the daemon

sock() { echo "$tmp/$1/run/${nic_of[$1]}.sock"; }
private() { echo "$1-nic"; } # host whose NIC is in that namespace; `at $(private a)` stands beside the NIC
daemon_args() # HOST NIC FILE
{
	echo -i "$2" -f "$3" --run-dir "$tmp/$1/run" --state-dir "$tmp/$1/state" --nic-netns "$tag-$(private "$1")"
}
answers() { "$IPSECCTL" -S "$(sock "$1")" -s nic; }

# start HOST NIC FILE [options...]
start()
{
	local h=$1 nic=$2
	local -a args
	read -ra args < <(daemon_args "$@")
	shift 3
	nic_of[$h]=$nic
	mkdir -p "$tmp/$h"
	show "$h" bitsd -d -i "$nic" "$@"
	# asan: leaks are told at exit too, and a core would fill the disk
	ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} background "bitsd-$h" "$h" "$BITSD" -d "${args[@]}" "$@"
	local p=${pid[bitsd-$h]} i
	for ((i = 0; i < 300; i++)); do
		ended "$p" && fail "bitsd on $h ended at once"
		answers "$h" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	fail "bitsd on $h does not answer"
}
ctl()
{
	local h=$1
	shift
	"$IPSECCTL" -S "$(sock "$h")" "$@"
}
load()
{
	show "$1" ipsecctl -f "${2##*/}"
	ctl "$1" -f "$2"
}
# stop HOST: SIGTERM, and the exit status must be 0
stop()
{
	show "$1" "kill -TERM (bitsd)"
	kill "${pid[bitsd-$1]}"
	finished "bitsd-$1" 10 || fail "bitsd on $1 ended with status $?"
}
# warden_of HOST: its process that kept privileges
warden_of()
{
	local c
	for c in $(cat /proc/"${pid[bitsd-$1]}"/task/*/children); do
		if [ "$(cat "/proc/$c/comm")" = bits-warden ]; then echo "$c"; fi
	done
}
slay()
{
	show "$1" "kill -KILL (bitsd)"
	# (the shell's own remark on the killed process goes nowhere)
	{ kill -9 "${pid[bitsd-$1]}" && finished "bitsd-$1" 5; } 2>/dev/null || :
}
# no sanitizer spoke in any daemon's log, and no key stands in one
clean_logs()
{
	local f
	for f in "$tmp"/bitsd-*.log; do
		if grep -qE '(Address|Leak|Thread)Sanitizer|runtime error:' "$f"; then
			fail "a sanitizer speaks in ${f##*/}"
		fi
		for k in "${key[@]}"; do
			if grep -qi "${k#0x}" "$f"; then fail "a key stands in ${f##*/}"; fi
		done
	done
}

# value of a path in a JSON document on standard input: json '["drops"]["in"]'
json() { python3 -c 'import json,sys; d = json.load(sys.stdin); print(eval("d" + sys.argv[1]))' "$1"; }
# dropped HOST REASON: how many packets, both directions
dropped() { ctl "$1" -s drops --json | python3 "$here/drops.py" "$2"; }
# expect_drops HOST REASON MORE CMD...: the command makes that reason count MORE at least
expect_drops()
{
	local h=$1 reason=$2 before
	before=$(dropped "$h" "$reason")
	local want=$((before + $3))
	shift 3
	"$@"
	within 3 drops_reached "$h" "$reason" "$want" ||
		fail "$reason: $(dropped "$h" "$reason") packets, not the $want expected"
	ok "counted as $reason: $(($(dropped "$h" "$reason") - before))"
}
drops_reached() { [ "$(dropped "$1" "$2")" -ge "$3" ]; }

# --- policy and keys

declare -A key=()
# new_key NAME [OCTETS]: key[NAME], fresh, from the system's generator
new_key() { key[$1]=0x$(od -An -v -tx1 -N"${2:-20}" /dev/urandom | tr -d ' \n'); }
# sa MODE A B SPI-OUT SPI-IN KEY-OUT KEY-IN [options]
sa() { echo "esp $1 from $2 to $3 spi $4:$5 enc ${8:-aes-128-gcm} enckey $6:$7"; }
# pair_conf [ENC [ENC6 [OPTIONS6]]]: $tmp/a.conf and $tmp/b.conf, transport mode between the two hosts: IPv4 with the keys 1 and 2 and, with ENC6, IPv6
# with the keys 3 and 4
pair_conf()
{
	{
		sa transport 10.9.0.1 10.9.0.2 0x1001 0x2001 "${key[1]}" "${key[2]}" "${1:-}"
		[ $# -lt 2 ] || echo "$(sa transport fd09::1 fd09::2 0x1002 0x2002 "${key[3]}" "${key[4]}" "$2") ${3:-}"
		echo 'flow esp transport from 10.9.0.1 to 10.9.0.2'
		[ $# -lt 2 ] || echo 'flow esp transport from fd09::1 to fd09::2'
	} >"$tmp/a.conf"
	{
		sa transport 10.9.0.2 10.9.0.1 0x2001 0x1001 "${key[2]}" "${key[1]}" "${1:-}"
		[ $# -lt 2 ] || echo "$(sa transport fd09::2 fd09::1 0x2002 0x1002 "${key[4]}" "${key[3]}" "$2") ${3:-}"
		echo 'flow esp transport from 10.9.0.2 to 10.9.0.1'
		[ $# -lt 2 ] || echo 'flow esp transport from fd09::2 to fd09::1'
	} >"$tmp/b.conf"
}
# start_pair: bitsd on both hosts, without a policy, and then each host's file by ipsecctl, which makes the keys' records
start_pair()
{
	local h
	echo '# nothing' >"$tmp/none.conf"
	for h in a b; do
		start $h eth0 "$tmp/none.conf"
		load $h "$tmp/$h.conf"
	done
}

# --- traffic

sees() { at "$1" ping -c 1 -W 1 "$2"; }
# reach HOST ADDRESS: ping gets through (waits for addresses, carriers and neighbours to settle)
reach()
{
	show "$1" ping -c 1 "$2"
	within 10 sees "$1" "$2" || fail "$1 does not reach $2"
	ok "$1 reaches $2"
}
# silent HOST ADDRESS: and here it does not
silent()
{
	show "$1" ping "$2"
	never 2 sees "$1" "$2" || fail "$1 reaches $2"
	ok "$1 does not reach $2"
}
# largest HOST ADDRESS OCTETS: an echo request of that much payload fits unfragmented, one more octet does not, and the sender learns it
largest()
{
	on "$1" ping -c 3 -i 0.1 -W 2 -M "do" -s "$3" "$2" >/dev/null || fail "$3 octets do not get through to $2"
	if on "$1" ping -c 1 -W 1 -M "do" -s $(($3 + 1)) "$2" >"$tmp/ping" 2>&1; then
		fail "$(($3 + 1)) octets to $2 get through: the wire carries more than its MTU"
	fi
	grep -qiE 'frag needed|too big|too long|too large' "$tmp/ping" || fail "the host is not told that the packet is too big: $(cat "$tmp/ping")"
	ok "$3 octets fit, $(($3 + 1)) do not, and the host is told"
}
# transfer FROM TO ADDRESS: $MB megabytes each way in one TCP connection, checksums compared
transfer()
{
	local port=$((20000 + RANDOM % 20000)) a b
	show "$1" "TCP to $3: $MB MB there, $MB MB back"
	background serve "$2" python3 "$here/traffic.py" serve "$3" $port "$MB"
	within 30 grep -q listening "$tmp/serve.log" || fail "no listener on $2"
	at "$1" timeout 120 python3 "$here/traffic.py" client "$3" $port "$MB" >"$tmp/client.log" || fail "TCP from $1 to $3 breaks: $(cat "$tmp/client.log")"
	finished serve 10 || fail "TCP from $1 to $3 breaks at the listener: $(cat "$tmp/serve.log")"
	a=$(sed -n 's/^sent //p' "$tmp/client.log")/$(sed -n 's/^received //p' "$tmp/client.log")
	b=$(sed -n 's/^received //p' "$tmp/serve.log")/$(sed -n 's/^sent //p' "$tmp/serve.log")
	[ ${#a} -eq 129 ] || fail "no checksums: $a"
	[ "$a" = "$b" ] || fail "checksums differ: $a $b"
	ok "checksums equal, $(sed -n 's/^rate //p' "$tmp/client.log")"
}

# --- the wire

ESP='(ip proto 50 or ip6 proto 50)'
ND='(ip6[6] = 58 and ip6[40] >= 133 and ip6[40] <= 137)'
MLD='(ip6[6] = 0 and ip6[40] = 58 and (ip6[48] = 143 or (ip6[48] >= 130 and ip6[48] <= 132)))'
CLEAR="not $ESP and not arp and not $ND and not $MLD"

# sniff NAME HOST NIC [filter]
sniff()
{
	local name=$1 h=$2 nic=$3
	shift 3
	background "sniff-$name" "$h" tcpdump -Z root -p -n -s 0 -U --immediate-mode -B 16384 -i "$nic" -w "$tmp/$name.pcap" "$@"
	within 10 grep -q '^tcpdump: listening' "$tmp/sniff-$name.log" || fail "tcpdump does not start: $(cat "$tmp/sniff-$name.log")"
}
unsniff()
{
	kill "${pid[sniff-$1]}"
	finished "sniff-$1" 10 || fail "tcpdump ended with status $?"
	if ! grep -q '^0 packets dropped by kernel' "$tmp/sniff-$1.log"; then
		echo "note: $(grep 'dropped by kernel' "$tmp/sniff-$1.log")"
	fi
}
frames() { tcpdump -n -r "$tmp/$1.pcap" "${2:-}" 2>/dev/null | wc -l; }
# only_esp NAME: the capture holds ESP and what the built-in rules let by, nothing else
only_esp()
{
	local esp clear
	esp=$(frames "$1" "$ESP")
	clear=$(frames "$1" "$CLEAR")
	[ "$esp" -gt 0 ] || fail "no ESP on the wire"
	if [ "$clear" -ne 0 ]; then
		tcpdump -n -r "$tmp/$1.pcap" "$CLEAR" 2>/dev/null | head
		fail "$clear frames in clear on the wire"
	fi
	ok "on the wire: $esp ESP packets, 0 in clear"
}
inject()
{
	local h=$1
	shift
	show "$h" inject "$@"
	at "$h" python3 "$here/inject.py" "$@"
}

# what the host's configuration looks like, interface numbers and ages apart
all_of_it()
{
	at "$1" sh -c 'ip addr; echo; ip -4 route show table all; echo; ip -6 route show table all; echo; ip rule; ip -6 rule; ip neigh show nud permanent' |
	    sed -E 's/^[0-9]+: ([^:@]+)(@[^:]*)?:/N: \1:/; s/ link-netns(id)? [^ ]+//; s/(valid_lft|preferred_lft|expires) [0-9]+sec/\1 Nsec/g'
}
# the queueing discipline is the device's: a TAP has one, a veth has none
configuration() { all_of_it "$1" | sed -E 's/ qdisc [a-z_]+//; s/ qlen [0-9]+//'; }
# settle HOST: duplicate address detection is over
settle() { within 10 settled "$1" || fail "the addresses of $1 stay tentative"; }
settled() { ! at "$1" ip -6 addr | grep -q tentative; }
# same HOST BEFORE WHEN: the configuration is what it was (at the latest after three seconds)
same()
{
	within 5 is_same "$1" "$2" || fail "$3: $(diff <(echo "$2") <(configuration "$1"))"
	ok "$3: addresses and routes are byte for byte what they were"
}
is_same() { [ "$(configuration "$1")" = "$2" ]; }

done_all()
{
	clean_logs
	say "all of it passed"
}
