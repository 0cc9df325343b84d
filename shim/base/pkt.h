/*
 * A packet: one frame in a slot with room on both sides, what the walk learnt of it, and what became of it.
 *
 * Slots come from a pool that is filled once; a pool belongs to one worker, so there is no lock.  A packet in a burst
 * belongs to the burst.  All reads of wire octets go through pkt_get(), which checks; all growth through pkt_push() and
 * pkt_put(), which check room.
 */
#ifndef BITS_PKT_H
#define BITS_PKT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "drop.h"
#include "policy.h"
#include "selector.h"

#define PKT_HEADROOM 512 /* four nested IPv6 tunnels with UDP encapsulation: 4 * (40 + 8 + 8 + 16) = 288, and L2 */
#define PKT_TAILROOM 512 /* padding, ICV per layer */
#define PKT_FRAME_MAX 65550 /* largest frame an edge may hand in: 64 KB of IP behind Ethernet */

#define ETH_HLEN_OCTETS 14
#define ETH_VLAN_OCTETS 4
#define ETYPE_IP4  0x0800
#define ETYPE_ARP  0x0806
#define ETYPE_IP6  0x86dd
#define ETYPE_8021Q  0x8100
#define ETYPE_8021AD 0x88a8

enum pkt_link { LINK_ETHER, LINK_RAWIP };

/* A super-frame: one header for many segments of TCP or UDP.  The kernel's numbers (VIRTIO_NET_HDR_GSO_*). */
enum pkt_gso { GSO_NONE = 0, GSO_TCP4 = 1, GSO_TCP6 = 4, GSO_UDP = 5 };

/* What whoever sent a frame left for others to do, as the kernel says it to a TAP or a packet socket; all zero: nothing. */
struct vnet {
	bool partial;          /* checksum from csum_start to the end goes to csum_start + csum_offset */
	uint8_t gso;           /* enum pkt_gso; others come off an edge and go no further */
	uint16_t gso_size;     /* octets of payload of each segment */
	uint16_t csum_start;   /* from the frame's start */
	uint16_t csum_offset;
};

struct pkt {
	/* the octets */
	uint8_t *slot;         /* start of the slot */
	uint32_t size;         /* octets of the slot */
	uint32_t off, len;     /* the frame: slot[off .. off + len) */

	/* verdict and path */
	enum drop drop;        /* DROP_NONE while it goes on */
	uint8_t link;          /* enum pkt_link */
	uint8_t nchain;        /* inbound: SAs in chain[] */
	uint8_t bypass;        /* went through (or will) without a transform */
	uint8_t spi_proto;     /* enum ipsec_proto of spi */
	uint8_t encap;         /* outbound, protected: ESP in UDP, whose header is at l4, is the outermost */
	uint8_t cut_ok;        /* put together from fragments: may be cut again */
	uint8_t atomic;        /* IPv6: has a fragment header though it is whole (RFC 6946) */

	/* a super-frame counts as the packets it stands for */
	struct vnet todo;
	uint16_t more;         /* packets beyond the first */
	uint32_t more_octets;  /* of their headers, link header included */

	/* what classify() found; offsets from the frame's start, valid while drop is NONE */
	uint16_t l3;           /* IP header (behind Ethernet and tags); == l2 header's length */
	uint16_t l4;           /* next layer header: behind all IPv6 extension headers */
	uint16_t ins;          /* where a transport mode ESP or AH header goes (RFC 4303 3.1.1) */
	uint16_t nh;           /* the octet that names the protocol of what stands at ins */
	uint16_t l4nh;         /* the octet that names the protocol of what stands at l4 */
	uint16_t ipsec;        /* inbound: ESP or AH header: l4, or behind the UDP header at l4 (RFC 3948) */
	uint16_t etype;        /* EtherType of the payload, host order */
	uint8_t af;            /* 4, 6, or 0: not IP */
	uint8_t ttl;           /* TTL or hop limit as it arrived */
	uint32_t l3end;        /* end of the IP packet by its own length; link padding lies behind */
	struct flowkey key;

	/* what policy said */
	struct policy *policy;             /* the rule that decided, NULL: none */
	struct sa *sa[POLICY_STEPS_MAX];   /* outbound: the bundle, in order of application; [0].. policy->nsteps */
	struct sa *chain[POLICY_STEPS_MAX]; /* inbound: SAs it came through, outermost first */
	bool summed;                       /* inbound: its TCP or UDP checksum was made here and is right */
	bool tunnelled;                    /* inbound: a tunnel header was taken off */
	uint32_t spi;                      /* of the last ESP or AH header, 0: none; for audit events */
	uint64_t seq;                      /* its sequence number */

	/* where it came from, for capture files and traces */
	uint64_t ts_ns;        /* time stamp */
	uint64_t number;       /* of the packet in its file, from 1; 0: live */

	struct pkt *next;      /* free list, or a queue that holds it */
};

#define BURST_MAX 128

struct burst {
	unsigned n;
	struct pkt *p[BURST_MAX];
};

/* Opaque types. */
struct pktpool;

/** pktpool_new(count, frame): ${count} slots that each take a frame of ${frame} octets plus head and tail room.  NULL and
 * errno.  Not thread-safe: one worker's own. */
struct pktpool *pktpool_new(unsigned count, uint32_t frame);
void pktpool_free(struct pktpool *pool);

/** pkt_new(pool): an empty packet (off = PKT_HEADROOM, len 0), all fields zero; NULL when the pool is empty. */
struct pkt *pkt_new(struct pktpool *pool);
/** pkt_like(pool, p): an empty packet of which is known what is known of ${p}; NULL when the pool is empty. */
struct pkt *pkt_like(struct pktpool *pool, const struct pkt *p);
void pkt_free(struct pktpool *pool, struct pkt *p);
unsigned pktpool_left(const struct pktpool *pool);

static inline uint8_t *
pkt_data(const struct pkt *p)
{
	return p->slot + p->off;
}

/** pkt_get(p, off, len): ${len} octets at ${off} of the frame, or NULL when they are not all there. */
static inline uint8_t *
pkt_get(const struct pkt *p, uint32_t off, uint32_t len)
{
	if (off > p->len || len > p->len - off)
		return NULL;
	return p->slot + p->off + off;
}

/** pkt_push(p, n): the frame grows by ${n} octets at its front, whose content is then undefined; NULL: no room. */
static inline uint8_t *
pkt_push(struct pkt *p, uint32_t n)
{
	if (n > p->off)
		return NULL;
	p->off -= n;
	p->len += n;
	return p->slot + p->off;
}

/** pkt_pull(p, n): the frame loses ${n} octets at its front; NULL when it is shorter. */
static inline uint8_t *
pkt_pull(struct pkt *p, uint32_t n)
{
	if (n > p->len)
		return NULL;
	p->off += n;
	p->len -= n;
	return p->slot + p->off;
}

/** pkt_put(p, n): the frame grows by ${n} octets at its end; returns the first of them, NULL: no room. */
static inline uint8_t *
pkt_put(struct pkt *p, uint32_t n)
{
	uint8_t *end = p->slot + p->off + p->len;

	if (n > p->size - p->off - p->len)
		return NULL;
	p->len += n;
	return end;
}

/** pkt_trim(p, len): the frame ends after ${len} octets. */
static inline void
pkt_trim(struct pkt *p, uint32_t len)
{
	if (len < p->len)
		p->len = len;
}

/** pkt_count(p), pkt_octets(p): what ${p} counts as, with all the packets a super-frame stands for. */
static inline uint32_t pkt_count(const struct pkt *p) { return 1u + p->more; }
static inline uint32_t pkt_octets(const struct pkt *p) { return p->len + p->more_octets; }

static inline uint16_t get16(const uint8_t *b) { return (uint16_t)(b[0] << 8 | b[1]); }
static inline uint32_t get32(const uint8_t *b) { return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]; }
static inline void put16(uint8_t *b, uint16_t v) { b[0] = (uint8_t)(v >> 8); b[1] = (uint8_t)v; }
static inline void put32(uint8_t *b, uint32_t v) { put16(b, (uint16_t)(v >> 16)); put16(b + 2, (uint16_t)v); }
static inline void put64(uint8_t *b, uint64_t v) { put32(b, (uint32_t)(v >> 32)); put32(b + 4, (uint32_t)v); }

#endif
