#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "capture.h"
#include "gen.h"
#include "spd.h"

#define PLACES 256 /* rules whose place is remembered; a power of two */

struct staged {
	uint64_t ts;
	uint32_t len, caplen;
	uint8_t link;
	bool told;
};

struct capture {
	unsigned points;
	uint32_t snap;
	void (*sink)(void *ctx, const struct capture_rec *r, const uint8_t *octets);
	void *ctx;
	uint64_t now, next; /* time; number of the next live packet */

	/* the burst in hand: packets first .. first + n - 1 */
	uint64_t first;
	unsigned n;
	enum dir dir;
	struct staged stage[BURST_MAX];
	uint8_t *octets; /* BURST_MAX * snap */

	/* a search through many rules for each packet would be slow */
	uint64_t generation;
	struct {
		const struct policy *policy;
		uint32_t place;
	} place[PLACES];
};

struct capture *
capture_new(unsigned points, uint32_t snap,
    void (*sink)(void *ctx, const struct capture_rec *r, const uint8_t *octets), void *ctx)
{
	struct capture *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	if ((c->octets = malloc((size_t)BURST_MAX * snap)) == NULL) {
		free(c);
		return NULL;
	}
	c->points = points;
	c->snap = snap;
	c->sink = sink;
	c->ctx = ctx;
	c->next = 1;
	return c;
}

void
capture_free(struct capture *c)
{
	if (c == NULL)
		return;
	free(c->octets);
	free(c);
}

void
capture_time(struct capture *c, uint64_t ns)
{
	c->now = ns;
}

static uint32_t
search(const struct spd *spd, const struct policy *p)
{
	for (size_t i = 0; i < spd_count(spd); i++)
		if (spd_at(spd, i) == p)
			return (uint32_t)i;
	return CAPTURE_NOWHERE;
}

static uint32_t
place_of(struct capture *c, const struct gen *gen, const struct policy *p)
{
	unsigned i = (unsigned)((uintptr_t)p >> 6) % PLACES;

	if (c->generation != gen->number) {
		memset(c->place, 0, sizeof c->place);
		c->generation = gen->number;
	}
	if (c->place[i].policy != p) {
		c->place[i].policy = p;
		c->place[i].place = search(gen->spd, p);
	}
	return c->place[i].place;
}

static void
add_sa(struct capture_rec *r, const struct sa *sa)
{
	if (sa == NULL || r->nsas == CAPTURE_SAS)
		return;
	r->sa_spi[r->nsas] = sa->spi;
	r->sa_proto[r->nsas++] = (uint8_t)sa->p.proto;
}

static enum capture_word
word_of(const struct pkt *p)
{
	if (p->drop != DROP_NONE)
		return p->drop == DROP_HELD ? CAPTURE_HELD : CAPTURE_DROP;
	if (!p->bypass)
		return CAPTURE_PROTECT;
	/* never classified: made here, for the host */
	return p->etype == 0 ? CAPTURE_MADE : CAPTURE_BYPASS;
}

/* All but the rule's place. */
static void
decide(enum dir dir, const struct pkt *p, struct capture_rec *r)
{
	enum builtin b;

	memset(r, 0, sizeof *r);
	r->number = p->number;
	r->dir = (uint8_t)dir;
	r->drop = (uint8_t)p->drop;
	r->word = (uint8_t)word_of(p);
	r->link = p->link;
	r->seq = p->seq;
	r->rule = CAPTURE_NOWHERE;
	r->builtin = BUILTIN_MAX;
	if (p->policy == NULL && p->etype != 0 &&
	    (p->drop == DROP_NONE || p->drop == DROP_POLICY_DISCARD) && p->nchain == 0 &&
	    passthru(p, &b))
		r->builtin = (uint8_t)b;
	if (dir == DIR_OUT) {
		for (unsigned i = 0; p->policy != NULL && !p->bypass && i < p->policy->nsteps; i++)
			add_sa(r, p->sa[i]);
	} else {
		for (unsigned i = 0; i < p->nchain; i++)
			add_sa(r, p->chain[i]);
	}
	r->spi = r->nsas == 0 ? p->spi : 0;
}

void
capture_decide(const struct gen *gen, enum dir dir, const struct pkt *p, struct capture_rec *r)
{
	decide(dir, p, r);
	if (p->policy != NULL)
		r->rule = search(gen->spd, p->policy);
}

bool
capture_wants(unsigned points, const struct capture_rec *r)
{
	unsigned at = r->point == CAPTURE_HOST ? CAPTURE_AT_HOST : CAPTURE_AT_WIRE;

	return points & at || (points & CAPTURE_DROPPED && r->word == CAPTURE_DROP);
}

/* One staged frame, with what is known of its packet. */
static void
tell_staged(struct capture *c, unsigned i, struct capture_rec r)
{
	struct staged *s = &c->stage[i];

	s->told = true;
	r.point = c->dir == DIR_OUT ? CAPTURE_HOST : CAPTURE_WIRE;
	if (!capture_wants(c->points, &r))
		return;
	r.ts = s->ts;
	r.len = s->len;
	r.caplen = s->caplen;
	r.link = s->link;
	r.came = 1;
	c->sink(c->ctx, &r, c->octets + (size_t)i * c->snap);
}

void
capture_flush(struct capture *c)
{
	struct capture_rec r = {.dir = (uint8_t)c->dir,
	    .word = CAPTURE_HELD,
	    .rule = CAPTURE_NOWHERE,
	    .builtin = BUILTIN_MAX};

	for (unsigned i = 0; i < c->n; i++) {
		r.number = c->first + i;
		if (!c->stage[i].told)
			tell_staged(c, i, r);
	}
	c->n = 0;
}

void
capture_read(struct capture *c, struct burst *b, enum dir dir)
{
	capture_flush(c);
	c->dir = dir;
	c->first = b->n != 0 && b->p[0]->number != 0 ? b->p[0]->number : c->next;
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		struct staged *s = &c->stage[i];

		if (p->number == 0)
			p->number = c->next++;
		if (p->ts_ns == 0)
			p->ts_ns = c->now;
		s->ts = p->ts_ns;
		s->len = p->len;
		s->caplen = p->len < c->snap ? p->len : c->snap;
		s->link = p->link;
		s->told = false;
		memcpy(c->octets + (size_t)i * c->snap, pkt_data(p), s->caplen);
	}
	c->n = b->n;
}

/* As it leaves, or where nothing was kept of what it was, as it is. */
static void
tell(struct capture *c, const struct pkt *p, bool came, struct capture_rec *r)
{
	r->point = (r->dir == DIR_OUT) == came ? CAPTURE_HOST : CAPTURE_WIRE;
	if (!capture_wants(c->points, r))
		return;
	r->came = came;
	r->ts = p->ts_ns ? p->ts_ns : c->now;
	r->len = p->len;
	r->caplen = p->len < c->snap ? p->len : c->snap;
	c->sink(c->ctx, r, pkt_data(p));
}

void
capture_verdict(struct capture *c, const struct gen *gen, enum dir dir, const struct pkt *p)
{
	bool mine = dir == c->dir && p->number >= c->first && p->number - c->first < c->n;
	struct capture_rec r;

	decide(dir, p, &r);
	if (p->policy != NULL)
		r.rule = place_of(c, gen, p->policy);
	if (mine && r.word != CAPTURE_MADE) {
		unsigned i = (unsigned)(p->number - c->first);

		if (!c->stage[i].told)
			tell_staged(c, i, r);
		else if (r.word == CAPTURE_DROP)
			tell(c, p, true, &r); /* another piece of it */
	} else if (r.word == CAPTURE_DROP) {
		tell(c, p, true, &r);
	}
	if (p->drop == DROP_NONE)
		tell(c, p, false, &r);
}

const char *
capture_word(const struct capture_rec *r)
{
	switch ((enum capture_word)r->word) {
	case CAPTURE_DROP:
		return "dropped";
	case CAPTURE_HELD:
		return "held";
	case CAPTURE_MADE:
		return "made";
	case CAPTURE_BYPASS:
		return "bypassed";
	case CAPTURE_PROTECT:
		break;
	}
	return r->dir == DIR_OUT ? "protected" : "opened";
}

char *
capture_text(const struct capture_rec *r, char text[static CAPTURE_TEXT])
{
	size_t n = (size_t)snprintf(text, CAPTURE_TEXT, "%s", capture_word(r));

#define ADD(...) n += (size_t)snprintf(text + n, CAPTURE_TEXT - n, __VA_ARGS__)
	if (r->rule != CAPTURE_NOWHERE)
		ADD(" rule=%" PRIu32, r->rule);
	if (r->builtin < BUILTIN_MAX)
		ADD(" builtin=%s", builtin_name((enum builtin)r->builtin));
	for (unsigned i = 0; i < r->nsas && i < CAPTURE_SAS; i++)
		ADD("%s%s:0x%08" PRIx32,
		    i ? "," : " sa=", r->sa_proto[i] == IPSEC_AH ? "ah" : "esp", r->sa_spi[i]);
	if (r->spi != 0)
		ADD(" spi=0x%08" PRIx32, r->spi);
	if (r->seq != 0)
		ADD(" seq=%" PRIu64, r->seq);
	if (r->drop != DROP_NONE && r->drop < DROP_HELD)
		ADD(" reason=%s", drop_name((enum drop)r->drop));
#undef ADD
	return text;
}
