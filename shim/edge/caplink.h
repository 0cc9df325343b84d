/*
 * Link headers of capture files.  The walk knows Ethernet and bare IP; what else a capture may have is taken for one of the two
 * when read, and made again when written.
 */
#ifndef BITS_CAPLINK_H
#define BITS_CAPLINK_H

#include <stdint.h>
#include "pkt.h"

#define CAPLINK_HEAD_MAX 20

/* What stands before a frame's payload: ${cut} octets of it go, the first ${n} of ${head} come in their place. */
struct caplink {
	uint32_t cut, n;
	uint8_t head[CAPLINK_HEAD_MAX];
};

/** caplink_pkt(linktype): how the walk sees frames of LINKTYPE_* ${linktype} (capfile.h); -1: it cannot. */
int caplink_pkt(int linktype);

/** caplink_in(linktype, frame, len, l): from a file to the walk.  DROP_NONE, TRUNCATED (shorter than its link header) or BAD_HEADER (holds
 * neither IP nor what has an EtherType). */
enum drop caplink_in(int linktype, const uint8_t *frame, uint32_t len, struct caplink *l);

/** caplink_out(linktype, p, l): from the walk to a file.  0; -1: ${p} cannot stand in such a file. */
int caplink_out(int linktype, const struct pkt *p, struct caplink *l);

#endif
