/* links: bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "rules.h"
#include "spd.h"

static struct spd *
spd_of(struct policy **rules, size_t n)
{
	struct spd *spd = spd_new(rules, n, NULL);

	assert_non_null(spd);
	return spd;
}

static void
empty(void **state)
{
	enum builtin_set none[BUILTIN_MAX] = {[BUILTIN_ND] = BUILTIN_DENY};
	struct spd *spd = spd_new(NULL, 0, none);
	struct flowkey k = rules_key(WORLD_MIXED, NULL);

	assert_non_null(spd);
	assert_int_equal(spd_count(spd), 0);
	assert_null(spd_at(spd, 0));
	assert_null(spd_lookup(spd, &k, NULL)); /* discard is what is left */
	assert_null(spd_lookup_linear(spd, &k, NULL));
	assert_int_equal(spd_builtin(spd, BUILTIN_ND), BUILTIN_DENY);
	assert_int_equal(spd_builtin(spd, BUILTIN_ARP), BUILTIN_BYPASS);
	spd_free(spd);
	spd = spd_new(NULL, 0, NULL);
	assert_int_equal(spd_builtin(spd, BUILTIN_DHCP6), BUILTIN_BYPASS);
	spd_free(spd);
	spd_free(NULL);
}

/* xfrm_policy.sh's case: an exception before, and behind, the network it is taken from. */
static void
first_match(void **state)
{
	struct policy *rules[3] = {policy_new(), policy_new(), policy_new()};
	struct flowkey k = {.vlan = VLAN_NONE, .proto = 6};
	struct spd *spd;
	size_t place = 99;

	assert_int_equal(iprange_parse("10.0.3.10", &rules[0]->sel.remote), 0);
	assert_int_equal(iprange_parse("10.0.3.0/24", &rules[1]->sel.remote), 0);
	assert_int_equal(iprange_parse("10.0.3.11", &rules[2]->sel.remote), 0);
	spd = spd_of(rules, 3);
	ipaddr_parse("10.0.2.1", &k.local);
	ipaddr_parse("10.0.3.10", &k.remote);
	assert_ptr_equal(spd_lookup(spd, &k, &place), rules[0]);
	assert_int_equal(place, 0);
	ipaddr_parse("10.0.3.11", &k.remote);
	assert_ptr_equal(
	    spd_lookup(spd, &k, &place), rules[1]); /* the exception behind says nothing */
	assert_int_equal(place, 1);
	assert_int_equal(spd_shadowed(spd, 2), 1);
	assert_int_equal(spd_shadowed(spd, 1), -1);
	assert_int_equal(spd_shadowed(spd, 0), -1);
	ipaddr_parse("10.0.4.1", &k.remote);
	assert_null(spd_lookup(spd, &k, NULL));
	spd_free(spd);

	rules[1]->dirs = 1 << DIR_IN; /* covers the third in one direction only */
	spd = spd_of(rules, 3);
	assert_int_equal(spd_shadowed(spd, 2), -1);
	ipaddr_parse("10.0.3.11", &k.remote);
	assert_ptr_equal(spd_lookup(spd, &k, NULL), rules[2]);
	k.dir = DIR_IN;
	assert_ptr_equal(spd_lookup(spd, &k, NULL), rules[1]);
	spd_free(spd);
	for (int i = 0; i < 3; i++)
		policy_unref(rules[i]);
}

static void
references(void **state)
{
	struct policy *p = policy_new();
	struct spd *a = spd_of(&p, 1), *b = spd_of(&p, 1);

	assert_int_equal(p->refs, 3);
	assert_ptr_equal(spd_at(a, 0), p);
	spd_free(a);
	policy_unref(p);
	p = spd_at(b, 0);
	assert_int_equal(p->refs, 1);
	spd_free(b);
}

/* Holds index and linear search against each other; the number of packets that met a rule. */
static size_t
compare(enum world w, size_t n, size_t packets)
{
	struct policy **rules = rules_make(w, n);
	struct spd *spd = spd_of(rules, n);
	size_t hits = 0;

	for (size_t i = 0; i < packets; i++) {
		struct flowkey k = rules_key(w, n && i % 4 ? rules[rules_rnd((uint32_t)n)] : NULL);
		size_t at = SIZE_MAX, linear = SIZE_MAX;
		struct policy *p = spd_lookup(spd, &k, &at),
			      *q = spd_lookup_linear(spd, &k, &linear);

		if (p != q || at != linear)
			fail_msg("world %d, %zu rules, packet %zu: index says %zd, linear %zd", w,
			    n, i, (ssize_t)at, (ssize_t)linear);
		hits += p != NULL;
	}
	spd_free(spd);
	rules_free(rules, n);
	return hits;
}

/* F5: more than two million packets on more than a thousand rule sets; BITS_TEST_SEED for others. */
static void
index_equals_linear(void **state)
{
	const char *seed = getenv("BITS_TEST_SEED");
	size_t hits = 0;

	rules_seed(seed ? strtoull(seed, NULL, 10) : 4711);
	for (int w = 0; w < WORLDS; w++) {
		for (int i = 0; i < 200; i++)
			hits += compare((enum world)w, rules_rnd(60), 500);
		for (int i = 0; i < 25; i++)
			hits += compare((enum world)w, 60 + rules_rnd(400), 2000);
		for (int i = 0; i < 4; i++)
			hits += compare((enum world)w, 3000, 5000);
	}
	for (int i = 0; i < 1200; i++)
		hits += compare(WORLD_SMALL, rules_rnd(120), 1500);
	assert_true(hits > 500000);
}

static void
many_rules(void **state)
{
	for (int w = 0; w < WORLDS; w++)
		assert_true(compare((enum world)w, 30000, 2000) > 500);
}

/* What no tree can part: a thousand times the same rule, and one behind. */
static void
equal_rules(void **state)
{
	enum { N = 1000 };
	struct policy *rules[N + 1];
	struct flowkey k = {.vlan = VLAN_NONE, .proto = 6};
	struct spd *spd;
	size_t place;

	for (int i = 0; i <= N; i++) {
		rules[i] = policy_new();
		assert_int_equal(iprange_parse(i < N ? "10.0.0.1-10.0.0.7" : "10.0.0.0/29",
				     &rules[i]->sel.remote),
		    0);
	}
	spd = spd_of(rules, N + 1);
	ipaddr_parse("10.9.9.9", &k.local);
	ipaddr_parse("10.0.0.7", &k.remote);
	assert_ptr_equal(spd_lookup(spd, &k, &place), rules[0]);
	assert_int_equal(place, 0);
	ipaddr_parse("10.0.0.0", &k.remote);
	assert_ptr_equal(spd_lookup(spd, &k, &place), rules[N]);
	ipaddr_parse("10.0.0.8", &k.remote);
	assert_null(spd_lookup(spd, &k, &place));
	spd_free(spd);
	for (int i = 0; i <= N; i++)
		policy_unref(rules[i]);
}

/* Both ends of what there is. */
static void
extremes(void **state)
{
	static const char *const text[] = {"0.0.0.0/0", "255.255.255.255", "0.0.0.0", "::/0",
	    "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "::ffff:ffff:ffff:ffff-0:0:0:1::", "fe80::1-fe80::ffff:0:0:1", "128.0.0.0/1",
	    "8000::/1"};
	enum { N = sizeof text / sizeof *text };
	struct policy *rules[N * N];
	size_t n = 0;
	struct spd *spd;

	for (int i = N - 1; i >= 0; i--)
		for (int j = N - 1; j >= 0; j--) {
			struct policy *p = policy_new();

			assert_int_equal(iprange_parse(text[i], &p->sel.local), 0);
			assert_int_equal(iprange_parse(text[j], &p->sel.remote), 0);
			if (p->sel.local.lo.af == p->sel.remote.lo.af)
				rules[n++] = p;
			else
				policy_unref(p);
		}
	spd = spd_of(rules, n);
	for (int i = 0; i < 4 * N * N; i++) {
		struct iprange a, b;
		struct flowkey k = {.vlan = VLAN_NONE, .proto = 6};
		size_t x = SIZE_MAX, y = SIZE_MAX;

		iprange_parse(text[i % N], &a);
		iprange_parse(text[i / N % N], &b);
		if (a.lo.af != b.lo.af)
			continue;
		k.local = i / N / N & 1 ? a.hi : a.lo;
		k.remote = i / N / N & 2 ? b.hi : b.lo;
		spd_lookup(spd, &k, &x);
		spd_lookup_linear(spd, &k, &y);
		assert_int_equal(x, y);
	}
	spd_free(spd);
	for (size_t i = 0; i < n; i++)
		policy_unref(rules[i]);
}

static void
not_ip(void **state)
{
	struct policy *p = policy_new();
	struct spd *spd = spd_of(&p, 1);
	struct flowkey k = {.ect = 1, .lport = 0x88cc, .vlan = VLAN_NONE};

	assert_null(spd_lookup(spd, &k, NULL));
	assert_null(spd_lookup_linear(spd, &k, NULL));
	spd_free(spd);
	policy_unref(p);
}

/* Beyond the size where pairs are compared: what the index says is so, and it says it of nearly all. */
static void
shadows_of_many(void **state)
{
	enum { N = 3000 };
	struct policy **rules;
	struct spd *spd;
	size_t said = 0, so = 0;

	rules_seed(7);
	rules = rules_make(WORLD_SITE, N);
	for (size_t i = 0; i < N; i += 3) { /* some that are surely covered by an earlier one */
		struct policy *of = rules[i / 2];

		rules[i]->sel = of->sel;
		rules[i]->dirs = of->dirs;
		if (i != i / 2 && of->sel.remote.lo.af)
			rules[i]->sel.remote.hi = rules[i]->sel.remote.lo;
	}
	spd = spd_of(rules, N);
	for (size_t i = 0; i < N; i++) {
		long j = spd_shadowed(spd, i);
		bool covered = false;

		for (size_t e = 0; e < i && !covered; e++)
			covered = (rules[i]->dirs & ~rules[e]->dirs) == 0 &&
				  selector_covers(&rules[e]->sel, &rules[i]->sel);
		if (j >= 0) {
			assert_true((size_t)j < i);
			assert_true(selector_covers(&rules[j]->sel, &rules[i]->sel));
			assert_int_equal(rules[i]->dirs & ~rules[j]->dirs, 0);
		}
		said += j >= 0;
		so += covered;
	}
	assert_true(so > N / 4);
	assert_true(said >= so - so / 100);
	spd_free(spd);
	rules_free(rules, N);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty),
	    cmocka_unit_test(first_match),
	    cmocka_unit_test(references),
	    cmocka_unit_test(not_ip),
	    cmocka_unit_test(equal_rules),
	    cmocka_unit_test(extremes),
	    cmocka_unit_test(index_equals_linear),
	    cmocka_unit_test(many_rules),
	    cmocka_unit_test(shadows_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
