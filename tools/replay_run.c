/*
 * Two capture file edges and the walk between them: packets in the order of their time stamps, the clock set by each.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "capture.h"
#include "conf.h"
#include "crypto.h"
#include "edge.h"
#include "flowcache.h"
#include "fragcheck.h"
#include "gen.h"
#include "log.h"
#include "reasm.h"
#include "recent.h"
#include "replay_tool.h"

#define POOL_SLOTS     512 /* one burst, what is made from it, and fragments that wait */
#define CACHE_FLOWS    65536
#define PROGRESS_EVERY 1024 /* packets between two looks at the clock */

/* Says once what is wrong with an edge's file. */
static void
tell_error(struct rerun *r, const struct edge *e)
{
	const char *error = edge_pcap_error(e);

	if (error == NULL)
		return;
	log_warnx("%s", error);
	r->failed = true;
}

/* A capture of several queues is often a little out of order; of a wrong clock, by hours. */
static void
tell_backwards(const struct rerun *r, const struct edge *e, const char *name)
{
	uint64_t first, n = edge_pcap_backwards(e, &first);

	if (n > 0)
		log_warnx("%s: packet %" PRIu64 ": time runs backwards (%" PRIu64
			  " such packets); the clock stood still for them",
		    name, first, n);
	if (edge_pcap_error(e) == NULL &&
	    r->stats.read[e == r->host ? DIR_OUT : DIR_IN].packets == 0)
		log_warnx("%s: no packets in it", name);
}

/* What goes to the wire came from the host and has its link header, and the other way round; where that side has no input, the
 * other one's. */
static int
open_edges(struct rerun *r)
{
	const struct replay_opts *o = r->o;
	int host, wire;

	r->host = edge_pcap_new(o->from_host, o->to_host, o->mtu);
	r->wire = edge_pcap_new(o->from_wire, o->to_wire, o->mtu);
	if (r->host == NULL || r->wire == NULL) {
		log_warn("capture files");
		return -1;
	}
	if (edge_bind(r->host) == -1 || edge_bind(r->wire) == -1)
		return -1;
	host = edge_pcap_linktype(r->host);
	wire = edge_pcap_linktype(r->wire);
	edge_pcap_write_as(r->wire, host != -1 ? host : wire);
	edge_pcap_write_as(r->host, wire != -1 ? wire : host);
	if (edge_restart(r->host) == -1 || edge_restart(r->wire) == -1) {
		tell_error(r, r->host);
		tell_error(r, r->wire);
		return -1;
	}
	return 0;
}

/* The side whose next packet is the older one; false: both are at their end. */
static bool
next(struct rerun *r, enum dir *dir, uint64_t *ts)
{
	uint64_t host, wire;
	bool out = edge_pcap_peek(r->host, &host), in = edge_pcap_peek(r->wire, &wire);

	*dir = out && (!in || host <= wire) ? DIR_OUT : DIR_IN;
	*ts = *dir == DIR_OUT ? host : wire;
	return out || in;
}

/* All SAs of ${c}, born at the first packet.  There is no state directory to ask for numbers: they begin with 1. */
static struct sa **
make_sas(const struct rerun *r, const struct conf *c)
{
	struct sa **sas = calloc(c->nsas + 1, sizeof *sas);

	for (size_t i = 0; sas != NULL && i < c->nsas; i++) {
		if ((sas[i] = sa_new(&c->sa[i], r->first)) == NULL) {
			log_warn("%s:%u:%u: cannot make this SA", c->sa_at[i].file,
			    c->sa_at[i].line, c->sa_at[i].col);
			while (i-- > 0)
				sa_unref(sas[i]);
			free(sas);
			return NULL;
		}
		seq_reserve(&sas[i]->seq, UINT64_MAX);
	}
	return sas;
}

static int
make_gen(struct rerun *r, const struct conf *c)
{
	struct sa **sas;

	if ((sas = make_sas(r, c)) == NULL)
		return -1;
	r->gen = gen_new(1, c->rule, c->nrules, c->builtin, sas, c->nsas);
	if (r->gen == NULL)
		log_warn("policy");
	for (size_t i = 0; i < c->nsas; i++)
		sa_unref(sas[i]);
	free(sas);
	return r->gen != NULL ? 0 : -1;
}

static int
make_walk(struct rerun *r)
{
	struct walk *w = &r->walk;

	w->gen = r->gen;
	w->upper = r->host;
	w->lower = r->wire;
	w->stats = &r->stats;
	w->mtu = r->o->mtu;
	w->running = true;
	w->rng = r->o->seeded ? rng_seeded(r->o->seed) : rng_system();
	w->pool = pktpool_new(POOL_SLOTS, PKT_FRAME_MAX);
	w->reasm = reasm_new();
	w->fragcheck = fragcheck_new(r->o->seed);
	w->recent = recent_new();
	/* the seed orders the cache's rows, which no packet can tell */
	w->cache = flowcache_new(CACHE_FLOWS, r->o->seed);
	if (w->rng == NULL || w->pool == NULL || w->reasm == NULL || w->fragcheck == NULL ||
	    w->recent == NULL || w->cache == NULL) {
		log_warn("buffers");
		return -1;
	}
	w->rng->fill(w->rng, (uint8_t *)&w->ipid, sizeof w->ipid);
	if (r->o->annotate != NULL && replay_annotate(r) == -1)
		return -1;
	if (r->o->expect != NULL && replay_expect(r) == -1)
		return -1;
	if (r->o->svg != NULL && (r->svg = replay_svg_new(r->first)) == NULL)
		return -1;
	if (r->o->verbose || r->o->annotate != NULL || r->o->svg != NULL || r->o->explain != 0) {
		w->verdict = replay_verdict;
		w->verdict_ctx = r;
	}
	if (r->o->verbose) {
		if (r->o->json && (r->packets = json_array()) == NULL)
			return -1;
	}
	return 0;
}

/* The clock never goes back, also where a capture does. */
static void
set_clock(struct rerun *r, uint64_t ts)
{
	uint64_t ms = ts / 1000000;

	if (ms > r->walk.now)
		r->walk.now = ms;
	edge_pcap_clock(r->host, ts);
	edge_pcap_clock(r->wire, ts);
}

static void
run(struct rerun *r)
{
	struct walk *w = &r->walk;
	struct burst b;
	unsigned long n = 0;
	enum dir dir;
	uint64_t ts;

	while (next(r, &dir, &ts)) {
		set_clock(r, ts);
		if (edge_recv(dir == DIR_OUT ? r->host : r->wire, w->pool, &b, 1) != 1) {
			log_warnx(
			    "no buffer for a packet"); /* the walk keeps fewer than there are */
			r->failed = true;
			break;
		}
		if (r->o->explain != 0 && replay_explains(r, dir, b.p[0]->number))
			replay_explain_before(r, dir, b.p[0]);
		if (dir == DIR_OUT)
			outbound_burst(w, &b);
		else
			inbound_burst(w, &b);
		r->explaining = false;
		if (n++ % PROGRESS_EVERY == 0)
			replay_progress(r);
		if (w->capture != NULL)
			capture_flush(w->capture);
	}
	replay_progress_end(r);
	r->ran = !r->failed;
}

int
replay_run(struct rerun *r, const struct conf *c)
{
	enum dir dir;
	uint64_t ts;

	if (open_edges(r) == -1)
		return -1;
	r->first =
	    next(r, &dir, &ts) && ts >= 1000000 ? ts / 1000000 : 1; /* 0 would mean "never" */
	r->walk.now = r->first;
	if (make_gen(r, c) == -1 || make_walk(r) == -1)
		return -1;
	run(r);
	r->held = reasm_held(r->walk.reasm);
	edge_unbind(r->host);
	edge_unbind(r->wire);
	if (r->o->from_host != NULL)
		tell_backwards(r, r->host, r->o->from_host);
	if (r->o->from_wire != NULL)
		tell_backwards(r, r->wire, r->o->from_wire);
	tell_error(r, r->host);
	tell_error(r, r->wire);
	if (replay_annotate_end(r) == -1)
		r->failed = true;
	if (replay_expect_end(r) == -1)
		r->failed = true;
	if (r->svg != NULL && replay_svg_write(r->svg, r->o->svg) == -1)
		r->failed = true;
	if (r->o->explain != 0 && !r->explained) {
		log_warnx("there is no packet %" PRIu64 " to explain", r->o->explain);
		r->failed = true;
	}
	return r->failed ? -1 : 0;
}

void
replay_free(struct rerun *r)
{
	struct walk *w = &r->walk;

	replay_annotate_end(r);
	replay_expect_end(r);
	free(r->svg);
	if (w->pool != NULL)
		reasm_free(w->reasm, w->pool);
	fragcheck_free(w->fragcheck);
	recent_free(w->recent);
	flowcache_free(w->cache);
	pktpool_free(w->pool);
	if (r->o->seeded)
		rng_free(w->rng);
	gen_free(r->gen);
	edge_free(r->host);
	edge_free(r->wire);
	json_decref(r->packets);
}
