# shellcheck shell=bash disable=SC2154
# Faults, each with traffic running: what it cost and how long until the traffic was whole again.  Sourced after lib.sh by faults.sh and by
# tools/soak.
#
#      host a                wire w               host b
#   10.9.0.1  eth0 ---- wa [br0] wb ---- eth0  10.9.0.2      (all of it protected; whatever else is on the wire has leaked)
#
# A fault is a function fault_NAME: it does harm, repairs what an administrator or a supervisor would, calls `healed` at that moment, and
# returns.  `fault NAME SECONDS` runs it, waits until traffic is whole, and fails when that takes longer or anything leaked.

# a sanitizers' build takes several times as long to start as the real one; SLACK=4 is for a machine that does other things as well
slack=${SLACK:-1}
! grep -q __asan_init "$BITSD" || slack=6
: "${RATE:=200}" # datagrams a second

bed()
{
	two_hosts 02:00:00:00:00:0a 02:00:00:00:00:0b
	new_key 1
	new_key 2
	new_key 3
	pair_conf
	# what a sends after a change of its key
	echo "esp transport in from 10.9.0.1 to 10.9.0.2 spi 0x1002 enc aes-128-gcm enckey ${key[3]}" >>"$tmp/b.conf"
	sed "s/^esp .*/esp transport out from 10.9.0.1 to 10.9.0.2 spi 0x1002 enc aes-128-gcm enckey ${key[3]}\nesp transport in from 10.9.0.2 to 10.9.0.1 spi 0x2001 enc aes-128-gcm enckey ${key[2]}/" \
		"$tmp/a.conf" >"$tmp/a2.conf"
	# a state directory that can be full
	mkdir -p "$tmp/a/state"
	trap leave EXIT
	mount -t tmpfs -o size=2m,mode=700 none "$tmp/a/state"
	for h in a b; do
		echo '# nothing' >"$tmp/now-$h.conf"
		start $h eth0 "$tmp/now-$h.conf"
		load $h "$tmp/$h.conf"
		# from now on a start, and SIGHUP, find their policy in the file
		cp "$tmp/$h.conf" "$tmp/now-$h.conf"
	done
	short_queue a
	short_queue b
	reach a 10.9.0.2
	# (what an attacker with a MAC of its own sends in clear has not leaked, and DHCP is bypassed by a built-in rule)
	sniff leak w wb "$CLEAR and not ether src 02:00:00:00:00:0e and not (udp and (port 67 or port 68))"
	background echo b python3 "$here/reload.py" echo 10.9.0.2 7000
	within 20 grep -q listening "$tmp/echo.log" || fail "no echo"
	background flow a python3 "$here/steady.py" flow 10.9.0.2 7000 "$tmp/flow" "$RATE"
	within 20 whole || fail "no traffic"
}
# One packet at most waits in the host's own stack for an address to be resolved: the kernel lets go of its lock for each packet it takes out
# of that queue, and what is sent meanwhile overtakes all the rest, which is none of ours.
short_queue() # HOST
{
	# shellcheck disable=SC2016
	at "$1" sh -c 'for f in ipv4 ipv6; do echo 1 >/proc/sys/net/$f/neigh/eth0/unres_qlen; done' 2>/dev/null
}
# what bed() mounted goes before the folder it lies in does
leave()
{
	local status=$?
	set +e
	umount -l "$tmp/a/state" 2>/dev/null
	(exit $status)
	cleanup
}

# the end of it: nothing of the flow came changed, twice or overtaken; $total says the sums
in_all()
{
	say "in all"
	kill "${pid[flow]}"
	unsniff leak
	total=$(python3 "$here/steady.py" total "$tmp/flow")
	grep -q ' changed 0 doubled 0 overtaken 0 ' <<<"$total" || fail "$total"
}

uptime_now() { cut -d ' ' -f 1 /proc/uptime; }
whole() { python3 "$here/steady.py" alive "$tmp/flow" 0.3; }
leaked() { frames leak; }
healed() { at_healed=$(uptime_now); }
restart() # HOST: what a supervisor does
{
	healed
	start "$1" eth0 "$tmp/now-$1.conf" >/dev/null
}

fault() # NAME SECONDS [lossless]
{
	local name=$1 bound=$2 from to lost recover
	from=$(uptime_now)
	at_healed=$from
	"fault_$name"
	sleep 0.5 # what is looked at next was sent after the fault
	within 30 whole || fail "$name: the traffic does not come back"
	to=$(uptime_now)
	sleep 0.7 # on a busy machine what is on its way is not lost
	read -r _ _ _ lost _ recover < <(python3 "$here/steady.py" judge "$tmp/flow" "$from" "$at_healed" "$to")
	[ "$(leaked)" -eq 0 ] || fail "$name: $(leaked) frames leaked: $(tcpdump -n -r "$tmp/leak.pcap" 2>/dev/null | head -3)"
	[ "$recover" != never ] || fail "$name: no datagram came back"
	awk -v r="$recover" -v b="$bound" -v s=$slack 'BEGIN { exit !(r <= b * s) }' || fail "$name: it took $recover s, not $bound s"
	[ "${3:-}" != lossless ] || [ "$lost" -eq 0 ] || fail "$name: $lost datagrams were lost"
	printf -v line '%-14s lost %4d of %d/s, leaked 0, whole again after %s s (bound %s)' "$name" "$lost" "$RATE" "$recover" "$bound"
	ok "$line"
	echo "$line" >>"$tmp/figures"
}

# --- the daemon

fault_kill_a() { slay a >/dev/null; restart a; }
fault_kill_b() { slay b >/dev/null; restart b; }
# kill -9 of the process that keeps privileges: the other one ends by itself, with what it says, and in order
fault_kill_warden()
{
	local p=${pid[bitsd-a]} status=0
	kill -9 "$(warden_of a)"
	finished bitsd-a 5 || status=$?
	[ $status -eq 1 ] || fail "bitsd without its warden ends with status $status"
	grep -q 'the process that opens NIC and TAP is gone' "$tmp/bitsd-a.log" || fail "it does not say why it ends"
	if ls "/proc/$p" >/dev/null 2>&1; then fail "it is still there"; fi
	restart a
}
# and of the other one: the warden ends behind it, and takes away what clients and scripts would find
fault_kill_ward()
{
	local w
	w=$(warden_of a)
	slay a >/dev/null
	within 5 ended "$w" || fail "the warden does not end"
	[ ! -e "$(sock a)" ] && [ ! -e "$tmp/a/run/eth0.pid" ] || fail "left over: $(ls "$tmp/a/run")"
	restart a
}
fault_term() { stop a >/dev/null; restart a; }
fault_hup()
{
	for _ in $(seq 20); do kill -HUP "${pid[bitsd-a]}"; done
	healed
}
pauses=1
fault_stopped() # suspended: packets wait in the kernel's queues, what does not fit there is lost
{
	kill -STOP "${pid[bitsd-a]}"
	sleep $pauses
	kill -CONT "${pid[bitsd-a]}"
	healed
}
fault_stuck() # one thread alone: the daemon notices, and ends
{
	local p=${pid[bitsd-a]}
	background stick a python3 "$here/steady.py" stick "$p"
	within 15 grep -q stuck "$tmp/stick.log" || fail "cannot stop the worker: $(cat "$tmp/stick.log")"
	within $((8 + slack)) grep -q 'a worker is stuck' "$tmp/bitsd-a.log" || fail "a stuck worker is not noticed"
	kill "${pid[stick]}" 2>/dev/null || : # (who traces a thread keeps what is left of it)
	within 5 ended "$p" || fail "bitsd does not end"
	restart a
}

# --- the NIC and the TAP

fault_cable()
{
	at w ip link set wa down
	sleep 0.3
	at w ip link set wa up
	healed
}
fault_unplugged()
{
	at w ip link del wa
	sleep 0.3
	at "$(private a)" ip link add eth0 address 02:00:00:00:00:0a type veth peer name wa netns "$tag-w"
	at w ip link set wa master br0 up
	at "$(private a)" ip link set eth0 up
	healed
}
fault_tap() # deleted by root
{
	at a ip link del eth0
	healed
	within $((3 * slack)) short_queue a || fail "the TAP is not made again"
}
fault_mtu()
{
	at "$(private a)" ip link set eth0 mtu 1280
	sleep 0.3
	at "$(private a)" ip link set eth0 mtu 1500
	healed
}
fault_mac() # of the host's NIC, which is the TAP: the real one follows; and of the real one, which the TAP follows
{
	local where mac
	for where in a "$(private a)"; do
		for mac in 02:00:00:00:00:1a 02:00:00:00:00:0a; do
			at "$where" ip link set eth0 address $mac
			within 2 same_mac $mac || fail "TAP and NIC differ: $(mac_of a eth0), $(mac_of "$(private a)" eth0)"
		done
	done
	healed
}
same_mac() { [ "$(mac_of a eth0)" = "$1" ] && [ "$(mac_of "$(private a)" eth0)" = "$1" ]; }
fault_address()
{
	at a ip addr add 10.9.0.50/24 dev eth0
	at a ip addr del 10.9.0.50/24 dev eth0
	healed
}
fault_route()
{
	at a ip route add 10.77.0.0/16 via 10.9.0.2
	at a ip route del 10.77.0.0/16
	healed
}

fault_dhcp() # a lease through the bump from a server on the wire, renewed, and its address gone again
{
	local script=$tmp/lease
	host d
	plug d eth0 w wd
	at d ip addr add 10.9.0.9/24 dev eth0
	printf 'start 10.9.0.100\nend 10.9.0.120\ninterface eth0\npidfile %s\nlease_file %s\noption subnet 255.255.255.0\noption lease 60\n' \
		"$tmp/udhcpd.pid" "$tmp/udhcpd.leases" >"$tmp/udhcpd.conf"
	: >"$tmp/udhcpd.leases"
	printf '#!/bin/sh\necho "$1 $ip" >>"%s.log"\ncase $1 in bound|renew) ip addr replace "$ip/24" dev eth0 ;; deconfig) ip addr del "$ip/24" dev eth0 2>/dev/null ;; esac\nexit 0\n' \
		"$script" >"$script"
	chmod +x "$script"
	: >"$script.log"
	background udhcpd d busybox udhcpd -f "$tmp/udhcpd.conf"
	background udhcpc a busybox udhcpc -i eth0 -f -R -t 10 -T 1 -s "$script"
	within 15 grep -q '^bound 10.9.0.1' "$script.log" || fail "no lease: $(cat "$tmp/udhcpc.log" "$tmp/udhcpd.log")"
	at a ip addr show dev eth0 | grep -q "$(sed -n 's/^bound //p' "$script.log" | tail -n 1)" || fail "the address is not there"
	kill -USR1 "${pid[udhcpc]}"
	within 15 grep -q '^renew 10.9.0.1' "$script.log" || fail "the lease is not renewed: $(cat "$tmp/udhcpc.log")"
	kill "${pid[udhcpc]}" "${pid[udhcpd]}"
	at a ip addr del "$(sed -n 's/^bound //p' "$script.log" | tail -n 1)/24" dev eth0
	healed
}

# --- what is around

fault_socket() # removed: it is made again
{
	rm "$(sock a)"
	healed
	within $((3 * slack)) answers a || fail "the control socket is not made again"
}
fault_full() # no octet left for the state: numbers that were reserved go on, and it is asked again when there is room
{
	dd if=/dev/zero of="$tmp/a/state/fill" bs=64k >/dev/null 2>&1 || :
	at a ping -q -f -c 300 -W 1 10.9.0.2 >/dev/null
	rm "$tmp/a/state/fill"
	healed
}
fault_readonly() # at a start: no number can be reserved, so nothing is sent, until it can and the file is loaded again
{
	stop a >/dev/null
	mount -o remount,ro "$tmp/a/state"
	start a eth0 "$tmp/now-a.conf" >/dev/null
	within 5 drops_reached a seq_unreserved 20 || fail "it sends without a reservation"
	mount -o remount,rw "$tmp/a/state"
	kill -HUP "${pid[bitsd-a]}"
	healed
}
descriptors() { find "/proc/${pid[bitsd-a]}/fd" -mindepth 1 | wc -l; }
cpu_of() { awk '{print $14 + $15}' "/proc/${pid[bitsd-a]}/stat"; }
# limit OPTIONS: of the process that moves packets, as its user: to root of a container it is somebody else's
limit()
{
	local p=${pid[bitsd-a]} uid
	uid=$(awk '/^Uid:/ {print $2}' "/proc/$p/status")
	setpriv --reuid="$uid" --regid="$(awk '/^Gid:/ {print $2}' "/proc/$p/status")" --clear-groups prlimit --pid "$p" "$@"
}
fault_descriptors() # none left: nobody is let in, nothing spins, and packets need none
{
	local before
	limit --nofile="$(descriptors):4096"
	before=$(cpu_of)
	for _ in 1 2 3; do timeout 0.3 "$IPSECCTL" -S "$(sock a)" -s nic >/dev/null 2>&1 || :; done
	[ $(($(cpu_of) - before)) -lt 90 ] || fail "it spins: $(($(cpu_of) - before)) ticks of CPU"
	limit --nofile=4096:4096
	healed
	within $((3 * slack)) answers a || fail "no answer when there are descriptors again"
}

fault_memory() # none left for a large policy: it is refused whole, and what is in force goes on (not in a sanitizers' build, which ends there)
{
	local size
	size=$(awk '/^VmSize:/ {print $2 * 1024}' "/proc/${pid[bitsd-a]}/status")
	MANY=20000 many >"$tmp/large.conf"
	limit --as=$((size + 4194304)):
	if ctl a -f "$tmp/large.conf" >"$tmp/out" 2>&1; then fail "a policy of 20,000 SAs fits 4 MB"; fi
	limit --as=unlimited:
	healed
	within $((3 * slack)) answers a || fail "no answer when there is memory again: $(cat "$tmp/out")"
	[ "$(ctl a -s sa --json | json '["sas"].__len__()')" -eq 2 ] || fail "something of it was loaded"
}

# lossless SECONDS WHAT: nothing is lost from here on for so long
lossless()
{
	local from lost
	from=$(uptime_now)
	sleep "$1"
	read -r _ _ _ lost _ _ < <(python3 "$here/steady.py" judge "$tmp/flow" "$from" "$from" "$(uptime_now)")
	[ "$lost" -eq 0 ] || fail "$2: $lost datagrams were lost"
}
fault_clock() # the time of day jumps, days and years, there and back: SAs live as long as they would
{
	local by
	: "${OTHERCLOCK_SO:=$BITS_BUILD/tests/netns/libotherclock.so}"
	offset() { python3 -c 'import struct, sys; open(sys.argv[1], "r+b").write(struct.pack("q", int(sys.argv[2])))' "$tmp/clock" "$1"; }
	head -c 8 /dev/zero >"$tmp/clock"
	stop a >/dev/null
	sed 's/^esp .*/& lifetime soft 1800 seconds lifetime hard 3600 seconds/' "$tmp/a.conf" >"$tmp/now-a.conf"
	OTHERCLOCK=$tmp/clock LD_PRELOAD=$OTHERCLOCK_SO ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
		start a eth0 "$tmp/now-a.conf" >/dev/null
	grep -q otherclock "/proc/${pid[bitsd-a]}/maps" || fail "its clock is the real one"
	within 20 whole || fail "no traffic"
	for by in 86400 -86400 315360000 -315360000 0; do
		offset $by
		lossless 0.5 "the clock at $by s"
	done
	[ "$(ctl a -s sa --json | json '["sas"].__len__()')" -eq 2 ] || fail "SAs ended with the jumps"
	! grep -qE 'sa_(soft|hard)|stuck' "$tmp/bitsd-a.log" || fail "lifetimes follow the time of day: $(cat "$tmp/bitsd-a.log")"
	cp "$tmp/a.conf" "$tmp/now-a.conf"
	stop a >/dev/null
	restart a
}
fault_log() # who reads the log has stopped, and the pipe is full: no packet waits for it
{
	stop a >/dev/null
	rm "$tmp/bitsd-a.log"
	mkfifo "$tmp/bitsd-a.log"
	exec 7<>"$tmp/bitsd-a.log"
	start a eth0 "$tmp/now-a.conf" >/dev/null
	within 20 whole || fail "no traffic"
	timeout 2 dd if=/dev/zero of="$tmp/bitsd-a.log" bs=4096 count=64 oflag=nonblock 2>/dev/null || :
	for _ in 1 2 3 4 5; do # audited: no rule
		at a python3 -c 'import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(("10.9.0.2", 22))'
		ctl a -f "$tmp/a.conf"
	done
	lossless 1 "a log that nobody reads"
	answers a >/dev/null || fail "it does not answer while its log is full"
	exec 7>&-
	within 10 answers a >/dev/null || fail "it ends with its log"
	rm "$tmp/bitsd-a.log"
	stop a >/dev/null
	restart a
}

# --- policy and SAs

fault_sa() # deleted in the midst of a burst, and loaded again
{
	ctl a delete esp spi 0x1001 >/dev/null
	ctl a -f "$tmp/a.conf"
	healed
}
fault_rekey() # another key and SPI, make before break: nothing is lost
{
	ctl a -f "$tmp/a2.conf"
	ctl a -f "$tmp/a.conf"
	healed
}
: "${MANY:=300}"
many() # a's policy and $MANY SAs more
{
	python3 - "$MANY" <<-'END'
	import os, sys
	for i in range(int(sys.argv[1])):
	    at = f"10.{100 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}"
	    print(f"esp transport in from {at} to 10.9.0.1 spi {0x10000 + i:#x} enc aes-128-gcm enckey 0x{os.urandom(20).hex()}")
	END
	cat "$tmp/a.conf"
}
fault_many_sas() # added and removed beside it
{
	many >"$tmp/many.conf"
	ctl a -f "$tmp/many.conf"
	ctl a -f "$tmp/a.conf"
	healed
}
