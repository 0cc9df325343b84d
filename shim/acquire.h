/*
 * SAs that are wanted and not there yet (RFC 4301 5.1 step 3b): one request for each set of selectors, and the first packets of `type
 * acquire` rules, which wait for the answer.
 *
 * A request has the rule's selectors, and the packet's value for each that has a PFP flag (4.4.1.2).  It is told once, by an EV_ACQUIRE event;
 * for ACQUIRE_MS nobody is asked the same again, and so long its packets wait.  Any new policy or SA is a new generation, and then they
 * all meet policy again, before what the host sends next: they find their SA, or wait on, or go by what the rules say now.
 *
 * Everything is bounded: requests, packets of one, packets in all.  What finds no room is dropped as acquire_full, what has waited too
 * long as acquire_timeout.  One worker's own: of several that want the same, each asks once.
 */
#ifndef BITS_ACQUIRE_H
#define BITS_ACQUIRE_H

#include <stdint.h>
#include "pkt.h"

#define ACQUIRE_MS	5000
#define ACQUIRE_MAX	64  /* requests under way */
#define ACQUIRE_PACKETS 16  /* that wait for one */
#define ACQUIRE_HELD	256 /* in all */

/* Opaque types. */
struct acquire;
struct walk;

/** acquire_new(): NULL and ENOMEM.  acquire_free(a, pool): gives held packets back to ${pool}. */
struct acquire *acquire_new(void);
void acquire_free(struct acquire *a, struct pktpool *pool);

/** acquire_held(a): packets that wait, for the books. */
unsigned acquire_held(const struct acquire *a);

/**
 * acquire_ask(w, p, src, dst, step):
 * ${p} has met its rule (p->policy), whose step ${step} wants an SA from ${src} (af 0: whichever) to ${dst}.  Asks for it where nobody has lately.
 * DROP_HELD: the packet waits here now; NO_SA: its rule lets none wait; ACQUIRE_FULL.
 */
enum drop acquire_ask(struct walk *w, struct pkt *p, const struct ipaddr *src, const struct ipaddr *dst, unsigned step);

/** acquire_again(w, b): up to a burst of packets that have to meet policy again, or have waited too long (their drop says so), out of the
 * queue into ${b}, which is empty; b->n 0: none. */
void acquire_again(struct walk *w, struct burst *b);

/** acquire_left(a, now): ms until acquire_again() has something to drop; -1: nothing waits. */
int acquire_left(const struct acquire *a, uint64_t now);

/** acquire_selectors(p, k, sel): what an SA for outbound packet ${k} under rule ${p} would be for; ${sel} has source and destination as that SA
 * sends them. */
void acquire_selectors(const struct policy *p, const struct flowkey *k, struct sa_selector *sel);

#endif
