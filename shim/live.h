/*
 * Live capture: what a worker does when somebody captures.  Its share of the worker's time is bounded: only so many octets a second are looked at
 * (LIVE_RATE), the rest is counted as lost.  Several workers write into the same rings, one after the other.
 */
#ifndef BITS_LIVE_H
#define BITS_LIVE_H

#include "capring.h"

#define LIVE_TAPS 4         /* captures at the same time */
#define LIVE_SNAP 65550u    /* octets of a frame */
#define LIVE_RATE 100000000 /* octets of frames a second; and a packet counts as LIVE_PACKET more */
#define LIVE_PACKET 256
#define LIVE_BUSY 8 /* so many times less when the worker reads full bursts: at most 5 % of its time (tools/bench/capture.c) */

/* Who captures what. */
struct live_tap {
	struct capring *ring; /* NULL: nobody */
	uint64_t head;        /* of the ring: the writer's */
	unsigned points;
};

/* Opaque types. */
struct live;

/** live_new(taps): for the captures of ${taps}, which stay the caller's and outlive it; only one struct live of them writes at a time.  NULL and ENOMEM. */
struct live *live_new(struct live_tap taps[static LIVE_TAPS]);
void live_free(struct live *l);

/** live_begin(l, w, b, clock): the burst ${b} (NULL: none was read) is about to be walked at w->now: from now on ${w} tells of its packets, unless
 * they are too many.  ${clock}: ns since the epoch, for their stamps; asked only when they are looked at.  live_end(l, w): it is done. */
void live_begin(struct live *l, struct walk *w, const struct burst *b, uint64_t (*clock)(void));
void live_end(struct live *l, struct walk *w);

#endif
