#include <event2/event.h>
#include <stdlib.h>
#include "expiry.h"
#include "mono.h"
#include "reload.h"
#include "sa.h"
#include "shim.h"

#define AGAIN_MS 1000	  /* an SA could not be buried: try again */
#define LONGEST	 86400000 /* ms; a timer for more is set again */

struct expiry {
	struct shim *shim;
	struct reload *reload;
	struct event *timer;
	void (*told)(void *ctx, const struct sa *sa, bool hard);
	void *ctx;
};

/* ms until ${age} reaches ${limit}; 0: it has; UINT64_MAX: there is none. */
static uint64_t
left(uint64_t limit, uint64_t age)
{
	return limit == 0 ? UINT64_MAX : limit > age ? limit - age : 0;
}

/* Moves ${sa} on by its age; ms until there is more to do. */
static uint64_t
look_at(struct expiry *e, struct sa *sa, uint64_t now, bool *dead)
{
	uint64_t age = now > sa->added_ms ? now - sa->added_ms : 0, hard = left(sa->p.hard.ms, age),
		 soft = left(sa->p.soft.ms, age);

	if (hard == 0 && sa_move(sa, SA_DEAD))
		e->told(e->ctx, sa, true);
	if (!sa_usable(sa)) { /* also by numbers, packets or octets: a worker found that */
		*dead = true;
		return UINT64_MAX;
	}
	if (soft == 0) {
		if (sa_move(sa, SA_DYING))
			e->told(e->ctx, sa, false);
		soft = UINT64_MAX;
	}
	return soft < hard ? soft : hard;
}

static void
set_timer(struct expiry *e, uint64_t ms)
{
	struct timeval tv;

	if (ms == UINT64_MAX)
		return;
	ms = ms < LONGEST ? ms : LONGEST;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(e->timer, &tv);
}

static uint64_t
look(struct expiry *e, uint64_t now, bool *dead)
{
	const struct sadb *sad = shim_gen(e->shim)->sad;
	uint64_t next = UINT64_MAX, one;

	*dead = false;
	for (size_t i = 0; i < sadb_count(sad); i++) {
		struct sa *sa = sadb_at(sad, i);

		if ((one = look_at(e, sa, now, dead)) < next)
			next = one;
	}
	return next;
}

uint64_t
expiry_look(struct expiry *e, uint64_t now)
{
	bool dead;
	uint64_t next;

	/* A burial publishes, which may find more of them. */
	while ((next = look(e, now, &dead)), dead)
		if (reload_bury(e->reload) < 0) {
			next = next < AGAIN_MS ? next : AGAIN_MS;
			break;
		}
	evtimer_del(e->timer);
	set_timer(e, next);
	return next;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	expiry_look(arg, mono_ms());
}

void
expiry_retarget(struct expiry *e)
{
	bool dead;
	uint64_t next = look(e, mono_ms(), &dead);

	/* Not buried here: this may be called out of the transaction that published. */
	evtimer_del(e->timer);
	set_timer(e, dead ? 0 : next);
}

struct expiry *
expiry_new(struct event_base *base, struct shim *s, struct reload *r,
    void (*told)(void *ctx, const struct sa *sa, bool hard), void *ctx)
{
	struct expiry *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	*e = (struct expiry){.shim = s, .reload = r, .told = told, .ctx = ctx};
	if ((e->timer = evtimer_new(base, on_timer, e)) == NULL) {
		free(e);
		return NULL;
	}
	return e;
}

void
expiry_free(struct expiry *e)
{
	if (!e)
		return;
	event_free(e->timer);
	free(e);
}
