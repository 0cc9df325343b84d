/*
 * From the host to the wire, top to bottom (RFC 4301 5.1).
 */
#include <netinet/in.h>
#include "acquire.h"
#include "datapath.h"
#include "edge.h"
#include "events.h"
#include "nexthop.h"
#include "recent.h"
#include "sa.h"

static void outbound_super(struct walk *w, struct burst *b);
static void outbound_fit(struct walk *w, struct burst *b);
static void outbound_seal(struct walk *w, struct burst *b);
static void outbound_address(struct walk *w, struct burst *b);
static void outbound_cut(struct walk *w, struct burst *b);
static void outbound_send(struct walk *w, struct burst *b);

void
outbound_held(struct walk *w)
{
	struct burst b = {0};

	if (!w->acquire)
		return;
	for (acquire_again(w, &b); b.n; acquire_again(w, &b)) {
		policy_burst(w, &b, DIR_OUT);
		outbound_super(w, &b);
		b.n = 0;
	}
}

void
outbound_burst(struct walk *w, struct burst *b)
{
	if (w->running)
		outbound_held(w); /* who came first goes first */
	if (account_read(w, b, DIR_OUT)) {
		classify_burst(b, DIR_OUT);  /* octets -> flowkey, offsets */
		reasm_burst(w, b, DIR_OUT);  /* whole datagrams meet policy */
		policy_burst(w, b, DIR_OUT); /* -> bypass, or SAs, or a drop */
		outbound_super(w, b);	     /* super-frames: cut; then on by outbound_fit() */
	} else {
		account_burst(w, b, DIR_OUT);
	}
}

/* One header, one decision; from here on packets. */
static void
outbound_super(struct walk *w, struct burst *b)
{
	struct emit e = {.w = w, .rest = outbound_fit};

	gso_burst(w, b, DIR_OUT, &e);
}

/* Packets that fit, or were made to. */
static void
outbound_rest(struct walk *w, struct burst *b)
{
	outbound_seal(w, b);	/* ESP, AH: once per step of the bundle */
	outbound_address(w, b); /* link address of a tunnel's next hop */
	outbound_cut(w, b); /* transport mode fragments behind ESP; then on by outbound_send() */
}

static void
outbound_send(struct walk *w, struct burst *b)
{
	edge_send(w->lower, b);
	account_burst(w, b, DIR_OUT);
}

/* Tell the host what would fit. */
static void
outbound_too_big(struct walk *w, struct pkt *p, uint32_t mtu)
{
	struct pkt *icmp = icmp_too_big(w, p, mtu);
	struct burst up = {.n = 1, .p = {icmp}};

	p->drop = DROP_TOO_BIG;
	if (!icmp)
		return;
	stats_add(&w->stats->made[DIR_IN], 1);
	edge_send(w->upper, &up);
	account_burst(w, &up, DIR_IN);
}

/* Will its own headers stay in front, with the ESP or AH header behind them? */
static bool
is_transport(const struct pkt *p)
{
	return p->drop == DROP_NONE && !p->bypass && p->policy && p->policy->nsteps &&
	       p->sa[0]->p.mode == MODE_TRANSPORT;
}

/* Too big: ICMP or fragments; then on by outbound_rest(). */
static void
outbound_fit(struct walk *w, struct burst *b)
{
	struct emit e = {.w = w, .rest = outbound_rest};
	uint32_t mtu;

	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		enum fit fit;

		if (p->atomic && is_transport(p))
			reasm_atomic(p);
		fit = p->drop != DROP_NONE || p->af == 0 || p->todo.gso ? FIT_WHOLE
									: pmtu_fit(w, p, &mtu);
		if (p->drop == DROP_NONE && p->key.proto == IPPROTO_TCP)
			mss_clamp_out(w, p);
		if (fit == FIT_BEFORE) {
			frag_split(w, p, mtu, &e, DIR_OUT);
			continue;
		}
		if (fit == FIT_NOT)
			outbound_too_big(w, p, mtu);
		emit_put(&e, p);
	}
	emit_end(&e);
}

/* One step of every packet's bundle, SA by SA, so that a transform sees all of its packets at once. */
static bool
outbound_step(struct walk *w, struct burst *b, unsigned step)
{
	struct pkt *todo[BURST_MAX], *same[BURST_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i]->drop == DROP_NONE && !b->p[i]->bypass &&
		    step < b->p[i]->policy->nsteps)
			todo[n++] = b->p[i];
	for (unsigned left = n; left;) {
		unsigned m = xform_group(todo, &left, step, same);
		struct sa *sa = same[0]->sa[step];

		xform_seal(sa, same, m, w);
	}
	return n != 0;
}

static void
outbound_seal(struct walk *w, struct burst *b)
{
	if (w->recent)
		recent_before(w->recent, b);
	for (unsigned step = 0; step < POLICY_STEPS_MAX && outbound_step(w, b, step); step++)
		;
	if (w->recent)
		recent_after(w->recent, b);
}

/* The host addressed the frame to the next hop of the inner packet; a tunnel's outer packet may have another. */
static void
outbound_address(struct walk *w, struct burst *b)
{
	if (!w->nexthops)
		return;
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		const struct sa *sa = NULL;
		struct ipaddr dst;
		const uint8_t *mac, *h;

		if (p->drop != DROP_NONE || p->bypass || p->link != LINK_ETHER)
			continue;
		for (unsigned step = p->policy->nsteps; step-- > 0 && !sa;)
			if (p->sa[step]->p.mode == MODE_TUNNEL)
				sa = p->sa[step];
		if (!sa || !(h = pkt_get(p, p->l3, p->af == 4 ? 20 : 40)))
			continue;
		dst = ipaddr_from(p->af, h + (p->af == 4 ? 16 : 24));
		if ((mac = nexthops_find(w->nexthops, &dst)) != NULL) {
			memcpy(pkt_data(p), mac, 6);
			continue;
		}
		p->drop = DROP_NO_NEIGHBOUR;
		if (w->events) {
			struct event ev = {
			    .kind = EV_NEIGHBOUR, .now = w->now, .dst = dst, .spi = sa->spi};

			events_push(w->events, &ev);
		}
	}
}

/* What outbound_fit() let grow beyond the MTU (FIT_AFTER). */
static void
outbound_cut(struct walk *w, struct burst *b)
{
	struct emit e = {.w = w, .rest = outbound_send};

	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		uint32_t mtu = p->drop == DROP_NONE && p->af ? pmtu_path(w, p) : 0;

		if (mtu && !p->todo.gso && p->len - p->l3 > mtu)
			frag_split(w, p, mtu, &e, DIR_OUT);
		else
			emit_put(&e, p);
	}
	emit_end(&e);
}
