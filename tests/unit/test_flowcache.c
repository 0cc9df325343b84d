/* links: bits_spd */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "flowcache.h"

static struct flowkey
key(uint32_t n)
{
	struct flowkey k;

	memset(&k, 0, sizeof k);
	memcpy(k.local.b, &n, sizeof n);
	k.local.af = k.remote.af = 4;
	k.proto = 6;
	k.ports = PORTS_PORTS;
	k.vlan = VLAN_NONE;
	return k;
}

/* A decision nobody follows: the pointer is a mark. */
static struct flow
mark(uintptr_t n)
{
	struct flow f = {.policy = (struct policy *)(n + 1)};

	f.sa[0] = (struct sa *)(n + 2);
	return f;
}

static bool
is_marked(const struct flow *f, uintptr_t n)
{
	return f && f->policy == (struct policy *)(n + 1) && f->sa[0] == (struct sa *)(n + 2);
}

static void
remembers(void **state)
{
	struct flowcache *c = flowcache_new(64, 1);
	struct flowkey a = key(1), b = key(2);
	struct flow fa = mark(10), fb = mark(20), none = {0};
	const struct flow *kept;
	uint64_t hits, misses;

	assert_null(flowcache_get(c, &a, 1));
	kept = flowcache_put(c, &a, 1, &fa);
	assert_true(is_marked(kept, 10));
	assert_ptr_equal(flowcache_get(c, &a, 1), kept);
	assert_null(flowcache_get(c, &b, 1));
	flowcache_put(c, &b, 1, &fb);
	assert_true(is_marked(flowcache_get(c, &a, 1), 10));
	assert_true(is_marked(flowcache_get(c, &b, 1), 20));
	flowcache_put(c, &a, 1, &none); /* "discard" is a decision too; a second put replaces */
	assert_non_null(flowcache_get(c, &a, 1));
	assert_null(flowcache_get(c, &a, 1)->policy);
	flowcache_stats(c, &hits, &misses);
	assert_int_equal(hits, 5);
	assert_int_equal(misses, 2);

	/* Each octet of a key counts. */
	for (size_t i = 0; i < sizeof a; i++) {
		struct flowkey other = b;

		((uint8_t *)&other)[i] ^= 0x80;
		assert_null(flowcache_get(c, &other, 1));
	}
	flowcache_free(c);
	flowcache_free(NULL);
}

static void
generations(void **state)
{
	struct flowcache *c = flowcache_new(8, 2); /* one bucket */
	struct flow f = mark(0), g = mark(5);
	struct flowkey k = key(0);

	for (uint32_t i = 0; i < 8; i++) {
		struct flowkey ki = key(i);

		flowcache_put(c, &ki, 7, &f);
	}
	assert_non_null(flowcache_get(c, &k, 7));
	assert_null(flowcache_get(c, &k, 8));
	assert_null(flowcache_get(c, &k, 6));
	assert_null(flowcache_get(c, &k, 7 + (1ull << 32)));

	/* What is new takes the places of what is old, not of what is new. */
	for (uint32_t i = 100; i < 108; i++) {
		struct flowkey ki = key(i);

		flowcache_put(c, &ki, 8, &g);
	}
	for (uint32_t i = 100; i < 108; i++) {
		struct flowkey ki = key(i);

		assert_true(is_marked(flowcache_get(c, &ki, 8), 5));
	}
	flowcache_free(c);
}

/* The one unused for longest goes first. */
static void
oldest_goes(void **state)
{
	struct flowcache *c = flowcache_new(8, 3);
	struct flow f = mark(0);

	for (uint32_t i = 0; i < 8; i++) {
		struct flowkey k = key(i);

		assert_null(flowcache_get(c, &k, 1));
		flowcache_put(c, &k, 1, &f);
	}
	for (uint32_t n = 8; n < 2000; n++) { /* flow 3 stays in use while others come and go */
		struct flowkey k3 = key(3), k = key(n);

		assert_non_null(flowcache_get(c, &k3, 1));
		assert_null(flowcache_get(c, &k, 1));
		flowcache_put(c, &k, 1, &f);
	}
	for (uint32_t n = 2000 - 7; n < 2000; n++) {
		struct flowkey k = key(n);

		assert_non_null(flowcache_get(c, &k, 1));
	}
	flowcache_free(c);
}

/* M7: a million chosen keys: every put stays within its bucket (else ASan), the size is fixed, answers stay right. */
static void
flood(void **state)
{
	struct flowcache *c = flowcache_new(1000, 4); /* rounded up to 1024 */
	unsigned kept = 0;

	for (uint32_t i = 0; i < 1000000; i++) {
		struct flowkey k = key(i);
		struct flow f = mark(i);

		flowcache_put(c, &k, 1, &f);
	}
	for (uint32_t i = 0; i < 1000000; i++) {
		struct flowkey k = key(i);
		const struct flow *f = flowcache_get(c, &k, 1);

		if (f == NULL)
			continue;
		kept++;
		assert_true(is_marked(f, i));
	}
	assert_true(kept > 900 && kept <= 1024);
	flowcache_free(c);
}

/* Keys that fall into one bucket under one seed do not under another: nobody outside can choose them. */
static void
seed_matters(void **state)
{
	enum { MANY = 8 * 64 };
	struct flowcache *a = flowcache_new(MANY, 5), *b = flowcache_new(MANY, 6);
	unsigned same = 0, n = 0;
	struct flow f = mark(0);

	for (uint32_t i = 0; i < 4 * MANY; i++) {
		struct flowkey k = key(i);

		flowcache_put(a, &k, 1, &f);
		flowcache_put(b, &k, 1, &f);
	}
	for (uint32_t i = 0; i < 4 * MANY; i++) {
		struct flowkey k = key(i);
		bool in_a = flowcache_get(a, &k, 1), in_b = flowcache_get(b, &k, 1);

		n += in_a;
		same += in_a && in_b;
	}
	assert_true(n > MANY / 2);
	assert_true(same < n);
	flowcache_free(a);
	flowcache_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(remembers),
	    cmocka_unit_test(generations),
	    cmocka_unit_test(oldest_goes),
	    cmocka_unit_test(flood),
	    cmocka_unit_test(seed_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
