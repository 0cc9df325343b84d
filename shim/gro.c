#include <netinet/in.h>
#include "datapath.h"
#include "gro.h"

#define OPEN_MAX     8 /* flows a burst is searched for; Linux's GRO keeps as many in a bucket */
#define IP_MAX	     65535u /* longest packet */
#define L3_MAX	     (GRO_HEAD - 40 - 60)
#define UDP_SEGMENTS 64 /* the kernel's own limit for a datagram socket */

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_ECE 0x40

/* How IPv4's ID goes on in a group. */
enum { ID_FIRST, ID_COUNTS, ID_SAME };

/* May ${p} be part of a group at all?  Its payload's offset, or 0. */
static uint16_t
gro_fit(const struct gro *g, const struct pkt *p)
{
	uint32_t hlen;
	const uint8_t *h;

	if (p->af == 0 || p->key.frag || p->l3 > L3_MAX || p->key.ports != PORTS_PORTS ||
	    p->todo.gso || p->todo.partial || p->link != LINK_ETHER ||
	    p->l4 != p->l3 + (p->af == 4 ? 20 : 40) || p->len != p->l3end)
		return 0;
	if (p->key.proto == IPPROTO_TCP) {
		if (!(h = pkt_get(p, p->l4, 20)))
			return 0;
		hlen = p->l4 + (h[12] >> 4) * 4u;
		if (hlen < p->l4 + 20u || hlen >= p->len ||
		    (h[13] & ~(TCP_PSH | TCP_FIN | TCP_ECE)) != TCP_ACK || (h[12] & 0xf))
			return 0;
		return (uint16_t)hlen;
	}
	if (!g->udp || p->key.proto != IPPROTO_UDP || ipaddr_multicast(&p->key.local))
		return 0;
	hlen = p->l4 + 8u;
	if (!(h = pkt_get(p, p->l4, 8)) || hlen >= p->len || get16(h + 6) == 0 ||
	    get16(h + 4) != p->len - p->l4)
		return 0;
	return (uint16_t)hlen;
}

static bool
gro_summed(const struct pkt *p)
{
	uint32_t n = p->len - p->l4;
	const uint8_t *frame = pkt_data(p);

	return p->summed || cksum_fold(cksum_add(cksum_pseudo(frame + p->l3, p->key.proto, n),
				frame + p->l4, n)) == 0;
}

/* Link and IP header: equal but for what a segment has of its own. */
static bool
gro_same_ip(const struct gro_group *g, const struct pkt *p, uint8_t *id)
{
	const uint8_t *a = pkt_data(g->first), *b = pkt_data(p), *h = a + p->l3, *k = b + p->l3;
	uint16_t was, is;

	if (memcmp(a, b, p->l3) != 0)
		return false;
	if (p->af == 6)
		return memcmp(h, k, 4) == 0 && memcmp(h + 6, k + 6, 34) == 0;
	if (h[1] != k[1] || memcmp(h + 6, k + 6, 4) != 0 || memcmp(h + 12, k + 12, 8) != 0)
		return false;
	was = get16(h + 4);
	is = get16(k + 4);
	if (p->encap && (h[6] & 0x40)) {
		*id = ID_COUNTS; /* it will */
		return true;
	}
	*id = is == (uint16_t)(was + g->n) ? ID_COUNTS
	      : is == was && (h[6] & 0x40) ? ID_SAME
					   : ID_FIRST;
	return *id != ID_FIRST && (g->id == ID_FIRST || g->id == *id);
}

/* Ports are equal.  TCP: all but number, checksum, PSH and FIN. */
static bool
gro_same_tcp(const struct gro_group *g, const uint8_t *h, const uint8_t *k, uint32_t len)
{
	return get32(k + 4) == g->seq && memcmp(h + 8, k + 8, 5) == 0 &&
	       ((h[13] ^ k[13]) & ~(TCP_PSH | TCP_FIN)) == 0 && memcmp(h + 14, k + 14, 2) == 0 &&
	       memcmp(h + 18, k + 18, len - 18) == 0;
}

static bool
gro_same_flow(const struct gro_group *g, const struct pkt *p)
{
	const struct pkt *q = g->first;

	return q->af == p->af && q->key.proto == p->key.proto && q->l3 == p->l3 &&
	       q->key.lport == p->key.lport && q->key.rport == p->key.rport &&
	       ipaddr_eq(&q->key.remote, &p->key.remote) && ipaddr_eq(&q->key.local, &p->key.local);
}

/* ${p} becomes the group's last, with ${n} octets of payload; one shorter than the first ends it. */
static void
gro_append(struct gro_group *g, struct pkt *p, uint32_t n, uint8_t id)
{
	g->id = id;
	g->last->next = p;
	g->last = p;
	g->n++;
	g->len += n;
	g->open = n == g->size;
}

/* ${p}, of the group's flow, becomes its last; false: it does not fit behind the others. */
static bool
gro_join(struct gro_group *g, struct pkt *p, uint16_t hlen)
{
	uint32_t n = p->len - hlen;
	const uint8_t *h = pkt_data(g->first) + p->l4, *k = pkt_data(p) + p->l4;
	uint8_t id = g->id;

	if (!g->open || hlen != g->hlen || n > g->size || g->len + n - p->l3 > IP_MAX ||
	    !gro_same_ip(g, p, &id))
		return false;
	if (p->key.proto == IPPROTO_TCP ? !gro_same_tcp(g, h, k, hlen - p->l4)
					: g->n == UDP_SEGMENTS)
		return false;
	if (!g->summed && !(g->summed = gro_summed(g->first)))
		return false;
	if (!gro_summed(p))
		return false;
	gro_append(g, p, n, id);
	g->seq += n;
	g->open &= p->key.proto == IPPROTO_UDP || !(k[13] & (TCP_PSH | TCP_FIN));
	return true;
}

static void
gro_begin(struct gro *g, struct pkt *p, uint16_t hlen)
{
	struct gro_group *x = &g->group[g->n++];
	const uint8_t *h = pkt_data(p) + p->l4;

	*x = (struct gro_group){
	    .first = p, .last = p, .n = 1, .len = p->len, .hlen = hlen, .proto = p->key.proto};
	if (!hlen)
		return;
	x->open = p->key.proto == IPPROTO_UDP || !(h[13] & (TCP_PSH | TCP_FIN));
	x->size = p->len - hlen;
	x->seq = p->key.proto == IPPROTO_TCP ? get32(h + 4) + x->size : 0;
}

/* Nothing may go round a packet that is not joined: groups of its two addresses end. */
static void
gro_close(struct gro *g, const struct pkt *p)
{
	for (unsigned i = 0; i < g->n; i++) {
		struct gro_group *x = &g->group[i];

		if (x->open && p->af && ipaddr_eq(&x->first->key.remote, &p->key.remote))
			x->open = false;
	}
}

static void
gro_packet(struct gro *g, struct pkt *p)
{
	uint16_t hlen = gro_fit(g, p);
	unsigned seen = 0;

	p->next = NULL;
	if (!hlen) {
		gro_close(g, p);
		gro_begin(g, p, 0);
		return;
	}
	for (unsigned i = g->n; i-- > 0 && seen < OPEN_MAX;) {
		struct gro_group *x = &g->group[i];

		if (!x->open)
			continue;
		seen++;
		if (!gro_same_flow(x, p))
			continue;
		if (gro_join(x, p, hlen))
			return;
		x->open = false;
		break;
	}
	gro_begin(g, p, hlen);
}

void
gro_alone(struct gro *g, const struct burst *b)
{
	g->n = 0;
	for (unsigned i = 0; i < b->n; i++) {
		if (b->p[i]->drop != DROP_NONE)
			continue;
		b->p[i]->next = NULL;
		gro_begin(g, b->p[i], 0);
	}
}

void
gro_burst(struct gro *g, const struct burst *b)
{
	g->n = 0;
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i]->drop == DROP_NONE)
			gro_packet(g, b->p[i]);
}

/* Outer header and length right for a group?  Offset of the ESP header, or 0. */
static uint16_t
gro_encap_fit(const struct pkt *p)
{
	const uint8_t *h = pkt_get(p, p->l4, 8), *ip;

	if (!p->encap || p->key.frag || p->l3 > L3_MAX || p->link != LINK_ETHER || !h ||
	    get16(h + 4) != p->len - p->l4 || p->l4 != p->l3 + (p->af == 4 ? 20 : 40))
		return 0;
	ip = pkt_data(p) + p->l3;
	if (p->af == 4 ? ip[9] != IPPROTO_UDP || (get16(ip + 6) & 0x3fff) != 0
		       : ip[6] != IPPROTO_UDP)
		return 0;
	return (uint16_t)(p->l4 + 8);
}

static bool
gro_encap_join(struct gro_group *g, struct pkt *p, uint16_t hlen)
{
	uint32_t n = p->len - hlen;
	uint8_t id = g->id;

	if (g->first->af != p->af || g->first->l3 != p->l3 ||
	    memcmp(pkt_data(g->first) + p->l4, pkt_data(p) + p->l4, 4) != 0 || n > g->size ||
	    g->len + n - p->l3 > IP_MAX || g->n == UDP_SEGMENTS || !gro_same_ip(g, p, &id))
		return false;
	gro_append(g, p, n, id);
	return true;
}

void
gro_encap_burst(struct gro *g, const struct burst *b)
{
	struct gro_group *last = NULL; /* the one that may grow: a peer is sent to in bursts */

	g->n = 0;
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		uint16_t hlen;

		if (p->drop != DROP_NONE)
			continue;
		p->next = NULL;
		hlen = gro_encap_fit(p);
		if (hlen && last && last->open && gro_encap_join(last, p, hlen))
			continue;
		last = &g->group[g->n++];
		*last =
		    (struct gro_group){.first = p, .last = p, .n = 1, .len = p->len, .hlen = hlen};
		last->proto = IPPROTO_UDP;
		last->size = p->len - hlen;
		last->open = hlen != 0;
	}
}

void
gro_drop(const struct gro_group *g, enum drop d)
{
	for (struct pkt *p = g->first; p; p = p->next)
		p->drop = d;
}

void
gro_head(const struct gro_group *g, uint8_t head[static GRO_HEAD], struct vnet *v)
{
	const struct pkt *p = g->first;
	uint8_t *ip = head + p->l3, *l4 = head + p->l4;
	bool tcp = g->proto == IPPROTO_TCP;
	uint32_t n = g->len - p->l4;

	memcpy(head, pkt_data(p), g->hlen);
	if (p->af == 4) {
		put16(ip + 2, (uint16_t)(g->len - p->l3));
		put16(ip + 10, cksum_ip4(ip, 20));
	} else {
		put16(ip + 4, (uint16_t)(g->len - p->l3 - 40));
	}
	if (tcp)
		l4[13] |= pkt_data(g->last)[p->l4 + 13] & (TCP_PSH | TCP_FIN);
	else
		put16(l4 + 4, (uint16_t)n);
	/* the pseudo header's sum; whoever cuts or reads it does the rest */
	put16(l4 + (tcp ? 16 : 6), (uint16_t)~cksum_fold(cksum_pseudo(ip, g->proto, n)));
	*v = (struct vnet){.partial = true,
	    .gso = (uint8_t)(!tcp	  ? GSO_UDP
			     : p->af == 4 ? GSO_TCP4
					  : GSO_TCP6),
	    .gso_size = (uint16_t)g->size,
	    .csum_start = p->l4,
	    .csum_offset = tcp ? 16 : 6};
}
