#include "live.h"

#include <stdlib.h>
#include "spin.h"
#include "workers.h"

#define CREDIT_MAX (LIVE_RATE / 10) /* what may come at once */

/* A worker's own. */
struct seat {
	struct live *live;
	struct capture *capture;
	uint64_t then;	 /* ms, of the last burst */
	uint64_t credit; /* octets that may be looked at */
};

struct live {
	struct live_tap *taps;
	uint8_t lock; /* of the rings */
	unsigned n;
	struct seat seat[];
};

static void
sink(void *ctx, const struct capture_rec *r, const uint8_t *octets)
{
	struct live *l = ((struct seat *)ctx)->live;

	spin_lock(&l->lock);
	for (unsigned i = 0; i < LIVE_TAPS; i++) {
		struct live_tap *t = &l->taps[i];

		if (t->ring != NULL && capture_wants(t->points, r))
			capring_put(t->ring, &t->head, r, octets);
	}
	spin_unlock(&l->lock);
}

struct live *
live_new(struct live_tap taps[static LIVE_TAPS])
{
	unsigned n = workers_number(), points = 0;
	struct live *l = calloc(1, sizeof *l + n * sizeof l->seat[0]);

	if (l == NULL)
		return NULL;
	for (unsigned i = 0; i < LIVE_TAPS; i++)
		points |= taps[i].ring != NULL ? taps[i].points : 0;
	l->taps = taps;
	for (l->n = 0; l->n < n; l->n++) {
		struct seat *s = &l->seat[l->n];

		s->live = l;
		s->credit = CREDIT_MAX;
		if ((s->capture = capture_new(points, LIVE_SNAP, sink, s)) == NULL) {
			live_free(l);
			return NULL;
		}
	}
	return l;
}

void
live_free(struct live *l)
{
	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->n; i++)
		capture_free(l->seat[i].capture);
	free(l);
}

static void
verdict(void *ctx, enum dir dir, const struct pkt *p)
{
	struct walk *w = ctx;

	capture_verdict(w->capture, w->gen, dir, p);
}

/*
 * What it costs to look at ${b}, in octets.  Each capture copies them once more.  A worker that reads full bursts has no time to spare: what is
 * captured then is missing elsewhere, and costs more.  A burst beyond all credit is looked at when there is all of it.
 */
static uint64_t
price(const struct live *l, const struct burst *b)
{
	uint64_t octets = 0, rings = 0;

	for (unsigned i = 0; b != NULL && i < b->n; i++)
		octets += b->p[i]->len + LIVE_PACKET;
	for (unsigned i = 0; i < LIVE_TAPS; i++)
		rings += l->taps[i].ring != NULL;
	octets *= rings * (b != NULL && b->n == BURST_MAX ? LIVE_BUSY : 1);
	return octets < CREDIT_MAX ? octets : CREDIT_MAX;
}

/* May so much be looked at now, in ms? */
static bool
afford(struct seat *s, uint64_t cost, uint64_t now)
{
	uint64_t passed = now > s->then ? now - s->then : 0;

	s->credit += passed >= 1000 ? CREDIT_MAX : passed * (LIVE_RATE / 1000);
	if (s->credit > CREDIT_MAX)
		s->credit = CREDIT_MAX;
	s->then = now;
	if (cost > s->credit)
		return false;
	s->credit -= cost;
	return true;
}

void
live_begin(struct live *l, struct walk *w, const struct burst *b, uint64_t (*clock)(void))
{
	struct seat *s = &l->seat[w->worker];

	if (!afford(s, price(l, b), w->now)) {
		for (unsigned i = 0; i < LIVE_TAPS; i++)
			if (l->taps[i].ring != NULL)
				capring_skip(l->taps[i].ring, b->n);
		return;
	}
	capture_time(s->capture, clock());
	w->capture = s->capture;
	w->verdict = verdict;
	w->verdict_ctx = w;
}

void
live_end(struct live *l, struct walk *w)
{
	if (w->capture == NULL)
		return;
	capture_flush(l->seat[w->worker].capture);
	w->capture = NULL;
	w->verdict = NULL;
}
