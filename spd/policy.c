#include <stdlib.h>
#include <string.h>
#include "policy.h"
#include "workers.h"

/* What a settled rule without templates points to: read as one that says nothing, never written. */
static const struct sa_template no_step;

struct policy *
policy_new(void)
{
	struct policy *p = calloc(1, sizeof *p);

	if (p == NULL || (p->step = calloc(POLICY_STEPS_MAX, sizeof *p->step)) == NULL) {
		free(p);
		return NULL;
	}
	if (workers_number() > 1) {
		size_t n = workers_number() * sizeof *p->share;

		if ((p->share = aligned_alloc(64, n)) == NULL) {
			free(p->step);
			free(p);
			return NULL;
		}
		memset(p->share, 0, n);
	}
	selector_any(&p->sel);
	p->dirs = 1 << DIR_OUT | 1 << DIR_IN;
	p->action = ACT_BYPASS;
	p->type = FLOW_BYPASS;
	p->refs = 1;
	return p;
}

void
policy_settle(struct policy *p)
{
	struct sa_template *less;

	if (p->step == &no_step)
		return;
	if (p->nsteps == 0) {
		free(p->step);
		p->step = (struct sa_template *)&no_step;
	} else if ((less = realloc(p->step, p->nsteps * sizeof *less)) != NULL) {
		p->step = less;
	}
}

struct policy *
policy_ref(struct policy *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void
policy_unref(struct policy *p)
{
	if (p == NULL || __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	if (p->step != &no_step)
		free(p->step);
	free(p->srcid);
	free(p->dstid);
	free(p->share);
	free(p);
}

static void
add(struct policy_counters *sum, const struct policy_counters *c)
{
	uint64_t last = __atomic_load_n(&c->last_ms, __ATOMIC_RELAXED);

	sum->packets += __atomic_load_n(&c->packets, __ATOMIC_RELAXED);
	sum->octets += __atomic_load_n(&c->octets, __ATOMIC_RELAXED);
	sum->last_ms = last > sum->last_ms ? last : sum->last_ms;
}

void
policy_counted(const struct policy *p, unsigned dir, struct policy_counters *sum)
{
	*sum = (struct policy_counters){0};
	add(sum, &p->count[dir]);
	for (unsigned i = 0; p->share != NULL && i < workers_number(); i++)
		add(sum, &p->share[i].count[dir]);
}

static bool
text_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
range_eq(const struct iprange *a, const struct iprange *b)
{
	return ipaddr_eq(&a->lo, &b->lo) && ipaddr_eq(&a->hi, &b->hi);
}

static bool
ports_eq(uint8_t ma, const struct portrange *a, uint8_t mb, const struct portrange *b)
{
	return ma == mb && (ma != MATCH_RANGE || (a->lo == b->lo && a->hi == b->hi));
}

static bool
selector_eq(const struct selector *a, const struct selector *b)
{
	return range_eq(&a->local, &b->local) && range_eq(&a->remote, &b->remote) &&
	       a->proto_any == b->proto_any && a->proto_opaque == b->proto_opaque &&
	       (a->proto_any || a->proto == b->proto) &&
	       ports_eq(a->lmatch, &a->lport, b->lmatch, &b->lport) &&
	       ports_eq(a->rmatch, &a->rport, b->rmatch, &b->rport) && a->vlan == b->vlan;
}

static bool
template_eq(const struct sa_template *a, const struct sa_template *b)
{
	return a->proto == b->proto && a->mode == b->mode && ipaddr_eq(&a->local, &b->local) &&
	       ipaddr_eq(&a->peer, &b->peer) && a->reqid == b->reqid;
}

bool
policy_eq(const struct policy *a, const struct policy *b)
{
	if (a->dirs != b->dirs || a->frags != b->frags || a->action != b->action ||
	    a->type != b->type || !selector_eq(&a->sel, &b->sel) || !text_eq(a->srcid, b->srcid) ||
	    !text_eq(a->dstid, b->dstid))
		return false;
	if (a->action != ACT_PROTECT) /* what it would be protected by means nothing then */
		return true;
	if (a->nsteps != b->nsteps || a->pfp != b->pfp)
		return false;
	for (unsigned i = 0; i < a->nsteps; i++)
		if (!template_eq(&a->step[i], &b->step[i]))
			return false;
	return true;
}

static const char *
ports_check(const struct selector *s)
{
	bool typed = !s->proto_any && (s->proto == 1 || s->proto == 58 || s->proto == 135);

	if (s->proto_opaque && (s->proto_any || s->proto != 0))
		return "a protocol is any, opaque or a number";
	if (s->lmatch > MATCH_OPAQUE || s->rmatch > MATCH_OPAQUE)
		return "ports must be any, a range or opaque";
	if ((s->lmatch == MATCH_RANGE && s->lport.lo > s->lport.hi) ||
	    (s->rmatch == MATCH_RANGE && s->rport.lo > s->rport.hi))
		return "a range of ports or types must not run backwards";
	if (s->lmatch == MATCH_ANY && s->rmatch == MATCH_ANY)
		return NULL;
	if (typed)
		return s->rmatch == MATCH_ANY ? NULL
					      : "ICMP and Mobility Header have a type, no ports";
	if (s->proto_any || s->proto_opaque || !proto_has_ports(s->proto))
		return "ports need a protocol that has them: tcp, udp, sctp, dccp or udplite";
	return NULL;
}

static const char *
range_check(const struct iprange *r)
{
	if (r->lo.af != r->hi.af || (r->lo.af != 0 && r->lo.af != 4 && r->lo.af != 6))
		return "both ends of an address range must be of one family";
	if (memcmp(r->lo.b, r->hi.b, sizeof r->lo.b) > 0)
		return "an address range must not run backwards";
	return NULL;
}

static const char *
selector_check(const struct selector *s)
{
	const char *why;

	if ((why = range_check(&s->local)) || (why = range_check(&s->remote)))
		return why;
	if (s->local.lo.af && s->remote.lo.af && s->local.lo.af != s->remote.lo.af)
		return "source and destination must be of one family";
	if (s->vlan != VLAN_NONE && s->vlan > 4094)
		return "a VLAN id is a number from 0 to 4094";
	return ports_check(s);
}

static const char *
template_check(const struct sa_template *t, const struct selector *s, bool first)
{
	if (t->proto != IPSEC_ESP && t->proto != IPSEC_AH)
		return "the protocol of an SA is esp or ah";
	if (t->mode > MODE_TUNNEL)
		return "the mode of an SA is transport or tunnel";
	if (t->local.af && t->peer.af && t->local.af != t->peer.af)
		return "local and peer must be of one family";
	if (t->peer.af && memcmp(t->peer.b, (const uint8_t[16]){0}, 16) == 0)
		return "peer must be an address a packet can be sent to";
	/* Transport mode keeps the packet's own addresses (RFC 4301 4.1), so others than these can never work. */
	if (first && t->mode == MODE_TRANSPORT &&
	    ((t->local.af && !iprange_has(&s->local, &t->local)) ||
		(t->peer.af && !iprange_has(&s->remote, &t->peer))))
		return "in transport mode local and peer are the packet's own addresses: use "
		       "tunnel";
	return NULL;
}

const char *
policy_check(const struct policy *p)
{
	static const uint8_t action[] = {
	    [FLOW_REQUIRE] = ACT_PROTECT,
	    [FLOW_USE] = ACT_PROTECT,
	    [FLOW_ACQUIRE] = ACT_PROTECT,
	    [FLOW_DONTACQ] = ACT_PROTECT,
	    [FLOW_BYPASS] = ACT_BYPASS,
	    [FLOW_DENY] = ACT_DISCARD,
	};
	const char *why;

	if (p->frags > FRAGS_CHECK)
		return "fragments are put together or checked";
	if (p->dirs == 0 || (p->dirs & ~(1 << DIR_OUT | 1 << DIR_IN)))
		return "a rule is for in, out or both";
	if (p->type > FLOW_DENY || p->action != action[p->type])
		return "type and action of a rule do not belong together";
	if ((why = selector_check(&p->sel)))
		return why;
	if (p->nsteps > POLICY_STEPS_MAX)
		return "too many SAs in a bundle, at most 4";
	if (p->pfp && p->action != ACT_PROTECT)
		return "pfp says how SAs are made, and this rule needs none";
	if (p->action != ACT_PROTECT)
		return NULL;
	if (p->nsteps == 0)
		return "a rule that protects needs esp or ah";
	for (unsigned i = 0; i < p->nsteps; i++)
		if ((why = template_check(&p->step[i], &p->sel, i == 0)))
			return why;
	if (p->pfp && p->nsteps > 1)
		return "pfp goes with one SA, not with a bundle";
	if (p->step[0].mode == MODE_TRANSPORT &&
	    (p->frags == FRAGS_CHECK || policy_names_fragments(p)))
		return "transport mode protects whole datagrams, no fragments: use tunnel";
	return NULL;
}

/* Ports of ICMP and the like are no ports: there is nothing to take from such a packet. */
static bool
port_exact(const struct sa_ports *s, const struct flowkey *k, uint16_t v)
{
	return k->ports != PORTS_PORTS || (!s->any && s->lo == v && s->hi == v);
}

bool
policy_sel_fits(const struct policy *p, const struct sa_selector *sel, const struct flowkey *k)
{
	bool out = k->dir == DIR_OUT;
	const struct ipaddr *src = out ? &k->local : &k->remote,
			    *dst = out ? &k->remote : &k->local;
	const struct iprange *local, *remote;
	uint16_t sport = out ? k->lport : k->rport, dport = out ? k->rport : k->lport;

	if (sel == NULL)
		return p->pfp == 0;
	if (!sa_selector_has(
		sel, src, dst, k->opaque ? -1 : k->proto, k->ports == PORTS_PORTS, sport, dport))
		return false;
	local = out ? &sel->src : &sel->dst;
	remote = out ? &sel->dst : &sel->src;
	return (!(p->pfp & PFP_LOCAL) || iprange_single(local)) &&
	       (!(p->pfp & PFP_REMOTE) || iprange_single(remote)) &&
	       (!(p->pfp & PFP_PROTO) || !sel->proto_any) &&
	       (!(p->pfp & PFP_PORTS) ||
		   (port_exact(&sel->sport, k, sport) && port_exact(&sel->dport, k, dport)));
}

bool
policy_sa_fits(const struct policy *p, struct sa *const *chain, unsigned n)
{
	if (n != p->nsteps)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct sa_template *t = &p->step[n - 1 - i]; /* the last step is outermost */
		const struct sa_params *sa = &chain[i]->p;

		if (sa->proto != t->proto || (t->mode != MODE_ANY && sa->mode != t->mode))
			return false;
		if (t->reqid && sa->reqid != t->reqid)
			return false;
		if ((t->local.af && !ipaddr_eq(&t->local, &sa->dst)) ||
		    (t->peer.af && !ipaddr_eq(&t->peer, &sa->src)))
			return false;
	}
	return true;
}

const char *
flow_type_name(enum flow_type t)
{
	static const char *const name[] = {
	    "require", "use", "acquire", "dontacq", "bypass", "deny"};

	return name[t];
}

const char *
action_name(enum policy_action a)
{
	static const char *const name[] = {"discard", "bypass", "protect"};

	return name[a];
}
