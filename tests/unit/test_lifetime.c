/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "lifetime.h"

static void
limits(void **state)
{
	static const struct {
		struct lifetime l;
		uint64_t packets, octets, ms;
		bool over;
	} t[] = {
	    {{0, 0, 0}, UINT64_MAX, UINT64_MAX, UINT64_MAX, false},
	    {{10, 0, 0}, 9, UINT64_MAX, UINT64_MAX, false},
	    {{10, 0, 0}, 10, 0, 0, true},
	    {{10, 0, 0}, 11, 0, 0, true},
	    {{0, 1000, 0}, UINT64_MAX, 999, UINT64_MAX, false},
	    {{0, 1000, 0}, 0, 1000, 0, true},
	    {{0, 0, 60000}, UINT64_MAX, UINT64_MAX, 59999, false},
	    {{0, 0, 60000}, 0, 0, 60000, true},
	    /* whichever comes first */
	    {{10, 1000, 60000}, 9, 999, 59999, false},
	    {{10, 1000, 60000}, 10, 0, 0, true},
	    {{10, 1000, 60000}, 0, 1000, 0, true},
	    {{10, 1000, 60000}, 0, 0, 60000, true},
	    {{UINT64_MAX, 0, 0}, UINT64_MAX - 1, 0, 0, false},
	    {{UINT64_MAX, 0, 0}, UINT64_MAX, 0, 0, true},
	    {{1, 0, 0}, 0, 0, 0, false},
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		if (lifetime_over(&t[i].l, t[i].packets, t[i].octets, t[i].ms) != t[i].over)
			fail_msg("case %zu", i);
}

static void
any_limit(void **state)
{
	assert_false(lifetime_set(&(struct lifetime){0}));
	assert_true(lifetime_set(&(struct lifetime){.packets = 1}));
	assert_true(lifetime_set(&(struct lifetime){.octets = UINT64_C(1) << 63}));
	assert_true(lifetime_set(&(struct lifetime){.ms = UINT64_C(1) << 32}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(limits), cmocka_unit_test(any_limit)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
