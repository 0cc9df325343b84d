/*
 * The pool: all slots in one piece of memory, a stack of free ones through pkt->next.  A free slot is poisoned where
 * AddressSanitizer watches, so that a packet used after pkt_free() is caught; freeing one twice aborts.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "pkt.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif
#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#define slot_hide(p) __asan_poison_memory_region((p)->slot, (p)->size)
#define slot_show(p) __asan_unpoison_memory_region((p)->slot, (p)->size)
#else
#define slot_hide(p) ((void)(p))
#define slot_show(p) ((void)(p))
#endif

#define CACHE_LINE 64
#define HUGE_PAGE  (2u << 20)
#define OFF_FREE   UINT32_MAX /* pkt->off of a packet that lies in the pool */

struct pktpool {
	struct pkt *free;
	unsigned left, count;
	struct pkt *pkts;
	uint8_t *memory;
};

struct pktpool *
pktpool_new(unsigned count, uint32_t frame)
{
	size_t size = ((size_t)PKT_HEADROOM + frame + PKT_TAILROOM + CACHE_LINE - 1) / CACHE_LINE *
		      CACHE_LINE;
	struct pktpool *pool;
	uint8_t *slot;

	if (count == 0 || frame == 0 || frame > PKT_FRAME_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if ((pool = calloc(1, sizeof *pool)) == NULL)
		goto err;
	if ((pool->pkts = calloc(count, sizeof *pool->pkts)) == NULL)
		goto err;
	/* One line more, to begin on a line's start; calloc() hands out untouched pages, so an unused slot costs nothing. */
	if ((pool->memory = calloc((size_t)count + 1, size)) == NULL)
		goto err;
	/* A slot is 16 pages, and each a miss of the TLB, a dear one under a hypervisor; without huge ones all is the same. */
	if (size * count >= HUGE_PAGE)
		(void)madvise(pool->memory + (HUGE_PAGE - (uintptr_t)pool->memory % HUGE_PAGE),
		    size * count - HUGE_PAGE, MADV_HUGEPAGE);
	slot = pool->memory + (CACHE_LINE - (uintptr_t)pool->memory % CACHE_LINE) % CACHE_LINE;
	pool->count = count;
	for (unsigned i = count; i-- > 0;) {
		struct pkt *p = &pool->pkts[i];

		p->slot = slot + i * size;
		p->size = (uint32_t)size;
		pkt_free(pool, p);
	}
	return pool;
err:
	pktpool_free(pool);
	errno = ENOMEM;
	return NULL;
}

void
pktpool_free(struct pktpool *pool)
{
	if (pool == NULL)
		return;
	for (unsigned i = 0; i < pool->count; i++)
		slot_show(&pool->pkts[i]);
	free(pool->memory);
	free(pool->pkts);
	free(pool);
}

/* A free slot, with everything but the octets as in ${like}. */
static inline struct pkt *
pool_take(struct pktpool *pool, const struct pkt *like)
{
	struct pkt *p = pool->free;
	uint8_t *slot;
	uint32_t size;

	if (p == NULL)
		return NULL;
	pool->free = p->next;
	pool->left--;
	slot = p->slot;
	size = p->size;
	*p = *like;
	p->slot = slot;
	p->size = size;
	p->off = PKT_HEADROOM;
	p->len = 0;
	p->next = NULL;
	slot_show(p);
	return p;
}

struct pkt *
pkt_new(struct pktpool *pool)
{
	static const struct pkt empty;

	return pool_take(pool, &empty);
}

struct pkt *
pkt_like(struct pktpool *pool, const struct pkt *p)
{
	return pool_take(pool, p);
}

void
pkt_free(struct pktpool *pool, struct pkt *p)
{
	if (p->off == OFF_FREE)
		abort();
	p->off = OFF_FREE;
	p->next = pool->free;
	pool->free = p;
	pool->left++;
	slot_hide(p);
}

unsigned
pktpool_left(const struct pktpool *pool)
{
	return pool->left;
}
