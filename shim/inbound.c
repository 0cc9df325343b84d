/*
 * From the wire to the host, top to bottom (RFC 4301 5.2).
 */
#include <netinet/in.h>
#include "datapath.h"
#include "edge.h"
#include "gen.h"
#include "icmp.h"
#include "sa.h"

static void inbound_rest(struct walk *w, struct burst *b);
static bool inbound_find(struct walk *w, struct burst *b);
static void inbound_open(struct walk *w, struct burst *b);
static void inbound_policy(struct walk *w, struct burst *b);
static void inbound_send(struct walk *w, struct burst *b);

void
inbound_burst(struct walk *w, struct burst *b)
{
	struct emit e = {.w = w, .rest = inbound_rest};

	if (account_read(w, b, DIR_IN)) {
		classify_burst(b, DIR_IN); /* octets -> flowkey, offsets */
		gso_encap_burst(
		    w, b, &e); /* ESP in UDP: packet by packet; then on by inbound_rest() */
	} else {
		account_burst(w, b, DIR_IN);
	}
}

static void
inbound_rest(struct walk *w, struct burst *b)
{
	struct emit e = {.w = w, .rest = inbound_send};

	reasm_burst(w, b, DIR_IN);   /* ESP and AH want whole packets */
	while (inbound_find(w, b)) { /* has an SA: */
		inbound_open(
		    w, b); /* replay check, ICV, decrypt, window; what came out is classified */
		reasm_burst(w, b, DIR_IN); /* a tunnel may carry fragments */
	}
	inbound_policy(w, b); /* opened: is it what its SA is for?  clear: may it be? */
	gso_burst(w, b, DIR_IN,
	    &e); /* clear super-frames the host does not take; then on by inbound_send() */
}

static void
inbound_send(struct walk *w, struct burst *b)
{
	edge_send(w->upper, b);
	account_burst(w, b, DIR_IN);
}

static bool
is_ipsec(const struct pkt *p)
{
	return p->af && !p->key.opaque && (p->key.proto == IPSEC_ESP || p->key.proto == IPSEC_AH);
}

/* What the ESP or AH header at offset ${at} names, for sadb_in_burst().  False: too short, dropped. */
static bool
inbound_ask(struct pkt *p, enum ipsec_proto proto, uint32_t at, struct sadb_ask *ask)
{
	const uint8_t *h = pkt_get(p, at, 8);

	if (!h) {
		p->drop = DROP_RUNT;
		return false;
	}
	p->todo =
	    (struct vnet){0}; /* of the header that goes; what is inside was summed by its sender */
	p->ipsec = (uint16_t)at;
	p->spi = get32(h + (proto == IPSEC_AH ? 4 : 0));
	p->spi_proto = (uint8_t)proto;
	/* As it stands there; with ESN the transform finds the whole.  Audit wants it also where no SA is found. */
	if (proto == IPSEC_ESP)
		p->seq = get32(h + 4);
	else
		p->seq = (h = pkt_get(p, at, 12)) != NULL ? get32(h + 8) : 0;
	*ask = (struct sadb_ask){.proto = proto, .spi = p->spi, .dst = &p->key.local};
	return true;
}

static bool
inbound_ask_esp_ah(struct pkt *p, struct sadb_ask *ask)
{
	reasm_atomic(p);
	return p->drop == DROP_NONE && inbound_ask(p, (enum ipsec_proto)p->key.proto, p->l4, ask);
}

static bool
inbound_ask_udp(struct pkt *p, struct sadb_ask *ask)
{
	reasm_atomic(p);
	return p->drop == DROP_NONE && (p->drop = udpencap_cut(p)) == DROP_NONE &&
	       inbound_ask(p, IPSEC_ESP, p->l4 + 8u, ask);
}

/*
 * May ${p} come by the SA that was found, NULL: none?  ESP in UDP stands behind a header more; it is taken only by an SA that is configured for
 * it, and by nothing else; such an SA takes no other, as with other implementations.
 */
static void
inbound_take_sa(struct pkt *p, struct sa *sa)
{
	bool in_udp = p->ipsec != p->l4;

	p->sa[0] = sa;
	if (!sa && !in_udp)
		return;
	if (!sa || in_udp != (sa->p.encap_dport != 0))
		p->drop = DROP_UNKNOWN_SPI;
	else if (p->nchain == POLICY_STEPS_MAX)
		p->drop = DROP_NESTING;
	if (p->drop != DROP_NONE)
		p->sa[0] = NULL;
}

/*
 * Sets sa[0] of each packet that has an ESP or AH header of a known SA.  True when any has.  A nested header whose SPI is not ours is
 * payload: policy looks at it like at any other protocol.
 */
static bool
inbound_find(struct walk *w, struct burst *b)
{
	struct sadb_ask ask[BURST_MAX];
	struct pkt *of[BURST_MAX];
	bool any = false, many = ahead_pays(w);
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = of[n] = b->p[i];

		p->sa[0] = NULL;
		if (p->drop != DROP_NONE)
			continue;
		if (is_ipsec(p) && p->key.frag) /* RFC 4303 3.4.1; only where nothing reassembles */
			p->drop = DROP_FRAGMENT_IN;
		else if (is_ipsec(p))
			n += inbound_ask_esp_ah(p, &ask[n]);
		else if (udpencap_is(w, p))
			n += inbound_ask_udp(p, &ask[n]);
	}
	sadb_in_burst(w->gen->sad, ask, n);
	for (unsigned i = 0; many && i < n; i++)
		if (ask[i].sa)
			ahead_sa(ask[i].sa);
	for (unsigned i = 0; i < n; i++) {
		inbound_take_sa(of[i], ask[i].sa);
		if (many && of[i]->sa[0])
			ahead_context(of[i]->sa[0], DIR_IN);
		any |= of[i]->sa[0] != NULL;
	}
	for (unsigned i = 0; many && i < b->n; i++)
		if (b->p[i]->sa[0])
			ahead_keys(b->p[i]->sa[0], DIR_IN);
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

/* Has a NAT perhaps changed the addresses that the sender's checksum covers?  One did it for all that came in that UDP packet. */
static bool
is_natted(const struct pkt *p)
{
	for (unsigned i = p->nchain; i-- > 0 && p->chain[i]->p.mode == MODE_TRANSPORT;)
		if (p->chain[i]->p.encap_dport)
			return true;
	return false;
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
		unsigned m = xform_group(todo, &left, 0, same);
		struct sa *sa = same[0]->sa[0];

		xform_open(sa, same, m, w);
		for (unsigned i = 0; i < m; i++) {
			struct pkt *p = same[i];

			if (p->drop != DROP_NONE)
				continue;
			p->chain[p->nchain++] = sa;
			if ((p->drop = classify(p, DIR_IN)) == DROP_NONE && p->tunnelled &&
			    is_martian(&p->key.remote))
				p->drop = DROP_MARTIAN;
			else if (p->drop == DROP_NONE && is_natted(p))
				udpencap_mend(p);
		}
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

	ahead_flows(w, b, DIR_IN);
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];

		if (p->drop != DROP_NONE)
			continue;
		if (p->nchain) {
			p->drop = policy_opened(w, p);
			if (p->drop == DROP_NONE && p->key.proto == IPPROTO_TCP)
				mss_clamp_in(w, p);
		} else if (!icmp_about_sa(w, p)) {
			clear.p[clear.n++] = p;
		}
	}
	policy_burst(w, &clear, DIR_IN);
	for (unsigned i = 0; i < clear.n; i++) {
		struct pkt *p = clear.p[i];

		if (is_ipsec(p))
			inbound_unknown_spi(p);
		else if (p->drop == DROP_NONE && p->key.ports == PORTS_ICMP)
			p->drop = icmp_clear(w, p);
	}
}
