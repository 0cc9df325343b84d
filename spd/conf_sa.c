/*
 * esp|ah [transport|tunnel] [in|out] from A to B spi X[:Y] [auth NAME] [enc NAME] [weak] [authkey K[:K]] [enckey K[:K]]
 *      [reqid N] [esn] [replay N] [udpencap S:D] [follow] [keepalive N] [tfc N] [ahpad 4|8] [df copy|set|clear] [ecn on|off]
 *      [dscp copy|N] [fragment before|after] [mss auto|N] [lifetime soft|hard N UNIT] ...
 *      [for [proto P] from SRC [port P] to DST [port P]]
 *
 * The clauses behind the mode may stand in any order.  X:Y makes a pair: X from A to B, outbound, and Y back, inbound.
 */
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

/* K or K:K as read. */
struct keys {
	const struct token *at;
	struct secret *out, *in;
};

struct sa_line {
	const struct token *first, *enc_at, *auth_at, *spi_at, *from_at, *to_at, *weak_at;
	struct sa_params p;
	struct hosts from, to;
	uint32_t spi_in; /* 0: one half only */
	struct keys enc, auth;
	struct sa_selector sel;
	bool said[24]; /* by row of options[] */
	bool said_dir;
};

/* Hexadecimal text, "0x" before it or not, as in OpenBSD. */
static int
key_half(struct parser *p, const struct token *t, const char *word, const char *s, size_t len,
    struct secret **key)
{
	char text[2 * SECRET_MAX + 3], max[64];
	bool prefix = len >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	int rc = -3;

	if (prefix) {
		s += 2;
		len -= 2;
	}
	if (len + 3 <= sizeof text) {
		text[0] = '0';
		text[1] = 'x';
		memcpy(text + 2, s, len);
		text[len + 2] = '\0';
		rc = secret_parse(text, key);
		secret_wipe(text, sizeof text);
	}
	/* Never near 'token': what was meant as a key may be one, also where it is mistyped. */
	if (rc == 0)
		return 0;
	snprintf(max, sizeof max, "1 to %d octets as hexadecimal digits: 0x...", SECRET_MAX);
	diags_add(p->ds, t->file->name, t->line, t->col, false, "%s %s; %s", word,
	    rc == -1   ? "has other than hexadecimal digits"
	    : rc == -2 ? "has an odd number of hexadecimal digits"
	    : rc == -3 ? "is empty or too long"
		       : "finds no room in locked memory",
	    max);
	return -1;
}

/* K or K:K. */
static int
key_text(struct parser *p, const struct token *t, const char *word, const char *s, struct keys *k)
{
	const char *colon = strchr(s, ':');

	if (key_half(p, t, word, s, colon != NULL ? (size_t)(colon - s) : strlen(s), &k->out) == -1)
		return -1;
	return colon != NULL ? key_half(p, t, word, colon + 1, strlen(colon + 1), &k->in) : 0;
}

/* file "path": one key, or two with a colon between; file "path:path": one key in each. */
static int
key_file(struct parser *p, const char *word, struct keys *k)
{
	const struct token *t = token_word(p, "the path of a key file");
	char *text, *path, *colon;
	size_t len, plen;
	int rc;

	if (t == NULL)
		return -1;
	if (p->o->no_files)
		return conf_error(p, t, "send the key itself", "files are not read for this text");
	if ((path = strdup(token_text(p, t))) == NULL)
		return conf_nomem(p);
	plen = strlen(path);
	if ((colon = strchr(path, ':')) != NULL)
		*colon++ = '\0';
	rc = conf_file_secret(p, t, path, &text, &len);
	if (rc == 0) {
		rc = strlen(text) != len
			 ? conf_error(p, t, NULL, "key file %s has a NUL in it", path)
			 : key_text(p, t, word, text, k);
		conf_file_drop(text, len);
	}
	if (rc == 0 && colon != NULL && k->in != NULL)
		rc = conf_error(p, t, "file \"path\" for both, or one in each",
		    "the first key file holds two keys");
	if (rc == 0 && colon != NULL && (rc = conf_file_secret(p, t, colon, &text, &len)) == 0) {
		rc = key_half(p, t, word, text, strlen(text), &k->in);
		conf_file_drop(text, len);
	}
	conf_file_drop(path, plen); /* should somebody have put the key where the path goes */
	return rc;
}

static int
key_clause(struct parser *p, const char *word, struct keys *k)
{
	const struct token *t;

	k->at = token_peek(p);
	if (token_accept(p, "file"))
		return key_file(p, word, k);
	if ((t = token_word(p, "a key")) == NULL || conf_file_key(p, t) == -1)
		return -1;
	return key_text(p, t, word, token_text(p, t), k);
}

/* A:B, or A alone and ${*colon} false. */
static int
pair(struct parser *p, const struct token *t, uint64_t *a, uint64_t *b, bool *colon)
{
	const char *s = token_text(p, t), *sep = strchr(s, ':');

	*colon = sep != NULL;
	*b = 0;
	if (number_parse(s, sep, a) == -1 || (sep != NULL && number_parse(sep + 1, NULL, b) == -1))
		return -1;
	return 0;
}

static int
opt_spi(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_word(p, "the SPI");
	uint64_t a, b;
	bool two;

	if (t == NULL)
		return -1;
	l->spi_at = t;
	if (pair(p, t, &a, &b, &two) == -1 || a > UINT32_MAX || b > UINT32_MAX)
		return conf_error(p, t, "spi 0x1001, or spi OUT:IN", "this is no SPI");
	if (a < SPI_MIN || (two && b < SPI_MIN))
		return conf_error(
		    p, t, "0x100 to 0xffffffff", "SPIs below 256 are reserved (RFC 4303 2.1)");
	l->p.spi = (uint32_t)a;
	l->spi_in = (uint32_t)b;
	return 0;
}

static int
opt_auth(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_word(p, "the name of an algorithm");

	if (t == NULL)
		return -1;
	l->auth_at = t;
	if ((l->p.auth = alg_auth(token_text(p, t))) == NULL)
		return conf_error(p, t,
		    "hmac-sha2-256, hmac-sha2-384, hmac-sha2-512, hmac-sha1, aes-cmac, aes-xcbc "
		    "or, for ah, aes-128-gmac",
		    "no algorithm of auth has this name");
	return 0;
}

static int
opt_enc(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_word(p, "the name of an algorithm");

	if (t == NULL)
		return -1;
	l->enc_at = t;
	if (l->p.proto == IPSEC_AH)
		return conf_error(p, t, "use esp, or leave enc out", "ah does not encrypt");
	if ((l->p.enc = alg_enc(token_text(p, t))) == NULL)
		return conf_error(p, t,
		    "aes-128-gcm, aes-256-gcm, chacha20-poly1305, aes, aesctr, aes-128-ccm, "
		    "aes-128-gmac, null or another of ipsec.conf(5)",
		    "no algorithm of enc has this name");
	return 0;
}

static int
opt_authkey(struct parser *p, struct sa_line *l)
{
	return key_clause(p, "authkey", &l->auth);
}

static int
opt_enckey(struct parser *p, struct sa_line *l)
{
	return key_clause(p, "enckey", &l->enc);
}

static int
opt_weak(struct parser *p, struct sa_line *l)
{
	l->p.weak = true;
	return 0;
}

static int
opt_esn(struct parser *p, struct sa_line *l)
{
	l->p.esn = true;
	return 0;
}

static int
opt_follow(struct parser *p, struct sa_line *l)
{
	l->p.follow = true;
	return 0;
}

static int
opt_keepalive(struct parser *p, struct sa_line *l)
{
	uint64_t v;

	if (token_number(p, "keepalive", 1, 3600, &v) == -1)
		return -1;
	l->p.keepalive = (uint16_t)v;
	return 0;
}

static int
opt_reqid(struct parser *p, struct sa_line *l)
{
	uint64_t v;

	if (token_number(p, "reqid", 0, UINT32_MAX, &v) == -1)
		return -1;
	l->p.reqid = (uint32_t)v;
	return 0;
}

static int
opt_replay(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_peek(p);
	uint64_t v;

	if (token_number(p, "the replay window", 0, REPLAY_MAX, &v) == -1)
		return -1;
	if (v != 0 && v < REPLAY_MIN)
		return conf_error(p, t, "0 (off), or 32 to 4096 packets",
		    "the replay window is too small (RFC 4303 3.4.3)");
	l->p.replay = (uint32_t)v;
	return 0;
}

static int
opt_udpencap(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_word(p, "udpencap's ports");
	uint64_t s, d;
	bool two;

	if (t == NULL)
		return -1;
	if (l->p.proto == IPSEC_AH)
		return conf_error(p, t, "use esp", "ah cannot go through UDP (RFC 3948)");
	if (pair(p, t, &s, &d, &two) == -1 || !two || s < 1 || s > 65535 || d < 1 || d > 65535)
		return conf_error(
		    p, t, "udpencap SPORT:DPORT, as in 4500:4500", "these are no two ports");
	l->p.encap_sport = (uint16_t)s;
	l->p.encap_dport = (uint16_t)d;
	return 0;
}

static int
opt_tfc(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_peek(p);
	uint64_t v;

	if (l->p.proto == IPSEC_AH)
		return conf_error(p, t, "use esp", "ah does not pad");
	if (token_number(p, "tfc", 0, 65535, &v) == -1)
		return -1;
	l->p.tfc = (uint32_t)v;
	return 0;
}

static int
opt_ahpad(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_peek(p);
	uint64_t v;

	if (token_number(p, "ahpad", 4, 8, &v) == -1)
		return -1;
	if (l->p.proto != IPSEC_AH || (v != 4 && v != 8))
		return conf_error(p, t, "ahpad 4 or ahpad 8",
		    l->p.proto != IPSEC_AH ? "esp has no such padding"
					   : "the alignment of AH's ICV is wrong");
	l->p.ahpad = (uint8_t)v;
	return 0;
}

static int
opt_df(struct parser *p, struct sa_line *l)
{
	if (token_accept(p, "copy"))
		l->p.df = DF_COPY;
	else if (token_accept(p, "set"))
		l->p.df = DF_SET;
	else if (token_accept(p, "clear"))
		l->p.df = DF_CLEAR;
	else
		return conf_error(
		    p, token_peek(p), "copy, set or clear", "this is no way to set DF");
	return 0;
}

static int
opt_fragment(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_peek(p);

	if (token_accept(p, "before"))
		l->p.frag = FRAG_BEFORE;
	else if (token_accept(p, "after"))
		l->p.frag = FRAG_AFTER;
	else
		return conf_error(p, t, "before or after", "this is no time to cut a packet");
	if (l->p.mode != MODE_TUNNEL)
		return conf_error(p, t, "leave it out",
		    "transport mode protects whole datagrams (RFC 4303 3.3.4)");
	return 0;
}

static int
opt_mss(struct parser *p, struct sa_line *l)
{
	uint64_t v = MSS_AUTO;

	if (!token_accept(p, "auto") &&
	    token_number(p, "mss (auto or a number)", MSS_MIN, 65535, &v) == -1)
		return -1;
	l->p.mss = (uint16_t)v;
	return 0;
}

static int
opt_ecn(struct parser *p, struct sa_line *l)
{
	if (token_accept(p, "on"))
		l->p.ecn = true;
	else if (token_accept(p, "off"))
		l->p.ecn = false;
	else
		return conf_error(p, token_peek(p), "on or off", "ecn is wrong");
	return 0;
}

static int
opt_dscp(struct parser *p, struct sa_line *l)
{
	uint64_t v;

	if (token_accept(p, "copy")) {
		l->p.dscp = -1;
		return 0;
	}
	if (token_number(p, "dscp (copy or a number)", 0, 63, &v) == -1)
		return -1;
	l->p.dscp = (int16_t)v;
	return 0;
}

static int
opt_lifetime(struct parser *p, struct sa_line *l)
{
	static const struct {
		const char *name;
		uint64_t factor;
		char what;
	} unit[] = {{"seconds", 1000, 's'}, {"second", 1000, 's'}, {"packets", 1, 'p'},
	    {"packet", 1, 'p'}, {"bytes", 1, 'b'}, {"byte", 1, 'b'}, {"KB", 1u << 10, 'b'},
	    {"MB", 1u << 20, 'b'}, {"GB", 1u << 30, 'b'}};
	bool soft = token_accept(p, "soft");
	struct lifetime *life = soft ? &l->p.soft : &l->p.hard;
	const struct token *t, *at;
	uint64_t v, *to;

	if (!soft && !token_accept(p, "hard"))
		return conf_error(p, token_peek(p),
		    "lifetime soft|hard N seconds|packets|bytes|KB|MB|GB",
		    "soft or hard is missing");
	at = token_peek(p);
	if (token_number(p, "the lifetime", 1, UINT64_MAX, &v) == -1 ||
	    (t = token_word(p, "the unit")) == NULL)
		return -1;
	for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++) {
		if (strcmp(unit[i].name, token_text(p, t)) != 0)
			continue;
		to = unit[i].what == 's'   ? &life->ms
		     : unit[i].what == 'p' ? &life->packets
					   : &life->octets;
		if (v > UINT64_MAX / unit[i].factor)
			return conf_error(p, at, NULL, "the lifetime is too large");
		if (*to != 0)
			return conf_error(
			    p, at, "one limit of each kind", "this limit was said before");
		*to = v * unit[i].factor;
		return 0;
	}
	return conf_error(
	    p, t, "seconds, packets, bytes, KB, MB or GB", "this is no unit of a lifetime");
}

static int
opt_for(struct parser *p, struct sa_line *l)
{
	if (conf_for(p, &l->sel) == -1)
		return -1;
	return (l->p.sel = sa_selector_new(&l->sel)) != NULL ? 0 : conf_nomem(p);
}

static int
opt_comp(struct parser *p, struct sa_line *l)
{
	return conf_error(p, token_peek(p), "leave comp out", "%s does not compress",
	    l->p.proto == IPSEC_AH ? "ah" : "esp");
}

static int
opt_bundle(struct parser *p, struct sa_line *l)
{
	return conf_error(p, token_peek(p), "flow esp transport ah transport from ...",
	    "SAs are not bundled here but in the flow");
}

static const struct {
	const char *name;
	int (*read)(struct parser *, struct sa_line *);
	bool often;
} options[] = {
    {"spi", opt_spi, false},
    {"auth", opt_auth, false},
    {"enc", opt_enc, false},
    {"authkey", opt_authkey, false},
    {"enckey", opt_enckey, false},
    {"weak", opt_weak, true},
    {"esn", opt_esn, false},
    {"replay", opt_replay, false},
    {"reqid", opt_reqid, false},
    {"udpencap", opt_udpencap, false},
    {"follow", opt_follow, false},
    {"keepalive", opt_keepalive, false},
    {"tfc", opt_tfc, false},
    {"ahpad", opt_ahpad, false},
    {"df", opt_df, false},
    {"fragment", opt_fragment, false},
    {"mss", opt_mss, false},
    {"ecn", opt_ecn, false},
    {"dscp", opt_dscp, false},
    {"lifetime", opt_lifetime, true},
    {"for", opt_for, false},
    {"comp", opt_comp, true},
    {"bundle", opt_bundle, true},
};
#define NOPTIONS (sizeof options / sizeof options[0])
_Static_assert(NOPTIONS <= 24, "sa_line.said has a place for each option");

/* One clause: 1 read, 0 none, -1 reported. */
static int
clause(struct parser *p, struct sa_line *l)
{
	const struct token *t = token_peek(p);

	if (token_is(p, "from") || token_is(p, "to")) {
		bool from = token_accept(p, "from") || (token_next(p), false);
		const struct token **at = from ? &l->from_at : &l->to_at;

		if (*at != NULL)
			return conf_error(p, t, NULL, "this was said before");
		*at = token_peek(p);
		if (host_list(p, from ? &l->from : &l->to) == -1)
			return -1;
		if (token_is(p, "port") || token_is(p, "proto"))
			return conf_error(
			    p, token_peek(p), "ports belong to the flow", "an SA has no ports");
		return 1;
	}
	if (token_is(p, "in") || token_is(p, "out")) {
		l->p.dir = token_accept(p, "in") ? SA_DIR_IN : SA_DIR_OUT;
		if (l->p.dir == SA_DIR_OUT)
			token_next(p);
		return conf_once(p, t, &l->said_dir) == -1 ? -1 : 1;
	}
	for (size_t i = 0; i < NOPTIONS; i++) {
		if (!token_accept(p, options[i].name))
			continue;
		if (strcmp(options[i].name, "weak") == 0)
			l->weak_at = t;
		if (!options[i].often && conf_once(p, t, &l->said[i]) == -1)
			return -1;
		return options[i].read(p, l) == -1 ? -1 : 1;
	}
	return 0;
}

static int
key_check(struct parser *p, const struct sa_line *l, const char *word, const struct alg *alg,
    const struct keys *k)
{
	char octets[64];

	if (alg == NULL || alg->kind == ALG_NULL) {
		if (k->at == NULL)
			return 0;
		return conf_error(p, k->at, NULL, "%s has no use: %s", word,
		    alg != NULL		     ? "null does not encrypt"
		    : l->p.proto == IPSEC_AH ? "ah does not encrypt"
					     : "the algorithm of enc authenticates by itself");
	}
	alg_keylen_text(alg, octets, sizeof octets);
	if (k->at == NULL)
		return conf_error(p, token_peek(p), NULL, "%s is missing; %s takes a key of %s%s",
		    word, alg->name, octets, alg->salt != 0 ? ", salt included" : "");
	if (l->spi_in != 0 && k->in == NULL)
		return conf_error(p, k->at, "a key for each direction, OUT:IN",
		    "spi has two halves but %s has one", word);
	if (l->spi_in == 0 && k->in != NULL)
		return conf_error(
		    p, k->at, "spi OUT:IN", "%s has two halves but spi has one", word);
	for (const struct secret *s = k->out; s != NULL; s = s == k->out ? k->in : NULL)
		if (!alg_keylen_ok(alg, secret_len(s)))
			return conf_error(p, k->at, NULL, "%s for %s is %s%s, not %zu", word,
			    alg->name, octets, alg->salt != 0 ? " (key, then salt)" : "",
			    secret_len(s));
	return 0;
}

/* Defaults of OpenBSD, and what belongs together. */
static int
consistent(struct parser *p, struct sa_line *l)
{
	struct sa_params *sa = &l->p;

	if (l->from_at == NULL || l->to_at == NULL || l->spi_at == NULL)
		return conf_error(p, token_peek(p),
		    "esp|ah [transport|tunnel] from A to B spi X ...", "'%s' is missing",
		    l->from_at == NULL ? "from"
		    : l->to_at == NULL ? "to"
				       : "spi");
	if (l->spi_in != 0 && l->said_dir)
		return conf_error(p, l->spi_at, "spi OUT:IN without in and out, or one SPI",
		    "the two halves of spi have their directions already");
	if (sa->proto == IPSEC_ESP && sa->enc == NULL)
		sa->enc = alg_enc("aes");
	if (sa->auth == NULL && (sa->proto == IPSEC_AH || !sa->enc->aead))
		sa->auth = alg_auth("hmac-sha2-256");
	if (sa->enc != NULL && sa->enc->aead && sa->auth != NULL)
		return conf_error(p, l->auth_at, "leave auth out",
		    "%s authenticates by itself (%s)", sa->enc->name, sa->enc->rfc);
	if (key_check(p, l, "authkey", sa->auth, &l->auth) == -1 ||
	    key_check(p, l, "enckey", sa->enc, &l->enc) == -1)
		return -1;
	if (sa->weak && !(sa->enc != NULL && sa->enc->weak) &&
	    !(sa->auth != NULL && sa->auth->weak))
		return conf_error(
		    p, l->weak_at, "leave weak out", "none of its algorithms is weak");
	for (int i = 0; i < 2; i++) {
		const struct alg *alg = i == 0 ? sa->auth : sa->enc;
		const struct token *at = i == 0 ? l->auth_at : l->enc_at;

		if (alg == NULL || !alg->weak)
			continue;
		if (!sa->weak)
			return conf_error(p, at, "another algorithm, or 'weak' behind it",
			    "RFC 8221 advises against %s", alg->name);
		conf_warning(p, at, "%s is weak: RFC 8221 advises against it", alg->name);
	}
	return 0;
}

static int
add(struct parser *p, const struct sa_line *l, const struct sa_params *sa)
{
	const char *why = sa_params_check(sa);

	if (why != NULL)
		return conf_error(p, l->first, NULL, "%s", why);
	return conf_add_sa(p, l->first, sa);
}

/* The SA from ${a} to ${b}, and the one back when there are two SPIs. */
static int
one(struct parser *p, const struct sa_line *l, const struct ipaddr *a, const struct ipaddr *b)
{
	struct sa_params sa = l->p; /* borrows the secrets and the selector */
	int rc;

	sa.src = *a;
	sa.dst = *b;
	sa.enckey = l->enc.out;
	sa.authkey = l->auth.out;
	if (l->spi_in != 0)
		sa.dir = SA_DIR_OUT;
	if (add(p, l, &sa) == -1)
		return -1;
	if (l->spi_in == 0)
		return 0;
	sa.dir = SA_DIR_IN;
	sa.src = *b;
	sa.dst = *a;
	sa.spi = l->spi_in;
	sa.enckey = l->enc.in;
	sa.authkey = l->auth.in;
	sa.encap_sport = l->p.encap_dport; /* as the peer sends */
	sa.encap_dport = l->p.encap_sport;
	if (sa.sel != NULL) {
		struct sa_selector back = l->sel;

		sa_selector_swap(&back);
		if ((sa.sel = sa_selector_new(&back)) == NULL)
			return conf_nomem(p);
	}
	rc = add(p, l, &sa);
	if (sa.sel != NULL)
		sa_selector_unref(sa.sel);
	return rc;
}

static int
expand(struct parser *p, const struct sa_line *l)
{
	size_t made = 0;

	if (l->from.n * l->to.n > CONF_PRODUCT_MAX)
		return conf_error(p, l->first, "fewer or shorter lists",
		    "the lists come to more than %u SAs", CONF_PRODUCT_MAX);
	for (size_t i = 0; i < l->from.n; i++)
		if (!iprange_single(&l->from.r[i]))
			return conf_error(
			    p, l->from_at, "one address", "an SA comes from one host");
	for (size_t i = 0; i < l->to.n; i++)
		if (!iprange_single(&l->to.r[i]))
			return conf_error(p, l->to_at, "one address", "an SA goes to one host");
	for (size_t i = 0; i < l->from.n; i++)
		for (size_t j = 0; j < l->to.n; j++) {
			const struct ipaddr *a = &l->from.r[i].lo, *b = &l->to.r[j].lo;

			if (a->af != b->af)
				continue;
			if (one(p, l, a, b) == -1)
				return -1;
			made++;
		}
	if (made == 0)
		return conf_error(p, l->to_at, NULL, "from and to are not of one family");
	return 0;
}

int
conf_sa(struct parser *p, const struct token *first, enum ipsec_proto proto)
{
	struct sa_line l = {.first = first};
	int rc;

	sa_params_init(&l.p);
	l.p.proto = proto;
	l.p.mode = MODE_TUNNEL;
	if (token_accept(p, "transport"))
		l.p.mode = MODE_TRANSPORT;
	else
		token_accept(p, "tunnel");
	while ((rc = clause(p, &l)) == 1)
		;
	if (rc == 0 && token_peek(p)->kind != TOKEN_END)
		rc = conf_error(p, token_peek(p),
		    "from, to, spi, auth, enc, authkey, enckey, in, out or an option of "
		    "ipsec.conf(5)",
		    "this is no part of an SA");
	if (rc == 0 && (rc = consistent(p, &l)) == 0)
		rc = expand(p, &l);
	secret_unref(l.enc.out);
	secret_unref(l.enc.in);
	secret_unref(l.auth.out);
	secret_unref(l.auth.in);
	sa_selector_unref(l.p.sel);
	free(l.from.r);
	free(l.to.r);
	return rc;
}
