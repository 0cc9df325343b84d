#include "live.h"

#include <stdlib.h>

#define SECOND	   UINT64_C(1000000000)
#define CREDIT_MAX (LIVE_RATE / 10) /* what may come at once */

struct live {
	struct capture *capture;
	struct live_tap *taps;
	uint64_t then;	 /* ns, of the last burst */
	uint64_t credit; /* octets that may be looked at */
};

static void
sink(void *ctx, const struct capture_rec *r, const uint8_t *octets)
{
	struct live *l = ctx;

	for (unsigned i = 0; i < LIVE_TAPS; i++) {
		struct live_tap *t = &l->taps[i];

		if (t->ring != NULL && capture_wants(t->points, r))
			capring_put(t->ring, &t->head, r, octets);
	}
}

struct live *
live_new(struct live_tap taps[static LIVE_TAPS])
{
	struct live *l = calloc(1, sizeof *l);
	unsigned points = 0;

	if (l == NULL)
		return NULL;
	for (unsigned i = 0; i < LIVE_TAPS; i++)
		points |= taps[i].ring != NULL ? taps[i].points : 0;
	l->taps = taps;
	l->credit = CREDIT_MAX;
	if ((l->capture = capture_new(points, LIVE_SNAP, sink, l)) == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

void
live_free(struct live *l)
{
	if (l == NULL)
		return;
	capture_free(l->capture);
	free(l);
}

static void
verdict(void *ctx, enum dir dir, const struct pkt *p)
{
	struct walk *w = ctx;

	capture_verdict(w->capture, w->gen, dir, p);
}

/* May so much be looked at now? */
static bool
afford(struct live *l, uint64_t cost, uint64_t ns)
{
	uint64_t passed = ns > l->then ? ns - l->then : 0;

	l->credit += passed >= SECOND ? CREDIT_MAX : passed * (LIVE_RATE / 1000) / (SECOND / 1000);
	if (l->credit > CREDIT_MAX)
		l->credit = CREDIT_MAX;
	l->then = ns;
	if (cost > l->credit)
		return false;
	l->credit -= cost;
	return true;
}

void
live_begin(struct live *l, struct walk *w, const struct burst *b, uint64_t ns)
{
	uint64_t cost = 0;

	for (unsigned i = 0; b != NULL && i < b->n; i++)
		cost += b->p[i]->len + LIVE_PACKET;
	if (!afford(l, cost, ns)) {
		for (unsigned i = 0; i < LIVE_TAPS; i++)
			if (l->taps[i].ring != NULL)
				capring_skip(l->taps[i].ring, b->n);
		return;
	}
	capture_time(l->capture, ns);
	w->capture = l->capture;
	w->verdict = verdict;
	w->verdict_ctx = w;
}

void
live_end(struct live *l, struct walk *w)
{
	if (w->capture == NULL)
		return;
	capture_flush(l->capture);
	w->capture = NULL;
	w->verdict = NULL;
}
