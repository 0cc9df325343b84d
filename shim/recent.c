#include <stdlib.h>
#include "recent.h"
#include "sa.h"
#include "spin.h"

struct recent {
	bool shared;
	uint8_t lock;		      /* where shared: to write, and for others to read */
	unsigned next;		      /* place of the next one */
	unsigned noted;		      /* of the burst in hand */
	uint8_t of[RECENT_PER_BURST]; /* their places in it */
	struct recent_pkt ring[RECENT_MAX];
};

struct recent *
recent_new(void)
{
	return calloc(1, sizeof(struct recent));
}

void
recent_share(struct recent *r)
{
	r->shared = true;
}

void
recent_free(struct recent *r)
{
	free(r);
}

static void
recent_note(struct recent_pkt *n, const struct pkt *p)
{
	uint32_t total = p->l3end - p->l3;
	const uint8_t *h = pkt_data(p) + p->l3;

	n->spi = 0; /* not to be found before it has its number */
	n->nsteps = p->policy->nsteps;
	n->may_cut = p->cut_ok || (p->af == 4 && !(h[6] & 0x40));
	n->total = (uint16_t)(total > 65535 ? 65535 : total);
	n->clear = (uint16_t)(p->ins - p->l3);
	n->n = (uint8_t)(total < RECENT_HEAD ? total : RECENT_HEAD);
	memcpy(n->head, h, n->n);
}

void
recent_before(struct recent *r, const struct burst *b)
{
	if (r->shared)
		spin_lock(&r->lock);
	r->noted = 0;
	for (unsigned i = 0; i < b->n && r->noted < RECENT_PER_BURST; i++) {
		const struct pkt *p = b->p[i];

		if (p->drop != DROP_NONE || p->bypass || p->af == 0)
			continue;
		recent_note(&r->ring[(r->next + r->noted) % RECENT_MAX], p);
		r->of[r->noted++] = (uint8_t)i;
	}
	if (r->shared)
		spin_unlock(&r->lock);
}

void
recent_after(struct recent *r, const struct burst *b)
{
	if (r->shared)
		spin_lock(&r->lock);
	for (unsigned i = 0; i < r->noted; i++) {
		const struct pkt *p = b->p[r->of[i]];
		struct recent_pkt *n = &r->ring[(r->next + i) % RECENT_MAX];
		const struct sa *sa;

		if (p->drop != DROP_NONE)
			continue; /* its place holds nothing */
		sa = p->sa[n->nsteps - 1];
		n->seq = (uint32_t)p->seq;
		n->proto = (uint8_t)sa->p.proto;
		n->sa_dst = sa->p.dst;
		n->spi = p->spi;
	}
	r->next = (r->next + r->noted) % RECENT_MAX;
	r->noted = 0;
	if (r->shared)
		spin_unlock(&r->lock);
}

static bool
look(const struct recent *r, uint8_t proto, uint32_t spi, uint32_t seq, struct recent_pkt *n)
{
	for (unsigned i = 1; i <= RECENT_MAX; i++) {
		const struct recent_pkt *at = &r->ring[(r->next - i) % RECENT_MAX];

		if (at->spi == spi && at->seq == seq && at->proto == proto && spi != 0) {
			*n = *at;
			return true;
		}
	}
	return false;
}

bool
recent_find(struct recent *r, uint8_t proto, uint32_t spi, uint32_t seq, struct recent_pkt *n)
{
	bool found;

	if (r->shared)
		spin_lock(&r->lock);
	found = look(r, proto, spi, seq, n);
	if (r->shared)
		spin_unlock(&r->lock);
	return found;
}
