/*
 * Outer headers of tunnel mode: RFC 4301 5.1.2, ECN by RFC 6040.  The inner packet is not touched: a bump does not forward, so
 * its TTL stays what the host made it.
 */
#include "datapath.h"
#include "sa.h"

#define OUTER_TTL 64

enum { ECN_NOT = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3 };

/* Traffic class (DSCP and ECN) of the IP packet at ${h}. */
static uint8_t
ip_tos(const uint8_t *h)
{
	return h[0] >> 4 == 4 ? h[1] : (uint8_t)((h[0] << 4) | (h[1] >> 4));
}

/* RFC 6040 4.1: normal mode copies the ECN field, compatibility mode clears it. */
static uint8_t
outer_tos(const struct sa *sa, uint8_t inner)
{
	uint8_t dscp = sa->p.dscp >= 0 ? (uint8_t)(sa->p.dscp << 2) : inner & 0xfc;

	return dscp | (sa->p.ecn ? inner & 3 : 0);
}

/* RFC 4301 8.1: an IPv6 packet inside counts as one with DF. */
static bool
outer_df(const struct sa *sa, const uint8_t *inner)
{
	switch (sa->p.df) {
	case DF_SET:
		return true;
	case DF_CLEAR:
		return false;
	case DF_COPY:
		break;
	}
	return inner[0] >> 4 == 6 || (inner[6] & 0x40);
}

/* Where the peer is: as configured, or where NAT has it now. */
static const struct ipaddr *
outer_dst(const struct sa *sa)
{
	const struct sa_peer *peer = sa_peer(sa);

	return peer ? &peer->addr : &sa->p.dst;
}

static void
outer_ip4(uint8_t *h, const struct sa *sa, const uint8_t *inner, uint8_t proto, struct walk *w)
{
	memset(h, 0, 20);
	h[0] = 0x45;
	h[1] = outer_tos(sa, ip_tos(inner));
	put16(h + 4, w->ipid);
	w->ipid = (uint16_t)(w->ipid + 1 + w->ipid_skip);
	put16(h + 6, outer_df(sa, inner) ? 0x4000 : 0);
	h[8] = OUTER_TTL;
	h[9] = proto;
	memcpy(h + 12, sa->p.src.b, 4);
	memcpy(h + 16, outer_dst(sa)->b, 4);
}

static void
outer_ip6(uint8_t *h, const struct sa *sa, const uint8_t *inner, uint8_t proto)
{
	uint32_t label = inner[0] >> 4 == 6 ? get32(inner) & 0xfffff : 0;

	put32(h, 6u << 28 | (uint32_t)outer_tos(sa, ip_tos(inner)) << 20 | label);
	h[6] = proto;
	h[7] = OUTER_TTL;
	memcpy(h + 8, sa->p.src.b, 16);
	memcpy(h + 24, outer_dst(sa)->b, 16);
}

enum drop
tunnel_push(const struct sa *sa, struct pkt *p, uint32_t room, uint8_t proto, struct walk *w)
{
	unsigned af = sa->p.dst.af;
	uint32_t hlen = af == 4 ? 20 : 40;
	const uint8_t *inner;
	uint8_t *frame = pkt_push(p, hlen + room);

	if (!frame)
		return DROP_NO_ROOM;
	inner = frame + hlen + room + p->l3;
	memmove(frame, frame + hlen + room, p->l3);
	if (p->link == LINK_ETHER)
		put16(frame + p->l3 - 2, af == 4 ? ETYPE_IP4 : ETYPE_IP6);
	if (af == 4)
		outer_ip4(frame + p->l3, sa, inner, proto, w);
	else
		outer_ip6(frame + p->l3, sa, inner, proto);

	p->af = (uint8_t)af;
	p->etype = af == 4 ? ETYPE_IP4 : ETYPE_IP6;
	p->nh = p->l4nh = (uint16_t)(p->l3 + (af == 4 ? 9 : 6));
	p->ins = p->l4 = (uint16_t)(p->l3 + hlen);
	p->key.frag = 0; /* a fragment inside is whole outside */
	return DROP_NONE;
}

uint32_t
ip_bare(uint8_t *h, const struct ipaddr *src, const struct ipaddr *dst, uint8_t proto,
    uint32_t payload, bool df)
{
	if (dst->af == 6) {
		memset(h, 0, 40);
		h[0] = 0x60;
		put16(h + 4, (uint16_t)payload);
		h[6] = proto;
		h[7] = OUTER_TTL;
		memcpy(h + 8, src->b, 16);
		memcpy(h + 24, dst->b, 16);
		return 40;
	}
	memset(h, 0, 20);
	h[0] = 0x45;
	put16(h + 2, (uint16_t)(20 + payload));
	put16(h + 6, df ? 0x4000 : 0);
	h[8] = OUTER_TTL;
	h[9] = proto;
	memcpy(h + 12, src->b, 4);
	memcpy(h + 16, dst->b, 4);
	put16(h + 10, cksum_ip4(h, 20));
	return 20;
}

void
ip_finish(struct pkt *p)
{
	uint8_t *h = pkt_data(p) + p->l3;
	uint32_t total = p->len - p->l3;

	p->l3end = p->len;
	if (p->af == 6) {
		put16(h + 4, (uint16_t)(total - 40));
		return;
	}
	put16(h + 2, (uint16_t)total);
	put16(h + 10, cksum_ip4(h, (h[0] & 0xfu) * 4));
}

/* Sets the ECN field of the IP packet at ${h}.  An IPv4 header's checksum follows by the difference (RFC 1624 eqn. 3), so that one
 * that was wrong stays wrong. */
static void
ip_set_ecn(uint8_t *h, uint8_t ecn)
{
	uint32_t was, sum;

	if (h[0] >> 4 == 6) {
		h[1] = (uint8_t)((h[1] & ~0x30) | ecn << 4);
		return;
	}
	was = get16(h);
	h[1] = (uint8_t)((h[1] & ~3) | ecn);
	sum = (uint32_t)(~get16(h + 10) & 0xffff) + (~was & 0xffff) + get16(h);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(h + 10, (uint16_t) ~(sum + (sum >> 16)));
}

/* RFC 6040 4.2, figure 4: the marked ones among the combinations: nothing that keeps to the rules makes them. */
static bool
ecn_odd(uint8_t inner, uint8_t outer)
{
	return (inner == ECN_NOT && outer != ECN_NOT) || (inner == ECN_CE && outer == ECN_ECT1) ||
	       (inner == ECN_ECT1 && outer == ECN_ECT0);
}

/* The same figure: what the inner field becomes, whatever the other end's mode was. */
static enum drop
inner_ecn(uint8_t *h, uint8_t outer, struct sa_counters *c)
{
	uint8_t inner = ip_tos(h) & 3;

	outer &= 3;
	if (ecn_odd(inner, outer))
		stats_add(&c->ecn_alarm, 1);
	if (outer == ECN_CE && inner == ECN_NOT)
		return DROP_ECN;
	if ((outer == ECN_CE && inner != ECN_CE) || (outer == ECN_ECT1 && inner == ECN_ECT0))
		ip_set_ecn(h, outer);
	return DROP_NONE;
}

enum drop
tunnel_pop(struct pkt *p, uint32_t inner, struct sa_counters *c)
{
	uint8_t tos = ip_tos(pkt_data(p) + p->l3), *h = pkt_get(p, inner, 20), *frame;
	uint32_t gone = inner - p->l3, total;
	enum drop d;

	if (!h)
		return DROP_BAD_INNER;
	/* The inner length rules: what lies behind is padding for traffic flow confidentiality (RFC 4303 2.7). */
	if (h[0] >> 4 == 4) {
		total = get16(h + 2);
		if ((h[0] & 0xfu) < 5 || total < (h[0] & 0xfu) * 4 ||
		    !pkt_get(p, inner, (h[0] & 0xfu) * 4))
			return DROP_BAD_INNER;
	} else if (h[0] >> 4 == 6) {
		total = 40u + get16(h + 4);
	} else {
		return DROP_BAD_INNER;
	}
	if (!pkt_get(p, inner, total))
		return DROP_BAD_INNER;
	if ((d = inner_ecn(h, tos, c)) != DROP_NONE)
		return d;
	pkt_trim(p, inner + total);

	frame = pkt_data(p);
	memmove(frame + gone, frame, p->l3);
	frame = pkt_pull(p, gone);
	if (p->link == LINK_ETHER)
		put16(frame + p->l3 - 2, frame[p->l3] >> 4 == 4 ? ETYPE_IP4 : ETYPE_IP6);
	p->tunnelled = true;
	return DROP_NONE;
}
