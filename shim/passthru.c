/*
 * The built-in kinds of traffic, each as narrow as its RFC allows: what is let by here goes past the operator's rules, so
 * whatever is not exactly such a packet is left to them.  No fragment ever is: its ports or type cannot be trusted.
 * The golden list of tests/unit/test_passthru.c says what passes; a change here has to change it there.
 */
#include "datapath.h"

#define PROTO_UDP   17
#define PROTO_ICMP6 58
#define IP6_HLEN    40
#define LLC_MAX	    0x05ff /* an EtherType field up to here is a length: IEEE 802.3 with LLC */

/* EtherTypes that wrap IP or Ethernet in a way classify() does not look into.  IP must not go round policy by that. */
static bool
wraps(uint16_t etype)
{
	switch (etype) {
	case ETYPE_IP4:
	case ETYPE_IP6:
	case ETYPE_8021Q: /* more tags than classify() takes off */
	case ETYPE_8021AD:
	case 0x9100: /* tags of before the standard */
	case 0x9200:
	case 0x9300:
	case 0x6558: /* transparent Ethernet bridging */
	case 0x8847: /* MPLS */
	case 0x8848:
	case 0x8864: /* PPPoE session */
	case 0x88e7: /* 802.1ah */
	case 0x894f: /* NSH */
		return true;
	default:
		return false;
	}
}

/* The EtherType of a frame that is not IP, looked up behind LLC and SNAP where it has these (RFC 1042). */
static uint16_t
ethertype(const struct pkt *p)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	const uint8_t *h;

	if (p->etype > LLC_MAX || (h = pkt_get(p, p->l3, 8)) == NULL ||
	    memcmp(h, snap, sizeof snap) != 0)
		return p->etype;
	return get16(h + 6);
}

static bool
link_local(const struct ipaddr *a)
{
	return a->af == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static bool
unspecified(const struct ipaddr *a)
{
	return memcmp(a->b, (const uint8_t[16]){0}, sizeof a->b) == 0;
}

/* The next layer follows the IPv6 header at once. */
static bool
plain6(const struct pkt *p)
{
	return p->l4 == p->l3 + IP6_HLEN;
}

/* RFC 4861 6.1, 7.1, 8.1: hop limit 255, so it comes from this link, and code 0. */
static bool
is_nd(const struct pkt *p)
{
	unsigned type = p->key.lport >> 8, code = p->key.lport & 0xff;

	return type >= 133 && type <= 137 && code == 0 && p->ttl == 255 && plain6(p);
}

/* RFC 2710 3, RFC 3810 5: hop limit 1, router alert in a hop-by-hop header, from a link-local address or from ::. */
static bool
is_mld(const struct pkt *p)
{
	unsigned type = p->key.lport >> 8;
	const struct ipaddr *src = p->key.dir == DIR_OUT ? &p->key.local : &p->key.remote;
	const uint8_t *h = pkt_get(p, p->l3, IP6_HLEN + 8);

	if ((type < 130 || type > 132) && type != 143)
		return false;
	return p->ttl == 1 && h != NULL && h[6] == 0 && h[IP6_HLEN] == PROTO_ICMP6 &&
	       h[IP6_HLEN + 1] == 0 && (link_local(src) || unspecified(src));
}

/* This host is the client: 68 to 67 outbound, 67 to 68 inbound, from servers and relays alike (RFC 2131 4.1). */
static bool
is_dhcp(const struct pkt *p)
{
	return p->key.lport == 68 && p->key.rport == 67;
}

/* RFC 8415 7.2, 13.1: clients speak from a link-local address to a multicast group, servers and relays answer to it. */
static bool
is_dhcp6(const struct pkt *p)
{
	const struct ipaddr *local = &p->key.local, *remote = &p->key.remote;

	return p->key.lport == 546 && p->key.rport == 547 && plain6(p) &&
	       (link_local(local) || link_local(remote) ||
		   (remote->b[0] == 0xff && remote->af == 6));
}

bool
passthru(const struct pkt *p, enum builtin *b)
{
	const struct flowkey *k = &p->key;

	if (p->af == 0) {
		uint16_t etype = ethertype(p);

		*b = etype == ETYPE_ARP ? BUILTIN_ARP : BUILTIN_NONIP;
		return !wraps(etype);
	}
	if (k->frag || k->opaque)
		return false;
	if (p->af == 6 && k->proto == PROTO_ICMP6 && k->ports == PORTS_ICMP) {
		*b = is_nd(p) ? BUILTIN_ND : BUILTIN_MLD;
		return is_nd(p) || is_mld(p);
	}
	if (k->proto == PROTO_UDP && k->ports == PORTS_PORTS) {
		*b = p->af == 4 ? BUILTIN_DHCP : BUILTIN_DHCP6;
		return p->af == 4 ? is_dhcp(p) : is_dhcp6(p);
	}
	return false;
}
