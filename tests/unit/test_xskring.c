/* links: bits_edge */
/* The arithmetic of AF_XDP's rings, on memory that no kernel writes to: the test is the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "xsk.h"
#include "xskring.h"

#define N 8u

static uint32_t producer, consumer, flags;
static struct xdp_desc desc[N];
static uint64_t addr[N];
static struct xskring packets, chunks;

static int
setup(void **state)
{
	/* where the numbers wrap */
	producer = consumer = UINT32_MAX - 3;
	flags = 0;
	memset(desc, 0, sizeof desc);
	packets = (struct xskring){&producer, &consumer, &flags, desc, N};
	chunks = (struct xskring){&producer, &consumer, &flags, addr, N};
	return 0;
}

/* We produce: room shrinks with each entry, and is there again when the other side has taken it. */
static void
test_produce(void **state)
{
	for (uint32_t round = 0; round < 5; round++) {
		uint32_t first = producer;

		assert_int_equal(xskring_room(&packets), N);
		assert_true(xskring_taken(&packets));
		for (uint32_t i = 0; i < 5; i++)
			*xskring_in(&packets, i) = (struct xdp_desc){.addr = round * 100 + i};
		assert_int_equal(producer, first); /* not theirs yet */
		xskring_produce(&packets, 5);
		assert_int_equal(producer, first + 5);
		assert_int_equal(xskring_room(&packets), N - 5);
		assert_false(xskring_taken(&packets));
		for (uint32_t i = 0; i < 5; i++)
			assert_int_equal(desc[(first + i) % N].addr, round * 100 + i);
		consumer += 2;
		assert_int_equal(xskring_room(&packets), N - 3);
		consumer += 3;
	}
}

/* We consume: what the other side has produced, in order. */
static void
test_consume(void **state)
{
	uint64_t said = 0, heard = 0;

	for (uint32_t round = 0; round < 7; round++) {
		assert_int_equal(xskring_ready(&chunks), 0);
		for (uint32_t i = 0; i < N; i++)
			xskring_in_addr(&chunks, i, said++);
		xskring_produce(&chunks, N);
		assert_int_equal(xskring_ready(&chunks), N);
		assert_int_equal(xskring_room(&chunks), 0);
		for (uint32_t left = N; left > 0; left -= left > 3 ? 3 : left) {
			uint32_t n = left > 3 ? 3 : left;

			for (uint32_t i = 0; i < n; i++)
				assert_int_equal(xskring_out_addr(&chunks, i), heard++);
			xskring_consume(&chunks, n);
			assert_int_equal(xskring_ready(&chunks), left - n);
		}
	}
	assert_int_equal(heard, 7 * N);
}

static void
test_flags(void **state)
{
	assert_false(xskring_sleeps(&packets));
	flags = XDP_RING_NEED_WAKEUP;
	assert_true(xskring_sleeps(&packets));
}

/* The chunk takes the frame with all that goes before it. */
static void
test_chunks(void **state)
{
	assert_int_equal(XSK_CHUNK_FOR(1500u), 2048);
	assert_int_equal(XSK_CHUNK_FOR(1770u), 2048);
	assert_int_equal(XSK_CHUNK_FOR(1771u), 4096);
	assert_int_equal(XSK_MTU, 3818);
	assert_true(1770 + 14 + 8 + 256 <= 2048);
}

/* What was sent is free again, and nothing twice. */
static void
test_reap(void **state)
{
	struct xsk x;

	xsk_none(&x);
	x.nsend = 4;
	x.ring[XSK_DONE] = chunks;
	for (uint64_t i = 0; i < 4; i++)
		xskring_in_addr(&chunks, (uint32_t)i, i * 2048);
	xskring_produce(&chunks, 3);
	xsk_reap(&x);
	assert_int_equal(x.nfree, 3);
	xsk_reap(&x);
	assert_int_equal(x.nfree, 3);
	xskring_produce(&chunks, 1);
	xsk_reap(&x);
	assert_int_equal(x.nfree, 4);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(x.free[i], i * 2048);
	assert_int_equal(xskring_ready(&chunks), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
	    T(test_produce),
	    T(test_consume),
	    T(test_flags),
	    T(test_chunks),
	    T(test_reap),
	};

	return cmocka_run_group_tests_name("xskring", tests, NULL, NULL);
}
