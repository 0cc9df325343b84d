/*
 * Looking a little longer before going to sleep: after a burst the next is often some microseconds away, and to be woken up costs more than that,
 * most of all where the processor falls asleep meanwhile or a hypervisor stands in between.
 *
 * How much may be lost by it is bounded: looks that find nothing take a LINGER_SHARE'th of the time at most, whatever the traffic is; ones that
 * find something cost nothing.  Without packets there is neither a look nor a wake-up, and no packet waits for anything.
 */
#ifndef BITS_LINGER_H
#define BITS_LINGER_H

#include <stdbool.h>
#include <stdint.h>

#define LINGER_NS    UINT64_C(30000)  /* of one look */
#define LINGER_SHARE 20
#define LINGER_MAX   (8 * LINGER_NS)  /* fruitless looks in a row after a long rest */

/* All zero: never looks longer. */
struct linger {
	bool on;
	uint64_t then;   /* ns, when ${credit} was reckoned */
	uint64_t credit; /* ns that may be lost */
};

/** linger_begin(l, now): may we look longer, at ${now} (ns, monotonic)?  A look that finds nothing
 * ends with linger_lost(). */
bool linger_begin(struct linger *l, uint64_t now);

/** linger_over(since, now): a look that began at ${since} found nothing until ${now}: is it to end? */
static inline bool
linger_over(uint64_t since, uint64_t now)
{
	return now - since >= LINGER_NS;
}

/** linger_lost(l): a look was for nothing. */
void linger_lost(struct linger *l);

#endif
