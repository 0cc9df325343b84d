#include <errno.h>
#include <stdlib.h>
#include "datapath.h"
#include "gen.h"

struct gen *
gen_new(uint64_t number, struct policy *const *rules, size_t nrules,
    const enum builtin_set builtins[BUILTIN_MAX], struct sa *const *sas, size_t nsas)
{
	struct gen *g = calloc(1, sizeof *g);
	int saved;

	if (g == NULL)
		return NULL;
	g->number = number;
	if ((g->spd = spd_new(rules, nrules, builtins)) == NULL)
		goto err;
	if ((g->sad = sadb_new(sas, nsas)) == NULL)
		goto err;
	/* One that stays from the generation before is bound, and a worker is reading it. */
	for (size_t i = 0; i < nsas; i++)
		if (sas[i]->seal == NULL && sas[i]->open == NULL)
			xform_bind(sas[i]);
	return g;
err:
	saved = errno;
	gen_free(g);
	errno = saved;
	return NULL;
}

void
gen_free(struct gen *g)
{
	if (g == NULL)
		return;
	spd_free(g->spd);
	sadb_free(g->sad);
	free(g);
}
