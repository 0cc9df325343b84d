#include "stats.h"

_Static_assert(
    sizeof(struct stats) % sizeof(uint64_t) == 0, "struct stats is counters and nothing else");

void
stats_sum(struct stats *to, const struct stats *from)
{
	uint64_t *t = (uint64_t *)to;
	const uint64_t *f = (const uint64_t *)from;

	for (unsigned i = 0; i < sizeof *to / sizeof *t; i++)
		t[i] += __atomic_load_n(&f[i], __ATOMIC_RELAXED);
}
