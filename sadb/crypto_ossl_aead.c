/*
 * OpenSSL: GCM (RFC 4106), CCM (RFC 4309), ChaCha20-Poly1305 (RFC 7634) and GMAC (RFC 4543).
 * The nonce is salt and IV; the additional data SPI and sequence number, for GMAC the whole packet.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include "crypto_ossl.h"

#define NONCE_MAX 12

int
crypto_ossl_aead_init(struct crypto_ossl *o, const struct alg *a, const uint8_t *key, size_t len)
{
	size_t keylen = len - a->salt;
	EVP_CIPHER *cipher = crypto_ossl_cipher(a, keylen);
	EVP_CIPHER_CTX *ctx = NULL;
	int enc = o->seal || a->kind == ALG_AH_GMAC; /* AH compares outside: always make the tag */

	if (cipher == NULL) {
		errno = ENOTSUP;
		return -1;
	}
	errno = ENOMEM;
	if ((ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, enc, NULL) != 1)
		goto err;
	/* Before the key: CCM's key schedule depends on both; 15 - 11 = 4 octets of length (RFC 4309 2). */
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, a->salt + a->iv, NULL) != 1)
		goto err;
	if (a->kind == ALG_CCM &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, a->icv, NULL) != 1)
		goto err;
	if (EVP_CipherInit_ex2(ctx, NULL, key, NULL, enc, NULL) != 1)
		goto err;
	memcpy(o->salt, key + keylen, a->salt);
	o->salt_len = a->salt;
	o->cipher = ctx;
	EVP_CIPHER_free(cipher);
	return 0;

err:
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return -1;
}

/* Begin a packet: nonce, and for CCM the length ahead of all (RFC 3610 2.2). */
static bool
begin(struct crypto_ossl *o, const uint8_t *iv, int len, int enc)
{
	uint8_t nonce[NONCE_MAX];
	int l;

	memcpy(nonce, o->salt, o->salt_len);
	memcpy(nonce + o->salt_len, iv, o->c.iv_len);
	if (EVP_CipherInit_ex2(o->cipher, NULL, NULL, nonce, enc, NULL) != 1)
		return false;
	return o->c.enc == NULL || o->c.enc->kind != ALG_CCM ||
	       EVP_CipherUpdate(o->cipher, NULL, &l, NULL, len) == 1;
}

static bool
aad(struct crypto_ossl *o, const uint8_t *p, size_t n)
{
	int l;

	return n == 0 || EVP_CipherUpdate(o->cipher, NULL, &l, p, (int)n) == 1;
}

static bool
get_tag(struct crypto_ossl *o, uint8_t *icv)
{
	uint8_t none[16];
	int l;

	return EVP_CipherFinal_ex(o->cipher, none, &l) == 1 &&
	       EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_GET_TAG, o->c.icv_len, icv) == 1;
}

/* What GMAC covers in ESP: header, IV and payload, with ESN the high half behind the SPI (RFC 4543 3.3). */
static bool
gmac_aad(struct crypto_ossl *o, const struct crypto_esp_job *j)
{
	uint8_t head[12];
	size_t n = crypto_aad(head, j, o->c.esn);

	return aad(o, head, n) && aad(o, j->esp + 8, o->c.iv_len + (size_t)j->len);
}

static bool
seal_one(struct crypto_ossl *o, struct crypto_esp_job *j)
{
	uint8_t head[12], *iv = j->esp + 8, *payload = iv + o->c.iv_len, *icv = payload + j->len;
	int l;

	if (j->len > CRYPTO_LEN_MAX || !begin(o, iv, (int)j->len, 1))
		return false;
	if (o->c.enc->kind == ALG_GMAC) {
		if (j->src != payload)
			memcpy(payload, j->src, j->len);
		return gmac_aad(o, j) && get_tag(o, icv);
	}
	return aad(o, head, crypto_aad(head, j, o->c.esn)) &&
	       EVP_CipherUpdate(o->cipher, payload, &l, j->src, (int)j->len) == 1 &&
	       get_tag(o, icv);
}

static bool
open_one(struct crypto_ossl *o, struct crypto_esp_job *j)
{
	uint8_t head[12], none[16], *iv = j->esp + 8, *payload = iv + o->c.iv_len,
				    *icv = payload + j->len;
	bool gmac = o->c.enc->kind == ALG_GMAC;
	int l;

	if (j->len > CRYPTO_LEN_MAX)
		return false;
	/* CCM wants the tag before the length. */
	if (EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_SET_TAG, o->c.icv_len, icv) != 1 ||
	    !begin(o, iv, (int)j->len, 0))
		return false;
	if (gmac) {
		if (!gmac_aad(o, j) || EVP_CipherFinal_ex(o->cipher, none, &l) != 1)
			return false;
		if (j->dst != payload)
			memcpy(j->dst, payload, j->len);
		return true;
	}
	if (aad(o, head, crypto_aad(head, j, o->c.esn)) &&
	    EVP_CipherUpdate(o->cipher, j->dst, &l, payload, (int)j->len) == 1 &&
	    /* CCM has judged by now, and its final call says nothing about the tag. */
	    (o->c.enc->kind == ALG_CCM || EVP_CipherFinal_ex(o->cipher, none, &l) == 1))
		return true;
	/* It was decrypted before it was judged: nobody may read it. */
	OPENSSL_cleanse(j->dst, j->len);
	return false;
}

void
crypto_ossl_aead_seal(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!(j[i].ok = seal_one((struct crypto_ossl *)c, &j[i])))
			ERR_clear_error();
}

void
crypto_ossl_aead_open(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!(j[i].ok = open_one((struct crypto_ossl *)c, &j[i])))
			ERR_clear_error();
}

/* AH with GMAC: all that AH covers is additional data (RFC 4543 4). */
bool
crypto_ossl_aead_gmac(struct crypto_ossl *o, const struct crypto_mac_job *j, uint8_t icv[static 16])
{
	if (j->iv == NULL || !begin(o, j->iv, 0, 1))
		return false;
	for (unsigned i = 0; i < j->niov; i++)
		if (j->iov[i].len > CRYPTO_LEN_MAX || !aad(o, j->iov[i].p, j->iov[i].len))
			return false;
	return get_tag(o, icv);
}
