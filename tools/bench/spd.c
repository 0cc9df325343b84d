/*
 * Policy lookup by number of rules, in ns: classification of a packet whose flow is not in the cache; of that, the index; trying
 * rule after rule instead; a hit in the flow cache.
 *
 *     bits_bench_spd [LOOKUPS [SEED]]
 *
 * Half of the packets lie near a rule, half anywhere; both directions and families.  Each figure is the best of some rounds, in
 * the thread's own CPU time, so that what else the machine does counts little.
 */
#include <stdio.h>
#include <time.h>
#include "../../tests/unit/rules.h"
#include "flowcache.h"
#include "spd.h"

enum { SIZES = 5, ROUNDS = 7, FLOWS = 1 << 16 };

struct result {
	double index, linear, miss, hit, load_ms;
};

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Keeps the compiler from leaving a lookup out. */
static volatile uintptr_t sink;

typedef struct policy *(*lookup)(const struct spd *, const struct flowkey *, size_t *);

static double
measure(lookup find, const struct spd *spd, const struct flowkey *k, size_t n, int rounds)
{
	double best = 1e18;

	for (int r = 0; r < rounds; r++) {
		double start = now_ns(), ns;
		uintptr_t sum = 0;

		for (size_t i = 0; i < n; i++)
			sum += (uintptr_t)find(spd, &k[i], NULL);
		ns = (now_ns() - start) / (double)n;
		sink = sum;
		best = ns < best ? ns : best;
	}
	return best;
}

/* What classification costs a packet whose flow is not in the worker's cache: asking there, the SPD, reading what the rule
 * says, remembering it. */
static double
measure_miss(const struct spd *spd, const struct flowkey *k, size_t n)
{
	struct flowcache *c = flowcache_new(FLOWS, rules_rnd64());
	double best = 1e18;

	if (c == NULL)
		abort();
	for (uint64_t r = 1; r <= ROUNDS; r++) { /* in a new generation nothing is known */
		double start = now_ns(), ns;
		uintptr_t sum = 0;

		for (size_t i = 0; i < n; i++) {
			struct flow f = {0};

			if (flowcache_get(c, &k[i], r))
				continue;
			f.policy = spd_lookup(spd, &k[i], NULL);
			sum += f.policy ? f.policy->action : 0;
			flowcache_put(c, &k[i], r, &f);
		}
		ns = (now_ns() - start) / (double)n;
		sink = sum;
		best = ns < best ? ns : best;
	}
	flowcache_free(c);
	return best;
}

/* Hits on as many flows as a busy host has. */
static double
measure_hit(const struct spd *spd, const struct flowkey *k, size_t n)
{
	struct flowcache *c = flowcache_new(4 * n, rules_rnd64());
	double best = 1e18;

	if (c == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		flowcache_put(c, &k[i], 1, &(struct flow){.policy = spd_lookup(spd, &k[i], NULL)});
	for (int r = 0; r < ROUNDS; r++) {
		double start = now_ns(), ns;
		uintptr_t sum = 0;

		for (size_t i = 0; i < 100000; i++)
			sum += (uintptr_t)flowcache_get(c, &k[i % n], 1);
		ns = (now_ns() - start) / 100000;
		sink = sum;
		best = ns < best ? ns : best;
	}
	flowcache_free(c);
	return best;
}

static struct result
run(enum world w, size_t rules, size_t lookups)
{
	struct policy **r = rules_make(w, rules);
	struct flowkey *k = malloc(lookups * sizeof *k);
	enum builtin_set builtins[BUILTIN_MAX] = {0};
	size_t few = rules > 10000 ? 2000 : lookups < 20000 ? lookups : 20000;
	struct result res;
	struct spd *spd;
	double start;

	if (k == NULL)
		abort();
	for (size_t i = 0; i < lookups; i++)
		k[i] = rules_key(w, i % 2 ? r[rules_rnd((uint32_t)rules)] : NULL);
	start = now_ns();
	if ((spd = spd_new(r, rules, builtins)) == NULL)
		abort();
	res.load_ms = (now_ns() - start) / 1e6;
	res.index = measure(spd_lookup, spd, k, lookups, ROUNDS);
	res.linear = measure(spd_lookup_linear, spd, k, few, 3);
	res.miss = measure_miss(spd, k, lookups);
	res.hit = measure_hit(spd, k, lookups < 1024 ? lookups : 1024);
	spd_free(spd);
	free(k);
	rules_free(r, rules);
	return res;
}

int
main(int argc, char **argv)
{
	static const size_t sizes[SIZES] = {10, 100, 1000, 10000, 100000};
	static const struct {
		enum world w;
		const char *name;
	} worlds[] = {{WORLD_MIXED, "mixed"}, {WORLD_WIDE, "wide"}, {WORLD_SITE, "site"}};
	size_t lookups = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
	struct result res[SIZES];

	if (lookups == 0) {
		fprintf(stderr, "usage: bits_bench_spd [LOOKUPS [SEED]]\n");
		return 2;
	}
	printf("%-6s %8s %10s %10s %11s %8s %9s\n", "rules", "number", "miss ns", "index ns",
	    "linear ns", "hit ns", "build ms");
	for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++) {
		const struct result *few = &res[1], *many = &res[SIZES - 1];

		rules_seed(argc > 2 ? strtoul(argv[2], NULL, 10) : 1);
		for (int i = 0; i < SIZES; i++) {
			res[i] = run(worlds[w].w, sizes[i], lookups);
			printf("%-6s %8zu %10.1f %10.1f %11.1f %8.1f %9.1f\n", worlds[w].name,
			    sizes[i], res[i].miss, res[i].index, res[i].linear, res[i].hit,
			    res[i].load_ms);
			fflush(stdout);
		}
		printf("%-6s ratio miss at 100000 / at 100: %.2f\n", worlds[w].name,
		    many->miss / few->miss);
		printf("%-6s ratio index at 100000 / at 100: %.2f\n", worlds[w].name,
		    many->index / few->index);
		printf("%-6s ratio linear / index at 100000: %.0f\n", worlds[w].name,
		    many->linear / many->index);
		printf("%-6s ratio hit at 100000 / at 100: %.2f\n", worlds[w].name,
		    many->hit / few->hit);
	}
	return 0;
}
