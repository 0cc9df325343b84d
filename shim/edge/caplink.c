#include "caplink.h"

#include "capfile.h"

#define SLL_OCTETS  16
#define SLL2_OCTETS 20
#define BSD_OCTETS  4

/* Packet types of Linux cooked captures (sll_pkttype). */
#define SLL_HOST      0
#define SLL_BROADCAST 1
#define SLL_MULTICAST 2
#define SLL_TYPE_MAX  4

#define ARPHRD_ETHER_ 1
#define ARPHRD_NONE_  0xfffe

/* Address families behind the four octets of BSD loopback: every system has its own for IPv6. */
#define BSD_INET	 2
#define BSD_INET6_LINUX	 10
#define BSD_INET6_NETBSD 24 /* and OpenBSD */
#define BSD_INET6_FREE	 28
#define BSD_INET6_DARWIN 30

int
caplink_pkt(int linktype)
{
	switch (linktype) {
	case LINKTYPE_ETHERNET:
	case LINKTYPE_SLL:
	case LINKTYPE_SLL2:
		return LINK_ETHER;
	case LINKTYPE_NULL:
	case LINKTYPE_LOOP:
	case LINKTYPE_RAW:
	case LINKTYPE_IPV4:
	case LINKTYPE_IPV6:
		return LINK_RAWIP;
	default:
		return -1;
	}
}

/* Devices whose cooked "protocol" is no EtherType: netlink, IrDA, GRE, 802.11 with its radio headers. */
static bool
no_ethertype(uint16_t arphrd)
{
	return arphrd == 824 || arphrd == 783 || arphrd == 778 || (arphrd >= 801 && arphrd <= 803);
}

/*
 * A cooked header as an Ethernet one.  The destination, which a cooked header lacks, keeps the packet's type and the interface, so that they
 * can be written again; it is a group address where the packet was for a group.
 */
static void
cooked_ether(struct caplink *l, uint8_t type, const uint8_t *ifindex, uint8_t alen,
    const uint8_t *addr, const uint8_t *etype)
{
	uint8_t *h = l->head;

	memset(h, 0, ETH_HLEN_OCTETS);
	h[0] = type == SLL_BROADCAST || type == SLL_MULTICAST ? 3 : 2;
	if (ifindex != NULL)
		memcpy(h + 1, ifindex, 4);
	h[5] = type;
	memcpy(h + 6, addr, alen < 6 ? alen : 6);
	memcpy(h + 12, etype, 2);
	l->n = ETH_HLEN_OCTETS;
}

static enum drop
bsd_in(const uint8_t *h, struct caplink *l)
{
	uint32_t family = get32(h);

	if (family > 0xffff) /* LINKTYPE_NULL has the byte order of the machine that captured */
		family = __builtin_bswap32(family);
	l->cut = BSD_OCTETS;
	switch (family) {
	case BSD_INET:
	case BSD_INET6_LINUX:
	case BSD_INET6_NETBSD:
	case BSD_INET6_FREE:
	case BSD_INET6_DARWIN:
		return DROP_NONE;
	default:
		return DROP_BAD_HEADER;
	}
}

enum drop
caplink_in(int linktype, const uint8_t *frame, uint32_t len, struct caplink *l)
{
	l->cut = l->n = 0;
	switch (linktype) {
	case LINKTYPE_SLL:
		if (len < SLL_OCTETS)
			return DROP_TRUNCATED;
		if (no_ethertype(get16(frame + 2)))
			return DROP_BAD_HEADER;
		l->cut = SLL_OCTETS;
		cooked_ether(l, frame[1], NULL, frame[5], frame + 6, frame + 14);
		return DROP_NONE;
	case LINKTYPE_SLL2:
		if (len < SLL2_OCTETS)
			return DROP_TRUNCATED;
		if (no_ethertype(get16(frame + 8)))
			return DROP_BAD_HEADER;
		l->cut = SLL2_OCTETS;
		cooked_ether(l, frame[10], frame + 4, frame[11], frame + 12, frame);
		return DROP_NONE;
	case LINKTYPE_NULL:
	case LINKTYPE_LOOP:
		return len < BSD_OCTETS ? DROP_TRUNCATED : bsd_in(frame, l);
	default:
		return DROP_NONE;
	}
}

/* What an Ethernet header says in the terms of a cooked one. */
struct cooked {
	uint8_t type, alen, ifindex[4], addr[8];
	uint16_t arphrd;
};

static void
cooked_of(const uint8_t *eth, struct cooked *c)
{
	static const uint8_t zero[6];

	memset(c, 0, sizeof *c);
	if (eth[0] >> 1 == 1 && eth[5] <= SLL_TYPE_MAX) { /* cooked_ether() made it */
		c->type = eth[5];
		memcpy(c->ifindex, eth + 1, 4);
	} else if (eth[0] & 1) {
		c->type = SLL_MULTICAST;
	}
	memcpy(c->addr, eth + 6, 6);
	c->alen = memcmp(c->addr, zero, 6) != 0 ? 6 : 0;
	c->arphrd = c->alen ? ARPHRD_ETHER_ : ARPHRD_NONE_;
}

static void
sll_out(const uint8_t *eth, struct caplink *l)
{
	struct cooked c;
	uint8_t *h = l->head;

	cooked_of(eth, &c);
	put16(h, c.type);
	put16(h + 2, c.arphrd);
	put16(h + 4, c.alen);
	memcpy(h + 6, c.addr, 8);
	memcpy(h + 14, eth + 12, 2);
	l->n = SLL_OCTETS;
}

static void
sll2_out(const uint8_t *eth, struct caplink *l)
{
	struct cooked c;
	uint8_t *h = l->head;

	cooked_of(eth, &c);
	memcpy(h, eth + 12, 2);
	put16(h + 2, 0);
	memcpy(h + 4, c.ifindex, 4);
	put16(h + 8, c.arphrd);
	h[10] = c.type;
	h[11] = c.alen;
	memcpy(h + 12, c.addr, 8);
	l->n = SLL2_OCTETS;
}

/* In the byte order of our files, which is little-endian, or as OpenBSD writes it. */
static int
bsd_out(int linktype, uint8_t version, struct caplink *l)
{
	uint32_t six = linktype == LINKTYPE_LOOP ? BSD_INET6_NETBSD : BSD_INET6_DARWIN;
	uint32_t family = version == 4 ? BSD_INET : six;

	if (version != 4 && version != 6)
		return -1;
	put32(l->head, linktype == LINKTYPE_LOOP ? family : __builtin_bswap32(family));
	l->n = BSD_OCTETS;
	return 0;
}

int
caplink_out(int linktype, const struct pkt *p, struct caplink *l)
{
	const uint8_t *first = pkt_get(p, 0, 1), *eth = pkt_get(p, 0, ETH_HLEN_OCTETS);
	uint8_t version = first != NULL ? *first >> 4 : 0;

	l->cut = l->n = 0;
	if (p->link != caplink_pkt(linktype))
		return -1;
	switch (linktype) {
	case LINKTYPE_SLL:
	case LINKTYPE_SLL2:
		if (eth == NULL)
			return -1;
		l->cut = ETH_HLEN_OCTETS;
		if (linktype == LINKTYPE_SLL)
			sll_out(eth, l);
		else
			sll2_out(eth, l);
		return 0;
	case LINKTYPE_NULL:
	case LINKTYPE_LOOP:
		return bsd_out(linktype, version, l);
	case LINKTYPE_IPV4:
		return version == 4 ? 0 : -1;
	case LINKTYPE_IPV6:
		return version == 6 ? 0 : -1;
	default:
		return 0;
	}
}
