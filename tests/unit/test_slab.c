/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "slab.h"

enum { PIECES = 5000, THREADS = 4 };

static const size_t sizes[] = {1, 63, 64, 65, 600, 1700, 8192, 8193, 20000};

static bool
all(const uint8_t *p, size_t n, uint8_t v)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != v)
			return false;
	return true;
}

/* Pieces of all sizes, held at the same time: zeroed, on a line of their own, and nobody else writes there. */
static void
test_pieces(void **state)
{
	static uint8_t *p[PIECES];
	static size_t n[PIECES];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < PIECES; i++) {
			n[i] = sizes[(i + (size_t)round) % (sizeof sizes / sizeof *sizes)];
			assert_non_null(p[i] = slab_new(n[i]));
			assert_int_equal((uintptr_t)p[i] % SLAB_LINE, 0);
			assert_true(all(p[i], n[i], 0)); /* also one that somebody had before */
			memset(p[i], (int)(i % 251) + 1, n[i]);
		}
		for (size_t i = 0; i < PIECES; i++) {
			assert_true(all(p[i], n[i], (uint8_t)(i % 251 + 1)));
			slab_free(p[i], n[i]);
		}
	}
	slab_free(NULL, 64);
	slab_free(slab_new(0), 0);
}

static void *
churn(void *arg)
{
	uint8_t mark = (uint8_t)(uintptr_t)arg;

	for (int i = 0; i < 20000; i++) {
		size_t n = sizes[(size_t)i % 6];
		uint8_t *p = slab_new(n);

		if (p == NULL || !all(p, n, 0))
			return p;
		memset(p, mark, n);
		if (!all(p, n, mark))
			return p;
		slab_free(p, n);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t t[THREADS];
	void *wrong;

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &wrong), 0);
		assert_null(wrong);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
