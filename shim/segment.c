#include <netinet/in.h>
#include <string.h>
#include "datapath.h"
#include "segment.h"

#define OPTIONS_MAX 4 /* IPv6 extension headers in front of TCP or UDP */

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

/* IPv4: no fragment, a whole header. */
static bool
find_l4_ip4(struct segment *s)
{
	const uint8_t *ip = s->frame + s->l3;
	uint32_t hlen;

	if (s->len < s->l3 + 20 || ip[0] >> 4 != 4)
		return false;
	hlen = (ip[0] & 15u) * 4;
	if (hlen < 20 || s->len < s->l3 + hlen || (get16(ip + 6) & 0x3fff) != 0)
		return false;
	s->af = 4;
	s->proto = ip[9];
	s->l4 = s->l3 + hlen;
	return true;
}

/* IPv6: hop-by-hop and destination options may stand between.  A routing header may not: the pseudo header would have
 * another destination. */
static bool
find_l4_ip6(struct segment *s)
{
	const uint8_t *ip = s->frame + s->l3;

	if (s->len < s->l3 + 40 || ip[0] >> 4 != 6)
		return false;
	s->af = 6;
	s->proto = ip[6];
	s->l4 = s->l3 + 40;
	for (int i = 0; s->proto == IPPROTO_HOPOPTS || s->proto == IPPROTO_DSTOPTS; i++) {
		if (i == OPTIONS_MAX || s->len < s->l4 + 8)
			return false;
		s->proto = s->frame[s->l4];
		s->l4 += (s->frame[s->l4 + 1] + 1u) * 8;
	}
	return s->l4 <= s->len;
}

static bool
find_l4(struct segment *s)
{
	uint32_t at = 12;
	uint16_t etype;

	if (s->len < ETH_HLEN_OCTETS)
		return false;
	while ((etype = get16(s->frame + at)) == ETYPE_8021Q || etype == ETYPE_8021AD) {
		at += ETH_VLAN_OCTETS;
		if (at > 20 || s->len < at + 2)
			return false;
	}
	s->l3 = at + 2;
	return etype == ETYPE_IP4 ? find_l4_ip4(s) : etype == ETYPE_IP6 && find_l4_ip6(s);
}

enum drop
segment_begin(struct segment *s, const uint8_t *frame, uint32_t len, const struct vnet *v)
{
	uint32_t hlen;
	bool tcp = v->gso == GSO_TCP4 || v->gso == GSO_TCP6;

	memset(s, 0, sizeof *s);
	s->frame = frame;
	s->len = len;
	s->size = v->gso_size;
	if ((!tcp && v->gso != GSO_UDP) || s->size == 0 || !find_l4(s))
		return DROP_EDGE_ERROR;
	if (s->proto != (tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return DROP_EDGE_ERROR;
	if (v->partial && v->csum_start != s->l4)
		return DROP_EDGE_ERROR;
	if (len - s->l4 < (tcp ? 20 : 8))
		return DROP_EDGE_ERROR;
	hlen = tcp ? (frame[s->l4 + 12] >> 4) * 4u : 8;
	if (hlen < 8 || (tcp && hlen < 20) || len - s->l4 < hlen)
		return DROP_EDGE_ERROR;
	s->hlen = s->next = s->l4 + hlen;
	return DROP_NONE;
}

uint32_t
segment_left(const struct segment *s)
{
	return s->next < s->len ? (s->len - s->next + s->size - 1) / s->size : s->index == 0;
}

bool
segment_more(const struct segment *s)
{
	return s->next < s->len || s->index == 0;
}

enum drop
segment_count(struct pkt *p)
{
	struct segment s;
	enum drop d = segment_begin(&s, pkt_data(p), p->len, &p->todo);

	if (d == DROP_NONE) {
		p->more = (uint16_t)(segment_left(&s) - 1);
		p->more_octets = p->more * s.hlen;
	}
	return d;
}

static void
fix_ip(const struct segment *s, uint8_t *f, uint32_t total)
{
	uint8_t *ip = f + s->l3;

	if (s->af == 6) {
		put16(ip + 4, (uint16_t)(total - s->l3 - 40));
		return;
	}
	put16(ip + 2, (uint16_t)(total - s->l3));
	put16(ip + 4, (uint16_t)(get16(ip + 4) + s->index));
	put16(ip + 10, cksum_ip4(ip, s->l4 - s->l3));
}

/* ${sum} is the payload's, taken while it was copied. */
static void
fix_l4(const struct segment *s, uint8_t *f, uint32_t total, bool last, bool sealed, uint64_t sum)
{
	uint8_t *l4 = f + s->l4;
	uint8_t *field = l4 + (s->proto == IPPROTO_TCP ? 16 : 6);
	uint16_t v;

	if (s->proto == IPPROTO_TCP) {
		put32(l4 + 4, get32(l4 + 4) + (s->next - s->hlen));
		if (!last)
			l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (s->index > 0)
			l4[13] &= (uint8_t)~TCP_CWR; /* said once (RFC 3168 6.1.2) */
	} else {
		put16(l4 + 4, (uint16_t)(total - s->l4));
	}
	put16(field, 0);
	if (sealed)
		return;
	sum =
	    cksum_add(sum + cksum_pseudo(f + s->l3, s->proto, total - s->l4), l4, s->hlen - s->l4);
	v = cksum_fold(sum);
	put16(field, v == 0 && s->proto == IPPROTO_UDP ? 0xffff : v);
}

void
segment_next(struct segment *s, struct pkt *p)
{
	uint32_t n = s->len - s->next;
	uint64_t sum = 0;
	uint8_t *f;
	bool sealed;

	if (n > s->size)
		n = s->size;
	sealed = s->encap && n >= 4 && get32(s->frame + s->next) != 0;
	if (s->hlen + n - s->l3 <= 0xffff && (f = pkt_put(p, s->hlen + n)) != NULL) {
		memcpy(f, s->frame, s->hlen);
		if (sealed)
			memcpy(f + s->hlen, s->frame + s->next, n);
		else
			sum = cksum_copy(f + s->hlen, s->frame + s->next, n);
		fix_ip(s, f, s->hlen + n);
		fix_l4(s, f, s->hlen + n, s->next + n == s->len, sealed, sum);
	} else {
		p->drop = DROP_NO_ROOM;
	}
	s->next += n;
	s->index++;
}
