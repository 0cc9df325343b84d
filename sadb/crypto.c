/* The choice of back end, and what every back end and its users need: the head of a context, comparison, randomness. */
#include <errno.h>
#include <openssl/crypto.h>
#include "crypto_head.h"

/* Set at start-up by crypto_select(), before there are threads; OpenSSL is always built in. */
static const struct crypto_backend *chosen = &crypto_ossl;

#ifdef BITS_HAVE_IPSEC_MB
static bool
imb_usable(const char **why)
{
	return crypto_imb_usable(why);
}
#define IMB (&crypto_imb)
#else
static bool
imb_usable(const char **why)
{
	*why = "this program was built without libipsec-mb";
	return false;
}
#define IMB NULL
#endif

/**
 * crypto_select(name):
 * "auto", "openssl" or "ipsec-mb".  Chooses the back end for contexts made from now on and runs the known answers
 * of every algorithm through it.  0; -1 when it is not built in, the CPU lacks what it needs, or a known answer
 * came out wrong: *${why} then is a static sentence.  Start-up only.
 */
int
crypto_select(const char *name, const char **why)
{
	const struct crypto_backend *be = &crypto_ossl;
	const char *text;

	if (strcmp(name, "ipsec-mb") == 0 || strcmp(name, "auto") == 0) {
		if (imb_usable(&text))
			be = IMB;
		else if (strcmp(name, "ipsec-mb") == 0) {
			*why = text;
			return -1;
		}
	} else if (strcmp(name, "openssl") != 0) {
		*why = "no such crypto back end: auto, openssl or ipsec-mb";
		return -1;
	}

	/* OpenSSL is asked in any case: it serves what the other one lacks. */
	if (crypto_kat_run(&crypto_ossl, NULL, NULL) != 0) {
		*why = "a known answer of OpenSSL came out wrong";
		return -1;
	}
	if (be != &crypto_ossl && crypto_kat_run(be, NULL, NULL) != 0) {
		*why = "a known answer of libipsec-mb came out wrong";
		return -1;
	}
	chosen = be;
	return 0;
}

/** crypto_backend_name(): of the chosen back end. */
const char *
crypto_backend_name(void)
{
	return chosen->name;
}

/**
 * crypto_new(enc, enckey, auth, authkey, esn, seal):
 * A context from the chosen back end, or from OpenSSL where the chosen one lacks the algorithm.  ${enc} NULL: AH.
 * ${auth} NULL: AEAD.  Keys include the salt.  NULL and errno.
 */
struct crypto *
crypto_new(const struct alg *enc, const uint8_t *enckey, size_t enckeylen, const struct alg *auth,
    const uint8_t *authkey, size_t authkeylen, bool esn, bool seal)
{
	struct crypto *c;

	c = chosen->new (enc, enckey, enckeylen, auth, authkey, authkeylen, esn, seal);
	if (c == NULL && errno == ENOTSUP && chosen != &crypto_ossl)
		c = crypto_ossl.new(enc, enckey, enckeylen, auth, authkey, authkeylen, esn, seal);
	return c;
}

void
crypto_free(struct crypto *c)
{
	if (c != NULL)
		c->be->free(c);
}

/** crypto_equal(a, b, n): constant-time: are the two ICVs the same? */
bool
crypto_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

/**
 * crypto_head_init(c, be, enc, enckeylen, auth, authkeylen, esn):
 * Fill ${c} for ESP (${enc}) or AH (${enc} NULL).  0; -1 and EINVAL when the pair is none that ESP or AH may use
 * (no integrity, integrity twice, a GMAC row for ESP's separate ICV) or a key's length is wrong.
 */
int
crypto_head_init(struct crypto *c, const struct crypto_backend *be, const struct alg *enc,
    size_t enckeylen, const struct alg *auth, size_t authkeylen, bool esn)
{
	bool bad;

	if (enc == NULL) /* AH */
		bad = auth == NULL;
	else if (enc->aead)
		bad = auth != NULL;
	else /* never encryption alone (RFC 8221 4); GMAC has a name of its own in ESP (RFC 4543 3) */
		bad = auth == NULL || auth->kind == ALG_AH_GMAC;
	if (!bad && enc != NULL)
		bad = enc->is_auth || !alg_keylen_ok(enc, enckeylen);
	if (!bad && auth != NULL)
		bad = !auth->is_auth || !alg_keylen_ok(auth, authkeylen);
	if (bad) {
		errno = EINVAL;
		return -1;
	}

	c->be = be;
	c->enc = enc;
	c->auth = auth;
	c->esn = esn;
	c->iv_len = enc != NULL ? enc->iv : auth->iv;
	c->icv_len = auth != NULL ? auth->icv : enc->icv;
	c->block = enc != NULL && enc->block > 4 ? enc->block : 4;
	return 0;
}
