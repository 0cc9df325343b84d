#!/usr/bin/env bash
# What can go wrong around the daemon, one after the other under traffic that counts: lost, leaked (never), and how long until it is whole
# again.
#
#   FAULTS=all       also those that take longer (tools/check --full)
#   FAULTS='a b'     these
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faultlib.sh"
: "${FAULTS:=short}"
begin "faults under traffic"
bed

wanted() # NAME TIER: is it asked for?
{
	case $FAULTS in
	all) return 0 ;;
	short) [ "$2" = short ] ;;
	*) grep -qw "$1" <<<"$FAULTS" ;;
	esac
}
run() # TIER NAME SECONDS [lossless]
{
	if wanted "$2" "$1"; then fault "${@:2}"; fi
}
if [ "$FAULTS" = all ]; then
	pauses=30 MANY=${MANY_ALL:-100000}
	# a sanitizers' build needs minutes for so many
	[ "$slack" -eq 1 ] || MANY=${MANY_ALL:-10000}
fi
# the bound is the real one; in a build with sanitizers it is multiplied (slack)
run short kill_a 1
run long kill_b 1
run short kill_warden 1
run long kill_ward 1
run long term 1
run long hup 1 lossless
run long stopped 1
run long stuck 1
run short cable 1
run long unplugged 2
run short tap 2
run long mtu 1
run long mac 1
run long address 1 lossless
run long route 1 lossless
run short socket 1 lossless
run short full 1 lossless
run long readonly 1
run long clock 1
run long log 1
run short descriptors 1 lossless
run short sa 1
run short rekey 1 lossless
run long many_sas 1 lossless
run long dhcp 1 lossless
[ "$slack" -gt 1 ] || run long memory 1 lossless

in_all
ok "$total"
cat "$tmp/figures"
done_all
