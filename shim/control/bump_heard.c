#include "audit.h"
#include "bump.h"
#include "events.h"
#include "expiry.h"
#include "gen.h"
#include "mono.h"
#include "nexthop_keeper.h"
#include "peer.h"
#include "reload.h"
#include "sa.h"
#include "shim.h"

void
bump_ended(void *ctx, const struct sa *sa, bool hard)
{
	struct bump *b = ctx;
	struct event ev = {.kind = hard ? EV_SA_HARD : EV_SA_SOFT,
	    .dir = sa->out ? DIR_OUT : DIR_IN,
	    .proto = (uint8_t)sa->p.proto,
	    .drop = hard ? DROP_SA_EXPIRED : DROP_NONE,
	    .spi = sa->spi,
	    .now = mono_ms(),
	    .src = sa->p.src,
	    .dst = sa->p.dst};

	audit_event(b->audit, &ev);
}

bool
bump_heard(struct bump *b)
{
	uint64_t now = mono_ms();
	struct event ev;
	bool ended = false;

	while (shim_event_next(b->shim, &ev)) {
		if (ev.kind == EV_SEQ_LOW) {
			if (reload_seq_low(b->reload, ev.proto, ev.spi, &ev.dst, now) < 0)
				bump_numbers_later(b);
		} else if (ev.kind == EV_NEIGHBOUR)
			nexthop_keeper_look(b->hops);
		else if (ev.kind == EV_PEER && peer_moved(b->shim, &ev))
			nexthop_keeper_retarget(b->hops);
		ended |= ev.kind == EV_SA_HARD;
		if (ev.kind == EV_ACQUIRE)
			audit_acquire(
			    b->audit, &ev, spd_lookup(shim_gen(b->shim)->spd, &ev.key, NULL));
		else
			audit_event(b->audit, &ev);
	}
	if (shim_events_lost(b->shim) != b->events_lost) {
		b->events_lost = shim_events_lost(b->shim);
		if (reload_seq_sweep(b->reload, now) <
		    0) /* what was lost may have asked for numbers */
			bump_numbers_later(b);
		ended = true; /* or have told of an SA's end */
	}
	if (ended)
		expiry_look(b->expiry, now);
	return shim_edge_gone(b->shim);
}
