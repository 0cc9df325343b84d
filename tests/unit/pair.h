/*
 * Two hosts with a bump each and a wire between them, all in memory: what test programs of the walk stand on.
 */
#ifndef BITS_TEST_PAIR_H
#define BITS_TEST_PAIR_H

#include <stdlib.h>
#include "acquire.h"
#include "crypto.h"
#include "edge.h"
#include "events.h"
#include "flowcache.h"
#include "fragcheck.h"
#include "frame.h"
#include "gen.h"
#include "reasm.h"
#include "recent.h"
#include "sa.h"

struct host {
	struct walk w;
	struct stats stats;
};

struct pair {
	struct host a, b;
	uint64_t generation;
};

/* One SA, both ends: an algorithm and a key made of its length. */
struct pair_sa {
	enum ipsec_proto proto;
	enum ipsec_mode mode;
	const char *src, *dst; /* of the direction a -> b */
	const char *enc, *auth;
	uint32_t keylen; /* of enc, salt included; 0: the first the table allows */
	bool esn;
	uint32_t replay;
	struct lifetime soft, hard;
	enum df_policy df;
	int dscp; /* 0: copy; else value + 1 */
	bool follow;
	uint32_t tfc;
	uint16_t encap; /* ESP in UDP: both ports */
	bool no_replay; /* window 0 */
	bool no_ecn;	/* `ecn off` */
};

static inline struct secret *
pair_key(const struct alg *alg, uint32_t len, uint8_t tag)
{
	uint8_t key[SECRET_MAX];
	uint32_t n = len ? len : alg->key[0] + (uint32_t)alg->salt;

	for (uint32_t i = 0; i < n; i++)
		key[i] = (uint8_t)(tag + 7 * i);
	return n ? secret_new(key, n) : NULL;
}

static inline struct sa *
pair_sa_new(const struct pair_sa *s, uint32_t spi, bool reverse, enum sa_dir dir, uint64_t now)
{
	struct sa_params p;
	struct sa *sa;
	const char *wrong;

	sa_params_init(&p);
	p.proto = s->proto;
	p.mode = s->mode;
	p.dir = dir;
	p.spi = spi;
	ipaddr_parse(reverse ? s->dst : s->src, &p.src);
	ipaddr_parse(reverse ? s->src : s->dst, &p.dst);
	p.enc = s->enc ? alg_enc(s->enc) : NULL;
	p.auth = s->auth ? alg_auth(s->auth) : NULL;
	if (p.enc)
		p.enckey = pair_key(p.enc, s->keylen, (uint8_t)(17 + reverse));
	if (p.auth)
		p.authkey = pair_key(p.auth, 0, (uint8_t)(99 + reverse));
	p.esn = s->esn;
	p.weak = true;
	if (s->replay || s->no_replay)
		p.replay = s->replay;
	p.ecn = !s->no_ecn;
	p.soft = s->soft;
	p.hard = s->hard;
	p.df = s->df;
	p.tfc = s->tfc;
	p.follow = s->follow;
	p.encap_sport = p.encap_dport = s->encap;
	if (s->dscp)
		p.dscp = (int16_t)(s->dscp - 1);
	if ((wrong = sa_params_check(&p)) != NULL)
		fail_msg("%s", wrong);
	sa = sa_new(&p, now);
	if (sa) {
		sa->block = 1 << 16;
		seq_reserve(&sa->seq, UINT64_MAX);
	}
	sa_params_fini(&p);
	return sa;
}

static inline void
host_init(struct host *h)
{
	memset(h, 0, sizeof *h);
	h->w.upper = edge_mem_new(LINK_ETHER, 1500);
	h->w.lower = edge_mem_new(LINK_ETHER, 1500);
	assert_int_equal(edge_bind(h->w.upper), 0);
	assert_int_equal(edge_bind(h->w.lower), 0);
	assert_int_equal(edge_restart(h->w.upper), 0);
	assert_int_equal(edge_restart(h->w.lower), 0);
	h->w.pool = pktpool_new(512, PKT_FRAME_MAX);
	h->w.cache = flowcache_new(1024, 42);
	h->w.reasm = reasm_new();
	h->w.fragcheck = fragcheck_new(42);
	h->w.recent = recent_new();
	h->w.acquire = acquire_new();
	h->w.events = events_new(256);
	h->w.stats = &h->stats;
	h->w.rng = rng_system();
	h->w.now = 1000;
	h->w.mtu = 1500;
	h->w.running = true;
}

static inline void
host_fini(struct host *h)
{
	fragcheck_free(h->w.fragcheck);
	acquire_free(h->w.acquire, h->w.pool);
	reasm_free(h->w.reasm, h->w.pool);
	recent_free(h->w.recent);
	assert_int_equal(pktpool_left(h->w.pool), 512); /* every packet is back */
	edge_unbind(h->w.upper);
	edge_unbind(h->w.lower);
	edge_free(h->w.upper);
	edge_free(h->w.lower);
	pktpool_free(h->w.pool);
	flowcache_free(h->w.cache);
	events_free(h->w.events);
	gen_free((struct gen *)h->w.gen);
}

static inline void
pair_init(struct pair *p)
{
	host_init(&p->a);
	host_init(&p->b);
}

static inline void
pair_fini(struct pair *p)
{
	host_fini(&p->a);
	host_fini(&p->b);
}

/* ${text} as a range into ${r}; NULL: any. */
static inline void
pair_range(struct iprange *r, const char *text)
{
	assert_int_equal(iprange_parse(text ? text : "any", r), 0);
}

/* A PROTECT rule of host a (or, reversed, b) for ${local} <-> ${remote}, whose steps follow ${sas} in order. */
static inline struct policy *
pair_rule(
    const struct pair_sa *sas, unsigned n, const char *local, const char *remote, bool reverse)
{
	struct policy *r = policy_new();

	selector_any(&r->sel);
	pair_range(&r->sel.local, reverse ? remote : local);
	pair_range(&r->sel.remote, reverse ? local : remote);
	r->dirs = 3;
	r->action = ACT_PROTECT;
	r->type = FLOW_REQUIRE;
	r->nsteps = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		r->step[i].proto = sas[i].proto;
		r->step[i].mode = sas[i].mode;
		if (sas[i].mode == MODE_TUNNEL) {
			ipaddr_parse(reverse ? sas[i].dst : sas[i].src, &r->step[i].local);
			ipaddr_parse(reverse ? sas[i].src : sas[i].dst, &r->step[i].peer);
		}
	}
	return r;
}

static inline void
host_policy(struct host *h, uint64_t number, struct policy **rules, size_t nrules, struct sa **sas,
    size_t nsas)
{
	enum builtin_set builtins[BUILTIN_MAX] = {0};
	struct gen *g = gen_new(number, rules, nrules, builtins, sas, nsas);

	assert_non_null(g);
	gen_free((struct gen *)h->w.gen);
	h->w.gen = g;
	for (size_t i = 0; i < nrules; i++)
		policy_unref(rules[i]);
	for (size_t i = 0; i < nsas; i++)
		sa_unref(sas[i]);
}

/* Both hosts get the bundle ${sas} for ${local} <-> ${remote} (as a sees them). */
static inline void
pair_protect(
    struct pair *p, const struct pair_sa *sas, unsigned n, const char *local, const char *remote)
{
	struct policy *ra = pair_rule(sas, n, local, remote, false),
		      *rb = pair_rule(sas, n, local, remote, true);
	struct sa *sa[2 * POLICY_STEPS_MAX], *sb[2 * POLICY_STEPS_MAX];

	p->generation++;
	for (unsigned i = 0; i < n; i++) {
		sa[2 * i] = pair_sa_new(&sas[i], 0x1001 + i, false, SA_DIR_OUT, p->a.w.now);
		sa[2 * i + 1] = pair_sa_new(&sas[i], 0x2001 + i, true, SA_DIR_IN, p->a.w.now);
		sb[2 * i] = pair_sa_new(&sas[i], 0x1001 + i, false, SA_DIR_IN, p->b.w.now);
		sb[2 * i + 1] = pair_sa_new(&sas[i], 0x2001 + i, true, SA_DIR_OUT, p->b.w.now);
		assert_non_null(sa[2 * i]);
		assert_non_null(sa[2 * i + 1]);
		assert_non_null(sb[2 * i]);
		assert_non_null(sb[2 * i + 1]);
	}
	host_policy(&p->a, p->generation, &ra, 1, sa, 2 * n);
	host_policy(&p->b, p->generation, &rb, 1, sb, 2 * n);
}

/* The host's stack sends ${n} frames in one burst; what comes out on the wire stays in the lower edge. */
static inline void
host_send(struct host *h, const uint8_t *const *frame, const uint32_t *len, unsigned n)
{
	struct burst b;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(edge_mem_give(h->w.upper, frame[i], len[i]), 0);
	while (edge_recv(h->w.upper, h->w.pool, &b, BURST_MAX) > 0)
		outbound_burst(&h->w, &b);
}

static inline void
host_send1(struct host *h, const uint8_t *frame, uint32_t len)
{
	host_send(h, &frame, &len, 1);
}

/* A frame from the wire. */
static inline void
host_receive1(struct host *h, const uint8_t *frame, uint32_t len)
{
	struct burst b;

	assert_int_equal(edge_mem_give(h->w.lower, frame, len), 0);
	while (edge_recv(h->w.lower, h->w.pool, &b, BURST_MAX) > 0)
		inbound_burst(&h->w, &b);
}

/* Carries all that waits on the wire from one host to the other; number of frames. */
static inline unsigned
pair_wire(struct host *from, struct host *to)
{
	static uint8_t frame[PKT_FRAME_MAX];
	unsigned n = 0;

	for (int len; (len = edge_mem_take(from->w.lower, frame, sizeof frame)) >= 0; n++)
		host_receive1(to, frame, (uint32_t)len);
	return n;
}

/* The books balance: read + made = bypassed + protected + dropped + consumed + held. */
static inline void
host_balance(const struct host *h)
{
	for (int d = 0; d < 2; d++) {
		const struct stats *s = &h->stats;
		uint64_t in = s->read[d].packets,
			 out = s->bypassed[d] + s->protected_[d] + s->consumed[d];

		for (int r = 0; r < DROP_MAX; r++)
			out += s->drop[d][r];
		in += s->made[d];
		if (in != out)
			assert_int_equal(in, out + reasm_held(h->w.reasm) + acquire_held(h->w.acquire));
	}
}

#endif
