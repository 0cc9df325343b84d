/*
 * setkey.conf(5), of KAME, NetBSD, FreeBSD and ipsec-tools: add and spdadd statements, each up to its semicolon.
 */
#include <string.h>
#include "import_int.h"

#define ADDR_WORD_MAX 128

/* addr, addr/len, addr[port], addr/len[port]; a blank may stand before the bracket. */
struct end {
	const struct word *at;
	struct iprange r;
	bool port_said;
	uint16_t port;
};

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* One word, or what stands between quotes, at ${*pos}; false: out of memory. */
static bool
lex_word(struct import *im, const char *text, size_t len, size_t *pos, unsigned line, unsigned col)
{
	size_t i = *pos, start = i;
	bool quoted = text[i] == '"';
	struct word *w;

	if (quoted) {
		for (start = ++i; i < len && text[i] != '"' && text[i] != '\n';)
			i++;
	} else {
		while (i < len && !blank(text[i]) && text[i] != ';' && text[i] != '#')
			i++;
	}
	if ((w = import_add_word(im, text + start, i - start, line, col)) == NULL)
		return false;
	w->quoted = quoted;
	*pos = quoted && i < len && text[i] == '"' ? i + 1 : i;
	return true;
}

/* "[80]", "[any]" at the end of ${text}, or in the next word: cut off.  0; -1 reported. */
static int
read_port(struct import *im, char *text, struct end *e)
{
	char next[32], *port = strchr(text, '[');
	size_t len;
	uint64_t v;

	if (port != NULL) {
		*port++ = '\0';
	} else if (import_peek(im) != NULL && import_peek(im)->len > 0 &&
		   import_peek(im)->s[0] == '[') {
		if (import_copy(import_next(im), next, sizeof next) == NULL)
			return import_error(im, e->at, "this is no port");
		port = next + 1;
	} else {
		return 0;
	}
	len = strlen(port);
	if (len < 2 || port[len - 1] != ']')
		return import_error(im, e->at, "this is no port");
	port[--len] = '\0';
	if (strcmp(port, "any") == 0 || strcmp(port, "0") == 0)
		return 0;
	e->port_said = true;
	if (number_parse(port, NULL, &v) == 0 && v <= 65535)
		e->port = (uint16_t)v;
	else if (service_number(port) != -1)
		e->port = (uint16_t)service_number(port);
	else
		return import_error(im, e->at, "this is no port");
	return 0;
}

/* A name has to have one address. */
static int
read_host(struct import *im, const struct word *at, const char *text, struct iprange *r)
{
	const struct conf_opts *o = im->p.o;
	struct ipaddr a[2];

	if (strcmp(text, "any") != 0 && iprange_parse(text, r) == 0)
		return 0;
	if (o->resolve != NULL && strchr(text, '/') == NULL)
		switch (o->resolve(o->ctx, text, a, 2)) {
		case 1:
			r->lo = r->hi = a[0];
			return 0;
		case 2:
			return import_error(
			    im, at, "this name has several addresses: say which one");
		}
	return import_error(im, at, "this is no address");
}

static int
read_end(struct import *im, struct end *e)
{
	char text[ADDR_WORD_MAX];

	*e = (struct end){.at = import_next(im)};
	if (e->at == NULL)
		return import_error(im, NULL, "an address is missing");
	if (import_copy(e->at, text, sizeof text) == NULL)
		return import_error(im, e->at, "this is no address");
	if (read_port(im, text, e) == -1)
		return -1;
	return read_host(im, e->at, text, &e->r);
}

/* -4, -6, -n: how names are looked up. */
static void
skip_flags(struct import *im)
{
	while (import_accept(im, "-4") || import_accept(im, "-6") || import_accept(im, "-46") ||
	       import_accept(im, "-n") || import_accept(im, "-4n") || import_accept(im, "-6n"))
		;
}

static int
number(struct import *im, const char *what, uint64_t max, uint64_t *v)
{
	const struct word *w = import_next(im);
	const char *end = import_number(w, v);

	if (end == NULL || end != w->s + w->len || *v > max)
		return import_error(im, w, "%s is no number that can be used", what);
	return 0;
}

/* -f: how padding is filled is no matter on the wire that a receiver may check (RFC 4303 2.4 has one way). */
static int
read_flag(struct import *im)
{
	const struct word *w = import_next(im);

	if (import_is(w, "nocyclic-seq") || import_is(w, "seq-pad"))
		return 0;
	if (!import_is(w, "zero-pad") && !import_is(w, "random-pad") && !import_is(w, "cyclic-seq"))
		return import_error(im, w, "this option is not known");
	import_warn(im, w,
	    import_is(w, "cyclic-seq") ? "sequence numbers never wrap here"
				       : "padding is always numbered from 1 (RFC 4303 2.4)");
	return 0;
}

static int
read_enc(struct import *im, struct sa_params *sa)
{
	const struct word *name = import_next(im), *key = import_peek(im);
	char text[ADDR_WORD_MAX];
	const char *why = "this encryption algorithm is not known here";

	if (key != NULL && !key->quoted && (key->len == 0 || key->s[0] == '-'))
		key = NULL;
	else
		import_next(im);
	if (name == NULL || import_copy(name, text, sizeof text) == NULL)
		return import_error(im, name, "the name of an algorithm is missing");
	if (sa->enckey != NULL)
		return import_error(im, name, "it has two keys");
	if (import_key(im, key, name, &sa->enckey) == -1)
		return -1;
	for (int aead = 0; aead < 2 && sa->enc == NULL; aead++)
		sa->enc = import_enc(
		    text, sa->enckey != NULL ? secret_len(sa->enckey) : 0, aead != 0, 0, &why);
	return sa->enc != NULL ? 0 : import_error(im, name, "%s", why);
}

static int
read_auth(struct import *im, struct sa_params *sa)
{
	const struct word *name = import_next(im), *key = import_peek(im);
	char text[ADDR_WORD_MAX];
	const char *why = NULL;

	if (key != NULL && !key->quoted && (key->len == 0 || key->s[0] == '-'))
		key = NULL;
	else
		import_next(im);
	if (name == NULL || import_copy(name, text, sizeof text) == NULL)
		return import_error(im, name, "the name of an algorithm is missing");
	if (strcmp(text, "null") == 0)
		return 0;
	if ((sa->auth = import_auth(text, 0, &why)) == NULL)
		return import_error(im, name, "%s", why);
	if (strcmp(text, "hmac-sha256") == 0)
		import_warn(im, name,
		    "Linux's setkey makes an ICV of 96 bits of this; here and on the BSDs it has "
		    "128 (RFC 4868)");
	if (sa->authkey != NULL)
		return import_error(im, name, "it has two keys");
	return import_key(im, key, name, &sa->authkey);
}

/* One extension or algorithm of add. */
static int
read_option(struct import *im, struct sa_params *sa, bool *anymode)
{
	const struct word *w = import_next(im);
	uint64_t v;

	if (import_is(w, "-m")) {
		const struct word *mode = import_next(im);

		*anymode = import_is(mode, "any");
		if (import_is(mode, "tunnel"))
			sa->mode = MODE_TUNNEL;
		else if (import_is(mode, "transport"))
			sa->mode = MODE_TRANSPORT;
		else if (!*anymode)
			return import_error(im, mode, "this mode is not known here");
		return 0;
	}
	if (import_is(w, "-r")) { /* in octets of the bitmap */
		if (number(im, "the window's size", UINT32_MAX, &v) == -1)
			return -1;
		sa->replay = (uint32_t)(v == 0		     ? 0
					: v * 8 < REPLAY_MIN ? REPLAY_MIN
					: v * 8 > REPLAY_MAX ? REPLAY_MAX
							     : v * 8);
		if (v * 8 > REPLAY_MAX)
			import_warn(
			    im, w, "the window is of %u packets, the most there is", sa->replay);
		return 0;
	}
	if (import_is(w, "-u")) {
		if (number(im, "the identifier", UINT32_MAX, &v) == -1)
			return -1;
		sa->reqid = (uint32_t)v;
		return 0;
	}
	if (import_is(w, "-lh") || import_is(w, "-ls")) {
		if (number(im, "the lifetime", UINT32_MAX, &v) == -1)
			return -1;
		*(w->s[2] == 'h' ? &sa->hard.ms : &sa->soft.ms) = v * 1000;
		return 0;
	}
	if (import_is(w, "-bh") || import_is(w, "-bs"))
		return number(im, "the lifetime", UINT64_MAX,
		    w->s[2] == 'h' ? &sa->hard.octets : &sa->soft.octets);
	if (import_is(w, "-f"))
		return read_flag(im);
	if (import_is(w, "-E"))
		return read_enc(im, sa);
	if (import_is(w, "-A"))
		return read_auth(im, sa);
	if (import_is(w, "-esn")) {
		sa->esn = true;
		return 0;
	}
	return import_error(
	    im, w, import_is(w, "-C") ? "compression is not done here" : "this is not known here");
}

static int
read_proto(struct import *im, struct sa_params *sa, const struct end *src, const struct end *dst)
{
	const struct word *w = import_next(im);

	if (import_is(w, "ah")) {
		sa->proto = IPSEC_AH;
	} else if (import_is(w, "esp-udp")) {
		sa->encap_sport = src->port_said ? src->port : 4500;
		sa->encap_dport = dst->port_said ? dst->port : 4500;
	} else if (!import_is(w, "esp")) {
		return import_error(im, w, "only esp, esp-udp and ah can be turned");
	}
	return 0;
}

static int
add_sa(struct import *im, const struct word *at)
{
	struct sa_params sa;
	struct end src, dst;
	bool anymode = true;
	uint64_t spi;
	int rc = -1;

	sa_params_init(&sa);
	sa.replay = 0; /* where -r is missing nothing is checked */
	sa.mode = MODE_TRANSPORT;
	skip_flags(im);
	if (read_end(im, &src) == -1 || read_end(im, &dst) == -1)
		return -1;
	if (!iprange_single(&src.r) || !iprange_single(&dst.r))
		return import_error(im, src.at, "an SA goes from one address to one");
	sa.src = src.r.lo;
	sa.dst = dst.r.lo;
	if (read_proto(im, &sa, &src, &dst) == -1 || number(im, "the SPI", UINT32_MAX, &spi) == -1)
		return -1;
	sa.spi = (uint32_t)spi;
	while (import_peek(im) != NULL)
		if (read_option(im, &sa, &anymode) == -1)
			goto out;
	if (sa.proto == IPSEC_ESP && sa.enc == NULL) { /* -A alone */
		const char *why;

		sa.enc = import_enc("null", 0, false, 0, &why);
	}
	rc = import_add_sa(im, at, &sa, anymode);
out:
	secret_unref(sa.enckey);
	secret_unref(sa.authkey);
	return rc;
}

/* Type and code of ICMP behind the protocol: "128,0", "128 , 0" or "128". */
static int
read_types(struct import *im, struct selector *s)
{
	const struct word *w = import_peek(im);
	uint64_t type, code;
	const char *end = import_number(w, &type);

	if (end == NULL || type > 255)
		return end == NULL ? 0 : import_error(im, w, "this is no type of ICMP");
	import_next(im);
	s->lmatch = MATCH_RANGE;
	s->lport = (struct portrange){(uint16_t)(type << 8), (uint16_t)(type << 8 | 255)};
	if (end == w->s + w->len)
		return 0;
	if (*end != ',' || number_parse(end + 1, w->s + w->len, &code) == -1 || code > 255)
		return import_error(im, w, "this is no type and code of ICMP");
	s->lport.lo = s->lport.hi = (uint16_t)(type << 8 | code);
	return 0;
}

static int
read_upper(struct import *im, struct selector *s)
{
	const struct word *w = import_next(im);
	char name[32];
	const char *end;
	uint64_t v;
	int n;

	if (w == NULL || import_copy(w, name, sizeof name) == NULL)
		return import_error(im, w, "the protocol is missing");
	if (strcmp(name, "any") == 0 || strcmp(name, "255") == 0)
		return 0;
	if (strcmp(name, "ip4") == 0) {
		v = 4;
	} else if ((n = proto_number(name)) != -1) {
		v = (uint64_t)n;
	} else {
		end = import_number(w, &v);
		if (end == NULL || end != w->s + w->len || v > 255)
			return import_error(im, w, "this protocol is not known here");
	}
	s->proto_any = false;
	s->proto = (uint8_t)v;
	return v == 1 || v == 58 ? read_types(im, s) : 0;
}

/* [priority|prio [low|def|high [+|- N] | N]]: libipsec's arithmetic; a larger number there is a smaller one in the kernel. */
static int
read_priority(struct import *im, uint32_t *priority)
{
	static const struct {
		const char *name;
		uint32_t base;
	} bases[] = {{"low", 0xc0000000}, {"def", 0x80000000}, {"high", 0x40000000}};
	uint32_t base = 0x80000000;
	bool named = false, minus;
	const struct word *w;
	const char *end;
	uint64_t v;

	*priority = 0;
	if (!import_accept(im, "prio") && !import_accept(im, "priority"))
		return 0;
	for (size_t i = 0; i < 3 && !named; i++)
		if (import_accept(im, bases[i].name)) {
			base = bases[i].base;
			named = true;
		}
	minus = import_accept(im, "-");
	if (!minus && !import_accept(im, "+") && named) {
		*priority = base;
		return 0;
	}
	if ((w = import_next(im)) == NULL)
		return import_error(im, w, "the priority is missing");
	if (!named && !minus && w->len > 1 && w->s[0] == '-') {
		minus = true;
		end = number_parse(w->s + 1, w->s + w->len, &v) == 0 ? w->s + w->len : NULL;
	} else {
		end = import_number(w, &v);
	}
	if (end == NULL || end != w->s + w->len || v > 0x3fffffff)
		return import_error(im, w, "this priority cannot be used");
	*priority = minus ? base + (uint32_t)v : base - (uint32_t)v;
	return 0;
}

/* The next part of "esp/tunnel/A-B/level", up to its slash, into ${buf}; false: too long. */
static bool
part(const char **s, const char *end, char *buf, size_t cap)
{
	const char *slash = memchr(*s, '/', (size_t)(end - *s));
	size_t len = (size_t)((slash != NULL ? slash : end) - *s);

	if (len >= cap)
		return false;
	memcpy(buf, *s, len);
	buf[len] = '\0';
	*s = slash != NULL ? slash + 1 : end;
	return true;
}

/* "A-B" or "A[port]-B[port]" of a tunnel; IPv6 addresses have no dash. */
static int
read_ends(struct import *im, const struct word *w, char *text, bool in, struct sa_template *t)
{
	char *dash = strchr(text, '-'), *port;
	struct ipaddr a, b;

	if (dash == NULL)
		return import_error(im, w, "a tunnel has two ends, A-B");
	*dash++ = '\0';
	if ((port = strchr(text, '[')) != NULL)
		*port = '\0';
	if ((port = strchr(dash, '[')) != NULL)
		*port = '\0';
	if (ipaddr_parse(text, &a) == -1 || ipaddr_parse(dash, &b) == -1)
		return import_error(im, w, "the ends of the tunnel are no addresses");
	t->local = in ? b : a;
	t->peer = in ? a : b;
	return 0;
}

static int
read_level(
    struct import *im, const struct word *w, const char *level, struct sa_template *t, bool *use)
{
	uint64_t v;

	*use = strcmp(level, "use") == 0;
	if (*use || level[0] == '\0' || strcmp(level, "require") == 0)
		return 0;
	if (strcmp(level, "default") == 0) {
		import_warn(im, w,
		    "level default becomes require; 'type use' lets packets "
		    "pass without an SA");
		return 0;
	}
	if (strcmp(level, "unique") == 0) {
		import_warn(im, w, "level unique becomes require: no key daemon makes SAs here");
		return 0;
	}
	if (strncmp(level, "unique:", 7) != 0 || number_parse(level + 7, NULL, &v) == -1 ||
	    v > UINT32_MAX)
		return import_error(im, w, "this level is not known");
	t->reqid = (uint32_t)v;
	return 0;
}

/* One "protocol/mode/src-dst/level". */
static int
read_request(struct import *im, const struct word *w, struct policy *r, bool *use)
{
	const char *s = w->s, *end = w->s + w->len;
	char proto[16], mode[16], ends[2 * ADDR_WORD_MAX], level[32];
	bool in = r->dirs == 1 << DIR_IN;
	struct sa_template *t = &r->step[r->nsteps];

	if (r->nsteps == POLICY_STEPS_MAX)
		return import_error(im, w, "a rule has at most %d SAs", POLICY_STEPS_MAX);
	if (memchr(w->s, '\0', w->len) != NULL || !part(&s, end, proto, sizeof proto) ||
	    !part(&s, end, mode, sizeof mode) || !part(&s, end, ends, sizeof ends) ||
	    !part(&s, end, level, sizeof level))
		return import_error(im, w, "this is no protocol/mode/src-dst/level");
	*t = (struct sa_template){.proto = IPSEC_ESP, .mode = MODE_TRANSPORT};
	if (strcmp(proto, "ah") == 0)
		t->proto = IPSEC_AH;
	else if (strcmp(proto, "esp") != 0)
		return import_error(im, w, "only esp and ah can be turned");
	if (strcmp(mode, "tunnel") == 0)
		t->mode = MODE_TUNNEL;
	else if (strcmp(mode, "transport") != 0)
		return import_error(im, w, "this mode is not known here");
	if (t->mode == MODE_TUNNEL && read_ends(im, w, ends, in, t) == -1)
		return -1;
	if (read_level(im, w, level, t, use) == -1 || import_tunnel(im, w, r, t) == -1)
		return -1;
	r->nsteps++;
	return 0;
}

static int
read_requests(struct import *im, struct policy *r)
{
	const struct word *first = import_peek(im), *w;
	unsigned uses = 0;
	bool use = false;

	r->action = ACT_PROTECT;
	r->type = FLOW_REQUIRE;
	r->proto_said = r->mode_said = true;
	r->nsteps = 0;
	while ((w = import_next(im)) != NULL) {
		if (read_request(im, w, r, &use) == -1)
			return -1;
		uses += use;
	}
	if (r->nsteps == 0)
		return import_error(im, first, "ipsec does not say with what");
	if (uses != 0 && uses != r->nsteps)
		return import_error(im, first, "either all of its SAs are required, or none");
	if (uses != 0)
		r->type = FLOW_USE;
	return 0;
}

/* -P DIR [priority] discard|none|ipsec ... */
static int
read_policy(struct import *im, struct policy *r, uint32_t *priority, bool *fwd)
{
	const struct word *w = import_next(im);

	if (!import_is(w, "-P"))
		return import_error(im, w, "-P is missing");
	w = import_next(im);
	*fwd = import_is(w, "fwd");
	if (import_is(w, "out"))
		r->dirs = 1 << DIR_OUT;
	else if (import_is(w, "in") || *fwd)
		r->dirs = 1 << DIR_IN;
	else
		return import_error(im, w, "this is neither in nor out nor fwd");
	if (read_priority(im, priority) == -1)
		return -1;
	return 0;
}

static int
read_action(struct import *im, struct policy *r)
{
	const struct word *w = import_next(im);

	r->type = FLOW_BYPASS;
	if (import_is(w, "ipsec"))
		return read_requests(im, r);
	if (import_is(w, "discard")) {
		r->action = ACT_DISCARD;
		r->type = FLOW_DENY;
	} else if (!import_is(w, "none")) {
		return import_error(im, w, "only discard, none and ipsec can be turned");
	}
	return import_peek(im) == NULL ? 0 : import_error(im, import_peek(im), "this is too much");
}

static int
add_policy(struct import *im, const struct word *at)
{
	struct policy *r;
	struct end src, dst, *local, *remote;
	struct selector any, *s;
	uint32_t priority = 0;
	bool fwd;

	skip_flags(im);
	if (import_is(import_peek(im), "tagged"))
		return import_error(im, import_next(im), "rules do not look at tags");
	if (read_end(im, &src) == -1 || read_end(im, &dst) == -1)
		return -1;
	if ((r = policy_new()) == NULL)
		return conf_nomem(&im->p);
	s = &r->sel;
	any = *s;
	if (read_upper(im, s) == -1 || read_policy(im, r, &priority, &fwd) == -1)
		goto err;
	local = r->dirs == 1 << DIR_OUT ? &src : &dst;
	remote = local == &src ? &dst : &src;
	s->local = local->r;
	s->remote = remote->r;
	if (local->port_said || remote->port_said) {
		if (s->proto_any || !proto_has_ports(s->proto)) {
			import_error(im, at, "ports need a protocol that has ports, not %s",
			    s->proto_any ? "any" : "this one");
			goto err;
		}
		s->lmatch = local->port_said ? MATCH_RANGE : any.lmatch;
		s->lport = (struct portrange){local->port, local->port};
		s->rmatch = remote->port_said ? MATCH_RANGE : any.rmatch;
		s->rport = (struct portrange){remote->port, remote->port};
		if (!local->port_said)
			s->lport = any.lport;
		if (!remote->port_said)
			s->rport = any.rport;
	}
	if (read_action(im, r) == -1)
		goto err;
	return import_add_rule(im, at, r, priority, fwd);
err:
	policy_unref(r);
	return -1;
}

static void
statement(struct import *im)
{
	const struct word *w = import_next(im);

	if (w == NULL)
		return;
	if (import_is(w, "add") || import_is(w, "update"))
		add_sa(im, w);
	else if (import_is(w, "spdadd") || import_is(w, "spdupdate"))
		add_policy(im, w);
	else if (import_is(w, "flush") || import_is(w, "spdflush")) {
		/* at the beginning of nearly every file; what a load replaces is gone anyway */
		if ((import_is(w, "flush") ? im->p.c->nsas : im->nrules) != 0)
			import_error(im, w, "it does not take back what was added before it");
	} else if (!import_is(w, "dump") && !import_is(w, "spddump"))
		import_error(im, w, "only add and spdadd can be turned");
}

void
import_setkey(struct import *im, const char *text, size_t len)
{
	unsigned line = 1;
	size_t i = 0, bol = 0;

	im->nw = im->at = 0;
	while (i < len && !im->p.stop) {
		if (text[i] == '\n') {
			line++;
			bol = ++i;
		} else if (blank(text[i])) {
			i++;
		} else if (text[i] == '#') {
			while (i < len && text[i] != '\n')
				i++;
		} else if (text[i] == ';') {
			i++;
			im->at = 0;
			statement(im);
			im->nw = im->at = 0;
		} else if (!lex_word(im, text, len, &i, line, (unsigned)(i - bol) + 1)) {
			return;
		}
	}
	if (im->nw != 0 && !im->p.stop)
		import_error(im, &im->w[0], "the ';' behind this is missing");
}
