/*
 * Putting TCP segments (and UDP datagrams) of one burst together before the host gets them, so that its stack works once for many; and ESP in
 * UDP before the wire's.
 *
 * Only what a receiver cannot tell apart from the packets themselves is joined, by the rules Linux's own GRO goes by: one flow, in order,
 * without a gap; equal in all of the link and IP header but length, checksum and a counting ID; for TCP equal acknowledgement, window,
 * flags and options, full segments but for the last, which alone may carry PSH or FIN; right checksums.  Cutting what was
 * joined gives the packets back, octet by octet (but for the ID of packets that may not be fragmented and all had the same
 * one: RFC 6864 gives it no meaning).  Packets of a flow stay in order.  Nothing is kept beyond a burst.
 */
#ifndef BITS_GRO_H
#define BITS_GRO_H

#include <stdbool.h>
#include <stdint.h>
#include "pkt.h"

/* Packets that are handed over as one, through pkt->next; one alone in most. */
struct gro_group {
	struct pkt *first, *last;
	unsigned n;
	uint32_t len;          /* of the super-frame */
	uint32_t size;         /* payload of the first */
	uint32_t seq;          /* TCP: number the next segment has to begin with */
	uint16_t hlen;         /* offset of the payload */
	uint8_t proto;         /* TCP or UDP */
	uint8_t id;            /* enum: how IPv4's ID goes on */
	bool open;             /* may grow */
	bool summed;           /* the first one's checksum was right */
};

struct gro {
	bool udp;              /* join UDP too: the host has said that it takes it */
	unsigned n;
	struct gro_group group[BURST_MAX];
};

/** gro_alone(g, b): each packet whose drop is NONE is a group of its own. */
void gro_alone(struct gro *g, const struct burst *b);

/** gro_burst(g, b): sorts those packets of ${b} (classified) whose drop is NONE into groups, in the order of their first packets. */
void gro_burst(struct gro *g, const struct burst *b);

/**
 * gro_encap_burst(g, b):
 * The same for the wire: joins ESP in UDP (pkt->encap) of one length, which the NIC or the kernel then cuts again (UDP GSO): the same packets,
 * but that each has a UDP checksum, and IDs that count where packets may not be fragmented (RFC 6864 gives those no meaning).
 */
void gro_encap_burst(struct gro *g, const struct burst *b);

/** gro_drop(g, d): each packet of ${g} gets that drop. */
void gro_drop(const struct gro_group *g, enum drop d);

#define GRO_HEAD 128 /* longest header of a group: link with two tags, IPv6, TCP with options */

/**
 * gro_head(g, head, v):
 * The g->hlen octets of header of the super-frame that ${g}, which has more than one packet, is, into ${head}, and what is left to do about it.
 * Behind them come the packets' payloads in a row.  The packets stay as they are.
 */
void gro_head(const struct gro_group *g, uint8_t head[static GRO_HEAD], struct vnet *v);

#endif
