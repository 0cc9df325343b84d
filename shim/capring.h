/*
 * Captured packets on their way from a worker to ipsecctl: a ring in shared memory.  One writer, which never waits: what finds no room is
 * counted as lost.  One reader, which nothing in the ring can lead outside of it; what it writes there the writer does not trust either.
 */
#ifndef BITS_CAPRING_H
#define BITS_CAPRING_H

#include "capture.h"

#define CAPRING_MAGIC 0x62637031u
#define CAPRING_DATA  (8u << 20) /* octets of packets, a power of two */

struct capring {
	uint32_t magic, size;
	_Alignas(64) uint64_t head; /* octets ever written; the writer's */
	uint64_t lost;              /* packets that found no room, or were too many */
	_Alignas(64) uint64_t tail; /* octets ever read; the reader's */
	_Alignas(64) uint8_t data[CAPRING_DATA];
};

/** capring_begin(r): an empty ring in zeroed memory. */
void capring_begin(struct capring *r);

/** capring_put(r, head, rec, octets): writer's end; ${head} is its own copy of r->head.  false: no room, counted. */
bool capring_put(struct capring *r, uint64_t *head, const struct capture_rec *rec, const uint8_t *octets);

/** capring_skip(r, n): ${n} packets more were lost.  Writer's end. */
void capring_skip(struct capring *r, uint64_t n);

/** capring_get(r, rec, octets, cap): reader's end: the oldest record, and at most ${cap} octets of its frame.  1; 0: there is none now; -1: the
 * ring is damaged. */
int capring_get(struct capring *r, struct capture_rec *rec, uint8_t *octets, uint32_t cap);

/** capring_lost(r): until now. */
uint64_t capring_lost(const struct capring *r);

#endif
