/*
 * An entry of `ip xfrm state`: one SA.
 */
#include <inttypes.h>
#include <string.h>
#include "import_xfrm.h"

struct state {
	struct sa_params sa;
	const struct word *first, *enc_at, *auth_at;
	uint64_t sent; /* oseq */
	bool align4, nopmtudisc, over;
	bool keyless;
};

static int
head(struct import *im, struct state *st)
{
	if (!import_accept(im, "src") || import_address(im, &st->sa.src) == -1)
		return -1;
	if (!import_accept(im, "dst"))
		return import_error(im, import_peek(im), "dst is missing");
	if (import_address(im, &st->sa.dst) == -1)
		return -1;
	return import_line_end(im) ? 0
				   : import_error(im, import_peek(im), "this is not known here");
}

/* proto esp spi 0x00001001(4097) reqid 7(0x00000007) mode tunnel */
static int
proto(struct import *im, struct state *st)
{
	const struct word *w = import_next(im);
	uint64_t v;

	if (import_is(w, "ah"))
		st->sa.proto = IPSEC_AH;
	else if (!import_is(w, "esp"))
		return import_error(im, w, "only esp and ah can be turned");
	while (!import_line_end(im)) {
		w = import_next(im);
		if (import_is(w, "spi") || import_is(w, "reqid")) {
			bool spi = w->len == 3;

			if (import_field(im, UINT32_MAX, &v) == -1)
				return -1;
			*(spi ? &st->sa.spi : &st->sa.reqid) = (uint32_t)v;
			continue;
		}
		if (!import_is(w, "mode"))
			return import_error(im, w, "this is not known here");
		w = import_line_end(im) ? NULL : import_next(im);
		if (import_is(w, "tunnel"))
			st->sa.mode = MODE_TUNNEL;
		else if (import_is(w, "transport"))
			st->sa.mode = MODE_TRANSPORT;
		else
			return import_error(im, w, "only transport and tunnel can be turned");
	}
	return 0;
}

static void
flag(struct import *im, struct state *st, const struct word *w)
{
	static const struct {
		const char *name, *lost; /* NULL: nothing */
	} others[] = {
	    {"af-unspec", NULL}, /* here a tunnel takes both families */
	    {"wildrecv", "there are no wildcard SAs"},
	    {"icmp", "error messages of ICMP are matched as they are"},
	    {"decap-dscp", "the inner DSCP stays as the sender set it (RFC 4301 5.1.2)"},
	    {"oseq-may-wrap", "sequence numbers never wrap here"},
	};

	if (import_is(w, "esn"))
		st->sa.esn = true;
	else if (import_is(w, "noecn"))
		st->sa.ecn = false;
	else if (import_is(w, "align4"))
		st->align4 = true;
	else if (import_is(w, "nopmtudisc"))
		st->nopmtudisc = true;
	else if (import_is(w, "dont-encap-dscp"))
		st->sa.dscp = 0;
	else {
		for (size_t i = 0; i < sizeof others / sizeof *others; i++)
			if (import_is(w, others[i].name)) {
				if (others[i].lost != NULL)
					import_warn(im, w, "%s", others[i].lost);
				return;
			}
		import_warn(im, w, "this flag is not known here");
	}
}

static void
window(struct import *im, struct state *st, const struct word *at, uint64_t v)
{
	if (v != 0 && (v < REPLAY_MIN || v > REPLAY_MAX)) {
		import_warn(im, at, "a window of %" PRIu64 " packets becomes one of %d", v,
		    v < REPLAY_MIN ? REPLAY_MIN : REPLAY_MAX);
		v = v < REPLAY_MIN ? REPLAY_MIN : REPLAY_MAX;
	}
	st->sa.replay = (uint32_t)v;
}

/* replay-window 32 [seq 0x0] [flag ... (0x10)] [extra_flag ...] */
static int
replay(struct import *im, struct state *st, const struct word *at)
{
	uint64_t v;

	if (import_field(im, UINT32_MAX, &v) == -1)
		return -1;
	window(im, st, at, v);
	while (!import_line_end(im)) {
		const struct word *w = import_next(im);

		if (import_is(w, "seq")) {
			if (import_field(im, UINT64_MAX, &v) == -1)
				return -1;
		} else if (!import_is(w, "flag") && !import_is(w, "extra_flag") && w->s[0] != '(') {
			flag(im, st, w);
		}
	}
	return 0;
}

/* The name of an algorithm in ${name}, its key in *${key}; "(128 bits)" behind it skipped. */
static int
algorithm(struct import *im, struct state *st, char *name, size_t cap, struct secret **key)
{
	const struct word *at = import_line_end(im) ? NULL : import_next(im), *w;

	if (import_copy(at, name, cap) == NULL)
		return import_error(im, at, "the name of an algorithm is missing");
	if (*key != NULL)
		return import_error(im, at, "it has two keys");
	w = import_line_end(im) ? NULL : import_next(im);
	if (w != NULL && w->s[0] == '<') { /* <<Keys hidden>> */
		st->keyless = true;
		while (!import_line_end(im) && w->s[w->len - 1] != '>')
			w = import_next(im);
		return 0;
	}
	if (import_key(im, w, at, key) == -1)
		return -1;
	if (!import_line_end(im) && import_peek(im)->s[0] == '(') {
		import_next(im);
		if (!import_line_end(im))
			import_next(im);
	}
	return 0;
}

static int
enc(struct import *im, struct state *st, bool aead)
{
	const char *why = "";
	uint64_t bits = 0;
	char name[64];

	st->enc_at = import_peek(im);
	if (algorithm(im, st, name, sizeof name, &st->sa.enckey) == -1)
		return -1;
	if (aead && !import_line_end(im) && import_field(im, 4096, &bits) == -1)
		return -1;
	if (st->keyless)
		return 0;
	st->sa.enc = import_enc(
	    name, st->sa.enckey != NULL ? secret_len(st->sa.enckey) : 0, aead, bits, &why);
	return st->sa.enc != NULL ? 0 : import_error(im, st->enc_at, "%s", why);
}

static int
auth(struct import *im, struct state *st, bool trunc)
{
	const char *why = "";
	uint64_t bits = 0;
	char name[64];

	st->auth_at = import_peek(im);
	if (algorithm(im, st, name, sizeof name, &st->sa.authkey) == -1)
		return -1;
	if (trunc && !import_line_end(im) && import_field(im, 4096, &bits) == -1)
		return -1;
	if (st->keyless || strcmp(name, "digest_null") == 0)
		return 0;
	st->sa.auth = import_auth(name, bits, &why);
	return st->sa.auth != NULL ? 0 : import_error(im, st->auth_at, "%s", why);
}

/* encap type espinudp sport 4500 dport 4500 addr 0.0.0.0 */
static int
encap(struct import *im, struct state *st)
{
	const struct word *w;
	uint64_t v;

	while (!import_line_end(im)) {
		w = import_next(im);
		if (import_is(w, "type")) {
			w = import_line_end(im) ? NULL : import_next(im);
			if (!import_is(w, "espinudp"))
				return import_error(im, w, "only espinudp can be turned");
		} else if (import_is(w, "sport") || import_is(w, "dport")) {
			bool s = w->s[0] == 's';

			if (import_field(im, 65535, &v) == -1)
				return -1;
			*(s ? &st->sa.encap_sport : &st->sa.encap_dport) = (uint16_t)v;
		} else {
			import_skip_line(im); /* addr: the original address, for checksums */
		}
	}
	return 0;
}

/* limit: soft 10(bytes), hard (INF)(bytes); expire add: soft 3000(sec), hard 3600(sec) */
static void
limit(struct import *im, struct state *st, const struct word *at)
{
	bool use = import_accept(im, "use:");

	while (!import_line_end(im)) {
		const struct word *w = import_next(im);
		struct lifetime *l = import_is(w, "soft") ? &st->sa.soft : &st->sa.hard;
		uint64_t v;

		if (!import_is(w, "soft") && !import_is(w, "hard"))
			continue;
		switch (import_limit(im, &v)) {
		case 'b':
			l->octets = v;
			break;
		case 'p':
			l->packets = v;
			break;
		case 's':
			if (use && v != 0)
				import_warn(im, at, "a lifetime counts from when the SA is added");
			else if (!use && v <= UINT64_MAX / 1000)
				l->ms = v * 1000;
			break;
		}
	}
}

/* seq 0x0, oseq 0x10, in both forms of the anti-replay context */
static int
numbers(struct import *im, struct state *st)
{
	uint64_t v;

	while (!import_line_end(im)) {
		const struct word *w = import_next(im);

		if (import_is(w, "oseq") || import_is(w, "oseq-hi")) {
			if (import_field(im, UINT32_MAX, &v) == -1)
				return -1;
			st->sent |= w->len == 4 ? v : v << 32;
		}
	}
	return 0;
}

static int
sel(struct import *im, const struct word *at)
{
	struct selector s;
	const char *narrow;

	if (import_selector(im, &s, &narrow) == -1)
		return -1;
	if (narrow != NULL || !s.proto_any || iprange_prefix(&s.local) != 0 ||
	    iprange_prefix(&s.remote) != 0)
		import_warn(im, at,
		    "what an SA carries is said by the rules that use it: its sel "
		    "is not kept");
	return 0;
}

static int
dir(struct import *im, struct state *st)
{
	const struct word *w = import_line_end(im) ? NULL : import_next(im);

	if (import_is(w, "out"))
		st->sa.dir = SA_DIR_OUT;
	else if (import_is(w, "in"))
		st->sa.dir = SA_DIR_IN;
	else
		return import_error(im, w, "this is no direction");
	return 0;
}

/* Eight hexadecimal digits: of the replay window. */
static bool
bitmap(const struct word *w)
{
	size_t i = 0;

	while (i < w->len && strchr("0123456789abcdef", w->s[i]) != NULL && w->s[i] != '\0')
		i++;
	return i == w->len && i == 8;
}

/* One line, by its first word. */
static int
line(struct import *im, struct state *st)
{
	static const char *const passed[] = {"lastused", "lifetime"};
	static const char *const lost[] = {
	    "mark", "output-mark", "if_id", "crypto", "offload", "security", "coa", "pcpu-num"};
	const struct word *w = import_next(im);
	uint64_t v;

	if (st->over)
		return 0;
	if (import_is(w, "proto"))
		return proto(im, st);
	if (import_is(w, "replay-window"))
		return replay(im, st, w);
	if (import_is(w, "auth") || import_is(w, "auth-trunc"))
		return auth(im, st, w->len > 4);
	if (import_is(w, "enc") || import_is(w, "aead"))
		return enc(im, st, w->s[0] == 'a');
	if (import_is(w, "encap"))
		return encap(im, st);
	if (import_is(w, "anti-replay") || import_is(w, "seq-hi"))
		return numbers(im, st);
	if (import_is(w, "replay_window")) {
		if (import_field(im, UINT32_MAX, &v) == -1)
			return -1;
		window(im, st, w, v);
		return 0;
	}
	if (import_is(w, "sel"))
		return sel(im, w);
	if (import_is(w, "tfcpad")) {
		if (import_field(im, 65535, &v) == -1)
			return -1;
		st->sa.tfc = (uint32_t)v;
		return 0;
	}
	if (import_is(w, "dir"))
		return dir(im, st);
	if (import_is(w, "limit:") || import_is(w, "expire")) {
		limit(im, st, w);
		return 0;
	}
	if (import_is(w, "lifetime") && import_is(import_peek(im), "current:")) {
		st->over = true; /* what is left are counters */
		return 0;
	}
	for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
		if (import_is(w, lost[i])) {
			import_warn(im, w, "an SA has no %s here", lost[i]);
			return 0;
		}
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
		if (import_is(w, passed[i]))
			return 0;
	if (bitmap(w))
		return 0;
	return import_error(im, w, "this is not known here");
}

static int
finish(struct import *im, struct state *st)
{
	struct sa_params *sa = &st->sa;
	bool counter =
	    (sa->enc != NULL && sa->enc->counter) || (sa->auth != NULL && sa->auth->counter);

	if (st->keyless)
		return import_error(im, st->first,
		    "the dump has no keys: ip xfrm state, as root and without nokeys, prints "
		    "them");
	if (sa->spi == 0)
		return import_error(im, st->first, "an SA that is being negotiated");
	if (sa->proto == IPSEC_AH && sa->src.af == 4 && !st->align4)
		sa->ahpad = 8; /* as Linux pads where it is not told otherwise */
	if (st->nopmtudisc && sa->mode == MODE_TUNNEL)
		sa->df = DF_CLEAR;
	if (sa->proto == IPSEC_ESP && sa->enc == NULL && sa->auth != NULL) {
		const char *why;

		sa->enc = import_enc("cipher_null", 0, false, 0, &why);
	}
	if (st->sent != 0 && counter && sa->dir != SA_DIR_IN)
		return import_error(im, st->first,
		    "it has sent %" PRIu64 " packets, and a new start would use its nonces "
		    "again: give it a new key, on both sides",
		    st->sent);
	if (st->sent != 0)
		import_warn(im, st->first,
		    "it has sent %" PRIu64 " packets and begins at 1 again: the peer takes them "
		    "for replays until it gets a new SA, too",
		    st->sent);
	return import_add_sa(im, st->first, sa, false);
}

void
import_xfrm_state(struct import *im)
{
	struct state st = {.first = import_peek(im)};

	sa_params_init(&st.sa);
	st.sa.mode = MODE_TRANSPORT;
	if (head(im, &st) == -1)
		goto out;
	while (import_peek(im) != NULL) {
		if (line(im, &st) == -1)
			goto out;
		import_skip_line(im);
	}
	finish(im, &st);
out:
	secret_unref(st.sa.enckey);
	secret_unref(st.sa.authkey);
}
