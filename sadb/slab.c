#include "slab.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE	   ((size_t)4096)
#define HUGE	   ((size_t)1 << 21)
#define FIRST	   ((size_t)1 << 15)
#define LARGEST	   ((size_t)1 << 13) /* above that malloc() does as well */
#define SIZES	   (LARGEST / SLAB_LINE + 1)
#define LINES(n)   (((n) + SLAB_LINE - 1) / SLAB_LINE)
#define OCTETS(of) (LINES(of) * SLAB_LINE)

/* Each piece by itself where AddressSanitizer watches, so that it sees leaks, overruns and what is used after it was given back. */
#if defined(__SANITIZE_ADDRESS__)
#define PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIN 1
#endif
#endif
#ifndef PLAIN
#define PLAIN 0
#endif

/* A piece nobody has, in its first octets. */
struct piece {
	struct piece *next;
};

/* Blocks are reached through their pieces only. */
static struct {
	pthread_mutex_t lock;
	struct piece *free[SIZES]; /* by lines */
	char *at;		   /* what is left of the newest block */
	size_t left, block;
} slab = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A new block, twice as large as the one before.  What is left of that one is too little, and is lost. */
static int
grow(void)
{
	size_t size = slab.block == 0 ? FIRST : slab.block < HUGE ? 2 * slab.block : HUGE;
	char *block = aligned_alloc(size < HUGE ? PAGE : HUGE, size);

	if (block == NULL)
		return -1;
	if (size == HUGE)
		(void)madvise(block, size, MADV_HUGEPAGE);
	(void)madvise(block, size, MADV_DONTDUMP); /* keys will lie there */
	slab.at = block;
	slab.left = slab.block = size;
	return 0;
}

void *
slab_new(size_t octets)
{
	size_t n = OCTETS(octets);
	void *p = NULL;

	if (PLAIN || n > LARGEST || n == 0) {
		p = aligned_alloc(SLAB_LINE, n == 0 ? SLAB_LINE : n);
		return p != NULL ? memset(p, 0, n) : NULL;
	}
	pthread_mutex_lock(&slab.lock);
	if (slab.free[LINES(n)] != NULL) {
		p = slab.free[LINES(n)];
		slab.free[LINES(n)] = slab.free[LINES(n)]->next;
	} else if (slab.left >= n || grow() == 0) {
		p = slab.at;
		slab.at += n;
		slab.left -= n;
	}
	pthread_mutex_unlock(&slab.lock);
	return p != NULL ? memset(p, 0, n) : NULL;
}

void
slab_free(void *p, size_t octets)
{
	size_t n = OCTETS(octets);
	struct piece *piece = p;

	if (p == NULL)
		return;
	if (PLAIN || n > LARGEST || n == 0) {
		free(p);
		return;
	}
	pthread_mutex_lock(&slab.lock);
	piece->next = slab.free[LINES(n)];
	slab.free[LINES(n)] = piece;
	pthread_mutex_unlock(&slab.lock);
}
