/*
 * What only a whole set can show.  Everything here sorts and searches; nothing compares each with each, so that a check of
 * 100,000 rules and as many SAs stays a fraction of reading them.
 */
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"
#include "spd.h"

#define SHADOW_BUDGET                                                                              \
	5000000L /* selector comparisons with one rule after the other, at most; the index is asked then */
#define WARNINGS_MAX 50 /* of one kind */

static const struct conf_at nowhere = {"-", 0, 0};

static const struct conf_at *
rule_at(const struct conf *c, size_t i)
{
	return c->rule_at != NULL && c->rule_at[i].file != NULL ? &c->rule_at[i] : &nowhere;
}

static const struct conf_at *
sa_at(const struct conf *c, size_t i)
{
	return c->sa_at != NULL && c->sa_at[i].file != NULL ? &c->sa_at[i] : &nowhere;
}

static void
say(struct diags *ds, const struct conf_at *at, bool warning, const char *text)
{
	diags_add(ds, at->file, at->line, at->col, warning, "%s", text);
}

/* By what the SAD tells them apart by. */
static int
by_identity(const void *va, const void *vb)
{
	const struct sa_params *a = *(const struct sa_params *const *)va,
			       *b = *(const struct sa_params *const *)vb;
	int rc;

	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (a->spi != b->spi)
		return a->spi < b->spi ? -1 : 1;
	if ((rc = ipaddr_cmp(&a->dst, &b->dst)) != 0)
		return rc;
	return a < b ? -1 : a > b; /* the array's order */
}

static void
check_twins(const struct conf *c, const struct sa_params **v, struct diags *ds)
{
	char dst[IPADDR_STRLEN], text[256];

	qsort(v, c->nsas, sizeof *v, by_identity);
	for (size_t i = 1; i < c->nsas; i++) {
		const struct sa_params *a = v[i - 1], *b = v[i];
		const struct conf_at *at = sa_at(c, (size_t)(a - c->sa));

		if (a->proto != b->proto || a->spi != b->spi || !ipaddr_eq(&a->dst, &b->dst))
			continue;
		snprintf(text, sizeof text,
		    "SPI 0x%08x to %s is taken by the %s SA of %s:%u; each SA needs its own",
		    b->spi, ipaddr_print(&b->dst, dst), b->proto == IPSEC_AH ? "ah" : "esp",
		    at->file, at->line);
		say(ds, sa_at(c, (size_t)(b - c->sa)), false, text);
	}
}

static int
secret_cmp(const struct secret *a, const struct secret *b)
{
	size_t la = a != NULL ? secret_len(a) : 0, lb = b != NULL ? secret_len(b) : 0;

	if (la != lb)
		return la < lb ? -1 : 1;
	return la == 0 ? 0 : memcmp(secret_bytes(a), secret_bytes(b), la);
}

/* The key that must not send twice: of encryption, or of integrity where there is no other. */
static const struct secret *
main_key(const struct sa_params *p)
{
	return p->enckey != NULL ? p->enckey : p->authkey;
}

static int
by_key(const void *va, const void *vb)
{
	const struct sa_params *a = *(const struct sa_params *const *)va,
			       *b = *(const struct sa_params *const *)vb;
	int rc = secret_cmp(main_key(a), main_key(b));

	return rc != 0 ? rc : a < b ? -1 : a > b;
}

static bool
counter_mode(const struct sa_params *p)
{
	return (p->enc != NULL && p->enc->counter) || (p->auth != NULL && p->auth->counter);
}

/*
 * One key in two SAs.  With a counter mode two senders of one key repeat (key, IV) pairs and break it (RFC 4106 2 and 8,
 * RFC 8750), wherever they are: also this host and its peer.  Otherwise it is two SAs that send from here that we refuse.
 */
static const char *
key_conflict(const struct sa_params *a, const struct sa_params *b)
{
	bool back = ipaddr_eq(&a->src, &b->dst) && ipaddr_eq(&a->dst, &b->src);

	if (counter_mode(a) || counter_mode(b))
		return back ? "both directions have one key: the peer would send with it too, "
			      "which breaks a counter mode"
		       : a->dir == SA_DIR_IN && b->dir == SA_DIR_IN
			   ? NULL
			   : "another SA has this key: two senders with one key break a counter "
			     "mode";
	if (a->dir == SA_DIR_IN || b->dir == SA_DIR_IN || back)
		return NULL;
	return sa_params_same_key(a, b) ? "another SA that may send has this key" : NULL;
}

static void
check_keys(const struct conf *c, const struct sa_params **v, struct diags *ds)
{
	qsort(v, c->nsas, sizeof *v, by_key);
	for (size_t i = 0, j; i < c->nsas; i = j) {
		const struct sa_params *first = v[i];

		for (j = i + 1; j < c->nsas && main_key(first) != NULL &&
				secret_cmp(main_key(first), main_key(v[j])) == 0;
		     j++) {
			const struct conf_at *at;
			const char *why = NULL;
			char text[256];
			size_t k;

			/* Against a few before it: a run of one key is a mistake that one message tells. */
			for (k = i; k < j && k < i + 16 && why == NULL; k++)
				why = key_conflict(v[k], v[j]);
			if (why == NULL)
				continue;
			at = sa_at(c, (size_t)(v[k - 1] - c->sa));
			snprintf(text, sizeof text, "%s (SPI 0x%08x, %s:%u); make a key for each",
			    why, v[k - 1]->spi, at->file, at->line);
			say(ds, sa_at(c, (size_t)(v[j] - c->sa)), false, text);
		}
	}
}

/* A packet that ${s} matches: its lowest corner. */
static void
corner(const struct policy *p, struct flowkey *k)
{
	const struct selector *s = &p->sel;
	uint8_t af = s->local.lo.af != 0    ? s->local.lo.af
		     : s->remote.lo.af != 0 ? s->remote.lo.af
					    : 4;

	memset(k, 0, sizeof *k);
	k->local = s->local.lo;
	k->remote = s->remote.lo;
	k->local.af = k->remote.af = af;
	k->vlan = s->vlan;
	k->proto = s->proto_any ? 255 : s->proto;
	k->opaque = s->proto_opaque;
	k->dir = p->dirs & 1 << DIR_OUT ? DIR_OUT : DIR_IN;
	if (s->lmatch == MATCH_OPAQUE || s->rmatch == MATCH_OPAQUE)
		k->ports = PORTS_OPAQUE;
	else if (s->lmatch == MATCH_RANGE || s->rmatch == MATCH_RANGE)
		k->ports = s->proto == 135		     ? PORTS_MH
			   : s->proto == 1 || s->proto == 58 ? PORTS_ICMP
							     : PORTS_PORTS;
	k->lport = s->lmatch == MATCH_RANGE ? s->lport.lo : 0;
	k->rport = s->rmatch == MATCH_RANGE ? s->rport.lo : 0;
}

static bool
covers(const struct policy *outer, const struct policy *inner)
{
	return (inner->dirs & ~outer->dirs) == 0 && selector_covers(&outer->sel, &inner->sel);
}

/* The number of a rule before ${i} that covers it wholly, or -1.  The rule that takes ${i}'s corner is the one to look at:
 * where it is ${i} itself, nothing shadows it.  Where it is another that does not cover all of ${i}, a later one may. */
static long
shadow(const struct conf *c, const struct spd *spd, size_t i, long *budget)
{
	const struct policy *inner = c->rule[i];
	struct flowkey k;
	size_t j;

	corner(inner, &k);
	if (spd_lookup(spd, &k, &j) == NULL || j >= i)
		return -1;
	if (covers(c->rule[j], inner))
		return (long)j;
	if ((long)(i - j) > *budget)
		return spd_shadowed(spd, i);
	for (*budget -= (long)(i - j); ++j < i;)
		if (covers(c->rule[j], inner))
			return (long)j;
	return -1;
}

static void
check_shadows(const struct conf *c, struct diags *ds)
{
	const struct conf_at *last = NULL;
	long budget = SHADOW_BUDGET;
	unsigned said = 0;
	struct spd *spd;

	if (c->nrules < 2 || (spd = spd_new(c->rule, c->nrules, c->builtin)) == NULL)
		return;
	for (size_t i = 1; i < c->nrules && said < WARNINGS_MAX; i++) {
		const struct conf_at *at = rule_at(c, i), *by;
		long j = shadow(c, spd, i, &budget);
		char text[256];

		if (j == -1)
			continue;
		by = rule_at(c, (size_t)j);
		if (last != NULL && last->file == at->file && last->line == at->line &&
		    last->col == at->col)
			continue; /* of the same list */
		snprintf(text, sizeof text,
		    "this rule never decides: rule %ld (%s:%u) before it takes all its packets", j,
		    by->file, by->line);
		say(ds, at, true, text);
		last = at;
		said++;
	}
	spd_free(spd);
}

static int
by_dst(const void *va, const void *vb)
{
	const struct sa_params *a = *(const struct sa_params *const *)va,
			       *b = *(const struct sa_params *const *)vb;

	return ipaddr_cmp(&a->dst, &b->dst);
}

/* Does an SA of ${v} (sorted by_dst) serve step ${t} of rule ${p} in direction ${dir}?  ${far}: where it must lead to. */
static bool
served(const struct sa_params **v, size_t n, const struct policy *p, const struct sa_template *t,
    enum dir dir)
{
	struct iprange src = p->sel.local, dst = p->sel.remote, swap;
	size_t lo = 0, hi = n;

	if (t->mode == MODE_TUNNEL) {
		src.lo = src.hi = t->local;
		dst.lo = dst.hi = t->peer;
	}
	if (dir == DIR_IN) {
		swap = src;
		src = dst;
		dst = swap;
	}
	while (dst.lo.af != 0 && lo < hi) { /* the first whose destination is not below */
		size_t mid = lo + (hi - lo) / 2;

		if (ipaddr_cmp(&v[mid]->dst, &dst.lo) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && (dst.lo.af == 0 || ipaddr_cmp(&v[lo]->dst, &dst.hi) <= 0); lo++) {
		const struct sa_params *sa = v[lo];

		if ((sa->sel != NULL || p->pfp == 0) && sa->proto == t->proto &&
		    (t->mode == MODE_ANY || sa->mode == t->mode) &&
		    (t->reqid == 0 || t->reqid == sa->reqid) && iprange_has(&src, &sa->src) &&
		    sa->dir != (dir == DIR_OUT ? SA_DIR_IN : SA_DIR_OUT))
			return true;
	}
	return false;
}

static void
check_served(const struct conf *c, const struct sa_params **v, struct diags *ds)
{
	const struct conf_at *last = NULL;
	unsigned said = 0;

	qsort(v, c->nsas, sizeof *v, by_dst);
	for (size_t i = 0; i < c->nrules && said < WARNINGS_MAX; i++) {
		const struct policy *p = c->rule[i];
		const struct conf_at *at = rule_at(c, i);

		if (p->action != ACT_PROTECT || p->type == FLOW_ACQUIRE)
			continue;
		for (unsigned s = 0; s < p->nsteps; s++) {
			const struct sa_template *t = &p->step[s];
			char text[160], reqid[32] = "";

			/* A set of rules alone may get its SAs elsewhere; a reqid names one that should be here. */
			if ((c->nsas == 0 && t->reqid == 0) ||
			    served(v, c->nsas, p, t, p->dirs & 1 << DIR_OUT ? DIR_OUT : DIR_IN))
				continue;
			if (last != NULL && last->file == at->file && last->line == at->line &&
			    last->col == at->col)
				break;
			if (t->reqid != 0)
				snprintf(reqid, sizeof reqid, " with reqid %u", t->reqid);
			snprintf(text, sizeof text,
			    "no %s %s SA%s serves this rule yet: its packets are %s",
			    t->proto == IPSEC_AH ? "ah" : "esp",
			    t->mode == MODE_TRANSPORT ? "transport" : "tunnel", reqid,
			    p->type == FLOW_USE ? "sent in clear" : "discarded");
			say(ds, at, true, text);
			last = at;
			said++;
			break;
		}
	}
}

/* The SAs, for the checks to sort.  NULL: reported. */
static const struct sa_params **
sas_of(const struct conf *c, struct diags *ds)
{
	const struct sa_params **v = calloc(c->nsas + 1, sizeof(*v));

	if (v == NULL)
		diags_add(ds, "ipsec.conf", 0, 0, false, "out of memory");
	for (size_t i = 0; v != NULL && i < c->nsas; i++)
		v[i] = &c->sa[i];
	return v;
}

int
conf_refuse(const struct conf *c, struct diags *ds)
{
	size_t errors = ds->errors, said = ds->n;
	const struct sa_params **v = sas_of(c, ds);

	if (v == NULL)
		return -1;
	for (size_t i = 0; i < c->nforeign; i++)
		diags_add(ds, c->foreign[i].file, c->foreign[i].line, c->foreign[i].col, false,
		    "%s", c->foreign[i].why);
	check_twins(c, v, ds);
	check_keys(c, v, ds);
	free(v);
	diags_sort(ds, said);
	return ds->errors == errors ? 0 : -1;
}

void
conf_warn(const struct conf *c, struct diags *ds)
{
	size_t said = ds->n;
	const struct sa_params **v = sas_of(c, ds);

	if (v == NULL)
		return;
	check_served(c, v, ds);
	check_shadows(c, ds);
	free(v);
	diags_sort(ds, said);
}

int
conf_check(const struct conf *c, struct diags *ds)
{
	if (conf_refuse(c, ds) == -1)
		return -1;
	conf_warn(c, ds); /* nothing was said yet that would have to be sorted in */
	return 0;
}

int
conf_load(const char *path, const struct conf_opts *o, struct conf *c, struct diags *ds)
{
	if (conf_parse_file(path, o, c, ds) == -1)
		return -1;
	return conf_check(c, ds);
}
