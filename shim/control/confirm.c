#include <event2/event.h>
#include <stdlib.h>
#include "audit.h"
#include "confirm.h"
#include "log.h"
#include "mono.h"

#define AGAIN_S 1 /* when going back fails for want of memory */

struct confirm {
	struct reload *reload;
	struct audit *audit;
	struct event *timer;
	uint64_t until;
};

static void
wait_for(struct confirm *c, unsigned seconds)
{
	struct timeval tv = {.tv_sec = (time_t)seconds};

	c->until = mono_ms() + seconds * UINT64_C(1000);
	evtimer_add(c->timer, &tv);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct confirm *c = arg;
	struct diags ds = {0};

	if (reload_trying(c->reload)) {
		log_warnx("nobody confirmed the policy: going back to the one before");
		if (confirm_revert(c, &ds) < 0)
			log_warnx("cannot go back yet: %s", ds.n ? ds.d[0].text : "?");
		diags_free(&ds);
	}
}

struct confirm *
confirm_new(struct event_base *base, struct reload *r, struct audit *audit)
{
	struct confirm *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->reload = r;
	c->audit = audit;
	if ((c->timer = evtimer_new(base, on_time, c)) == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
confirm_free(struct confirm *c)
{
	if (!c)
		return;
	event_free(c->timer);
	free(c);
}

int
confirm_load(struct confirm *c, const struct conf *conf, unsigned seconds, struct diags *ds)
{
	if (reload_try(c->reload, conf, ds) < 0)
		return -1;
	wait_for(c, seconds);
	audit_note(c->audit, "policy", "on trial");
	return 0;
}

void
confirm_keep(struct confirm *c)
{
	evtimer_del(c->timer);
	reload_confirm(c->reload);
	audit_note(c->audit, "policy", "confirmed");
}

int
confirm_revert(struct confirm *c, struct diags *ds)
{
	if (reload_revert(c->reload, ds) < 0) {
		wait_for(c, AGAIN_S);
		return -1;
	}
	evtimer_del(c->timer);
	audit_note(c->audit, "policy", "reverted");
	return 0;
}

bool
confirm_left(const struct confirm *c, uint64_t *ms)
{
	uint64_t now = mono_ms();

	*ms = c->until > now ? c->until - now : 0;
	return reload_trying(c->reload);
}
