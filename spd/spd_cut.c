/*
 * For each dimension the finest sensible cut is counted once, cell by cell; each coarser one follows from it by joining cells
 * in pairs.  So looking at every cut there is costs as much as looking at two.
 */
#include "spd_cut.h"

/* Fewer boxes in a cell than this are no gain: a leaf takes more, and some cells have more. */
#define CUT_ENOUGH (TREE_INLINE / 2)

/* Joins cells in pairs (those of one number when halved); the new number of cells. */
static uint32_t
coarsen(struct cut_scratch *s, uint32_t cells, uint64_t *base)
{
	uint32_t n = 0, i = 0;

	if (*base & 1) /* the first has no partner before it */
		n = i = 1;
	for (; i < cells; i += 2, n++) {
		uint32_t second = i + 1 < cells ? s->begins[i + 1] : 0;

		s->covers[n] = s->covers[i] + second;
		s->begins[n] = s->begins[i] + second;
	}
	*base >>= 1;
	return n;
}

static void
judge(const struct cut_scratch *s, struct cut c, uint32_t full, double most, struct cut *best)
{
	double sum = full, squares = 0;

	for (uint32_t i = 0; i < c.cells; i++) {
		double boxes = (double)s->covers[i] + full;

		sum += boxes;
		squares += boxes * boxes;
	}
	if (sum + c.cells > most)
		return;
	c.score = squares / sum;
	if (c.score < CUT_ENOUGH)
		c.score = CUT_ENOUGH;
	c.references = (size_t)sum;
	/* Coarser cuts come later: one that is nearly as good takes less room. */
	if (best->cells == 0 || c.score < best->score * (c.dim == best->dim ? 1.02 : 1.0))
		*best = c;
}

static void
try_dim(const struct tree_box *boxes, const uint32_t *ids, size_t n, const struct box *space,
    int dim, double most, struct cut_scratch *s, struct cut *best)
{
	uint64_t from = UINT64_MAX, to = 0, lo, hi;
	uint32_t full = 0, finest = 8, covers = 0;
	struct cut c = {.dim = (uint8_t)dim};

	/* Boxes that go all the way through are in every cell; the others say where cutting makes sense. */
	for (size_t i = 0; i < n; i++) {
		if (!tree_clip(&boxes[ids[i]].box, space, dim, &lo, &hi)) {
			full++;
			continue;
		}
		from = lo < from ? lo : from;
		to = hi > to ? hi : to;
	}
	if (full == n)
		return;
	while (finest < 2 * n && finest < CUT_CELLS_MAX)
		finest *= 2;
	while ((to >> c.shift) - (from >> c.shift) >= finest)
		c.shift++;
	c.base = from >> c.shift;
	c.cells = (uint32_t)((to >> c.shift) - c.base + 1);
	memset(s->begins, 0, (c.cells + 1) * sizeof *s->begins);
	memset(s->covers, 0, (c.cells + 1) * sizeof *s->covers);
	for (size_t i = 0; i < n; i++) {
		if (!tree_clip(&boxes[ids[i]].box, space, dim, &lo, &hi))
			continue;
		s->begins[(lo >> c.shift) - c.base]++;
		s->covers[(hi >> c.shift) - c.base +
			  1]--; /* so far: what ends before a cell; unsigned, sums up */
	}
	for (uint32_t i = 0; i < c.cells; i++) {
		covers += s->begins[i] + s->covers[i];
		s->covers[i] = covers;
	}
	for (;;) {
		judge(s, c, full, most, best);
		if (c.cells <= 2 || c.shift == 63)
			return;
		c.cells = coarsen(s, c.cells, &c.base);
		c.shift++;
	}
}

struct cut
cut_choose(const struct tree_box *boxes, const uint32_t *ids, size_t n, const struct box *space,
    double growth, struct cut_scratch *s)
{
	struct cut best = {0};

	for (int d = 0; d < DIMS; d++)
		try_dim(boxes, ids, n, space, d, growth * (double)n + 8, s, &best);
	if (best.score > 0.9 * (double)n) /* would hardly part them */
		best.cells = 0;
	return best;
}
