/*
 * The index: for each address family a few decision trees over the rules' boxes (spd_dims.h), and the rules once more as small
 * records to compare with.
 *
 * Why so.  Tuple space search was measured first: 1,230 ns at 100,000 rules, since mixed prefix lengths make hundreds of tuples
 * and each costs a miss in the cache.  Here a step down a tree is one cache line and parts the rules a thousandfold when there
 * are many (HiCuts' cuts of equal size, as many as pay), so two or three steps do at any number of rules.  The weak point
 * of such trees are rules that are wide where the tree cuts: they end up in every cell.  So these are set aside and get a tree
 * of their own, which cuts another dimension (EffiCuts' separation): in practice a tree for rules that name small local
 * ranges, one for small remote ranges, then some for ever fewer ones, and one for the rest.  A rule that fills a cell hides all
 * later ones there, which keeps the rest small: wide rules hide each other.
 *
 * What a lookup costs at 100,000 rules is waiting for memory.  So it walks down all trees of the family side by side, and their
 * cache misses overlap; a leaf holds beside its rules' numbers where they lie in one more dimension, so that few records are
 * fetched in vain; and these are all asked for before the first is compared.
 *
 * Room: references to rules are bounded (REFERENCES); where cutting would need more, leaves get longer, and the search in
 * them is linear.  Time to build grows with references, which grow with the number of rules.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bigmem.h"
#include "spd_index.h"
#include "spd_tree.h"

#define TREES_MAX    6 /* per family */
#define REFERENCES   8 /* a tree may hold that many per rule of the family, about */
#define WIDE_CELLS   8 /* a rule that touches more cells of a tree's first cut is set aside */
#define FAMILIES     2 /* IPv4, IPv6 */
#define CACHE_LINE   64
#define COVERING_MAX 256 /* rules of a leaf that the search for a covering one looks at */

typedef unsigned __int128 u128;

/* What of a rule is compared, besides its addresses; widths are hi - lo, so that one comparison does. */
struct rest {
	uint16_t lport, lwidth, rport, rwidth; /* bit 16 of each: in flags */
	uint8_t proto, flags;
	uint16_t vlan;
	uint32_t pad;
};

enum {
	F_LPORT16 = 1,
	F_LWIDTH16 = 2,
	F_RPORT16 = 4,
	F_RWIDTH16 = 8,
	F_PROTO_ANY = 16,
	F_OUT = 32 << DIR_OUT,
	F_IN = 32 << DIR_IN,
	F_ASK = 128, /* the record says more than the rule: ask selector_match() as well */
};

struct record4 {
	uint32_t local, lwidth, remote, rwidth;
	struct rest rest;
};
_Static_assert(sizeof(struct record4) == 32, "two records to a cache line");

struct record6 {
	u128 local, lwidth, remote, rwidth;
	struct rest rest;
};

struct family {
	struct tree tree[TREES_MAX];
	unsigned trees;
	/* by rule number; rules that cannot match this family leave a hole.  NULL: none can */
	union {
		struct record4 *r4;
		struct record6 *r6;
		void *records;
	};
};

struct spd_index {
	struct policy *const *rules;
	size_t n;
	struct family family[FAMILIES];
};

static unsigned
family_af(int f)
{
	return f == 0 ? 4 : 6;
}

/*
 * Records
 */

static u128
address(const struct ipaddr *a)
{
	return (u128)spd_be64(a->b) << 64 | spd_be64(a->b + 8);
}

static void
rest_make(struct rest *r, const struct policy *p, const struct tree_box *b)
{
	const uint64_t *lo = b->box.lo, *hi = b->box.hi;
	uint64_t lw = hi[DIM_LPORT] - lo[DIM_LPORT], rw = hi[DIM_RPORT] - lo[DIM_RPORT];

	*r = (struct rest){
	    .lport = (uint16_t)lo[DIM_LPORT],
	    .lwidth = (uint16_t)lw,
	    .rport = (uint16_t)lo[DIM_RPORT],
	    .rwidth = (uint16_t)rw,
	    .proto = p->sel.proto,
	    .vlan = p->sel.vlan,
	};
	r->flags =
	    (uint8_t)((lo[DIM_LPORT] >> 16 ? F_LPORT16 : 0) | (lw >> 16 ? F_LWIDTH16 : 0) |
		      (lo[DIM_RPORT] >> 16 ? F_RPORT16 : 0) | (rw >> 16 ? F_RWIDTH16 : 0) |
		      (p->sel.proto_any ? F_PROTO_ANY : 0) | (p->dirs & 1 << DIR_OUT ? F_OUT : 0) |
		      (p->dirs & 1 << DIR_IN ? F_IN : 0));
	if (p->sel.proto_any && p->sel.lmatch == MATCH_RANGE)
		r->flags |= F_ASK;
	if (p->sel.proto_opaque) /* no octet says so */
		r->flags |= F_ASK | F_PROTO_ANY;
}

static void
record_make(struct family *f, int which, size_t i, const struct policy *p, const struct tree_box *b)
{
	const struct iprange *l = &p->sel.local, *r = &p->sel.remote;

	if (which == 0) {
		struct record4 *rec = &f->r4[i];

		rec->local = (uint32_t)b->box.lo[DIM_LOCAL];
		rec->lwidth = (uint32_t)(b->box.hi[DIM_LOCAL] - b->box.lo[DIM_LOCAL]);
		rec->remote = (uint32_t)b->box.lo[DIM_REMOTE];
		rec->rwidth = (uint32_t)(b->box.hi[DIM_REMOTE] - b->box.lo[DIM_REMOTE]);
		rest_make(&rec->rest, p, b);
	} else {
		struct record6 *rec = &f->r6[i];

		rec->local = l->lo.af ? address(&l->lo) : 0;
		rec->lwidth = l->lo.af ? address(&l->hi) - rec->local : ~(u128)0;
		rec->remote = r->lo.af ? address(&r->lo) : 0;
		rec->rwidth = r->lo.af ? address(&r->hi) - rec->remote : ~(u128)0;
		rest_make(&rec->rest, p, b);
	}
}

/* No jumps between the conditions: which of them fails is not to be foretold. */
static inline bool
rest_match(const struct rest *r, const struct point *p)
{
	uint32_t lport = r->lport | (uint32_t)(r->flags & F_LPORT16) << 16;
	uint32_t lwidth = r->lwidth | (uint32_t)(r->flags & F_LWIDTH16) << 15;
	uint32_t rport = r->rport | (uint32_t)(r->flags & F_RPORT16) << 14;
	uint32_t rwidth = r->rwidth | (uint32_t)(r->flags & F_RWIDTH16) << 13;

	return ((uint32_t)p->v[DIM_LPORT] - lport <= lwidth) &
	       ((uint32_t)p->v[DIM_RPORT] - rport <= rwidth) &
	       ((r->proto == p->v[DIM_PROTO]) | ((r->flags & F_PROTO_ANY) != 0)) &
	       ((r->vlan == VLAN_NONE) | (r->vlan == p->v[DIM_VLAN])) &
	       ((r->flags & F_OUT << p->v[DIM_DIR]) != 0);
}

static inline bool
record_match(const struct family *f, bool six, uint32_t i, const struct point *p)
{
	if (six) {
		const struct record6 *r = &f->r6[i];
		u128 local = (u128)p->v[DIM_LOCAL] << 64 | p->v[DIM_LOCAL_LOW];
		u128 remote = (u128)p->v[DIM_REMOTE] << 64 | p->v[DIM_REMOTE_LOW];

		return (local - r->local <= r->lwidth) & (remote - r->remote <= r->rwidth) &
		       rest_match(&r->rest, p);
	} else {
		const struct record4 *r = &f->r4[i];

		return ((uint32_t)p->v[DIM_LOCAL] - r->local <= r->lwidth) &
		       ((uint32_t)p->v[DIM_REMOTE] - r->remote <= r->rwidth) &
		       rest_match(&r->rest, p);
	}
}

static inline const struct rest *
record_rest(const struct family *f, bool six, uint32_t i)
{
	return six ? &f->r6[i].rest : &f->r4[i].rest;
}

/*
 * Building
 */

/* Octets of a family's records, whole cache lines. */
static size_t
records_size(const struct spd_index *x, int which)
{
	size_t octets = x->n * (which == 0 ? sizeof(struct record4) : sizeof(struct record6));

	return (octets + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/* A rule is narrow in ${dim} when it says something there and touches few of as many cells as there are rules. */
static bool
narrow(const struct box *b, int dim, uint64_t cell)
{
	return (b->hi[dim] - b->lo[dim]) / WIDE_CELLS < cell;
}

/* The size of a cell if there is one for each of ${ids}, over all that those span which do not go all the way; 0: all do. */
static uint64_t
cell_size(
    const struct tree_box *boxes, const uint32_t *ids, size_t n, const struct box *all, int dim)
{
	uint64_t from = UINT64_MAX, to = 0;

	for (size_t i = 0; i < n; i++) {
		const struct box *b = &boxes[ids[i]].box;

		if (b->lo[dim] == all->lo[dim] && b->hi[dim] == all->hi[dim])
			continue;
		from = b->lo[dim] < from ? b->lo[dim] : from;
		to = b->hi[dim] > to ? b->hi[dim] : to;
	}
	return from > to ? 0 : (to - from) / n + 1;
}

/*
 * Moves those of ${ids} that are wide where most are narrow to the end, order kept; the number of those that stay in front.
 * All of them when setting aside would not help.
 */
static size_t
set_aside(
    const struct tree_box *boxes, uint32_t *ids, size_t n, const struct box *all, uint32_t *spare)
{
	static const uint8_t dims[] = {
	    DIM_LOCAL, DIM_REMOTE, DIM_LOCAL_LOW, DIM_REMOTE_LOW, DIM_LPORT, DIM_RPORT};
	size_t most = 0, front = 0, aside = 0;
	uint64_t cell = 0;
	int dim = -1;

	for (size_t d = 0; d < sizeof dims; d++) {
		uint64_t size = cell_size(boxes, ids, n, all, dims[d]);
		size_t count = 0;

		for (size_t i = 0; i < n; i++)
			count += narrow(&boxes[ids[i]].box, dims[d], size);
		if (count > most) {
			most = count;
			dim = dims[d];
			cell = size;
		}
	}
	if (most < n / 8 || most == n) /* hardly any to be had, or nothing in the way */
		return n;
	for (size_t i = 0; i < n; i++) {
		if (narrow(&boxes[ids[i]].box, dim, cell))
			ids[front++] = ids[i];
		else
			spare[aside++] = ids[i];
	}
	memcpy(ids + front, spare, aside * sizeof *ids);
	return front;
}

/* ${ids}: the rules that can match this family, ascending. */
static int
trees_build(
    struct family *f, const struct tree_box *boxes, uint32_t *ids, size_t n, const struct box *all)
{
	uint32_t *spare = malloc(n * sizeof *spare);
	size_t front;
	int rc = -1;

	if (spare == NULL)
		return -1;
	for (size_t left = n; left; ids += front, left -= front) {
		front = left;
		if (f->trees < TREES_MAX - 1 && left > TREE_INLINE)
			front = set_aside(boxes, ids, left, all, spare);
		if (tree_build(&f->tree[f->trees], boxes, ids, front, all, n * REFERENCES) == -1)
			goto out;
		f->trees++;
	}
	rc = 0;
out:
	free(spare);
	return rc;
}

static int
family_build(struct spd_index *x, int which)
{
	struct family *f = &x->family[which];
	struct tree_box *boxes = malloc((x->n + 1) * sizeof *boxes);
	uint32_t *ids = malloc((x->n + 1) * sizeof *ids);
	size_t n = 0;
	struct box all;
	int rc = -1;

	if (boxes == NULL || ids == NULL)
		goto out;
	for (size_t i = 0; i < x->n; i++)
		if (spd_box_of(&boxes[i].box, x->rules[i], family_af(which), &boxes[i].exact))
			ids[n++] = (uint32_t)i;
	if (n) {
		if ((f->records = bigmem_new(records_size(x, which))) == NULL)
			goto out;
		for (size_t i = 0; i < n; i++)
			record_make(f, which, ids[i], x->rules[ids[i]], &boxes[ids[i]]);
		spd_box_all(&all, family_af(which));
		if (trees_build(f, boxes, ids, n, &all) == -1)
			goto out;
	}
	rc = 0;
out:
	free(boxes);
	free(ids);
	return rc;
}

struct spd_index *
spd_index_new(struct policy *const *rules, size_t n)
{
	struct spd_index *x = calloc(1, sizeof *x);

	if (x == NULL || n >= TREE_NOBOX)
		goto err;
	x->rules = rules;
	x->n = n;
	for (int f = 0; f < FAMILIES; f++)
		if (family_build(x, f) == -1)
			goto err;
	return x;
err:
	spd_index_free(x);
	errno = ENOMEM;
	return NULL;
}

void
spd_index_free(struct spd_index *x)
{
	if (x == NULL)
		return;
	for (int f = 0; f < FAMILIES; f++) {
		for (unsigned t = 0; t < x->family[f].trees; t++)
			tree_fini(&x->family[f].tree[t]);
		free(x->family[f].records);
	}
	free(x);
}

size_t
spd_index_footprint(const struct spd_index *x)
{
	size_t octets = sizeof *x;

	for (int i = 0; i < FAMILIES; i++) {
		const struct family *f = &x->family[i];

		octets += f->records ? records_size(x, i) : 0;
		for (unsigned t = 0; t < f->trees; t++)
			octets += f->tree[t].nodes * sizeof(struct tree_node) +
				  f->tree[t].listed * sizeof(uint32_t);
	}
	return octets;
}

/*
 * Looking up
 */

/* Does rule ${i}, of the family, cover the packet? */
static inline bool
rule_match(const struct spd_index *x, const struct family *f, bool six, uint32_t i,
    const struct flowkey *k, const struct point *p)
{
	return record_match(f, six, i, p) &&
	       (!(record_rest(f, six, i)->flags & F_ASK) || selector_match(&x->rules[i]->sel, k));
}

/* The first rule of a leaf with a list that comes before ${best} and covers the packet, else ${best}. */
static uint32_t
list_find(const struct spd_index *x, const struct family *f, bool six, const struct tree *t,
    const struct tree_node *leaf, const struct flowkey *k, const struct point *p, uint32_t best)
{
	uint32_t n;
	const uint32_t *box = tree_leaf_boxes(t, leaf, &n);

	for (uint32_t i = 0; i < n && box[i] < best; i++)
		if (rule_match(x, f, six, box[i], k, p))
			return box[i];
	return best;
}

/* All trees one step down at a time: the next round finds the lines on their way. */
static inline void
trees_descend(const struct family *f, const struct point *p, const struct tree_node *at[TREES_MAX])
{
	bool down;

	for (unsigned t = 0; t < f->trees; t++)
		at[t] = f->tree[t].node;
	do {
		down = false;
		for (unsigned t = 0; t < f->trees; t++) {
			if (at[t]->leaf)
				continue;
			at[t] = tree_step(&f->tree[t], at[t], p);
			__builtin_prefetch(at[t]);
			down = true;
		}
	} while (down);
}

static inline size_t
family_find(const struct spd_index *x, bool six, const struct flowkey *k)
{
	const struct family *f = &x->family[six];
	const struct tree_node *at[TREES_MAX];
	uint32_t can[TREES_MAX * TREE_INLINE], cans = 0, best = TREE_NOBOX;
	struct point p;

	spd_point_of(k, &p);
	trees_descend(f, &p, at);
	for (unsigned t = 0; t < f->trees; t++) {
		if (at[t]->n > TREE_INLINE) {
			best = list_find(x, f, six, &f->tree[t], at[t], k, &p, best);
			continue;
		}
		for (unsigned bits = tree_leaf_filter(at[t], &p); bits; bits &= bits - 1) {
			uint32_t i = at[t]->box[__builtin_ctz(bits)];

			can[cans++] = i;
			__builtin_prefetch(record_rest(f, six, i));
			__builtin_prefetch(&x->rules[i]);
		}
	}
	for (uint32_t c = 0; c < cans; c++)
		if (can[c] < best && rule_match(x, f, six, can[c], k, &p))
			best = can[c];
	return best == TREE_NOBOX ? SPD_NOWHERE : best;
}

size_t
spd_index_find(const struct spd_index *x, const struct flowkey *k)
{
	if (k->ect || k->local.af != k->remote.af)
		return SPD_NOWHERE;
	if (k->local.af == 4)
		return family_find(x, false, k);
	return k->local.af == 6 ? family_find(x, true, k) : SPD_NOWHERE;
}

/*
 * A rule that covers rule ${i} holds each of its corners.  At the upper one ports, protocol and VLAN read "any" where the rule
 * says so, which few others hold; those are compared.  Overlooked is a rule that lies hidden there behind another one which
 * does not cover all of rule ${i}, or far down a long leaf.
 */
size_t
spd_index_covering(const struct spd_index *x, size_t i)
{
	const struct policy *inner = x->rules[i];
	size_t first = SPD_NOWHERE;
	bool exact;

	for (int which = 0; which < FAMILIES && first == SPD_NOWHERE; which++) {
		const struct family *f = &x->family[which];
		struct box b;
		struct point p;

		if (!spd_box_of(&b, inner, family_af(which), &exact))
			continue;
		memcpy(p.v, b.hi, sizeof p.v);
		for (unsigned t = 0; t < f->trees; t++) {
			const struct tree_node *leaf = tree_leaf(&f->tree[t], &p);
			uint32_t n;
			const uint32_t *box = tree_leaf_boxes(&f->tree[t], leaf, &n);

			for (uint32_t j = 0; j < n && j < COVERING_MAX; j++) {
				size_t place = box[j];
				const struct policy *outer = x->rules[place];

				if (place >= i || place >= first)
					break;
				if ((inner->dirs & ~outer->dirs) == 0 &&
				    selector_covers(&outer->sel, &inner->sel))
					first = place;
			}
		}
	}
	return first;
}
