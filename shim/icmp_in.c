/*
 * ICMP errors from the wire that are about what an SA of ours sent (RFC 4301 6.1.1, 8.2).  Nobody vouches for them, so they must name an
 * SPI and a sequence number that were sent lately: who is not on the path cannot know them, and who is can drop the packets anyway.
 * The host knows nothing of the ESP packet; where its own packet is still known, it is told about that one.
 */
#include <netinet/in.h>
#include "gen.h"
#include "icmp.h"
#include "recent.h"

#define LATELY_MS      60000
#define LATELY_NUMBERS (1u << 20)

/* The SA that sent the quoted packet, and what is known of it. */
struct culprit {
	struct sa *sa;
	uint32_t seq;
	const struct recent_pkt *pkt; /* NULL: forgotten */
	struct recent_pkt found;
};

static bool
sent_lately(const struct walk *w, const struct sa *sa, uint32_t seq)
{
	uint64_t next = __atomic_load_n(&sa->seq.next, __ATOMIC_RELAXED), last;
	uint32_t back = (uint32_t)next - 1 - seq;
	struct sa_counters sent;

	sa_sent(sa, &sent);
	last = sent.last_ms;
	if (last == 0 || (w->now > last && w->now - last > LATELY_MS))
		return false;
	return back < LATELY_NUMBERS && back + UINT64_C(1) < next;
}

/* What the packet said before it was protected, whichever worker did that. */
static bool
culprit_recall(
    const struct walk *w, uint8_t proto, uint32_t spi, uint32_t seq, struct recent_pkt *found)
{
	if (w->recent && recent_find(w->recent, proto, spi, seq, found))
		return true;
	for (unsigned i = 0; i < w->nrecents; i++)
		if (recent_find(w->recents[i], proto, spi, seq, found))
			return true;
	return false;
}

/* By the header at offset ${at} of the frame, which has ${n} octets of quote. */
static bool
culprit_header(const struct walk *w, const struct pkt *p, const struct icmp_error *e,
    enum ipsec_proto proto, uint32_t at, struct culprit *c)
{
	uint32_t spi_at = proto == IPSEC_AH ? 4 : 0, spi;
	const uint8_t *h = pkt_get(p, at, spi_at + 8);

	if (!h || at + spi_at + 8 > p->l3end)
		return false;
	spi = get32(h + spi_at);
	c->seq = get32(h + spi_at + 4);
	c->pkt = culprit_recall(w, (uint8_t)proto, spi, c->seq, &c->found) ? &c->found : NULL;
	/* a peer behind NAT may be elsewhere than the configuration says */
	c->sa = sadb_sent(w->gen->sad, proto, spi, c->pkt ? &c->pkt->sa_dst : &e->dst);
	return c->sa != NULL;
}

/* Do the addresses, and the ports of ESP in UDP, say that ${c} may have sent it? */
static bool
culprit_fits(const struct pkt *p, const struct icmp_error *e, const struct culprit *c)
{
	const struct sa_peer *peer = sa_peer(c->sa);
	const uint8_t *u = pkt_get(p, e->l4, 4);

	if (!ipaddr_eq(&e->src, &c->sa->p.src) || !ipaddr_eq(&e->src, &p->key.local) ||
	    !ipaddr_eq(&e->dst, peer ? &peer->addr : &c->sa->p.dst))
		return false;
	if ((e->proto == IPPROTO_UDP) != (c->sa->p.encap_dport != 0))
		return false;
	return e->proto != IPPROTO_UDP ||
	       (u && get16(u) == c->sa->p.encap_sport &&
		   get16(u + 2) == (peer ? peer->port : c->sa->p.encap_dport));
}

static bool
culprit_find(
    const struct walk *w, const struct pkt *p, const struct icmp_error *e, struct culprit *c)
{
	if (e->later || e->n < 8)
		return false;
	if (e->proto == IPPROTO_UDP)
		return culprit_header(w, p, e, IPSEC_ESP, e->l4 + 8, c) && culprit_fits(p, e, c);
	return culprit_header(w, p, e, (enum ipsec_proto)e->proto, e->l4, c) &&
	       culprit_fits(p, e, c);
}

/* ESP and AH the host makes itself, beside ours. */
static bool
is_hosts_own(const struct walk *w, const struct pkt *p, const struct icmp_error *e)
{
	const struct policy *rule;
	struct flowkey k;

	icmp_quote_key(p, e, true, DIR_OUT, &k);
	rule = spd_lookup(w->gen->spd, &k, NULL);
	return rule && rule->action == ACT_BYPASS;
}

/* RFC 4301 6.1.1: by type and code, as the administrator likes. */
static bool
is_accepted(const struct walk *w, const struct pkt *p)
{
	const struct policy *rule;

	switch (spd_builtin(w->gen->spd, BUILTIN_ICMP)) {
	case BUILTIN_BYPASS:
		return true;
	case BUILTIN_NONE:
		rule = spd_lookup(w->gen->spd, &p->key, NULL);
		return rule && rule->action == ACT_BYPASS;
	default:
		return false;
	}
}

/* What a router that does not say its MTU may mean (RFC 1191 7.1). */
static uint32_t
plateau(uint32_t total)
{
	static const uint16_t table[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i] < total)
			return table[i];
	return 68;
}

/* The path is narrower than we knew.  What the host is told, if it has to be: false, it has not. */
static bool
too_big(struct walk *w, const struct icmp_error *e, const struct culprit *c, struct icmp_says *says)
{
	uint32_t mtu = e->mtu ? e->mtu : plateau(e->total), fits;
	unsigned af;

	pmtu_lower(w, c->sa, mtu);
	if (!c->pkt || c->pkt->nsteps != 1 || c->pkt->may_cut)
		return false;
	af = c->pkt->head[0] >> 4;
	fits = xform_fit(c->sa, pmtu_sa(w, c->sa), c->pkt->clear);
	if (af == 6 && fits < PMTU_MIN6)
		fits = PMTU_MIN6;
	*says = icmp_says_too_big(af, fits);
	return c->pkt->total > fits;
}

/* In transport mode the host sees the path itself, but there is no ESP in its world.  A tunnel is one hop to it, and whatever happens
 * inside means that the other end is not reached (RFC 2003 4, RFC 2473 8). */
static struct icmp_says
other_error(const struct icmp_error *e, const struct culprit *c)
{
	static const struct icmp_says unreach4 = {ICMP4_UNREACH, 1, 0},
				      unreach6 = {ICMP6_UNREACH, 3, 0};
	bool four = c->pkt->head[0] >> 4 == 4;
	struct icmp_says s = e->says;

	if (c->pkt->nsteps != 1 || c->sa->p.mode == MODE_TUNNEL)
		return four ? unreach4 : unreach6;
	if (four && s.type == ICMP4_UNREACH && (s.code == 2 || s.code == 3))
		return unreach4; /* no ESP there, or no UDP port for it */
	if (!four && s.type == ICMP6_UNREACH && s.code == 4)
		return unreach6;
	if (four && s.type == ICMP4_PARAM && s.word >> 24 >= c->pkt->clear)
		return unreach4;
	if (!four && s.type == ICMP6_PARAM && (s.code == 1 || s.word >= c->pkt->clear))
		return unreach6;
	if (s.type != (four ? ICMP4_PARAM : ICMP6_PARAM))
		s.word = 0;
	return s;
}

bool
icmp_about_sa(struct walk *w, struct pkt *p)
{
	struct icmp_error e;
	struct culprit c = {.sa = NULL};
	struct icmp_says says;
	bool told;

	if (!icmp_is_error(p))
		return false;
	if (!icmp_read(p, &e)) {
		p->drop = DROP_ICMP_BAD;
		return true;
	}
	if (!culprit_find(w, p, &e, &c)) {
		if ((e.proto != IPPROTO_ESP && e.proto != IPPROTO_AH) || is_hosts_own(w, p, &e))
			return false;
		p->drop = e.later || e.n < 8 ? DROP_ICMP_BAD : DROP_ICMP_UNSENT;
		return true;
	}
	p->spi = c.sa->spi;
	p->spi_proto = (uint8_t)c.sa->p.proto;
	p->seq = c.seq;
	if (!is_accepted(w, p)) {
		p->drop = DROP_ICMP_DENIED;
		return true;
	}
	if (!sent_lately(w, c.sa, c.seq)) {
		p->drop = DROP_ICMP_UNSENT;
		return true;
	}
	if (e.too_big)
		told = too_big(w, &e, &c, &says);
	else if ((told = c.pkt != NULL))
		says = other_error(&e, &c);
	if (told && icmp_instead(p, &says, c.pkt))
		p->bypass = 1;
	else
		p->drop = DROP_ICMP_HEARD;
	return true;
}

enum drop
icmp_clear(const struct walk *w, const struct pkt *p)
{
	const struct policy *rule;
	struct icmp_error e;
	struct flowkey k;

	if (!icmp_is_error(p))
		return DROP_NONE;
	if (!icmp_read(p, &e))
		return DROP_ICMP_BAD;
	if (e.later)
		return DROP_NONE; /* what it belongs to cannot be told */
	icmp_quote_key(p, &e, true, DIR_OUT, &k);
	rule = spd_lookup(w->gen->spd, &k, NULL);
	if (rule &&
	    (rule->action == ACT_BYPASS || (rule->action == ACT_PROTECT && rule->type == FLOW_USE)))
		return DROP_NONE;
	return DROP_ICMP_QUOTE;
}
