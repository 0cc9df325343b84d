/* links: bits_walk */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "linger.h"

#define SECOND UINT64_C(1000000000)

/* Looks that may be begun at ${now}, each for nothing. */
static unsigned
in_vain(struct linger *l, uint64_t now)
{
	unsigned n = 0;

	while (linger_begin(l, now) && n < 1000) {
		linger_lost(l);
		n++;
	}
	return n;
}

static void
test_off(void **state)
{
	struct linger l = {0};

	assert_false(linger_begin(&l, SECOND));
}

/* However long the rest was: a few looks, and no more until time has passed. */
static void
test_after_a_rest(void **state)
{
	struct linger l = {.on = true};

	assert_int_equal(in_vain(&l, 5 * SECOND), LINGER_MAX / LINGER_NS);
	assert_int_equal(in_vain(&l, 5 * SECOND), 0);
	assert_int_equal(in_vain(&l, 3600 * SECOND), LINGER_MAX / LINGER_NS);
}

/* Whatever comes whenever: what is lost is a share of the time. */
static void
test_share(void **state)
{
	struct linger l = {.on = true};
	uint64_t now = SECOND, lost = 0;

	(void)in_vain(&l, now);
	for (unsigned i = 0; i < 100000; i++) {
		now += 1000 + i % 50 * 1000; /* as packets come in */
		lost += in_vain(&l, now) * LINGER_NS;
	}
	assert_true(lost > 0);
	assert_true(lost <= (now - SECOND) / LINGER_SHARE);
}

/* Looks that find something cost nothing. */
static void
test_found(void **state)
{
	struct linger l = {.on = true};

	for (uint64_t now = SECOND; now < 2 * SECOND; now += 10000)
		assert_true(linger_begin(&l, now));
}

static void
test_length(void **state)
{
	assert_false(linger_over(SECOND, SECOND));
	assert_false(linger_over(SECOND, SECOND + LINGER_NS - 1));
	assert_true(linger_over(SECOND, SECOND + LINGER_NS));
}

/* A clock that stands still or is behind: nothing is gained. */
static void
test_clock(void **state)
{
	struct linger l = {.on = true};

	(void)in_vain(&l, 5 * SECOND);
	assert_false(linger_begin(&l, 4 * SECOND));
	assert_false(linger_begin(&l, 4 * SECOND));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_off),
	    cmocka_unit_test(test_after_a_rest),
	    cmocka_unit_test(test_share),
	    cmocka_unit_test(test_found),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
