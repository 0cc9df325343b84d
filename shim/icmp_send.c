/*
 * ICMP errors the bump tells the host.
 */
#include <netinet/in.h>
#include "datapath.h"
#include "icmp.h"
#include "recent.h"

#define ICMP_QUOTE4 548	 /* RFC 1812 4.3.2.3: the message has at most 576 octets */
#define ICMP_QUOTE6 1232 /* RFC 4443 2.4: at most 1280 */

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

/* A whole message at ${h}, which has room for the IP header, 8 octets and ${n} of quote. */
static void
icmp_write(uint8_t *h, const struct ipaddr *src, const struct ipaddr *dst,
    const struct icmp_says *says, const uint8_t *quote, uint32_t n)
{
	uint8_t proto = dst->af == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint8_t *icmp = h + ip_bare(h, src, dst, proto, 8 + n, false);

	icmp[0] = says->type;
	icmp[1] = says->code;
	put16(icmp + 2, 0);
	put32(icmp + 4, says->word);
	memcpy(icmp + 8, quote, n);
	put16(icmp + 2,
	    dst->af == 4 ? cksum_fold(cksum_add(0, icmp, 8 + n)) : cksum_l4(h, proto, icmp, 8 + n));
}

struct icmp_says
icmp_says_too_big(unsigned af, uint32_t mtu)
{
	if (af == 4)
		return (struct icmp_says){ICMP4_UNREACH, ICMP4_NEEDFRAG, mtu};
	return (struct icmp_says){ICMP6_TOO_BIG, 0, mtu};
}

struct pkt *
icmp_too_big(struct walk *w, const struct pkt *p, uint32_t mtu)
{
	uint32_t hlen = p->af == 4 ? 28 : 48, most = p->af == 4 ? ICMP_QUOTE4 : ICMP_QUOTE6,
		 n = p->l3end - p->l3;
	struct icmp_says says = icmp_says_too_big(p->af, mtu);
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
	/* as a router on the way would write it: the path to the packet's destination is too narrow; a group speaks by the sender's own address */
	icmp_write(f + p->l3, ipaddr_multicast(&p->key.remote) ? &p->key.local : &p->key.remote,
	    &p->key.local, &says, quote, n);
	m->link = p->link;
	m->l3 = p->l3;
	m->ts_ns = p->ts_ns;
	m->number = p->number;
	m->bypass = 1;
	return m;
}

bool
icmp_instead(struct pkt *p, const struct icmp_says *says, const struct recent_pkt *n)
{
	unsigned af = n->head[0] >> 4;
	uint32_t hlen = af == 4 ? 20 : 40, at = af == 4 ? 12 : 8, alen = af == 4 ? 4 : 16;
	struct ipaddr src = p->key.remote, dst;

	if (n->n < hlen)
		return false;
	dst = ipaddr_from(af, n->head + at);
	if (src.af != af) /* no router of that family is known */
		src = ipaddr_from(af, n->head + at + alen);
	p->todo = (struct vnet){0}; /* what the edge said of it holds no longer */
	pkt_trim(p, p->l3);
	if (!pkt_put(p, hlen + 8 + n->n))
		return false;
	icmp_write(pkt_data(p) + p->l3, &src, &dst, says, n->head, n->n);
	if (p->link == LINK_ETHER)
		put16(pkt_data(p) + p->l3 - 2, af == 4 ? ETYPE_IP4 : ETYPE_IP6);
	return classify(p, DIR_IN) == DROP_NONE;
}
