/*
 * Rules as boxes and packets as points: every selector becomes one range of unsigned numbers per dimension, every flow key
 * one number.  A rule's box holds all its packets (it may hold others, see spd_box_of()), so a tree can sort boxes and
 * knows nothing of selectors.
 */
#ifndef BITS_SPD_DIMS_H
#define BITS_SPD_DIMS_H

#include <stdbool.h>
#include <stdint.h>
#include "policy.h"

enum spd_dim {
	DIM_LOCAL,      /* IPv4: the address; IPv6: its upper half */
	DIM_REMOTE,
	DIM_LOCAL_LOW,  /* IPv6: the lower half */
	DIM_REMOTE_LOW,
	DIM_LPORT,
	DIM_RPORT,
	DIM_PROTO,
	DIM_VLAN,
	DIM_DIR,
	DIMS
};

/* Behind the ports 0..65535 stand "has none" and "hidden", so that only ANY, whose range goes to the end, takes them. */
#define PORT_NONE   0x10000u
#define PORT_OPAQUE 0x10001u
#define PORT_LAST   0x1ffffu
#define PROTO_OPAQUE 0x100u
#define PROTO_LAST   0x1ffu

struct box {
	uint64_t lo[DIMS], hi[DIMS]; /* inclusive */
};

struct point {
	uint64_t v[DIMS];
};

/** spd_box_all(b, af): every packet of one family. */
void spd_box_all(struct box *b, unsigned af);

/**
 * spd_box_of(b, p, af):
 * The box of rule ${p} among packets of family ${af}.  False: it has none.  *${exact}: a point lies in the box if and only
 * if the rule covers the packet.
 */
bool spd_box_of(struct box *b, const struct policy *p, unsigned af, bool *exact);

/** spd_point_of(k, p): ${k} is IP, both addresses of one family. */
static inline uint64_t
spd_be64(const uint8_t *b)
{
	uint64_t v;

	memcpy(&v, b, sizeof v);
	return __builtin_bswap64(v);
}

static inline uint64_t
spd_be32(const uint8_t *b)
{
	uint32_t v;

	memcpy(&v, b, sizeof v);
	return __builtin_bswap32(v);
}

static inline void
spd_point_of(const struct flowkey *k, struct point *p)
{
	bool six = k->local.af == 6;
	bool typed = k->ports == PORTS_ICMP || k->ports == PORTS_MH;
	uint64_t hidden = k->ports == PORTS_OPAQUE ? PORT_OPAQUE : PORT_NONE;
	bool shown = k->ports == PORTS_PORTS;

	p->v[DIM_LOCAL] = six ? spd_be64(k->local.b) : spd_be32(k->local.b);
	p->v[DIM_LOCAL_LOW] = six ? spd_be64(k->local.b + 8) : 0;
	p->v[DIM_REMOTE] = six ? spd_be64(k->remote.b) : spd_be32(k->remote.b);
	p->v[DIM_REMOTE_LOW] = six ? spd_be64(k->remote.b + 8) : 0;
	p->v[DIM_LPORT] = shown || typed ? k->lport : hidden;
	p->v[DIM_RPORT] = shown ? k->rport : hidden;
	p->v[DIM_PROTO] = k->opaque ? PROTO_OPAQUE : k->proto;
	p->v[DIM_VLAN] = k->vlan;
	p->v[DIM_DIR] = k->dir;
}

#endif
