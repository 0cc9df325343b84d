/*
 * Eight-way buckets.  A bucket's line holds tags (a piece of the hash) and the time of last use of its ways; keys and
 * decisions lie beside, so a miss touches one line and a hit three.  The place comes from a seeded hash of the key and of
 * nothing else; work per call is bounded by the eight ways, whatever keys are chosen.
 *
 * What is pushed out is the flow unused for longest, entries of an old generation first; so a flood of new flows takes the
 * places of its own kind before those of a flow in use.
 */
#include <errno.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "flowcache.h"

#define WAYS	   8
#define CACHE_LINE 64

struct bucket {
	_Alignas(CACHE_LINE) uint32_t tag[WAYS]; /* 0: empty */
	uint32_t used[WAYS];			 /* cache->clock when it was last asked for */
};

struct entry {
	_Alignas(CACHE_LINE) struct flowkey key;
	uint64_t generation;
	struct flow flow;
};
_Static_assert(sizeof(struct bucket) == CACHE_LINE, "tags and times of a bucket are one line");
_Static_assert(offsetof(struct entry, flow) == CACHE_LINE, "what a lookup compares is one line");

struct flowcache {
	struct bucket *bucket;
	struct entry *entry; /* WAYS for each bucket */
	size_t mask;	     /* of bucket numbers */
	uint64_t seed;
	uint64_t hits, misses;
	uint32_t clock;
};

struct flowcache *
flowcache_new(size_t entries, uint64_t seed)
{
	struct flowcache *c = calloc(1, sizeof *c);
	size_t buckets = 1;

	if (c == NULL)
		return NULL;
	while (buckets * WAYS < entries && buckets < SIZE_MAX / (2 * WAYS * sizeof(struct entry)))
		buckets *= 2;
	c->mask = buckets - 1;
	c->seed = seed;
	c->bucket = aligned_alloc(CACHE_LINE, buckets * sizeof *c->bucket);
	c->entry = aligned_alloc(CACHE_LINE, buckets * WAYS * sizeof *c->entry);
	if (c->bucket == NULL || c->entry == NULL) {
		flowcache_free(c);
		errno = ENOMEM;
		return NULL;
	}
	memset(c->bucket, 0,
	    buckets * sizeof *c->bucket); /* an entry is not read before its tag is set */
	return c;
}

void
flowcache_free(struct flowcache *c)
{
	if (c == NULL)
		return;
	free(c->bucket);
	free(c->entry);
	free(c);
}

/* Bucket number by the low half, tag by the high one. */
static inline size_t
place(const struct flowcache *c, const struct flowkey *k, uint32_t *tag)
{
	uint64_t h = XXH3_64bits_withSeed(k, sizeof *k, c->seed);

	*tag = (uint32_t)(h >> 32) | 1;
	return (size_t)h & c->mask;
}

/* The worker writes, anyone reads. */
static inline void
count(uint64_t *c)
{
	__atomic_store_n(c, *c + 1, __ATOMIC_RELAXED);
}

/* The way of bucket ${n} that holds ${k}, or NULL. */
static inline struct entry *
find(
    const struct flowcache *c, size_t n, uint32_t tag, const struct flowkey *k, uint64_t generation)
{
	const struct bucket *b = &c->bucket[n];

	for (unsigned i = 0; i < WAYS; i++) {
		struct entry *e = &c->entry[n * WAYS + i];

		if (b->tag[i] == tag && e->generation == generation &&
		    memcmp(&e->key, k, sizeof *k) == 0)
			return e;
	}
	return NULL;
}

const struct flow *
flowcache_get(struct flowcache *c, const struct flowkey *k, uint64_t generation)
{
	uint32_t tag;
	size_t n = place(c, k, &tag);
	const struct entry *e = find(c, n, tag, k, generation);

	c->clock++;
	if (e == NULL) {
		count(&c->misses);
		return NULL;
	}
	c->bucket[n].used[(size_t)(e - c->entry) % WAYS] = c->clock;
	count(&c->hits);
	return &e->flow;
}

void
flowcache_ahead(const struct flowcache *c, const struct flowkey *const k[], unsigned n,
    uint64_t generation, const struct flow *flow[])
{
	enum { MANY = 64 };
	size_t at[MANY];
	uint32_t tag[MANY];

	for (; n > MANY; n -= MANY, k += MANY, flow += MANY)
		flowcache_ahead(c, k, MANY, generation, flow);
	for (unsigned i = 0; i < n; i++) {
		at[i] = place(c, k[i], &tag[i]);
		__builtin_prefetch(&c->bucket[at[i]]);
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned way = 0; way < WAYS; way++)
			if (c->bucket[at[i]].tag[way] == tag[i]) {
				__builtin_prefetch(&c->entry[at[i] * WAYS + way].key);
				__builtin_prefetch(&c->entry[at[i] * WAYS + way].flow);
			}
	for (unsigned i = 0; i < n; i++) {
		const struct entry *e = find(c, at[i], tag[i], k[i], generation);

		flow[i] = e ? &e->flow : NULL;
	}
}

/* The way ${k} goes to: its own, else an empty one, else one of another generation, else the one unused for longest. */
static unsigned
victim(
    const struct flowcache *c, size_t n, uint32_t tag, const struct flowkey *k, uint64_t generation)
{
	const struct bucket *b = &c->bucket[n];
	const struct entry *e = &c->entry[n * WAYS];
	uint64_t worst = 0;
	unsigned way = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t badness;

		if (b->tag[i] == tag && memcmp(&e[i].key, k, sizeof *k) == 0)
			return i;
		if (b->tag[i] == 0)
			badness = UINT64_MAX;
		else if (e[i].generation != generation)
			badness = UINT64_MAX - 1;
		else
			badness =
			    (uint32_t)(c->clock -
				       b->used[i]); /* right also when the clock has wrapped */
		if (badness > worst) {
			worst = badness;
			way = i;
		}
	}
	return way;
}

const struct flow *
flowcache_put(
    struct flowcache *c, const struct flowkey *k, uint64_t generation, const struct flow *f)
{
	uint32_t tag;
	size_t n = place(c, k, &tag);
	unsigned way = victim(c, n, tag, k, generation);
	struct entry *e = &c->entry[n * WAYS + way];

	c->bucket[n].tag[way] = tag;
	c->bucket[n].used[way] = c->clock;
	e->key = *k;
	e->generation = generation;
	e->flow = *f;
	return &e->flow;
}

void
flowcache_stats(const struct flowcache *c, uint64_t *hits, uint64_t *misses)
{
	*hits = __atomic_load_n(&c->hits, __ATOMIC_RELAXED);
	*misses = __atomic_load_n(&c->misses, __ATOMIC_RELAXED);
}
