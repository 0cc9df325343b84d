/*
 * Cutting a packet that may be cut (RFC 791 3.2, RFC 8200 4.5).
 */
#include <netinet/in.h>
#include "crypto.h"
#include "datapath.h"

#define FRAG_HLEN 8

/* A new packet that is ${p} in all but its octets. */
static struct pkt *
frag_new(struct walk *w, const struct pkt *p)
{
	struct pkt *m = pkt_new(w->pool), is;

	if (!m)
		return NULL;
	is = *m;
	*m = *p;
	m->slot = is.slot;
	m->size = is.size;
	m->off = is.off;
	m->len = 0;
	m->next = NULL;
	return m;
}

/* Options without the copied flag belong to the first fragment only (RFC 791 3.1). */
static void
frag_options(uint8_t *opt, uint32_t len)
{
	for (uint32_t i = 0, n; i < len; i += n) {
		n = opt[i] <= 1 || i + 1 >= len ? 1 : opt[i + 1];
		if (n == 0 || n > len - i || opt[i] == 0)
			return;
		if (!(opt[i] & 0x80))
			memset(opt + i, 1, n);
	}
}

/* The header of the fragment that begins ${at} octets into the payload; ${more} follow. */
static void
frag_header4(uint8_t *h, uint32_t hlen, uint32_t at, bool more)
{
	uint16_t was = get16(h + 6);

	if (at)
		frag_options(h + 20, hlen - 20);
	put16(h + 6, (uint16_t)((was & 0xc000) | ((more || (was & 0x2000)) ? 0x2000 : 0) |
				((was & 0x1fff) + at / 8)));
}

static void
frag_header6(uint8_t *frame, uint16_t nh, uint32_t hlen, uint32_t at, bool more, uint32_t id)
{
	uint8_t *f = frame + hlen;

	f[0] = frame[nh];
	f[1] = 0;
	put16(f + 2, (uint16_t)(at | more));
	put32(f + 4, id);
	frame[nh] = IPPROTO_FRAGMENT;
}

void
frag_split(struct walk *w, struct pkt *p, uint32_t mtu, struct emit *emit, enum dir dir)
{
	uint32_t hlen = p->ins, head = hlen - p->l3 + (p->af == 6 ? FRAG_HLEN : 0),
		 all = p->l3end - hlen, id = 0, step;
	unsigned pieces = 0;

	step = mtu > head ? (mtu - head) & ~7u : 0;
	if (step == 0) {
		p->drop = DROP_TOO_BIG;
		emit_put(emit, p);
		return;
	}
	if (p->af == 6)
		w->rng->fill(w->rng, (uint8_t *)&id, sizeof id); /* RFC 7739: not to be guessed */
	for (uint32_t at = 0; at < all; at += step) {
		uint32_t n = all - at < step ? all - at : step;
		struct pkt *m = frag_new(w, p);
		uint8_t *f = m ? pkt_put(m, p->l3 + head + n) : NULL;

		if (!f) {
			if (m)
				pkt_free(w->pool, m);
			p->drop = DROP_NO_BUFFER;
			stats_add(&w->stats->made[dir], pieces);
			emit_put(emit, p);
			return;
		}
		memcpy(f, pkt_data(p), hlen);
		memcpy(f + p->l3 + head, pkt_data(p) + hlen + at, n);
		if (p->af == 4) {
			frag_header4(f + p->l3, hlen - p->l3, at, at + n < all);
		} else {
			frag_header6(f, p->nh, hlen, at, at + n < all, id);
			m->ins += FRAG_HLEN;
			m->nh = (uint16_t)hlen;
		}
		m->key.frag = 1;
		ip_finish(m);
		pieces++;
		emit_put(emit, m);
	}
	stats_add(&w->stats->made[dir], pieces - 1);
	pkt_free(w->pool, p);
}
