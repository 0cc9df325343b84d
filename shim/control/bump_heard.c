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
		if (ev.kind == EV_SEQ_LOW)
			reload_seq_low(b->reload, ev.proto, ev.spi, &ev.dst, now);
		else if (ev.kind == EV_NEIGHBOUR)
			nexthop_keeper_look(b->hops);
		else if (ev.kind == EV_PEER && peer_moved(b->shim, &ev))
			nexthop_keeper_retarget(b->hops);
		audit_event(b->audit, &ev);
	}
	if (shim_events_lost(b->shim) != b->events_lost) {
		b->events_lost = shim_events_lost(b->shim);
		reload_seq_sweep(b->reload, now); /* what was lost may have asked for numbers */
	}
	return shim_edge_gone(b->shim);
}
