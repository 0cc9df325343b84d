/*
 * What a packet sees of a swap: the time from the host's side to the wire of one packet after the other, in us, while nothing is swapped, and
 * while policies of many rules take turns.
 *
 *     bits_bench_swap [RULES [SWAPS]]
 *
 * A worker as bitsd has it, socket pairs in place of TAP and NIC.  Each policy is another object with other rules, built beforehand, so that what
 * is measured is the swap and not a second program on the same processor; the one before is freed during the next packets.  A swap
 * empties the flow cache: the packet behind it is looked up among all rules.  The longest time is the scheduler's as soon as anything else
 * runs on the machine: three threads take turns here; compare it with the line of no swaps.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "../../tests/unit/pair_edge.h"
#include "../../tests/unit/rules.h"
#include "gen.h"
#include "shim.h"

enum { SAMPLES = 1 << 22, PERIOD_MS = 50 };

static struct pair_edge *upper, *lower;
static double *us;
static size_t taken;
static bool stop;

static void
die(const char *what)
{
	fprintf(stderr, "bits_bench_swap: %s\n", what);
	exit(1);
}

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void *
traffic(void *arg)
{
	uint8_t frame[64], got[2048];
	size_t n = pair_udp(frame, 1, 2, 80);

	(void)arg;
	for (taken = 0; taken < SAMPLES && !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); taken++) {
		double start = now_us();

		if (send(upper->test, frame, n, MSG_NOSIGNAL) != (ssize_t)n ||
		    pair_take(lower, got, sizeof got, 5000) != (int)n)
			die("a packet was lost");
		us[taken] = now_us() - start;
	}
	return NULL;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A policy of its own: random rules, and all else in clear. */
static struct gen *
policy(uint64_t number, size_t rules)
{
	struct policy **r = rules_make(WORLD_MIXED, rules);
	struct gen *g;

	policy_unref(r[rules - 1]);
	r[rules - 1] = policy_new();
	for (size_t i = 0; i < rules; i++) {
		r[i]->action = ACT_BYPASS;
		r[i]->type = FLOW_BYPASS;
		r[i]->nsteps = 0;
	}
	if ((g = gen_new(number, r, rules, NULL, NULL, 0)) == NULL)
		die("out of memory");
	rules_free(r, rules);
	return g;
}

static void
phase(struct shim *s, const char *name, struct gen **g, size_t swaps)
{
	struct timespec period = {.tv_nsec = PERIOD_MS * 1000000L};
	double published = 0;
	pthread_t thread;

	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
	if (pthread_create(&thread, NULL, traffic, NULL) != 0)
		die("no thread");
	for (size_t i = 0; i < swaps; i++) {
		double start;

		nanosleep(&period, NULL);
		start = now_us();
		if (g)
			shim_publish(s, g[i]);
		published += now_us() - start;
	}
	nanosleep(&period, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	qsort(us, taken, sizeof *us, by_value);
	printf("%-9s %8zu packets  median %7.1f  99.9%% %7.1f  99.99%% %7.1f  longest %8.1f us",
	    name, taken, us[taken / 2], us[taken - 1 - taken / 1000], us[taken - 1 - taken / 10000],
	    us[taken - 1]);
	if (g)
		printf("  (%zu swaps, %.1f ms each with freeing the old one)", swaps,
		    published / 1e3 / (double)swaps);
	putchar('\n');
}

int
main(int argc, char **argv)
{
	size_t rules = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	size_t swaps = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;
	struct gen **g = calloc(swaps + 1, sizeof *g);
	struct shim *s;

	if (rules == 0 || swaps == 0 || g == NULL || (us = malloc(SAMPLES * sizeof *us)) == NULL) {
		fprintf(stderr, "usage: bits_bench_swap [RULES [SWAPS]]\n");
		return 2;
	}
	rules_seed(1);
	for (size_t i = 0; i <= swaps; i++)
		g[i] = policy(i + 2, rules);
	upper = pair_new();
	lower = pair_new();
	if ((s = shim_new(&upper->e, &lower->e)) == NULL)
		die("no bump");
	shim_publish(s, g[0]);
	if (shim_init(s) < 0 || shim_restart(s) < 0)
		die("no bump");
	phase(s, "none", NULL, swaps);
	phase(s, "swapping", &g[1], swaps);
	shim_free(s);
	free(g);
	free(us);
	return 0;
}
