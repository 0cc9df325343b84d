/*
 * The bump's life: owns the edges, the workers and the current generation.  Each worker has an upper and a lower edge of its own: a queue of
 * the TAP, and sockets that get their share of the wire's frames.
 *
 *      HALTED --init--> PAUSED --restart--> RUNNING --pause--> PAUSING --drained--> PAUSED
 *        ^                 |                    |                                     |
 *        +----- halt ------+                    +--- an edge is gone --> PAUSED, retried with back-off
 *
 * Contract (NDIS: a miniport's states):
 *   HALTED   no edge bound, no worker.  Next: PAUSED (shim_init).
 *   PAUSED   both edges bound, or being retried; workers wait; nothing passes, in clear or protected: what is read is counted
 *            NOT_RUNNING.  Next: RUNNING (shim_restart), HALTED (shim_halt).
 *   RUNNING  bursts pass by the current generation.  Next: PAUSING.
 *   PAUSING  no new burst begins; ends when each worker has finished the one in hand.  Next: PAUSED.
 * There is no "open" state.  Transitions happen in shim_to() only, which asserts.
 *
 * All functions: control thread, unless said otherwise.
 */
#ifndef BITS_SHIM_H
#define BITS_SHIM_H

#include <stdbool.h>
#include <stdint.h>
#include "edge.h"
#include "gen.h"
#include "nexthop.h"
#include "stats.h"

enum shim_state { SHIM_HALTED, SHIM_PAUSED, SHIM_RUNNING, SHIM_PAUSING };

/* Opaque types. */
struct event;
struct shim;

/** shim_new(upper, lower): takes both edges (may be NULL, see shim_set_edges()).  NULL and errno.  HALTED, with an empty generation (discards everything). */
struct shim *shim_new(struct edge *upper, struct edge *lower);
void shim_free(struct shim *s);

/**
 * shim_set_edges(s, upper, lower):
 * HALTED only: frees the edges there are and takes these; NULL, NULL: none, then shim_init() fails with ENODEV.  Policy, counters and
 * next hops stay, so that a NIC that was given back can be taken again.
 */
void shim_set_edges(struct shim *s, struct edge *upper, struct edge *lower);

/** shim_add_edges(s, upper, lower): HALTED only: two edges more, for a worker more (at most WORKERS_MAX, and workers_set() has said it).  Where an
 * edge is told for all, it is the first one that is asked. */
void shim_add_edges(struct shim *s, struct edge *upper, struct edge *lower);

/** shim_init(s): binds all edges, starts the workers.  HALTED -> PAUSED.  0, or -1 and errno (logged; still HALTED). */
int shim_init(struct shim *s);
/** shim_restart(s): PAUSED -> RUNNING.  0, or -1 and errno. */
int shim_restart(struct shim *s);
/** shim_pause(s): RUNNING -> PAUSING -> PAUSED; returns when no packet is in flight. */
void shim_pause(struct shim *s);
/** shim_halt(s): PAUSED -> HALTED: workers ended, edges unbound.  From RUNNING it pauses first. */
void shim_halt(struct shim *s);

enum shim_state shim_state(const struct shim *s);
const char *shim_state_name(enum shim_state st);

/** shim_gen(s): the generation in force.  Control thread: stays valid until its next shim_publish(). */
const struct gen *shim_gen(const struct shim *s);

/** shim_publish(s, g): ${g} decides from the next burst on.  Returns when no worker uses the old one, which is freed. */
void shim_publish(struct shim *s, struct gen *g);

/** shim_publish_after(s, g, last, ctx): the same, and before ${g} is in force ${last} runs while no worker has a burst in hand; packets
 * wait meanwhile.  For what the new generation takes over from the old one and must not miss a packet of. */
void shim_publish_after(struct shim *s, struct gen *g, void (*last)(void *ctx), void *ctx);

/** shim_publish_nexthops(s, t): the same for next hops. */
void shim_publish_nexthops(struct shim *s, struct nexthops *t);

/** shim_publish_live(s, l): the same for who captures; NULL: nobody.  The old one stays the caller's. */
struct live;
void shim_publish_live(struct shim *s, struct live *l);

/** shim_synchronize(s): returns when no worker uses a pointer it read before the call. */
void shim_synchronize(struct shim *s);

/** shim_pulse(s): wakes the workers and tells what grows when each of them has come on; always something new when nothing runs. */
uint64_t shim_pulse(struct shim *s);

/** shim_look(s): edge_look() of all edges.  -1: one has to be bound again. */
int shim_look(struct shim *s);

/** shim_inject(s, frame, len): a short frame of the control thread's own goes out by the lower edge, when RUNNING.  false: it does not. */
bool shim_inject(struct shim *s, const uint8_t *frame, uint32_t len);

/** shim_stats(s, sum): counters of all workers. */
void shim_stats(const struct shim *s, struct stats *sum);
void shim_cache_stats(const struct shim *s, uint64_t *hits, uint64_t *misses);

/** shim_set_mtu(s, mtu): the lower edge's MTU changed.  shim_mtu(s): what it is; 0 before the first shim_init(). */
uint32_t shim_mtu(const struct shim *s);
void shim_set_mtu(struct shim *s, uint32_t mtu);

/** shim_set_pmtu_age(s, ms): how long a path MTU that a router told is believed, from the next shim_init() on. */
void shim_set_pmtu_age(struct shim *s, uint64_t ms);

/** shim_event_fd(s): readable when events wait or an edge is gone; shim_event_next() pops one, false: none left.  Those of one worker come in order. */
int shim_event_fd(const struct shim *s);
bool shim_event_next(struct shim *s, struct event *ev);

/** shim_edge_gone(s): true once after a worker found an edge gone (the state is then PAUSED). */
bool shim_edge_gone(struct shim *s);

/** shim_events_lost(s): events that found the ring full, since shim_new(). */
uint64_t shim_events_lost(const struct shim *s);

/** shim_upper(s), shim_lower(s): of the first worker. */
struct edge *shim_upper(struct shim *s);
struct edge *shim_lower(struct shim *s);

#endif
