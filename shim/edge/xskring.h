/*
 * A ring of AF_XDP: two numbers, counted through, and entries between them.  One side writes entries and the producer, the other reads entries and
 * writes the consumer; here each ring is used from one side by one thread.  What is between the two belongs to the consumer.
 */
#ifndef BITS_XSKRING_H
#define BITS_XSKRING_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/if_xdp.h>

struct xskring {
	uint32_t *producer, *consumer, *flags; /* shared with the kernel */
	void *entry; /* struct xdp_desc of packets, uint64_t of free memory */
	uint32_t size; /* a power of two */
};

/** xskring_ready(r): entries for us, who consume. */
static inline uint32_t
xskring_ready(const struct xskring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - *r->consumer;
}

/** xskring_room(r): entries that we, who produce, may write. */
static inline uint32_t
xskring_room(const struct xskring *r)
{
	return r->size - (*r->producer - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE));
}

/** xskring_taken(r): have all entries that we produced been consumed? */
static inline bool
xskring_taken(const struct xskring *r)
{
	return __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE) == *r->producer;
}

/** xskring_out(r, i), xskring_in(r, i): the place of the ${i}th entry to consume, to produce.  The latter two of a ring of free memory. */
static inline const struct xdp_desc *
xskring_out(const struct xskring *r, uint32_t i)
{
	return (const struct xdp_desc *)r->entry + ((*r->consumer + i) & (r->size - 1));
}

static inline struct xdp_desc *
xskring_in(const struct xskring *r, uint32_t i)
{
	return (struct xdp_desc *)r->entry + ((*r->producer + i) & (r->size - 1));
}

static inline uint64_t
xskring_out_addr(const struct xskring *r, uint32_t i)
{
	return ((const uint64_t *)r->entry)[(*r->consumer + i) & (r->size - 1)];
}

static inline void
xskring_in_addr(const struct xskring *r, uint32_t i, uint64_t addr)
{
	((uint64_t *)r->entry)[(*r->producer + i) & (r->size - 1)] = addr;
}

/** xskring_consume(r, n), xskring_produce(r, n): the first ${n} are done with, are the other side's. */
static inline void
xskring_consume(const struct xskring *r, uint32_t n)
{
	__atomic_store_n(r->consumer, *r->consumer + n, __ATOMIC_RELEASE);
}

static inline void
xskring_produce(const struct xskring *r, uint32_t n)
{
	__atomic_store_n(r->producer, *r->producer + n, __ATOMIC_RELEASE);
}

/** xskring_sleeps(r): the other side has to be woken up by a system call. */
static inline bool
xskring_sleeps(const struct xskring *r)
{
	return __atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

#endif
