/*
 * What a packet is (struct flowkey) and what a rule matches (struct selector), RFC 4301 4.4.1.1.
 *
 * Local and remote are seen from this host in both directions: outbound local is the source, inbound the destination.
 */
#ifndef BITS_SELECTOR_H
#define BITS_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include "addr.h"

enum dir { DIR_OUT = 0, DIR_IN = 1 }; /* out: from the host, leaves by the lower edge; in: from the wire */

/* Ports as a packet shows them. */
enum ports_kind {
	PORTS_NONE,    /* the protocol has none (and no type and code): only rules without ports match */
	PORTS_PORTS,   /* lport and rport */
	PORTS_ICMP,    /* lport: type << 8 | code (RFC 4301 4.4.1.1); rport 0 */
	PORTS_MH,      /* lport: Mobility Header type << 8 */
	PORTS_OPAQUE,  /* hidden: a fragment that is not the first, or a header cut short */
};

/* Compared and hashed as octets: every octet is set, also the padding. */
struct flowkey {
	struct ipaddr local, remote;
	uint16_t lport, rport;     /* host order */
	uint16_t vlan;             /* VLAN id, 0xffff: no tag */
	uint8_t proto;             /* next layer protocol */
	uint8_t ports;             /* enum ports_kind */
	uint8_t frag;              /* 1: a fragment (first or not) */
	uint8_t opaque;            /* 1: protocol not available */
	uint8_t dir;               /* enum dir */
	uint8_t ect;               /* 1: not IP at all: then only lport (the EtherType) counts */
	uint8_t pad[4];
};
_Static_assert(sizeof(struct flowkey) == 56, "flowkey has no hidden padding and hashes as octets");

#define VLAN_NONE 0xffff

struct portrange { uint16_t lo, hi; };   /* host order, inclusive */

enum ports_match {
	MATCH_ANY,      /* ANY: also what has no ports and what is opaque */
	MATCH_RANGE,    /* only where ports (or type and code) are available */
	MATCH_OPAQUE,   /* only where they are not */
};

struct selector {
	struct iprange local, remote;
	uint8_t proto;             /* meaningful unless proto_any or proto_opaque (0 then) */
	bool proto_any;
	bool proto_opaque;         /* only where the protocol is hidden: a later fragment of an IPv6 packet */
	uint8_t lmatch, rmatch;    /* enum ports_match */
	struct portrange lport, rport; /* for ICMP and MH lport holds the (type << 8 | code) range */
	uint16_t vlan;             /* VLAN_NONE: whatever */
};

/** selector_any(s): matches every IP packet. */
void selector_any(struct selector *s);

/* Where a packet and a selector differ, in the order they are compared. */
enum selector_field {
	SELECTOR_SAME,
	SELECTOR_IP,       /* the packet is not IP */
	SELECTOR_PROTO,
	SELECTOR_LPORT,    /* for ICMP and the Mobility Header: type and code */
	SELECTOR_RPORT,
	SELECTOR_VLAN,
	SELECTOR_LOCAL,
	SELECTOR_REMOTE,
};

/** selector_mismatch(s, k): the first field that differs, or SELECTOR_SAME.  Pure; the linear truth the index is held against. */
enum selector_field selector_mismatch(const struct selector *s, const struct flowkey *k);

/** selector_field_name(f): "protocol", "local port", ...; "" for SELECTOR_SAME. */
const char *selector_field_name(enum selector_field f);

/** selector_match(s, k): is ${k} covered?  selector_mismatch() finds nothing. */
static inline bool
selector_match(const struct selector *s, const struct flowkey *k)
{
	return selector_mismatch(s, k) == SELECTOR_SAME;
}

/** selector_covers(outer, inner): does every packet ${inner} matches match ${outer} too?  (Shadow warnings.) */
bool selector_covers(const struct selector *outer, const struct selector *inner);

/** proto_name(p), proto_number(name): "tcp" <-> 6 for the protocols of our language; NULL / -1 when unknown.  A small
 * table of our own, so that a file means the same on every host. */
const char *proto_name(unsigned p);
int proto_number(const char *name);
/** proto_has_ports(p): TCP, UDP, SCTP, DCCP, UDP-Lite. */
bool proto_has_ports(unsigned p);

#endif
