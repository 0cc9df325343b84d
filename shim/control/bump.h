/*
 * The control thread's whole: NIC, edges, bump, policy, numbers, next hops, events, and how they follow one another.
 *
 * Life: bump_new() -> bump_take() -> reload_conf() -> bump_go() -> event loop -> bump_stop() -> bump_free().
 * Whatever goes wrong after bump_take() leaves the NIC taken and closed.
 */
#ifndef BITS_BUMP_H
#define BITS_BUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "nic.h"

/* Opaque types. */
struct audit;
struct bump_watch;
struct confirm;
struct ctl_server;
struct event_base;
struct expiry;
struct keepalive;
struct nexthop_keeper;
struct reload;
struct sa;
struct seqkeeper;
struct shim;
struct taps;
struct ward;
struct windows;

struct bump {
	struct event_base *base;
	struct nic_opts opts;
	const char *crypto;          /* name of the chosen back end */
	struct ward *ward;           /* who takes the NIC for us; NULL: a test */
	bool attached;               /* the NIC is taken */
	struct nic_info nic;         /* how it is, then */
	struct shim *shim;
	struct seqkeeper *keeper;
	struct windows *windows;     /* NULL: not kept */
	struct reload *reload;
	struct nexthop_keeper *hops;
	struct keepalive *keepalive;
	struct expiry *expiry;
	struct audit *audit;
	struct confirm *confirm;     /* a policy on trial */
	bool orphaned;               /* the warden is gone */
	struct ctl_server *ctl;      /* who watches; NULL: nobody can */
	struct taps *taps;           /* who captures */
	int tap;                     /* of the request just answered, whose descriptor is still to be handed out; -1: none */
	bool run;                    /* the operator wants packets to pass: retry when an edge is gone */
	uint64_t started_ms;
	/* below: bump.c's own */
	struct bump_watch *watch;
	unsigned retry_ms;
	uint64_t events_lost;
	uint32_t seen;               /* bit per enum nic_event, of one read */
};

/** bump_numbers_later(b): the state directory refused numbers: they are asked for again. */
void bump_numbers_later(struct bump *b);

/** bump_heard(b): bump_heard.c: empties the worker's event ring.  true: an edge is gone. */
bool bump_heard(struct bump *b);
/** bump_ended(ctx, sa, hard): bump_heard.c: time alone brought ${sa} to a limit; ${ctx}: the bump. */
void bump_ended(void *ctx, const struct sa *sa, bool hard);

/** bump_new(b, base, opts, keeper): all but the NIC, for which ${b} has to get a ward; takes ${keeper} over when it succeeds.  0, or -1 and errno. */
int bump_new(struct bump *b, struct event_base *base, const struct nic_opts *opts, struct seqkeeper *keeper);

/** bump_keep_windows(b, w): replay windows are kept in ${w}, which the bump takes over.  0, or -1 and errno. */
int bump_keep_windows(struct bump *b, struct windows *w);

/** bump_take(b, why, cap): takes the NIC, makes the edges, binds them; PAUSED.  0, or -1 and ${why} (NIC may be taken: closed). */
int bump_take(struct bump *b, char *why, size_t cap);

/** bump_go(b): restart, and carrier as the NIC's.  0, or -1 and errno (logged). */
int bump_go(struct bump *b);

/** bump_attach(b, why, cap), bump_detach(b, why, cap): take the NIC and go; give it back and wait, HALTED.  Policy stays loaded.  0, or -1
 * and ${why}. */
int bump_attach(struct bump *b, char *why, size_t cap);
int bump_detach(struct bump *b, char *why, size_t cap);

/** bump_look(b): now and then: do the edges still bring what comes? */
void bump_look(struct bump *b);

/** bump_orphaned(b): the warden is gone: all that can be done is to stop.  Ends the event loop. */
void bump_orphaned(struct bump *b);

/** bump_pause(b): nothing passes until bump_go(). */
void bump_pause(struct bump *b);

/** bump_stop(b, restore, why, cap): the end: worker stopped, numbers saved; ${restore}: NIC given back, else it stays, closed.  0, or -1 and
 * ${why} (could not give it back: closed). */
int bump_stop(struct bump *b, bool restore, char *why, size_t cap);
void bump_free(struct bump *b);

#endif
