/*
 * ESP in UDP (RFC 3948): telling ESP, IKE and keepalives apart on a port, and mending what NAT breaks in transport mode.
 */
#include <netinet/in.h>
#include "ah.h"
#include "datapath.h"
#include "events.h"
#include "gen.h"
#include "sa.h"

#define UDP_HLEN 8

bool
udpencap_port(const struct walk *w, const struct pkt *p)
{
	return p->af != 0 && p->key.proto == IPPROTO_UDP && !p->key.frag &&
	       p->key.ports == PORTS_PORTS && sadb_encap_port(w->gen->sad, p->key.lport);
}

bool
udpencap_is(const struct walk *w, struct pkt *p)
{
	const uint8_t *u;

	if (!udpencap_port(w, p))
		return false;
	if (!(u = pkt_get(p, p->l4, UDP_HLEN + 1)))
		return false;
	if (p->l3end - p->l4 == UDP_HLEN + 1 && u[UDP_HLEN] == 0xff) {
		p->drop = DROP_KEEPALIVE; /* RFC 3948 2.3: ignored, no proof of anything */
		return false;
	}
	/* Four zero octets are the non-ESP marker (2.2): IKE, which policy decides like any other UDP. */
	u = pkt_get(p, p->l4, UDP_HLEN + 4);
	return u && get32(u + UDP_HLEN) != 0;
}

enum drop
udpencap_cut(struct pkt *p)
{
	const uint8_t *u = pkt_get(p, p->l4, UDP_HLEN);
	uint32_t len = u ? get16(u + 4) : 0;

	if (len < UDP_HLEN || len > p->l3end - p->l4)
		return DROP_BAD_LENGTH;
	p->l3end = p->l4 + len;
	pkt_trim(p, p->l3end);
	return DROP_NONE;
}

void
udpencap_checksum6(struct pkt *p, uint32_t at)
{
	uint8_t *u = pkt_data(p) + at, final[AH_HEADERS];
	const uint8_t *ip = pkt_data(p) + p->l3;
	uint32_t front = at - p->l3;

	/* The pseudo header has the last destination of a routing header (RFC 8200 8.1), as an AH ICV has. */
	if (front > 40 && front <= sizeof final) {
		memcpy(final, ip, front);
		if (ah_immutable(final, front, 6) == DROP_NONE)
			ip = final;
	}
	put16(u + 6, cksum_l4(ip, IPPROTO_UDP, u, p->len - at));
}

void
udpencap_follow(struct sa *sa, const struct pkt *p, struct walk *w)
{
	struct event ev = {.kind = EV_PEER,
	    .dir = DIR_IN,
	    .proto = IPPROTO_ESP,
	    .spi = sa->spi,
	    .now = w->now,
	    .dst = sa->p.dst};
	struct sa_peer *heard = &sa->heard, from = {.addr = p->key.remote};

	if (p->ipsec == p->l4 || (sa->replay.size && p->seq != sa->replay.top))
		return;
	from.port = get16(pkt_data(p) + p->l4);
	if (heard->addr.af == 0)
		*heard = (struct sa_peer){sa->p.src, sa->p.encap_sport};
	if (heard->port == from.port && ipaddr_eq(&heard->addr, &from.addr))
		return;
	ev.src = from.addr;
	ev.key = p->key;
	ev.key.rport = from.port;
	if (w->events && events_push(w->events, &ev))
		*heard = from;
}

/* The addresses the sender's checksum covered are not those NAT made: the ICV has vouched for the octets, so it is made anew (RFC 3948 3.1.2). */
void
udpencap_mend(struct pkt *p)
{
	uint32_t len = p->l3end - p->l4, at, need, covered = len;
	uint8_t *l4;

	if (p->key.proto == IPPROTO_TCP)
		at = 16, need = 20;
	else if (p->key.proto == IPPROTO_UDP || p->key.proto == IPPROTO_UDPLITE)
		at = 6, need = UDP_HLEN;
	else if (p->key.proto == IPPROTO_ICMPV6 && p->af == 6) /* IPv4's ICMP covers no address */
		at = 2, need = 4;
	else
		return;
	if (p->key.frag || !(l4 = pkt_get(p, p->l4, len)) || len < need)
		return;
	if (p->key.proto == IPPROTO_UDP && get16(l4 + 6) == 0)
		return; /* the sender did without */
	if (p->key.proto == IPPROTO_UDPLITE && get16(l4 + 4) != 0)
		covered = get16(l4 + 4);
	if (covered < need || covered > len)
		return; /* the host will not take it */
	put16(l4 + at, 0);
	put16(l4 + at, cksum_part(pkt_data(p) + p->l3, p->key.proto, l4, len, covered));
	p->summed = true;
}
