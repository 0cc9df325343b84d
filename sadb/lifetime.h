/*
 * Lifetimes of an SA (RFC 4301 4.4.2.1): packets, octets, seconds; soft and hard; whichever comes first.
 */
#ifndef BITS_LIFETIME_H
#define BITS_LIFETIME_H

#include <stdbool.h>
#include <stdint.h>

struct lifetime {   /* 0: no such limit */
	uint64_t packets;
	uint64_t octets;
	uint64_t ms;    /* since the SA was added */
};

/** lifetime_set(l): is there any limit in ${l}? */
bool lifetime_set(const struct lifetime *l);

/** lifetime_over(l, packets, octets, age_ms): has any limit of ${l} been reached? */
bool lifetime_over(const struct lifetime *l, uint64_t packets, uint64_t octets, uint64_t age_ms);

#endif
