/*
 * The tokens of one statement: looking, stepping, lists, and what is said of a wrong one.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

const struct token *
token_peek(const struct parser *p)
{
	return &p->tok[p->at];
}

const struct token *
token_next(struct parser *p)
{
	const struct token *t = &p->tok[p->at];

	if (t->kind != TOKEN_END)
		p->at++;
	return t;
}

const char *
token_text(const struct parser *p, const struct token *t)
{
	return p->text + t->off;
}

bool
token_is(const struct parser *p, const char *word)
{
	const struct token *t = token_peek(p);

	return t->kind == TOKEN_WORD && strcmp(token_text(p, t), word) == 0;
}

bool
token_accept(struct parser *p, const char *word)
{
	if (!token_is(p, word))
		return false;
	p->at++;
	return true;
}

bool
token_punct(struct parser *p, char c)
{
	const struct token *t = token_peek(p);

	if (t->kind != TOKEN_PUNCT || token_text(p, t)[0] != c)
		return false;
	p->at++;
	return true;
}

const struct token *
token_word(struct parser *p, const char *what)
{
	const struct token *t = token_peek(p);

	if (t->kind != TOKEN_WORD && t->kind != TOKEN_STRING) {
		conf_error(p, t, NULL, "%s is missing", what);
		return NULL;
	}
	return token_next(p);
}

char *
token_mask(const char *s, size_t len, char *buf, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		size_t run = 0;

		while (i + run < len && isxdigit((unsigned char)s[i + run]))
			run++;
		if (run > 16 || n + 5 > cap) {
			if (n + 4 > cap)
				n = cap - 4;
			memcpy(buf + n, "...", 3);
			n += 3;
			if (run <= 16)
				break;
			i += run - 1;
			continue;
		}
		buf[n++] = isprint((unsigned char)s[i]) ? s[i] : '?';
	}
	buf[n] = '\0';
	return buf;
}

int
conf_error(struct parser *p, const struct token *t, const char *hint, const char *fmt, ...)
{
	char near[45] = "", what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	if (t->kind != TOKEN_END)
		token_mask(token_text(p, t), t->len, near, sizeof near);
	diags_add(p->ds, t->file->name, t->line, t->col, false, "%s, near %s%s%s%s%s", what,
	    t->kind == TOKEN_END ? "the end of the line" : "'", near,
	    t->kind == TOKEN_END ? "" : "'", hint != NULL ? "; " : "", hint != NULL ? hint : "");
	return -1;
}

void
conf_warning(struct parser *p, const struct token *t, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	diags_add(p->ds, t->file->name, t->line, t->col, true, "%s", what);
}

int
conf_nomem(struct parser *p)
{
	diags_add(
	    p->ds, p->files != NULL ? p->files->name : "ipsec.conf", 0, 0, false, "out of memory");
	p->stop = true;
	return -1;
}

int
number_parse(const char *s, const char *end, uint64_t *v)
{
	unsigned base = 10;
	uint64_t n = 0;

	if (end == NULL)
		end = s + strlen(s);
	if (end - s > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (s == end)
		return -1;
	for (; s < end; s++) {
		unsigned digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if (base == 16 && isxdigit((unsigned char)*s))
			digit = (unsigned)(tolower((unsigned char)*s) - 'a') + 10;
		else
			return -1;
		if (n > (UINT64_MAX - digit) / base)
			return -1;
		n = n * base + digit;
	}
	*v = n;
	return 0;
}

int
token_number(struct parser *p, const char *what, uint64_t min, uint64_t max, uint64_t *v)
{
	const struct token *t = token_word(p, what);
	char hint[80];

	if (t == NULL)
		return -1;
	if (number_parse(token_text(p, t), NULL, v) == 0 && *v >= min && *v <= max)
		return 0;
	snprintf(hint, sizeof hint, "a number from %llu to %llu", (unsigned long long)min,
	    (unsigned long long)max);
	return conf_error(p, t, hint, "%s is wrong", what);
}

/* The items up to the closing brace; a list within goes into the same list. */
static int
items(struct parser *p, const char *what, const struct token *open, unsigned depth,
    int (*item)(struct parser *, const struct token *, void *), void *arg)
{
	bool any = false;

	if (depth > CONF_LIST_DEPTH)
		return conf_error(
		    p, open, NULL, "lists stand in lists more than %u deep", CONF_LIST_DEPTH);
	for (;;) {
		const struct token *t = token_peek(p);

		if (token_punct(p, '}'))
			break;
		if (any && token_punct(p, ','))
			t = token_peek(p);
		if (t->kind == TOKEN_END)
			return conf_error(
			    p, t, "a list is closed by '}'", "the list is not closed");
		if (token_punct(p, '{')) {
			if (items(p, what, t, depth + 1, item, arg) == -1)
				return -1;
		} else if (t->kind == TOKEN_PUNCT) {
			if (token_punct(p, '}')) /* a comma behind the last item */
				break;
			return conf_error(p, t, NULL, "%s is missing in the list", what);
		} else if (item(p, token_next(p), arg) == -1) {
			return -1;
		}
		any = true;
	}
	if (!any)
		return conf_error(p, open, NULL, "the list is empty");
	return 0;
}

int
token_list(struct parser *p, const char *what,
    int (*item)(struct parser *, const struct token *, void *), void *arg)
{
	const struct token *t = token_peek(p);

	if (token_punct(p, '{'))
		return items(p, what, t, 1, item, arg);
	if ((t = token_word(p, what)) == NULL)
		return -1;
	return item(p, t, arg);
}

int
conf_once(struct parser *p, const struct token *t, bool *said)
{
	if (*said)
		return conf_error(p, t, "each clause may stand once", "this was said before");
	*said = true;
	return 0;
}

void *
list_grow(void *v, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap < 4 ? 4 : *cap * 2;
	void *to;

	if (n < *cap)
		return v;
	if ((to = reallocarray(v, more, size)) != NULL)
		*cap = more;
	return to;
}
