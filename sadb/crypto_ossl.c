/* OpenSSL's back end: contexts, and the ciphers that have a MAC beside them (RFC 3602, 3686, 2451, 2410). */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>
#include "crypto_ossl.h"

/*
 * OpenSSL does not say what its contexts take; these were counted with OpenSSL 3.0 on x86-64 and are right to some
 * hundred octets (600 for CBC or CTR to 1150 for GCM; 750 for SHA-1 to 1100 for SHA-512).
 */
#define GCM_OCTETS    1150
#define CIPHER_OCTETS 650
#define MAC_OCTETS    900

/**
 * crypto_ossl_cipher(a, keylen):
 * OpenSSL's cipher of row ${a} for a key of ${keylen} octets (salt not counted); EVP_CIPHER_free() it.  NULL: it has none.
 */
EVP_CIPHER *
crypto_ossl_cipher(const struct alg *a, size_t keylen)
{
	const char *bits = strstr(a->evp, "%u");
	char name[32];

	if (bits == NULL)
		return EVP_CIPHER_fetch(NULL, a->evp, NULL);
	snprintf(
	    name, sizeof(name), "%.*s%zu%s", (int)(bits - a->evp), a->evp, keylen * 8, bits + 2);
	return EVP_CIPHER_fetch(NULL, name, NULL);
}

static int
cipher_init(struct crypto_ossl *o, const struct alg *a, const uint8_t *key, size_t len)
{
	size_t keylen = len - a->salt;
	EVP_CIPHER *cipher = crypto_ossl_cipher(a, keylen);

	if (cipher == NULL) {
		errno = ENOTSUP;
		return -1;
	}
	if ((o->cipher = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_CipherInit_ex2(o->cipher, cipher, key, NULL, o->seal, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(o->cipher, 0) != 1) {
		EVP_CIPHER_free(cipher);
		errno = ENOMEM;
		return -1;
	}
	EVP_CIPHER_free(cipher);
	memcpy(o->salt, key + keylen, a->salt);
	o->salt_len = a->salt;
	return 0;
}

/* One payload through the cipher, in the direction of the context. */
static bool
crypt_one(struct crypto_ossl *o, const struct crypto_esp_job *j, const uint8_t *from, uint8_t *to)
{
	uint8_t block[CRYPTO_IV_MAX];
	const uint8_t *iv = j->esp + 8;
	int l;

	if (o->cipher == NULL) {
		if (to != from)
			memcpy(to, from, j->len);
		return true;
	}
	if (o->c.enc->kind == ALG_CTR) { /* nonce, IV, block counter from 1 (RFC 3686 4) */
		memcpy(block, o->salt, 4);
		memcpy(block + 4, iv, 8);
		crypto_put32(block + 12, 1);
		iv = block;
	}
	return EVP_CipherInit_ex2(o->cipher, NULL, NULL, iv, o->seal, NULL) == 1 &&
	       EVP_CipherUpdate(o->cipher, to, &l, from, (int)j->len) == 1;
}

/* Header to payload, then the high half of the number (RFC 4303 2.2.1). */
static bool
esp_mac(
    struct crypto_ossl *o, const struct crypto_esp_job *j, uint8_t out[static CRYPTO_OSSL_MAC_MAX])
{
	uint8_t hi[4];
	struct crypto_iov iov[2] = {{j->esp, 8 + o->c.iv_len + (size_t)j->len}, {hi, 4}};

	crypto_put32(hi, j->seq_hi);
	return crypto_ossl_mac_iov(o, iov, o->c.esn ? 2 : 1, out);
}

static bool
length_ok(const struct crypto_ossl *o, const struct crypto_esp_job *j)
{
	return j->len <= CRYPTO_LEN_MAX &&
	       (o->c.enc->kind != ALG_CBC || j->len % o->c.enc->block == 0);
}

static void
esp_seal(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	struct crypto_ossl *o = (struct crypto_ossl *)c;
	uint8_t icv[CRYPTO_OSSL_MAC_MAX];

	if (c->enc->aead) {
		crypto_ossl_aead_seal(c, j, n);
		return;
	}
	for (unsigned i = 0; i < n; i++, j++) {
		uint8_t *payload = j->esp + 8 + c->iv_len;

		j->ok = length_ok(o, j) && crypt_one(o, j, j->src, payload) && esp_mac(o, j, icv);
		if (j->ok)
			memcpy(payload + j->len, icv, c->icv_len);
		else
			ERR_clear_error();
	}
}

static void
esp_open(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	struct crypto_ossl *o = (struct crypto_ossl *)c;
	uint8_t icv[CRYPTO_OSSL_MAC_MAX];

	if (c->enc->aead) {
		crypto_ossl_aead_open(c, j, n);
		return;
	}
	for (unsigned i = 0; i < n; i++, j++) {
		const uint8_t *payload = j->esp + 8 + c->iv_len;

		/* The ICV first: of a packet that is not the peer's nothing is decrypted (RFC 4303 3.4.4.1). */
		j->ok = length_ok(o, j) && esp_mac(o, j, icv) &&
			crypto_equal(icv, payload + j->len, c->icv_len) &&
			crypt_one(o, j, payload, j->dst);
		if (!j->ok)
			ERR_clear_error();
	}
}

static void
ossl_mac(struct crypto *c, struct crypto_mac_job *j, unsigned n)
{
	struct crypto_ossl *o = (struct crypto_ossl *)c;
	uint8_t icv[CRYPTO_OSSL_MAC_MAX];

	for (unsigned i = 0; i < n; i++, j++) {
		if (c->auth->kind == ALG_AH_GMAC)
			j->ok = crypto_ossl_aead_gmac(o, j, icv);
		else
			j->ok = crypto_ossl_mac_iov(o, j->iov, j->niov, icv);
		if (j->ok)
			memcpy(j->icv, icv, c->icv_len);
		else
			ERR_clear_error();
	}
}

static void
ossl_free(struct crypto *c)
{
	struct crypto_ossl *o = (struct crypto_ossl *)c;

	/* These wipe what they hold. */
	EVP_CIPHER_CTX_free(o->cipher);
	EVP_MAC_CTX_free(o->mac);
	EVP_CIPHER_CTX_free(o->xcbc);
	OPENSSL_clear_free(o, sizeof(*o));
}

static struct crypto *
ossl_new(const struct alg *enc, const uint8_t *enckey, size_t enckeylen, const struct alg *auth,
    const uint8_t *authkey, size_t authkeylen, bool esn, bool seal)
{
	struct crypto_ossl *o = OPENSSL_zalloc(sizeof(*o));
	int saved, r = 0;

	if (o == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	o->seal = seal;
	if (crypto_head_init(&o->c, &crypto_ossl, enc, enckeylen, auth, authkeylen, esn) == -1)
		goto err;
	if (enc != NULL && enc->aead)
		r = crypto_ossl_aead_init(o, enc, enckey, enckeylen);
	else if (auth->kind == ALG_AH_GMAC)
		r = crypto_ossl_aead_init(o, auth, authkey, authkeylen);
	else {
		if (enc != NULL && enc->kind != ALG_NULL)
			r = cipher_init(o, enc, enckey, enckeylen);
		if (r == 0)
			r = crypto_ossl_mac_init(o, auth, authkey, authkeylen);
	}
	if (r == 0)
		return &o->c;
err:
	saved = errno;
	ERR_clear_error();
	ossl_free(&o->c);
	errno = saved;
	return NULL;
}

static size_t
ossl_footprint(const struct crypto *c)
{
	const struct crypto_ossl *o = (const struct crypto_ossl *)c;
	size_t n = sizeof(*o);

	if (o->cipher != NULL)
		n += c->enc == NULL || c->enc->aead ? GCM_OCTETS : CIPHER_OCTETS;
	if (o->mac != NULL)
		n += MAC_OCTETS;
	if (o->xcbc != NULL)
		n += CIPHER_OCTETS;
	return n;
}

const struct crypto_backend crypto_ossl = {
    .name = "openssl",
    .new = ossl_new,
    .free = ossl_free,
    .esp_seal = esp_seal,
    .esp_open = esp_open,
    .mac = ossl_mac,
    .footprint = ossl_footprint,
};
