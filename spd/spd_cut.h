/*
 * Choosing how to cut a set of boxes: which dimension, how fine.
 */
#ifndef BITS_SPD_CUT_H
#define BITS_SPD_CUT_H

#include "spd_tree.h"

#define CUT_CELLS_MAX 32768

struct cut {
	uint8_t dim, shift;
	uint32_t cells;    /* 0: no cut helps */
	uint64_t base;
	double score;      /* boxes in the cell a box is in, on the average: what is left to do behind the cut */
	size_t references; /* boxes in all children together */
};

/* Room to count in. */
struct cut_scratch {
	uint32_t begins[CUT_CELLS_MAX + 2], covers[CUT_CELLS_MAX + 2];
};

/**
 * cut_choose(boxes, ids, n, space, growth, s):
 * The cut of ${space} that leaves least to do, among those whose children hold at most ${growth} * n boxes and cells.
 */
struct cut cut_choose(const struct tree_box *boxes, const uint32_t *ids, size_t n, const struct box *space, double growth,
    struct cut_scratch *s);

#endif
