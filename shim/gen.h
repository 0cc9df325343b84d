/*
 * A generation: one SPD and one SAD, swapped in whole, so that a packet meets the old policy or the new one, never half of
 * each.  Immutable but for counters and running SA state.
 */
#ifndef BITS_GEN_H
#define BITS_GEN_H

#include <stdint.h>
#include "sadb.h"
#include "spd.h"

struct gen {
	uint64_t number;   /* grows by one with each; flow cache entries carry it */
	struct spd *spd;
	struct sadb *sad;
};

/**
 * gen_new(number, rules, nrules, builtins, sas, nsas):
 * References are taken; ${builtins} NULL: all bypass; each SA's transforms are bound (xform_bind()).  NULL and errno.  Control thread.
 */
struct gen *gen_new(uint64_t number, struct policy *const *rules, size_t nrules,
    const enum builtin_set builtins[BUILTIN_MAX], struct sa *const *sas, size_t nsas);
void gen_free(struct gen *g);

#endif
