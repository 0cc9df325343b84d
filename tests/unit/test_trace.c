/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * What trace says is what the walk does: random policies and packets, and the sizes of what comes out on the wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pair.h"
#include "rules.h"
#include "trace.h"

#define RULES 40

static struct pktpool *pool;

static int
set_up(void **state)
{
	pool = pktpool_new(4, PKT_FRAME_MAX);
	return pool ? 0 : -1;
}

static int
tear_down(void **state)
{
	assert_int_equal(pktpool_left(pool), 4); /* every packet is back */
	pktpool_free(pool);
	return 0;
}

/* Rules of all types; those that protect ask for an SA that may or may not be there. */
static struct gen *
random_gen(enum world world, uint64_t number, struct sa **sa, size_t nsas, bool rest)
{
	struct policy **r = rules_make(world, RULES + 1);
	enum builtin_set builtins[BUILTIN_MAX];
	struct gen *g;

	for (int b = 0; b < BUILTIN_MAX; b++)
		builtins[b] = (enum builtin_set)rules_rnd(3);
	for (size_t i = 0; i < RULES; i++) {
		static const uint8_t action[] = {
		    ACT_PROTECT, ACT_PROTECT, ACT_PROTECT, ACT_PROTECT, ACT_BYPASS, ACT_DISCARD};
		struct policy *p = r[i];

		p->type = (uint8_t)rules_rnd(6);
		p->action = action[p->type];
		p->nsteps = (uint8_t)(1 + rules_rnd(2));
		for (unsigned s = 0; s < p->nsteps; s++) {
			const struct sa_params *of = &sa[rules_rnd((uint32_t)nsas)]->p;

			p->step[s] = (struct sa_template){.proto = of->proto, .mode = of->mode};
			if (of->mode == MODE_TUNNEL) {
				p->step[s].peer = of->dst;
				p->step[s].reqid = rules_rnd(4) == 0;
			}
		}
	}
	g = gen_new(number, r, RULES + rest, builtins, sa, nsas);
	assert_non_null(g);
	rules_free(r, RULES + 1);
	return g;
}

/* Does the walk, with a flow cache and counters, decide about ${k} as trace says? */
static bool
as_the_walk_does(struct walk *w, const struct flowkey *k, unsigned verdict[3])
{
	struct pkt *a = trace_packet(pool, k, 0), *b;
	struct burst burst = {.n = 1};
	struct trace t;
	uint64_t before[RULES + 1];
	size_t n = spd_count(w->gen->spd), at;

	if (!a)
		return false;
	for (size_t i = 0; i < n; i++)
		before[i] = spd_at(w->gen->spd, i)->count[k->dir].packets;
	trace_walk(w->gen, 1500, 1000, a, &t);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(before[i], spd_at(w->gen->spd, i)->count[k->dir].packets);

	b = burst.p[0] = trace_packet(pool, k, 0);
	policy_burst(w, &burst, (enum dir)k->dir);
	assert_int_equal(t.drop, b->drop);
	assert_int_equal(t.bypass, b->bypass);
	assert_ptr_equal(t.policy, b->policy);
	if (k->dir == DIR_OUT && b->drop == DROP_NONE && !b->bypass) {
		assert_int_equal(t.nsas, b->policy->nsteps);
		assert_memory_equal(t.sa, b->sa, sizeof t.sa[0] * t.nsas);
	}
	if (t.drop == DROP_NO_SA)
		assert_true(t.nsas < t.policy->nsteps);
	/* and the reasons: every rule before has one, the one that decided has none */
	at = t.policy ? t.place : t.is_builtin && t.set != BUILTIN_NONE ? 0 : n;
	for (size_t i = 0; i < at; i++)
		assert_string_not_equal(trace_why(spd_at(w->gen->spd, i), k), "");
	if (t.policy) {
		assert_ptr_equal(spd_at(w->gen->spd, t.place), t.policy);
		assert_string_equal(trace_why(t.policy, k), "");
	}
	verdict[t.drop != DROP_NONE ? 0 : t.bypass ? 1 : 2]++;
	pkt_free(pool, a);
	pkt_free(pool, b);
	return true;
}

static void
random_flows(void **state)
{
	struct pair_sa kinds[] = {
	    {.proto = IPSEC_ESP, .mode = MODE_TUNNEL, .src = "10.0.0.1", .dst = "10.0.0.2"},
	    {.proto = IPSEC_AH, .mode = MODE_TUNNEL, .src = "fd00::1", .dst = "fd00::2"},
	    {.proto = IPSEC_ESP, .mode = MODE_TRANSPORT, .src = "10.0.0.1", .dst = "10.0.0.2"},
	};
	struct sa *sa[3];
	struct stats stats = {0};
	struct walk w = {.stats = &stats, .running = true, .now = 1};
	unsigned verdict[3] = {0}, traced = 0, all = 0;

	w.cache = flowcache_new(1024, 7);
	w.events = events_new(64);
	kinds[0].enc = kinds[2].enc = "aes-128-gcm";
	kinds[1].auth = "hmac-sha2-256";
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(sa[i] = pair_sa_new(&kinds[i], 0x1001 + i, false, SA_DIR_OUT, 1));
	rules_seed(4711);
	for (unsigned round = 0; round < 200; round++) {
		enum world world = rules_rnd(2) ? WORLD_SMALL : WORLD_WIDE;
		struct gen *g = random_gen(world, round + 1, sa, 3, rules_rnd(2));

		w.gen = g;
		for (unsigned i = 0; i < 100; i++) {
			struct flowkey k = rules_key(
			    world, rules_rnd(4) ? spd_at(g->spd, rules_rnd(RULES)) : NULL);

			if (k.proto == 135)
				k.lport &= 0xff00;
			all++;
			traced += as_the_walk_does(&w, &k, verdict);
		}
		gen_free(g);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_true(verdict[i] > 100);
		sa_unref(sa[i]);
	}
	assert_true(traced * 2 > all);
	flowcache_free(w.cache);
	events_free(w.events);
}

/* The last of trace's sizes is the IP packet that stands on the wire, and the largest that fits does, with not an octet more. */
static void
sizes(void **state)
{
	static const struct pair_sa bundle[] = {
	    {.proto = IPSEC_ESP,
		.mode = MODE_TRANSPORT,
		.src = "10.9.0.1",
		.dst = "10.9.0.2",
		.enc = "aes-128",
		.auth = "hmac-sha2-256"},
	    {.proto = IPSEC_ESP,
		.mode = MODE_TUNNEL,
		.src = "192.0.2.1",
		.dst = "192.0.2.2",
		.enc = "aes-128-gcm"},
	    {.proto = IPSEC_AH,
		.mode = MODE_TUNNEL,
		.src = "fd00::1",
		.dst = "fd00::2",
		.auth = "hmac-sha2-256"},
	};
	static uint8_t frame[2000];
	struct flowkey k;

	memset(&k, 0, sizeof k);
	k.ports = PORTS_PORTS;
	k.proto = 17;
	k.lport = 1000;
	k.rport = 80;
	k.vlan = VLAN_NONE;
	k.dir = DIR_OUT;
	ipaddr_parse("10.9.0.1", &k.local);
	ipaddr_parse("10.9.0.2", &k.remote);
	for (unsigned n = 1; n <= 3; n++) {
		struct pair pair = {0};
		uint32_t largest = 0;

		pair_init(&pair);
		pair_protect(&pair, bundle, n, "10.9.0.1", "10.9.0.2");
		for (uint32_t size = 28; size <= 1500; size += size > 1300 ? 1 : 37) {
			struct pkt *p = trace_packet(pool, &k, size);
			struct trace t;
			int len;

			assert_non_null(p);
			trace_walk(pair.a.w.gen, 1500, 1000, p, &t);
			assert_int_equal(t.drop, DROP_NONE);
			assert_int_equal(t.nsas, n);
			host_send1(&pair.a, pkt_data(p), p->len);
			len = edge_mem_take(pair.a.w.lower, frame, sizeof frame);
			if (t.fit == FIT_WHOLE) {
				assert_int_equal(len, 14 + t.size[n - 1]);
				largest = size;
			} else {
				assert_int_equal(t.fit, FIT_NOT); /* DF is set */
				assert_int_equal(len, -1);
				assert_true(t.size[n - 1] > 1500);
				assert_int_equal(t.largest, largest);
				while (edge_mem_take(pair.a.w.upper, frame, sizeof frame) >= 0)
					;
			}
			pkt_free(pool, p);
		}
		assert_true(largest > 1300);
		pair_fini(&pair);
	}
}

static void
accepts(void **state)
{
	static const struct pair_sa one = {.proto = IPSEC_ESP,
	    .mode = MODE_TRANSPORT,
	    .src = "10.9.0.1",
	    .dst = "10.9.0.2",
	    .enc = "aes-128-gcm"};
	struct pair pair = {0};
	const struct gen *g;
	struct flowkey k;
	struct trace t;
	struct pkt *p;

	pair_init(&pair);
	pair_protect(&pair, &one, 1, "10.9.0.1", "10.9.0.2");
	g = pair.a.w.gen;
	memset(&k, 0, sizeof k);
	k.ports = PORTS_ICMP;
	k.proto = 1;
	k.lport = 8 << 8;
	k.vlan = 12;
	k.dir = DIR_IN;
	ipaddr_parse("10.9.0.1", &k.local);
	ipaddr_parse("10.9.0.2", &k.remote);
	p = trace_packet(pool, &k, 0);
	trace_walk(g, 1500, 1000, p, &t);
	assert_int_equal(t.drop, DROP_CLEAR_DENIED);
	assert_false(trace_accepts(g, p, sadb_at(g->sad, 0))); /* the one that sends */
	assert_true(trace_accepts(g, p, sadb_at(g->sad, 1)));
	assert_int_equal(t.policy->count[DIR_IN].packets, 0);
	pkt_free(pool, p);
	pair_fini(&pair);
}

static void
no_such_packet(void **state)
{
	struct flowkey k;
	struct pkt *p;

	memset(&k, 0, sizeof k);
	k.proto = 17;
	k.ports = PORTS_PORTS;
	k.vlan = VLAN_NONE;
	ipaddr_parse("10.9.0.1", &k.local);
	ipaddr_parse("fd00::1", &k.remote);
	assert_null(trace_packet(pool, &k, 0)); /* two families */
	ipaddr_parse("10.9.0.2", &k.remote);
	assert_null(trace_packet(pool, &k, 27));
	assert_null(trace_packet(pool, &k, 65536));
	assert_non_null(p = trace_packet(pool, &k, 65535));
	pkt_free(pool, p);
	k.frag = 1;
	assert_null(trace_packet(pool, &k, 0));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(random_flows),
	    T(sizes),
	    T(accepts),
	    T(no_such_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
