/*
 * Link addresses of tunnels' next hops: an immutable snapshot that the control thread makes from the host's route and
 * neighbour tables, swapped like a generation.
 */
#ifndef BITS_NEXTHOP_H
#define BITS_NEXTHOP_H

#include <stddef.h>
#include <stdint.h>
#include "addr.h"

struct nexthop {
	struct ipaddr dst;     /* destination of an outer header */
	uint8_t mac[6];
};

/* Opaque types. */
struct nexthops;

/** nexthops_new(list, n): a snapshot of ${n} known next hops.  NULL and ENOMEM. */
struct nexthops *nexthops_new(const struct nexthop *list, size_t n);
void nexthops_free(struct nexthops *t);

/** nexthops_find(t, dst): the 6 octets of link address to use for ${dst}, or NULL: not known (yet).  Workers. */
const uint8_t *nexthops_find(const struct nexthops *t, const struct ipaddr *dst);

#endif
