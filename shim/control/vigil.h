/*
 * Watches over the daemon itself, once a second: does each worker come on, is the control socket still where clients look for it; and tells
 * the service manager that all is well (sd_notify(3), WATCHDOG=1), if it wants to hear it.
 *
 * A worker that is stuck ends the process: the NIC stays closed, and the supervisor's next bitsd takes up numbers, windows and policy.  Rounds
 * are counted, not seconds, so a machine that slept or a process that was stopped is not taken for a stuck one.  A control thread that is
 * stuck is silent, and systemd ends it (WatchdogSec).
 */
#ifndef BITS_VIGIL_H
#define BITS_VIGIL_H

#include <stdbool.h>
#include <stdint.h>

#define VIGIL_MS     1000
#define VIGIL_MISSED 5 /* looks in a row at a worker that does not come on */

/* Opaque types. */
struct event_base;
struct vigil;

struct vigil_env {
	struct event_base *base;
	uint64_t (*pulse)(void *ctx);       /* something that grows while the workers live */
	void (*heal)(void *ctx);            /* each time; may be NULL */
	void (*stuck)(void *ctx);           /* once: a worker does not come on */
	void *ctx;
};

/** vigil_new(env): NULL and errno.  Control thread, as all. */
struct vigil *vigil_new(const struct vigil_env *env);
void vigil_free(struct vigil *v);

/** vigil_look(v): what the timer does.  false: stuck. */
bool vigil_look(struct vigil *v);

#endif
