/*
 * From a packet's flow key to what becomes of it (RFC 4301 5.1 step 2, 5.2 step 3b and 4): built-ins, flow cache, SPD.
 * Whatever cannot be decided is dropped.
 */
#include "acquire.h"
#include "datapath.h"
#include "flowcache.h"
#include "gen.h"
#include "icmp.h"

struct flow_want {
	const struct policy *policy;
	const struct flowkey *key;
};

static bool
sa_wanted(const struct sa *sa, const void *arg)
{
	const struct flow_want *f = arg;

	return policy_sel_fits(f->policy, sa->p.sel, f->key);
}

/* Where an SA of step ${t} has to lead, for a packet from ${src} to ${dst} as it is before that step.  false: such a packet
 * cannot be protected so, because transport mode keeps its addresses and the template names others. */
static bool
step_ends(const struct sa_template *t, const struct ipaddr *src, const struct ipaddr *dst,
    struct ipaddr *sa_src, struct ipaddr *sa_dst)
{
	if (t->mode == MODE_TRANSPORT) {
		*sa_src = *src;
		*sa_dst = *dst;
		return (t->local.af == 0 || ipaddr_eq(&t->local, src)) &&
		       (t->peer.af == 0 || ipaddr_eq(&t->peer, dst));
	}
	*sa_src = t->local; /* af 0: by whichever of ours */
	*sa_dst = t->peer.af ? t->peer : *dst;
	return true;
}

unsigned
policy_bundle(const struct walk *w, const struct policy *policy, const struct flowkey *k,
    struct sa *sa[], struct ipaddr *src, struct ipaddr *dst)
{
	struct ipaddr from = k->local, to = k->remote;
	const struct flow_want want = {policy, k};
	unsigned i;

	for (i = 0; i < policy->nsteps; i++) {
		const struct sa_template *t = &policy->step[i];
		struct sa *found = NULL;

		if (step_ends(t, &from, &to, src, dst))
			found = sadb_out(w->gen->sad, t->proto, t->mode, src, dst, t->reqid,
			    i == 0 ? sa_wanted : NULL, &want);
		if (found == NULL)
			break;
		sa[i] = found;
		if (found->p.mode == MODE_TUNNEL) { /* the next step sees this one's outer header */
			from = found->p.src;
			to = found->p.dst;
		}
	}
	return i;
}

/* Has an SA of the bundle ended since it was looked up?  (One that was not there cannot come within a generation.) */
static bool
flow_stale(const struct flow *f)
{
	for (unsigned i = 0; i < POLICY_STEPS_MAX && f->sa[i]; i++)
		if (!sa_usable(f->sa[i]))
			return true;
	return false;
}

/* The decision for ${k}, from the cache or looked up and put there; ${scratch} holds it where there is no cache. */
static const struct flow *
flow_find(struct walk *w, const struct flowkey *k, struct flow *scratch)
{
	const struct flow *hit = w->cache ? flowcache_get(w->cache, k, w->gen->number) : NULL;
	struct ipaddr src, dst;

	if (hit && !flow_stale(hit))
		return hit;
	*scratch = (struct flow){.policy = spd_lookup(w->gen->spd, k, NULL)};
	if (k->dir == DIR_OUT && scratch->policy && scratch->policy->action == ACT_PROTECT)
		policy_bundle(w, scratch->policy, k, scratch->sa, &src, &dst);
	return w->cache ? flowcache_put(w->cache, k, w->gen->number, scratch) : scratch;
}

static void
rule_count(const struct walk *w, struct policy *policy, const struct pkt *p, enum dir dir)
{
	struct policy_counters *c = policy_count(policy, w->worker, dir);

	if (w->stats == NULL) /* nobody's packet: trace.c asks */
		return;
	stats_add(&c->packets, pkt_count(p));
	stats_add(&c->octets, p->l3end - p->l3 + p->more_octets - (uint32_t)p->more * p->l3);
	__atomic_store_n(&c->last_ms, w->now, __ATOMIC_RELAXED);
}

/* Ask for the SA that is wanting (RFC 4301 5.1 step 3b).  DROP_HELD: ${p} waits for it. */
static enum drop
ask(struct walk *w, struct pkt *p, const struct policy *policy)
{
	struct sa *sa[POLICY_STEPS_MAX];
	struct ipaddr src, dst;
	unsigned i = policy_bundle(w, policy, &p->key, sa, &src, &dst);

	if (w->acquire == NULL || i == policy->nsteps) /* (it came to its end between two looks) */
		return DROP_NO_SA;
	return acquire_ask(w, p, &src, &dst, i);
}

static enum drop
protect_out(struct walk *w, struct pkt *p, const struct flow *f)
{
	const struct policy *policy = f->policy;
	unsigned found = 0;

	while (found < policy->nsteps && f->sa[found])
		found++;
	if (found == policy->nsteps) {
		memcpy(p->sa, f->sa, sizeof p->sa);
		return DROP_NONE;
	}
	/* Opportunistic: in clear while there is no SA, but half a bundle is not a choice anybody made. */
	if (policy->type == FLOW_USE && found == 0) {
		p->bypass = 1;
		return DROP_NONE;
	}
	return policy->type == FLOW_DONTACQ ? DROP_NO_SA : ask(w, p, policy);
}

/* A clear packet from the wire that matches a PROTECT rule (RFC 4301 5.2: as if it were DISCARD). */
static enum drop
protect_in_clear(struct pkt *p, const struct policy *policy)
{
	if (policy->type != FLOW_USE)
		return DROP_CLEAR_DENIED;
	p->bypass = 1;
	return DROP_NONE;
}

static enum drop
rule_decide(struct walk *w, struct pkt *p, enum dir dir)
{
	struct flow scratch;
	const struct flow *f = flow_find(w, &p->key, &scratch);

	if ((p->policy = f->policy) == NULL)
		return DROP_POLICY_DEFAULT;
	rule_count(w, p->policy, p, dir);
	switch (p->policy->action) {
	case ACT_BYPASS:
		p->bypass = 1;
		return DROP_NONE;
	case ACT_PROTECT:
		return dir == DIR_OUT ? protect_out(w, p, f) : protect_in_clear(p, p->policy);
	default:
		return DROP_POLICY_DISCARD;
	}
}

/*
 * RFC 4301 6.2: an ICMP error of the host that no rule takes for what it is goes by the SA of the packet it is about, on the way back.
 */
static enum drop
quote_decide(struct walk *w, struct pkt *p)
{
	struct flow scratch;
	const struct flow *f;
	struct icmp_error e;
	struct flowkey k;

	if (!icmp_is_error(p) || !icmp_read(p, &e))
		return DROP_POLICY_DEFAULT;
	icmp_quote_key(p, &e, false, DIR_OUT, &k);
	f = flow_find(w, &k, &scratch);
	if (f->policy == NULL || f->policy->action != ACT_PROTECT || f->policy->type == FLOW_USE)
		return DROP_POLICY_DEFAULT;
	/* transport mode keeps the addresses, so they have to be the SA's */
	if (f->policy->step[0].mode == MODE_TRANSPORT &&
	    (!ipaddr_eq(&k.local, &p->key.local) || !ipaddr_eq(&k.remote, &p->key.remote)))
		return DROP_POLICY_DEFAULT;
	for (unsigned i = 0; i < f->policy->nsteps; i++)
		if (!f->sa[i])
			return DROP_POLICY_DEFAULT; /* nobody is asked for one for this */
	p->policy = f->policy;
	rule_count(w, p->policy, p, DIR_OUT);
	return protect_out(w, p, f);
}

static enum drop
decide(struct walk *w, struct pkt *p, enum dir dir)
{
	enum builtin b;
	enum drop d;

	if (passthru(p, &b)) {
		switch (spd_builtin(w->gen->spd, b)) {
		case BUILTIN_BYPASS:
			p->bypass = 1;
			return DROP_NONE;
		case BUILTIN_NONE:
			break;
		default:
			return DROP_POLICY_DISCARD;
		}
	}
	if (p->af == 0)
		return DROP_POLICY_DEFAULT;
	d = rule_decide(w, p, dir);
	return d == DROP_POLICY_DEFAULT && dir == DIR_OUT ? quote_decide(w, p) : d;
}

void
policy_burst(struct walk *w, struct burst *b, enum dir dir)
{
	unsigned n = 0;

	ahead_flows(w, b, dir);
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];

		if (p->drop == DROP_NONE)
			p->drop = decide(w, p, dir);
		if (p->drop != DROP_HELD) /* what waits is in w->acquire now */
			b->p[n++] = p;
	}
	b->n = n;
}

/*
 * policy_sa_fits() holds the SAs against what the rule says; here those ends it leaves to the packet.  Without this, any
 * transport mode peer could speak with the address of another one that the same rule covers.
 */
static bool
own_ends_fit(const struct pkt *p, const struct policy *policy, const struct flowkey *k)
{
	struct ipaddr local = k->local, remote = k->remote;

	for (unsigned i = 0; i < p->nchain; i++) {
		const struct sa_template *t = &policy->step[i];
		const struct sa_params *sa = &p->chain[p->nchain - 1 - i]->p;

		if (sa->mode == MODE_TRANSPORT) {
			if (!ipaddr_eq(&sa->dst, &local) || !ipaddr_eq(&sa->src, &remote))
				return false;
			continue;
		}
		if (t->peer.af == 0 && !ipaddr_eq(&sa->src, &remote))
			return false;
		local = sa->dst;
		remote = sa->src;
	}
	return true;
}

/* Each SA only for what it was made for (RFC 4301 5.2 step 4): the innermost for this packet, and none of the others for a flow. */
static bool
own_selectors_fit(const struct pkt *p, const struct policy *policy, const struct flowkey *k)
{
	for (unsigned i = 0; i + 1 < p->nchain; i++)
		if (p->chain[i]->p.sel)
			return false;
	return policy_sel_fits(policy, p->chain[p->nchain - 1]->p.sel, k);
}

/* The rule by which ${p} may have come through its SAs, were it a packet with key ${k}; NULL: none. */
static struct policy *
opened_as(struct walk *w, const struct pkt *p, const struct flowkey *k)
{
	struct flow scratch;
	struct policy *policy = flow_find(w, k, &scratch)->policy;

	if (policy == NULL || policy->action != ACT_PROTECT ||
	    !policy_sa_fits(policy, p->chain, p->nchain) || !own_ends_fit(p, policy, k) ||
	    !own_selectors_fit(p, policy, k))
		return NULL;
	return policy;
}

/* RFC 4301 6.2: what an ICMP error is about must be what its SA carries the other way; then its own header need not be. */
static enum drop
quote_opened(struct walk *w, struct pkt *p)
{
	struct icmp_error e;
	struct flowkey k;
	struct policy *policy;

	if (!icmp_read(p, &e))
		return DROP_ICMP_BAD;
	icmp_quote_key(p, &e, true, DIR_IN, &k);
	if ((policy = opened_as(w, p, &k)) == NULL)
		return DROP_ICMP_QUOTE;
	if (p->policy == NULL)
		p->policy = policy;
	return DROP_NONE;
}

enum drop
policy_opened(struct walk *w, struct pkt *p)
{
	enum drop d;

	if (p->af == 0)
		return DROP_SELECTOR_MISMATCH;
	p->policy = opened_as(w, p, &p->key);
	if (icmp_is_error(p) && (d = quote_opened(w, p)) != DROP_NONE)
		return p->policy ? d : DROP_SELECTOR_MISMATCH;
	if (p->policy == NULL)
		return DROP_SELECTOR_MISMATCH;
	rule_count(w, p->policy, p, DIR_IN);
	return DROP_NONE;
}
