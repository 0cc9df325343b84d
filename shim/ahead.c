/*
 * Fetching ahead.  With many SAs in use each packet of a burst finds its flow, its SA and its keys in memory, one behind the
 * other, and the walk would wait for each in turn.  Asked for burst-wise, stage by stage, they come beside each other.  Few SAs lie
 * in the processor's caches anyhow, and then this is left out.
 */
#include "crypto.h"
#include "datapath.h"
#include "flowcache.h"
#include "gen.h"

#define AHEAD_SAS  256 /* as many as do not crowd a second-level cache */
#define CACHE_LINE 64

bool
ahead_pays(const struct walk *w)
{
	return sadb_count(w->gen->sad) > AHEAD_SAS;
}

static void
fetch(const void *p, size_t octets)
{
	for (size_t at = 0; at < octets; at += CACHE_LINE)
		__builtin_prefetch((const char *)p + at);
}

void
ahead_sa(const struct sa *sa)
{
	fetch(sa, offsetof(struct sa, block));
}

/* The SA is there, or on its way. */
void
ahead_context(const struct sa *sa, enum dir dir)
{
	const struct crypto *c = dir == DIR_OUT ? sa->out : sa->in;

	if (!c)
		return;
	fetch(c, sizeof *c);
	if (dir == DIR_IN && sa->replay.bitmap) {
		__builtin_prefetch(
		    &sa->replay.bitmap[(__atomic_load_n(&sa->replay.top, __ATOMIC_RELAXED) >> 6) &
				       (sa->replay.words - 1)]);
	}
}

/* And so is the head of its context. */
void
ahead_keys(const struct sa *sa, enum dir dir)
{
	const struct crypto *c = dir == DIR_OUT ? sa->out : sa->in;

	if (c)
		fetch((const char *)c + c->hot, c->hot_len);
}

void
ahead_flows(const struct walk *w, const struct burst *b, enum dir dir)
{
	const struct flowkey *key[BURST_MAX];
	const struct flow *flow[BURST_MAX];
	unsigned n = 0;

	if (!w->cache || !ahead_pays(w))
		return;
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i]->drop == DROP_NONE && b->p[i]->af)
			key[n++] = &b->p[i]->key;
	flowcache_ahead(w->cache, key, n, w->gen->number, flow);
	if (dir != DIR_OUT)
		return;
	for (unsigned s = 0; s < POLICY_STEPS_MAX; s++) {
		bool any = false;

		for (unsigned i = 0; i < n; i++)
			if (flow[i] && flow[i]->sa[s]) {
				ahead_sa(flow[i]->sa[s]);
				any = true;
			}
		for (unsigned i = 0; any && i < n; i++)
			if (flow[i] && flow[i]->sa[s])
				ahead_context(flow[i]->sa[s], dir);
		for (unsigned i = 0; any && i < n; i++)
			if (flow[i] && flow[i]->sa[s])
				ahead_keys(flow[i]->sa[s], dir);
		if (!any)
			break;
	}
}
