#include <stdlib.h>
#include "acquire.h"
#include "datapath.h"
#include "events.h"
#include "gen.h"

/* What makes two requests the same.  Compared as octets. */
struct wanted {
	struct ipaddr src, dst; /* of the SA */
	struct sa_selector sel;
	uint32_t reqid;
	uint8_t proto, mode, type, step;
};

struct request {
	struct wanted want;
	uint64_t deadline; /* ms; 0: free */
	bool told;
	unsigned held,
	    again; /* packets; the first of them that have not met the newest generation */
	struct pkt *first, *last;
};

struct acquire {
	unsigned held;
	uint64_t generation; /* that the packets met last */
	struct request r[ACQUIRE_MAX];
};

struct acquire *
acquire_new(void)
{
	return calloc(1, sizeof(struct acquire));
}

static struct pkt *
request_pop(struct acquire *a, struct request *r)
{
	struct pkt *p = r->first;

	if (!p)
		return NULL;
	r->first = p->next;
	p->next = NULL;
	r->again -= r->again != 0;
	r->held--;
	a->held--;
	return p;
}

void
acquire_free(struct acquire *a, struct pktpool *pool)
{
	struct pkt *p;

	if (!a)
		return;
	for (unsigned i = 0; i < ACQUIRE_MAX; i++)
		while ((p = request_pop(a, &a->r[i])) != NULL)
			pkt_free(pool, p);
	free(a);
}

unsigned
acquire_held(const struct acquire *a)
{
	return a->held;
}

static struct sa_ports
ports_of(uint8_t match, const struct portrange *r, bool from_packet, uint16_t port)
{
	if (from_packet)
		return (struct sa_ports){.lo = port, .hi = port};
	if (match != MATCH_RANGE)
		return (struct sa_ports){.any = true};
	return (struct sa_ports){.lo = r->lo, .hi = r->hi};
}

void
acquire_selectors(const struct policy *p, const struct flowkey *k, struct sa_selector *sel)
{
	const struct selector *s = &p->sel;
	bool ports = (p->pfp & PFP_PORTS) && k->ports == PORTS_PORTS;
	bool proto = (p->pfp & PFP_PROTO) && !k->opaque;

	memset(sel, 0, sizeof *sel); /* compared as octets */
	sel->src = p->pfp & PFP_LOCAL ? (struct iprange){k->local, k->local} : s->local;
	sel->dst = p->pfp & PFP_REMOTE ? (struct iprange){k->remote, k->remote} : s->remote;
	/* A port means nothing without its protocol. */
	sel->proto_any = s->proto_any && !proto && !ports;
	sel->proto = sel->proto_any ? 0 : k->proto;
	sel->sport.any = sel->dport.any = true;
	if (!proto_has_ports(k->proto) || sel->proto_any)
		return;
	sel->sport = ports_of(s->lmatch, &s->lport, ports, k->lport);
	sel->dport = ports_of(s->rmatch, &s->rport, ports, k->rport);
}

static struct wanted
wanted(const struct pkt *p, const struct ipaddr *src, const struct ipaddr *dst, unsigned step)
{
	const struct sa_template *t = &p->policy->step[step];
	struct wanted w;

	memset(&w, 0, sizeof w);
	w.src = *src;
	w.dst = *dst;
	acquire_selectors(p->policy, &p->key, &w.sel);
	w.reqid = t->reqid;
	w.proto = (uint8_t)t->proto;
	w.mode = (uint8_t)t->mode;
	w.type = p->policy->type;
	w.step = (uint8_t)step;
	return w;
}

/* The request for ${want}, or a free place for it; NULL: there is none. */
static struct request *
find(struct acquire *a, const struct wanted *want, uint64_t now)
{
	struct request *unused = NULL;

	for (unsigned i = 0; i < ACQUIRE_MAX; i++) {
		struct request *r = &a->r[i];

		if (r->deadline > now && memcmp(&r->want, want, sizeof *want) == 0)
			return r;
		if (r->deadline <= now && r->first == NULL)
			unused = r;
	}
	if (unused)
		*unused = (struct request){.want = *want, .deadline = now + ACQUIRE_MS};
	return unused;
}

static bool
tell(struct walk *w, const struct pkt *p, const struct wanted *want)
{
	struct event ev = {
	    .kind = EV_ACQUIRE,
	    .dir = DIR_OUT,
	    .proto = want->proto,
	    .drop = DROP_NO_SA,
	    .now = w->now,
	    .src = want->src,
	    .dst = want->dst,
	    .flowlabel = flow_label(p),
	    .step = want->step,
	    .key = p->key,
	};

	return w->events && events_push(w->events, &ev);
}

static enum drop
hold(struct acquire *a, struct request *r, struct pkt *p)
{
	if (r->held == ACQUIRE_PACKETS || a->held == ACQUIRE_HELD)
		return DROP_ACQUIRE_FULL;
	p->next = NULL;
	if (r->first)
		r->last->next = p;
	else
		r->first = p;
	r->last = p;
	r->held++;
	a->held++;
	return DROP_HELD;
}

enum drop
acquire_ask(struct walk *w, struct pkt *p, const struct ipaddr *src, const struct ipaddr *dst,
    unsigned step)
{
	struct wanted want = wanted(p, src, dst, step);
	bool waits = p->policy->type == FLOW_ACQUIRE;
	struct request *r = find(w->acquire, &want, w->now);

	if (!r)
		return waits ? DROP_ACQUIRE_FULL : DROP_NO_SA;
	if (!r->told) /* what the event's limit held back is told by the next packet */
		r->told = tell(w, p, &want);
	return waits ? hold(w->acquire, r, p) : DROP_NO_SA;
}

void
acquire_again(struct walk *w, struct burst *b)
{
	struct acquire *a = w->acquire;
	struct pkt *p;

	for (unsigned i = 0; a->generation != w->gen->number && i < ACQUIRE_MAX; i++)
		a->r[i].again = a->r[i].held;
	a->generation = w->gen->number;
	for (unsigned i = 0; a->held && i < ACQUIRE_MAX; i++) {
		struct request *r = &a->r[i];
		bool late = r->deadline <= w->now;

		while ((r->again || late) && b->n < BURST_MAX && (p = request_pop(a, r)) != NULL) {
			p->drop = late ? DROP_ACQUIRE_TIMEOUT : DROP_NONE;
			b->p[b->n++] = p;
		}
	}
}

int
acquire_left(const struct acquire *a, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	if (a->held == 0)
		return -1;
	for (unsigned i = 0; i < ACQUIRE_MAX; i++)
		if (a->r[i].first && a->r[i].deadline < next)
			next = a->r[i].deadline;
	return next > now ? (int)(next - now) : 0;
}
