/*
 * Cutting a super-frame into the packets it stands for.
 *
 * A host whose NIC segments for it, a veth peer with offloads on, or a NIC that merges (GRO), hands up to 64 KB of TCP or UDP
 * payload behind one header.  What goes to a wire, or through a transform, is segments of gso_size octets of payload, each with
 * lengths, IPv4 ID, sequence number, flags and checksums of its own.
 */
#ifndef BITS_SEGMENT_H
#define BITS_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include "pkt.h"

struct segment {
	const uint8_t *frame;  /* the caller's, untouched until the last segment is out */
	uint32_t len;
	uint32_t l3, l4, hlen; /* offsets of IP, TCP or UDP, payload */
	uint32_t next;         /* offset of the payload not yet given out */
	uint32_t size;         /* octets of payload of a segment; the caller may change it before the first */
	uint32_t index;        /* of the next segment, from 0 */
	uint8_t af, proto;
	bool encap;            /* inbound: ESP in UDP, which is checked by its ICV and goes no further, gets no checksum; IKE among it does */
};

/**
 * segment_begin(s, frame, len, v):
 * ${frame} is a super-frame as ${v} says.  DROP_NONE; or EDGE_ERROR for what cannot be cut here: other than TCP and UDP, a tunnel
 * (the checksum begins at an inner header), an IPv6 routing header, nonsense.
 */
enum drop segment_begin(struct segment *s, const uint8_t *frame, uint32_t len, const struct vnet *v);

/** segment_left(s): number of segments left. */
uint32_t segment_left(const struct segment *s);

/** segment_more(s): is there a segment left? */
bool segment_more(const struct segment *s);

/** segment_next(s, p): the next segment into the empty packet ${p}; p->drop is NO_ROOM when it is too small. */
void segment_next(struct segment *s, struct pkt *p);

/** segment_count(p): for an edge that has read the super-frame ${p}: what it counts as.  DROP_NONE, or EDGE_ERROR as segment_begin(). */
enum drop segment_count(struct pkt *p);

#endif
