#include "spd_dims.h"

void
spd_box_all(struct box *b, unsigned af)
{
	uint64_t last = af == 6 ? UINT64_MAX : UINT32_MAX;

	*b = (struct box){
	    .hi = {[DIM_LOCAL] = last,
		[DIM_REMOTE] = last,
		[DIM_LOCAL_LOW] = af == 6 ? UINT64_MAX : 0,
		[DIM_REMOTE_LOW] = af == 6 ? UINT64_MAX : 0,
		[DIM_LPORT] = PORT_LAST,
		[DIM_RPORT] = PORT_LAST,
		[DIM_PROTO] = PROTO_LAST,
		[DIM_VLAN] = UINT16_MAX,
		[DIM_DIR] = 1},
	};
}

/*
 * An IPv6 range is a box in its two halves only when the upper halves of its ends agree, or the lower ones say "all"; else the
 * lower dimension is left open and the box is too large.
 */
static void
address_box(
    struct box *b, enum spd_dim high, enum spd_dim low, const struct iprange *r, bool *exact)
{
	if (r->lo.af == 0)
		return;
	if (r->lo.af == 4) {
		b->lo[high] = spd_be32(r->lo.b);
		b->hi[high] = spd_be32(r->hi.b);
		return;
	}
	b->lo[high] = spd_be64(r->lo.b);
	b->hi[high] = spd_be64(r->hi.b);
	if (b->lo[high] == b->hi[high]) {
		b->lo[low] = spd_be64(r->lo.b + 8);
		b->hi[low] = spd_be64(r->hi.b + 8);
	} else if (spd_be64(r->lo.b + 8) != 0 || spd_be64(r->hi.b + 8) != UINT64_MAX) {
		*exact = false;
	}
}

static void
port_box(struct box *b, enum spd_dim dim, uint8_t match, const struct portrange *r)
{
	if (match == MATCH_OPAQUE)
		b->lo[dim] = b->hi[dim] = PORT_OPAQUE;
	if (match == MATCH_RANGE) {
		b->lo[dim] = r->lo;
		b->hi[dim] = r->hi;
	}
}

bool
spd_box_of(struct box *b, const struct policy *p, unsigned af, bool *exact)
{
	const struct selector *s = &p->sel;

	if ((s->local.lo.af && s->local.lo.af != af) ||
	    (s->remote.lo.af && s->remote.lo.af != af) || p->dirs == 0)
		return false;
	*exact = true;
	spd_box_all(b, af);
	address_box(b, DIM_LOCAL, DIM_LOCAL_LOW, &s->local, exact);
	address_box(b, DIM_REMOTE, DIM_REMOTE_LOW, &s->remote, exact);
	port_box(b, DIM_LPORT, s->lmatch, &s->lport);
	port_box(b, DIM_RPORT, s->rmatch, &s->rport);
	if (s->proto_opaque)
		b->lo[DIM_PROTO] = b->hi[DIM_PROTO] = PROTO_OPAQUE;
	else if (!s->proto_any)
		b->lo[DIM_PROTO] = b->hi[DIM_PROTO] = s->proto;
	else if (s->lmatch == MATCH_RANGE)
		*exact = false; /* a type and code is no port, see selector_match() */
	if (s->vlan != VLAN_NONE)
		b->lo[DIM_VLAN] = b->hi[DIM_VLAN] = s->vlan;
	b->lo[DIM_DIR] = p->dirs & 1 << DIR_OUT ? DIR_OUT : DIR_IN;
	b->hi[DIM_DIR] = p->dirs & 1 << DIR_IN ? DIR_IN : DIR_OUT;
	for (int d = 0; d < DIMS; d++)
		if (b->lo[d] > b->hi[d])
			return false; /* runs backwards: nothing */
	return true;
}
