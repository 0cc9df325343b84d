/*
 * What a rule matches, RFC 4301 4.4.1.1.  A range of ports (or of ICMP types and codes) asks for a value that is there;
 * OPAQUE for one that is hidden (a fragment behind the first); ANY asks for nothing and takes both, and also protocols
 * without ports.
 */
#include "selector.h"

#define PROTO_ICMP  1
#define PROTO_ICMP6 58
#define PROTO_MH    135

void
selector_any(struct selector *s)
{
	*s = (struct selector){
	    .proto_any = true,
	    .lmatch = MATCH_ANY,
	    .rmatch = MATCH_ANY,
	    .lport = {0, 0xffff},
	    .rport = {0, 0xffff},
	    .vlan = VLAN_NONE,
	};
}

/* Does the value a packet shows (kind ${kind}, ${v}) fit?  Only local values may be a type and code. */
static inline bool
port_match(uint8_t how, const struct portrange *r, uint8_t kind, uint16_t v, bool typed)
{
	switch (how) {
	case MATCH_ANY:
		return true;
	case MATCH_OPAQUE:
		return kind == PORTS_OPAQUE;
	default:
		return (kind == PORTS_PORTS ||
			   (typed && (kind == PORTS_ICMP || kind == PORTS_MH))) &&
		       v >= r->lo && v <= r->hi;
	}
}

enum selector_field
selector_mismatch(const struct selector *s, const struct flowkey *k)
{
	if (k->ect)
		return SELECTOR_IP;
	if (s->proto_opaque ? !k->opaque : !s->proto_any && (k->opaque || s->proto != k->proto))
		return SELECTOR_PROTO;
	/* A type and code is no port: a range without a protocol speaks of ports only. */
	if (!port_match(s->lmatch, &s->lport, k->ports, k->lport, !s->proto_any))
		return SELECTOR_LPORT;
	if (!port_match(s->rmatch, &s->rport, k->ports, k->rport, false))
		return SELECTOR_RPORT;
	if (s->vlan != VLAN_NONE && s->vlan != k->vlan)
		return SELECTOR_VLAN;
	if (!iprange_has(&s->local, &k->local))
		return SELECTOR_LOCAL;
	return iprange_has(&s->remote, &k->remote) ? SELECTOR_SAME : SELECTOR_REMOTE;
}

const char *
selector_field_name(enum selector_field f)
{
	static const char *const name[] = {"", "not IP", "protocol", "local port", "remote port",
	    "VLAN", "local address", "remote address"};

	return name[f];
}

static bool
port_covers(uint8_t outer, const struct portrange *o, uint8_t inner, const struct portrange *i)
{
	if (outer == MATCH_ANY)
		return true;
	if (outer != inner)
		return false;
	return outer == MATCH_OPAQUE || (o->lo <= i->lo && i->hi <= o->hi);
}

/* "any" beside an address of one family means every address of that family. */
static struct iprange
narrowed(const struct iprange *r, const struct iprange *other)
{
	struct iprange all = {{.af = other->lo.af}, {.af = other->lo.af}};

	if (r->lo.af != 0 || other->lo.af == 0)
		return *r;
	memset(all.hi.b, 0xff, ipaddr_len(&all.hi));
	return all;
}

static bool
range_covers(const struct iprange *outer, const struct iprange *inner)
{
	return iprange_has(outer, &inner->lo) && iprange_has(outer, &inner->hi);
}

bool
selector_covers(const struct selector *outer, const struct selector *inner)
{
	struct iprange local = narrowed(&inner->local, &inner->remote);
	struct iprange remote = narrowed(&inner->remote, &inner->local);

	if (!outer->proto_any && (inner->proto_any || outer->proto_opaque != inner->proto_opaque ||
				     outer->proto != inner->proto))
		return false;
	/* Types and codes are not covered by ports: see selector_match(). */
	if (outer->proto_any && outer->lmatch == MATCH_RANGE && !inner->proto_any &&
	    !proto_has_ports(inner->proto))
		return false;
	if (!port_covers(outer->lmatch, &outer->lport, inner->lmatch, &inner->lport) ||
	    !port_covers(outer->rmatch, &outer->rport, inner->rmatch, &inner->rport))
		return false;
	if (outer->vlan != VLAN_NONE && outer->vlan != inner->vlan)
		return false;
	return range_covers(&outer->local, &local) && range_covers(&outer->remote, &remote);
}
