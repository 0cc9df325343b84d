/*
 * libipsec-mb's back end: contexts.  It serves ESP; AH's pieces, 3DES, CCM with 192 bits and opening with ESN and a
 * separate ICV are left to OpenSSL (ENOTSUP): the last because the library hashes one run of octets, and the number's
 * high half cannot be put behind the payload of a packet that may be read-only.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include "crypto_imb.h"
#include "slab.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static IMB_MGR *base;

static void
make_base(void)
{
	IMB_MGR *m = alloc_mb_mgr(0);
	const uint64_t need = IMB_FEATURE_AESNI | IMB_FEATURE_AVX | IMB_FEATURE_SELF_TEST |
			      IMB_FEATURE_SELF_TEST_PASS;

	if (m == NULL)
		return;
	init_mb_mgr_auto(m, NULL);
	if (imb_get_errno(m) == 0 && (m->features & need) == need)
		base = m;
	else
		free_mb_mgr(m);
}

const IMB_MGR *
crypto_imb_base(void)
{
	pthread_once(&once, make_base);
	return base;
}

/** crypto_imb_usable(why): does this CPU have what libipsec-mb needs, and does its self-test pass?  If not, *${why} is a
 * static sentence.  Only where built with libipsec-mb. */
bool
crypto_imb_usable(const char **why)
{
	const uint64_t need = IMB_FEATURE_AESNI | IMB_FEATURE_AVX;

	if ((imb_get_feature_flags() & need) != need) {
		*why = "this CPU has no AES-NI and AVX, which libipsec-mb needs";
		return false;
	}
	if (crypto_imb_base() == NULL) {
		*why = "libipsec-mb cannot be initialised, or its self-test fails";
		return false;
	}
	return true;
}

static int
cipher_init(struct crypto_imb *o, const IMB_MGR *m, const uint8_t *key, size_t len)
{
	const struct alg *a = o->c.enc;
	size_t keylen = len - a->salt;

	if (keylen != 0)
		memcpy(o->salt, key + keylen, a->salt);
	o->salt_len = a->salt;
	o->key_len = (uint8_t)keylen;
	switch (a->kind) {
	case ALG_NULL:
		o->cipher = IMB_CIPHER_NULL;
		return 0;
	case ALG_GCM:
	case ALG_GMAC:
		o->cipher = IMB_CIPHER_GCM;
		return crypto_imb_gcm_init(o, m, key, keylen);
	case ALG_CHACHA:
		o->cipher = IMB_CIPHER_CHACHA20_POLY1305;
		o->hash = IMB_AUTH_CHACHA20_POLY1305;
		memcpy(o->key.chacha, key, keylen);
		return 0;
	case ALG_CCM:
		o->cipher = IMB_CIPHER_CCM;
		o->hash = IMB_AUTH_AES_CCM;
		break;
	case ALG_CTR:
		o->cipher = IMB_CIPHER_CNTR;
		break;
	case ALG_CBC:
		o->cipher = IMB_CIPHER_CBC;
		break;
	default:
		errno = ENOTSUP;
		return -1;
	}
	/* What is left is AES. */
	if (a->block == 8 || (a->kind == ALG_CCM && keylen == 24)) {
		errno = ENOTSUP;
		return -1;
	}
	if (keylen == 16)
		IMB_AES_KEYEXP_128(m, key, o->key.aes.enc, o->key.aes.dec);
	else if (keylen == 24)
		IMB_AES_KEYEXP_192(m, key, o->key.aes.enc, o->key.aes.dec);
	else
		IMB_AES_KEYEXP_256(m, key, o->key.aes.enc, o->key.aes.dec);
	return 0;
}

/* HMAC: the states after key ^ ipad and key ^ opad (RFC 2104 2).  No key of the table is longer than a block. */
static int
hmac_init(struct crypto_imb *o, const IMB_MGR *m, const uint8_t *key, size_t len)
{
	const struct hmac {
		uint16_t id; /* IANA's, as in the table */
		uint8_t block;
		IMB_HASH_ALG hash;
		hash_one_block_t one;
	} known[] = {
	    {1, 64, IMB_AUTH_MD5, m->md5_one_block}, /* the library's name for HMAC-MD5 */
	    {2, 64, IMB_AUTH_HMAC_SHA_1, m->sha1_one_block},
	    {12, 64, IMB_AUTH_HMAC_SHA_256, m->sha256_one_block},
	    {13, 128, IMB_AUTH_HMAC_SHA_384, m->sha384_one_block},
	    {14, 128, IMB_AUTH_HMAC_SHA_512, m->sha512_one_block},
	};
	uint8_t ipad[128], opad[128];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct hmac *h = &known[i];

		if (h->id != o->c.auth->ikev2_id || len > h->block)
			continue;
		for (size_t k = 0; k < h->block; k++) {
			ipad[k] = (uint8_t)((k < len ? key[k] : 0) ^ 0x36);
			opad[k] = (uint8_t)((k < len ? key[k] : 0) ^ 0x5c);
		}
		h->one(ipad, o->mac.hmac.ipad);
		h->one(opad, o->mac.hmac.opad);
		OPENSSL_cleanse(ipad, sizeof(ipad));
		OPENSSL_cleanse(opad, sizeof(opad));
		o->hash = h->hash;
		return 0;
	}
	errno = ENOTSUP;
	return -1;
}

static int
mac_init(struct crypto_imb *o, const IMB_MGR *m, const uint8_t *key, size_t len)
{
	uint32_t dec[11 * 4] __attribute__((aligned(16)));

	switch (o->c.auth->kind) {
	case ALG_HMAC:
		return hmac_init(o, m, key, len);
	case ALG_XCBC:
		o->hash = IMB_AUTH_AES_XCBC;
		IMB_AES_XCBC_KEYEXP(m, key, o->mac.aes.k1, o->mac.aes.k2, o->mac.aes.k3);
		return 0;
	case ALG_CMAC:
		o->hash = IMB_AUTH_AES_CMAC;
		IMB_AES_KEYEXP_128(m, key, o->mac.aes.k1, dec);
		IMB_AES_CMAC_SUBKEY_GEN_128(m, o->mac.aes.k1, o->mac.aes.k2, o->mac.aes.k3);
		OPENSSL_cleanse(dec, sizeof(dec));
		return 0;
	default:
		errno = ENOTSUP;
		return -1;
	}
}

static void
imb_free(struct crypto *c)
{
	size_t size = ((struct crypto_imb *)c)->size;

	OPENSSL_cleanse(c, size);
	slab_free(c, size);
}

static struct crypto *
imb_new(const struct alg *enc, const uint8_t *enckey, size_t enckeylen, const struct alg *auth,
    const uint8_t *authkey, size_t authkeylen, bool esn, bool seal)
{
	const IMB_MGR *m = crypto_imb_base();
	bool gcm = enc != NULL && (enc->kind == ALG_GCM || enc->kind == ALG_GMAC);
	size_t size = sizeof(struct crypto_imb) + (gcm ? sizeof(struct gcm_key_data) : 0);
	struct crypto head;
	struct crypto_imb *o;
	int saved;

	if (crypto_head_init(&head, &crypto_imb, enc, enckeylen, auth, authkeylen, esn) == -1)
		return NULL;
	if (m == NULL || enc == NULL || (auth != NULL && esn && !seal)) {
		errno = ENOTSUP;
		return NULL;
	}
	if ((o = slab_new(size)) == NULL)
		return NULL;
	o->c = head;
	o->c.shared = true; /* keys, which calls only read; job managers are the threads' */
	o->seal = seal;
	o->size = size;
	o->c.hot = gcm ? offsetof(struct crypto_imb, gcm) : offsetof(struct crypto_imb, key);
	o->c.hot_len = (uint16_t)(size - o->c.hot);
	if (cipher_init(o, m, enckey, enckeylen) == 0 &&
	    (auth == NULL || mac_init(o, m, authkey, authkeylen) == 0))
		return &o->c;
	saved = errno;
	imb_free(&o->c);
	errno = saved;
	return NULL;
}

static void
imb_seal(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	struct crypto_imb *o = (struct crypto_imb *)c;

	if (o->cipher == IMB_CIPHER_GCM) {
		crypto_imb_gcm_seal(o, j, n);
		return;
	}
	for (unsigned i = 0; i < n; i += CRYPTO_IMB_BURST)
		crypto_imb_job_seal(o, j + i, n - i < CRYPTO_IMB_BURST ? n - i : CRYPTO_IMB_BURST);
}

static void
imb_open(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	struct crypto_imb *o = (struct crypto_imb *)c;

	if (o->cipher == IMB_CIPHER_GCM) {
		crypto_imb_gcm_open(o, j, n);
		return;
	}
	for (unsigned i = 0; i < n; i += CRYPTO_IMB_BURST)
		crypto_imb_job_open(o, j + i, n - i < CRYPTO_IMB_BURST ? n - i : CRYPTO_IMB_BURST);
}

/* The threads' managers, 200 KB each, are nobody's in particular. */
static size_t
imb_footprint(const struct crypto *c)
{
	return ((const struct crypto_imb *)c)->size;
}

const struct crypto_backend crypto_imb = {
    .name = "ipsec-mb",
    .new = imb_new,
    .free = imb_free,
    .esp_seal = imb_seal,
    .esp_open = imb_open,
    .mac = NULL, /* new() makes no context for AH */
    .footprint = imb_footprint,
};
