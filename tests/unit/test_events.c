/* links: bits_walk */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "events.h"

static void
order_and_room(void **state)
{
	struct events *e = events_new(4);
	struct event ev = {.kind = EV_SA_HARD};

	assert_false(events_pending(e));
	assert_false(events_pop(e, &ev));
	for (int round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < 4; i++) {
			ev = (struct event){.kind = EV_SA_HARD, .spi = i};
			assert_true(events_push(e, &ev));
		}
		assert_false(events_push(e, &ev)); /* full */
		assert_int_equal(events_lost(e), round + 1);
		assert_true(events_pending(e));
		for (uint32_t i = 0; i < 4; i++) {
			assert_true(events_pop(e, &ev));
			assert_int_equal(ev.spi, i);
		}
		assert_false(events_pop(e, &ev));
	}
	events_free(e);
	events_free(NULL);
	assert_null(events_new(0));
	assert_null(events_new(12));
}

static unsigned
push_many(struct events *e, enum event_kind kind, uint64_t now, unsigned n)
{
	unsigned told = 0;

	for (unsigned i = 0; i < n; i++)
		told += events_push(e, &(struct event){.kind = (uint8_t)kind, .now = now});
	return told;
}

static void
rate(void **state)
{
	static const uint8_t limited[] = {EV_AUDIT, EV_ACQUIRE, EV_NEIGHBOUR},
			     never[] = {EV_SA_SOFT, EV_SA_HARD, EV_SEQ_LOW};
	struct events *e = events_new(4096);
	struct event ev;

	for (unsigned i = 0; i < 3; i++) { /* each kind has its own */
		assert_int_equal(push_many(e, limited[i], 1000, 500), 100);
		assert_int_equal(push_many(e, never[i], 1000, 500), 500);
	}
	while (events_pop(e, &ev))
		assert_int_equal(ev.held_back, 0);
	assert_int_equal(events_lost(e), 0);

	/* Half a second later there is room for 25; the first of them says how many were not told. */
	assert_int_equal(push_many(e, EV_AUDIT, 1500, 100), 25);
	assert_true(events_pop(e, &ev));
	assert_int_equal(ev.held_back, 400);
	assert_true(events_pop(e, &ev));
	assert_int_equal(ev.held_back, 0);
	while (events_pop(e, &ev))
		assert_int_equal(ev.held_back, 0);
	assert_int_equal(push_many(e, EV_AUDIT, 1519, 1), 0);
	assert_int_equal(push_many(e, EV_AUDIT, 1520, 2), 1);
	assert_true(events_pop(e, &ev));
	assert_int_equal(ev.held_back, 76);

	/* Long silence does not save up more than a burst; the end of time does not overflow. */
	assert_int_equal(push_many(e, EV_AUDIT, UINT64_MAX, 500), 100);
	events_free(e);
}

/* 10^6 forged packets within ten seconds: what reaches the log is bounded. */
static void
million(void **state)
{
	struct events *e = events_new(1024);
	struct event ev;
	uint64_t told = 0, held = 0;

	for (unsigned i = 0; i < 1000000; i++) {
		events_push(e, &(struct event){.kind = EV_AUDIT, .now = 1 + i / 100});
		while (events_pop(e, &ev)) {
			told++;
			held += ev.held_back;
		}
	}
	assert_true(told <= 100 + 10 * 50);
	assert_true(told >= 500);
	events_push(e, &(struct event){.kind = EV_AUDIT, .now = 20000});
	assert_true(events_pop(e, &ev));
	assert_int_equal(told + held + ev.held_back, 1000000); /* none is forgotten */
	events_free(e);
}

/* Two threads; ThreadSanitizer watches where the preset says so. */
enum { TURNS = 200000 };

static void *
reader(void *arg)
{
	struct events *e = arg;
	struct event ev;
	uint64_t want = 1, bad = 0;

	while (want <= TURNS) {
		if (!events_pop(e, &ev)) {
			sched_yield();
			continue;
		}
		bad +=
		    ev.seq != want || ev.spi != (uint32_t)~want || ev.key.lport != (uint16_t)want;
		want++;
	}
	return (void *)(uintptr_t)bad;
}

static void
two_threads(void **state)
{
	struct events *e = events_new(64);
	pthread_t t;
	void *bad;

	assert_int_equal(pthread_create(&t, NULL, reader, e), 0);
	for (uint64_t i = 1; i <= TURNS; i++) {
		struct event ev = {
		    .kind = EV_SEQ_LOW, .seq = i, .spi = (uint32_t)~i, .key.lport = (uint16_t)i};

		while (!events_push(e, &ev))
			sched_yield();
	}
	assert_int_equal(pthread_join(t, &bad), 0);
	assert_null(bad);
	assert_false(events_pending(e));
	events_free(e);
}

static void
names(void **state)
{
	assert_string_equal(event_name(EV_AUDIT), "audit");
	assert_string_equal(event_name(EV_NEIGHBOUR), "neighbour");
	for (int k = 0; k < EV_MAX; k++)
		assert_non_null(event_name((enum event_kind)k));
	assert_string_equal(event_name(EV_MAX), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(order_and_room),
	    cmocka_unit_test(rate),
	    cmocka_unit_test(million),
	    cmocka_unit_test(two_threads),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
