/*
 * From the wire to the host, top to bottom (RFC 4301 5.2).
 */
#include "datapath.h"
#include "edge.h"
#include "gen.h"
#include "sa.h"

static bool inbound_find(struct walk *w, struct burst *b);
static void inbound_open(struct walk *w, struct burst *b);
static void inbound_policy(struct walk *w, struct burst *b);

void
inbound_burst(struct walk *w, struct burst *b)
{
	if (account_read(w, b, DIR_IN)) {
		classify_burst(b, DIR_IN);   /* octets -> flowkey, offsets */
		reasm_burst(w, b, DIR_IN);   /* ESP and AH want whole packets */
		while (inbound_find(w, b)) { /* has an SA: */
			inbound_open(w,
			    b); /* replay check, ICV, decrypt, window; what came out is classified */
			reasm_burst(w, b, DIR_IN); /* a tunnel may carry fragments */
		}
		inbound_policy(w, b); /* opened: is it what its SA is for?  clear: may it be? */
		edge_send(w->upper, b);
	}
	account_burst(w, b, DIR_IN);
}

static bool
is_ipsec(const struct pkt *p)
{
	return p->af && !p->key.opaque && (p->key.proto == IPSEC_ESP || p->key.proto == IPSEC_AH);
}

/* ESP in UDP: only an SA that is configured for it may take it so, and nothing but an SA may take it. */
static void
inbound_find_udp(struct walk *w, struct pkt *p)
{
	const uint8_t *h;

	p->ipsec = p->l4 + 8;
	if (!(h = pkt_get(p, p->ipsec, 8))) {
		p->drop = DROP_RUNT;
		return;
	}
	p->spi = get32(h);
	p->sa[0] = sadb_in(w->gen->sad, IPSEC_ESP, p->spi, &p->key.local);
	if (!p->sa[0] || !p->sa[0]->p.encap_dport) {
		p->sa[0] = NULL;
		p->drop = DROP_UNKNOWN_SPI;
	} else if (p->nchain == POLICY_STEPS_MAX) {
		p->sa[0] = NULL;
		p->drop = DROP_NESTING;
	}
}

/*
 * Sets sa[0] of each packet that has an ESP or AH header of a known SA.  True when any has.  A nested header whose SPI is not ours is
 * payload: policy looks at it like at any other protocol.
 */
static bool
inbound_find(struct walk *w, struct burst *b)
{
	bool any = false;

	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		const uint8_t *h;

		p->sa[0] = NULL;
		if (p->drop != DROP_NONE)
			continue;
		if (!is_ipsec(p)) {
			if (udpencap_is(w, p)) {
				inbound_find_udp(w, p);
				any |= p->sa[0] != NULL;
			}
			continue;
		}
		if (p->key.frag) { /* RFC 4303 3.4.1; only where nothing reassembles */
			p->drop = DROP_FRAGMENT_IN;
			continue;
		}
		if (!(h = pkt_get(p, p->l4, 8))) {
			p->drop = DROP_RUNT;
			continue;
		}
		p->ipsec = p->l4;
		p->spi = get32(h + (p->key.proto == IPSEC_AH ? 4 : 0));
		p->sa[0] =
		    sadb_in(w->gen->sad, (enum ipsec_proto)p->key.proto, p->spi, &p->key.local);
		if (p->sa[0] && p->sa[0]->p.encap_dport) {
			p->sa[0] =
			    NULL; /* this one comes in UDP or not at all, as with other implementations */
			p->drop = DROP_UNKNOWN_SPI;
		}
		if (p->sa[0] && p->nchain == POLICY_STEPS_MAX) {
			p->sa[0] = NULL;
			p->drop = DROP_NESTING;
		}
		any |= p->sa[0] != NULL;
	}
	return any;
}

/* A source no packet out of a tunnel can have: the host's stack would check the wire's, but this one we vouch for. */
static bool
is_martian(const struct ipaddr *src)
{
	static const struct ipaddr loopback6 = {.af = 6, .b = {[15] = 1}};

	return ipaddr_multicast(src) ||
	       (src->af == 4 ? src->b[0] == 127 || src->b[0] == 0 : ipaddr_eq(src, &loopback6));
}

/* SA by SA, so that a transform sees all of its packets at once. */
static void
inbound_open(struct walk *w, struct burst *b)
{
	struct pkt *todo[BURST_MAX], *same[BURST_MAX];
	unsigned left = 0;

	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i]->drop == DROP_NONE && b->p[i]->sa[0])
			todo[left++] = b->p[i];
	while (left) {
		struct sa *sa = todo[0]->sa[0];
		unsigned m = 0, other = 0;

		for (unsigned i = 0; i < left; i++) {
			if (todo[i]->sa[0] == sa)
				same[m++] = todo[i];
			else
				todo[other++] = todo[i];
		}
		sa->open(sa, same, m, w);
		for (unsigned i = 0; i < m; i++) {
			struct pkt *p = same[i];

			if (p->drop != DROP_NONE)
				continue;
			p->chain[p->nchain++] = sa;
			if ((p->drop = classify(p, DIR_IN)) == DROP_NONE && p->tunnelled &&
			    is_martian(&p->key.remote))
				p->drop = DROP_MARTIAN;
			else if (p->drop == DROP_NONE && sa->p.encap_dport &&
				 sa->p.mode == MODE_TRANSPORT)
				udpencap_mend(p);
		}
		left = other;
	}
}

/*
 * A clear ESP or AH packet (unknown SPI) passes only by a rule that names its protocol: a catch-all bypass would hand it to a host
 * whose stack answers "protocol unreachable".
 */
static void
inbound_unknown_spi(struct pkt *p)
{
	bool named = p->drop == DROP_NONE && p->bypass && p->policy && !p->policy->sel.proto_any;

	if (!named)
		p->drop = DROP_UNKNOWN_SPI;
}

static void
inbound_policy(struct walk *w, struct burst *b)
{
	struct burst clear = {0};

	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];

		if (p->drop != DROP_NONE)
			continue;
		if (p->nchain)
			p->drop = policy_opened(w, p);
		else
			clear.p[clear.n++] = p;
	}
	policy_burst(w, &clear, DIR_IN);
	for (unsigned i = 0; i < clear.n; i++)
		if (is_ipsec(clear.p[i]))
			inbound_unknown_spi(clear.p[i]);
}
