#!/bin/bash
# wireshark.sh IPSECREPLAY: tshark, with the keys that -k wrote, opens what ipsecreplay sealed and finds every ICV right.
set -u
replay=$1
pcap=$(cd "$(dirname "$0")/../pcap" && pwd)
command -v tshark >/dev/null || { echo "skipped: no tshark"; exit 77; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export WIRESHARK_CONFIG_DIR=$tmp HOME=$tmp
bad=0

# looks INPUT CONFIGURATION [NAME]: as many packets with a good ICV as there are; none with a bad one; as many UDP packets inside as went in
looks()
{
	local good wrong inside before all
	"$replay" -f "$2" -k "$tmp/esp_sa" && "$replay" -f "$2" --from-host "$1" --to-wire "$tmp/wire.pcap" >/dev/null || exit 1
	opened=(tshark -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE --disable-protocol dns -r "$tmp/wire.pcap")
	all=$("${opened[@]}" -Y esp 2>/dev/null | wc -l)
	good=$("${opened[@]}" -Y 'esp.icv_good == 1' 2>/dev/null | wc -l)
	wrong=$("${opened[@]}" -Y 'esp.icv_bad == 1' 2>/dev/null | wc -l)
	before=$(tshark -r "$1" -Y udp 2>/dev/null | wc -l)
	inside=$("${opened[@]}" -Y udp 2>/dev/null | wc -l)
	echo "${3:-$(basename "$2" .conf)}: $all ESP packets, $good ICVs good, $wrong bad; $inside of $before UDP packets inside"
	[ "$all" -gt 0 ] && [ "$good" -eq "$all" ] && [ "$wrong" -eq 0 ] && [ "$inside" -eq "$before" ] || bad=1
}

looks "$pcap/in/mixed4.pcap" "$pcap/transport-a.conf"
looks "$pcap/in/mixed6.pcap" "$pcap/transport-a.conf"
looks "$pcap/in/inner4.pcap" "$pcap/tunnel44-a.conf"
looks "$pcap/in/inner6.pcap" "$pcap/tunnel46-a.conf"
# octets FROM TO: as hex digits
octets()
{
	seq "$1" "$2" | while read -r n; do printf '%02x' "$n"; done
}

for alg in aes-256-gcm aes-128-gcm-8 aes-128-gcm-12; do
	key=$(octets 1 20)
	[ $alg != aes-256-gcm ] || key=$(octets 1 36)
	cat >"$tmp/conf" <<X
esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc $alg enckey 0x$key
flow esp transport out from 10.9.0.1 to 10.9.0.2
X
	looks "$pcap/in/mixed4.pcap" "$tmp/conf" $alg
done
cat >"$tmp/conf" <<X
esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-256 auth hmac-sha2-256 \
	enckey 0x$(octets 1 32) authkey 0x$(octets 33 64)
flow esp transport out from 10.9.0.1 to 10.9.0.2
X
looks "$pcap/in/mixed4.pcap" "$tmp/conf" aes-256+hmac-sha2-256
exit $bad
