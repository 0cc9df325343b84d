/*
 * What a running capture costs the data path: packets a second through the walk, outbound with AES-128-GCM, by size; without a capture, with one of
 * everything, and with four.  Each is read by a thread of its own, as ipsecctl reads it.  Some turns are taken, and the figure is each kind's best.
 *
 *     bits_bench_capture [SECONDS]
 *
 * ipsecctl(8) promises at most 5 %.
 */
#include <pthread.h>
#include <sys/mman.h>
#include "live.h"
#include "mono.h"
#include "world.h"

enum { TURNS = 7, KINDS = 3, FRAME = 2048 };

static bool stop;

/* One capture's reader: takes what there is, then rests as ipsecctl does. */
static void *
reader(void *arg)
{
	struct capring *r = arg;
	struct capture_rec rec;
	static _Thread_local uint8_t octets[FRAME];

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		while (capring_get(r, &rec, octets, sizeof octets) == 1)
			;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return NULL;
}

static struct capring *
ring_new(void)
{
	struct capring *r =
	    mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (r == MAP_FAILED)
		world_die("out of memory");
	capring_begin(r);
	return r;
}

/* ns a packet during ${seconds}; ${l} NULL: nobody captures. */
static double
run(struct world *v, struct live *l, uint32_t octets, double seconds)
{
	uint8_t frame[FRAME];
	uint32_t len = world_frame(frame, 0, false, octets);
	double begin = world_ns(), took = 0;
	size_t packets = 0;

	do {
		struct burst b;
		double start;

		for (unsigned i = 0; i < BURST_MAX; i++)
			edge_mem_give(v->w.upper, frame, len);
		start = world_ns();
		edge_recv(v->w.upper, v->w.pool, &b, BURST_MAX);
		v->w.now = (uint64_t)(start / 1e6); /* as the worker does */
		if (l)
			live_begin(l, &v->w, &b, mono_epoch_ns);
		outbound_burst(&v->w, &b);
		if (l)
			live_end(l, &v->w);
		took += world_ns() - start;
		if (!world_drain(v->w.lower, BURST_MAX))
			world_die("a packet was not sent");
		packets += BURST_MAX;
	} while (world_ns() - begin < seconds * 1e9);
	return took / (double)packets;
}

/* The best of some turns with 0, 1 and LIVE_TAPS captures. */
static void
compare(struct world *v, uint32_t octets, double seconds, double best[KINDS])
{
	static const unsigned captures[KINDS] = {0, 1, LIVE_TAPS};

	for (int k = 0; k < KINDS; k++)
		best[k] = 1e18;
	for (int turn = 0; turn < TURNS * KINDS; turn++) {
		int k = turn % KINDS;
		struct live_tap taps[LIVE_TAPS] = {0};
		pthread_t thread[LIVE_TAPS];
		struct live *l = NULL;
		double ns;

		stop = false;
		for (unsigned i = 0; i < captures[k]; i++) {
			taps[i].ring = ring_new();
			taps[i].points = CAPTURE_AT_HOST | CAPTURE_AT_WIRE | CAPTURE_DROPPED;
			if (pthread_create(&thread[i], NULL, reader, taps[i].ring) != 0)
				world_die("no thread");
		}
		if (captures[k] && (l = live_new(taps)) == NULL)
			world_die("out of memory");
		ns = run(v, l, octets, seconds);
		best[k] = ns < best[k] ? ns : best[k];
		__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
		live_free(l);
		for (unsigned i = 0; i < captures[k]; i++) {
			pthread_join(thread[i], NULL);
			munmap(taps[i].ring, sizeof *taps[i].ring);
		}
	}
}

int
main(int argc, char **argv)
{
	static const struct suite gcm = {.name = "aes-128-gcm", .enc = "aes-128-gcm"};
	static const uint32_t sizes[] = {64, 576, 1400};
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	const char *why;

	if (seconds <= 0) {
		fprintf(stderr, "usage: bits_bench_capture [SECONDS]\n");
		return 2;
	}
	if (crypto_select("auto", &why) < 0)
		world_die(why);
	printf("%6s %12s %12s %8s %12s %8s\n", "octets", "without ns", "captured ns", "ratio",
	    "four ns", "ratio");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct world *v = world_new(&gcm, 1, true, false);
		double ns[KINDS];

		compare(v, sizes[i], seconds, ns);
		printf("%6u %12.1f %12.1f %8.3f %12.1f %8.3f\n", sizes[i], ns[0], ns[1],
		    ns[1] / ns[0], ns[2], ns[2] / ns[0]);
		fflush(stdout);
		world_free(v, v->sa[0]->out->be);
	}
	return 0;
}
