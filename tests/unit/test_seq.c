/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include "seq.h"

static void
starts_at_one_when_reserved(void **state)
{
	struct seq s;
	uint64_t n = 77;

	seq_init(&s, false);
	assert_int_equal(seq_take(&s, &n), DROP_SEQ_UNRESERVED);
	assert_int_equal(n, 77);
	seq_reserve(&s, 1); /* numbers below 1: none */
	assert_int_equal(seq_take(&s, &n), DROP_SEQ_UNRESERVED);
	seq_reserve(&s, 4);
	for (uint64_t want = 1; want < 4; want++) {
		assert_int_equal(seq_take(&s, &n), DROP_NONE);
		assert_int_equal(n, want);
	}
	assert_int_equal(seq_take(&s, &n), DROP_SEQ_UNRESERVED);
	assert_int_equal(n, 3);
	seq_reserve(&s, 2); /* never down */
	assert_int_equal(s.reserved, 4);
	assert_int_equal(seq_take(&s, &n), DROP_SEQ_UNRESERVED);
	seq_reserve(&s, 5);
	assert_int_equal(seq_take(&s, &n), DROP_NONE);
	assert_int_equal(n, 4);
}

/* RFC 4303 3.3.3: the last number is used, and then nothing is, whatever is reserved. */
static void
hard_stop(void **state)
{
	static const uint64_t last[] = {SEQ_LAST, SEQ_LAST_ESN};
	uint64_t n;

	assert_int_equal(SEQ_LAST, 4294967295);
	for (int esn = 0; esn < 2; esn++) {
		struct seq s;

		seq_init(&s, esn);
		assert_int_equal(s.last, last[esn]);
		seq_resume(&s, last[esn] - 2);
		seq_reserve(&s, UINT64_MAX);
		for (uint64_t want = last[esn] - 2; want <= last[esn]; want++) {
			assert_int_equal(seq_take(&s, &n), DROP_NONE);
			assert_true(n == want);
		}
		for (int again = 0; again < 5; again++) {
			assert_int_equal(seq_take(&s, &n), DROP_SEQ_EXHAUSTED);
			assert_true(n == last[esn]);
			seq_reserve(&s, UINT64_MAX);
		}
	}
}

static void
resuming(void **state)
{
	struct seq s;
	uint64_t n;

	seq_init(&s, false);
	seq_resume(&s, 1000);
	seq_resume(&s, 10); /* never backwards */
	seq_resume(&s, 0);
	seq_reserve(&s, 2000);
	assert_int_equal(seq_take(&s, &n), DROP_NONE);
	assert_int_equal(n, 1000);
	seq_resume(&s, SEQ_LAST + 1);
	assert_int_equal(seq_take(&s, &n), DROP_SEQ_EXHAUSTED);
	/* a record from an SA with ESN, far beyond the end: used up, and it does not wrap */
	seq_init(&s, false);
	seq_resume(&s, UINT64_MAX);
	seq_reserve(&s, UINT64_MAX);
	assert_int_equal(seq_take(&s, &n), DROP_SEQ_EXHAUSTED);
	seq_init(&s, true);
	seq_resume(&s, UINT64_MAX);
	seq_reserve(&s, UINT64_MAX);
	assert_int_equal(seq_take(&s, &n), DROP_SEQ_EXHAUSTED);
}

static void
asks_once_per_block(void **state)
{
	struct seq s;
	uint64_t n;
	unsigned asked = 0;

	seq_init(&s, false);
	assert_true(seq_running_low(&s, 100)); /* nothing reserved at all */
	assert_false(seq_running_low(&s, 100));
	seq_reserve(&s, 101);
	for (int i = 1; i <= 100; i++) {
		assert_int_equal(seq_take(&s, &n), DROP_NONE);
		if (seq_running_low(&s, 100)) {
			assert_int_equal(n, 51); /* 49 left */
			asked++;
		}
	}
	assert_int_equal(asked, 1);
	seq_reserve(&s, 201);
	assert_false(seq_running_low(&s, 100));
	for (int i = 0; i < 60; i++)
		assert_int_equal(seq_take(&s, &n), DROP_NONE);
	assert_true(seq_running_low(&s, 100));
	/* an answer of the same mark (the disk was full): it may ask again */
	seq_reserve(&s, 201);
	assert_true(seq_running_low(&s, 100));
	/* at the end there is nothing to ask for */
	seq_reserve(&s, SEQ_LAST + 1);
	seq_resume(&s, SEQ_LAST - 3);
	assert_false(seq_running_low(&s, 100));
}

/* A worker takes while the control thread reserves: each number once, none beyond what was reserved. */
static struct seq shared;
static uint64_t promised; /* atomic: raised before the reservation is */
static bool done;

static void *
controller(void *arg)
{
	for (uint64_t upto = 0; upto <= 2000000; upto += 1 + upto % 997) {
		__atomic_store_n(&promised, upto, __ATOMIC_SEQ_CST);
		seq_reserve(&shared, upto);
	}
	__atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static void
two_threads(void **state)
{
	uint64_t n, want = 1;
	pthread_t t;

	seq_init(&shared, false);
	assert_int_equal(pthread_create(&t, NULL, controller, NULL), 0);
	for (;;) {
		bool last = __atomic_load_n(&done, __ATOMIC_SEQ_CST);

		if (seq_take(&shared, &n) == DROP_NONE) {
			if (n != want++ || n >= __atomic_load_n(&promised, __ATOMIC_SEQ_CST))
				fail_msg("number %llu", (unsigned long long)n);
		} else if (last)
			break;
		seq_running_low(&shared, 1000);
	}
	pthread_join(t, NULL);
	assert_int_equal(want, promised);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(starts_at_one_when_reserved),
	    cmocka_unit_test(hard_stop),
	    cmocka_unit_test(resuming),
	    cmocka_unit_test(asks_once_per_block),
	    cmocka_unit_test(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
