/* links: bits_control bits_edge bits_walk */
/*
 * The state machine of shim.h and the worker behind it: nothing passes unless RUNNING, pausing waits for what is in hand, a generation
 * is swapped under traffic, a lost edge parks the bump and comes back.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "events.h"
#include "mono.h"
#include "pair_edge.h"
#include "shim.h"
#include "workers.h"

struct fix {
	struct pair_edge *upper, *lower;
	struct shim *s;
	uint64_t number;
};

/* A generation without rules; built-ins as said. */
static void
publish(struct fix *f, enum builtin_set set)
{
	enum builtin_set b[BUILTIN_MAX];
	struct gen *g;

	for (int i = 0; i < BUILTIN_MAX; i++)
		b[i] = set;
	g = gen_new(++f->number, NULL, 0, b, NULL, 0);
	assert_non_null(g);
	shim_publish(f->s, g);
}

static int
setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	f->upper = pair_new();
	f->lower = pair_new();
	f->s = shim_new(&f->upper->e, &f->lower->e);
	assert_non_null(f->s);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	shim_free(f->s);
	free(f);
	return 0;
}

static void
give(struct pair_edge *e, uint8_t mark)
{
	uint8_t frame[64];
	size_t n = pair_arp(frame, mark);

	assert_int_equal(send(e->test, frame, n, 0), n);
}

/* The mark of the next frame out of ${e}, -1: none comes. */
static int
take(struct pair_edge *e, int ms)
{
	uint8_t frame[2048];
	int n = pair_take(e, frame, sizeof frame, ms);

	return n == 42 ? frame[41] : -1;
}

static void
test_life(void **state)
{
	struct fix *f = *state;

	assert_int_equal(shim_state(f->s), SHIM_HALTED);
	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_state(f->s), SHIM_PAUSED);
	assert_true(f->upper->e.bound && f->lower->e.bound);
	assert_int_equal(shim_restart(f->s), 0);
	assert_int_equal(shim_state(f->s), SHIM_RUNNING);
	shim_pause(f->s);
	assert_int_equal(shim_state(f->s), SHIM_PAUSED);
	assert_false(f->upper->e.running || f->lower->e.running);
	assert_int_equal(shim_restart(f->s), 0);
	shim_halt(f->s);
	assert_int_equal(shim_state(f->s), SHIM_HALTED);
	assert_false(f->upper->e.bound || f->lower->e.bound);
	assert_int_equal(shim_init(f->s), 0);
	shim_halt(f->s);
	assert_int_equal(f->upper->binds, 2);
}

static void
test_bind_fails(void **state)
{
	struct fix *f = *state;

	f->upper->refuse = true;
	assert_int_equal(shim_init(f->s), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(shim_state(f->s), SHIM_HALTED);
	assert_false(f->lower->e.bound);
	f->upper->refuse = false;
	assert_int_equal(shim_init(f->s), 0);
}

static void
test_no_edges(void **state)
{
	struct fix *f = *state;

	shim_set_edges(f->s, NULL, NULL);
	assert_int_equal(shim_init(f->s), -1);
	assert_int_equal(errno, ENODEV);
	f->upper = pair_new();
	f->lower = pair_new();
	shim_set_edges(f->s, &f->upper->e, &f->lower->e);
	assert_int_equal(shim_init(f->s), 0);
}

static void
test_first_generation_denies(void **state)
{
	struct fix *f = *state;
	struct stats st;

	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_restart(f->s), 0);
	give(f->upper, 1);
	give(f->lower, 2);
	assert_int_equal(take(f->lower, 200), -1);
	assert_int_equal(take(f->upper, 0), -1);
	shim_pause(f->s);
	shim_stats(f->s, &st);
	assert_int_equal(st.read[DIR_OUT].packets, 1);
	assert_int_equal(st.read[DIR_IN].packets, 1);
	assert_int_equal(st.sent[DIR_OUT].packets + st.sent[DIR_IN].packets, 0);
}

static void
test_passes_both_ways(void **state)
{
	struct fix *f = *state;
	struct stats st;

	publish(f, BUILTIN_BYPASS);
	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_restart(f->s), 0);
	for (uint8_t i = 0; i < 100; i++) {
		give(f->upper, i);
		assert_int_equal(take(f->lower, 2000), i);
		give(f->lower, i);
		assert_int_equal(take(f->upper, 2000), i);
	}
	shim_pause(f->s);
	shim_stats(f->s, &st);
	for (int d = DIR_OUT; d <= DIR_IN; d++) {
		assert_int_equal(st.read[d].packets, 100);
		assert_int_equal(st.sent[d].packets, 100);
		assert_int_equal(st.bypassed[d], 100);
	}
}

static void
test_nothing_passes_while_paused(void **state)
{
	struct fix *f = *state;
	struct stats st;

	publish(f, BUILTIN_BYPASS);
	assert_int_equal(shim_init(f->s), 0);
	give(f->upper, 1);
	give(f->lower, 2);
	assert_int_equal(take(f->lower, 100), -1);
	assert_int_equal(take(f->upper, 0), -1);
	assert_int_equal(shim_restart(f->s), 0);
	assert_int_equal(take(f->lower, 100), -1); /* not later either */
	assert_int_equal(take(f->upper, 0), -1);
	give(f->upper, 3);
	assert_int_equal(take(f->lower, 2000), 3);
	shim_pause(f->s);
	give(f->upper, 4);
	assert_int_equal(take(f->lower, 100), -1);
	assert_int_equal(shim_restart(f->s), 0);
	give(f->upper, 5);
	assert_int_equal(take(f->lower, 2000), 5);
	shim_pause(f->s);
	shim_stats(f->s, &st);
	assert_int_equal(st.drop[DIR_OUT][DROP_NOT_RUNNING], 2);
	assert_int_equal(st.drop[DIR_IN][DROP_NOT_RUNNING], 1);
	assert_int_equal(st.sent[DIR_OUT].packets, 2);
}

static void
test_stats_outlive_the_worker(void **state)
{
	struct fix *f = *state;
	struct stats st;

	publish(f, BUILTIN_BYPASS);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(shim_init(f->s), 0);
		assert_int_equal(shim_restart(f->s), 0);
		give(f->upper, 7);
		assert_int_equal(take(f->lower, 2000), 7);
		shim_halt(f->s);
		shim_stats(f->s, &st);
		assert_int_equal(st.sent[DIR_OUT].packets, i);
	}
}

/* Another thread that sends as fast as it can, and counts what comes out. */
struct traffic {
	struct pair_edge *in, *out;
	bool stop;
	uint64_t given, taken;
};

static void *
send_traffic(void *arg)
{
	struct traffic *t = arg;
	uint8_t frame[64], got[2048];
	size_t n = pair_arp(frame, 0);

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		if (send(t->in->test, frame, n, MSG_NOSIGNAL) > 0)
			t->given++;
		while (recv(t->out->test, got, sizeof got, 0) > 0)
			__atomic_fetch_add(&t->taken, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Has something passed, and has something been discarded? */
static bool
both_seen(struct fix *f, const struct traffic *t)
{
	struct stats st;

	shim_stats(f->s, &st);
	return __atomic_load_n(&t->taken, __ATOMIC_RELAXED) > 0 &&
	       st.drop[DIR_OUT][DROP_POLICY_DISCARD] > 0;
}

static void
test_publish_under_traffic(void **state)
{
	struct fix *f = *state;
	struct traffic t = {.in = f->upper, .out = f->lower};
	uint64_t until;
	pthread_t thread;
	struct stats st;
	int swaps = 0;

	publish(f, BUILTIN_BYPASS);
	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_restart(f->s), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_traffic, &t), 0);
	/* a busy machine may let the other threads run under one of the two policies only for a while */
	for (until = mono_ms() + 700;
	     mono_ms() < until || (mono_ms() < until + 20000 && !both_seen(f, &t)); swaps++) {
		struct nexthop h = {.dst = {.b = {10, 0, 0, 1}, .af = 4}};

		publish(f, swaps % 2 ? BUILTIN_BYPASS : BUILTIN_DENY);
		shim_publish_nexthops(f->s, nexthops_new(&h, 1));
		if (swaps % 16 == 0) {
			shim_pause(f->s);
			assert_int_equal(shim_restart(f->s), 0);
		}
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	shim_pause(f->s);
	shim_stats(f->s, &st);
	assert_true(swaps > 10);
	assert_true(t.taken > 0);
	/* the books: what was read went through or was dropped for one of two reasons */
	assert_int_equal(st.read[DIR_OUT].packets,
	    st.bypassed[DIR_OUT] + st.drop[DIR_OUT][DROP_POLICY_DISCARD] +
		st.drop[DIR_OUT][DROP_NOT_RUNNING] + st.drop[DIR_OUT][DROP_EDGE_FULL]);
	assert_true(st.drop[DIR_OUT][DROP_POLICY_DISCARD] > 0);
}

static void
test_pause_waits(void **state)
{
	struct fix *f = *state;
	struct traffic t = {.in = f->upper, .out = f->lower};
	struct stats before, after;
	pthread_t thread;

	publish(f, BUILTIN_BYPASS);
	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_restart(f->s), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_traffic, &t), 0);
	for (int i = 0; i < 50; i++) {
		shim_pause(f->s);
		shim_stats(f->s, &before);
		usleep(1000);
		shim_stats(f->s, &after);
		assert_memory_equal(&before, &after, sizeof before); /* no packet was in flight */
		assert_int_equal(shim_restart(f->s), 0);
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

struct still {
	struct fix *f;
	struct stats before;
	int asked;
};

/* No burst is in hand while this runs, whatever waits at the edges. */
static void
look_twice(void *ctx)
{
	struct still *st = ctx;
	struct stats after;

	shim_stats(st->f->s, &st->before);
	usleep(1000);
	shim_stats(st->f->s, &after);
	assert_memory_equal(&st->before, &after, sizeof after);
	st->asked++;
}

static void
test_publish_after(void **state)
{
	struct fix *f = *state;
	struct traffic t = {.in = f->upper, .out = f->lower};
	enum builtin_set b[BUILTIN_MAX] = {BUILTIN_BYPASS};
	struct still st = {.f = f};
	struct stats after;
	pthread_t thread;

	shim_publish_after(f->s, gen_new(++f->number, NULL, 0, b, NULL, 0), look_twice, &st);
	assert_int_equal(st.asked, 1); /* also without a worker */
	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_restart(f->s), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_traffic, &t), 0);
	for (int i = 0; i < 50; i++) {
		uint64_t until = mono_ms() + 5000;

		shim_publish_after(
		    f->s, gen_new(++f->number, NULL, 0, b, NULL, 0), look_twice, &st);
		assert_int_equal(shim_state(f->s), SHIM_RUNNING);
		do /* and it goes on by itself */
			shim_stats(f->s, &after);
		while (after.read[DIR_OUT].packets == st.before.read[DIR_OUT].packets &&
		       mono_ms() < until);
		assert_true(after.read[DIR_OUT].packets > st.before.read[DIR_OUT].packets);
	}
	assert_int_equal(st.asked, 51);
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	shim_pause(f->s);
	shim_publish_after(f->s, gen_new(++f->number, NULL, 0, b, NULL, 0), look_twice, &st);
	assert_int_equal(shim_state(f->s), SHIM_PAUSED);
}

/* The event descriptor becomes readable within ${ms}. */
static bool
rings(struct shim *s, int ms)
{
	struct pollfd p = {.fd = shim_event_fd(s), .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static void
test_edge_gone(void **state)
{
	struct fix *f = *state;

	publish(f, BUILTIN_BYPASS);
	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_restart(f->s), 0);
	assert_false(shim_edge_gone(f->s));
	close(f->lower->test);
	f->lower->test = -1;
	assert_true(rings(f->s, 2000));
	assert_true(shim_edge_gone(f->s));
	assert_false(shim_edge_gone(f->s)); /* told once */
	assert_int_equal(shim_state(f->s), SHIM_PAUSED);
	give(f->upper, 1);
	usleep(20000);
	edge_unbind(shim_lower(f->s));
	assert_int_equal(edge_bind(shim_lower(f->s)), 0);
	assert_int_equal(shim_restart(f->s), 0);
	give(f->upper, 2);
	assert_int_equal(take(f->lower, 2000), 2);
}

static void
test_idle_costs_nothing(void **state)
{
	struct fix *f = *state;
	struct timespec a, b;

	publish(f, BUILTIN_BYPASS);
	assert_int_equal(shim_init(f->s), 0);
	assert_int_equal(shim_restart(f->s), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	usleep(300000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec < 30000000LL);
}

#define LANES 3

struct lanes {
	struct fix f;
	struct pair_edge *upper[LANES], *lower[LANES];
};

static int
setup_lanes(void **state)
{
	struct lanes *l = calloc(1, sizeof *l);

	workers_set(LANES);
	for (int i = 0; i < LANES; i++) {
		l->upper[i] = pair_new();
		l->lower[i] = pair_new();
	}
	l->f.upper = l->upper[0];
	l->f.lower = l->lower[0];
	l->f.s = shim_new(&l->upper[0]->e, &l->lower[0]->e);
	for (int i = 1; i < LANES; i++)
		shim_add_edges(l->f.s, &l->upper[i]->e, &l->lower[i]->e);
	*state = l;
	return 0;
}

static int
teardown_lanes(void **state)
{
	struct lanes *l = *state;

	shim_free(l->f.s);
	free(l);
	workers_set(1);
	return 0;
}

/* Each worker moves what its own edges have; all begin, pause and end together; their counters are one. */
static void
test_several_workers(void **state)
{
	struct lanes *l = *state;
	struct shim *s = l->f.s;
	struct stats st;

	publish(&l->f, BUILTIN_BYPASS);
	l->upper[2]->refuse = true;
	assert_int_equal(shim_init(s), -1);
	for (int i = 0; i < LANES; i++)
		assert_false(l->upper[i]->e.bound || l->lower[i]->e.bound);
	l->upper[2]->refuse = false;
	for (uint8_t turn = 1; turn <= 3; turn++) {
		assert_int_equal(shim_init(s), 0);
		assert_int_equal(shim_restart(s), 0);
		for (int i = 0; i < LANES; i++) {
			give(l->upper[i], (uint8_t)(turn * 16 + i));
			assert_int_equal(take(l->lower[i], 2000), turn * 16 + i);
			give(l->lower[i], (uint8_t)(turn * 16 + i));
			assert_int_equal(take(l->upper[i], 2000), turn * 16 + i);
		}
		publish(&l->f, BUILTIN_BYPASS);
		shim_pause(s);
		for (int i = 0; i < LANES; i++)
			assert_false(l->upper[i]->e.running || l->lower[i]->e.running);
		shim_stats(s, &st);
		assert_int_equal(st.sent[DIR_OUT].packets, turn * LANES);
		assert_int_equal(st.sent[DIR_IN].packets, turn * LANES);
		assert_int_equal(shim_restart(s), 0);
		shim_halt(s);
	}
}

/* One edge of one worker is gone: nothing passes by any. */
static void
test_one_of_several_gone(void **state)
{
	struct lanes *l = *state;
	struct shim *s = l->f.s;
	struct pollfd p = {.fd = shim_event_fd(s), .events = POLLIN};
	struct event ev;

	publish(&l->f, BUILTIN_BYPASS);
	assert_int_equal(shim_init(s), 0);
	assert_int_equal(shim_restart(s), 0);
	close(l->upper[1]->test);
	l->upper[1]->test = -1;
	assert_int_equal(poll(&p, 1, 5000), 1);
	publish(&l->f, BUILTIN_BYPASS); /* does not wait for the one that is parked */
	while (shim_event_next(s, &ev))
		;
	assert_true(shim_edge_gone(s));
	assert_int_equal(shim_state(s), SHIM_PAUSED);
	give(l->upper[0], 1);
	assert_int_equal(take(l->lower[0], 100), -1);
	shim_halt(s);
	assert_int_equal(shim_init(s), 0);
	assert_int_equal(shim_restart(s), 0);
	give(l->upper[1], 2);
	assert_int_equal(take(l->lower[1], 2000), 2);
}

/* What each has to tell is heard, and lost events of all are counted. */
static void
test_events_of_several(void **state)
{
	struct lanes *l = *state;
	struct shim *s = l->f.s;
	struct pollfd p = {.fd = shim_event_fd(s), .events = POLLIN};
	struct event ev;
	unsigned heard = 0;
	uint8_t frame[64];

	assert_int_equal(shim_init(s), 0);
	assert_int_equal(shim_restart(s), 0);
	for (int i = 0; i < LANES; i++) { /* no rule lets it pass, which is audited */
		size_t n = pair_udp(frame, 1, 2, (uint16_t)(80 + i));

		assert_int_equal(send(l->upper[i]->test, frame, n, 0), n);
	}
	while (heard < 7 && poll(&p, 1, 5000) == 1)
		while (shim_event_next(s, &ev)) {
			assert_int_equal(ev.kind, EV_AUDIT);
			heard |= 1u << (ev.key.rport - 80);
		}
	assert_int_equal(heard, 7);
	assert_int_equal(shim_events_lost(s), 0);
}

static unsigned hold, standing; /* a worker is to stand still in its edge; it does */

static int
recv_or_stand(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	while (__atomic_load_n(&hold, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&standing, 1, __ATOMIC_RELEASE);
		usleep(1000);
	}
	return pair_recv(e, pool, b, max);
}

/* Does the pulse come on from ${then} within five seconds? */
static bool
pulses(struct shim *s, uint64_t then)
{
	for (int i = 0; i < 500; i++, usleep(10000))
		if (shim_pulse(s) != then)
			return true;
	return false;
}

/* A worker that does not come on is not hidden by the others. */
static void
test_pulse_of_several(void **state)
{
	static struct edge_ops ops;
	struct lanes *l = *state;
	struct shim *s = l->f.s;
	uint64_t then = 0;

	ops = pair_ops;
	ops.recv_burst = recv_or_stand;
	l->upper[1]->e.ops = &ops;
	assert_int_equal(shim_init(s), 0);
	assert_int_equal(shim_restart(s), 0);
	for (int i = 0; i < 3; i++)
		assert_true(pulses(s, shim_pulse(s)));
	__atomic_store_n(&hold, 1, __ATOMIC_RELEASE);
	give(l->upper[1], 1);
	for (int i = 0; i < 500 && !__atomic_load_n(&standing, __ATOMIC_ACQUIRE); i++)
		usleep(10000);
	assert_int_equal(__atomic_load_n(&standing, __ATOMIC_ACQUIRE), 1);
	for (int i = 0; i < 20; i++, usleep(10000))
		then = shim_pulse(s); /* how far it had come on before counts once */
	for (int i = 0; i < 5; i++) {
		give(l->upper[0], (uint8_t)i);
		usleep(10000);
		assert_int_equal(shim_pulse(s), then);
	}
	__atomic_store_n(&hold, 0, __ATOMIC_RELEASE);
	assert_true(pulses(s, then));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define L(name) cmocka_unit_test_setup_teardown(name, setup_lanes, teardown_lanes)
	const struct CMUnitTest tests[] = {
	    T(test_life),
	    T(test_bind_fails),
	    T(test_no_edges),
	    T(test_first_generation_denies),
	    T(test_passes_both_ways),
	    T(test_nothing_passes_while_paused),
	    T(test_stats_outlive_the_worker),
	    T(test_publish_under_traffic),
	    T(test_pause_waits),
	    T(test_publish_after),
	    T(test_edge_gone),
	    T(test_idle_costs_nothing),
	    L(test_several_workers),
	    L(test_one_of_several_gone),
	    L(test_events_of_several),
	    L(test_pulse_of_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
