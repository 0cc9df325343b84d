/*
 * Reassembly.  A datagram is one slot: fragments are copied to their place in it, and a bit per 8 octets says what is there.  The
 * header comes from the first fragment and is put right in front of the payload when all is there.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include "datapath.h"
#include "fragcheck.h"
#include "reasm.h"

#define HEADER_ROOM                                                                                \
	256 /* link header, IP header and the IPv6 headers in front of the fragment header */
#define BLOCKS (65536 / 8)

struct datagram {
	/* what its fragments have in common */
	struct ipaddr src, dst;
	const struct sa *sa; /* it came through, NULL: clear; the two never mix */
	uint32_t spi;	     /* of that SA: by now the address alone may be another's */
	uint8_t nchain;
	uint32_t id;
	uint16_t vlan;
	uint8_t proto, dir, af;

	struct pkt *whole; /* NULL: this entry is free */
	uint32_t
	    hlen; /* link and IP header in front of the payload; 0: the first fragment is missing */
	uint16_t l3, nh;      /* where they were in the first fragment's frame */
	uint32_t have, total; /* octets of payload; total 0: the last fragment is missing */
	uint32_t furthest;    /* end of the piece that reaches furthest */
	uint32_t pieces;
	uint64_t deadline;
	uint8_t ce,
	    next; /* a fragment was marked congestion experienced; IPv6: protocol of the payload */
	uint64_t bits[BLOCKS / 64];
};

struct reasm {
	unsigned held;
	uint64_t next_deadline;
	struct datagram d[REASM_MAX]; /* the shares, one behind the other */
};

struct reasm *
reasm_new(void)
{
	struct reasm *r = calloc(1, sizeof *r);

	if (r)
		r->next_deadline = UINT64_MAX;
	return r;
}

static void
datagram_end(struct reasm *r, struct datagram *d)
{
	r->held -= d->pieces;
	d->whole = NULL;
}

void
reasm_free(struct reasm *r, struct pktpool *pool)
{
	if (!r)
		return;
	for (unsigned i = 0; i < REASM_MAX; i++)
		if (r->d[i].whole)
			pkt_free(pool, r->d[i].whole);
	free(r);
}

unsigned
reasm_held(const struct reasm *r)
{
	return r->held;
}

/* All its fragments so far go under one reason. */
static void
datagram_drop(struct walk *w, struct datagram *d, enum drop why)
{
	stats_add(&w->stats->drop[d->dir][why], d->pieces);
	pkt_free(w->pool, d->whole);
	datagram_end(w->reasm, d);
}

static void
reasm_expire(struct walk *w)
{
	struct reasm *r = w->reasm;

	if (w->now < r->next_deadline)
		return;
	r->next_deadline = UINT64_MAX;
	for (unsigned i = 0; i < REASM_MAX; i++) {
		struct datagram *d = &r->d[i];

		if (!d->whole)
			continue;
		if (d->deadline <= w->now)
			datagram_drop(w, d, DROP_FRAG_TIMEOUT);
		else if (d->deadline < r->next_deadline)
			r->next_deadline = d->deadline;
	}
}

static bool
piece_read4(const struct pkt *p, struct reasm_piece *f)
{
	const uint8_t *h = pkt_get(p, p->l3, 20);

	f->hlen = f->at = p->l4;
	f->len = p->l3end - p->l4;
	f->offset = (get16(h + 6) & 0x1fffu) * 8;
	f->more = h[6] & 0x20;
	f->id = get16(h + 4);
	f->nh = 0;
	f->next = 0;
	return true;
}

/* classify() has walked this chain, so it is sound up to the fragment header. */
static bool
piece_read6(const struct pkt *p, struct reasm_piece *f)
{
	uint32_t at = p->l3 + 40u;
	uint16_t nh = (uint16_t)(p->l3 + 6);
	const uint8_t *h;

	for (unsigned n = 0; n <= CLASSIFY_HEADERS_MAX; n++) {
		const uint8_t *name = pkt_get(p, nh, 1);

		if (!name || !(h = pkt_get(p, at, 8)))
			return false;
		if (*name == IPPROTO_FRAGMENT) {
			f->hlen = at;
			f->at = at + 8;
			f->len = p->l3end - f->at;
			f->offset = get16(h + 2) & 0xfff8u;
			f->more = h[3] & 1;
			f->id = get32(h + 4);
			f->nh = nh;
			f->next = h[0];
			return true;
		}
		nh = (uint16_t)at;
		at += (h[1] + 1u) * 8;
	}
	return false;
}

bool
reasm_piece_of(const struct pkt *p, struct reasm_piece *f)
{
	return p->af == 4 ? piece_read4(p, f) : piece_read6(p, f);
}

void
reasm_atomic(struct pkt *p)
{
	struct reasm_piece f;
	enum dir dir = (enum dir)p->key.dir;

	while (p->drop == DROP_NONE && p->atomic && !p->key.frag && piece_read6(p, &f)) {
		uint8_t *frame = pkt_data(p);

		frame[f.nh] = f.next;
		memmove(frame + f.at - f.hlen, frame, f.hlen);
		pkt_pull(p, f.at - f.hlen);
		ip_finish(p);
		p->drop = classify(p, dir);
	}
}

/* The places among which ${p}'s datagram is. */
static struct datagram *
reasm_share(struct reasm *r, const struct pkt *p)
{
	return r->d + REASM_SHARE * (p->key.dir == DIR_OUT ? 0 : p->nchain == 0 ? 1 : 2);
}

static const struct sa *
reasm_sa(const struct pkt *p)
{
	return p->nchain ? p->chain[p->nchain - 1] : NULL;
}

static struct datagram *
reasm_find(struct reasm *r, const struct pkt *p, const struct reasm_piece *f)
{
	struct datagram *share = reasm_share(r, p);
	const struct sa *sa = reasm_sa(p);

	for (unsigned i = 0; i < REASM_SHARE; i++) {
		struct datagram *d = &share[i];

		if (d->whole && d->id == f->id && d->af == p->af && d->dir == p->key.dir &&
		    d->sa == sa && d->nchain == p->nchain && (!sa || d->spi == p->spi) &&
		    d->vlan == p->key.vlan && (d->af == 6 || d->proto == p->key.proto) &&
		    ipaddr_eq(&d->src, &p->key.remote) && ipaddr_eq(&d->dst, &p->key.local))
			return d;
	}
	return NULL;
}

bool
reasm_waits(const struct reasm *r, const struct pkt *p, const struct reasm_piece *f)
{
	struct reasm *in = (struct reasm *)(uintptr_t)r; /* reasm_find() changes nothing */

	return r && reasm_find(in, p, f);
}

/* A free entry, or the oldest one's: of this source when it has as many as it may, else of all in its share. */
static struct datagram *
reasm_entry(struct walk *w, const struct pkt *p)
{
	struct datagram *share = reasm_share(w->reasm, p), *oldest = NULL, *own = NULL,
			*unused = NULL;
	const struct sa *sa = reasm_sa(p);
	unsigned mine = 0;

	for (unsigned i = 0; i < REASM_SHARE; i++) {
		struct datagram *d = &share[i];

		if (!d->whole) {
			unused = d;
			continue;
		}
		if (!oldest || d->deadline < oldest->deadline)
			oldest = d;
		/* whoever is behind a tunnel writes what source it likes, but only that SA's */
		if (sa ? d->sa != sa : !ipaddr_eq(&d->src, &p->key.remote))
			continue;
		mine++;
		if (!own || d->deadline < own->deadline)
			own = d;
	}
	if (mine < REASM_PER_SOURCE && unused)
		return unused;
	if (mine >= REASM_PER_SOURCE)
		oldest = own;
	datagram_drop(w, oldest, DROP_FRAG_FULL);
	return oldest;
}

static struct datagram *
reasm_begin(struct walk *w, const struct pkt *p, const struct reasm_piece *f)
{
	struct pkt *whole = pkt_new(w->pool);
	struct datagram *d;

	if (!whole)
		return NULL;
	d = reasm_entry(w, p);
	memset(d, 0, sizeof *d);
	d->src = p->key.remote;
	d->dst = p->key.local;
	d->sa = reasm_sa(p);
	d->nchain = p->nchain;
	d->spi = p->spi;
	d->id = f->id;
	d->vlan = p->key.vlan;
	d->proto = p->key.proto;
	d->dir = p->key.dir;
	d->af = p->af;
	d->whole = whole;
	d->deadline = w->now + (p->af == 4 ? REASM_MS4 : REASM_MS6);
	if (d->deadline < w->reasm->next_deadline)
		w->reasm->next_deadline = d->deadline;
	return d;
}

/* Are (or become) the 8-octet blocks of this piece all free?  -1: some taken; 1: all taken; 0: all were free, now marked. */
static int
datagram_mark(struct datagram *d, const struct reasm_piece *f)
{
	uint32_t first = f->offset / 8, last = (f->offset + f->len - 1) / 8, taken = 0;

	for (uint32_t i = first; i <= last; i++)
		taken += d->bits[i / 64] >> (i % 64) & 1;
	if (taken)
		return taken == last - first + 1 ? 1 : -1;
	for (uint32_t i = first; i <= last; i++)
		d->bits[i / 64] |= UINT64_C(1) << (i % 64);
	return 0;
}

/* Copies one piece in.  DROP_HELD: taken; anything else: the piece is refused, and but for an exact duplicate the datagram has to go. */
static enum drop
datagram_add(struct datagram *d, const struct pkt *p, const struct reasm_piece *f, bool *fatal)
{
	uint8_t *body = d->whole->slot + PKT_HEADROOM + HEADER_ROOM;
	uint32_t end = f->offset + f->len, room = d->whole->size - PKT_HEADROOM - HEADER_ROOM;
	const uint8_t *h = pkt_get(p, p->l3, 2);
	int marked;

	*fatal = true;
	if (f->len == 0 || (f->more && f->len % 8) || end > 65535 || end > room ||
	    f->hlen > HEADER_ROOM)
		return DROP_FRAG_BAD;
	if ((!f->more && d->total && d->total != end) || (d->total && end > d->total) ||
	    (!f->more && d->furthest > end))
		return DROP_FRAG_BAD;
	if ((marked = datagram_mark(d, f)) != 0) {
		*fatal = marked < 0 || memcmp(body + f->offset, pkt_data(p) + f->at, f->len) != 0;
		return DROP_FRAG_OVERLAP;
	}
	memcpy(body + f->offset, pkt_data(p) + f->at, f->len);
	d->have += f->len;
	if (end > d->furthest)
		d->furthest = end;
	d->pieces++;
	if (!f->more)
		d->total = end;
	if (f->offset == 0) {
		memcpy(body - f->hlen, pkt_data(p), f->hlen);
		d->hlen = f->hlen;
		d->l3 = p->l3;
		d->nh = f->nh;
		d->next = f->next;
	}
	d->ce |= ((d->af == 4 ? h[1] : h[1] >> 4) & 3) == 3;
	return DROP_HELD;
}

/* The whole packet, header mended; it carries on in the place of its last fragment. */
static struct pkt *
datagram_finish(struct walk *w, struct datagram *d, const struct pkt *last)
{
	struct pkt *p = d->whole;
	uint32_t l3len = d->hlen - d->l3 + d->total;
	uint8_t *h;

	p->off = PKT_HEADROOM + HEADER_ROOM - d->hlen;
	p->len = d->hlen + d->total;
	p->link = last->link;
	p->nchain = last->nchain;
	memcpy(p->chain, last->chain, sizeof p->chain);
	p->tunnelled = last->tunnelled;
	p->spi = last->spi;
	p->spi_proto = last->spi_proto;
	p->seq = last->seq;
	p->ts_ns = last->ts_ns;
	p->number = last->number;
	p->cut_ok = 1;
	p->l3 = d->l3;
	p->af = d->af;
	h = pkt_data(p) + d->l3;
	if (l3len > 65535 + (d->af == 6 ? 40u : 0u)) {
		p->drop = DROP_FRAG_BAD;
	} else {
		if (d->af == 6) {
			pkt_data(p)[d->nh] = d->next;
			if (d->ce && (h[1] & 0x30))
				h[1] |= 0x30; /* RFC 3168 5.3 */
		} else {
			put16(h + 6, get16(h + 6) & 0x4000);
			if (d->ce && (h[1] & 3))
				h[1] |= 3;
		}
		ip_finish(p);
		p->drop = classify(p, (enum dir)d->dir);
		if (p->drop == DROP_NONE && p->key.frag)
			p->drop = DROP_FRAG_BAD; /* one in another: no sender makes such */
	}
	stats_add(&w->stats->consumed[d->dir], d->pieces - 1);
	datagram_end(w->reasm, d);
	return p;
}

/* ${p} is a fragment: the datagram it completes, or NULL, and ${p}'s drop says what became of it. */
static struct pkt *
reasm_take(struct walk *w, struct pkt *p)
{
	struct reasm_piece f;
	struct datagram *d;
	bool fatal;

	if (!reasm_piece_of(p, &f)) {
		p->drop = DROP_HEADER_CHAIN;
		return NULL;
	}
	if (!(d = reasm_find(w->reasm, p, &f)) && !(d = reasm_begin(w, p, &f))) {
		p->drop = DROP_NO_BUFFER;
		return NULL;
	}
	if ((p->drop = datagram_add(d, p, &f, &fatal)) != DROP_HELD) {
		if (fatal)
			datagram_drop(w, d, p->drop);
		return NULL;
	}
	w->reasm->held++;
	if (!d->hlen || !d->total || d->have != d->total)
		return NULL;
	return datagram_finish(w, d, p);
}

void
reasm_burst(struct walk *w, struct burst *b, enum dir dir)
{
	unsigned n = 0;

	(void)dir;
	if (!w->reasm)
		return;
	reasm_expire(w);
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i], *whole;

		if (p->drop != DROP_NONE || !p->key.frag || fragcheck_take(w, p)) {
			b->p[n++] = p;
			continue;
		}
		whole = reasm_take(w, p);
		if (p->drop != DROP_HELD) {
			b->p[n++] = p; /* refused: accounted with the others */
			continue;
		}
		if (w->verdict)
			w->verdict(w->verdict_ctx, dir, p);
		pkt_free(w->pool, p);
		if (whole)
			b->p[n++] = whole;
	}
	b->n = n;
}
