/*
 * Keeps the worker's next hops fresh: for each destination that an outer header of the SAs in force can have, the link address that
 * the host's own routes and neighbour table give.
 *
 * Looked at anew after each generation, when the host's routes or neighbours change, when a packet found none, and from time to
 * time while one is unknown (backing off) or all are known (so that the kernel keeps them).
 */
#ifndef BITS_NEXTHOP_KEEPER_H
#define BITS_NEXTHOP_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "addr.h"

/* Opaque types. */
struct event_base;
struct nexthop_keeper;
struct shim;

struct nexthop_keeper_env {
	struct event_base *base;
	struct shim *shim;
	/* as neigh_resolve(): 1 known, 0 being looked for, -1 and errno no way there */
	int (*resolve)(void *ctx, const struct ipaddr *dst, uint8_t mac[static 6]);
	void *ctx;
};

/** nexthop_keeper_new(env): NULL and ENOMEM.  nexthop_keeper_free(k): what is published stays. */
struct nexthop_keeper *nexthop_keeper_new(const struct nexthop_keeper_env *env);
void nexthop_keeper_free(struct nexthop_keeper *k);

/** nexthop_keeper_retarget(k): another generation is in force. */
void nexthop_keeper_retarget(struct nexthop_keeper *k);

/** nexthop_keeper_look(k): something changed: look within some milliseconds (many changes make one look). */
void nexthop_keeper_look(struct nexthop_keeper *k);

/** nexthop_keeper_mac(k, dst, mac): the link address known for ${dst}; false: none is. */
bool nexthop_keeper_mac(const struct nexthop_keeper *k, const struct ipaddr *dst, uint8_t mac[static 6]);

/** nexthop_keeper_counts(k, known, wanted): for `-s nic`. */
void nexthop_keeper_counts(const struct nexthop_keeper *k, size_t *known, size_t *wanted);

#endif
