#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>
#include <urcu-qsbr.h>
#include "acquire.h"
#include "crypto.h"
#include "edge.h"
#include "events.h"
#include "flowcache.h"
#include "fragcheck.h"
#include "gen.h"
#include "linger.h"
#include "live.h"
#include "log.h"
#include "mono.h"
#include "nexthop.h"
#include "privs.h"
#include "reasm.h"
#include "recent.h"
#include "worker.h"
#include "workers.h"

#define POOL_SLOTS 1024 /* bursts in hand, ICMP of our own, fragments that wait */
#define CACHE_FLOWS                                                                                \
	262144 /* a host with 100,000 SAs in use keeps its flows; untouched pages cost nothing */
#define EDGE_FDS_MAX 16
#define TURNS	     4	 /* bursts of a side that has more, before epoll is asked about the other */
#define UNSENT_MS    1	 /* until a wire that was full is asked again */
#define DRAIN_BURSTS 256 /* an attacker who keeps sending must not keep a restart from happening */

enum side { UPPER = 0, LOWER = 1 };

struct worker {
	struct worker_env env;
	struct walk walk;
	struct live *live; /* NULL: nobody captures */
	struct linger linger;
	int epfd, wake_fd;
	struct recent *others[WORKERS_MAX];
	uint32_t polled; /* bit per side: has no descriptor, so is tried on each wake-up (memory) */
	pthread_t thread;

	/* orders; both words are written under the lock, and want is read without it */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	uint32_t want, is;
	bool gone; /* under the lock */
	struct {
		uint32_t len;
		uint8_t frame[WORKER_INJECT_MAX];
	} inject[16]; /* under the lock */
	unsigned injected;

	/* written by the control thread, read by the worker, or the other way round: atomic */
	uint32_t mtu;
	uint32_t rung;	 /* event_fd was written and nobody listened yet */
	uint64_t rounds; /* quiescent states passed */
	uint64_t hits, misses;
};

static uint32_t
wanted(const struct worker *w)
{
	return __atomic_load_n(&w->want, __ATOMIC_ACQUIRE);
}

static void
ring(const struct worker *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->env.event_fd, &one, sizeof one);

	(void)n; /* EAGAIN: it is readable already */
}

/* No pointer read before is used after this.  The counter carries the ordering once more in terms a race detector sees,
 * which does not see into liburcu. */
static void
quiesce(struct worker *w)
{
	__atomic_store_n(&w->rounds, w->rounds + 1, __ATOMIC_RELEASE);
	rcu_quiescent_state();
}

/* What is in force now. */
static void
look(struct worker *w)
{
	w->walk.gen = __atomic_load_n(w->env.gen, __ATOMIC_CONSUME);
	w->walk.nexthops = __atomic_load_n(w->env.nexthops, __ATOMIC_CONSUME);
	w->walk.mtu = __atomic_load_n(&w->mtu, __ATOMIC_RELAXED);
	w->live = __atomic_load_n(w->env.live, __ATOMIC_CONSUME);
}

/* From here to capture_off() who captures is told of packets; ${b}: the burst just read, NULL: none. */
static void
capture_on(struct worker *w, const struct burst *b)
{
	if (w->live)
		live_begin(w->live, &w->walk, b, mono_epoch_ns);
}

static void
capture_off(struct worker *w)
{
	if (w->live)
		live_end(w->live, &w->walk);
}

/* One burst from one side through the walk.  Number of packets, or -1: the edge is gone. */
static int
burst(struct worker *w, enum side side)
{
	struct walk *k = &w->walk;
	struct burst b;
	int n;

	look(w);
	n = edge_recv(side == UPPER ? w->env.upper : w->env.lower, k->pool, &b, BURST_MAX);
	if (n <= 0)
		return n;
	k->now = mono_ms();
	capture_on(w, &b);
	if (side == UPPER)
		outbound_burst(k, &b);
	else
		inbound_burst(k, &b);
	capture_off(w);
	return n;
}

/* After some bursts: wake the control thread when there is something to tell, publish the cache's counters. */
static void
tell(struct worker *w)
{
	uint64_t hits, misses;

	if (events_pending(w->env.events) && !__atomic_exchange_n(&w->rung, 1, __ATOMIC_ACQ_REL))
		ring(w);
	flowcache_stats(w->walk.cache, &hits, &misses);
	__atomic_store_n(&w->hits, hits, __ATOMIC_RELAXED);
	__atomic_store_n(&w->misses, misses, __ATOMIC_RELAXED);
}

/* What the control thread has to send; only after it rang. */
static void
send_injected(struct worker *w)
{
	struct burst b = {0};
	struct pkt *p;

	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < w->injected && (p = pkt_new(w->walk.pool)) != NULL; i++) {
		memcpy(pkt_put(p, w->inject[i].len), w->inject[i].frame, w->inject[i].len);
		p->link = LINK_ETHER;
		p->bypass = 1;
		b.p[b.n++] = p;
	}
	w->injected = 0;
	pthread_mutex_unlock(&w->lock);
	if (b.n == 0)
		return;
	stats_add(&w->walk.stats->made[DIR_OUT], b.n);
	edge_send(w->env.lower, &b);
	w->walk.now = mono_ms();
	look(w);
	capture_on(w, NULL);
	account_burst(&w->walk, &b, DIR_OUT);
	capture_off(w);
}

/* ms until a packet has waited too long for its SA, or the wire may take what it did not; -1: nothing waits. */
static int
patience(const struct worker *w)
{
	int ms = acquire_held(w->walk.acquire) ? acquire_left(w->walk.acquire, mono_ms()) : -1;

	return w->env.lower->unsent && (ms < 0 || ms > UNSENT_MS) ? UNSENT_MS : ms;
}

/* A new generation, or time, may be what held packets waited for. */
static void
go_on(struct worker *w)
{
	if (acquire_held(w->walk.acquire) == 0)
		return;
	look(w);
	w->walk.now = mono_ms();
	capture_on(w, NULL);
	outbound_held(&w->walk);
	capture_off(w);
	tell(w);
	quiesce(w);
}

/* Asks epoll until it knows of something, a little while only; in between whoever else may have work for this processor gets it. */
static int
look_longer(struct worker *w, struct epoll_event *ev)
{
	uint64_t since = mono_ns(), now = since;
	int n = 0;

	if (!linger_begin(&w->linger, since))
		return 0;
	while (!linger_over(since, now) && wanted(w) == WORKER_RUN) {
		if ((n = epoll_wait(w->epfd, ev, EDGE_FDS_MAX + 1, 0)) != 0)
			return n;
		sched_yield();
		now = mono_ns();
	}
	linger_lost(&w->linger);
	return 0;
}

/* Sides that epoll says are readable; ${block}s until there is one or an order comes. */
static uint32_t
wait_for_packets(struct worker *w, bool block)
{
	struct epoll_event ev[EDGE_FDS_MAX + 1];
	uint32_t ready = 0;
	uint64_t count;
	int n;

	if (!block) {
		n = epoll_wait(w->epfd, ev, EDGE_FDS_MAX + 1, 0);
	} else if ((n = look_longer(w, ev)) == 0) {
		__atomic_store_n(&w->rounds, w->rounds + 1, __ATOMIC_RELEASE);
		rcu_thread_offline();
		n = epoll_wait(w->epfd, ev, EDGE_FDS_MAX + 1, patience(w));
		rcu_thread_online();
		if (n == 0 && w->env.lower->unsent)
			ready |= 1u << LOWER;
	}
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 <= LOWER) {
			ready |= 1u << ev[i].data.u32;
		} else {
			ssize_t r = read(w->wake_fd, &count, sizeof count);

			(void)r;
			ready |= w->polled;
			send_injected(w);
		}
	}
	return ready;
}

/* A burst from each side of ${ready}, so that neither starves the other.  Those that have more, or -1: an edge is gone. */
static int
take_turns(struct worker *w, uint32_t ready)
{
	struct edge *edge[2] = {w->env.upper, w->env.lower};

	for (enum side s = UPPER; s <= LOWER; s++) {
		if (!(ready & 1u << s))
			continue;
		if (burst(w, s) < 0)
			return -1;
		if (!edge[s]->more)
			ready &= ~(1u << s);
	}
	tell(w);
	quiesce(w);
	return (int)ready;
}

/* RUN: until another order comes (true), or an edge is gone (false).  A side that has more is read again before epoll is asked, but epoll is
 * asked now and then all the same: the other side may have something by now. */
static bool
run(struct worker *w)
{
	int ready = 0;

	while (wanted(w) == WORKER_RUN) {
		ready |= (int)wait_for_packets(w, ready == 0);
		if (wanted(w) == WORKER_RUN)
			go_on(w);
		for (int i = 0; i < TURNS && ready && wanted(w) == WORKER_RUN; i++)
			if ((ready = take_turns(w, (uint32_t)ready)) < 0)
				return false;
	}
	return true;
}

/* DRAIN: what waited while nothing was allowed to pass is counted, and goes nowhere. */
static void
drain(struct worker *w)
{
	for (enum side s = UPPER; s <= LOWER; s++)
		for (int i = 0; i < DRAIN_BURSTS && burst(w, s) > 0; i++)
			;
	tell(w);
}

/* How many may run this thread?  On the only one there is, waiting awake keeps away what is waited for. */
static int
processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;

	prctl(PR_SET_NAME,
	    "bits-worker"); /* pthread_setname_np() would look for /proc, which bitsd has left */
	w->walk.rng = rng_system();
	if (privs_worker() < 0)
		fatal("a worker cannot give up what it does not need");
	w->linger.on = processors() > 1;
	rcu_register_thread();
	rcu_thread_offline();
	pthread_mutex_lock(&w->lock);
	while (w->want != WORKER_END) {
		uint32_t order = w->want;
		bool there = true;

		if (order == WORKER_PARKED) {
			w->is = WORKER_PARKED;
			pthread_cond_broadcast(&w->cond);
			pthread_cond_wait(&w->cond, &w->lock);
			continue;
		}
		w->is = order;
		w->walk.running = order == WORKER_RUN;
		pthread_cond_broadcast(&w->cond);
		pthread_mutex_unlock(&w->lock);

		rcu_thread_online();
		if (order == WORKER_RUN)
			there = run(w);
		else
			drain(w);
		__atomic_store_n(&w->rounds, w->rounds + 1, __ATOMIC_RELEASE);
		rcu_thread_offline();

		pthread_mutex_lock(&w->lock);
		if (!there) {
			w->gone = true;
			if (w->want == WORKER_RUN)
				__atomic_store_n(&w->want, WORKER_PARKED, __ATOMIC_RELEASE);
			ring(w);
		} else if (order == WORKER_DRAIN && w->want == WORKER_DRAIN) {
			__atomic_store_n(&w->want, WORKER_PARKED, __ATOMIC_RELEASE);
		}
	}
	w->is = WORKER_END;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
	rcu_unregister_thread();
	return NULL;
}

/* The thread takes no signals: they are the control thread's. */
static int
start(struct worker *w)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		errno = error;
		return -1;
	}
	return 0;
}

struct worker *
worker_new(const struct worker_env *env)
{
	struct worker *w = calloc(1, sizeof *w);
	uint64_t seed;

	if (!w)
		goto err0;
	w->env = *env;
	w->mtu = env->mtu;
	w->epfd = -1;
	w->want = w->is = WORKER_PARKED;
	w->walk.upper = env->upper;
	w->walk.lower = env->lower;
	w->walk.events = env->events;
	w->walk.stats = env->stats;
	w->walk.pmtu_age = env->pmtu_age;
	w->walk.worker = env->number;
	w->walk.many = env->workers > 1;
	w->walk.ipid = (uint16_t)(env->ipid + env->number);
	w->walk.ipid_skip = (uint16_t)(env->workers - 1);
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		goto err1;
	if ((w->walk.pool = pktpool_new(POOL_SLOTS, PKT_FRAME_MAX)) == NULL)
		goto err1;
	if ((w->walk.cache = flowcache_new(CACHE_FLOWS, seed)) == NULL)
		goto err2;
	if ((w->walk.reasm = reasm_new()) == NULL)
		goto err3;
	if ((w->walk.fragcheck = fragcheck_new(seed)) == NULL)
		goto err4;
	if ((w->walk.recent = recent_new()) == NULL)
		goto err5;
	if ((w->walk.acquire = acquire_new()) == NULL)
		goto err5;
	if ((w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		goto err5;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	if (start(w) < 0)
		goto err6;
	return w;
err6:
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	close(w->wake_fd);
err5:
	recent_free(w->walk.recent);
err4:
	acquire_free(w->walk.acquire, w->walk.pool);
	fragcheck_free(w->walk.fragcheck);
	reasm_free(w->walk.reasm, w->walk.pool);
err3:
	flowcache_free(w->walk.cache);
err2:
	pktpool_free(w->walk.pool);
err1:
	free(w);
err0:
	return NULL;
}

void
worker_meet(struct worker *w, struct worker *const all[], unsigned n)
{
	w->walk.nrecents = 0;
	for (unsigned i = 0; i < n; i++)
		if (all[i] != w)
			w->others[w->walk.nrecents++] = all[i]->walk.recent;
	w->walk.recents = w->others;
	recent_share(w->walk.recent);
}

/* Under the lock: a new order, and out of epoll with it. */
static void
give(struct worker *w, enum worker_order o)
{
	uint64_t one = 1;
	ssize_t n;

	__atomic_store_n(&w->want, o, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&w->cond);
	n = write(w->wake_fd, &one, sizeof one);
	(void)n;
}

void
worker_order(struct worker *w, enum worker_order o)
{
	pthread_mutex_lock(&w->lock);
	give(w, o);
	/* DRAIN becomes PARKED by itself, and so does RUN when an edge is gone */
	while (w->is != w->want || w->is == WORKER_DRAIN)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

bool
worker_inject(struct worker *w, const uint8_t *frame, uint32_t len)
{
	uint64_t one = 1;
	bool fits;
	ssize_t n;

	pthread_mutex_lock(&w->lock);
	fits = len <= WORKER_INJECT_MAX && w->injected < sizeof w->inject / sizeof w->inject[0];
	if (fits) {
		memcpy(w->inject[w->injected].frame, frame, len);
		w->inject[w->injected++].len = len;
	}
	pthread_mutex_unlock(&w->lock);
	n = write(w->wake_fd, &one, sizeof one);
	(void)n;
	return fits;
}

void
worker_free(struct worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	give(w, WORKER_END);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	if (w->epfd >= 0)
		close(w->epfd);
	close(w->wake_fd);
	acquire_free(w->walk.acquire, w->walk.pool);
	fragcheck_free(w->walk.fragcheck);
	recent_free(w->walk.recent);
	reasm_free(w->walk.reasm, w->walk.pool);
	flowcache_free(w->walk.cache);
	pktpool_free(w->walk.pool);
	free(w);
}

int
worker_watch(struct worker *w)
{
	struct edge *edge[2] = {w->env.upper, w->env.lower};
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = LOWER + 1};
	int fd[EDGE_FDS_MAX], n;

	if (w->epfd >= 0)
		close(w->epfd);
	w->polled = 0;
	if ((w->epfd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		return -1;
	if (epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0)
		return -1;
	for (enum side s = UPPER; s <= LOWER; s++) {
		ev.data.u32 = s;
		n = edge_fds(edge[s], fd, EDGE_FDS_MAX);
		if (n == 0)
			w->polled |= 1u << s;
		for (int i = 0; i < n; i++)
			if (epoll_ctl(w->epfd, EPOLL_CTL_ADD, fd[i], &ev) < 0)
				return -1;
	}
	pthread_mutex_lock(&w->lock);
	w->gone = false;
	pthread_mutex_unlock(&w->lock);
	return 0;
}

bool
worker_edge_gone(const struct worker *w)
{
	struct worker *x = (struct worker *)(uintptr_t)w;
	bool gone;

	pthread_mutex_lock(&x->lock);
	gone = x->gone;
	pthread_mutex_unlock(&x->lock);
	return gone;
}

void
worker_wake(struct worker *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->wake_fd, &one, sizeof one);

	(void)n;
}

uint64_t
worker_rounds(const struct worker *w)
{
	return __atomic_load_n(&w->rounds, __ATOMIC_RELAXED);
}

void
worker_synchronize(struct worker *const w[], unsigned n)
{
	synchronize_rcu();
	for (unsigned i = 0; i < n; i++)
		(void)__atomic_load_n(&w[i]->rounds, __ATOMIC_ACQUIRE);
}

void
worker_events_heard(struct worker *w)
{
	__atomic_store_n(&w->rung, 0, __ATOMIC_RELEASE);
}

void
worker_set_mtu(struct worker *w, uint32_t mtu)
{
	__atomic_store_n(&w->mtu, mtu, __ATOMIC_RELAXED);
}

void
worker_cache_stats(const struct worker *w, uint64_t *hits, uint64_t *misses)
{
	*hits += __atomic_load_n(&w->hits, __ATOMIC_RELAXED);
	*misses += __atomic_load_n(&w->misses, __ATOMIC_RELAXED);
}
