/*
 * A small hash map from 32-bit hashes to the places of things in some array: for set operations of the control thread over many
 * rules and SAs.  What is equal is for the caller to say: it gets every place that was put under the same hash.
 */
#ifndef BITS_IDMAP_H
#define BITS_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap {
	struct idmap_slot { uint32_t hash, place1; } *slot; /* place1: place + 1, 0: free */
	size_t mask;
};

/** idmap_init(m, n): room for ${n} places; 0, or -1 and ENOMEM. */
int idmap_init(struct idmap *m, size_t n);
void idmap_fini(struct idmap *m);

/** idmap_put(m, hash, place): at most as often as idmap_init() was told. */
void idmap_put(struct idmap *m, uint32_t hash, size_t place);

/** idmap_each(m, hash, pos): places under ${hash} in the order they were put; *${pos} starts at 0.  -1: no more. */
long idmap_each(const struct idmap *m, uint32_t hash, size_t *pos);

/** idmap_hash(h, octets, n): hash going on from ${h} (start with IDMAP_SEED).  Not keyed: only for what the operator writes. */
uint32_t idmap_hash(uint32_t h, const void *octets, size_t n);
#define IDMAP_SEED 2166136261u

#endif
