/*
 * Statements, one by one: which it is, macros, include, built-in rules; what was read is appended to struct conf.
 */
#include <ctype.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

static int statements(struct parser *p, struct conf_file *f, const char *text, size_t len);

/* Words that cannot name a macro: what a statement begins with or a clause is made of. */
static const char *const reserved[] = {
    "acquire",
    "ah",
    "any",
    "auth",
    "authkey",
    "builtin",
    "bypass",
    "deny",
    "dontacq",
    "dstid",
    "enc",
    "enckey",
    "esp",
    "file",
    "flow",
    "from",
    "icmptype",
    "ike",
    "in",
    "include",
    "ipcomp",
    "ipip",
    "local",
    "out",
    "peer",
    "port",
    "proto",
    "reqid",
    "require",
    "spi",
    "srcid",
    "tcpmd5",
    "to",
    "transport",
    "tunnel",
    "type",
    "use",
};

bool
conf_reserved(const char *word)
{
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(word, reserved[i]) == 0)
			return true;
	return false;
}

/* Room for one more of ${*v} and of where it came from. */
static int
room(void **v, struct conf_at **at, size_t n, size_t *cap, size_t size)
{
	struct conf_at *to;
	void *w;

	if (n >= *cap || *at == NULL) {
		size_t more = n >= *cap ? 2 * n + 4 : *cap;

		if ((to = reallocarray(*at, more, sizeof *to)) == NULL)
			return -1;
		if (*at == NULL)
			memset(to, 0, n * sizeof *to); /* what was there came from no text */
		*at = to;
		if ((w = reallocarray(*v, more, size)) == NULL)
			return -1;
		*v = w;
		*cap = more;
	}
	return 0;
}

static int
too_many(struct parser *p, const struct token *at, const char *what)
{
	p->stop = true;
	return conf_error(p, at, NULL, "more than %u %s", CONF_RULES_MAX, what);
}

/* The place of the next statement among all of ${c}. */
static size_t
place(const struct conf *c)
{
	return c->nrules + c->nsas + c->nforeign;
}

int
conf_add_rule(struct parser *p, const struct token *at, struct policy *rule)
{
	struct conf *c = p->c;
	void *v;

	if (c->nrules >= CONF_RULES_MAX) {
		policy_unref(rule);
		return too_many(p, at, "rules");
	}
	v = c->rule;
	if (room(&v, &c->rule_at, c->nrules, &c->caprules, sizeof *c->rule) == -1) {
		policy_unref(rule);
		return conf_nomem(p);
	}
	c->rule = v;
	c->rule_at[c->nrules] = (struct conf_at){at->file->name, at->line, at->col, place(c)};
	c->rule[c->nrules++] = rule;
	return 0;
}

int
conf_add_sa(struct parser *p, const struct token *at, const struct sa_params *sa)
{
	struct conf *c = p->c;
	void *v;

	if (c->nsas >= CONF_RULES_MAX)
		return too_many(p, at, "SAs");
	v = c->sa;
	if (room(&v, &c->sa_at, c->nsas, &c->capsas, sizeof *c->sa) == -1)
		return conf_nomem(p);
	c->sa = v;
	c->sa_at[c->nsas] = (struct conf_at){at->file->name, at->line, at->col, place(c)};
	sa_params_copy(&c->sa[c->nsas++], sa);
	return 0;
}

int
conf_add_foreign(struct parser *p, const struct token *at, const char *text, const char *why)
{
	struct conf *c = p->c;
	struct conf_foreign *v;

	if (c->nforeign >= CONF_RULES_MAX)
		return too_many(p, at, "statements");
	if ((v = reallocarray(c->foreign, c->nforeign + 1, sizeof *v)) == NULL)
		return conf_nomem(p);
	c->foreign = v;
	v += c->nforeign;
	*v = (struct conf_foreign){
	    strdup(text), strdup(why), strdup(at->file->name), at->line, at->col, place(c)};
	c->nforeign++;
	return v->text != NULL && v->why != NULL && v->file != NULL ? 0 : conf_nomem(p);
}

/* NAME = value: quoted, or the words up to the line's end. */
static int
assignment(struct parser *p)
{
	const struct token *name = token_next(p), *t, *first;
	struct token at = *name;
	const char *n = token_text(p, name);
	size_t len = 0, cap;
	char *value;
	int rc;

	token_next(p); /* = */
	first = token_peek(p);
	for (const char *s = n; *s != '\0'; s++)
		if (!(isalnum((unsigned char)*s) || *s == '_'))
			return conf_error(p, name, "letters, digits and _",
			    "this is no name for a macro");
	if (conf_reserved(n))
		return conf_error(
		    p, name, "another name", "a word of the language cannot name a macro");
	if (first->kind == TOKEN_END)
		return conf_error(p, first, "NAME = \"value\"", "the macro has no value");
	at.from = first->from;
	cap = p->ntext + p->ntok;
	if ((value = malloc(cap)) == NULL)
		return conf_nomem(p);
	while ((t = token_next(p))->kind != TOKEN_END) {
		if (len > 0)
			value[len++] = ' ';
		memcpy(value + len, token_text(p, t), t->len);
		len += t->len;
		if (t->from->unsafe != NULL)
			at.from = t->from; /* should a key be in it, that file is to blame */
	}
	rc = conf_lex_macro(p, n, value, len, &at);
	conf_file_drop(value, len);
	return rc;
}

static int
include_one(struct parser *p, const struct token *t, const char *path)
{
	struct conf_file *f;
	char *text;
	size_t len;
	int rc;

	if ((f = conf_file_read(p, path, t, false, &text, &len)) == NULL)
		return -1;
	p->depth++;
	rc = statements(p, f, text, len);
	p->depth--;
	conf_file_drop(text, len);
	return rc;
}

static int
include(struct parser *p)
{
	const struct token *t = token_word(p, "the file's name");
	struct token at;
	char *path;
	glob_t g;
	int rc = 0;

	if (t == NULL)
		return -1;
	if (token_peek(p)->kind != TOKEN_END)
		return conf_error(p, token_peek(p), "include \"FILE\"", "nothing may follow here");
	if (p->o->no_files)
		return conf_error(p, t, "send what it holds", "files are not read for this text");
	if (p->depth >= CONF_INCLUDE_MAX)
		return conf_error(
		    p, t, NULL, "files include files more than %u deep", CONF_INCLUDE_MAX);
	if ((path = conf_file_beside(t->from, token_text(p, t))) == NULL)
		return conf_nomem(p);
	at = *t; /* the statement's tokens end when the file's first line is read */
	if (strpbrk(path, "*?[") == NULL) {
		rc = include_one(p, &at, path);
		free(path);
		return rc;
	}
	switch (glob(path, 0, NULL, &g)) {
	case 0:
		for (size_t i = 0; i < g.gl_pathc && !p->stop; i++)
			if (include_one(p, &at, g.gl_pathv[i]) == -1)
				rc = -1;
		globfree(&g);
		break;
	case GLOB_NOMATCH: /* an empty conf.d */
		break;
	default:
		rc = conf_error(p, t, NULL, "cannot look for files");
	}
	free(path);
	return rc;
}

static int
builtin_item(struct parser *p, const struct token *t, void *arg)
{
	bool *want = arg;
	int b = builtin_number(token_text(p, t));

	if (b == -1)
		return conf_error(p, t, "arp, nonip, nd, mld, dhcp, dhcp6 or icmp",
		    "no built-in rule has this name");
	want[b] = true;
	return 0;
}

/* builtin NAME type bypass|deny|none */
static int
builtin(struct parser *p)
{
	bool want[BUILTIN_MAX] = {false};
	const struct token *t;
	int set = -1;

	if (token_list(p, "the name of a built-in rule", builtin_item, want) == -1)
		return -1;
	if (!token_accept(p, "type"))
		return conf_error(
		    p, token_peek(p), "builtin NAME type bypass|deny|none", "'type' is missing");
	if ((t = token_word(p, "the type")) == NULL)
		return -1;
	for (int i = BUILTIN_BYPASS; i <= BUILTIN_NONE; i++)
		if (strcmp(token_text(p, t), builtin_set_name((enum builtin_set)i)) == 0)
			set = i;
	if (set == -1)
		return conf_error(
		    p, t, "bypass, deny or none", "this is no type of a built-in rule");
	if (token_peek(p)->kind != TOKEN_END)
		return conf_error(p, token_peek(p), "builtin NAME type bypass|deny|none",
		    "nothing may follow here");
	for (int b = 0; b < BUILTIN_MAX; b++)
		if (want[b]) {
			p->c->builtin[b] = (enum builtin_set)set;
			p->c->builtin_said[b] = true;
		}
	return 0;
}

/* "FLOWS:" and such, as -s all prints them. */
static bool
heading(struct parser *p)
{
	const char *a = token_text(p, &p->tok[0]), *b = token_text(p, &p->tok[1]);

	if (p->ntok == 2)
		return strcmp(a, "FLOWS:") == 0 || strcmp(a, "SAD:") == 0;
	return p->ntok == 3 && strcmp(a, "No") == 0 &&
	       (strcmp(b, "flows") == 0 || strcmp(b, "entries") == 0);
}

/* "@12", as -v prints before a rule. */
static void
skip_number(struct parser *p)
{
	const struct token *t = token_peek(p);
	const char *s = token_text(p, t);
	uint64_t v;

	if (t->kind == TOKEN_WORD && s[0] == '@' && number_parse(s + 1, NULL, &v) == 0)
		token_next(p);
}

static int
statement(struct parser *p)
{
	const struct token *t;

	if (p->tok[0].kind == TOKEN_WORD && p->tok[1].kind == TOKEN_PUNCT &&
	    token_text(p, &p->tok[1])[0] == '=')
		return assignment(p);
	if (heading(p))
		return 0;
	skip_number(p);
	t = token_peek(p);
	if (token_accept(p, "flow"))
		return conf_flow(p, t);
	if (token_accept(p, "esp"))
		return conf_sa(p, t, IPSEC_ESP);
	if (token_accept(p, "ah"))
		return conf_sa(p, t, IPSEC_AH);
	if (token_accept(p, "include"))
		return include(p);
	if (token_accept(p, "builtin"))
		return builtin(p);
	if (token_accept(p, "ike"))
		return conf_foreign(p, t, "ike");
	if (token_accept(p, "tcpmd5"))
		return conf_foreign(p, t, "tcpmd5");
	if (token_accept(p, "ipcomp"))
		return conf_foreign(p, t, "ipcomp");
	if (token_accept(p, "ipip"))
		return conf_foreign(p, t, "ipip");
	return conf_error(p, t, "flow, esp, ah, include, builtin or NAME = \"value\"",
	    "no statement begins like this");
}

static int
statements(struct parser *p, struct conf_file *f, const char *text, size_t len)
{
	struct source s = {.text = text, .len = len, .line = 1, .col = 1, .file = f, .from = f};
	size_t errors = p->ds->errors;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		s.pos = 3; /* a byte order mark, from another system's editor */
	while (!p->stop) {
		int rc = conf_lex_statement(p, &s);

		if (rc == 0)
			break;
		if (rc == 1)
			statement(p);
		if (p->ds->errors - p->errors >= CONF_ERRORS_MAX && !p->stop) {
			diags_add(p->ds, f->name, s.line, 1, false,
			    "too many errors, the rest is not read");
			p->stop = true;
		}
	}
	return p->ds->errors > errors ? -1 : 0;
}

/* The macros of -D. */
static int
given_macros(struct parser *p)
{
	const char *const *m = p->o->macros;
	char *name;
	const char *eq;
	int rc = 0;

	if (m == NULL || *m == NULL)
		return 0;
	if (conf_file_named(p, "command line") == NULL)
		return -1;
	for (; *m != NULL && rc == 0; m++) {
		size_t n =
		    strspn(*m, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

		eq = strchr(*m, '=');
		if (eq == NULL || n == 0 || *m + n != eq || isdigit((unsigned char)**m)) {
			diags_add(p->ds, "command line", 0, 0, false, "-D takes name=value");
			return -1;
		}
		if ((name = strndup(*m, n)) == NULL)
			return conf_nomem(p);
		rc = conf_lex_macro(p, name, eq + 1, strlen(eq + 1), NULL);
		free(name);
	}
	return rc;
}

static void
unused_macros(struct parser *p)
{
	for (const struct macro *m = p->macros; m != NULL; m = m->next)
		if (!m->used && m->line != 0)
			diags_add(p->ds, m->from->name, m->line, m->col, true,
			    "macro '%s' is not used", m->name);
}

/* Back to how ${c} was. */
static void
conf_cut(struct conf *c, size_t nrules, size_t nsas, size_t nforeign)
{
	while (c->nrules > nrules)
		policy_unref(c->rule[--c->nrules]);
	while (c->nsas > nsas)
		sa_params_fini(&c->sa[--c->nsas]);
	while (c->nforeign > nforeign) {
		struct conf_foreign *f = &c->foreign[--c->nforeign];

		free(f->text);
		free(f->why);
		free(f->file);
	}
}

/* ${path}, or ${text} of that name. */
static int
parse(const char *path, const char *text, size_t len, const struct conf_opts *o, struct conf *c,
    struct diags *ds)
{
	static const struct conf_opts none;
	struct parser p = {.o = o != NULL ? o : &none, .c = c, .ds = ds, .errors = ds->errors};
	size_t nrules = c->nrules, nsas = c->nsas, nforeign = c->nforeign;
	enum builtin_set set[BUILTIN_MAX];
	bool said[BUILTIN_MAX];
	struct conf_file *f;
	char *own = NULL;

	memcpy(set, c->builtin, sizeof set);
	memcpy(said, c->builtin_said, sizeof said);
	if (given_macros(&p) == 0) {
		if (text != NULL)
			f = conf_file_named(&p, path);
		else if ((f = conf_file_read(&p, path, NULL, true, &own, &len)) != NULL)
			text = own;
		if (f != NULL) {
			statements(&p, f, text, len);
			if (p.o->warn_unused && ds->errors == p.errors)
				unused_macros(&p);
		}
	}
	conf_file_drop(own, len);
	conf_lex_fini(&p);
	if (ds->errors == p.errors)
		return 0;
	conf_cut(c, nrules, nsas, nforeign);
	memcpy(c->builtin, set, sizeof set);
	memcpy(c->builtin_said, said, sizeof said);
	return -1;
}

int
conf_parse_file(const char *path, const struct conf_opts *o, struct conf *c, struct diags *ds)
{
	return parse(path, NULL, 0, o, c, ds);
}

int
conf_parse_text(const char *name, const char *text, size_t len, const struct conf_opts *o,
    struct conf *c, struct diags *ds)
{
	return parse(name, text, len, o, c, ds);
}

void
conf_init(struct conf *c)
{
	*c = (struct conf){0};
}

void
conf_free(struct conf *c)
{
	conf_cut(c, 0, 0, 0);
	free(c->rule);
	free(c->sa);
	free(c->rule_at);
	free(c->sa_at);
	free(c->foreign);
	for (size_t i = 0; i < c->nfiles; i++)
		free(c->file[i]);
	free(c->file);
	conf_init(c);
}
