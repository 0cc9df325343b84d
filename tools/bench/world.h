/*
 * What a micro-benchmark of the walk stands on: a bump between two edges of memory, with any number of peers.
 */
#ifndef BITS_BENCH_WORLD_H
#define BITS_BENCH_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "crypto.h"
#include "datapath.h"
#include "edge.h"
#include "flowcache.h"
#include "gen.h"
#include "nexthop.h"
#include "reasm.h"
#include "sa.h"

#define WORLD_FLOWS 262144 /* as in worker.c */
#define WORLD_SLOTS 1024

struct suite {
	const char *name, *enc, *auth;
	bool none; /* the walk alone: what ${enc} would need around it, and no cipher */
};

struct world {
	struct walk w;
	struct stats stats;
	struct sa **sa; /* the SA of each peer */
	size_t n;
};

static inline void
world_die(const char *what)
{
	fprintf(stderr, "bits_bench: %s\n", what);
	exit(1);
}

static inline double
world_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* No cipher: what is left is the walk.  Only for contexts of another back end that such an SA was made with. */
static void
none_do(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	(void)c;
	for (unsigned i = 0; i < n; i++)
		j[i].ok = true;
}

static const struct crypto_backend none = {
    .name = "none", .esp_seal = none_do, .esp_open = none_do};

/* 10.0.0.1 here, 10.64.0.0 and on for the peers. */
static inline struct ipaddr
world_addr(bool peer, size_t i)
{
	uint8_t b[4] = {10, 0, 0, 1};

	if (peer)
		put32(b, (10u << 24 | 64u << 16) + (uint32_t)i);
	return ipaddr_from(4, b);
}

static inline struct secret *
world_key(const struct alg *a)
{
	static const uint8_t key[SECRET_MAX] = {1, 2, 3};

	return a ? secret_new(key, (size_t)a->key[0] + a->salt) : NULL;
}

/* The rule: transport mode between here and whoever has an SA; seen from the peers when ${mirror}. */
static inline struct policy *
world_rule(bool mirror)
{
	struct policy *r = policy_new();

	if (!r)
		world_die("out of memory");
	selector_any(&r->sel);
	iprange_parse("10.0.0.1", mirror ? &r->sel.remote : &r->sel.local);
	iprange_parse("10.64.0.0/10", mirror ? &r->sel.local : &r->sel.remote);
	r->dirs = 3;
	r->action = ACT_PROTECT;
	r->type = FLOW_REQUIRE;
	r->nsteps = 1;
	r->step[0] = (struct sa_template){.proto = IPSEC_ESP, .mode = MODE_TRANSPORT};
	return r;
}

/* ${n} SAs of ${s}; ${out}: they send.  From here to the peers, or from the peers to here (${to_us}). */
static inline void
world_sas(struct world *v, const struct suite *s, size_t n, bool out, bool to_us)
{
	struct sa_params p;

	sa_params_init(&p);
	p.proto = IPSEC_ESP;
	p.mode = MODE_TRANSPORT;
	p.dir = out ? SA_DIR_OUT : SA_DIR_IN;
	p.enc = alg_enc(s->enc);
	p.auth = s->auth ? alg_auth(s->auth) : NULL;
	p.enckey = world_key(p.enc->key[0] ? p.enc : NULL);
	p.authkey = world_key(p.auth);
	if ((v->sa = calloc(n, sizeof *v->sa)) == NULL)
		world_die("out of memory");
	for (size_t i = 0; i < n; i++) {
		p.spi = (uint32_t)(0x10000 + i);
		p.src = world_addr(to_us, i);
		p.dst = world_addr(!to_us, i);
		if ((v->sa[i] = sa_new(&p, 1)) == NULL)
			world_die("cannot make an SA");
		v->sa[i]->block = 1 << 16;
		seq_reserve(&v->sa[i]->seq, UINT64_MAX);
	}
	sa_params_fini(&p);
	v->n = n;
}

/* The SAs' contexts do without their cipher from here on, or have it back (to be freed). */
static inline void
world_cipher(struct world *v, const struct crypto_backend *be)
{
	for (size_t i = 0; i < v->n; i++) {
		if (v->sa[i]->out)
			v->sa[i]->out->be = be;
		if (v->sa[i]->in)
			v->sa[i]->in->be = be;
	}
}

/* ${mirror}: it stands for all the peers. */
static inline struct world *
world_new(const struct suite *s, size_t n, bool out, bool mirror)
{
	struct world *v = calloc(1, sizeof *v);
	struct policy *rule = world_rule(mirror);

	if (!v)
		world_die("out of memory");
	world_sas(v, s, n, out, mirror == out);
	if (s->none)
		world_cipher(v, &none);
	v->w = (struct walk){.gen = gen_new(1, &rule, 1, NULL, v->sa, n),
	    .upper = edge_mem_new(LINK_ETHER, 1500),
	    .lower = edge_mem_new(LINK_ETHER, 1500),
	    .pool = pktpool_new(WORLD_SLOTS, PKT_FRAME_MAX),
	    .cache = flowcache_new(WORLD_FLOWS, 42),
	    .reasm = reasm_new(),
	    .stats = &v->stats,
	    .rng = rng_system(),
	    .now = 1,
	    .mtu = 1500,
	    .running = true};
	policy_unref(rule);
	if (!v->w.gen || !v->w.upper || !v->w.lower || !v->w.pool || !v->w.cache || !v->w.reasm)
		world_die("out of memory");
	edge_bind(v->w.upper);
	edge_bind(v->w.lower);
	edge_restart(v->w.upper);
	edge_restart(v->w.lower);
	return v;
}

static inline void
world_free(struct world *v, const struct crypto_backend *be)
{
	world_cipher(v, be);
	gen_free((struct gen *)(uintptr_t)v->w.gen);
	for (size_t i = 0; i < v->n; i++)
		sa_unref(v->sa[i]);
	free(v->sa);
	reasm_free(v->w.reasm, v->w.pool);
	edge_free(v->w.upper);
	edge_free(v->w.lower);
	pktpool_free(v->w.pool);
	flowcache_free(v->w.cache);
	free(v);
}

/* A UDP packet of ${octets} octets of IP between here and peer ${i}, in Ethernet; its length. */
static inline uint32_t
world_frame(uint8_t *f, size_t i, bool from_peer, uint32_t octets)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	struct ipaddr src = world_addr(from_peer, i), dst = world_addr(!from_peer, i);

	memcpy(f, macs, sizeof macs);
	put16(f + 12, ETYPE_IP4);
	memset(f + 14, 0, 20);
	f[14] = 0x45;
	put16(f + 16, (uint16_t)octets);
	put16(f + 20, 0x4000);
	f[22] = 64;
	f[23] = 17;
	memcpy(f + 26, src.b, 4);
	memcpy(f + 30, dst.b, 4);
	put16(f + 24, cksum_ip4(f + 14, 20));
	put16(f + 34, 4000);
	put16(f + 36, 5000);
	put16(f + 38, (uint16_t)(octets - 20));
	put16(f + 40, 0);
	return 14 + octets;
}

/* Throws away what was sent by ${e}; false unless it was ${n} frames. */
static inline bool
world_drain(struct edge *e, unsigned n)
{
	unsigned got = 0;

	while (edge_mem_take(e, NULL, 0) >= 0)
		got++;
	return got == n;
}

#endif
