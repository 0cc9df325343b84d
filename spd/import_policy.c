/*
 * An entry of `ip xfrm policy`: one rule.
 */
#include <string.h>
#include "import_xfrm.h"

struct xpolicy {
	struct policy *r;
	const struct word *first, *tmpl;
	struct selector sel; /* local: src */
	uint64_t priority;
	unsigned uses;
	bool fwd, deny, in;
};

/* dir out [action block] [index N] priority N [ptype main] [share any] [flag ...] */
static int
dir(struct import *im, struct xpolicy *x)
{
	const struct word *w = import_line_end(im) ? NULL : import_next(im);
	uint64_t v;

	x->fwd = import_is(w, "fwd");
	x->in = x->fwd || import_is(w, "in");
	if (!x->in && !import_is(w, "out"))
		return import_error(im, w, "this is no direction");
	while (!import_line_end(im)) {
		w = import_next(im);
		if (import_is(w, "action")) {
			w = import_line_end(im) ? NULL : import_next(im);
			x->deny = import_is(w, "block");
			if (!x->deny && !import_is(w, "allow"))
				return import_error(im, w, "this is no action");
		} else if (import_is(w, "priority")) {
			if (import_field(im, UINT32_MAX, &x->priority) == -1)
				return -1;
		} else if (import_is(w, "index")) {
			if (import_field(im, UINT32_MAX, &v) == -1)
				return -1;
		} else if (import_is(w, "ptype")) {
			w = import_line_end(im) ? NULL : import_next(im);
			if (!import_is(w, "main"))
				return import_error(im, w, "only ptype main can be turned");
		} else if (import_is(w, "share")) {
			if (!import_line_end(im) && !import_is(w = import_next(im), "any"))
				import_warn(im, w, "SAs are not made for each user or session");
		} else if (import_is(w, "flag")) {
			while (!import_line_end(im)) {
				w = import_next(im);
				if (import_is(w, "icmp"))
					import_warn(im, w,
					    "error messages of ICMP are matched as "
					    "they are");
			}
		} else {
			return import_error(im, w, "this is not known here");
		}
	}
	return 0;
}

/* src A dst B: of the tunnel, as its outer header has them */
static int
tmpl(struct import *im, struct xpolicy *x, const struct word *at)
{
	struct ipaddr src, dst;
	struct sa_template *t;

	if (x->r->nsteps == POLICY_STEPS_MAX)
		return import_error(im, at, "a rule has at most %d SAs", POLICY_STEPS_MAX);
	if (!import_accept(im, "src") || import_address(im, &src) == -1 ||
	    !import_accept(im, "dst") || import_address(im, &dst) == -1)
		return import_error(im, at, "its src and dst are missing");
	t = &x->r->step[x->r->nsteps++];
	*t = (struct sa_template){.proto = IPSEC_ESP, .mode = MODE_TRANSPORT};
	t->local = x->in ? dst : src;
	t->peer = x->in ? src : dst;
	x->tmpl = at;
	return 0;
}

/* proto esp [spi 0xc0ffee01] reqid 7 mode tunnel */
static int
tmpl_proto(struct import *im, struct xpolicy *x)
{
	struct sa_template *t = &x->r->step[x->r->nsteps - 1];
	const struct word *w = import_line_end(im) ? NULL : import_next(im), *spi = NULL;
	uint64_t v;

	if (import_is(w, "ah"))
		t->proto = IPSEC_AH;
	else if (!import_is(w, "esp"))
		return import_error(im, w, "only esp and ah can be turned");
	while (!import_line_end(im)) {
		w = import_next(im);
		if (import_is(w, "spi")) {
			if (import_field(im, UINT32_MAX, &v) == -1)
				return -1;
			spi = v != 0 ? w : NULL;
		} else if (import_is(w, "reqid")) {
			if (import_field(im, UINT32_MAX, &v) == -1)
				return -1;
			t->reqid = (uint32_t)v;
		} else if (import_is(w, "mode")) {
			w = import_line_end(im) ? NULL : import_next(im);
			if (import_is(w, "tunnel"))
				t->mode = MODE_TUNNEL;
			else if (!import_is(w, "transport"))
				return import_error(
				    im, w, "only transport and tunnel can be turned");
		} else {
			return import_error(im, w, "this is not known here");
		}
	}
	if (spi != NULL && t->reqid == 0)
		import_warn(im, spi, "a rule takes any SA between its ends; reqid ties them");
	return 0;
}

/* A line, by its first word. */
static int
line(struct import *im, struct xpolicy *x)
{
	const struct word *w = import_next(im);
	uint64_t v;

	if (import_is(w, "socket"))
		return import_error(im, w, "a policy of one socket, which a program set");
	if (import_is(w, "dir"))
		return dir(im, x);
	if (import_is(w, "mark") || import_is(w, "if_id"))
		return import_error(im, w,
		    import_is(w, "mark") ? "rules do not look at marks"
					 : "rules do not know XFRM interfaces");
	if (import_is(w, "tmpl"))
		return tmpl(im, x, w);
	if (import_is(w, "proto") && x->r->nsteps > 0)
		return tmpl_proto(im, x);
	if (import_is(w, "level") && x->r->nsteps > 0) {
		x->uses += import_accept(im, "use");
		return 0;
	}
	if (import_is(w, "limit:") || import_is(w, "expire")) {
		const struct word *at = w;
		while (!import_line_end(im)) {
			w = import_next(im);
			if ((import_is(w, "soft") || import_is(w, "hard")) &&
			    import_limit(im, &v) != '\0' && v != 0) {
				import_warn(im, at, "rules have no lifetime");
				return 0;
			}
		}
		return 0;
	}
	if (import_is(w, "enc-mask") || import_is(w, "lifetime") || import_is(w, "add") ||
	    import_number(w, &v) != NULL)
		return 0;
	if (import_is(w, "security") || import_is(w, "crypto") || import_is(w, "offload")) {
		import_warn(im, w, "this is not kept");
		return 0;
	}
	return import_error(im, w, "this is not known here");
}

static void
selector(struct xpolicy *x)
{
	struct selector *s = &x->r->sel;

	*s = x->sel;
	if (!x->in)
		return;
	s->local = x->sel.remote;
	s->remote = x->sel.local;
	if (s->proto_any || !proto_has_ports(s->proto))
		return; /* types have no side */
	s->lmatch = x->sel.rmatch;
	s->rmatch = x->sel.lmatch;
	s->lport = x->sel.rport;
	s->rport = x->sel.lport;
}

/* What the lines came to.  0; -1 reported. */
static int
finish(struct import *im, struct xpolicy *x)
{
	struct policy *r = x->r;
	unsigned n = r->nsteps;

	r->dirs = x->in ? 1 << DIR_IN : 1 << DIR_OUT;
	r->action = x->deny ? ACT_DISCARD : n > 0 ? ACT_PROTECT : ACT_BYPASS;
	r->type = x->deny ? FLOW_DENY : n > 0 ? FLOW_REQUIRE : FLOW_BYPASS;
	selector(x);
	if (r->action != ACT_PROTECT) {
		r->nsteps = 0;
		return 0;
	}
	if (x->uses != 0 && x->uses != n)
		return import_error(im, x->tmpl, "either all of its SAs are required, or none");
	if (x->uses != 0)
		r->type = FLOW_USE;
	r->proto_said = r->mode_said = true;
	for (unsigned i = 0; i < n; i++)
		if (import_tunnel(im, x->tmpl, r, &r->step[i]) == -1)
			return -1;
	return 0;
}

void
import_xfrm_policy(struct import *im)
{
	struct xpolicy x = {.first = import_peek(im), .r = policy_new()};
	const char *narrow;

	if (x.r == NULL) {
		conf_nomem(&im->p);
		return;
	}
	x.r->nsteps = 0;
	if (import_selector(im, &x.sel, &narrow) == -1)
		goto err;
	if (narrow != NULL) {
		import_error(im, x.first, "%s", narrow);
		goto err;
	}
	while (import_peek(im) != NULL) {
		if (line(im, &x) == -1)
			goto err;
		import_skip_line(im);
	}
	if (finish(im, &x) == -1)
		goto err;
	import_add_rule(im, x.first, x.r, (uint32_t)x.priority, x.fwd);
	return;
err:
	policy_unref(x.r);
}
