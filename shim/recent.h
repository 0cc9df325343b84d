/*
 * The last packets that were protected: what their headers said before, found again by SPI and sequence number.  So an ICMP error about an
 * ESP packet can be told to the host as one about the packet the host sent.  A ring; one worker's own, into which others may look.
 */
#ifndef BITS_RECENT_H
#define BITS_RECENT_H

#include <stdbool.h>
#include <stdint.h>
#include "addr.h"
#include "pkt.h"

#define RECENT_MAX	 1024
#define RECENT_PER_BURST 8  /* of a burst in a hurry the first ones must do: such a flow sends more */
#define RECENT_HEAD	 80 /* IPv6 and TCP with options; an ICMP message needs 8 octets behind the IP header */

struct recent_pkt {
	uint32_t spi, seq;     /* of the outermost ESP or AH header; 0: none */
	uint8_t proto;         /* of that header */
	uint8_t nsteps;        /* SAs it went through */
	bool may_cut;          /* no DF, or the host had cut it itself */
	uint8_t n;             /* octets in head */
	uint16_t total, clear; /* octets of the whole packet; of what transport mode leaves in front of the ESP header */
	struct ipaddr sa_dst;  /* the outermost SA's, as configured */
	uint8_t head[RECENT_HEAD];
};

/* Opaque types. */
struct recent;

/** recent_new(): an empty ring; NULL and ENOMEM. */
struct recent *recent_new(void);
/** recent_share(r): from now on other workers may look for packets in it. */
void recent_share(struct recent *r);
void recent_free(struct recent *r);

/** recent_before(r, b), recent_after(r, b): around the protection of ${b}: notes the headers of its first packets, then their numbers. */
void recent_before(struct recent *r, const struct burst *b);
void recent_after(struct recent *r, const struct burst *b);

/** recent_find(r, proto, spi, seq, n): the newest such packet into *${n}.  false: there is none.  Any worker. */
bool recent_find(struct recent *r, uint8_t proto, uint32_t spi, uint32_t seq, struct recent_pkt *n);

#endif
