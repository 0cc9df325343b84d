/*
 * What both directions of AH (RFC 4302) share: the header's shape, and the octets its ICV covers.
 */
#ifndef BITS_AH_H
#define BITS_AH_H

#include <stdint.h>
#include "crypto.h"
#include "datapath.h"
#include "sa.h"

#define AH_FIXED 12 /* next header, length, reserved, SPI, sequence number */
/* Octets of IP header and extension headers in front of AH that are copied: the largest extension header has 2048. */
#define AH_HEADERS 2560
#define AH_ZEROS 64 /* longest authentication data: IV and ICV */

/** ah_len(sa, c, af): octets of ${sa}'s AH header over IPv4 or IPv6: IV, ICV, and padding to 4 octets or 8 (RFC 4302 2.6). */
uint32_t ah_len(const struct sa *sa, const struct crypto *c, unsigned af);

/**
 * ah_immutable(h, len, af):
 * ${h} is a copy of the IP header and the headers between it and AH, ${len} octets: sets mutable fields to zero and predictable ones to
 * what the destination will see (RFC 4302 3.3.3.1, Appendix A).  DROP_NONE; BAD_HEADER, HEADER_CHAIN when it cannot be walked.
 */
enum drop ah_immutable(uint8_t *h, uint32_t len, unsigned af);

/* The pieces of one packet's ICV; scratch of a burst lives on the worker's stack. */
struct ah_cover {
	uint8_t header[AH_HEADERS];
	uint8_t esn[4];
	struct crypto_iov iov[5];
};

/**
 * ah_cover(cover, j, p, at, c, seq_hi):
 * Makes ${j} the MAC job of ${p}, whose whole AH header stands at offset ${at}: headers with mutable fields zeroed, AH with its
 * authentication data (IV and ICV) zeroed, its padding and everything behind as they are, and the high half of an extended number
 * (RFC 4302 3.3.3.2).
 */
enum drop ah_cover(struct ah_cover *cover, struct crypto_mac_job *j, const struct pkt *p,
    uint32_t at, const struct crypto *c, uint32_t seq_hi);

void ah_seal_transport(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);
void ah_seal_tunnel(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);
void ah_open(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);

#endif
