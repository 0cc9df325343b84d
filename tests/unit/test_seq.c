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

/* A grab takes what there is and no more, and what was not used is there again, unless somebody has gone on. */
static void
some_at_a_time(void **state)
{
	struct seq s;
	uint64_t a, b, c, d;

	seq_init(&s, false);
	assert_int_equal(seq_grab(&s, 8, &a, &b), DROP_SEQ_UNRESERVED);
	seq_reserve(&s, 11);
	assert_int_equal(seq_grab(&s, 8, &a, &b), DROP_NONE);
	assert_int_equal(a, 1);
	assert_int_equal(b, 9);
	seq_return(&s, 5, b);
	assert_int_equal(seq_grab(&s, 8, &c, &d), DROP_NONE);
	assert_int_equal(c, 5);
	assert_int_equal(d, 11); /* the reservation ends there */
	seq_return(&s, 3, 5);	 /* too late: it has gone on */
	assert_int_equal(s.next, 11);
	assert_int_equal(seq_grab(&s, 1, &a, &b), DROP_SEQ_UNRESERVED);
	seq_reserve(&s, UINT64_MAX);
	seq_resume(&s, SEQ_LAST - 1);
	assert_int_equal(seq_grab(&s, 64, &a, &b), DROP_NONE);
	assert_int_equal(a, SEQ_LAST - 1);
	assert_int_equal(b, SEQ_LAST + 1); /* and so do the numbers */
	assert_int_equal(seq_grab(&s, 1, &a, &b), DROP_SEQ_EXHAUSTED);
}

#define TAKERS 4
#define MANY   200000

static uint8_t taken[MANY + 1];

/* Takes some, uses some of those, gives the others back, until there are none left for ever. */
static void *
taker(void *arg)
{
	unsigned turn = (unsigned)(uintptr_t)arg;
	uint64_t first, end;
	enum drop d;

	while ((d = seq_grab(&shared, 1 + turn % 64, &first, &end)) != DROP_SEQ_EXHAUSTED) {
		uint64_t used = first + (turn * 7 % 5 == 0 ? (end - first) / 2 : end - first);

		turn++;
		if (d != DROP_NONE)
			continue;
		for (uint64_t n = first; n < used; n++)
			__atomic_add_fetch(&taken[n], 1, __ATOMIC_RELAXED);
		if (used != end)
			seq_return(&shared, used, end);
	}
	return NULL;
}

static void
many_threads(void **state)
{
	pthread_t t[TAKERS];
	unsigned lost = 0;

	seq_init(&shared, false);
	shared.last = MANY;
	for (uintptr_t i = 0; i < TAKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, taker, (void *)(i * 13)), 0);
	for (uint64_t upto = 1; upto <= MANY; upto += 997)
		seq_reserve(&shared, upto);
	seq_reserve(&shared, UINT64_MAX);
	for (unsigned i = 0; i < TAKERS; i++)
		pthread_join(t[i], NULL);
	for (unsigned n = 1; n <= MANY; n++) {
		if (taken[n] > 1)
			fail_msg("number %u was handed out %u times", n, taken[n]);
		lost += taken[n] == 0;
	}
	assert_int_equal(taken[0], 0);
	assert_true(
	    lost < MANY); /* (on one processor the threads may follow each other: none is lost) */
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
	    cmocka_unit_test(some_at_a_time),
	    cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
