/*
 * What all transforms share: which one an SA gets, how much it adds, whether it may still run, and the books.
 */
#include "ah.h"
#include "crypto.h"
#include "datapath.h"
#include "events.h"
#include "sa.h"

#define UDP_HLEN 8

static void
xform_refuse(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	(void)sa;
	(void)w;
	for (unsigned i = 0; i < n; i++)
		p[i]->drop = DROP_CRYPTO;
}

void
xform_bind(struct sa *sa)
{
	sa->seal = sa->open = xform_refuse;
	if (sa->p.proto == IPSEC_ESP) {
		if (sa->out)
			sa->seal = sa->p.mode == MODE_TUNNEL ? esp_seal_tunnel : esp_seal_transport;
		if (sa->in)
			sa->open = esp_open;
	} else {
		if (sa->out)
			sa->seal = sa->p.mode == MODE_TUNNEL ? ah_seal_tunnel : ah_seal_transport;
		if (sa->in)
			sa->open = ah_open;
	}
}

/* Octets of the outer header. */
static uint32_t
xform_outer(const struct sa *sa)
{
	return sa->p.mode == MODE_TUNNEL ? (sa->p.dst.af == 4 ? 20 : 40) : 0;
}

/* Octets ESP puts around the protected part: outer header, UDP, ESP header and IV in front; ICV behind. */
static uint32_t
xform_esp_around(const struct sa *sa, const struct crypto *c)
{
	return xform_outer(sa) + (sa->p.encap_dport ? UDP_HLEN : 0) + 8 + c->iv_len + c->icv_len;
}

uint32_t
xform_overhead(const struct sa *sa, uint32_t inner, uint32_t clear)
{
	const struct crypto *c = sa->out ? sa->out : sa->in;
	uint32_t payload;

	if (sa->p.proto == IPSEC_AH)
		return inner + xform_outer(sa) + ah_len(sa, c, sa->p.dst.af);
	if (sa->p.mode == MODE_TUNNEL)
		clear = 0;
	payload = (inner - clear + 2 + c->block - 1) / c->block * c->block;
	return clear + payload + xform_esp_around(sa, c);
}

void
xform_parts(const struct sa *sa, uint32_t inner, uint32_t clear, struct xform_parts *x)
{
	const struct crypto *c = sa->out ? sa->out : sa->in;

	if (sa->p.mode == MODE_TUNNEL)
		clear = 0;
	*x = (struct xform_parts){.outer = xform_outer(sa), .payload = inner - clear};
	if (sa->p.proto == IPSEC_AH) {
		x->header = ah_len(sa, c, sa->p.dst.af);
		return;
	}
	x->udp = sa->p.encap_dport ? UDP_HLEN : 0;
	x->header = 8;
	x->iv = c->iv_len;
	x->trailer = 2;
	x->pad = (c->block - (x->payload + 2) % c->block) % c->block;
	x->icv = c->icv_len;
}

uint32_t
xform_fit(const struct sa *sa, uint32_t mtu, uint32_t clear)
{
	const struct crypto *c = sa->out ? sa->out : sa->in;
	uint32_t around, payload;

	if (sa->p.proto == IPSEC_AH) {
		around = xform_outer(sa) + ah_len(sa, c, sa->p.dst.af);
		return mtu > around ? mtu - around : 0;
	}
	around = xform_esp_around(sa, c);
	if (sa->p.mode == MODE_TUNNEL)
		clear = 0;
	if (mtu < around + clear + c->block)
		return 0;
	payload = (mtu - around - clear) / c->block * c->block;
	return clear + payload - 2;
}

/* False: the ring is full, and nobody was told. */
static bool
xform_tell(struct sa *sa, struct walk *w, enum event_kind kind, enum drop why)
{
	struct event ev = {.kind = (uint8_t)kind,
	    .dir = (uint8_t)(sa->out ? DIR_OUT : DIR_IN),
	    .proto = (uint8_t)sa->p.proto,
	    .drop = why,
	    .spi = sa->spi,
	    .now = w->now,
	    .src = sa->p.src,
	    .dst = sa->p.dst};

	return !w->events || events_push(w->events, &ev);
}

/* Limits are looked at behind each packet, so that the one that reaches a hard limit is the last (RFC 4301 4.4.2.1). */
static void
xform_limits(struct sa *sa, struct walk *w)
{
	uint64_t age = w->now - sa->added_ms, packets, octets;
	struct sa_counters sent;

	sa_sent(sa, &sent);
	packets = sent.packets + sa->cin.packets;
	octets = sent.octets + sa->cin.octets;

	if (lifetime_over(&sa->p.hard, packets, octets, age)) {
		if (sa_move(sa, SA_DEAD))
			xform_tell(sa, w, EV_SA_HARD, DROP_SA_EXPIRED);
	} else if (!sa->soft_said && lifetime_over(&sa->p.soft, packets, octets, age)) {
		/* never back from DEAD; and when the control thread's clock was first, it has told */
		if (sa_move(sa, SA_DYING))
			sa->soft_owed = true;
		sa->soft_said = !sa->soft_owed || xform_tell(sa, w, EV_SA_SOFT, DROP_NONE);
	}
}

enum drop
xform_begin(struct sa *sa, struct walk *w)
{
	if (sa->limited)
		xform_limits(sa, w); /* time passes without packets too */
	return sa_usable(sa) ? DROP_NONE : DROP_SA_EXPIRED;
}

void
xform_account(struct sa *sa, struct walk *w, struct sa_counters *c, uint32_t octets)
{
	stats_add(&c->packets, 1);
	stats_add(&c->octets, octets);
	__atomic_store_n(&c->last_ms, w->now, __ATOMIC_RELAXED);
	if (sa->limited)
		xform_limits(sa, w);
}

/* The next of those taken for this burst, or the first of more. */
static enum drop
xform_next(struct sa *sa, struct walk *w, uint64_t *seq)
{
	enum drop d = DROP_NONE;

	if (!w->many)
		return seq_take(&sa->seq, seq);
	if (w->numbers.next == w->numbers.end)
		d = seq_grab(&sa->seq, w->numbers.want, &w->numbers.next, &w->numbers.end);
	if (d == DROP_NONE)
		*seq = w->numbers.next++;
	return d;
}

void
xform_seal(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	if (!w->many) {
		sa->seal(sa, p, n, w);
		return;
	}
	w->numbers.next = w->numbers.end = 0;
	w->numbers.want = n;
	if (sa->limited)
		sa_lock(sa);
	sa->seal(sa, p, n, w);
	if (sa->limited)
		sa_unlock(sa);
	if (w->numbers.next != w->numbers.end)
		seq_return(&sa->seq, w->numbers.next, w->numbers.end);
}

void
xform_open(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	if (w->many)
		sa_lock(sa);
	sa->open(sa, p, n, w);
	if (w->many)
		sa_unlock(sa);
}

enum drop
xform_number(struct sa *sa, struct walk *w, uint64_t *seq)
{
	enum drop d = xform_next(sa, w, seq);

	if (d == DROP_NONE) {
		if (seq_running_low(&sa->seq, sa->block))
			xform_tell(sa, w, EV_SEQ_LOW, DROP_NONE);
	} else if (d == DROP_SEQ_EXHAUSTED && sa_move(sa, SA_DEAD)) {
		/* RFC 4303 3.3.3: the SA ends, it never wraps. */
		xform_tell(sa, w, EV_SA_HARD, d);
	}
	return d;
}

void
xform_name(const struct sa *sa, struct pkt *p)
{
	p->spi = sa->spi;
	p->spi_proto = (uint8_t)sa->p.proto;
	p->seq = 0;
}

void
xform_count(struct sa *sa, enum drop d)
{
	struct sa_counters *c = &sa->cin;

	if (d == DROP_NONE || d == DROP_DUMMY)
		return;
	stats_add(d == DROP_REPLAY_OLD	  ? &c->replay_old
		  : d == DROP_REPLAY_DUP  ? &c->replay_dup
		  : d == DROP_AUTH_FAILED ? &c->auth_failed
					  : &c->other_failed,
	    1);
}

unsigned
xform_group(struct pkt **todo, unsigned *left, unsigned step, struct pkt **same)
{
	const struct sa *sa = todo[0]->sa[step];
	unsigned m = 0, other = 0;

	for (unsigned i = 0; i < *left; i++) {
		if (todo[i]->sa[step] == sa)
			same[m++] = todo[i];
		else
			todo[other++] = todo[i];
	}
	*left = other;
	return m;
}
