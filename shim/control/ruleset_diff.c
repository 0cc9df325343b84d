#include <stdlib.h>
#include "ruleset_diff.h"

static uint32_t
hash(const void *object)
{
	return idmap_hash(IDMAP_SEED, &object, sizeof object);
}

/* Length of the longest increasing run (not of neighbours) of ${v}: these can stay where they are.  ${top} has room for ${n}. */
static size_t
longest(const size_t *v, size_t n, size_t *top)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		size_t lo = 0, hi = len;

		while (lo < hi) {
			size_t mid = (lo + hi) / 2;

			if (top[mid] < v[i])
				lo = mid + 1;
			else
				hi = mid;
		}
		top[lo] = v[i];
		len += lo == len;
	}
	return len;
}

/* ${gone} [nfrom] and ${fresh} [nto]: what is only in one of them. */
static int
compare(void *const *from, size_t nfrom, void *const *to, size_t nto, struct ruleset_change *c,
    bool *gone, bool *fresh)
{
	size_t *place = calloc(2 * nto + 1, sizeof *place), kept = 0, pos;
	struct idmap map;
	long j;

	if (!place || idmap_init(&map, nfrom) < 0) {
		free(place);
		return -1;
	}
	for (size_t i = 0; i < nfrom; i++) {
		idmap_put(&map, hash(from[i]), i);
		gone[i] = true;
	}
	for (size_t i = 0; i < nto; i++) {
		fresh[i] = true;
		for (pos = 0; (j = idmap_each(&map, hash(to[i]), &pos)) >= 0;)
			if (from[j] == to[i] && gone[j]) {
				gone[j] = fresh[i] = false;
				place[kept++] = (size_t)j;
				break;
			}
	}
	*c = (struct ruleset_change){
	    .added = nto - kept,
	    .removed = nfrom - kept,
	    .kept = kept,
	    .moved = kept - longest(place, kept, place + nto),
	};
	idmap_fini(&map);
	free(place);
	return 0;
}

/* The SAs of ${s} as objects. */
static void **
objects(const struct ruleset *s)
{
	void **v = calloc(s->nsas + 1, sizeof *v);

	for (size_t i = 0; v && i < s->nsas; i++)
		v[i] = s->sa[i].sa;
	return v;
}

int
ruleset_diff(const struct ruleset *from, const struct ruleset *to, struct ruleset_diff *d,
    ruleset_diff_fn each, void *ctx)
{
	size_t n = from->nrules + from->nsas + to->nrules + to->nsas;
	void **old = objects(from), **new = objects(to);
	bool *mark = calloc(n + 1, sizeof *mark), *rgone = mark, *rnew, *sgone, *snew;
	int rc = -1;

	*d = (struct ruleset_diff){0};
	if (!old || !new || !mark)
		goto out;
	rnew = rgone + from->nrules;
	sgone = rnew + to->nrules;
	snew = sgone + from->nsas;
	if (compare((void *const *)from->rule, from->nrules, (void *const *)to->rule, to->nrules,
		&d->rules, rgone, rnew) < 0 ||
	    compare(old, from->nsas, new, to->nsas, &d->sas, sgone, snew) < 0)
		goto out;
	for (int b = 0; b < BUILTIN_MAX; b++)
		d->builtins += from->builtin[b] != to->builtin[b];
	for (size_t i = 0; each && i < from->nrules; i++)
		if (rgone[i])
			each(ctx, false, from->rule[i], NULL);
	for (size_t i = 0; each && i < to->nrules; i++)
		if (rnew[i])
			each(ctx, true, to->rule[i], NULL);
	for (size_t i = 0; each && i < from->nsas; i++)
		if (sgone[i])
			each(ctx, false, NULL, from->sa[i].sa);
	for (size_t i = 0; each && i < to->nsas; i++)
		if (snew[i])
			each(ctx, true, NULL, to->sa[i].sa);
	rc = 0;
out:
	free(old);
	free(new);
	free(mark);
	return rc;
}

bool
ruleset_diff_none(const struct ruleset_diff *d)
{
	return !(d->rules.added | d->rules.removed | d->rules.moved | d->sas.added |
		 d->sas.removed | d->sas.moved | d->builtins);
}
