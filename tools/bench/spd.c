/*
 * Policy lookup by number of rules, in ns: classification of a packet whose flow is not in the cache; of that, the index; trying
 * rule after rule instead; a hit in the flow cache.
 *
 *     bits_bench_spd [LOOKUPS [SEED]]
 *
 * Half of the packets lie near a rule, half anywhere; both directions and families.  Each figure is the best of some rounds, in
 * the thread's own CPU time, and each round goes over all numbers of rules, so that what else the machine does, and other users
 * of its caches, count little.
 */
#include <stdio.h>
#include <time.h>
#include "../../tests/unit/rules.h"
#include "flowcache.h"
#include "spd.h"

enum { SIZES = 5, ROUNDS = 15, FLOWS = 1 << 16, HITS = 100000, BUSY_FLOWS = 1024 };

/* So many rules, the packets to look up in them, and the best figures so far. */
struct bed {
	size_t rules, lookups;
	struct policy **rule;
	struct flowkey *key;
	struct spd *spd;
	double index, linear, miss, hit, build_ms;
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
less(double a, double b)
{
	return a < b ? a : b;
}

static double
measure(lookup find, const struct bed *b, size_t n)
{
	double start = now_ns();
	uintptr_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (uintptr_t)find(b->spd, &b->key[i], NULL);
	sink = sum;
	return (now_ns() - start) / (double)n;
}

/* What classification costs a packet whose flow is not in the worker's cache: asking there, the SPD, reading what the rule
 * says, remembering it.  In a new generation nothing is known. */
static double
measure_miss(const struct bed *b, struct flowcache *c, uint64_t generation)
{
	double start = now_ns();
	uintptr_t sum = 0;

	for (size_t i = 0; i < b->lookups; i++) {
		struct flow f = {0};

		if (flowcache_get(c, &b->key[i], generation))
			continue;
		f.policy = spd_lookup(b->spd, &b->key[i], NULL);
		sum += f.policy ? f.policy->action : 0;
		flowcache_put(c, &b->key[i], generation, &f);
	}
	sink = sum;
	return (now_ns() - start) / (double)b->lookups;
}

/* Hits on as many flows as a busy host has. */
static double
measure_hit(const struct bed *b, struct flowcache *c, uint64_t generation)
{
	size_t n = b->lookups < BUSY_FLOWS ? b->lookups : BUSY_FLOWS;
	uintptr_t sum = 0;
	double start;

	for (size_t i = 0; i < n; i++)
		flowcache_put(c, &b->key[i], generation,
		    &(struct flow){.policy = spd_lookup(b->spd, &b->key[i], NULL)});
	start = now_ns();
	for (size_t i = 0; i < HITS; i++)
		sum += (uintptr_t)flowcache_get(c, &b->key[i % n], generation);
	sink = sum;
	return (now_ns() - start) / HITS;
}

static void
bed_make(struct bed *b, enum world w, size_t rules, size_t lookups)
{
	enum builtin_set builtins[BUILTIN_MAX] = {0};
	double start;

	*b = (struct bed){.rules = rules, .lookups = lookups, .rule = rules_make(w, rules)};
	b->index = b->linear = b->miss = b->hit = 1e18;
	if ((b->key = malloc(lookups * sizeof *b->key)) == NULL)
		abort();
	for (size_t i = 0; i < lookups; i++)
		b->key[i] = rules_key(w, i % 2 ? b->rule[rules_rnd((uint32_t)rules)] : NULL);
	start = now_ns();
	if ((b->spd = spd_new(b->rule, rules, builtins)) == NULL)
		abort();
	b->build_ms = (now_ns() - start) / 1e6;
}

static void
bed_free(struct bed *b)
{
	spd_free(b->spd);
	free(b->key);
	rules_free(b->rule, b->rules);
}

static void
run(struct bed bed[SIZES])
{
	for (unsigned round = 0; round < ROUNDS; round++)
		for (struct bed *b = bed; b < bed + SIZES; b++) {
			struct flowcache *c = flowcache_new(FLOWS, rules_rnd64());
			size_t few = b->rules > 10000 ? 2000 : 20000;

			if (c == NULL)
				abort();
			b->index = less(b->index, measure(spd_lookup, b, b->lookups));
			b->miss = less(b->miss, measure_miss(b, c, 1));
			b->miss = less(b->miss, measure_miss(b, c, 2));
			b->hit = less(b->hit, measure_hit(b, c, 3));
			if (round < 2)
				b->linear =
				    less(b->linear, measure(spd_lookup_linear, b,
							few < b->lookups ? few : b->lookups));
			flowcache_free(c);
		}
}

int
main(int argc, char **argv)
{
	static const size_t sizes[SIZES] = {10, 100, 1000, 10000, 100000};
	static const struct {
		enum world w;
		const char *name;
	} worlds[] = {{WORLD_MIXED, "mixed"}, {WORLD_WIDE, "wide"}, {WORLD_SITE, "site"}};
	size_t lookups = argc > 1 ? strtoul(argv[1], NULL, 10) : 50000;
	struct bed bed[SIZES];

	if (lookups == 0) {
		fprintf(stderr, "usage: bits_bench_spd [LOOKUPS [SEED]]\n");
		return 2;
	}
	printf("%-6s %8s %10s %10s %11s %8s %9s\n", "rules", "number", "miss ns", "index ns",
	    "linear ns", "hit ns", "build ms");
	for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++) {
		const struct bed *few = &bed[1], *many = &bed[SIZES - 1];

		rules_seed(argc > 2 ? strtoul(argv[2], NULL, 10) : 1);
		for (int i = 0; i < SIZES; i++)
			bed_make(&bed[i], worlds[w].w, sizes[i], lookups);
		run(bed);
		for (const struct bed *b = bed; b < bed + SIZES; b++)
			printf("%-6s %8zu %10.1f %10.1f %11.1f %8.1f %9.1f\n", worlds[w].name,
			    b->rules, b->miss, b->index, b->linear, b->hit, b->build_ms);
		printf("%-6s ratio miss at 100000 / at 100: %.2f\n", worlds[w].name,
		    many->miss / few->miss);
		printf("%-6s ratio index at 100000 / at 100: %.2f\n", worlds[w].name,
		    many->index / few->index);
		printf("%-6s ratio linear / index at 100000: %.0f\n", worlds[w].name,
		    many->linear / many->index);
		printf("%-6s ratio hit at 100000 / at 100: %.2f\n", worlds[w].name,
		    many->hit / few->hit);
		fflush(stdout);
		for (int i = 0; i < SIZES; i++)
			bed_free(&bed[i]);
	}
	return 0;
}
