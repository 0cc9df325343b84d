/*
 * Frames for tests: small builders, so that a test reads as what it sends.
 */
#ifndef BITS_TEST_FRAME_H
#define BITS_TEST_FRAME_H

#include <stdint.h>
#include <string.h>
#include "datapath.h"

static const uint8_t frame_mac_host[6] = {2, 0, 0, 0, 0, 1}, frame_mac_peer[6] = {2, 0, 0, 0, 0, 2};

/* Ethernet header; returns its length. */
static inline uint32_t
frame_ether(uint8_t *f, const uint8_t dst[6], const uint8_t src[6], uint16_t etype)
{
	memcpy(f, dst, 6);
	memcpy(f + 6, src, 6);
	put16(f + 12, etype);
	return 14;
}

/* IPv4 header in front of ${n} octets of payload (already there); returns the packet's length. */
static inline uint32_t
frame_ip4(uint8_t *h, const char *src, const char *dst, uint8_t proto, uint16_t flags, uint32_t n)
{
	struct ipaddr a, b;

	ipaddr_parse(src, &a);
	ipaddr_parse(dst, &b);
	memset(h, 0, 20);
	h[0] = 0x45;
	put16(h + 2, (uint16_t)(20 + n));
	put16(h + 4, 0x1234);
	put16(h + 6, flags);
	h[8] = 64;
	h[9] = proto;
	memcpy(h + 12, a.b, 4);
	memcpy(h + 16, b.b, 4);
	put16(h + 10, cksum_ip4(h, 20));
	return 20 + n;
}

static inline uint32_t
frame_ip6(uint8_t *h, const char *src, const char *dst, uint8_t next, uint32_t n)
{
	struct ipaddr a, b;

	ipaddr_parse(src, &a);
	ipaddr_parse(dst, &b);
	memset(h, 0, 40);
	h[0] = 0x60;
	put16(h + 4, (uint16_t)n);
	h[6] = next;
	h[7] = 64;
	memcpy(h + 8, a.b, 16);
	memcpy(h + 24, b.b, 16);
	return 40 + n;
}

/* UDP header with ${n} octets that count up behind it. */
static inline uint32_t
frame_udp(uint8_t *u, uint16_t sport, uint16_t dport, uint32_t n)
{
	put16(u, sport);
	put16(u + 2, dport);
	put16(u + 4, (uint16_t)(8 + n));
	put16(u + 6, 0);
	for (uint32_t i = 0; i < n; i++)
		u[8 + i] = (uint8_t)i;
	return 8 + n;
}

/* A whole Ethernet frame: UDP from ${src} to ${dst} (family by the text) with ${n} octets; returns its length. */
static inline uint32_t
frame_make_udp(uint8_t *f, const char *src, const char *dst, uint16_t sport, uint16_t dport, uint16_t ipflags, uint32_t n)
{
	bool six = strchr(src, ':') != NULL;
	uint32_t l3 = frame_ether(f, frame_mac_peer, frame_mac_host, six ? ETYPE_IP6 : ETYPE_IP4);
	uint32_t u = frame_udp(f + l3 + (six ? 40 : 20), sport, dport, n);

	return l3 + (six ? frame_ip6(f + l3, src, dst, 17, u) : frame_ip4(f + l3, src, dst, 17, ipflags, u));
}

/* ${len} octets as a packet of ${pool}. */
static inline struct pkt *
frame_pkt(struct pktpool *pool, const uint8_t *f, uint32_t len)
{
	struct pkt *p = pkt_new(pool);

	memcpy(pkt_put(p, len), f, len);
	p->link = LINK_ETHER;
	return p;
}

#endif
