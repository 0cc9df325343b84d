#include "bigmem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE ((size_t)64)
#define HUGE ((size_t)1 << 21)

void *
bigmem_new(size_t octets)
{
	size_t align = octets >= HUGE ? HUGE : LINE;
	void *t;

	octets = octets ? (octets + align - 1) & ~(align - 1) : align;
	if ((t = aligned_alloc(align, octets)) == NULL)
		return NULL;
	if (octets >= HUGE)
		(void)madvise(
		    t, octets, MADV_HUGEPAGE); /* without it all is the same, but slower */
	return memset(t, 0, octets);
}
