/*
 * The index over an SPD's rules: first match, both directions.  Used by spd.c only; how it works stands on top of
 * spd_index.c.
 */
#ifndef BITS_SPD_INDEX_H
#define BITS_SPD_INDEX_H

#include <stddef.h>
#include <stdint.h>
#include "policy.h"

/* Opaque types. */
struct spd_index;

#define SPD_NOWHERE SIZE_MAX /* no rule covers it */

/** spd_index_new(rules, n): keeps the pointer to ${rules}, which must outlive it.  NULL and ENOMEM. */
struct spd_index *spd_index_new(struct policy *const *rules, size_t n);
void spd_index_free(struct spd_index *x);

/** spd_index_find(x, k): the number of the first rule that covers ${k}, or SPD_NOWHERE.  Never allocates. */
size_t spd_index_find(const struct spd_index *x, const struct flowkey *k);

/** spd_index_covering(x, i): the number of a rule before rule ${i} that covers it wholly, or SPD_NOWHERE.  What it finds is
 * so; it may overlook one (see spd_index.c). */
size_t spd_index_covering(const struct spd_index *x, size_t i);

/** spd_index_footprint(x): octets of memory. */
size_t spd_index_footprint(const struct spd_index *x);

#endif
