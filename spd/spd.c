#include <errno.h>
#include <stdlib.h>
#include "bigmem.h"
#include "spd.h"
#include "spd_index.h"

#define SHADOW_LINEAR_MAX 2000 /* rules up to which every pair is compared */

struct spd {
	struct policy **rule;
	size_t n;
	struct spd_index *index;
	bool fragments;
	enum builtin_set builtin[BUILTIN_MAX];
};

struct spd *
spd_new(struct policy *const *rules, size_t n, const enum builtin_set builtins[BUILTIN_MAX])
{
	struct spd *spd = calloc(1, sizeof *spd);

	if (spd == NULL)
		return NULL;
	spd->rule = bigmem_new(n * sizeof(struct policy *));
	if (spd->rule == NULL)
		goto err;
	for (spd->n = 0; spd->n < n; spd->n++) {
		spd->rule[spd->n] = policy_ref(rules[spd->n]);
		spd->fragments |=
		    rules[spd->n]->frags == FRAGS_CHECK || policy_names_fragments(rules[spd->n]);
	}
	for (int b = 0; b < BUILTIN_MAX; b++)
		spd->builtin[b] = builtins ? builtins[b] : BUILTIN_BYPASS;
	if ((spd->index = spd_index_new(spd->rule, n)) == NULL)
		goto err;
	return spd;
err:
	spd_free(spd);
	errno = ENOMEM;
	return NULL;
}

void
spd_free(struct spd *spd)
{
	if (spd == NULL)
		return;
	for (size_t i = 0; i < spd->n; i++)
		policy_unref(spd->rule[i]);
	spd_index_free(spd->index);
	free(spd->rule);
	free(spd);
}

size_t
spd_count(const struct spd *spd)
{
	return spd->n;
}

struct policy *
spd_at(const struct spd *spd, size_t i)
{
	return i < spd->n ? spd->rule[i] : NULL;
}

enum builtin_set
spd_builtin(const struct spd *spd, enum builtin b)
{
	return spd->builtin[b];
}

bool
spd_fragments(const struct spd *spd)
{
	return spd->fragments;
}

struct policy *
spd_lookup_linear(const struct spd *spd, const struct flowkey *k, size_t *place)
{
	for (size_t i = 0; i < spd->n; i++) {
		struct policy *p = spd->rule[i];

		if ((p->dirs >> k->dir & 1) && selector_match(&p->sel, k)) {
			if (place)
				*place = i;
			return p;
		}
	}
	return NULL;
}

struct policy *
spd_lookup(const struct spd *spd, const struct flowkey *k, size_t *place)
{
	size_t i = spd_index_find(spd->index, k);

	if (i == SPD_NOWHERE)
		return NULL;
	if (place)
		*place = i;
	return spd->rule[i];
}

long
spd_shadowed(const struct spd *spd, size_t i)
{
	const struct policy *inner = spd->rule[i];

	if (spd->n > SHADOW_LINEAR_MAX) {
		size_t j = spd_index_covering(spd->index, i);

		return j == SPD_NOWHERE ? -1 : (long)j;
	}
	for (size_t j = 0; j < i; j++) {
		const struct policy *outer = spd->rule[j];

		if ((inner->dirs & ~outer->dirs) == 0 && selector_covers(&outer->sel, &inner->sel))
			return (long)j;
	}
	return -1;
}
