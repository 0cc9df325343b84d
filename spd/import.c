#include "import.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "import_int.h"

struct word *
import_add_word(struct import *im, const char *s, size_t len, unsigned line, unsigned col)
{
	struct word *w = list_grow(im->w, im->nw, &im->capw, sizeof *w);

	if (w == NULL) {
		conf_nomem(&im->p);
		return NULL;
	}
	im->w = w;
	w += im->nw++;
	*w = (struct word){.s = s, .len = len, .line = line, .col = col};
	return w;
}

const struct word *
import_peek(const struct import *im)
{
	return im->at < im->nw ? &im->w[im->at] : NULL;
}

const struct word *
import_next(struct import *im)
{
	return im->at < im->nw ? &im->w[im->at++] : NULL;
}

bool
import_is(const struct word *w, const char *text)
{
	return w != NULL && !w->quoted && strlen(text) == w->len && memcmp(w->s, text, w->len) == 0;
}

bool
import_accept(struct import *im, const char *text)
{
	if (!import_is(import_peek(im), text))
		return false;
	im->at++;
	return true;
}

char *
import_copy(const struct word *w, char *buf, size_t cap)
{
	if (w == NULL || w->len >= cap || memchr(w->s, '\0', w->len) != NULL)
		return NULL;
	memcpy(buf, w->s, w->len);
	buf[w->len] = '\0';
	return buf;
}

const char *
import_number(const struct word *w, uint64_t *v)
{
	const char *s, *end;
	bool hex;

	if (w == NULL)
		return NULL;
	s = w->s;
	hex = w->len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	for (end = hex ? s + 2 : s; end < w->s + w->len; end++)
		if (!(*end >= '0' && *end <= '9') &&
		    !(hex && ((*end >= 'a' && *end <= 'f') || (*end >= 'A' && *end <= 'F'))))
			break;
	return number_parse(s, end, v) == 0 ? end : NULL;
}

static void __attribute__((format(printf, 4, 0)))
say(struct import *im, const struct word *w, bool warning, const char *fmt, va_list ap)
{
	char what[512], near[45] = "";

	vsnprintf(what, sizeof what, fmt, ap);
	if (w == NULL && im->nw > 0)
		w = &im->w[im->nw - 1];
	if (w != NULL)
		token_mask(w->s, w->len, near, sizeof near);
	diags_add(im->p.ds, im->file->name, w != NULL ? w->line : 0, w != NULL ? w->col : 0,
	    warning, "%s, near '%s'", what, near);
}

int
import_error(struct import *im, const struct word *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(im, w, false, fmt, ap);
	va_end(ap);
	return -1;
}

void
import_warn(struct import *im, const struct word *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(im, w, true, fmt, ap);
	va_end(ap);
}

/* What conf_file.c and conf_add_*() want to know of a place. */
static struct token
place(const struct import *im, unsigned line, unsigned col)
{
	return (struct token){
	    .kind = TOKEN_END, .line = line, .col = col, .file = im->file, .from = im->file};
}

static int
nibble(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

int
import_key(struct import *im, const struct word *w, const struct word *at, struct secret **key)
{
	struct token t = place(im, at->line, at->col);
	uint8_t octets[SECRET_MAX];
	size_t n = 0;
	int rc = -1;

	*key = NULL;
	if (w == NULL || w->len == 0)
		return 0;
	if (conf_file_key(&im->p, &t) == -1)
		return -1;
	if (w->quoted) {
		if ((n = w->len) > sizeof octets)
			return import_error(im, at, "the key is too long");
		memcpy(octets, w->s, n);
	} else {
		if (w->len < 4 || w->len % 2 != 0 || w->len / 2 - 1 > sizeof octets ||
		    w->s[0] != '0' || (w->s[1] != 'x' && w->s[1] != 'X'))
			return import_error(im, at,
			    "its key is not 0x and 1 to %d octets in hexadecimal", SECRET_MAX);
		for (size_t i = 2; i < w->len; i += 2) {
			int hi = nibble(w->s[i]), lo = nibble(w->s[i + 1]);

			if (hi == -1 || lo == -1) {
				import_error(im, at, "its key has other than hexadecimal digits");
				goto out;
			}
			octets[n++] = (uint8_t)(hi << 4 | lo);
		}
	}
	if ((*key = secret_new(octets, n)) == NULL)
		conf_nomem(&im->p);
	else
		rc = 0;
out:
	secret_wipe(octets, sizeof octets);
	return rc;
}

int
import_add_sa(struct import *im, const struct word *at, struct sa_params *sa, bool anymode)
{
	struct token t = place(im, at->line, at->col);
	const char *why;
	bool *v;

	sa->weak = (sa->enc != NULL && sa->enc->weak) || (sa->auth != NULL && sa->auth->weak);
	if ((why = sa_params_check(sa)) != NULL)
		return import_error(im, at, "%s", why);
	while (im->capany <= im->p.c->nsas) {
		if ((v = list_grow(im->anymode, im->capany, &im->capany, sizeof *v)) == NULL)
			return conf_nomem(&im->p);
		im->anymode = v;
	}
	im->anymode[im->p.c->nsas] = anymode;
	return conf_add_sa(&im->p, &t, sa);
}

int
import_tunnel(
    struct import *im, const struct word *at, const struct policy *rule, struct sa_template *t)
{
	if (t->mode != MODE_TUNNEL) {
		memset(&t->local, 0, sizeof t->local);
		memset(&t->peer, 0, sizeof t->peer);
		return 0;
	}
	if (ipaddr_unspecified(&t->local))
		memset(&t->local, 0, sizeof t->local);
	if (t->peer.af != 0 && !ipaddr_unspecified(&t->peer))
		return 0;
	if (!iprange_single(&rule->sel.remote))
		return import_error(im, at, "its tunnel does not say where the other end is");
	t->peer = rule->sel.remote.lo;
	if (t->local.af != 0 && t->local.af != t->peer.af)
		return import_error(im, at, "the ends of its tunnel are not of one family");
	return 0;
}

int
import_add_rule(
    struct import *im, const struct word *at, struct policy *rule, uint32_t priority, bool fwd)
{
	const char *why = policy_check(rule);
	struct import_rule *v;

	if (why != NULL) {
		policy_unref(rule);
		return import_error(im, at, "%s", why);
	}
	if ((v = list_grow(im->rule, im->nrules, &im->caprules, sizeof *v)) == NULL) {
		policy_unref(rule);
		return conf_nomem(&im->p);
	}
	im->rule = v;
	v[im->nrules] = (struct import_rule){
	    .rule = rule,
	    .line = at->line,
	    .col = at->col,
	    .priority = priority,
	    .order = im->nrules,
	    .fwd = fwd,
	};
	im->nrules++;
	return 0;
}

static int
by_priority(const void *va, const void *vb)
{
	const struct import_rule *a = va, *b = vb;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->fwd != b->fwd) /* what comes to the host itself is its in policies' matter */
		return a->fwd ? 1 : -1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* By selector, then those of one selector by what they are. */
static int
by_selector(const void *va, const void *vb)
{
	const struct import_rule *a = *(struct import_rule *const *)va,
				 *b = *(struct import_rule *const *)vb;
	int rc = memcmp(&a->rule->sel.local, &b->rule->sel.local, sizeof a->rule->sel.local);

	if (rc == 0)
		rc = memcmp(&a->rule->sel.remote, &b->rule->sel.remote, sizeof a->rule->sel.remote);
	if (rc == 0 && a->fwd != b->fwd)
		rc = a->fwd ? 1 : -1;
	return rc != 0 ? rc : a < b ? -1 : 1;
}

/*
 * What a host forwards comes in like everything else here, so a fwd policy that an in policy repeats has been said.  One that stands alone
 * becomes an in rule where it protects or denies; one that only allows would let in what no in policy did, and is not taken.
 */
static void
merge_forwarded(struct import *im)
{
	struct import_rule **v = calloc(im->nrules + 1, sizeof(*v));
	size_t n = im->nrules;

	if (v == NULL) {
		conf_nomem(&im->p);
		return;
	}
	for (size_t i = 0; i < n; i++)
		v[i] = &im->rule[i];
	qsort(v, n, sizeof *v, by_selector);
	for (size_t i = 0; i < n; i++) {
		struct import_rule *r = v[i];
		bool said = false;
		size_t tries = 0;

		/* behind the in policies of the same addresses */
		for (size_t j = i; r->fwd && !said && j-- > 0 && tries++ < 64;)
			said = v[j]->rule != NULL && !v[j]->fwd && policy_eq(v[j]->rule, r->rule);
		if (!r->fwd || (!said && r->rule->action != ACT_BYPASS))
			continue;
		if (!said)
			diags_add(im->p.ds, im->file->name, r->line, r->col, false,
			    "a fwd policy that allows, and no in policy like it: rules do not "
			    "tell forwarded packets apart");
		policy_unref(r->rule);
		r->rule = NULL;
	}
	free(v);
}

/* Rules into their order, and the end that a kernel has: what no policy names passes. */
static void
add_rules(struct import *im)
{
	struct token t = {0};
	struct policy *rest;

	if (im->nrules == 0)
		return;
	merge_forwarded(im);
	qsort(im->rule, im->nrules, sizeof *im->rule, by_priority);
	for (size_t i = 0; i < im->nrules; i++) {
		struct import_rule *r = &im->rule[i];

		t = place(im, r->line, r->col);
		if (r->rule != NULL)
			conf_add_rule(&im->p, &t, r->rule);
		r->rule = NULL;
	}
	if ((rest = policy_new()) == NULL) {
		conf_nomem(&im->p);
		return;
	}
	rest->type = FLOW_BYPASS;
	t = place(im, 0, 0);
	conf_add_rule(&im->p, &t, rest);
}

/* A mode that was not said is that of a rule with the same ends; transport where there is none, as in Linux. */
static void
guess_modes(struct import *im, size_t from)
{
	const struct conf *c = im->p.c;

	for (size_t i = from; i < c->nsas; i++) {
		struct sa_params *sa = &c->sa[i];
		size_t tries = 0;

		if (!im->anymode[i])
			continue;
		sa->mode = MODE_TRANSPORT;
		for (size_t r = 0; r < c->nrules && tries++ < 4096; r++)
			for (unsigned s = 0; s < c->rule[r]->nsteps; s++) {
				const struct sa_template *t = &c->rule[r]->step[s];

				if (c->rule[r]->action == ACT_PROTECT && t->mode == MODE_TUNNEL &&
				    t->proto == sa->proto &&
				    ((ipaddr_eq(&t->local, &sa->src) &&
					 ipaddr_eq(&t->peer, &sa->dst)) ||
					(ipaddr_eq(&t->peer, &sa->src) &&
					    ipaddr_eq(&t->local, &sa->dst))))
					sa->mode = MODE_TUNNEL;
			}
	}
}

/* Takes the SAs out that ${ds} has an error about. */
static size_t
drop_blamed(struct conf *c, const struct diags *ds, size_t from)
{
	size_t n = from;

	for (size_t i = from; i < c->nsas; i++) {
		bool blamed = false;

		for (size_t k = 0; k < ds->n && !blamed; k++)
			blamed = !ds->d[k].warning && ds->d[k].line == c->sa_at[i].line &&
				 ds->d[k].col == c->sa_at[i].col;
		if (blamed) {
			sa_params_fini(&c->sa[i]);
			continue;
		}
		c->sa[n] = c->sa[i];
		c->sa_at[n++] = c->sa_at[i];
	}
	from = c->nsas - n;
	c->nsas = n;
	return from;
}

/* What stands is to load: SAs that contradict each other (one SPI, one key) go until none does. */
static void
settle(struct import *im, size_t from)
{
	struct diags ds = {0};

	while (conf_check(im->p.c, &ds) == -1) {
		size_t gone = drop_blamed(im->p.c, &ds, from);

		for (size_t i = 0; i < ds.n; i++)
			if (!ds.d[i].warning)
				diags_add(im->p.ds, ds.d[i].file, ds.d[i].line, ds.d[i].col, false,
				    "%s", ds.d[i].text);
		diags_free(&ds);
		if (gone == 0)
			return;
	}
	for (size_t i = 0; i < ds.n; i++)
		diags_add(
		    im->p.ds, ds.d[i].file, ds.d[i].line, ds.d[i].col, true, "%s", ds.d[i].text);
	diags_free(&ds);
}

static int
import(enum import_kind kind, const char *path, const char *text, size_t len,
    const struct conf_opts *o, struct conf *c, struct diags *ds)
{
	static const struct conf_opts none;
	struct import im = {
	    .p = {.o = o != NULL ? o : &none, .c = c, .ds = ds, .errors = ds->errors}};
	size_t nsas = c->nsas, said = ds->n;
	char *own = NULL;

	if (text != NULL)
		im.file = conf_file_named(&im.p, path);
	else if ((im.file = conf_file_read(&im.p, path, NULL, true, &own, &len)) != NULL)
		text = own;
	if (im.file != NULL) {
		if (kind == IMPORT_SETKEY)
			import_setkey(&im, text, len);
		else
			import_xfrm(&im, text, len);
		add_rules(&im);
		guess_modes(&im, nsas);
		settle(&im, nsas);
		diags_sort(ds, said);
	}
	for (size_t i = 0; i < im.nrules; i++)
		policy_unref(im.rule[i].rule);
	free(im.rule);
	free(im.w);
	free(im.anymode);
	conf_file_drop(own, len);
	conf_lex_fini(&im.p);
	return ds->errors == im.p.errors ? 0 : -1;
}

int
import_file(enum import_kind kind, const char *path, const struct conf_opts *o, struct conf *c,
    struct diags *ds)
{
	return import(kind, path, NULL, 0, o, c, ds);
}

int
import_text(enum import_kind kind, const char *name, const char *text, size_t len,
    const struct conf_opts *o, struct conf *c, struct diags *ds)
{
	return import(kind, name, text, len, o, c, ds);
}
