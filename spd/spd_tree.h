/*
 * A decision tree over boxes.  Built once, then read only.
 */
#ifndef BITS_SPD_TREE_H
#define BITS_SPD_TREE_H

#include <stddef.h>
#include <stdint.h>
#include "spd_dims.h"

#define TREE_INLINE 8 /* boxes a leaf holds without a list beside it */
#define TREE_NOBOX  UINT32_MAX

/*
 * One cache line.  An inner node cuts dimension ${dim} into ${n} cells of 2^shift, from ${base} << shift on; a value outside of
 * them goes to child ${n}.  So a step down costs one line, that of the child.
 *
 * A leaf holds the numbers of its boxes and, so that most of them need not be looked at, where they lie in one more dimension,
 * ${dim}, measured in cells likewise: box i in those from ${from}[i] to ${to}[i].  TREE_OUTSIDE stands for all values
 * that are not in the first 255 cells; boxes that go all the way hold it too.
 */
struct tree_node {
	uint32_t best;         /* the lowest box number below; TREE_NOBOX: empty */
	uint16_t n;            /* cells; boxes (TREE_INLINE + 1: their number begins the list) */
	uint8_t dim;           /* enum spd_dim */
	uint8_t shift : 6, leaf : 1;
	uint64_t base;
	union {
		uint32_t first; /* inner: its first child, a node; leaf with more than TREE_INLINE: its list */
		uint32_t box[TREE_INLINE];
	};
	uint8_t from[TREE_INLINE], to[TREE_INLINE];
};
#define TREE_OUTSIDE 255
_Static_assert(sizeof(struct tree_node) == 64, "a node is a cache line");

struct tree {
	struct tree_node *node; /* node[0] is the root */
	uint32_t *list;
	size_t nodes, listed;
};

/* A box to be sorted; number i of the array comes before number i + 1. */
struct tree_box {
	struct box box;
	bool exact; /* box and rule are the same, so it may hide later ones */
};

/** tree_clip(b, space, dim, lo, hi): what of ${b} lies in ${space}, which it meets; false: all of it, in that dimension. */
static inline bool
tree_clip(const struct box *b, const struct box *space, int dim, uint64_t *lo, uint64_t *hi)
{
	*lo = b->lo[dim] > space->lo[dim] ? b->lo[dim] : space->lo[dim];
	*hi = b->hi[dim] < space->hi[dim] ? b->hi[dim] : space->hi[dim];
	return *lo != space->lo[dim] || *hi != space->hi[dim];
}

/**
 * tree_build(t, boxes, ids, n, all, budget):
 * Over boxes[ids[0..n)], ids ascending, in the space ${all}; ids is used up.  At most about ${budget} references to boxes in
 * leaves; past that, leaves get long.  0; -1 and ENOMEM.
 */
int tree_build(struct tree *t, const struct tree_box *boxes, uint32_t *ids, size_t n, const struct box *all, size_t budget);
void tree_fini(struct tree *t);

/** tree_step(t, at, p): the child of inner node ${at} that holds ${p}. */
static inline const struct tree_node *
tree_step(const struct tree *t, const struct tree_node *at, const struct point *p)
{
	uint64_t i = (p->v[at->dim] >> at->shift) - at->base;

	return &t->node[at->first + (i < at->n ? i : at->n)];
}

/** tree_leaf_boxes(t, leaf, n): its boxes, ascending, and their number. */
static inline const uint32_t *
tree_leaf_boxes(const struct tree *t, const struct tree_node *leaf, uint32_t *n)
{
	if (leaf->n <= TREE_INLINE) {
		*n = leaf->n;
		return leaf->box;
	}
	*n = t->list[leaf->first];
	return &t->list[leaf->first + 1];
}

/** tree_leaf_filter(leaf, p): of a leaf without a list: which of its boxes can hold ${p}, a bit for each. */
static inline unsigned
tree_leaf_filter(const struct tree_node *leaf, const struct point *p)
{
	uint64_t i = (p->v[leaf->dim] >> leaf->shift) - leaf->base;
	uint8_t at = i < TREE_OUTSIDE ? (uint8_t)i : TREE_OUTSIDE;
	unsigned can = 0;

	for (unsigned j = 0; j < TREE_INLINE; j++) /* unused ones go from 1 to 0 */
		can |= (unsigned)((leaf->from[j] <= at) & (at <= leaf->to[j])) << j;
	return can;
}

/** tree_leaf(t, p): the leaf that holds ${p}. */
static inline const struct tree_node *
tree_leaf(const struct tree *t, const struct point *p)
{
	const struct tree_node *at = t->node;

	while (!at->leaf)
		at = tree_step(t, at, p);
	return at;
}

#endif
