# A user-mode-linux guest: a second Linux, whose own IPsec is the peer; sourced (bash) after ../netns/lib.sh.
#
#   guest_boot WIRE PORT MAC SECONDS   boots one that stands on that wire with its eth0, and turns itself off after that time
#   guest_run SECONDS <<...            runs the commands on standard input there; prints their output, gives their status
#   guest_halt
#
# The guest has this machine's / read-only (hostfs), so it reads its commands, and keys in them, from files in $tmp, and answers through
# its serial line.  The tuntap transport of its NIC hands over whole frames with finished checksums, as a wire has them; the vector
# driver does not.
: "${GUEST_LINUX:=/usr/bin/linux.uml}"
: "${GUEST_MODULES:=/usr/lib/uml/modules}"
guest_pid='' guest_n=0
# All that is needed, at once: the kernel's own asking for them, one algorithm after the other, takes seconds.
guest_modules=(esp4 esp6 ah4 ah6 xfrm_user authenc authencesn seqiv echainiv cbc ctr ecb gcm ccm cmac xcbc hmac
	ghash-generic chacha20poly1305 chacha_generic poly1305_generic sha512_generic des_generic drbg)
# what lib.sh sets
: "${tmp:=}" "${tag:=}"

guest_init()
{
	cat <<-END
	#!/bin/sh
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t tmpfs run /run
	(sleep $1; busybox poweroff -f) &
	modprobe -d $tmp/guest -a ${guest_modules[*]}
	echo >/proc/sys/kernel/modprobe
	stty -F /dev/ttyS0 raw -echo
	exec 3<>/dev/ttyS0
	echo up >&3
	while read -r n <&3; do
		[ "\$n" = halt ] && break
		/bin/sh $tmp/guest/do.\$n >&3 2>&1 </dev/null 3>&-
		echo "done \$n \$?" >&3
	done
	busybox poweroff -f
	END
}

guest_boot()
{
	local dir=$tmp/guest shm=/dev/shm line=''
	mkdir -p "$dir/lib"
	ln -s "$GUEST_MODULES" "$dir/lib/modules"
	mkfifo "$dir/in" "$dir/out"
	guest_init "$4" >"$dir/init"
	chmod +x "$dir/init"
	at "$1" ip tuntap add "$2" mode tap
	at "$1" ip link set "$2" master br0 up
	# its memory is a file mapped for execution
	if grep -q ' /dev/shm [^ ]* [^ ]*noexec' /proc/mounts; then shm=$dir; fi
	exec {guest_in}<>"$dir/in" {guest_out}<>"$dir/out"
	TMPDIR=$shm setsid nsenter --net="/run/netns/$tag-$1" "$GUEST_LINUX" mem=96M umid=guest uml_dir="$dir/" \
		root=/dev/root rootfstype=hostfs rootflags=/ ro init="$dir/init" \
		con=null con0=null,fd:1 ssl=null ssl0=fd:"$guest_in",fd:"$guest_out" quiet noreboot panic=-1 \
		eth0=tuntap,"$2","$3" </dev/null >"$tmp/guest.log" 2>&1 &
	guest_pid=$!
	read -r -t 90 line <&"$guest_out" || :
	if [ "$line" != up ]; then
		grep -qi 'ptrace.*fail\|fail.*ptrace' "$tmp/guest.log" && skip "the guest cannot run here: $(grep -i ptrace "$tmp/guest.log" | tail -n 1)"
		fail "the guest does not boot: $line"
	fi
}

guest_run()
{
	local line='' end=$((SECONDS + $1))
	guest_n=$((guest_n + 1))
	cat >"$tmp/guest/do.$guest_n"
	echo $guest_n >&"$guest_in"
	while [ $SECONDS -le $end ]; do
		IFS= read -r -t "$1" line <&"$guest_out" || break
		case $line in
		"done $guest_n "*) return "${line##* }" ;;
		"done "*) ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
	echo "the guest gives no answer in $1 s"
	return 124
}

guest_halt()
{
	local i
	[ -n "$guest_pid" ] || return 0
	echo halt >&"$guest_in"
	for ((i = 0; i < 30; i++)); do
		kill -0 "$guest_pid" 2>/dev/null || break
		sleep 0.1
	done
	# its own process group: one process for each address space
	kill -9 -- "-$guest_pid" 2>/dev/null || :
	guest_pid=''
}
