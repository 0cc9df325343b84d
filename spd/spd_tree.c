#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bigmem.h"
#include "spd_cut.h"
#include "spd_tree.h"

#define DEPTH_MAX 32

struct build {
	struct tree *t;
	const struct tree_box *boxes;
	size_t node_room, list_room;
	struct cut_scratch scratch;
};

/* ${n} nodes in a row; the number of the first, SIZE_MAX and ENOMEM. */
static size_t
nodes_new(struct build *b, size_t n)
{
	struct tree *t = b->t;
	size_t first = t->nodes;

	if (first + n > b->node_room) {
		size_t room = (first + n) * 2;
		struct tree_node *node = realloc(t->node, room * sizeof *node);

		if (node == NULL)
			return SIZE_MAX;
		t->node = node;
		b->node_room = room;
	}
	t->nodes += n;
	return first;
}

/*
 * How much is to be expected of dimension ${dim} as a leaf's filter: the part of all values, and of those near the boxes, that
 * they let through, summed up.  The less, the better.
 */
static double
filter_judge(const struct build *b, const uint32_t *ids, size_t n, const struct box *space, int dim,
    uint64_t *from, uint64_t *to)
{
	double wide = 0, through = 0, all = (double)(space->hi[dim] - space->lo[dim]) + 1;

	*from = UINT64_MAX;
	*to = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t lo, hi;

		if (!tree_clip(&b->boxes[ids[i]].box, space, dim, &lo, &hi)) {
			through += 2;
			continue;
		}
		*from = lo < *from ? lo : *from;
		*to = hi > *to ? hi : *to;
		wide += (double)(hi - lo) + 1;
	}
	return *from > *to ? through : through + wide / all + wide / ((double)(*to - *from) + 1);
}

static void
filter_make(const struct build *b, struct tree_node *leaf, const struct box *space)
{
	uint64_t from = 0, to = 0, f, t;
	double least = 0;

	for (int d = 0; d < DIMS; d++) {
		double through = filter_judge(b, leaf->box, leaf->n, space, d, &f, &t);

		if (f > t || (from <= to && least != 0 && through >= least))
			continue;
		least = through;
		leaf->dim = (uint8_t)d;
		from = f;
		to = t;
	}
	while ((to >> leaf->shift) - (from >> leaf->shift) >= TREE_OUTSIDE)
		leaf->shift++;
	leaf->base = from >> leaf->shift;
	for (unsigned i = 0; i < TREE_INLINE; i++) {
		if (i >= leaf->n) {
			leaf->from[i] = 1;
			leaf->to[i] = 0;
		} else if (tree_clip(&b->boxes[leaf->box[i]].box, space, leaf->dim, &f, &t)) {
			leaf->from[i] = (uint8_t)((f >> leaf->shift) - leaf->base);
			leaf->to[i] = (uint8_t)((t >> leaf->shift) - leaf->base);
		} else {
			leaf->from[i] = 0;
			leaf->to[i] = TREE_OUTSIDE;
		}
	}
}

static int
leaf_make(struct build *b, size_t at, const uint32_t *ids, size_t n, const struct box *space)
{
	struct tree *t = b->t;
	struct tree_node leaf = {.best = n ? ids[0] : TREE_NOBOX, .leaf = 1};

	if (n <= TREE_INLINE) {
		leaf.n = (uint16_t)n;
		memcpy(leaf.box, ids, n * sizeof *ids);
		filter_make(b, &leaf, space);
		t->node[at] = leaf;
		return 0;
	}
	if (t->listed + n + 1 > b->list_room) {
		size_t room = (t->listed + n + 1) * 2;
		uint32_t *list = realloc(t->list, room * sizeof *list);

		if (list == NULL)
			return -1;
		t->list = list;
		b->list_room = room;
	}
	leaf.n = TREE_INLINE + 1;
	leaf.first = (uint32_t)t->listed;
	t->list[t->listed] = (uint32_t)n;
	memcpy(&t->list[t->listed + 1], ids, n * sizeof *ids);
	t->listed += n + 1;
	t->node[at] = leaf;
	return 0;
}

/* Boxes behind one that fills ${space} can never be the first that matches there: how many are left. */
static size_t
hide(const struct build *b, const uint32_t *ids, size_t n, const struct box *space)
{
	for (size_t i = 0; i < n; i++) {
		const struct tree_box *box = &b->boxes[ids[i]];
		int d = 0;

		while (d < DIMS && box->box.lo[d] <= space->lo[d] && box->box.hi[d] >= space->hi[d])
			d++;
		if (d == DIMS && box->exact)
			return i + 1;
	}
	return n;
}

/* The cells ${box} touches, first to last; one that goes through all of ${space} is outside of the cells as well. */
static void
cells_of(const struct box *box, const struct box *space, const struct cut *c, uint32_t *from,
    uint32_t *to)
{
	uint64_t lo, hi;

	*from = 0;
	*to = c->cells;
	if (tree_clip(box, space, c->dim, &lo, &hi)) {
		*from = (uint32_t)((lo >> c->shift) - c->base);
		*to = (uint32_t)((hi >> c->shift) - c->base);
	}
}

/* ${space} of cell ${i}; the one outside of all cells keeps the whole, which is too large but never wrong. */
static struct box
cell_space(const struct box *space, const struct cut *c, uint32_t i)
{
	struct box s = *space;
	uint64_t lo = (c->base + i) << c->shift, hi = lo + ((UINT64_C(1) << c->shift) - 1);

	if (i == c->cells)
		return s;
	s.lo[c->dim] = lo > s.lo[c->dim] ? lo : s.lo[c->dim];
	s.hi[c->dim] = hi < s.hi[c->dim] ? hi : s.hi[c->dim];
	return s;
}

static int node_build(struct build *b, size_t at, uint32_t *ids, size_t n, const struct box *space,
    unsigned depth, size_t budget);

/* Sorts the boxes into the children of ${at} and builds these. */
static int
children_build(struct build *b, size_t at, const uint32_t *ids, size_t n, const struct box *space,
    const struct cut *c, unsigned depth, size_t budget)
{
	size_t first = nodes_new(b, c->cells + 1);
	uint32_t *end = calloc(c->cells + 2, sizeof *end), *sorted = NULL, from, to;
	int rc = -1;

	if (first == SIZE_MAX || end == NULL)
		goto out;
	for (size_t i = 0; i < n; i++) {
		cells_of(&b->boxes[ids[i]].box, space, c, &from, &to);
		for (uint32_t j = from; j <= to; j++)
			end[j + 1]++;
	}
	for (uint32_t j = 0; j <= c->cells; j++)
		end[j + 1] += end[j];
	if ((sorted = malloc((end[c->cells + 1] + 1) * sizeof *sorted)) == NULL)
		goto out;
	for (size_t i = 0; i < n;
	     i++) { /* end[j] grows from the start of child j to its end; order is kept */
		cells_of(&b->boxes[ids[i]].box, space, c, &from, &to);
		for (uint32_t j = from; j <= to; j++)
			sorted[end[j]++] = ids[i];
	}
	b->t->node[at] = (struct tree_node){.best = ids[0],
	    .dim = c->dim,
	    .shift = c->shift,
	    .n = (uint16_t)c->cells,
	    .first = (uint32_t)first,
	    .base = c->base};
	for (uint32_t j = 0; j <= c->cells; j++) {
		struct box s = cell_space(space, c, j);
		uint32_t start = j ? end[j - 1] : 0;

		/* Each child has the share of what it may grow to that it has of the boxes. */
		size_t share =
		    (size_t)((double)budget / (double)c->references * (double)(end[j] - start));

		if (node_build(
			b, first + j, sorted + start, end[j] - start, &s, depth + 1, share) == -1)
			goto out;
	}
	rc = 0;
out:
	free(sorted);
	free(end);
	return rc;
}

static int
node_build(struct build *b, size_t at, uint32_t *ids, size_t n, const struct box *space,
    unsigned depth, size_t budget)
{
	struct cut c;

	n = hide(b, ids, n, space);
	if (n <= TREE_INLINE || depth == DEPTH_MAX)
		return leaf_make(b, at, ids, n, space);
	c = cut_choose(b->boxes, ids, n, space, depth == 0 ? 8 : 4, &b->scratch);
	if (c.cells == 0 || c.references > budget || b->t->nodes > UINT32_MAX - c.cells - 1)
		return leaf_make(b, at, ids, n, space);
	return children_build(b, at, ids, n, space, &c, depth, budget);
}

/* Into a piece of memory of the right size, on cache lines. */
static int
settle(struct tree *t)
{
	struct tree_node *node = bigmem_new(t->nodes * sizeof *t->node);

	if (node == NULL)
		return -1;
	memcpy(node, t->node, t->nodes * sizeof *node);
	free(t->node);
	t->node = node;
	return 0;
}

int
tree_build(struct tree *t, const struct tree_box *boxes, uint32_t *ids, size_t n,
    const struct box *all, size_t budget)
{
	struct build *b = calloc(1, sizeof *b);
	size_t root;
	int rc = -1;

	*t = (struct tree){0};
	if (b == NULL)
		return -1;
	b->t = t;
	b->boxes = boxes;
	if ((root = nodes_new(b, 1)) == SIZE_MAX ||
	    node_build(b, root, ids, n, all, 0, budget) == -1 || settle(t) == -1)
		tree_fini(t);
	else
		rc = 0;
	free(b);
	if (rc == -1)
		errno = ENOMEM;
	return rc;
}

void
tree_fini(struct tree *t)
{
	free(t->node);
	free(t->list);
	*t = (struct tree){0};
}
