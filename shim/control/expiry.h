/*
 * SAs that end by time: a worker looks at limits only when a packet comes, so the control thread has a timer for the nearest one.  An SA at
 * its hard limit, whoever found it there, leaves the SAD (RFC 4301 4.4.2.1).
 */
#ifndef BITS_EXPIRY_H
#define BITS_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

/* Opaque types. */
struct event_base;
struct expiry;
struct reload;
struct sa;
struct shim;

/** expiry_new(base, s, r, told, ctx): NULL and ENOMEM.  Borrows all; ${told} hears of each SA that reached a limit in time without a
 * packet, ${hard} or soft. */
struct expiry *expiry_new(struct event_base *base, struct shim *s, struct reload *r,
    void (*told)(void *ctx, const struct sa *sa, bool hard), void *ctx);
void expiry_free(struct expiry *e);

/** expiry_retarget(e): another generation is in force.  Without an SA that has a limit in time there is no timer. */
void expiry_retarget(struct expiry *e);

/** expiry_look(e, now): what is over at ${now} (ms) is told, what is dead is buried, and the timer set for the next; ms until then, UINT64_MAX:
 * never.  The timer does this, and so does whoever hears from a worker of an SA that reached a hard limit. */
uint64_t expiry_look(struct expiry *e, uint64_t now);

#endif
