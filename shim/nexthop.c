/* Open addressing, at most half full; a snapshot never changes, so there is nothing to delete. */
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "nexthop.h"

struct nexthops {
	size_t mask;
	struct nexthop row[]; /* dst.af 0: empty */
};

static size_t
row_of(const struct ipaddr *dst)
{
	return (size_t)XXH3_64bits(dst, sizeof *dst);
}

/* The row of ${dst}, or the empty one where it would be. */
static size_t
probe(const struct nexthops *t, const struct ipaddr *dst)
{
	size_t i = row_of(dst) & t->mask;

	while (t->row[i].dst.af != 0 && !ipaddr_eq(&t->row[i].dst, dst))
		i = (i + 1) & t->mask;
	return i;
}

struct nexthops *
nexthops_new(const struct nexthop *list, size_t n)
{
	struct nexthops *t;
	size_t rows = 2;

	while (rows < 2 * n)
		rows *= 2;
	if ((t = calloc(1, sizeof *t + rows * sizeof *t->row)) == NULL)
		return NULL;
	t->mask = rows - 1;
	for (size_t i = 0; i < n; i++)
		if (list[i].dst.af != 0)
			t->row[probe(t, &list[i].dst)] = list[i];
	return t;
}

void
nexthops_free(struct nexthops *t)
{
	free(t);
}

const uint8_t *
nexthops_find(const struct nexthops *t, const struct ipaddr *dst)
{
	const struct nexthop *row = &t->row[probe(t, dst)];

	return dst->af != 0 && row->dst.af != 0 ? row->mac : NULL;
}
