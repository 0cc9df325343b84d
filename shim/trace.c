#include <netinet/in.h>
#include "trace.h"

/* Octets of a next layer header with nothing behind it. */
static uint32_t
trace_header(unsigned proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 12;
	default:
		return 8; /* UDP, ICMP, Mobility Header; enough of any other */
	}
}

/* What classify_ports() reads, where it reads it. */
static void
trace_next(uint8_t *h, const struct flowkey *k)
{
	bool out = k->dir == DIR_OUT;

	if (proto_has_ports(k->proto)) {
		put16(h, out ? k->lport : k->rport);
		put16(h + 2, out ? k->rport : k->lport);
	} else if (k->proto == IPPROTO_ICMP || k->proto == IPPROTO_ICMPV6) {
		put16(h, k->lport);
	} else if (k->proto == IPPROTO_MH) {
		h[2] = (uint8_t)(k->lport >> 8);
	}
}

static uint8_t *
trace_ether(struct pkt *p, const struct flowkey *k, uint32_t size)
{
	bool six = k->local.af == 6, tagged = k->vlan != VLAN_NONE;
	uint32_t l2 = ETH_HLEN_OCTETS + (tagged ? ETH_VLAN_OCTETS : 0);
	uint8_t *h = pkt_put(p, l2 + size);

	if (h == NULL)
		return NULL;
	memset(h, 0, l2 + size);
	h[0] = h[6] = 2; /* locally administered; nobody sees them */
	if (tagged) {
		put16(h + 12, ETYPE_8021Q);
		put16(h + 14, k->vlan);
	}
	put16(h + l2 - 2, six ? ETYPE_IP6 : ETYPE_IP4);
	return h + l2;
}

struct pkt *
trace_packet(struct pktpool *pool, const struct flowkey *k, uint32_t size)
{
	const struct ipaddr *src = k->dir == DIR_OUT ? &k->local : &k->remote;
	const struct ipaddr *dst = k->dir == DIR_OUT ? &k->remote : &k->local;
	uint32_t iphdr = k->local.af == 6 ? 40 : 20, least = iphdr + trace_header(k->proto);
	struct pkt *p;
	uint8_t *h;

	if (k->local.af != k->remote.af || !k->local.af || k->ect || k->frag || k->opaque)
		return NULL;
	if (size == 0)
		size = least;
	if (size < least || size > 65535 || (p = pkt_new(pool)) == NULL)
		return NULL;
	p->link = LINK_ETHER;
	if ((h = trace_ether(p, k, size)) == NULL)
		goto err;
	ip_bare(h, src, dst, k->proto, size - iphdr,
	    true); /* DF, as hosts set it that look for the path's MTU */
	trace_next(h + iphdr, k);
	/* A protocol that is an extension header is not one packet's next layer. */
	if (classify(p, (enum dir)k->dir) != DROP_NONE || memcmp(&p->key, k, sizeof *k) != 0)
		goto err;
	return p;
err:
	pkt_free(pool, p);
	return NULL;
}

/* A walk in which nothing is counted, cached, said or sent. */
static struct walk
trace_on(const struct gen *g, uint32_t mtu, uint64_t now)
{
	return (struct walk){.gen = g, .mtu = mtu, .now = now, .running = true};
}

void
trace_walk(const struct gen *g, uint32_t mtu, uint64_t now, struct pkt *p, struct trace *t)
{
	struct walk w = trace_on(g, mtu, now);
	struct burst b = {.n = 1, .p = {p}};
	uint32_t narrow;

	*t = (struct trace){.place = TRACE_NOWHERE};
	if ((t->is_builtin = passthru(p, &t->builtin)))
		t->set = spd_builtin(g->spd, t->builtin);
	policy_burst(&w, &b, (enum dir)p->key.dir);
	t->drop = p->drop;
	t->bypass = p->bypass;
	if ((t->policy = p->policy) != NULL)
		spd_lookup(g->spd, &p->key, &t->place);
	if (p->key.dir == DIR_IN)
		return;
	if (t->policy && t->policy->action == ACT_PROTECT)
		t->nsas = policy_bundle(&w, t->policy, &p->key, t->sa, &t->src, &t->dst);
	if (t->drop != DROP_NONE)
		return;
	pmtu_sizes(p, t->size, t->clear);
	t->largest = pmtu_largest(&w, p);
	t->path = pmtu_path(&w, p);
	t->fit = pmtu_fit(&w, p, &narrow);
}

bool
trace_accepts(const struct gen *g, struct pkt *p, struct sa *sa)
{
	struct walk w = trace_on(g, 0, 0);

	p->chain[0] = sa;
	p->nchain = 1;
	return policy_opened(&w, p) == DROP_NONE;
}

const char *
trace_why(const struct policy *policy, const struct flowkey *k)
{
	if (!(policy->dirs >> k->dir & 1))
		return "direction";
	return selector_field_name(selector_mismatch(&policy->sel, k));
}
