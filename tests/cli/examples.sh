#!/bin/bash
# examples IPSECCTL CTLD IPSECREPLAY: each command of the EXAMPLES of ipsecctl(8) and ipsecreplay(1) does what it is there for, in the order of
# the page.  (ipsec.conf(5)'s are loaded by golden/man; bitsd(8)'s by netns/daemon.)
. "$(dirname "$0")/lib.sh" "$1" "$2"
tests=$(cd "$(dirname "$0")/.." && pwd)
man=$tests/../tools/man
mkdir -p "$tmp/bin" "$tmp/ctl" "$tmp/replay" "$tmp/home/.config/wireshark"

# what the commands meet: the daemon under test, a kernel's dumps
printf '#!/bin/sh\nexec "%s" -S "%s/sock" "$@"\n' "$(realpath "$ctl")" "$tmp" >"$tmp/bin/ipsecctl"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$(realpath "$3")" >"$tmp/bin/ipsecreplay"
printf '#!/bin/sh\n[ "$3" = state ] && exec cat "%s"\n:\n' "$tmp/state" >"$tmp/bin/ip"
chmod +x "$tmp/bin/"*
cat >"$tmp/state" <<X
src 10.9.0.1 dst 10.9.0.6
	proto esp spi 0x0000100b(4107) reqid 0(0x00000000) mode transport
	replay-window 64 seq 0x00000000 flag  (0x00000000)
	auth-trunc hmac(sha256) 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f (256 bits) 128
	enc cbc(aes) 0x101112131415161718191a1b1c1d1e1f (128 bits)
	sel src 0.0.0.0/0 dst 0.0.0.0/0
X

# run PAGE FOLDER: every command in turn; what the last one printed is in $tmp/N.out
run()
{
	n=0
	while IFS= read -r command; do
		n=$((n + 1))
		name=${command%% *}
		if ! PATH=$tmp/bin:$PATH command -v "${name#\{}" >/dev/null && [ "$name" != "{" ]; then
			echo "no $name here: '$command' is left out"
			: >"$tmp/$n.out"
			continue
		fi
		(cd "$2" && HOME=$tmp/home PATH=$tmp/bin:$PATH bash -o pipefail -c "$command") >"$tmp/$n.out" 2>"$tmp/$n.err" </dev/null ||
			fail "$1: '$command': status $?: $(head -3 "$tmp/$n.err")"
	done < <("$tests/man_commands" "$man/$1")
}

# the first file of ipsec.conf(5)
awk '/^\.Sh / { on = /EXAMPLES/ } on && /^\.Bd/ { n++; next } /^\.Ed/ { if (n) exit } on && n == 1 { gsub(/\\e/, "\\"); print }' \
	"$man/ipsec.conf.5" >"$tmp/ctl/ipsec.conf"
echo 'flow from any to any type bypass' >"$tmp/ctl/new.conf"
run ipsecctl.8 "$tmp/ctl"
[ $n -eq 8 ] || fail "ipsecctl(8): $n commands, not 8"
grep -q '^flow esp transport out from 192.0.2.1 to 192.0.2.2' "$tmp/1.out" || fail "-nv prints no flow"
grep -q 'no_sa' "$tmp/3.out" || fail "-s drops -v tells no reasons"
grep -q '^verdict' "$tmp/4.out" || fail "trace tells no verdict"
ipsecctl -s flow | grep -q 'flow from any to any type bypass' || fail "what was confirmed is not in force"
grep -q '^esp ' "$tmp/ctl/ipsec.conf" && "$ctl" -n -f "$tmp/ctl/ipsec.conf" 2>"$tmp/err" || fail "what was imported does not load: $(cat "$tmp/err")"

cp "$tests/pcap/transport-a.conf" "$tmp/replay/ipsec.conf"
cp "$tests/pcap/in/mixed4.pcap" "$tmp/replay/clear.pcap"
cp "$tests/pcap/in/frag-tiny.pcap" "$tmp/replay/wire.pcap" # more than a dozen, none of which is let by
run ipsecreplay.1 "$tmp/replay"
[ $n -ge 4 ] || fail "ipsecreplay(1): $n commands"
[ -s "$tmp/replay/esp.pcap" ] || fail "nothing was sent"
grep -q ESP "$tmp/home/.config/wireshark/esp_sa" 2>/dev/null || grep -q AES "$tmp/home/.config/wireshark/esp_sa" || fail "no keys for Wireshark"
[ ! -s "$tmp/3.out" ] || grep -q -E 'UDP|TCP|ICMP' "$tmp/3.out" || fail "Wireshark sees nothing inside: $(cat "$tmp/3.out")"
command -v jq >/dev/null && { grep -q '"reason"' "$tmp/$n.out" || fail "no reason: $(cat "$tmp/$n.out")"; }
