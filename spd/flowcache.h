/*
 * One worker's memory of decisions: flowkey -> (policy, SAs).  Bounded, never allocates after flowcache_new(), keyed with a
 * random seed so that nobody can make its rows collide; an entry of another generation is never used.
 */
#ifndef BITS_FLOWCACHE_H
#define BITS_FLOWCACHE_H

#include <stddef.h>
#include <stdint.h>
#include "policy.h"

/* Opaque types. */
struct flowcache;

/* A decision. */
struct flow {
	struct policy *policy;               /* NULL: no rule matched: discard */
	struct sa *sa[POLICY_STEPS_MAX];     /* outbound PROTECT: the SA of each step, NULL where there is none yet */
};

/** flowcache_new(entries, seed): room for about ${entries} flows (rounded up to a power of two).  NULL and ENOMEM. */
struct flowcache *flowcache_new(size_t entries, uint64_t seed);
void flowcache_free(struct flowcache *c);

/** flowcache_get(c, k, generation): the decision stored for ${k} under that generation number, or NULL. */
const struct flow *flowcache_get(struct flowcache *c, const struct flowkey *k, uint64_t generation);

/**
 * flowcache_ahead(c, k, n, generation, flow):
 * ${n} keys that are about to be asked for: fetches what flowcache_get() will read into the processor's caches, for all of them beside
 * each other.  What is stored for ${k}[i] goes to ${flow}[i], NULL where nothing is; it counts neither as a hit nor as a use.
 */
void flowcache_ahead(const struct flowcache *c, const struct flowkey *const k[], unsigned n, uint64_t generation,
    const struct flow *flow[]);

/** flowcache_put(c, k, generation, f): remember; may push out another flow.  Returns the stored copy. */
const struct flow *flowcache_put(struct flowcache *c, const struct flowkey *k, uint64_t generation, const struct flow *f);

/** flowcache_stats(c, hits, misses): since flowcache_new(). */
void flowcache_stats(const struct flowcache *c, uint64_t *hits, uint64_t *misses);

#endif
