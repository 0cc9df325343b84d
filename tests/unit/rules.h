/*
 * Random rules and packets, repeatable by their seed; for tests of the index and for tools/bench/spd.c.
 */
#ifndef BITS_TEST_RULES_H
#define BITS_TEST_RULES_H

#include <stdlib.h>
#include <string.h>
#include "policy.h"

/* Worlds differ in how much rules overlap. */
enum world {
	WORLD_MIXED, /* prefixes of every length from 8 (IPv6: 16) on, ranges, ports: what the benchmark takes */
	WORLD_WIDE,  /* the same from length 0 on: most packets match something */
	WORLD_SMALL, /* few addresses, ports and types: rules meet all the time */
	WORLD_SITE, /* hosts and networks of 10/8 and fd00::/16 only, as an operator's file has them */
	WORLDS
};

static uint64_t rules_state = 1;

static inline uint64_t
rules_rnd64(void)
{
	rules_state ^= rules_state << 13;
	rules_state ^= rules_state >> 7;
	rules_state ^= rules_state << 17;
	return rules_state * 0x2545f4914f6cdd1d;
}

static inline uint32_t
rules_rnd(uint32_t n)
{
	return (uint32_t)((rules_rnd64() >> 33) % n);
}

static inline void
rules_seed(uint64_t seed)
{
	rules_state = seed * 0x9e3779b97f4a7c15 + 1;
	for (int i = 0; i < 8; i++)
		rules_rnd64();
}

static inline struct ipaddr
rules_addr(enum world w, unsigned af)
{
	struct ipaddr a = {.af = (uint8_t)af};
	size_t len = ipaddr_len(&a);

	for (size_t i = 0; i < len; i++)
		a.b[i] = (uint8_t)rules_rnd(256);
	if (w == WORLD_SMALL) {
		memset(a.b, 0, len);
		a.b[0] = 10;
		if (af == 6 && rules_rnd(2))
			a.b[7] = (uint8_t)rules_rnd(3);
		a.b[len - 1] = (uint8_t)rules_rnd(12);
	}
	if (w == WORLD_SITE) {
		a.b[0] = af == 4 ? 10 : 0xfd;
		if (af == 6)
			memset(a.b + 1, 0, 5);
	}
	return a;
}

/* Host bits of a prefix of ${len} bits to ${bit}. */
static inline void
rules_mask(struct ipaddr *a, unsigned len, bool bit)
{
	for (unsigned i = len; i < 8 * ipaddr_len(a); i++) {
		uint8_t m = (uint8_t)(0x80 >> i % 8);

		a->b[i / 8] = bit ? a->b[i / 8] | m : a->b[i / 8] & (uint8_t)~m;
	}
}

static inline struct iprange
rules_range(enum world w, unsigned af)
{
	struct iprange r = {rules_addr(w, af), rules_addr(w, af)};
	unsigned bits = af == 4 ? 32 : 128, least = af == 4 ? 8 : 16, kind = rules_rnd(10);

	if (w == WORLD_WIDE)
		least = 0;
	if (w == WORLD_SITE) {
		static const uint8_t site4[] = {16, 24, 24, 28, 32, 32},
				     site6[] = {48, 64, 64, 128, 128};

		r.hi = r.lo;
		if (rules_rnd(20) == 0)
			return (struct iprange){{.af = 0}, {.af = 0}};
		least = af == 4 ? site4[rules_rnd(sizeof site4)] : site6[rules_rnd(sizeof site6)];
		rules_mask(&r.lo, least, false);
		rules_mask(&r.hi, least, true);
		return r;
	}
	if (kind == 0 && (w != WORLD_MIXED || rules_rnd(4) == 0))
		return (struct iprange){{.af = 0}, {.af = 0}};
	if (kind <=
	    2) { /* a true range: its ends share a prefix, so that it is no half of the world */
		unsigned len = w == WORLD_SMALL ? 0 : least + rules_rnd(bits - least + 1);

		for (unsigned i = 0; i < len; i++) {
			uint8_t m = (uint8_t)(0x80 >> i % 8);

			r.hi.b[i / 8] = (uint8_t)((r.hi.b[i / 8] & ~m) | (r.lo.b[i / 8] & m));
		}
		if (memcmp(r.lo.b, r.hi.b, 16) > 0) {
			struct ipaddr t = r.lo;

			r.lo = r.hi;
			r.hi = t;
		}
		return r;
	}
	least = w == WORLD_SMALL ? bits - rules_rnd(5) : least + rules_rnd(bits - least + 1);
	r.hi = r.lo;
	rules_mask(&r.lo, least, false);
	rules_mask(&r.hi, least, true);
	return r;
}

static inline void
rules_ports(enum world w, uint8_t *match, struct portrange *r)
{
	unsigned top = w == WORLD_SMALL ? 16 : 65536, kind = rules_rnd(10);
	uint16_t a = (uint16_t)rules_rnd(top), b = (uint16_t)rules_rnd(top);

	*match = kind < 4 ? MATCH_ANY : kind == 4 && w == WORLD_SMALL ? MATCH_OPAQUE : MATCH_RANGE;
	r->lo = a < b ? a : b;
	r->hi = kind < 7 ? r->lo : a < b ? b : a;
}

/* One rule: a bypass (what it does is of no matter here). */
static inline struct policy *
rules_new(enum world w)
{
	static const uint8_t protos[] = {6, 6, 6, 17, 17, 1, 132};
	struct policy *p = policy_new();
	unsigned af = rules_rnd(5) ? 4 : 6;
	struct selector *s;

	if (p == NULL)
		abort();
	s = &p->sel;
	s->local = rules_range(w, af);
	s->remote = rules_range(w, af);
	s->proto_any = rules_rnd(6) == 0;
	if (!s->proto_any) {
		s->proto = protos[rules_rnd(sizeof protos)];
		if (s->proto == 1 && (s->local.lo.af == 6 || s->remote.lo.af == 6))
			s->proto = 58;
		rules_ports(w, &s->lmatch, &s->lport);
		if (proto_has_ports(s->proto))
			rules_ports(w, &s->rmatch, &s->rport);
	} else if (w == WORLD_SMALL && rules_rnd(4) == 0) {
		s->proto_any = false;
		s->proto_opaque = true;
	} else if (w == WORLD_SMALL && rules_rnd(4) == 0) {
		rules_ports(w, &s->lmatch,
		    &s->lport); /* policy_check() refuses it; the index must not mind */
	}
	if (w == WORLD_SMALL && rules_rnd(6) == 0)
		s->vlan = (uint16_t)rules_rnd(3);
	if (rules_rnd(4) == 0)
		p->dirs = rules_rnd(2) ? 1 << DIR_OUT : 1 << DIR_IN;
	return p;
}

/* Some address of ${r} or, now and then, its end or the neighbour of that. */
static inline struct ipaddr
rules_pick(enum world w, const struct iprange *r, unsigned af)
{
	struct ipaddr a = rules_addr(w, af);
	size_t len = ipaddr_len(&a);
	unsigned kind = rules_rnd(8);

	if (r->lo.af == 0)
		return a;
	if (kind < 2)
		return kind ? r->hi : r->lo;
	for (size_t i = 0; i < len; i++) { /* keep what both ends share, and a bit of chance */
		if (r->lo.b[i] != r->hi.b[i])
			break;
		a.b[i] = r->lo.b[i];
	}
	if (kind == 2)
		a.b[len - 1] = (uint8_t)(r->hi.b[len - 1] + 1);
	return a;
}

/* A packet: near rule ${near}, or anywhere when NULL. */
static inline struct flowkey
rules_key(enum world w, const struct policy *near)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 132, 47, 50, 135};
	const struct selector *s = near ? &near->sel : NULL;
	unsigned top = w == WORLD_SMALL ? 18 : 65536;
	struct flowkey k;
	unsigned af;

	memset(&k, 0, sizeof k);
	af = s && s->local.lo.af    ? s->local.lo.af
	     : s && s->remote.lo.af ? s->remote.lo.af
	     : rules_rnd(5)	    ? 4
				    : 6;
	k.local = s ? rules_pick(w, &s->local, af) : rules_addr(w, af);
	k.remote = s ? rules_pick(w, &s->remote, af) : rules_addr(w, af);
	k.proto = s && !s->proto_any && rules_rnd(8) ? s->proto : protos[rules_rnd(sizeof protos)];
	k.vlan = rules_rnd(4) ? VLAN_NONE : (uint16_t)rules_rnd(4);
	k.dir = (uint8_t)rules_rnd(2);
	if (rules_rnd(16) == 0) {
		k.ports = PORTS_OPAQUE;
		k.frag = 1;
		k.opaque = rules_rnd(4) == 0;
	} else if (proto_has_ports(k.proto)) {
		k.ports = PORTS_PORTS;
		k.lport = (uint16_t)(s && s->lmatch == MATCH_RANGE && rules_rnd(4)
					 ? s->lport.lo + rules_rnd(3)
					 : rules_rnd(top));
		k.rport = (uint16_t)(s && s->rmatch == MATCH_RANGE && rules_rnd(4)
					 ? s->rport.lo + rules_rnd(3)
					 : rules_rnd(top));
	} else if (k.proto == 1 || k.proto == 58) {
		k.ports = PORTS_ICMP;
		k.lport = (uint16_t)(s && s->lmatch == MATCH_RANGE && rules_rnd(4)
					 ? s->lport.hi - rules_rnd(3)
					 : rules_rnd(top));
	} else if (k.proto == 135) {
		k.ports = PORTS_MH;
		k.lport = (uint16_t)rules_rnd(top);
	}
	return k;
}

static inline struct policy **
rules_make(enum world w, size_t n)
{
	struct policy **r = calloc(n + 1, sizeof *r);

	if (r == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		r[i] = rules_new(w);
	return r;
}

static inline void
rules_free(struct policy **r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		policy_unref(r[i]);
	free(r);
}

#endif
