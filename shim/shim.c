#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>
#include "events.h"
#include "log.h"
#include "shim.h"
#include "worker.h"
#include "workers.h"

#define EVENT_RING 1024

/* What one worker has for itself; the last two outlive it. */
struct lane {
	struct edge *upper, *lower;
	uint64_t rounds; /* its, when it was last seen to have come on */
	struct events *events;
	_Alignas(64) struct stats stats;
};

struct shim {
	enum shim_state state;
	struct lane *lane;		    /* WORKERS_MAX */
	struct worker *worker[WORKERS_MAX]; /* NULL when HALTED */
	unsigned n;			    /* lanes with edges */
	struct gen *gen;		    /* read by the workers: see shim_publish() */
	struct nexthops *nexthops;	    /* the same */
	struct live *live;		    /* the same; NULL: nobody captures */
	int event_fd;
	uint32_t mtu;
	uint64_t pmtu_age;
	bool gone;	       /* an edge is gone and shim_edge_gone() has not told yet */
	uint64_t hits, misses; /* of workers that ended */
	uint64_t pulse;	       /* see shim_pulse() */
};

const char *
shim_state_name(enum shim_state st)
{
	static const char *const name[] = {"halted", "paused", "running", "pausing"};

	return name[st];
}

/* The only place where the state changes. */
static void
shim_to(struct shim *s, enum shim_state to)
{
	static const uint8_t allowed[] = {
	    [SHIM_HALTED] = 1u << SHIM_PAUSED,
	    [SHIM_PAUSED] = 1u << SHIM_RUNNING | 1u << SHIM_HALTED,
	    [SHIM_RUNNING] = 1u << SHIM_PAUSING,
	    [SHIM_PAUSING] = 1u << SHIM_PAUSED,
	};

	if (!(allowed[s->state] & 1u << to))
		fatalx("the bump cannot go from %s to %s", shim_state_name(s->state),
		    shim_state_name(to));
	assert((s->worker[0] != NULL) == (to != SHIM_HALTED));
	log_debug("shim", "%s -> %s", shim_state_name(s->state), shim_state_name(to));
	s->state = to;
}

/* What decides before the first policy is there: nothing passes, not even what is built in. */
static struct gen *
deny_all(void)
{
	enum builtin_set none[BUILTIN_MAX];

	for (int b = 0; b < BUILTIN_MAX; b++)
		none[b] = BUILTIN_DENY;
	return gen_new(0, NULL, 0, none, NULL, 0);
}

/* Lane ${i} is ready for edges.  0, or -1 and ENOMEM. */
static int
lane_open(struct shim *s, unsigned i)
{
	if (!s->lane[i].events && (s->lane[i].events = events_new(EVENT_RING)) == NULL)
		return -1;
	return 0;
}

struct shim *
shim_new(struct edge *upper, struct edge *lower)
{
	struct shim *s = calloc(1, sizeof *s);

	if (!s)
		goto err0;
	if ((s->gen = deny_all()) == NULL)
		goto err1;
	if ((s->nexthops = nexthops_new(NULL, 0)) == NULL)
		goto err2;
	if ((s->lane = aligned_alloc(64, WORKERS_MAX * sizeof *s->lane)) == NULL)
		goto err3;
	memset(s->lane, 0, WORKERS_MAX * sizeof *s->lane);
	if (lane_open(s, 0) < 0)
		goto err4;
	if ((s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		goto err5;
	s->lane[0].upper = upper;
	s->lane[0].lower = lower;
	s->n = 1;
	return s;
err5:
	events_free(s->lane[0].events);
err4:
	free(s->lane);
err3:
	nexthops_free(s->nexthops);
err2:
	gen_free(s->gen);
err1:
	free(s);
err0:
	return NULL;
}

static void
drop_edges(struct shim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		edge_free(s->lane[i].upper);
		edge_free(s->lane[i].lower);
		s->lane[i].upper = s->lane[i].lower = NULL;
	}
	s->n = 1;
}

void
shim_free(struct shim *s)
{
	if (!s)
		return;
	if (s->state != SHIM_HALTED)
		shim_halt(s);
	drop_edges(s);
	close(s->event_fd);
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		events_free(s->lane[i].events);
	free(s->lane);
	nexthops_free(s->nexthops);
	gen_free(s->gen);
	free(s);
}

void
shim_set_edges(struct shim *s, struct edge *upper, struct edge *lower)
{
	assert(s->state == SHIM_HALTED);
	drop_edges(s);
	s->lane[0].upper = upper;
	s->lane[0].lower = lower;
}

void
shim_add_edges(struct shim *s, struct edge *upper, struct edge *lower)
{
	assert(s->state == SHIM_HALTED && s->n < WORKERS_MAX);
	s->lane[s->n].upper = upper;
	s->lane[s->n].lower = lower;
	s->n++;
}

/* The first ${n} lanes' edges; errno is kept. */
static void
unbind(struct shim *s, unsigned n)
{
	int saved = errno;

	while (n-- > 0) {
		edge_unbind(s->lane[n].upper);
		edge_unbind(s->lane[n].lower);
	}
	errno = saved;
}

static int
bind_lane(struct lane *l)
{
	int saved;

	if (!l->upper || !l->lower) {
		errno = ENODEV;
		return -1;
	}
	if (edge_bind(l->lower) < 0)
		return -1;
	if (edge_bind(l->upper) < 0) {
		saved = errno;
		edge_unbind(l->lower);
		errno = saved;
		return -1;
	}
	return 0;
}

static int
start(struct shim *s, unsigned i, uint16_t ipid)
{
	struct lane *l = &s->lane[i];
	struct worker_env env = {
	    .upper = l->upper,
	    .lower = l->lower,
	    .gen = &s->gen,
	    .nexthops = &s->nexthops,
	    .live = &s->live,
	    .stats = &l->stats,
	    .event_fd = s->event_fd,
	    .mtu = s->mtu,
	    .pmtu_age = s->pmtu_age,
	    .number = i,
	    .workers = s->n,
	    .ipid = ipid,
	};

	if (lane_open(s, i) < 0)
		return -1;
	env.events = l->events;
	return (s->worker[i] = worker_new(&env)) == NULL ? -1 : 0;
}

static void
end_workers(struct shim *s)
{
	int saved = errno;

	for (unsigned i = 0; i < s->n; i++) {
		worker_free(s->worker[i]);
		s->worker[i] = NULL;
	}
	errno = saved;
}

static void
order(struct shim *s, enum worker_order o)
{
	for (unsigned i = 0; i < s->n; i++)
		worker_order(s->worker[i], o);
}

static bool
any_gone(const struct shim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (worker_edge_gone(s->worker[i]))
			return true;
	return false;
}

int
shim_init(struct shim *s)
{
	struct edge_caps caps;
	uint16_t ipid;
	unsigned bound, i;

	assert(s->state == SHIM_HALTED);
	for (bound = 0; bound < s->n; bound++)
		if (bind_lane(&s->lane[bound]) < 0)
			goto err;
	edge_caps(s->lane[0].lower, &caps);
	s->mtu = caps.mtu;
	if (getrandom(&ipid, sizeof ipid, 0) != sizeof ipid)
		goto err;
	for (i = 0; i < s->n; i++) {
		if (start(s, i, ipid) < 0) {
			log_warn("cannot start a worker");
			end_workers(s);
			goto err;
		}
	}
	for (i = 0; s->n > 1 && i < s->n; i++)
		worker_meet(s->worker[i], s->worker, s->n);
	s->gone = false;
	shim_to(s, SHIM_PAUSED);
	return 0;
err:
	unbind(s, bound);
	return -1;
}

/* Both edges of lane ${i} pass packets, and its worker watches them.  0; or -1 and errno, and nothing of it passes. */
static int
open_lane(struct shim *s, unsigned i)
{
	struct lane *l = &s->lane[i];

	if (edge_restart(l->lower) < 0) {
		log_warn("cannot restart the lower edge");
		goto err0;
	}
	if (edge_restart(l->upper) < 0) {
		log_warn("cannot restart the upper edge");
		goto err1;
	}
	if (worker_watch(s->worker[i]) < 0) {
		log_warn("cannot watch the edges");
		goto err2;
	}
	return 0;
err2:
	edge_pause(l->upper);
err1:
	edge_pause(l->lower);
err0:
	return -1;
}

static void
close_lanes(struct shim *s, unsigned n)
{
	while (n-- > 0) {
		edge_pause(s->lane[n].upper);
		edge_pause(s->lane[n].lower);
	}
}

int
shim_restart(struct shim *s)
{
	assert(s->state == SHIM_PAUSED);
	order(s, WORKER_DRAIN);
	for (unsigned i = 0; i < s->n; i++) {
		if (open_lane(s, i) < 0) {
			close_lanes(s, i);
			return -1;
		}
	}
	s->gone = false;
	order(s, WORKER_RUN);
	shim_to(s, SHIM_RUNNING);
	return 0;
}

void
shim_pause(struct shim *s)
{
	assert(s->state == SHIM_RUNNING);
	shim_to(s, SHIM_PAUSING);
	order(s, WORKER_PARKED);
	if (any_gone(s))
		s->gone = true;
	close_lanes(s, s->n);
	shim_to(s, SHIM_PAUSED);
}

void
shim_halt(struct shim *s)
{
	if (s->state == SHIM_HALTED)
		return;
	if (s->state == SHIM_RUNNING)
		shim_pause(s);
	for (unsigned i = 0; i < s->n; i++)
		worker_cache_stats(s->worker[i], &s->hits, &s->misses);
	end_workers(s);
	shim_to(s, SHIM_HALTED);
	unbind(s, s->n);
}

enum shim_state
shim_state(const struct shim *s)
{
	return s->state;
}

const struct gen *
shim_gen(const struct shim *s)
{
	return s->gen;
}

void
shim_publish(struct shim *s, struct gen *g)
{
	struct gen *old = s->gen;

	__atomic_store_n(&s->gen, g, __ATOMIC_RELEASE);
	shim_synchronize(s);
	for (unsigned i = 0; i < s->n && s->worker[i]; i++)
		worker_wake(s->worker[i]); /* packets may wait for an SA that is there now */
	gen_free(old);
}

void
shim_publish_after(struct shim *s, struct gen *g, void (*last)(void *ctx), void *ctx)
{
	bool parked[WORKERS_MAX] = {false};

	for (unsigned i = 0; s->state == SHIM_RUNNING && i < s->n; i++) {
		parked[i] = !worker_edge_gone(s->worker[i]);
		if (parked[i])
			worker_order(s->worker[i], WORKER_PARKED);
	}
	last(ctx);
	shim_publish(s, g);
	for (unsigned i = 0; i < s->n; i++)
		if (parked[i])
			worker_order(s->worker[i], WORKER_RUN);
}

void
shim_publish_nexthops(struct shim *s, struct nexthops *t)
{
	struct nexthops *old = s->nexthops;

	__atomic_store_n(&s->nexthops, t, __ATOMIC_RELEASE);
	shim_synchronize(s);
	nexthops_free(old);
}

void
shim_publish_live(struct shim *s, struct live *l)
{
	__atomic_store_n(&s->live, l, __ATOMIC_RELEASE);
	shim_synchronize(s);
}

void
shim_synchronize(struct shim *s)
{
	if (s->worker[0])
		worker_synchronize(s->worker, s->n);
}

uint64_t
shim_pulse(struct shim *s)
{
	uint64_t rounds[WORKERS_MAX];
	bool stands = false;

	if (s->state != SHIM_RUNNING || any_gone(s))
		return ++s->pulse;
	for (unsigned i = 0; i < s->n; i++) {
		worker_wake(s->worker[i]);
		rounds[i] = worker_rounds(s->worker[i]);
		stands |= rounds[i] == s->lane[i].rounds;
	}
	/* Until each has, none is noted, so that one that stands still is not hidden by those that do not. */
	for (unsigned i = 0; !stands && i < s->n; i++)
		s->lane[i].rounds = rounds[i];
	return stands ? s->pulse : ++s->pulse;
}

int
shim_look(struct shim *s)
{
	int rc = 0;

	for (unsigned i = 0; s->state == SHIM_RUNNING && i < s->n; i++)
		if (edge_look(s->lane[i].lower) < 0)
			rc = -1;
	return rc;
}

bool
shim_inject(struct shim *s, const uint8_t *frame, uint32_t len)
{
	return shim_state(s) == SHIM_RUNNING && worker_inject(s->worker[0], frame, len);
}

void
shim_stats(const struct shim *s, struct stats *sum)
{
	*sum = (struct stats){0};
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		stats_sum(sum, &s->lane[i].stats);
}

void
shim_cache_stats(const struct shim *s, uint64_t *hits, uint64_t *misses)
{
	*hits = s->hits;
	*misses = s->misses;
	for (unsigned i = 0; i < s->n && s->worker[i]; i++)
		worker_cache_stats(s->worker[i], hits, misses);
}

uint32_t
shim_mtu(const struct shim *s)
{
	return s->mtu;
}

void
shim_set_mtu(struct shim *s, uint32_t mtu)
{
	s->mtu = mtu;
	for (unsigned i = 0; i < s->n && s->worker[i]; i++)
		worker_set_mtu(s->worker[i], mtu);
}

void
shim_set_pmtu_age(struct shim *s, uint64_t ms)
{
	s->pmtu_age = ms;
}

int
shim_event_fd(const struct shim *s)
{
	return s->event_fd;
}

static bool
pop(struct shim *s, struct event *ev)
{
	for (unsigned i = 0; i < WORKERS_MAX && s->lane[i].events; i++)
		if (events_pop(s->lane[i].events, ev))
			return true;
	return false;
}

bool
shim_event_next(struct shim *s, struct event *ev)
{
	uint64_t count;

	if (pop(s, ev))
		return true;
	/* first say that we listen, then look once more: an event pushed between the two rings again */
	if (read(s->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		log_warn("event descriptor");
	for (unsigned i = 0; i < s->n && s->worker[i]; i++)
		worker_events_heard(s->worker[i]);
	return pop(s, ev);
}

bool
shim_edge_gone(struct shim *s)
{
	bool gone;

	if (s->state == SHIM_RUNNING && any_gone(s))
		shim_pause(s);
	gone = s->gone;
	s->gone = false;
	return gone;
}

uint64_t
shim_events_lost(const struct shim *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WORKERS_MAX && s->lane[i].events; i++)
		n += events_lost(s->lane[i].events);
	return n;
}

struct edge *
shim_upper(struct shim *s)
{
	return s->lane[0].upper;
}

struct edge *
shim_lower(struct shim *s)
{
	return s->lane[0].lower;
}
