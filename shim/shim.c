#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "events.h"
#include "log.h"
#include "shim.h"
#include "worker.h"

#define EVENT_RING 1024

struct shim {
	enum shim_state state;
	struct edge *upper, *lower;
	struct worker *worker;	   /* NULL when HALTED */
	struct gen *gen;	   /* read by the worker: see shim_publish() */
	struct nexthops *nexthops; /* the same */
	struct live *live;	   /* the same; NULL: nobody captures */
	struct events *events;
	struct stats stats;
	int event_fd;
	uint32_t mtu;
	uint64_t pmtu_age;
	bool gone;	       /* an edge is gone and shim_edge_gone() has not told yet */
	uint64_t hits, misses; /* of workers that ended */
	uint64_t still;	       /* looks at workers that were not to run */
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
	assert((s->worker != NULL) == (to != SHIM_HALTED));
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
	if ((s->events = events_new(EVENT_RING)) == NULL)
		goto err3;
	if ((s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		goto err4;
	s->upper = upper;
	s->lower = lower;
	return s;
err4:
	events_free(s->events);
err3:
	nexthops_free(s->nexthops);
err2:
	gen_free(s->gen);
err1:
	free(s);
err0:
	return NULL;
}

void
shim_free(struct shim *s)
{
	if (!s)
		return;
	if (s->state != SHIM_HALTED)
		shim_halt(s);
	edge_free(s->upper);
	edge_free(s->lower);
	close(s->event_fd);
	events_free(s->events);
	nexthops_free(s->nexthops);
	gen_free(s->gen);
	free(s);
}

void
shim_set_edges(struct shim *s, struct edge *upper, struct edge *lower)
{
	assert(s->state == SHIM_HALTED);
	edge_free(s->upper);
	edge_free(s->lower);
	s->upper = upper;
	s->lower = lower;
}

int
shim_init(struct shim *s)
{
	struct edge_caps caps;
	struct worker_env env = {
	    .upper = s->upper,
	    .lower = s->lower,
	    .gen = &s->gen,
	    .nexthops = &s->nexthops,
	    .live = &s->live,
	    .events = s->events,
	    .stats = &s->stats,
	    .event_fd = s->event_fd,
	    .pmtu_age = s->pmtu_age,
	};
	int saved;

	assert(s->state == SHIM_HALTED);
	if (!s->upper || !s->lower) {
		errno = ENODEV;
		goto err0;
	}
	if (edge_bind(s->lower) < 0)
		goto err0;
	if (edge_bind(s->upper) < 0)
		goto err1;
	edge_caps(s->lower, &caps);
	env.mtu = s->mtu = caps.mtu;
	if ((s->worker = worker_new(&env)) == NULL) {
		log_warn("cannot start the worker");
		goto err2;
	}
	s->gone = false;
	shim_to(s, SHIM_PAUSED);
	return 0;
err2:
	saved = errno;
	edge_unbind(s->upper);
	errno = saved;
err1:
	saved = errno;
	edge_unbind(s->lower);
	errno = saved;
err0:
	return -1;
}

int
shim_restart(struct shim *s)
{
	assert(s->state == SHIM_PAUSED);
	worker_order(s->worker, WORKER_DRAIN);
	if (edge_restart(s->lower) < 0) {
		log_warn("cannot restart the lower edge");
		goto err0;
	}
	if (edge_restart(s->upper) < 0) {
		log_warn("cannot restart the upper edge");
		goto err1;
	}
	if (worker_watch(s->worker) < 0) {
		log_warn("cannot watch the edges");
		goto err2;
	}
	s->gone = false;
	worker_order(s->worker, WORKER_RUN);
	shim_to(s, SHIM_RUNNING);
	return 0;
err2:
	edge_pause(s->upper);
err1:
	edge_pause(s->lower);
err0:
	return -1;
}

void
shim_pause(struct shim *s)
{
	assert(s->state == SHIM_RUNNING);
	shim_to(s, SHIM_PAUSING);
	worker_order(s->worker, WORKER_PARKED);
	if (worker_edge_gone(s->worker))
		s->gone = true;
	edge_pause(s->upper);
	edge_pause(s->lower);
	shim_to(s, SHIM_PAUSED);
}

void
shim_halt(struct shim *s)
{
	if (s->state == SHIM_HALTED)
		return;
	if (s->state == SHIM_RUNNING)
		shim_pause(s);
	worker_cache_stats(s->worker, &s->hits, &s->misses);
	worker_free(s->worker);
	s->worker = NULL;
	shim_to(s, SHIM_HALTED);
	edge_unbind(s->upper);
	edge_unbind(s->lower);
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
	if (s->worker) {
		worker_synchronize(s->worker);
		worker_wake(s->worker); /* packets may wait for an SA that is there now */
	}
	gen_free(old);
}

void
shim_publish_after(struct shim *s, struct gen *g, void (*last)(void *ctx), void *ctx)
{
	bool parked = s->state == SHIM_RUNNING && !worker_edge_gone(s->worker);

	if (parked)
		worker_order(s->worker, WORKER_PARKED);
	last(ctx);
	shim_publish(s, g);
	if (parked)
		worker_order(s->worker, WORKER_RUN);
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
	if (s->worker)
		worker_synchronize(s->worker);
}

uint64_t
shim_pulse(struct shim *s)
{
	if (!s->worker || s->state != SHIM_RUNNING || worker_edge_gone(s->worker))
		return ++s->still;
	worker_wake(s->worker);
	return worker_rounds(s->worker);
}

bool
shim_inject(struct shim *s, const uint8_t *frame, uint32_t len)
{
	return s->worker && shim_state(s) == SHIM_RUNNING && worker_inject(s->worker, frame, len);
}

void
shim_stats(const struct shim *s, struct stats *sum)
{
	*sum = (struct stats){0};
	stats_sum(sum, &s->stats);
}

void
shim_cache_stats(const struct shim *s, uint64_t *hits, uint64_t *misses)
{
	*hits = s->hits;
	*misses = s->misses;
	if (s->worker)
		worker_cache_stats(s->worker, hits, misses);
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
	if (s->worker)
		worker_set_mtu(s->worker, mtu);
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

bool
shim_event_next(struct shim *s, struct event *ev)
{
	uint64_t count;

	if (events_pop(s->events, ev))
		return true;
	/* first say that we listen, then look once more: an event pushed between the two rings again */
	if (read(s->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		log_warn("event descriptor");
	if (s->worker)
		worker_events_heard(s->worker);
	return events_pop(s->events, ev);
}

bool
shim_edge_gone(struct shim *s)
{
	bool gone;

	if (s->state == SHIM_RUNNING && worker_edge_gone(s->worker))
		shim_pause(s);
	gone = s->gone;
	s->gone = false;
	return gone;
}

uint64_t
shim_events_lost(const struct shim *s)
{
	return events_lost(s->events);
}

struct edge *
shim_upper(struct shim *s)
{
	return s->upper;
}

struct edge *
shim_lower(struct shim *s)
{
	return s->lower;
}
