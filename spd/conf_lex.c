/*
 * Text -> the tokens of one statement.
 *
 * A statement ends with its line; a backslash before the line end continues it (also in a comment, as in OpenBSD), and
 * within braces lines go on by themselves.  $name is replaced while reading, so what a macro holds is read as if it
 * stood there: "$net/24" and "$out:$in" are one word each.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

#define MACROS_MAX 4096 /* looked up one by one */

/* The octet to be read, line continuations passed over; -1: none left. */
static int
peek(struct source *s)
{
	while (s->pos < s->len && s->text[s->pos] == '\\') {
		size_t i = s->pos + 1;

		while (
		    i < s->len && (s->text[i] == ' ' || s->text[i] == '\t' || s->text[i] == '\r'))
			i++;
		if (i < s->len && s->text[i] != '\n')
			break;
		s->pos = i < s->len ? i + 1 : i;
		if (s->macro == NULL) {
			s->line++;
			s->col = 1;
		}
	}
	return s->pos < s->len ? (unsigned char)s->text[s->pos] : -1;
}

static void
step(struct source *s)
{
	if (s->macro == NULL) { /* in a macro the position stays where it is used */
		s->col++;
		if (s->text[s->pos] == '\n') {
			s->line++;
			s->col = 1;
		}
	}
	s->pos++;
}

static int
lex_error(struct parser *p, const struct source *s, const char *fmt, const char *arg)
{
	/* The callers' formats are constants with at most one %s. */
	char what[256];

	snprintf(what, sizeof what, "%s%s%s", fmt, arg != NULL ? " " : "", arg != NULL ? arg : "");
	diags_add(p->ds, s->file->name, s->line, s->col, false, "%s", what);
	return -1;
}

static bool
word_char(int c)
{
	return c > ' ' && c < 0x7f && strchr("{}(),=\"'#$\\", c) == NULL;
}

/* One octet behind the text of the statement. */
static int
text_add(struct parser *p, char c)
{
	if (p->ntext == p->captext) {
		size_t cap = p->captext == 0 ? 1024 : p->captext * 2;
		char *more = malloc(cap);

		if (more == NULL)
			return conf_nomem(p);
		if (p->ntext > 0)
			memcpy(more, p->text, p->ntext);
		conf_file_drop(p->text, p->ntext); /* may hold a key */
		p->text = more;
		p->captext = cap;
	}
	p->text[p->ntext++] = c;
	return 0;
}

static struct token *
token_add(struct parser *p, const struct source *s, enum token_kind kind)
{
	struct token *t = list_grow(p->tok, p->ntok, &p->captok, sizeof *t);

	if (t == NULL) {
		conf_nomem(p);
		return NULL;
	}
	p->tok = t;
	if (p->ntok >= CONF_TOKENS_MAX && kind != TOKEN_END) {
		char max[48];

		snprintf(max, sizeof max, "%u words", CONF_TOKENS_MAX);
		lex_error(p, s, "the statement has more than", max);
		return NULL;
	}
	t += p->ntok++;
	*t = (struct token){.kind = kind,
	    .off = p->ntext,
	    .line = s->line,
	    .col = s->col,
	    .file = s->file,
	    .from = s->from};
	return t;
}

/* A word; ${glue}: it goes on where the one before ended. */
static int
lex_word(struct parser *p, struct source *s, bool glue)
{
	struct token *t;

	if (glue) {
		t = &p->tok[p->ntok - 1];
		p->ntext--; /* its NUL */
		if (t->from->unsafe == NULL)
			t->from = s->from;
	} else if ((t = token_add(p, s, TOKEN_WORD)) == NULL) {
		return -1;
	}
	for (int c; word_char(c = peek(s)); step(s)) {
		if (text_add(p, (char)c) == -1)
			return -1;
		if (++t->len > CONF_WORD_MAX) {
			char max[48];

			snprintf(max, sizeof max, "%u octets", CONF_WORD_MAX);
			return lex_error(p, s, "a word is longer than", max);
		}
	}
	return text_add(p, '\0');
}

static int
lex_string(struct parser *p, struct source *s, int quote)
{
	struct token *t = token_add(p, s, TOKEN_STRING);
	struct source start = *s;

	if (t == NULL)
		return -1;
	step(s);
	for (int c; (c = peek(s)) != quote; step(s)) {
		if (c == -1 || c == '\n')
			return lex_error(p, &start, "the quoted string is not closed", NULL);
		if (c < ' ' && c != '\t')
			return lex_error(p, s, "a control character is in the quoted string", NULL);
		if (c == '\\' && s->pos + 1 < s->len &&
		    (s->text[s->pos + 1] == quote || s->text[s->pos + 1] == '\\')) {
			step(s);
			c = (unsigned char)s->text[s->pos];
		}
		if (text_add(p, (char)c) == -1)
			return -1;
		if (++t->len > CONF_STRING_MAX) {
			char max[48];

			snprintf(max, sizeof max, "%u octets", CONF_STRING_MAX);
			return lex_error(p, &start, "the quoted string is longer than", max);
		}
	}
	step(s);
	return text_add(p, '\0');
}

static struct macro *
macro_find(struct parser *p, const char *name, size_t len)
{
	struct macro *m = p->macros;

	while (m != NULL && (strncmp(m->name, name, len) != 0 || m->name[len] != '\0'))
		m = m->next;
	return m;
}

/* $name: its value becomes the source to read next, ${to}. */
static int
lex_use(struct parser *p, struct source *s, struct source *to, unsigned depth)
{
	struct source at = *s;
	char name[64], shown[64], what[192];
	size_t n = 0;
	struct macro *m;

	step(s);
	for (int c; (c = peek(s)) != -1 && (isalnum(c) || c == '_'); step(s)) {
		if (n + 1 == sizeof name)
			return lex_error(p, &at, "the name of the macro is too long", NULL);
		name[n++] = (char)c;
	}
	name[n] = '\0';
	if (n == 0)
		return lex_error(p, &at, "a macro's name is missing, near '$'; $name", NULL);
	token_mask(
	    name, n, shown, sizeof shown); /* a key without its 0x may stand behind a $, too */
	if ((m = macro_find(p, name, n)) == NULL) {
		snprintf(what, sizeof what, "'$%s'; %s = \"...\" before it is used", shown, shown);
		return lex_error(p, &at, "the macro is not defined, near", what);
	}
	snprintf(what, sizeof what, "'$%s'", shown);
	if (m->busy)
		return lex_error(p, &at, "the macro uses itself, near", what);
	if (depth >= CONF_MACRO_DEPTH)
		return lex_error(p, &at, "macros use macros too deep, near", what);
	p->expanded += m->len + 1;
	if (p->expanded > CONF_EXPAND_MAX) {
		p->stop = true;
		return lex_error(
		    p, &at, "all macros together expand to more than 32 MB, near", what);
	}
	m->used = m->busy = true;
	*to = (struct source){.up = s,
	    .text = m->value,
	    .len = m->len,
	    .line = at.line,
	    .col = at.col,
	    .file = at.file,
	    .from = m->from,
	    .macro = m};
	return 0;
}

/* In an open list at a line end: does the next line begin a statement, so that a brace was forgotten? */
static bool
statement_follows(const struct source *s)
{
	static const char *const first[] = {"flow", "include", "ike", "tcpmd5", "builtin"};
	const char *t = s->text + s->pos, *end = s->text + s->len;
	size_t n = 0;

	while (t < end && isspace((unsigned char)*t))
		t++;
	while (t + n < end && (isalnum((unsigned char)t[n]) || t[n] == '_'))
		n++;
	if (n == 0)
		return false;
	for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
		if (strlen(first[i]) == n && memcmp(first[i], t, n) == 0)
			return true;
	for (t += n; t < end && (*t == ' ' || *t == '\t'); t++)
		;
	return t < end && *t == '=';
}

/* One octet that begins something other than a blank, a comment, a line end, or a macro. */
static int
lex_token(struct parser *p, struct source *s, int c, bool glue)
{
	char octet[8];

	if (word_char(c))
		return lex_word(p, s, glue);
	if (c == '"' || c == '\'')
		return lex_string(p, s, c);
	if (strchr("{}(),=", c) != NULL && c != '\0') {
		struct token *t = token_add(p, s, TOKEN_PUNCT);

		if (t == NULL || text_add(p, (char)c) == -1 || text_add(p, '\0') == -1)
			return -1;
		t->len = 1;
		step(s);
		return 0;
	}
	if (c == '\\')
		return lex_error(p, s, "a '\\' that is not the last of its line", NULL);
	snprintf(octet, sizeof octet, "0x%02x", (unsigned)c & 0xff);
	return lex_error(p, s, "outside quotes only printable ASCII may stand, not octet", octet);
}

/* After an error: the rest of the line is passed over. */
static int
give_up(struct parser *p, struct source *s)
{
	int c;

	for (; s->macro != NULL; s = s->up)
		s->macro->busy = false;
	while ((c = peek(s)) != -1) {
		step(s);
		if (c == '\n')
			break;
	}
	conf_lex_clear(p);
	return -1;
}

int
conf_lex_statement(struct parser *p, struct source *base)
{
	struct source stack[CONF_MACRO_DEPTH + 1], *s = base;
	unsigned depth = 0, braces = 0;
	bool glue = false; /* nothing stands between the last word and here */

	conf_lex_clear(p);
	for (;;) {
		int c = peek(s);

		if (c == -1 && s->macro != NULL) {
			s->macro->busy = false;
			s = s->up;
			depth--;
		} else if (c == -1 || (c == '\n' && s->macro == NULL &&
					  (braces == 0 || statement_follows(s)))) {
			if (c == -1 && p->ntok == 0)
				return 0;
			if (p->ntok > 0)
				break;
			step(s);
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			step(s);
			glue = false;
		} else if (c == '#') {
			while ((c = peek(s)) != -1 && c != '\n')
				step(s);
			glue = false;
		} else if (c == '$') {
			if (lex_use(p, s, &stack[depth], depth) == -1)
				return give_up(p, s);
			s = &stack[depth++];
		} else {
			if (lex_token(p, s, c, glue && word_char(c)) == -1)
				return give_up(p, s);
			glue = p->tok[p->ntok - 1].kind == TOKEN_WORD;
			if (c == '{')
				braces++;
			else if (c == '}' && braces > 0)
				braces--;
		}
	}
	if (token_add(p, s, TOKEN_END) == NULL || text_add(p, '\0') == -1)
		return give_up(p, s);
	if (peek(s) == '\n')
		step(s);
	return 1;
}

int
conf_lex_macro(
    struct parser *p, const char *name, const char *value, size_t len, const struct token *t)
{
	struct macro *m;
	char *copy;
	size_t n = 0;

	for (m = p->macros; m != NULL && strcmp(m->name, name) != 0; m = m->next)
		n++;
	if (m != NULL && m->fixed)
		return 0;
	if (m == NULL && t != NULL && n >= MACROS_MAX)
		return conf_error(p, t, NULL, "more than %d macros", MACROS_MAX);
	if ((copy = malloc(len + 1)) == NULL)
		return conf_nomem(p);
	memcpy(copy, value, len);
	copy[len] = '\0';
	if (m == NULL) {
		if ((m = calloc(1, sizeof *m)) == NULL || (m->name = strdup(name)) == NULL) {
			free(m);
			conf_file_drop(copy, len);
			return conf_nomem(p);
		}
		m->next = p->macros;
		p->macros = m;
	}
	conf_file_drop(m->value, m->len);
	m->value = copy;
	m->len = len;
	m->fixed = t == NULL;
	m->from = t != NULL ? t->from : p->files;
	m->line = t != NULL ? t->line : 0;
	m->col = t != NULL ? t->col : 0;
	return 0;
}

void
conf_lex_clear(struct parser *p)
{
	if (p->text != NULL)
		secret_wipe(p->text, p->ntext);
	p->ntext = p->ntok = p->at = 0;
}

void
conf_lex_fini(struct parser *p)
{
	conf_lex_clear(p);
	free(p->text);
	free(p->tok);
	while (p->macros != NULL) {
		struct macro *m = p->macros;

		p->macros = m->next;
		conf_file_drop(m->value, m->len);
		free(m->name);
		free(m);
	}
	while (p->files != NULL) {
		struct conf_file *f = p->files;

		p->files = f->next;
		free(f);
	}
}
