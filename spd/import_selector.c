/* A selector as iproute2 prints it. */
#include <string.h>
#include "import_xfrm.h"

static int
prefix(struct import *im, const char *word, struct iprange *r)
{
	const struct word *w;
	char text[IPRANGE_STRLEN];

	if (!import_accept(im, word))
		return import_error(im, import_peek(im), "%s is missing", word);
	w = import_line_end(im) ? NULL : import_next(im);
	if (import_copy(w, text, sizeof text) == NULL || strcmp(text, "any") == 0 ||
	    iprange_parse(text, r) != 0)
		return import_error(im, w, "this is no address");
	return 0;
}

static int
proto(struct import *im, struct selector *s)
{
	const struct word *w = import_line_end(im) ? NULL : import_next(im);
	char name[32];
	const char *end;
	uint64_t v;
	int n = -1;

	if (import_copy(w, name, sizeof name) != NULL)
		n = proto_number(name);
	if (n == -1) {
		end = import_number(w, &v);
		if (end == NULL || end != w->s + w->len || v > 255)
			return import_error(im, w, "this protocol is not known here");
		n = (int)v;
	}
	s->proto_any = false;
	s->proto = (uint8_t)n;
	return 0;
}

static int
port(struct import *im, uint8_t *match, struct portrange *r)
{
	uint64_t v;

	if (import_field(im, 65535, &v) == -1)
		return -1;
	*match = MATCH_RANGE;
	r->lo = r->hi = (uint16_t)v;
	return 0;
}

/* type N [code N]: the high and the low octet of one range (RFC 4301 4.4.1.1). */
static int
type(struct import *im, struct selector *s)
{
	uint64_t t, code;

	if (import_field(im, 255, &t) == -1)
		return -1;
	s->lmatch = MATCH_RANGE;
	s->lport = (struct portrange){(uint16_t)(t << 8), (uint16_t)(t << 8 | 255)};
	if (import_line_end(im) || !import_accept(im, "code"))
		return 0;
	if (import_field(im, 255, &code) == -1)
		return -1;
	if (s->proto != 135)
		s->lport.lo = s->lport.hi = (uint16_t)(t << 8 | code);
	return 0;
}

int
import_selector(struct import *im, struct selector *s, const char **narrow)
{
	const struct word *w;
	uint64_t uid;
	int rc;

	selector_any(s);
	*narrow = NULL;
	if (prefix(im, "src", &s->local) == -1 || prefix(im, "dst", &s->remote) == -1)
		return -1;
	while (!import_line_end(im)) {
		w = import_next(im);
		rc = 0;
		if (import_is(w, "proto")) {
			rc = proto(im, s);
		} else if (import_is(w, "sport")) {
			rc = port(im, &s->lmatch, &s->lport);
		} else if (import_is(w, "dport")) {
			rc = port(im, &s->rmatch, &s->rport);
		} else if (import_is(w, "type")) {
			rc = type(im, s);
		} else if (import_is(w, "key")) {
			*narrow = "rules do not look at GRE's key";
			import_skip_line(im);
		} else if (import_is(w, "dev")) {
			if (!import_line_end(im))
				import_warn(im, import_next(im),
				    "it was for this interface, and is now for all that bitsd "
				    "serves");
		} else if (import_is(w, "uid")) {
			rc = import_field(im, UINT32_MAX, &uid);
			if (rc == 0 && uid != 0)
				*narrow = "rules do not look at users";
		} else {
			rc = import_error(im, w, "this is not known in a selector");
		}
		if (rc == -1)
			return -1;
	}
	return 0;
}
