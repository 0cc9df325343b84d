/*
 * The last line of both walks: each packet under one reason, then back to the pool.
 */
#include "capture.h"
#include "datapath.h"
#include "events.h"
#include "sa.h"

/* RFC 4301 4.4.4 and RFC 4303 4: SPI, time, addresses, sequence number, flow label. */
static void
account_audit(struct walk *w, const struct pkt *p, enum dir dir)
{
	struct event ev = {.kind = EV_AUDIT,
	    .dir = (uint8_t)dir,
	    .proto = p->spi ? p->spi_proto : p->key.proto,
	    .drop = p->drop,
	    .spi = p->spi,
	    .seq = p->seq,
	    .now = w->now,
	    .flowlabel = flow_label(p),
	    .key = p->key};

	ev.src = dir == DIR_OUT ? p->key.local : p->key.remote;
	ev.dst = dir == DIR_OUT ? p->key.remote : p->key.local;
	events_push(w->events, &ev);
}

void
account_burst(struct walk *w, struct burst *b, enum dir dir)
{
	struct stats *s = w->stats;

	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];

		if (p->drop == DROP_NONE) {
			stats_add(
			    p->bypass ? &s->bypassed[dir] : &s->protected_[dir], pkt_count(p));
			stats_add(&s->sent[dir].packets, pkt_count(p));
			stats_add(&s->sent[dir].octets, pkt_octets(p));
		} else {
			stats_add(&s->drop[dir][p->drop], pkt_count(p));
			if (w->events && drop_audit(p->drop))
				account_audit(w, p, dir);
		}
		if (w->verdict)
			w->verdict(w->verdict_ctx, dir, p);
		pkt_free(w->pool, p);
	}
	b->n = 0;
}

bool
account_read(struct walk *w, struct burst *b, enum dir dir)
{
	uint64_t packets = 0, octets = 0;

	if (w->capture)
		capture_read(w->capture, b, dir);
	for (unsigned i = 0; i < b->n; i++) {
		packets += pkt_count(b->p[i]);
		octets += pkt_octets(b->p[i]);
		if (!w->running && b->p[i]->drop == DROP_NONE)
			b->p[i]->drop = DROP_NOT_RUNNING;
	}
	stats_add(&w->stats->read[dir].packets, packets);
	stats_add(&w->stats->read[dir].octets, octets);
	stats_add(&w->stats->bursts[dir], 1);
	return w->running;
}
