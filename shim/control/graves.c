#include <search.h>
#include <stdlib.h>
#include <string.h>
#include "graves.h"
#include "sa.h"

struct grave {
	char fp[SEQSTORE_FP_LEN + 1];
	uint32_t spi;
	uint64_t top;
};

struct graves {
	void *root;
};

struct graves *
graves_new(void)
{
	return calloc(1, sizeof(struct graves));
}

void
graves_free(struct graves *g)
{
	if (!g)
		return;
	tdestroy(g->root, free);
	free(g);
}

static int
by_name(const void *va, const void *vb)
{
	const struct grave *a = va, *b = vb;
	int rc = memcmp(a->fp, b->fp, SEQSTORE_FP_LEN);

	return rc != 0 ? rc : a->spi < b->spi ? -1 : a->spi > b->spi;
}

/* The name of ${sa}'s; false: it has no window, or no name can be made. */
static bool
name_of(const struct sa *sa, struct grave *g)
{
	if (!sa->in || sa->replay.size == 0 || sa_params_fingerprint(&sa->p, g->fp) < 0)
		return false;
	g->spi = sa->spi;
	g->top = sa->replay.top;
	return true;
}

int
graves_dig(struct graves *g, const struct sa *sa)
{
	struct grave *new = calloc(1, sizeof *new), **found;

	if (!new)
		return -1;
	if (!name_of(sa, new) || new->top == 0) {
		free(new);
		return 0;
	}
	if ((found = tsearch(new, &g->root, by_name)) == NULL) {
		free(new);
		return -1;
	}
	if (*found != new) {
		if (new->top > (*found)->top)
			(*found)->top = new->top;
		free(new);
	}
	return 0;
}

uint64_t
graves_top(const struct graves *g, const struct sa *sa)
{
	struct grave name = {0}, *const * found;

	if (!g->root || !name_of(sa, &name))
		return 0;
	found = tfind(&name, &g->root, by_name);
	return found ? (*found)->top : 0;
}
