/*
 * What several workers do beside each other, on edges of memory: nanoseconds a packet in each of them while all run, and how much more they move
 * together than one does.  Outbound by one SA that they share, and by an SA each; inbound by an SA each, as the wire shares them out.
 *
 *     bits_bench_workers [--quick] [N]        N: 2 if not said
 *
 * Only the walk is timed, not what feeds it.  With fewer processors than workers the ratio says nothing.
 */
#include <pthread.h>
#include <string.h>
#include "workers.h"
#include "world.h"

#define OCTETS 1400
#define RUNS   5

static const struct suite suite = {"aes-128-gcm", "aes-128-gcm", NULL, false};

static unsigned workers = 2;
static double seconds = 0.3;

enum kind { OUT_SHARED, OUT_OWN, IN_OWN, KINDS };
static const char *const kind_name[KINDS] = {
    "out, one SA for all", "out, an SA each", "in, an SA each"};

struct crew {
	enum kind kind;
	unsigned n; /* that run */
	pthread_barrier_t start;
	bool stop;
};

struct member {
	struct crew *crew;
	struct world *v, *peers; /* peers: inbound */
	size_t at;		 /* whose packets it moves */
	double ns;		 /* a packet */
};

/* A burst for ${v}'s upper edge, of one peer. */
static void
feed(struct world *v, size_t peer, bool from_peer)
{
	uint8_t f[2048] = {0};
	uint32_t len = world_frame(f, peer, from_peer, OCTETS);

	for (unsigned i = 0; i < BURST_MAX; i++)
		if (edge_mem_give(v->w.upper, f, len) < 0)
			world_die("out of memory");
}

static double
out_once(struct member *m)
{
	struct burst b;
	double start;

	feed(m->v, m->at, false);
	start = world_ns();
	edge_recv(m->v->w.upper, m->v->w.pool, &b, BURST_MAX);
	outbound_burst(&m->v->w, &b);
	start = world_ns() - start;
	if (!world_drain(m->v->w.lower, BURST_MAX))
		world_die("a packet was not sent");
	return start;
}

static double
in_once(struct member *m)
{
	uint8_t f[2048];
	struct burst b;
	double start;

	feed(m->peers, m->at, true);
	edge_recv(m->peers->w.upper, m->peers->w.pool, &b, BURST_MAX);
	outbound_burst(&m->peers->w, &b);
	for (int len; (len = edge_mem_take(m->peers->w.lower, f, sizeof f)) >= 0;)
		if (edge_mem_give(m->v->w.lower, f, (uint32_t)len) < 0)
			world_die("out of memory");
	start = world_ns();
	edge_recv(m->v->w.lower, m->v->w.pool, &b, BURST_MAX);
	inbound_burst(&m->v->w, &b);
	start = world_ns() - start;
	if (!world_drain(m->v->w.upper, BURST_MAX))
		world_die("a packet was not accepted");
	return start;
}

static void *
member_main(void *arg)
{
	struct member *m = arg;
	double took = 0, (*once)(struct member *) = m->crew->kind == IN_OWN ? in_once : out_once;
	unsigned long bursts = 0;

	m->v->w.rng = rng_system();
	if (m->peers)
		m->peers->w.rng = rng_system();
	for (int i = 0; i < 20; i++)
		once(m);
	pthread_barrier_wait(&m->crew->start);
	while (!__atomic_load_n(&m->crew->stop, __ATOMIC_RELAXED)) {
		took += once(m);
		bursts++;
	}
	m->ns = took / (double)(bursts * BURST_MAX);
	return NULL;
}

/* ns a packet, on average of ${n} that run at the same time; the best of some runs. */
static double
together(struct member *m, enum kind kind, unsigned n)
{
	struct timespec t = {.tv_sec = 0, .tv_nsec = (long)(seconds * 1e9)};
	double least = 1e18;

	for (int run = 0; run < RUNS; run++) {
		struct crew c = {.kind = kind, .n = n};
		pthread_t thread[WORKERS_MAX];
		double sum = 0;

		pthread_barrier_init(&c.start, NULL, n + 1);
		for (unsigned i = 0; i < n; i++) {
			m[i].crew = &c;
			m[i].at = kind == OUT_SHARED ? 0 : i;
			if (pthread_create(&thread[i], NULL, member_main, &m[i]) != 0)
				world_die("no thread");
		}
		pthread_barrier_wait(&c.start);
		nanosleep(&t, NULL);
		__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
		for (unsigned i = 0; i < n; i++) {
			pthread_join(thread[i], NULL);
			sum += m[i].ns;
		}
		pthread_barrier_destroy(&c.start);
		least = sum / n < least ? sum / n : least;
	}
	return least;
}

/* Workers of one bump: all walk by the generation of the first. */
static struct world *
worker(const struct world *first, unsigned number)
{
	struct world *v = calloc(1, sizeof *v);

	if (!v)
		world_die("out of memory");
	v->w = first->w;
	v->w.upper = edge_mem_new(LINK_ETHER, 1500);
	v->w.lower = edge_mem_new(LINK_ETHER, 1500);
	v->w.pool = pktpool_new(WORLD_SLOTS, PKT_FRAME_MAX);
	v->w.cache = flowcache_new(WORLD_FLOWS, 42);
	v->w.reasm = reasm_new();
	v->w.stats = aligned_alloc(64, (sizeof(struct stats) + 63) / 64 * 64);
	v->w.worker = number;
	v->w.many = true;
	if (!v->w.upper || !v->w.lower || !v->w.pool || !v->w.cache || !v->w.reasm || !v->w.stats)
		world_die("out of memory");
	memset(v->w.stats, 0, sizeof *v->w.stats);
	edge_bind(v->w.upper);
	edge_bind(v->w.lower);
	edge_restart(v->w.upper);
	edge_restart(v->w.lower);
	return v;
}

static void
measure(enum kind kind)
{
	struct world *base = world_new(&suite, workers, kind != IN_OWN, false);
	struct member m[WORKERS_MAX] = {0};
	double one, all;

	for (unsigned i = 0; i < workers; i++) {
		m[i].v = worker(base, i);
		if (kind == IN_OWN)
			m[i].peers = world_new(&suite, workers, true, true);
	}
	one = together(m, kind, 1);
	all = together(m, kind, workers);
	printf("%-20s %8u %10.1f %10.1f %10.2f %10.2f %8.2f\n", kind_name[kind], workers, one, all,
	    8 * OCTETS / one, workers * 8 * OCTETS / all, workers * one / all);
}

int
main(int argc, char **argv)
{
	const char *why;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			seconds = 0.03;
		else if ((workers = (unsigned)atoi(argv[i])) < 1 || workers > WORKERS_MAX)
			world_die("usage: bits_bench_workers [--quick] [N]");
	}
	workers_set(workers);
	if (crypto_select("auto", &why) < 0)
		world_die(why);
	printf("%-20s %8s %10s %10s %10s %10s %8s\n", crypto_backend_name(), "workers", "ns alone",
	    "ns of all", "Gb/s alone", "Gb/s all", "ratio");
	for (enum kind k = OUT_SHARED; k < KINDS; k++)
		measure(k);
	return 0;
}
