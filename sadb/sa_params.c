#include "sa.h"

#include <stdio.h>
#include <string.h>
#include "seqstore.h"

void
sa_params_init(struct sa_params *p)
{
	memset(p, 0, sizeof *p);
	p->proto = IPSEC_ESP;
	p->mode = MODE_TUNNEL;
	p->replay = REPLAY_DEFAULT;
	p->ahpad = 4;
	p->df = DF_COPY;
	p->ecn = true;
	p->dscp = -1;
}

void
sa_params_copy(struct sa_params *to, const struct sa_params *from)
{
	*to = *from;
	secret_ref(to->enckey);
	secret_ref(to->authkey);
	sa_selector_ref(to->sel);
}

void
sa_params_fini(struct sa_params *p)
{
	secret_unref(p->enckey);
	secret_unref(p->authkey);
	p->enckey = p->authkey = NULL;
	sa_selector_unref(p->sel);
	p->sel = NULL;
}

static bool
lifetime_eq(const struct lifetime *a, const struct lifetime *b)
{
	return a->packets == b->packets && a->octets == b->octets && a->ms == b->ms;
}

bool
sa_params_eq(const struct sa_params *a, const struct sa_params *b)
{
	return a->proto == b->proto && a->mode == b->mode && a->spi == b->spi &&
	       ipaddr_eq(&a->src, &b->src) && ipaddr_eq(&a->dst, &b->dst) && a->enc == b->enc &&
	       a->auth == b->auth && secret_eq(a->enckey, b->enckey) &&
	       secret_eq(a->authkey, b->authkey) && a->reqid == b->reqid && a->esn == b->esn &&
	       a->replay == b->replay && a->encap_sport == b->encap_sport &&
	       a->encap_dport == b->encap_dport && a->tfc == b->tfc && a->ahpad == b->ahpad &&
	       a->df == b->df && a->frag == b->frag &&
	       a->mss == b->mss && a->ecn == b->ecn && a->dscp == b->dscp && a->follow == b->follow && a->keepalive == b->keepalive &&
	       a->weak == b->weak && lifetime_eq(&a->soft, &b->soft) &&
	       lifetime_eq(&a->hard, &b->hard) && sa_selector_eq(a->sel, b->sel);
}

/* The key whose IVs are numbers, or NULL.  The nonce is made of it alone: whatever else the SA has does not matter. */
static struct secret *
counter_key(const struct sa_params *p)
{
	if (p->enc != NULL && p->enc->counter)
		return p->enckey;
	return p->auth != NULL && p->auth->counter ? p->authkey : NULL;
}

bool
sa_params_same_key(const struct sa_params *a, const struct sa_params *b)
{
	struct secret *ca = counter_key(a), *cb = counter_key(b);

	if (ca != NULL || cb != NULL)
		return secret_eq(ca, cb);
	return a->proto == b->proto && secret_eq(a->enckey, b->enckey) &&
	       secret_eq(a->authkey, b->authkey);
}

int
sa_params_fingerprint(const struct sa_params *p, char fp[static SEQSTORE_FP_LEN + 1])
{
	struct secret *c = counter_key(p), *e = c != NULL ? c : p->enckey,
		      *a = c != NULL ? NULL : p->authkey;

	return seqstore_fingerprint(c != NULL ? IPSEC_ESP : p->proto,
	    e != NULL ? secret_bytes(e) : NULL, e != NULL ? secret_len(e) : 0,
	    a != NULL ? secret_bytes(a) : NULL, a != NULL ? secret_len(a) : 0, fp);
}

/* Does ${key} fit ${a}?  NULL, or a sentence with the right lengths; it stays until this thread's next. */
static const char *
check_key(const struct alg *a, const struct secret *key, const char *which)
{
	static _Thread_local char text[160];
	char right[48];
	size_t len = key != NULL ? secret_len(key) : 0;

	if (alg_keylen_ok(a, len))
		return NULL;
	alg_keylen_text(a, right, sizeof right);
	if (len == 0)
		snprintf(text, sizeof text, "%s needs an %s key of %s%s", a->name, which, right,
		    a->salt != 0 ? " (the salt behind the key included)" : "");
	else
		snprintf(text, sizeof text, "the %s key has %zu octets, but %s takes %s%s", which,
		    len, a->name, right, a->salt != 0 ? " (the salt behind the key included)" : "");
	return text;
}

/* Which transforms may stand together (RFC 4301 4.4.2.1, RFC 8221 4), and their keys. */
static const char *
check_algorithms(const struct sa_params *p)
{
	const char *why;

	if ((p->enc != NULL && p->enc->is_auth) || (p->auth != NULL && !p->auth->is_auth))
		return "an encryption algorithm where an integrity algorithm belongs, or the "
		       "reverse";
	if (p->proto == IPSEC_AH) {
		if (p->enc != NULL)
			return "AH does not encrypt: leave out the encryption algorithm";
		if (p->auth == NULL)
			return "AH needs an integrity algorithm";
	} else {
		if (p->enc == NULL)
			return "ESP needs an encryption algorithm (null, where none is wanted)";
		if (p->enc->aead && p->auth != NULL)
			return "this encryption algorithm protects integrity by itself: leave out "
			       "the integrity algorithm";
		if (!p->enc->aead && p->auth == NULL)
			return p->enc->kind == ALG_NULL ? "neither encryption nor integrity: null "
							  "needs an integrity algorithm"
							: "encryption without integrity is not "
							  "safe (RFC 8221 4): add an "
							  "integrity algorithm";
		if (p->auth != NULL && p->auth->kind == ALG_AH_GMAC)
			return "GMAC as an integrity algorithm is for AH; for ESP it is an "
			       "encryption algorithm (RFC 4543 3)";
	}
	if (p->enc == NULL && p->enckey != NULL)
		return "an encryption key without an encryption algorithm";
	if (p->auth == NULL && p->authkey != NULL)
		return "an integrity key without an integrity algorithm";
	if (p->enc != NULL && (why = check_key(p->enc, p->enckey, "encryption")) != NULL)
		return why;
	if (p->auth != NULL && (why = check_key(p->auth, p->authkey, "integrity")) != NULL)
		return why;
	if (!p->weak && ((p->enc != NULL && p->enc->weak) || (p->auth != NULL && p->auth->weak)))
		return "a weak algorithm (RFC 8221): loads only with `weak` behind it";
	return NULL;
}

static const char *
check_addresses(const struct sa_params *p)
{
	if (ipaddr_len(&p->src) == 0 || ipaddr_len(&p->dst) == 0)
		return "source and destination have to be single addresses";
	if (p->src.af != p->dst.af)
		return "source and destination are of different address families";
	if (ipaddr_unspecified(&p->src) || ipaddr_unspecified(&p->dst))
		return "the unspecified address cannot be an end of an SA";
	if (ipaddr_multicast(&p->src))
		return "a multicast address cannot be the source of an SA";
	return NULL;
}

static const char *
check_options(const struct sa_params *p)
{
	if (p->replay != 0 && (p->replay < REPLAY_MIN || p->replay > REPLAY_MAX))
		return "the replay window is 0 (off) or 32 to 4096 packets";
	if ((p->encap_sport != 0) != (p->encap_dport != 0))
		return "UDP encapsulation needs both ports, and port 0 is none";
	if (p->encap_sport != 0 && p->proto == IPSEC_AH)
		return "AH cannot be encapsulated in UDP (RFC 3948 1)";
	if (p->tfc > 65535)
		return "traffic flow padding goes to at most 65535 octets";
	if (p->tfc != 0 && p->proto == IPSEC_AH)
		return "traffic flow padding is ESP's (RFC 4303 2.7)";
	if (p->ahpad != 4 && p->ahpad != 8)
		return "AH's ICV is aligned to 4 or 8 octets";
	if (p->dscp < -1 || p->dscp > 63)
		return "a DSCP is 0 to 63";
	if ((unsigned)p->df > DF_SET)
		return "the don't-fragment bit is copied, set or cleared";
	if ((unsigned)p->frag > FRAG_AFTER)
		return "packets are cut before or after protection";
	if (p->frag != FRAG_BEFORE && p->mode != MODE_TUNNEL)
		return "transport mode protects whole datagrams: only a tunnel can cut before or after";
	if (p->mss != 0 && p->mss != MSS_AUTO && p->mss < MSS_MIN)
		return "a TCP segment has at least 64 octets";
	if (p->follow && p->encap_sport == 0)
		return "only a peer behind UDP encapsulation can be followed";
	if (p->follow && p->replay == 0)
		return "without a replay window any packet sent again would move the peer: follow needs one";
	if (p->keepalive && p->encap_sport == 0)
		return "keepalives are for UDP encapsulation (RFC 3948 4)";
	if (p->keepalive > 3600)
		return "a keepalive is sent every 1 to 3600 seconds";
	return NULL;
}

const char *
sa_params_check(const struct sa_params *p)
{
	const char *why;

	if (p->proto != IPSEC_ESP && p->proto != IPSEC_AH)
		return "the protocol is neither ESP nor AH";
	if (p->mode != MODE_TRANSPORT && p->mode != MODE_TUNNEL)
		return "the mode is neither transport nor tunnel";
	if ((unsigned)p->dir > SA_DIR_IN)
		return "the direction is neither out, in nor any";
	if (p->spi < SPI_MIN)
		return "an SPI is 0x100 to 0xffffffff (lower ones are reserved, RFC 4303 2.1)";
	if ((why = check_addresses(p)) != NULL || (why = check_algorithms(p)) != NULL)
		return why;
	return check_options(p);
}
