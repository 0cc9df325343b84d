/*
 * A worker: one thread that reads bursts from both its edges and walks them.
 *
 * It blocks in epoll when nothing comes, and never wakes up by itself.  It reads generation and next hops once per burst, as an
 * RCU reader (liburcu's QSBR flavour: reading costs nothing, each round of the loop is a quiescent state, and a blocked or
 * parked worker counts as offline).
 *
 * Orders come from the control thread and are obeyed between two bursts:
 *   PARKED  touches no edge; the control thread may bind, unbind, pause and restart them.
 *   DRAIN   reads what the edges still hold and drops it as NOT_RUNNING, then parks.
 *   RUN     bursts pass.
 *   END     the thread ends.
 */
#ifndef BITS_WORKER_H
#define BITS_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include "datapath.h"

enum worker_order { WORKER_PARKED, WORKER_DRAIN, WORKER_RUN, WORKER_END };

/* What a worker shares with the shim that owns it. */
struct worker_env {
	struct edge *upper, *lower;
	struct gen **gen;              /* RCU-protected pointers of the shim */
	struct nexthops **nexthops;
	struct live **live;            /* NULL in it: nobody captures */
	struct events *events;
	struct stats *stats;           /* outlives the worker */
	int event_fd;                  /* eventfd: events wait, or an edge is gone */
	uint32_t mtu;
	uint64_t pmtu_age;             /* of struct walk */
	unsigned number, workers;      /* which one of how many */
	uint16_t ipid;                 /* the same for all of them */
};

/* Opaque types. */
struct worker;

/** worker_new(env): allocates all a worker ever needs and starts its thread, parked.  NULL and errno. */
struct worker *worker_new(const struct worker_env *env);

/** worker_meet(w, all, n): the ${n} workers that ${w} is one of, all parked.  Before the first order, where there is more than one. */
void worker_meet(struct worker *w, struct worker *const all[], unsigned n);

/** worker_free(w): ends the thread and frees.  NULL is fine. */
void worker_free(struct worker *w);

/** worker_order(w, o): gives order ${o} (not END) and waits until it is obeyed: PARKED and DRAIN return when the worker is parked and no
 * packet is in flight, RUN when the next burst can begin. */
void worker_order(struct worker *w, enum worker_order o);

/** worker_inject(w, frame, len): a frame of the control thread's own (at most WORKER_INJECT_MAX octets) for the lower edge; goes out when the
 * worker runs.  false: too long, or too many wait. */
bool worker_inject(struct worker *w, const uint8_t *frame, uint32_t len);
#define WORKER_INJECT_MAX 128

/** worker_watch(w): looks up the edges' descriptors anew; worker parked.  0, or -1 and errno. */
int worker_watch(struct worker *w);

/** worker_edge_gone(w): the worker found an edge gone and parked itself; since the last worker_watch(). */
bool worker_edge_gone(const struct worker *w);

/** worker_wake(w): the worker looks at what packets wait for, also when none come. */
void worker_wake(struct worker *w);

/** worker_rounds(w): grows with each burst and each time the worker looks for packets; one that runs and was woken and is not stuck has come on. */
uint64_t worker_rounds(const struct worker *w);

/** worker_synchronize(w, n): returns when none of the ${n} workers uses anything it read before the call; these are all there are. */
void worker_synchronize(struct worker *const w[], unsigned n);

/** worker_events_heard(w): the control thread is about to empty the event ring; later events ring event_fd again. */
void worker_events_heard(struct worker *w);

/** worker_set_mtu(w, mtu): of the lower edge, from the next burst on. */
void worker_set_mtu(struct worker *w, uint32_t mtu);

/** worker_cache_stats(w, hits, misses): adds this worker's.  The numbers may be some packets old. */
void worker_cache_stats(const struct worker *w, uint64_t *hits, uint64_t *misses);

#endif
