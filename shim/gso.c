/*
 * Super-frames and checksums that their sender left to others (struct vnet): passed on so where nothing is done to the packet and
 * the edge takes it, else made into packets as they would have come by themselves.
 *
 * Policy is looked up once for a super-frame; from here on each segment is a packet of its own: number, counters, lifetimes.  The
 * host chose its segment size for the NIC's MTU.  TCP does not care where a stream is cut, so here it is cut to what fits
 * after protection, and the host need not be told (and send anew).  UDP's datagrams are the application's and stay what they are.
 */
#include <netinet/in.h>
#include "edge.h"
#include "datapath.h"
#include "segment.h"

#define UDP_CHECK 6

/* The checksum is put where it is missing. */
static enum drop
gso_sum(struct pkt *p)
{
	const struct vnet *v = &p->todo;
	uint8_t *from = pkt_get(p, v->csum_start, v->csum_offset + 2u);
	uint16_t sum;

	if (!from)
		return DROP_EDGE_ERROR;
	/* the field holds the pseudo header's sum, so it is part of what is summed */
	sum = cksum_fold(cksum_add(0, from, p->len - v->csum_start));
	/* 0 would mean "none" in UDP (RFC 768), also in one inside a tunnel, of which only the field's place tells */
	put16(from + v->csum_offset, sum == 0 && v->csum_offset == UDP_CHECK ? 0xffff : sum);
	p->todo = (struct vnet){0};
	return DROP_NONE;
}

/* An empty packet of which is known what is known of ${p}, whose headers it will have. */
static struct pkt *
gso_new(struct walk *w, const struct pkt *p)
{
	struct pkt *m = pkt_like(w->pool, p);

	if (!m)
		return NULL;
	m->todo = (struct vnet){0};
	m->more = 0;
	m->more_octets = 0;
	return m;
}

/* Cuts ${p} by ${s}; consumes it.  What finds no buffer is counted as that. */
static void
gso_cut(struct walk *w, struct pkt *p, struct segment *s, enum dir dir, struct emit *emit)
{
	uint32_t left = segment_left(s);

	/* cut smaller than the host would have: more packets than were read */
	stats_add(&w->stats->made[dir], left - pkt_count(p));
	for (; left; left--) {
		struct pkt *m = gso_new(w, p);

		if (!m) {
			p->drop = DROP_NO_BUFFER;
			p->more = (uint16_t)(left - 1);
			emit_put(emit, p);
			return;
		}
		segment_next(s, m);
		m->l3end = m->len;
		emit_put(emit, m);
	}
	pkt_free(w->pool, p);
}

/* The largest TCP payload behind headers of ${hlen} octets that fits after protection; at least 1, and that is then too big in its own
 * right. */
static uint32_t
gso_mss(const struct walk *w, const struct pkt *p, uint32_t hlen)
{
	uint32_t size[POLICY_STEPS_MAX], clear[POLICY_STEPS_MAX], room;

	pmtu_sizes(p, size, clear);
	room = pmtu_room(w, p, clear) + p->l3;
	return room > hlen ? room - hlen : 1;
}

/* Does ${p} leave with what is to do still to do? */
static bool
gso_whole(const struct walk *w, const struct pkt *p, enum dir dir, uint32_t longest)
{
	const struct edge *e = dir == DIR_OUT ? w->lower : w->upper;

	return p->bypass && p->todo.partial && e->offload &&
	       (dir == DIR_IN || longest - p->l3 <= w->mtu);
}

static void
gso_packet(struct walk *w, struct pkt *p, enum dir dir, struct emit *emit)
{
	struct segment s;
	uint32_t mss;

	if (p->drop != DROP_NONE || (!p->todo.gso && !p->todo.partial)) {
		emit_put(emit, p);
		return;
	}
	if (!p->todo.gso) {
		if (!gso_whole(w, p, dir, p->len))
			p->drop = gso_sum(p);
		emit_put(emit, p);
		return;
	}
	/* what the frame says of itself is what classify() found */
	p->drop = segment_begin(&s, pkt_data(p), p->len, &p->todo);
	if (p->drop == DROP_NONE && (s.l3 != p->l3 || s.l4 != p->l4 || s.proto != p->key.proto))
		p->drop = DROP_EDGE_ERROR;
	if (p->drop != DROP_NONE || gso_whole(w, p, dir, s.hlen + s.size)) {
		emit_put(emit, p);
		return;
	}
	if (dir == DIR_OUT && s.proto == IPPROTO_TCP && (mss = gso_mss(w, p, s.hlen)) < s.size)
		s.size = mss;
	gso_cut(w, p, &s, dir, emit);
}

void
gso_burst(struct walk *w, struct burst *b, enum dir dir, struct emit *emit)
{
	for (unsigned i = 0; i < b->n; i++)
		gso_packet(w, b->p[i], dir, emit);
	emit_end(emit);
}

void
gso_encap_burst(struct walk *w, struct burst *b, struct emit *emit)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		struct segment s;

		if (p->drop != DROP_NONE || p->todo.gso != GSO_UDP || !udpencap_port(w, p)) {
			emit_put(emit, p);
		} else if ((p->drop = segment_begin(&s, pkt_data(p), p->len, &p->todo)) !=
			   DROP_NONE) {
			emit_put(emit, p);
		} else {
			s.encap = true;
			gso_cut(w, p, &s, DIR_IN, emit);
		}
	}
	emit_end(emit);
}
