/*
 * What `ip xfrm state` and `ip xfrm policy` print, also with -s and -o, and both in one file.  An entry begins with a line that is not
 * indented; with -o its lines are joined by backslashes.  Both list the newest first, so they are read from their end: among policies of
 * one priority the kernel tries the oldest first.
 */
#include <stdlib.h>
#include <string.h>
#include "import_int.h"
#include "import_xfrm.h"

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\\' || c == '\n';
}

/* The words of one entry, ${text} to ${end}. */
static int
words(struct import *im, const char *text, const char *end, unsigned line)
{
	const char *bol = text;
	bool first = true;

	im->nw = im->at = 0;
	while (text < end) {
		const char *start = text;
		struct word *w;

		if (blank(*text)) {
			first |= *text == '\\' || *text == '\n';
			if (*text++ == '\n') {
				line++;
				bol = text;
			}
			continue;
		}
		while (text < end && !blank(*text))
			text++;
		w = import_add_word(
		    im, start, (size_t)(text - start), line, (unsigned)(start - bol) + 1);
		if (w == NULL)
			return -1;
		w->first = first;
		first = false;
	}
	return 0;
}

bool
import_line_end(const struct import *im)
{
	return im->at >= im->nw || im->w[im->at].first;
}

void
import_skip_line(struct import *im)
{
	while (!import_line_end(im))
		im->at++;
}

int
import_field(struct import *im, uint64_t max, uint64_t *v)
{
	const struct word *w = import_line_end(im) ? NULL : import_next(im);
	const char *end = import_number(w, v);
	size_t rest;

	/* 0x1001(4097), 0x10, 5: what stands behind repeats it or belongs to the sentence */
	if (end == NULL || *v > max)
		return import_error(im, w, "this is no number that can be used");
	rest = (size_t)(w->s + w->len - end);
	if (rest != 0 && *end != '(' && *end != ',' && *end != '/')
		return import_error(im, w, "this is no number");
	return 0;
}

int
import_address(struct import *im, struct ipaddr *a)
{
	const struct word *w = import_line_end(im) ? NULL : import_next(im);
	char text[IPADDR_STRLEN];

	if (import_copy(w, text, sizeof text) == NULL || ipaddr_parse(text, a) == -1)
		return import_error(im, w, "this is no address");
	return 0;
}

char
import_limit(struct import *im, uint64_t *v)
{
	static const char *const units[] = {"(bytes)", "(packets)", "(sec)"};
	const struct word *w = import_line_end(im) ? NULL : import_next(im);
	const char *end = import_number(w, v);
	size_t left = end != NULL ? (size_t)(w->s + w->len - end) : 0;

	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(units[i]);

		if (left >= n && memcmp(end, units[i], n) == 0)
			return units[i][1];
	}
	return '\0'; /* "(INF)(bytes)," */
}

/* One entry: the word its second line begins with tells what it is. */
static void
entry(struct import *im)
{
	size_t i = 1;

	while (i < im->nw && !im->w[i].first)
		i++;
	if (!import_is(&im->w[0], "src") || i == im->nw)
		import_error(im, &im->w[0], "this is no entry of ip xfrm state or policy");
	else if (import_is(&im->w[i], "proto"))
		import_xfrm_state(im);
	else if (import_is(&im->w[i], "dir") || import_is(&im->w[i], "socket"))
		import_xfrm_policy(im);
	else
		import_error(im, &im->w[i], "this is no entry of ip xfrm state or policy");
}

struct start {
	const char *at;
	unsigned line;
};

void
import_xfrm(struct import *im, const char *text, size_t len)
{
	const char *end = text + len, *s = text;
	struct start *start = NULL, *v;
	size_t n = 0, cap = 0;
	unsigned line = 1;

	for (; s < end && !im->p.stop; line++) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));

		if (!blank(*s)) {
			if ((v = list_grow(start, n, &cap, sizeof *v)) == NULL) {
				conf_nomem(&im->p);
				break;
			}
			start = v;
			start[n++] = (struct start){s, line};
		} else if (n == 0 && *s != '\n' && *s != '\r') {
			diags_add(im->p.ds, im->file->name, line, 1, false,
			    "this line belongs to no entry");
			im->p.stop = true; /* it is something else */
		}
		s = nl != NULL ? nl + 1 : end;
	}
	for (s = end; n > 0 && !im->p.stop; s = start[n].at) {
		n--;
		if (words(im, start[n].at, s, start[n].line) == 0 && im->nw > 0)
			entry(im);
	}
	im->nw = im->at = 0;
	free(start);
}
