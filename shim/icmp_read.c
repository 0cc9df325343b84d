#include <netinet/in.h>
#include "icmp.h"

#define QUOTE_HEADERS_MAX 8

bool
icmp_is_error(const struct pkt *p)
{
	unsigned type = p->key.lport >> 8;

	if (p->key.ports != PORTS_ICMP || p->key.frag)
		return false;
	if (p->af == 4)
		return type == ICMP4_UNREACH || type == ICMP4_TIME || type == ICMP4_PARAM;
	return type >= ICMP6_UNREACH && type <= ICMP6_PARAM;
}

static bool
quote_read4(const struct pkt *p, uint32_t at, struct icmp_error *e)
{
	const uint8_t *h = pkt_get(p, at, 20);
	uint32_t hlen;

	if (!h || h[0] >> 4 != 4)
		return false;
	hlen = (h[0] & 0xfu) * 4;
	e->total = get16(h + 2);
	if (hlen < 20 || e->total < hlen || hlen > p->l3end - at)
		return false;
	e->src = ipaddr_from(4, h + 12);
	e->dst = ipaddr_from(4, h + 16);
	e->proto = h[9];
	e->later = (get16(h + 6) & 0x1fff) != 0;
	e->l4 = at + hlen;
	return true;
}

/* A chain cut short by the quote's end leaves n 0 and the last header's name in proto. */
static bool
quote_read6(const struct pkt *p, uint32_t at, struct icmp_error *e)
{
	const uint8_t *h = pkt_get(p, at, 40);

	if (!h || h[0] >> 4 != 6)
		return false;
	e->total = 40u + get16(h + 4);
	e->src = ipaddr_from(6, h + 8);
	e->dst = ipaddr_from(6, h + 24);
	e->proto = h[6];
	e->l4 = at + 40;
	for (unsigned i = 0; i < QUOTE_HEADERS_MAX && !e->later; i++) {
		bool fragment = e->proto == IPPROTO_FRAGMENT;
		uint32_t len;

		if (!fragment && e->proto != IPPROTO_HOPOPTS && e->proto != IPPROTO_ROUTING &&
		    e->proto != IPPROTO_DSTOPTS)
			return true;
		if (e->l4 > p->l3end || p->l3end - e->l4 < 8 || !(h = pkt_get(p, e->l4, 8)))
			return true;
		len = fragment ? 8 : (h[1] + 1u) * 8;
		if (len > p->l3end - e->l4)
			return true;
		e->later = fragment && (get16(h + 2) & 0xfff8);
		e->proto = h[0];
		e->l4 += len;
	}
	return true;
}

bool
icmp_read(const struct pkt *p, struct icmp_error *e)
{
	uint32_t len = p->l3end - p->l4;
	const uint8_t *m = pkt_get(p, p->l4, len);

	*e = (struct icmp_error){.n = 0};
	if (!m || len < 8)
		return false;
	if (p->af == 4 ? cksum_fold(cksum_add(0, m, len)) != 0
		       : cksum_l4(pkt_data(p) + p->l3, IPPROTO_ICMPV6, m, len) != 0)
		return false;
	e->says = (struct icmp_says){m[0], m[1], get32(m + 4)};
	e->too_big =
	    p->af == 4 ? m[0] == ICMP4_UNREACH && m[1] == ICMP4_NEEDFRAG : m[0] == ICMP6_TOO_BIG;
	if (e->too_big)
		e->mtu = p->af == 4 ? e->says.word & 0xffff : e->says.word;
	if (!(p->af == 4 ? quote_read4 : quote_read6)(p, p->l4 + 8u, e))
		return false;
	e->n = e->l4 < p->l3end ? p->l3end - e->l4 : 0;
	return true;
}

void
icmp_quote_key(
    const struct pkt *p, const struct icmp_error *e, bool sent, enum dir dir, struct flowkey *k)
{
	const uint8_t *h = e->later || e->n < 4 ? NULL : pkt_get(p, e->l4, 4);

	memset(k, 0, sizeof *k);
	k->local = sent ? e->src : e->dst;
	k->remote = sent ? e->dst : e->src;
	k->vlan = p->key.vlan;
	k->proto = e->proto;
	k->dir = (uint8_t)dir;
	if (proto_has_ports(k->proto)) {
		k->ports = h ? PORTS_PORTS : PORTS_OPAQUE;
		k->lport = h ? get16(h + (sent ? 0 : 2)) : 0;
		k->rport = h ? get16(h + (sent ? 2 : 0)) : 0;
	} else if (k->proto == (p->af == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		k->ports = h ? PORTS_ICMP : PORTS_OPAQUE;
		k->lport = h ? get16(h) : 0;
	} else if (k->proto == IPPROTO_MH) {
		k->ports = h ? PORTS_MH : PORTS_OPAQUE;
		k->lport = h ? (uint16_t)(h[2] << 8) : 0;
	}
}
