/*
 * Does a packet fit after protection, and what if not: the arithmetic, and the ICMP message to the host.
 */
#include <netinet/in.h>
#include "datapath.h"
#include "sa.h"

#define IP6_MIN_MTU 1280
#define ICMP_QUOTE4 548	 /* RFC 1812 4.3.2.3: the message has at most 576 octets */
#define ICMP_QUOTE6 1232 /* RFC 4443 2.4: at most 1280 */

unsigned
pmtu_sizes(const struct pkt *p, uint32_t size[], uint32_t clear[])
{
	uint32_t octets = p->l3end - p->l3, front = p->ins - p->l3;
	unsigned steps = p->bypass ? 0 : p->policy->nsteps;

	for (unsigned i = 0; i < steps; i++) {
		const struct sa *sa = p->sa[i];

		clear[i] = front;
		size[i] = octets = xform_overhead(sa, octets, front);
		if (sa->p.mode == MODE_TUNNEL)
			front = sa->p.dst.af == 4 ? 20 : 40;
	}
	return steps;
}

uint32_t
pmtu_room(const struct walk *w, const struct pkt *p, const uint32_t clear[])
{
	uint32_t room = w->mtu;

	for (unsigned i = p->bypass ? 0 : p->policy->nsteps; i-- > 0;)
		room = xform_fit(p->sa[i], room, clear[i]);
	return room;
}

enum fit
pmtu_fit(const struct walk *w, const struct pkt *p, uint32_t *mtu)
{
	uint32_t size[POLICY_STEPS_MAX], clear[POLICY_STEPS_MAX], room;
	unsigned steps = pmtu_sizes(p, size, clear);
	const uint8_t *h = pkt_get(p, p->l3, 20);

	*mtu = w->mtu;
	if ((steps ? size[steps - 1] : p->l3end - p->l3) <= w->mtu)
		return FIT_WHOLE;
	*mtu = room = pmtu_room(w, p, clear);
	/* What the host has cut itself, or allowed to be cut, may be cut; and IPv6 knows no packet below 1280 (RFC 8200 5). */
	if (!p->cut_ok && (p->af == 6 ? room >= IP6_MIN_MTU : (h[6] & 0x40) != 0))
		return FIT_NOT;
	return steps && p->sa[0]->p.mode == MODE_TUNNEL && (p->af == 4 || p->cut_ok) ? FIT_BEFORE
										     : FIT_AFTER;
}

/* No ICMP about an ICMP error, multicast, a nameless sender or a later fragment (RFC 1122 3.2.2, RFC 4443 2.4 e). */
static bool
icmp_allowed(const struct pkt *p)
{
	const uint8_t *l4 = pkt_get(p, p->l4, 1);

	if (!l4 || ipaddr_unspecified(&p->key.local) || ipaddr_multicast(&p->key.local))
		return false;
	if (p->key.frag && p->key.ports == PORTS_OPAQUE)
		return false;
	if (p->af == 4)
		return !ipaddr_multicast(&p->key.remote) &&
		       !(p->key.proto == IPPROTO_ICMP && *l4 != 8 && *l4 != 0);
	return !(p->key.proto == IPPROTO_ICMPV6 && *l4 < 128);
}

/* The message's IP header as a router on the way would write it: the path to the packet's destination is too narrow. */
static void
icmp4(uint8_t *h, const struct pkt *p, const uint8_t *quote, uint32_t n, uint32_t mtu)
{
	uint8_t *icmp = h + ip_bare(h, &p->key.remote, &p->key.local, IPPROTO_ICMP, 8 + n, false);

	memset(icmp, 0, 8);
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, (uint16_t)mtu);
	memcpy(icmp + 8, quote, n);
	put16(icmp + 2, cksum_fold(cksum_add(0, icmp, 8 + n)));
}

static void
icmp6(uint8_t *h, const struct pkt *p, const uint8_t *quote, uint32_t n, uint32_t mtu)
{
	uint8_t *icmp = h + ip_bare(h, &p->key.remote, &p->key.local, IPPROTO_ICMPV6, 8 + n, false);

	memset(icmp, 0, 8);
	icmp[0] = 2;
	put32(icmp + 4, mtu);
	memcpy(icmp + 8, quote, n);
	put16(icmp + 2, cksum_l4(h, IPPROTO_ICMPV6, icmp, 8 + n));
}

struct pkt *
icmp_too_big(struct walk *w, const struct pkt *p, uint32_t mtu)
{
	uint32_t hlen = p->af == 4 ? 28 : 48, most = p->af == 4 ? ICMP_QUOTE4 : ICMP_QUOTE6,
		 n = p->l3end - p->l3;
	const uint8_t *frame = pkt_data(p), *quote = frame + p->l3;
	struct pkt *m;
	uint8_t *f;

	if (!icmp_allowed(p) || !(m = pkt_new(w->pool)))
		return NULL;
	n = n > most ? most : n;
	if (!(f = pkt_put(m, p->l3 + hlen + n))) {
		pkt_free(w->pool, m);
		return NULL;
	}
	memcpy(f, frame, p->l3);
	if (p->link == LINK_ETHER) { /* back to where it came from, tags and all */
		memcpy(f, frame + 6, 6);
		memcpy(f + 6, frame, 6);
	}
	if (p->af == 4)
		icmp4(f + p->l3, p, quote, n, mtu);
	else
		icmp6(f + p->l3, p, quote, n, mtu);
	m->link = p->link;
	m->l3 = p->l3;
	m->ts_ns = p->ts_ns;
	m->number = p->number;
	m->bypass = 1;
	return m;
}
