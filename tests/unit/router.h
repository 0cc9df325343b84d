/*
 * A router on the wire that has something to say about a packet it was to carry.
 */
#ifndef BITS_TEST_ROUTER_H
#define BITS_TEST_ROUTER_H

#include <netinet/in.h>
#include "frame.h"
#include "icmp.h"

#define ROUTER4 "10.0.9.9"
#define ROUTER6 "fd00:9::9"

/* An error about the frame ${wire}, which it quotes the first ${quote} octets of; the length of the frame ${f}. */
static inline uint32_t
router_says(uint8_t *f, const uint8_t *wire, uint32_t len, uint8_t type, uint8_t code,
    uint32_t word, uint32_t quote)
{
	bool six = get16(wire + 12) == ETYPE_IP6;
	uint32_t l3 = frame_ether(f, frame_mac_host, frame_mac_peer, six ? ETYPE_IP6 : ETYPE_IP4),
		 hlen = six ? 40 : 20;
	struct ipaddr src = ipaddr_from(six ? 6 : 4, wire + 14 + (six ? 8 : 12));
	char to[IPADDR_STRLEN];
	uint8_t *m = f + l3 + hlen;

	quote = quote > len - 14 ? len - 14 : quote;
	m[0] = type;
	m[1] = code;
	put16(m + 2, 0);
	put32(m + 4, word);
	memcpy(m + 8, wire + 14, quote);
	ipaddr_print(&src, to);
	if (six) {
		frame_ip6(f + l3, ROUTER6, to, IPPROTO_ICMPV6, 8 + quote);
		put16(m + 2, cksum_l4(f + l3, IPPROTO_ICMPV6, m, 8 + quote));
	} else {
		frame_ip4(f + l3, ROUTER4, to, IPPROTO_ICMP, 0, 8 + quote);
		put16(m + 2, cksum_fold(cksum_add(0, m, 8 + quote)));
	}
	return l3 + hlen + 8 + quote;
}

/* "Too big", by the frame's family. */
static inline uint32_t
router_too_big(uint8_t *f, const uint8_t *wire, uint32_t len, uint32_t mtu, uint32_t quote)
{
	if (get16(wire + 12) == ETYPE_IP6)
		return router_says(f, wire, len, ICMP6_TOO_BIG, 0, mtu, quote);
	return router_says(f, wire, len, ICMP4_UNREACH, ICMP4_NEEDFRAG, mtu, quote);
}

#endif
