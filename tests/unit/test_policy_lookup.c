/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
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

#define ME   "10.0.0.1"
#define PEER "10.0.0.2"

static struct pktpool *pool;
static struct stats stats;
static struct walk w;

static int
set_up(void **state)
{
	memset(&w, 0, sizeof w);
	pool = pktpool_new(8, 2000);
	w.pool = pool;
	w.stats = &stats;
	w.cache = flowcache_new(256, 1);
	w.events = events_new(256);
	w.acquire = acquire_new();
	w.running = true;
	w.now = 1000;
	return 0;
}

static int
tear_down(void **state)
{
	gen_free((struct gen *)w.gen);
	flowcache_free(w.cache);
	events_free(w.events);
	acquire_free(w.acquire, pool);
	assert_int_equal(pktpool_left(pool), 8);
	pktpool_free(pool);
	return 0;
}

/* The generation in force from now on; takes the references of rules and SAs. */
static void
use(struct policy **rules, size_t nrules, struct sa **sas, size_t nsas)
{
	struct gen *g = gen_new(w.gen ? w.gen->number + 1 : 1, rules, nrules, NULL, sas, nsas);

	assert_non_null(g);
	gen_free((struct gen *)w.gen);
	w.gen = g;
	for (size_t i = 0; i < nrules; i++)
		policy_unref(rules[i]);
	for (size_t i = 0; i < nsas; i++)
		sa_unref(sas[i]);
}

static struct sa *
sa_of(enum ipsec_proto proto, enum ipsec_mode mode, const char *src, const char *dst, uint32_t spi,
    uint32_t reqid, enum sa_dir dir)
{
	struct pair_sa s = {.proto = proto, .mode = mode, .src = src, .dst = dst};
	struct sa_params p;
	struct sa *plain, *sa;

	s.enc = proto == IPSEC_ESP ? "aes-128-gcm" : NULL;
	s.auth = proto == IPSEC_AH ? "hmac-sha2-256" : NULL;
	plain = pair_sa_new(&s, spi, false, dir, w.now);
	assert_non_null(plain);
	sa_params_copy(&p, &plain->p);
	p.reqid = reqid;
	sa = sa_new(&p, w.now);
	sa_params_fini(&p);
	sa_unref(plain);
	assert_non_null(sa);
	return sa;
}

static struct policy *
rule(enum flow_type type, const char *remote)
{
	struct policy *p = policy_new();

	p->type = (uint8_t)type;
	p->action = type == FLOW_BYPASS ? ACT_BYPASS
		    : type == FLOW_DENY ? ACT_DISCARD
					: ACT_PROTECT;
	pair_range(&p->sel.remote, remote);
	if (p->action == ACT_PROTECT) {
		p->nsteps = 1;
		p->step[0] = (struct sa_template){.proto = IPSEC_ESP, .mode = MODE_TRANSPORT};
	}
	return p;
}

static struct policy *
tunnel(struct policy *p, unsigned i, enum ipsec_proto proto, const char *local, const char *peer)
{
	p->nsteps = (uint8_t)(i + 1);
	p->step[i] = (struct sa_template){.proto = proto, .mode = MODE_TUNNEL};
	if (local)
		ipaddr_parse(local, &p->step[i].local);
	if (peer)
		ipaddr_parse(peer, &p->step[i].peer);
	return p;
}

/* A UDP packet between this host and ${remote}, classified. */
static struct pkt *
packet(const char *local, const char *remote, enum dir dir)
{
	uint8_t f[200];
	const char *src = dir == DIR_OUT ? local : remote, *dst = dir == DIR_OUT ? remote : local;
	struct pkt *p = frame_pkt(pool, f, frame_make_udp(f, src, dst, 1000, 2000, 0, 20));

	assert_int_equal(classify(p, dir), DROP_NONE);
	return p;
}

static struct pkt *
decide(struct pkt *p, enum dir dir)
{
	struct burst b = {.n = 1, .p = {p}};

	policy_burst(&w, &b, dir);
	return p;
}

/* What becomes of an outbound packet, twice: looked up, and from the cache. */
static void
expect(
    const char *remote, enum drop d, bool bypass, const struct sa *first, const struct sa *second)
{
	for (int i = 0; i < 2; i++) {
		struct pkt *p = decide(packet(ME, remote, DIR_OUT), DIR_OUT);

		assert_int_equal(p->drop, d);
		assert_int_equal(p->bypass, bypass);
		assert_ptr_equal(p->sa[0], first);
		assert_ptr_equal(p->sa[1], second);
		if (d != DROP_HELD) /* that one is w.acquire's */
			pkt_free(pool, p);
	}
}

static void
expect_in(const char *remote, enum drop d, bool bypass)
{
	for (int i = 0; i < 2; i++) {
		struct pkt *p = decide(packet(ME, remote, DIR_IN), DIR_IN);

		assert_int_equal(p->drop, d);
		assert_int_equal(p->bypass, bypass);
		pkt_free(pool, p);
	}
}

/* The packet from ${remote} came through these, outermost first. */
static enum drop
opened(const char *local, const char *remote, struct sa *first, struct sa *second)
{
	struct pkt *p = packet(local, remote, DIR_IN);
	enum drop d;

	p->chain[0] = first;
	p->chain[1] = second;
	p->nchain = (uint8_t)((first != NULL) + (second != NULL));
	d = policy_opened(&w, p);
	pkt_free(pool, p);
	return d;
}

static unsigned
events_of(enum event_kind kind, struct event *last)
{
	struct event ev;
	unsigned n = 0;

	while (events_pop(w.events, &ev)) {
		assert_int_equal(ev.kind, kind);
		*last = ev;
		n++;
	}
	return n;
}

static void
actions(void **state)
{
	struct policy *r[] = {rule(FLOW_DENY, "10.1.0.0/16"), rule(FLOW_BYPASS, "10.0.0.0/8")};
	struct policy *deny = r[0], *bypass = r[1];
	uint64_t hits, misses;

	use(r, 2, NULL, 0);
	expect("10.1.0.1", DROP_POLICY_DISCARD, false, NULL, NULL);
	expect(PEER, DROP_NONE, true, NULL, NULL);
	expect("192.0.2.1", DROP_POLICY_DEFAULT, false, NULL, NULL);
	expect_in(PEER, DROP_NONE, true);
	expect_in("10.1.0.1", DROP_POLICY_DISCARD, false);
	expect_in("192.0.2.1", DROP_POLICY_DEFAULT, false);
	flowcache_stats(w.cache, &hits, &misses);
	assert_int_equal(hits, 6);
	assert_int_equal(misses, 6);
	assert_int_equal(deny->count[DIR_OUT].packets, 2);
	assert_int_equal(deny->count[DIR_OUT].octets, 2 * 48);
	assert_int_equal(deny->count[DIR_OUT].last_ms, 1000);
	assert_int_equal(bypass->count[DIR_IN].packets, 2);
	assert_int_equal(bypass->count[DIR_OUT].packets, 2);
}

static void
already_dropped(void **state)
{
	struct policy *r = rule(FLOW_BYPASS, NULL);
	struct pkt *p;

	use(&r, 1, NULL, 0);
	p = packet(ME, PEER, DIR_OUT);
	p->drop = DROP_RUNT;
	decide(p, DIR_OUT);
	assert_int_equal(p->drop, DROP_RUNT);
	assert_false(p->bypass);
	assert_null(p->policy);
	pkt_free(pool, p);
}

static void
transport(void **state)
{
	struct policy *r = rule(FLOW_REQUIRE, "10.0.0.0/8");
	struct sa *sa[] = {sa_of(IPSEC_ESP, MODE_TUNNEL, ME, PEER, 0x1000, 0, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TRANSPORT, PEER, ME, 0x1001, 0, SA_DIR_IN),
	    sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1002, 0, SA_DIR_OUT)};
	struct event ev;

	use(&r, 1, sa, 3);
	expect(PEER, DROP_NONE, false, sa[2], NULL);
	expect(
	    "10.0.0.3", DROP_NO_SA, false, NULL, NULL); /* within the rule, and no SA leads there */
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 1);
	assert_int_equal(ev.proto, IPSEC_ESP);
	assert_int_equal(ev.drop, DROP_NO_SA);
	assert_int_equal(ev.key.rport, 2000);
	assert_int_equal(ev.dst.b[3], 3);
	assert_int_equal(ev.src.b[3], 1);
}

static void
tunnels(void **state)
{
	struct policy *r[] = {
	    tunnel(rule(FLOW_REQUIRE, "10.2.0.0/16"), 0, IPSEC_ESP, "192.0.2.1", "192.0.2.9"),
	    tunnel(rule(FLOW_REQUIRE, "10.3.0.0/16"), 0, IPSEC_ESP, NULL,
		"192.0.2.8"), /* by whichever of our addresses */
	    tunnel(
		rule(FLOW_REQUIRE, PEER), 0, IPSEC_ESP, NULL, NULL), /* to the destination itself */
	    tunnel(rule(FLOW_REQUIRE, "10.4.0.0/16"), 0, IPSEC_ESP, "192.0.2.1", "192.0.2.7")};
	struct sa *sa[] = {
	    sa_of(IPSEC_ESP, MODE_TUNNEL, "192.0.2.2", "192.0.2.9", 0x1000, 0, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TUNNEL, "192.0.2.1", "192.0.2.9", 0x1001, 0, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TUNNEL, "192.0.2.2", "192.0.2.8", 0x1002, 0, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TUNNEL, ME, PEER, 0x1003, 0, SA_DIR_OUT)};
	struct event ev;

	use(r, 4, sa, 4);
	expect("10.2.0.1", DROP_NONE, false, sa[1], NULL);
	expect("10.3.0.1", DROP_NONE, false, sa[2], NULL);
	expect(PEER, DROP_NONE, false, sa[3], NULL);
	expect("10.4.0.1", DROP_NO_SA, false, NULL, NULL);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 1);
	assert_int_equal(ev.dst.b[3], 7);
}

static void
reqids(void **state)
{
	struct policy *r = rule(FLOW_REQUIRE, NULL);
	struct sa *sa[] = {sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1000, 1, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1001, 2, SA_DIR_OUT)};

	r->step[0].reqid = 2;
	use(&r, 1, sa, 2);
	expect(PEER, DROP_NONE, false, sa[1], NULL);
}

static void
types_without_sa(void **state)
{
	struct policy *r[] = {rule(FLOW_USE, "10.1.0.0/16"), rule(FLOW_DONTACQ, "10.2.0.0/16"),
	    rule(FLOW_ACQUIRE, "10.3.0.0/16"), rule(FLOW_REQUIRE, "10.4.0.0/16")};
	struct event ev;

	use(r, 4, NULL, 0);
	expect("10.1.0.1", DROP_NONE, true, NULL, NULL);
	expect("10.2.0.1", DROP_NO_SA, false, NULL, NULL);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 0);
	expect("10.3.0.1", DROP_HELD, false, NULL, NULL);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 1); /* once for both packets */
	expect("10.4.0.1", DROP_NO_SA, false, NULL, NULL);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 1);

	expect_in(
	    "10.1.0.1", DROP_NONE, true); /* RFC 4301 5.2: what should be protected and is not */
	expect_in("10.2.0.1", DROP_CLEAR_DENIED, false);
	expect_in("10.3.0.1", DROP_CLEAR_DENIED, false);
	expect_in("10.4.0.1", DROP_CLEAR_DENIED, false);
}

/* ESP transport within an AH tunnel to a gateway: step by step, the second sees the outer header of the first. */
static void
bundles(void **state)
{
	struct policy *r[] = {tunnel(rule(FLOW_REQUIRE, PEER), 1, IPSEC_AH, NULL, "192.0.2.9"),
	    tunnel(rule(FLOW_REQUIRE, "10.2.0.0/16"), 0, IPSEC_ESP, "192.0.2.1", "192.0.2.8"),
	    tunnel(rule(FLOW_USE, "10.0.0.3"), 1, IPSEC_AH, NULL, "192.0.2.77")};
	struct sa *sa[] = {sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1000, 0, SA_DIR_OUT),
	    sa_of(IPSEC_AH, MODE_TUNNEL, "192.0.2.1", "192.0.2.9", 0x1001, 0, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TUNNEL, "192.0.2.1", "192.0.2.8", 0x1002, 0, SA_DIR_OUT),
	    sa_of(IPSEC_AH, MODE_TRANSPORT, "192.0.2.1", "192.0.2.8", 0x1003, 0, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, "10.0.0.3", 0x1004, 0, SA_DIR_OUT)};
	struct event ev;

	r[1]->step[1] = (struct sa_template){.proto = IPSEC_AH, .mode = MODE_TRANSPORT};
	r[1]->nsteps = 2;
	use(r, 3, sa, 5);
	expect(PEER, DROP_NONE, false, sa[0], sa[1]);
	expect("10.2.0.1", DROP_NONE, false, sa[2], sa[3]);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 0);

	/* Half a bundle is not opportunism: nothing leaves. */
	expect("10.0.0.3", DROP_NO_SA, false, NULL, NULL);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 1);
	assert_int_equal(ev.proto, IPSEC_AH);
	assert_int_equal(ev.dst.b[3], 77);
}

/* An SA that ended is not used any more, though the flow is in the cache; another one may serve. */
static void
sa_ends(void **state)
{
	struct policy *r = rule(FLOW_REQUIRE, NULL);
	struct sa *sa[] = {sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1000, 0, SA_DIR_OUT),
	    sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1001, 0, SA_DIR_OUT)};
	struct event ev;

	use(&r, 1, sa, 2);
	expect(PEER, DROP_NONE, false, sa[0], NULL);
	__atomic_store_n(&sa[0]->state, SA_DYING, __ATOMIC_RELAXED);
	expect(PEER, DROP_NONE, false, sa[0], NULL);
	__atomic_store_n(&sa[0]->state, SA_DEAD, __ATOMIC_RELAXED);
	expect(PEER, DROP_NONE, false, sa[1], NULL);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 0);
	__atomic_store_n(&sa[1]->state, SA_DEAD, __ATOMIC_RELAXED);
	expect(PEER, DROP_NO_SA, false, NULL, NULL);
	assert_int_equal(events_of(EV_ACQUIRE, &ev), 1);
}

/* F6: a new generation decides at once. */
static void
new_generation(void **state)
{
	struct policy *r = rule(FLOW_REQUIRE, NULL);
	struct sa *sa = sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1000, 0, SA_DIR_OUT), *other;

	use(&r, 1, &sa, 1);
	expect(PEER, DROP_NONE, false, sa, NULL);
	r = rule(FLOW_REQUIRE, NULL);
	other = sa_of(IPSEC_ESP, MODE_TRANSPORT, ME, PEER, 0x1001, 0, SA_DIR_OUT);
	use(&r, 1, &other, 1);
	expect(PEER, DROP_NONE, false, other, NULL);
	use(NULL, 0, NULL, 0);
	expect(PEER, DROP_POLICY_DEFAULT, false, NULL, NULL);
}

/* RFC 4301 5.2 step 4. */
static void
after_opening(void **state)
{
	struct policy *r[] = {rule(FLOW_REQUIRE, "10.0.0.0/24"),
	    tunnel(rule(FLOW_USE, "10.2.0.0/16"), 0, IPSEC_ESP, ME, "192.0.2.9"),
	    rule(FLOW_BYPASS, "10.3.0.0/16"), rule(FLOW_DENY, "10.4.0.0/16")};
	struct policy *transport_rule = r[0];
	struct sa *sa[] = {sa_of(IPSEC_ESP, MODE_TRANSPORT, PEER, ME, 0x1000, 0, SA_DIR_IN),
	    sa_of(IPSEC_ESP, MODE_TRANSPORT, "10.0.0.3", ME, 0x1001, 0, SA_DIR_IN),
	    sa_of(IPSEC_ESP, MODE_TUNNEL, "192.0.2.9", ME, 0x1002, 0, SA_DIR_IN),
	    sa_of(IPSEC_ESP, MODE_TUNNEL, "192.0.2.8", ME, 0x1003, 0, SA_DIR_IN)};

	use(r, 4, sa, 4);
	assert_int_equal(opened(ME, PEER, sa[0], NULL), DROP_NONE);
	assert_int_equal(opened(ME, "10.0.0.3", sa[1], NULL), DROP_NONE);
	assert_int_equal(transport_rule->count[DIR_IN].packets, 2);
	assert_int_equal(opened(ME, "10.2.0.1", sa[2], NULL), DROP_NONE);
	assert_int_equal(opened("10.9.0.1", "10.2.0.1", sa[2], NULL),
	    DROP_NONE); /* a gateway's host behind us */

	assert_int_equal(opened(ME, PEER, sa[1], NULL),
	    DROP_SELECTOR_MISMATCH); /* one peer with the address of another */
	assert_int_equal(opened("10.0.0.9", PEER, sa[0], NULL), DROP_SELECTOR_MISMATCH);
	assert_int_equal(opened(ME, PEER, sa[2], NULL),
	    DROP_SELECTOR_MISMATCH); /* tunnel where transport is asked */
	assert_int_equal(
	    opened(ME, "10.2.0.1", sa[3], NULL), DROP_SELECTOR_MISMATCH); /* the wrong gateway */
	assert_int_equal(
	    opened(ME, PEER, sa[0], sa[0]), DROP_SELECTOR_MISMATCH); /* once too often */
	assert_int_equal(
	    opened(ME, "10.3.0.1", sa[2], NULL), DROP_SELECTOR_MISMATCH); /* needs no protection */
	assert_int_equal(opened(ME, "10.4.0.1", sa[2], NULL), DROP_SELECTOR_MISMATCH);
	assert_int_equal(
	    opened(ME, "10.5.0.1", sa[2], NULL), DROP_SELECTOR_MISMATCH); /* no rule at all */
	assert_int_equal(transport_rule->count[DIR_IN].packets, 2);
}

/* A tunnel whose rule names no peer is to the packet's own destination, so it comes from the packet's own source. */
static void
own_peer(void **state)
{
	struct policy *r = tunnel(rule(FLOW_REQUIRE, "10.0.0.0/24"), 0, IPSEC_ESP, NULL, NULL);
	struct sa *sa[] = {sa_of(IPSEC_ESP, MODE_TUNNEL, PEER, ME, 0x1000, 0, SA_DIR_IN)};

	use(&r, 1, sa, 1);
	assert_int_equal(opened(ME, PEER, sa[0], NULL), DROP_NONE);
	assert_int_equal(opened(ME, "10.0.0.3", sa[0], NULL), DROP_SELECTOR_MISMATCH);
}

static void
opened_bundle(void **state)
{
	struct policy *r = tunnel(rule(FLOW_REQUIRE, PEER), 1, IPSEC_AH, ME, "192.0.2.9");
	struct sa *sa[] = {sa_of(IPSEC_ESP, MODE_TRANSPORT, PEER, ME, 0x1000, 0, SA_DIR_IN),
	    sa_of(IPSEC_AH, MODE_TUNNEL, "192.0.2.9", ME, 0x1001, 0, SA_DIR_IN)};

	use(&r, 1, sa, 2);
	assert_int_equal(opened(ME, PEER, sa[1], sa[0]), DROP_NONE);
	assert_int_equal(
	    opened(ME, PEER, sa[0], sa[1]), DROP_SELECTOR_MISMATCH); /* the other way round */
	assert_int_equal(
	    opened(ME, PEER, sa[0], NULL), DROP_SELECTOR_MISMATCH); /* the inner half */
	assert_int_equal(
	    opened(ME, PEER, sa[1], NULL), DROP_SELECTOR_MISMATCH); /* the outer half */
}

/* M6: with a cache as without, over many generations. */
static void
cache_equals_lookup(void **state)
{
	rules_seed(11);
	for (int g = 0; g < 300; g++) {
		size_t n = rules_rnd(30);
		struct policy **r = rules_make(WORLD_SMALL, n);
		struct pkt *p;

		use(r, n, NULL, 0);
		free(r);
		p = packet(ME, PEER, DIR_OUT);
		for (int i = 0; i < 600; i++) {
			struct policy *want;

			rules_seed((uint64_t)rules_rnd(400) +
				   1); /* few packets, so that they come again */
			p->key = rules_key(WORLD_SMALL, NULL);
			rules_seed((uint64_t)g * 1000 + (uint64_t)i + 1000);
			p->drop = DROP_NONE;
			p->policy = NULL;
			p->bypass = 0;
			want = spd_lookup_linear(w.gen->spd, &p->key, NULL);
			decide(p, (enum dir)p->key.dir);
			assert_ptr_equal(p->policy, want);
			assert_int_equal(p->drop, want ? DROP_NONE : DROP_POLICY_DEFAULT);
		}
		pkt_free(pool, p);
	}
}

/* Nobody listens, nothing is remembered: decisions are the same. */
static void
bare(void **state)
{
	struct policy *r = rule(FLOW_REQUIRE, NULL);
	struct flowcache *cache = w.cache;
	struct events *events = w.events;

	w.cache = NULL;
	w.events = NULL;
	use(&r, 1, NULL, 0);
	expect(PEER, DROP_NO_SA, false, NULL, NULL);
	expect_in(PEER, DROP_CLEAR_DENIED, false);
	w.cache = cache;
	w.events = events;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(actions),
	    TEST(already_dropped),
	    TEST(transport),
	    TEST(tunnels),
	    TEST(reqids),
	    TEST(types_without_sa),
	    TEST(bundles),
	    TEST(sa_ends),
	    TEST(new_generation),
	    TEST(after_opening),
	    TEST(own_peer),
	    TEST(opened_bundle),
	    TEST(cache_equals_lookup),
	    TEST(bare),
	};
	const char *why;

	if (crypto_select("openssl", &why) == -1) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
