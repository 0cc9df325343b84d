/*
 * ICMP errors: what they say, and about which packet (RFC 792, RFC 4443; RFC 4301 6).
 */
#ifndef BITS_ICMP_H
#define BITS_ICMP_H

#include "datapath.h"

enum {
	ICMP4_UNREACH = 3,
	ICMP4_NEEDFRAG = 4, /* code of ICMP4_UNREACH */
	ICMP4_TIME = 11,
	ICMP4_PARAM = 12,
	ICMP6_UNREACH = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME = 3,
	ICMP6_PARAM = 4,
};

struct recent_pkt;

/* The first eight octets of a message, checksum apart. */
struct icmp_says {
	uint8_t type, code;
	uint32_t word;       /* MTU or pointer, as it stands there */
};

/* An error and the packet it quotes, as far as the quote goes. */
struct icmp_error {
	struct icmp_says says;
	bool too_big;
	uint32_t mtu;          /* too_big: what the router says, 0: it is too old to */
	struct ipaddr src, dst; /* of the quoted packet */
	uint32_t total;        /* octets it had by its own header */
	uint8_t proto;         /* next layer protocol; extension headers that transport mode leaves clear are skipped */
	bool later;            /* not the first fragment: what stands at l4 is payload */
	uint32_t l4;           /* offset in the frame of the next layer header */
	uint32_t n;            /* octets quoted from there */
};

/** icmp_is_error(p): is ${p} (classified) an ICMP error that quotes a packet: unreachable, too big, time exceeded, parameter problem?  A
 * redirect is advice, and a source quench is no longer anything (RFC 6633). */
bool icmp_is_error(const struct pkt *p);

/** icmp_read(p, e): reads the error ${p}, checksum included.  false: it is malformed, or quotes no whole IP header. */
bool icmp_read(const struct pkt *p, struct icmp_error *e);

/** icmp_quote_key(p, e, sent, dir, k): the quoted packet's key as one of direction ${dir}; ${sent}: this host sent it, else received it.  A type
 * and code stay what they were. */
void icmp_quote_key(const struct pkt *p, const struct icmp_error *e, bool sent, enum dir dir, struct flowkey *k);

/** icmp_says_too_big(af, mtu): "fragmentation needed" or "packet too big". */
struct icmp_says icmp_says_too_big(unsigned af, uint32_t mtu);

/** icmp_clear(w, p): policy lets ${p}, clear from the wire, by.  DROP_NONE, or if it is an ICMP error ICMP_BAD, or ICMP_QUOTE: it is about a packet
 * that would not have left in clear. */
enum drop icmp_clear(const struct walk *w, const struct pkt *p);

/** icmp_instead(p, says, n): makes of the error ${p} off the wire one that says ${says} about the packet ${n} the host sent, to its sender.
 * false: it cannot be. */
bool icmp_instead(struct pkt *p, const struct icmp_says *says, const struct recent_pkt *n);

#endif
