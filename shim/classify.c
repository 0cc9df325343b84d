/*
 * Octets -> what the packet is (struct flowkey) and where its parts lie.  Strict: what does not add up is dropped, since a
 * guess here is a hole in the policy.  Bounded: at most CLASSIFY_HEADERS_MAX extension headers.
 *
 * IPv6 headers skipped on the way to the next layer protocol (RFC 4301 4.4.1.1 asks to document the list): hop-by-hop options,
 * destination options, routing, fragment.  Everything else is the next layer.
 */
#include <netinet/in.h>
#include "datapath.h"

/* What the link header says: EtherType, VLAN, where the payload begins. */
static enum drop
classify_link(struct pkt *p)
{
	const uint8_t *h;
	unsigned tags = 0;

	p->key.vlan = VLAN_NONE;
	if (p->link == LINK_RAWIP) {
		p->l3 = 0;
		if (!(h = pkt_get(p, 0, 1)))
			return DROP_TRUNCATED;
		p->etype = h[0] >> 4 == 4 ? ETYPE_IP4 : h[0] >> 4 == 6 ? ETYPE_IP6 : 0;
		return p->etype ? DROP_NONE : DROP_BAD_HEADER;
	}
	if (!(h = pkt_get(p, 0, ETH_HLEN_OCTETS)))
		return DROP_TRUNCATED;
	p->l3 = ETH_HLEN_OCTETS;
	p->etype = get16(h + 12);
	/* Selectors look inside the tag; the outermost one is what a rule's `vlan` names. */
	while (p->etype == ETYPE_8021Q || p->etype == ETYPE_8021AD) {
		if (++tags > 2)
			return DROP_BAD_HEADER;
		if (!(h = pkt_get(p, p->l3, ETH_VLAN_OCTETS)))
			return DROP_TRUNCATED;
		if (tags == 1)
			p->key.vlan = get16(h) & 0xfff;
		p->etype = get16(h + 2);
		p->l3 += ETH_VLAN_OCTETS;
	}
	return DROP_NONE;
}

/* Ports, or type and code, of the next layer header at l4, where they are to be seen. */
static void
classify_ports(struct pkt *p)
{
	struct flowkey *k = &p->key;
	const uint8_t *h;

	k->ports = PORTS_NONE;
	if (proto_has_ports(k->proto)) {
		if (!(h = pkt_get(p, p->l4, 4))) {
			k->ports = PORTS_OPAQUE;
			return;
		}
		k->ports = PORTS_PORTS;
		k->lport = get16(h + (k->dir == DIR_OUT ? 0 : 2));
		k->rport = get16(h + (k->dir == DIR_OUT ? 2 : 0));
	} else if ((k->proto == IPPROTO_ICMP && p->af == 4) ||
		   (k->proto == IPPROTO_ICMPV6 && p->af == 6)) {
		if (!(h = pkt_get(p, p->l4, 2))) {
			k->ports = PORTS_OPAQUE;
			return;
		}
		k->ports = PORTS_ICMP;
		k->lport = get16(h);
	} else if (k->proto == IPPROTO_MH) {
		if (!(h = pkt_get(p, p->l4, 3))) {
			k->ports = PORTS_OPAQUE;
			return;
		}
		k->ports = PORTS_MH;
		k->lport = (uint16_t)(h[2] << 8);
	}
}

static void
classify_addresses(struct pkt *p, const uint8_t *src, const uint8_t *dst)
{
	struct flowkey *k = &p->key;

	k->local = ipaddr_from(p->af, k->dir == DIR_OUT ? src : dst);
	k->remote = ipaddr_from(p->af, k->dir == DIR_OUT ? dst : src);
}

static enum drop
classify_ip4(struct pkt *p)
{
	struct flowkey *k = &p->key;
	const uint8_t *h = pkt_get(p, p->l3, 20);
	uint32_t hlen, total, offset;

	if (!h)
		return DROP_TRUNCATED;
	hlen = (h[0] & 0xfu) * 4;
	total = get16(h + 2);
	if (h[0] >> 4 != 4 || hlen < 20 || total < hlen)
		return DROP_BAD_HEADER;
	if (total > p->len - p->l3)
		return DROP_TRUNCATED;
	/* The host's stack would not take it for IP; nor do we, before IPsec sees it. */
	if (k->dir == DIR_IN && cksum_fold(cksum_add(0, h, hlen)) != 0)
		return DROP_BAD_HEADER;

	p->af = 4;
	p->ttl = h[8];
	p->l3end = p->l3 + total;
	p->l4 = p->ins = (uint16_t)(p->l3 + hlen);
	p->nh = p->l4nh = (uint16_t)(p->l3 + 9);
	k->proto = h[9];
	classify_addresses(p, h + 12, h + 16);
	pkt_trim(p, p->l3end);

	offset = get16(h + 6) & 0x1fff;
	k->frag = offset != 0 || (h[6] & 0x20);
	if (offset)
		k->ports =
		    proto_has_ports(k->proto) || k->proto == IPPROTO_ICMP || k->proto == IPPROTO_MH
			? PORTS_OPAQUE
			: PORTS_NONE;
	else
		classify_ports(p);
	return DROP_NONE;
}

/*
 * The chain of extension headers.  A transport mode header goes behind hop-by-hop, routing and fragment headers and those
 * destination options that stand before a routing header, and before the last destination options, which it then
 * protects (RFC 4303 3.1.1).
 */
static enum drop
classify_ip6_chain(struct pkt *p, uint8_t next)
{
	struct flowkey *k = &p->key;
	uint32_t at = p->l3 + 40, len;
	uint16_t nh = (uint16_t)(p->l3 + 6);
	bool open = true; /* has ins still to move on? */
	const uint8_t *h;

	p->ins = (uint16_t)at;
	p->nh = nh;
	for (unsigned n = 0;; n++) {
		if (n > CLASSIFY_HEADERS_MAX)
			return DROP_HEADER_CHAIN;
		if (next == IPPROTO_HOPOPTS && n > 0)
			return DROP_HEADER_CHAIN; /* RFC 8200 4.1: only right behind the IPv6 header */
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			break;
		if (!(h = pkt_get(p, at, 8)) || at + 8 > p->l3end)
			return DROP_HEADER_CHAIN;
		len = next == IPPROTO_FRAGMENT ? 8 : (h[1] + 1u) * 8;
		if (len > p->l3end - at)
			return DROP_HEADER_CHAIN;
		if (next == IPPROTO_FRAGMENT) {
			/* an atomic fragment is whole (RFC 6946), but not when it stands in another fragment */
			k->frag |= (get16(h + 2) & 0xfff9) != 0;
			p->atomic |= (get16(h + 2) & 0xfff9) == 0;
			if (get16(h + 2) & 0xfff8) {
				/* Not the first: what follows is payload, whatever its octets look like. */
				p->ins = p->l4 = (uint16_t)(at + 8);
				p->nh = p->l4nh = (uint16_t)at;
				k->proto = h[0];
				k->opaque = h[0] == IPPROTO_HOPOPTS || h[0] == IPPROTO_ROUTING ||
					    h[0] == IPPROTO_DSTOPTS || h[0] == IPPROTO_FRAGMENT;
				k->ports = PORTS_OPAQUE;
				return DROP_NONE;
			}
		}
		if (next == IPPROTO_DSTOPTS && h[0] != IPPROTO_ROUTING)
			open = false;
		nh = (uint16_t)at;
		next = h[0];
		at += len;
		if (open) {
			p->ins = (uint16_t)at;
			p->nh = nh;
		}
	}
	p->l4 = (uint16_t)at;
	p->l4nh = nh;
	k->proto = next;
	classify_ports(p);
	return DROP_NONE;
}

static enum drop
classify_ip6(struct pkt *p)
{
	const uint8_t *h = pkt_get(p, p->l3, 40);
	uint32_t total;

	if (!h)
		return DROP_TRUNCATED;
	if (h[0] >> 4 != 6)
		return DROP_BAD_HEADER;
	total =
	    40u +
	    get16(
		h +
		4); /* a jumbogram's 0 leaves its payload out, and the header chain then does not add up */
	if (total > p->len - p->l3)
		return DROP_TRUNCATED;

	p->af = 6;
	p->ttl = h[7];
	p->l3end = p->l3 + total;
	pkt_trim(p, p->l3end);
	classify_addresses(p, h + 8, h + 24);
	return classify_ip6_chain(p, h[6]);
}

enum drop
classify(struct pkt *p, enum dir dir)
{
	enum drop d;

	memset(&p->key, 0, sizeof p->key);
	p->key.dir = (uint8_t)dir;
	p->af = p->atomic = 0;
	if ((d = classify_link(p)) != DROP_NONE)
		return d;
	if (p->etype == ETYPE_IP4)
		return classify_ip4(p);
	if (p->etype == ETYPE_IP6)
		return classify_ip6(p);
	p->key.ect = 1;
	p->key.lport = p->etype;
	return DROP_NONE;
}

void
classify_burst(struct burst *b, enum dir dir)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i]->drop == DROP_NONE)
			b->p[i]->drop = classify(b->p[i], dir);
}

uint32_t
flow_label(const struct pkt *p)
{
	const uint8_t *h = p->af == 6 ? pkt_get(p, p->l3, 4) : NULL;

	return h ? get32(h) & 0xfffff : 0;
}
