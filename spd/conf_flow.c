/*
 * flow [esp|ah [transport|tunnel] [local A] [peer A] [reqid N]] ... [in|out] [proto P] from SRC [port P] to DST [port P]
 *      [icmptype N [code N]] [mhtype N] [vlan N] [fragments whole|check]
 *      [pfp local remote proto ports] [local A] [peer A] [reqid N] [srcid S] [dstid S] [type T]
 *
 * The clauses behind the steps may stand in any order, each once.
 */
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

/* A step as written; addresses not yet completed. */
struct step {
	const struct token *at;
	struct sa_template t;
	bool mode, local, peer, reqid; /* said */
};

struct flow_line {
	const struct token *first;
	struct step step[POLICY_STEPS_MAX];
	unsigned nsteps;
	bool proto_said; /* esp or ah */
	unsigned dirs;
	enum flow_type type;
	struct hosts from, to;
	struct ports fport, tport, types;
	struct protos protos;
	uint16_t vlan;
	enum policy_frags frags;
	uint8_t pfp;
	char *srcid, *dstid;
	const struct token *from_at, *to_at, *ports_at, *types_at;
	bool icmp; /* types are of ICMP, else of the Mobility Header */
	bool said_dir, said_proto, said_type, said_vlan, said_types, said_frags, said_pfp, said_ids[2], said_port[2];
};

/* local, peer, reqid of ${s}: 1 read, 0 something else stands there, -1 reported. */
static int
step_clause(struct parser *p, struct step *s)
{
	const struct token *t = token_peek(p);
	uint64_t v;

	if (token_accept(p, "local")) {
		if (conf_once(p, t, &s->local) == -1)
			return -1;
		if (token_accept(p, "any")) /* as if it were not said */
			return 1;
		return host_address(p, "local", s->t.peer.af, &s->t.local) == -1 ? -1 : 1;
	}
	if (token_accept(p, "peer")) {
		if (conf_once(p, t, &s->peer) == -1)
			return -1;
		if (token_accept(p, "any"))
			return 1;
		return host_address(p, "peer", s->t.local.af, &s->t.peer) == -1 ? -1 : 1;
	}
	if (token_accept(p, "reqid")) {
		if (conf_once(p, t, &s->reqid) == -1 ||
		    token_number(p, "reqid", 0, UINT32_MAX, &v) == -1)
			return -1;
		s->t.reqid = (uint32_t)v;
		return 1;
	}
	return 0;
}

/* The steps, in the order they are applied; a mode alone means esp. */
static int
steps(struct parser *p, struct flow_line *f)
{
	for (;;) {
		const struct token *t = token_peek(p);
		bool esp = token_accept(p, "esp"), ah = !esp && token_accept(p, "ah");
		struct step *s = &f->step[f->nsteps];
		int rc;

		if (!esp && !ah &&
		    (f->nsteps > 0 || !(token_is(p, "transport") || token_is(p, "tunnel"))))
			return 0;
		if (f->nsteps == POLICY_STEPS_MAX)
			return conf_error(
			    p, t, NULL, "a bundle has at most %d SAs", POLICY_STEPS_MAX);
		f->nsteps++;
		f->proto_said |= esp || ah;
		s->at = t;
		s->t.proto = ah ? IPSEC_AH : IPSEC_ESP;
		s->t.mode = MODE_TUNNEL;
		if (token_accept(p, "transport")) {
			s->t.mode = MODE_TRANSPORT;
			s->mode = true;
		} else if (token_accept(p, "tunnel")) {
			s->mode = true;
		}
		while ((rc = step_clause(p, s)) == 1)
			;
		if (rc == -1)
			return -1;
	}
}

static int
type_item(struct parser *p, const struct token *t, void *arg)
{
	const char *s = token_text(p, t), *dash = strchr(s, '-');
	struct ports *l = arg;
	uint64_t lo = 0, hi = 255;
	void *v;

	if ((v = list_grow(l->p, l->n, &l->cap, sizeof l->p[0])) == NULL)
		return conf_nomem(p);
	l->p = v;
	if (strcmp(s, "any") == 0 || strcmp(s, "opaque") == 0) {
		l->p[l->n++].match = s[0] == 'a' ? MATCH_ANY : MATCH_OPAQUE;
		return 0;
	}
	if (number_parse(s, dash, &lo) == -1 ||
	    number_parse(dash != NULL ? dash + 1 : s, NULL, &hi) == -1 || hi > 255)
		return conf_error(
		    p, t, "0 to 255, a range a-b, any or opaque", "this is no type or code");
	if (lo > hi)
		return conf_error(p, t, NULL, "the range runs backwards");
	l->p[l->n].match = MATCH_RANGE;
	l->p[l->n++].r = (struct portrange){(uint16_t)lo, (uint16_t)hi};
	return 0;
}

/* The codes of one type: both become one 16-bit range (RFC 4301 4.4.1.1). */
static int
codes(struct parser *p, struct flow_line *f, const struct token *at)
{
	struct ports c = {0}, all = {0};
	void *v;
	int rc = -1;

	if (token_list(p, "a code", type_item, &c) == -1)
		goto out;
	for (size_t i = 0; i < f->types.n; i++)
		for (size_t j = 0; j < c.n; j++) {
			struct portrange t = f->types.p[i].r, r = c.p[j].r;

			if (c.p[j].match == MATCH_ANY)
				r = (struct portrange){0, 255};
			if (c.p[j].match == MATCH_OPAQUE || f->types.p[i].match != MATCH_RANGE ||
			    (t.lo != t.hi && (r.lo != 0 || r.hi != 255))) {
				conf_error(p, at, "icmptype N code M", "a code needs one type");
				goto out;
			}
			if ((v = list_grow(all.p, all.n, &all.cap, sizeof all.p[0])) == NULL) {
				conf_nomem(p);
				goto out;
			}
			all.p = v;
			all.p[all.n].match = MATCH_RANGE;
			all.p[all.n++].r = (struct portrange){
			    (uint16_t)(t.lo << 8 | r.lo), (uint16_t)(t.hi << 8 | r.hi)};
			if (all.n > CONF_PRODUCT_MAX) {
				conf_error(p, at, NULL, "the lists come to more than %u rules",
				    CONF_PRODUCT_MAX);
				goto out;
			}
		}
	free(f->types.p);
	f->types = all;
	all.p = NULL;
	rc = 0;
out:
	free(c.p);
	free(all.p);
	return rc;
}

static int
types(struct parser *p, struct flow_line *f, const struct token *t, bool icmp)
{
	if (conf_once(p, t, &f->said_types) == -1 ||
	    token_list(p, "a type", type_item, &f->types) == -1)
		return -1;
	f->types_at = t;
	f->icmp = icmp;
	t = token_peek(p);
	if (icmp && (token_accept(p, "code") || token_accept(p, "icmpcode")))
		return codes(p, f, t);
	for (size_t i = 0; i < f->types.n; i++) {
		struct portrange *r = &f->types.p[i].r;

		r->lo = (uint16_t)(r->lo << 8);
		r->hi = (uint16_t)(r->hi << 8 | 255);
	}
	return 0;
}

static int
word_id(struct parser *p, const struct token *t, bool *said, char **id)
{
	const struct token *w;

	if (conf_once(p, t, said) == -1 || (w = token_word(p, "an identity")) == NULL)
		return -1;
	if ((*id = strdup(token_text(p, w))) == NULL)
		return conf_nomem(p);
	return 0;
}

static int
flow_type(struct parser *p, struct flow_line *f, const struct token *t)
{
	const struct token *w;

	if (conf_once(p, t, &f->said_type) == -1 || (w = token_word(p, "the type")) == NULL)
		return -1;
	for (int i = FLOW_REQUIRE; i <= FLOW_DENY; i++)
		if (strcmp(token_text(p, w), flow_type_name((enum flow_type)i)) == 0) {
			f->type = (enum flow_type)i;
			return 0;
		}
	return conf_error(
	    p, w, "require, use, acquire, dontacq, bypass or deny", "this is no type of flow");
}

static int
fragments(struct parser *p, struct flow_line *f)
{
	if (token_accept(p, "check"))
		f->frags = FRAGS_CHECK;
	else if (!token_accept(p, "whole"))
		return conf_error(
		    p, token_peek(p), "whole or check", "how fragments are treated is missing");
	return 0;
}

/* from or to, with the port behind it. */
static int
side(struct parser *p, struct flow_line *f, const struct token *t, bool from)
{
	const struct token **at = from ? &f->from_at : &f->to_at, *port;

	if (*at != NULL)
		return conf_error(p, t, "a list: { a, b }", "this was said before");
	*at = token_peek(p);
	if (host_list(p, from ? &f->from : &f->to) == -1)
		return -1;
	port = token_peek(p);
	if (!token_accept(p, "port"))
		return 0;
	f->ports_at = port;
	return port_list(p, from ? &f->fport : &f->tport);
}

/* One clause: 1 read, 0 none, -1 reported. */
static int
clause(struct parser *p, struct flow_line *f)
{
	const struct token *t = token_peek(p);
	int rc;
	uint64_t v;

	if (token_accept(p, "from"))
		rc = side(p, f, t, true);
	else if (token_accept(p, "to"))
		rc = side(p, f, t, false);
	else if (token_accept(p, "proto"))
		rc = conf_once(p, t, &f->said_proto) == -1 ? -1 : proto_list(p, &f->protos);
	else if (token_is(p, "in") || token_is(p, "out")) {
		f->dirs = token_accept(p, "in") ? 1 << DIR_IN : 1 << DIR_OUT;
		if (f->dirs == 1 << DIR_OUT)
			token_next(p);
		rc = conf_once(p, t, &f->said_dir);
	} else if (token_accept(p, "type"))
		rc = flow_type(p, f, t);
	else if (token_accept(p, "icmptype"))
		rc = types(p, f, t, true);
	else if (token_accept(p, "mhtype"))
		rc = types(p, f, t, false);
	else if (token_accept(p, "vlan")) {
		if ((rc = conf_once(p, t, &f->said_vlan)) == 0 &&
		    (rc = token_number(p, "vlan", 0, 4094, &v)) == 0)
			f->vlan = (uint16_t)v;
	} else if (token_accept(p, "fragments")) {
		if ((rc = conf_once(p, t, &f->said_frags)) == 0)
			rc = fragments(p, f);
	} else if (token_accept(p, "pfp"))
		rc = conf_once(p, t, &f->said_pfp) == -1 ? -1 : conf_pfp(p, &f->pfp);
	else if (token_accept(p, "srcid"))
		rc = word_id(p, t, &f->said_ids[0], &f->srcid);
	else if (token_accept(p, "dstid"))
		rc = word_id(p, t, &f->said_ids[1], &f->dstid);
	else if (token_is(p, "local") || token_is(p, "peer") || token_is(p, "reqid")) {
		if (f->nsteps > 1)
			return conf_error(p, t,
			    "esp transport reqid 1 ah tunnel peer ADDRESS from ...",
			    "in a bundle this stands behind the mode of its SA");
		if (f->nsteps == 0) { /* flow from ... peer: esp tunnel */
			f->nsteps = 1;
			f->step[0].at = t;
			f->step[0].t.proto = IPSEC_ESP;
			f->step[0].t.mode = MODE_TUNNEL;
		}
		rc = step_clause(p, &f->step[0]) == 1 ? 0 : -1;
	} else
		return 0;
	return rc == -1 ? -1 : 1;
}

/* What the clauses must be together. */
static int
consistent(struct parser *p, struct flow_line *f)
{
	bool plain = f->type == FLOW_BYPASS || f->type == FLOW_DENY;

	if (f->from_at == NULL || f->to_at == NULL)
		return conf_error(p, token_peek(p), "from SRC to DST", "'%s' is missing",
		    f->from_at == NULL ? "from" : "to");
	for (size_t i = 0; f->ports_at != NULL && i < f->protos.n; i++)
		if (f->protos.p[i].any || f->protos.p[i].opaque ||
		    !proto_has_ports(f->protos.p[i].proto))
			return conf_error(p, f->ports_at, "proto tcp, udp, sctp, dccp or udplite",
			    "a protocol of the list has no ports");
	if (f->ports_at != NULL && f->protos.n == 0)
		return conf_error(p, f->ports_at, "proto tcp (or udp, sctp, dccp, udplite)",
		    "a port needs a protocol that has ports");
	for (size_t i = 0; f->types_at != NULL && (i < f->protos.n || i == 0); i++) {
		unsigned proto = f->protos.n == 0 || f->protos.p[i].any ? 0 : f->protos.p[i].proto;

		if (f->icmp && proto != 1 && proto != 58)
			return conf_error(
			    p, f->types_at, "proto icmp or icmp6", "icmptype needs its protocol");
		if (!f->icmp && proto != 135)
			return conf_error(p, f->types_at, "proto mh", "mhtype needs its protocol");
	}
	for (unsigned i = 0; plain && i < f->nsteps; i++)
		if (f->step[i].local || f->step[i].peer || f->step[i].reqid)
			conf_warning(p, f->step[i].at,
			    "local, peer and reqid mean nothing with type %s and are not kept",
			    flow_type_name(f->type));
	if (f->nsteps == 0) {
		f->nsteps = 1;
		f->step[0].at = f->first;
		f->step[0].t.proto = IPSEC_ESP;
		f->step[0].t.mode = MODE_TUNNEL;
	}
	return 0;
}

/* The templates of one rule: OpenBSD's ${peer} is the destination where that is one host. */
static int
rule_steps(struct parser *p, const struct flow_line *f, struct policy *r)
{
	r->nsteps = (uint8_t)f->nsteps;
	for (unsigned i = 0; i < f->nsteps; i++) {
		const struct step *s = &f->step[i];
		struct sa_template *t = &r->step[i];

		*t = s->t;
		r->proto_said |= f->proto_said;
		r->mode_said |= s->mode;
		if (t->mode != MODE_TUNNEL || t->peer.af != 0)
			continue;
		if (!iprange_single(&r->sel.remote))
			return conf_error(p, s->at, "peer ADDRESS",
			    "a tunnel to more than one host needs to know its other end");
		if (t->local.af != 0 && t->local.af != r->sel.remote.lo.af)
			return conf_error(
			    p, s->at, "peer ADDRESS", "local and the peer are not of one family");
		t->peer = r->sel.remote.lo;
	}
	return 0;
}

/* One combination of the lists.  0; -1 reported. */
static int
rule(struct parser *p, const struct flow_line *f, const struct iprange *from,
    const struct iprange *to, size_t proto, size_t fport, size_t tport)
{
	static const enum policy_action action[] = {[FLOW_REQUIRE] = ACT_PROTECT,
	    [FLOW_USE] = ACT_PROTECT,
	    [FLOW_ACQUIRE] = ACT_PROTECT,
	    [FLOW_DONTACQ] = ACT_PROTECT,
	    [FLOW_BYPASS] = ACT_BYPASS,
	    [FLOW_DENY] = ACT_DISCARD};
	bool in = f->dirs == 1 << DIR_IN; /* then from is the remote side */
	struct policy *r = policy_new();
	struct selector *s;
	const char *why;

	if (r == NULL)
		return conf_nomem(p);
	r->dirs = (uint8_t)f->dirs;
	r->type = (uint8_t)f->type;
	r->action = (uint8_t)action[f->type];
	s = &r->sel;
	s->local = in ? *to : *from;
	s->remote = in ? *from : *to;
	s->vlan = f->vlan;
	r->frags = (uint8_t)f->frags;
	r->pfp = f->pfp;
	if (f->protos.n > 0 && !f->protos.p[proto].any) {
		s->proto_any = false;
		s->proto_opaque = f->protos.p[proto].opaque;
		s->proto = f->protos.p[proto].proto;
	}
	if (f->types.n > 0) {
		s->lmatch = f->types.p[fport].match;
		if (s->lmatch == MATCH_RANGE)
			s->lport = f->types.p[fport].r;
	}
	if (f->fport.n > 0) {
		*(in ? &s->rmatch : &s->lmatch) = f->fport.p[fport].match;
		*(in ? &s->rport : &s->lport) = f->fport.p[fport].r;
	}
	if (f->tport.n > 0) {
		*(in ? &s->lmatch : &s->rmatch) = f->tport.p[tport].match;
		*(in ? &s->lport : &s->rport) = f->tport.p[tport].r;
	}
	if ((f->srcid != NULL && (r->srcid = strdup(f->srcid)) == NULL) ||
	    (f->dstid != NULL && (r->dstid = strdup(f->dstid)) == NULL)) {
		conf_nomem(p);
		goto err;
	}
	if (r->action == ACT_PROTECT) {
		if (rule_steps(p, f, r) == -1)
			goto err;
	} else {
		r->proto_said = f->proto_said;
		r->mode_said = f->nsteps > 0 && f->step[0].mode;
	}
	if ((why = policy_check(r)) != NULL) {
		conf_error(p, f->first, NULL, "%s", why);
		goto err;
	}
	policy_settle(r);
	return conf_add_rule(p, f->first, r);
err:
	policy_unref(r);
	return -1;
}

/* Every combination of the lists, in the order they were written; pairs of two families are passed over. */
static int
expand(struct parser *p, const struct flow_line *f)
{
	size_t nproto = f->protos.n > 0 ? f->protos.n : 1, made = 0;
	size_t nfport = f->types.n > 0 ? f->types.n : f->fport.n > 0 ? f->fport.n : 1;
	size_t ntport = f->tport.n > 0 ? f->tport.n : 1;
	const size_t n[] = {nproto, f->from.n, nfport, f->to.n, ntport};
	size_t product = 1;

	for (size_t i = 0; i < sizeof n / sizeof n[0]; i++) {
		product *= n[i]; /* no factor is above CONF_TOKENS_MAX * 64, so 64 bits hold this */
		if (product > CONF_PRODUCT_MAX)
			return conf_error(p, f->first,
			    "fewer or shorter lists, or ranges and prefixes",
			    "the lists come to more than %u rules", CONF_PRODUCT_MAX);
	}
	for (size_t i = 0; i < product; i++) {
		size_t rest = i, tport = rest % ntport, to = (rest /= ntport) % f->to.n;
		size_t fport = (rest /= f->to.n) % nfport, from = (rest /= nfport) % f->from.n;
		const struct iprange *a = &f->from.r[from], *b = &f->to.r[to];

		if (a->lo.af != 0 && b->lo.af != 0 && a->lo.af != b->lo.af)
			continue;
		if (rule(p, f, a, b, rest / f->from.n, fport, tport) == -1)
			return -1;
		made++;
	}
	if (made == 0)
		return conf_error(p, f->to_at, NULL, "no pair of from and to is of one family");
	return 0;
}

int
conf_flow(struct parser *p, const struct token *first)
{
	struct flow_line f = {
	    .first = first, .dirs = 1 << DIR_OUT | 1 << DIR_IN, .vlan = VLAN_NONE};
	int rc = -1;

	if (token_is(p, "ipcomp") || token_is(p, "ipip"))
		return conf_foreign(p, first, "flow");
	if (steps(p, &f) == -1)
		goto out;
	while ((rc = clause(p, &f)) == 1)
		;
	if (rc == -1)
		goto out;
	rc = -1;
	if (token_peek(p)->kind != TOKEN_END) {
		conf_error(p, token_peek(p),
		    "proto, from, to, port, in, out, local, peer, reqid, icmptype, vlan, "
		    "fragments, pfp, srcid, dstid or type",
		    "this is no part of a flow");
		goto out;
	}
	if (consistent(p, &f) == 0)
		rc = expand(p, &f);
out:
	free(f.from.r);
	free(f.to.r);
	free(f.fport.p);
	free(f.tport.p);
	free(f.types.p);
	free(f.protos.p);
	free(f.srcid);
	free(f.dstid);
	return rc;
}
