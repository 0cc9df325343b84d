/*
 * An annotated capture: pcapng with an interface for the host's side and one for the wire's, each packet with what was decided about it as its
 * comment.  Wireshark and tshark show it (frame.comment, frame.interface_name).
 */
#ifndef BITS_CAPNOTE_H
#define BITS_CAPNOTE_H

#include <stdio.h>
#include "capture.h"

struct capnote {
	FILE *out;
	uint32_t interfaces;     /* written until now */
	uint32_t number[2][2];   /* by point and enum pkt_link: of the interface, plus 1; 0: not written yet */
	uint64_t got[2];         /* packets by point */
	uint64_t last;           /* time of the newest */
};

/** capnote_begin(n, out, who, host, wire): writes the head; frames of the two sides are mostly of these links.  0, or -1 and errno. */
int capnote_begin(struct capnote *n, FILE *out, const char *who, enum pkt_link host, enum pkt_link wire);

/** capnote_put(n, r, octets): one record.  capnote_end(n, lost): so many more were lost.  0, or -1 and errno. */
int capnote_put(struct capnote *n, const struct capture_rec *r, const uint8_t *octets);
int capnote_end(struct capnote *n, uint64_t lost);

#endif
