#include "vigil.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>
#include "log.h"
#include "notify.h"

struct vigil {
	struct vigil_env env;
	struct event *timer;
	uint64_t pulse;
	unsigned missed;
	bool told; /* the service manager wants to hear */
	bool ended;
};

bool
vigil_look(struct vigil *v)
{
	uint64_t pulse = v->env.pulse(v->env.ctx);

	v->missed = pulse == v->pulse ? v->missed + 1 : 0;
	v->pulse = pulse;
	if (v->missed >= VIGIL_MISSED) {
		if (!v->ended)
			v->env.stuck(v->env.ctx);
		v->ended = true;
		return false;
	}
	if (v->told)
		(void)notify("WATCHDOG=1");
	if (v->env.heal)
		v->env.heal(v->env.ctx);
	return true;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)vigil_look(arg);
}

/* sd_watchdog_enabled(3): for this process, and not a parent's? */
static bool
asked_for(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || strtoull(usec, NULL, 10) == 0 || (pid && strtol(pid, NULL, 10) != getpid()))
		return false;
	if (strtoull(usec, NULL, 10) < UINT64_C(2000) * VIGIL_MS)
		log_warnx("WatchdogSec is less than %u ms: bitsd looks after itself every %u ms",
		    2 * VIGIL_MS, VIGIL_MS);
	return true;
}

struct vigil *
vigil_new(const struct vigil_env *env)
{
	struct timeval tv = {.tv_sec = VIGIL_MS / 1000, .tv_usec = VIGIL_MS % 1000 * 1000};
	struct vigil *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->env = *env;
	v->told = asked_for();
	v->timer = event_new(env->base, -1, EV_PERSIST, on_timer, v);
	if (!v->timer || evtimer_add(v->timer, &tv) < 0) {
		vigil_free(v);
		return NULL;
	}
	return v;
}

void
vigil_free(struct vigil *v)
{
	if (!v)
		return;
	if (v->timer)
		event_free(v->timer);
	free(v);
}
