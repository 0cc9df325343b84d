/*
 * What a packet sees of a swap: the time from the host's side to the wire of one packet after the other, in us, while nothing is swapped, and
 * while policies of many rules take turns.
 *
 *     bits_bench_swap [RULES [SWAPS]]
 *
 * A worker as bitsd has it, socket pairs in place of TAP and NIC.  Each policy is another object with other rules, built beforehand, so that what
 * is measured is the swap and not a second program on the same processor; the one before is freed during the next packets.  A swap
 * empties the flow cache: the packet behind it is looked up among all rules.  The longest time by the clock is the scheduler's as soon as
 * anything else runs on the machine: three threads take turns here.  So beside it stands the worker's own processor time for a
 * packet, and of that the worst packet of the fifty behind each swap: that is what a swap makes the data path do.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "../../tests/unit/pair_edge.h"
#include "../../tests/unit/rules.h"
#include "gen.h"
#include "shim.h"

enum { SAMPLES = 1 << 22, PERIOD_MS = 50, BEHIND = 50 };

static struct pair_edge *upper, *lower;
static double *us, *own;
static size_t taken;
static bool stop;
static clockid_t worker; /* its processor time */

static void
die(const char *what)
{
	fprintf(stderr, "bits_bench_swap: %s\n", what);
	exit(1);
}

static double
now_us(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) == -1)
		die("no such clock");
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* The clock of the thread named bits-worker: as clock_getcpuclockid(3) makes one of a process (CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED). */
static clockid_t
worker_clock(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	char path[300], name[16];
	unsigned tid = 0;

	while (d && (e = readdir(d)) != NULL) {
		FILE *f;

		snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(name, sizeof name, f) && strncmp(name, "bits-worker", 11) == 0)
			tid = (unsigned)strtoul(e->d_name, NULL, 10);
		fclose(f);
	}
	if (d)
		closedir(d);
	if (tid == 0)
		die("no worker");
	return (clockid_t)(~tid << 3 | 6);
}

static void *
traffic(void *arg)
{
	uint8_t frame[64], got[2048];
	size_t n = pair_udp(frame, 1, 2, 80);

	(void)arg;
	for (taken = 0; taken < SAMPLES && !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); taken++) {
		double before = now_us(worker), start = now_us(CLOCK_MONOTONIC);

		if (send(upper->test, frame, n, MSG_NOSIGNAL) != (ssize_t)n ||
		    pair_take(lower, got, sizeof got, 5000) != (int)n)
			die("a packet was lost");
		us[taken] = now_us(CLOCK_MONOTONIC) - start;
		own[taken] = now_us(worker) - before;
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

/* The worker's worst time for one of the packets that came behind number ${from}. */
static double
worst_behind(size_t from)
{
	double worst = 0;

	for (size_t i = from; i < from + BEHIND && i < taken; i++)
		worst = own[i] > worst ? own[i] : worst;
	return worst;
}

static void
phase(struct shim *s, const char *name, struct gen **g, size_t swaps)
{
	struct timespec period = {.tv_nsec = PERIOD_MS * 1000000L};
	double published = 0, *worst = calloc(swaps, sizeof *worst);
	size_t *from = calloc(swaps, sizeof *from);
	pthread_t thread;

	if (!worst || !from)
		die("out of memory");

	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
	if (pthread_create(&thread, NULL, traffic, NULL) != 0)
		die("no thread");
	for (size_t i = 0; i < swaps; i++) {
		double start;

		nanosleep(&period, NULL);
		start = now_us(CLOCK_MONOTONIC);
		from[i] = __atomic_load_n(&taken, __ATOMIC_RELAXED);
		if (g)
			shim_publish(s, g[i]);
		published += now_us(CLOCK_MONOTONIC) - start;
	}
	nanosleep(&period, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < swaps; i++)
		worst[i] = worst_behind(from[i]);
	qsort(worst, swaps, sizeof *worst, by_value);
	qsort(us, taken, sizeof *us, by_value);
	qsort(own, taken, sizeof *own, by_value);
	printf("%-9s %8zu packets  median %7.1f  99.9%% %7.1f  99.99%% %7.1f  longest %8.1f us; "
	       "the worker's own 99.99%% %6.1f  longest %6.1f us",
	    name, taken, us[taken / 2], us[taken - 1 - taken / 1000], us[taken - 1 - taken / 10000],
	    us[taken - 1], own[taken - 1 - taken / 10000], own[taken - 1]);
	if (g)
		printf("  (%zu swaps, %.1f ms each with freeing the old one)", swaps,
		    published / 1e3 / (double)swaps);
	printf("\n%-9s the worker's worst of %d packets behind each of %zu moments: median %.1f  "
	       "longest %.1f us\n",
	    name, BEHIND, swaps, worst[swaps / 2], worst[swaps - 1]);
	free(worst);
	free(from);
}

int
main(int argc, char **argv)
{
	size_t rules = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	size_t swaps = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;
	struct gen **g = calloc(swaps + 1, sizeof *g);
	struct shim *s;

	if (rules == 0 || swaps == 0 || g == NULL || (us = malloc(SAMPLES * sizeof *us)) == NULL ||
	    (own = malloc(SAMPLES * sizeof *own)) == NULL) {
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
	worker = worker_clock();
	phase(s, "none", NULL, swaps);
	phase(s, "swapping", &g[1], swaps);
	shim_free(s);
	free(g);
	free(us);
	free(own);
	return 0;
}
