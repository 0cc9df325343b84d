/*
 * Datagrams being put together (RFC 791 3.2, RFC 8200 4.5): bounded in number and per source, each in one slot of the worker's pool,
 * timed out by the walk itself.  Overlapping fragments end the datagram (RFC 5722, kept for IPv4 too).
 *
 * What the host sends, what comes clear from the wire, and what comes out of SAs have places of their own: strangers who flood the wire
 * with fragments push out each other's, not those.
 */
#ifndef BITS_REASM_H
#define BITS_REASM_H

#include "pkt.h"

#define REASM_SHARES     3     /* the host's, clear from the wire (ESP and AH too), out of SAs */
#define REASM_SHARE      64    /* datagrams at a time of each */
#define REASM_MAX        (REASM_SHARES * REASM_SHARE)
#define REASM_PER_SOURCE 16    /* of these from one source, or out of one SA */
#define REASM_MS4        30000 /* RFC 1122 3.3.2 asks for 60 to 120 s, Linux and RFC 8900's users live with 30 */
#define REASM_MS6        60000 /* RFC 8200 4.5 */

/* Opaque types. */
struct reasm;

/** reasm_new(): an empty table; NULL and ENOMEM.  One worker's own. */
struct reasm *reasm_new(void);
/** reasm_free(r, pool): gives held slots back to ${pool}. */
void reasm_free(struct reasm *r, struct pktpool *pool);

/* One fragment, as read. */
struct reasm_piece {
	uint32_t hlen;            /* octets of the frame in front of what is repeated in each fragment's payload */
	uint32_t at, len, offset; /* payload: place in the frame, length, offset in the datagram */
	uint32_t id;
	uint16_t nh;              /* IPv6: the octet that names the fragment header */
	uint8_t next;             /* IPv6: what is behind that */
	bool more;
};

/** reasm_piece_of(p, f): reads classified fragment ${p}; false: an IPv6 one whose header chain does not lead there. */
bool reasm_piece_of(const struct pkt *p, struct reasm_piece *f);

/** reasm_waits(r, p, f): does a datagram that ${p} belongs to wait for more? */
bool reasm_waits(const struct reasm *r, const struct pkt *p, const struct reasm_piece *f);

/** reasm_held(r): fragments held at the moment, for the books. */
unsigned reasm_held(const struct reasm *r);

#endif
