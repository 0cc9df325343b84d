#include "audit.h"
#include "bump.h"
#include "events.h"
#include "mono.h"
#include "nexthop_keeper.h"
#include "peer.h"
#include "reload.h"
#include "shim.h"

bool
bump_heard(struct bump *b)
{
	uint64_t now = mono_ms();
	struct event ev;

	while (shim_event_next(b->shim, &ev)) {
		if (ev.kind == EV_SEQ_LOW) {
			if (reload_seq_low(b->reload, ev.proto, ev.spi, &ev.dst, now) < 0)
				bump_numbers_later(b);
		} else if (ev.kind == EV_NEIGHBOUR)
			nexthop_keeper_look(b->hops);
		else if (ev.kind == EV_PEER && peer_moved(b->shim, &ev))
			nexthop_keeper_retarget(b->hops);
		audit_event(b->audit, &ev);
	}
	if (shim_events_lost(b->shim) != b->events_lost) {
		b->events_lost = shim_events_lost(b->shim);
		if (reload_seq_sweep(b->reload, now) <
		    0) /* what was lost may have asked for numbers */
			bump_numbers_later(b);
	}
	return shim_edge_gone(b->shim);
}
