/* OpenSSL: HMAC (RFC 2403, 2404, 4868), AES-CMAC-96 (RFC 4494) and AES-XCBC-96 (RFC 3566), over pieces. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include "crypto_ossl.h"

static const uint8_t zero[16];

/*
 * OpenSSL has no XCBC.  It is AES-CBC of the message under K1 with a zero IV, the last block first exclusive-ored with
 * K2 (full) or, padded with 10..0, with K3; K1, K2 and K3 are encryptions of 01.., 02.. and 03.. (RFC 3566 4).
 */
static int
xcbc_init(struct crypto_ossl *o, const uint8_t *key)
{
	EVP_CIPHER *cbc = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
	uint8_t k[3][16];
	int l, err = cbc == NULL ? ENOTSUP : ENOMEM;

	o->xcbc = EVP_CIPHER_CTX_new();
	if (cbc == NULL || o->xcbc == NULL)
		goto out;
	for (int i = 0; i < 3; i++) {
		memset(k[i], i + 1, 16);
		if (EVP_EncryptInit_ex2(o->xcbc, cbc, key, zero, NULL) != 1 ||
		    EVP_CIPHER_CTX_set_padding(o->xcbc, 0) != 1 ||
		    EVP_EncryptUpdate(o->xcbc, k[i], &l, k[i], 16) != 1)
			goto out;
	}
	if (EVP_EncryptInit_ex2(o->xcbc, cbc, k[0], zero, NULL) != 1)
		goto out;
	memcpy(o->k2, k[1], 16);
	memcpy(o->k3, k[2], 16);
	err = 0;
out:
	OPENSSL_cleanse(k, sizeof(k));
	EVP_CIPHER_free(cbc);
	errno = err;
	return err == 0 ? 0 : -1;
}

/* Whole blocks into the chain; what comes out is of no use until the last block. */
static bool
xcbc_blocks(EVP_CIPHER_CTX *cbc, const uint8_t *p, size_t n)
{
	uint8_t out[512];
	int l;

	while (n > 0) {
		int part = n < sizeof(out) ? (int)n : (int)sizeof(out);

		if (EVP_EncryptUpdate(cbc, out, &l, p, part) != 1)
			return false;
		p += part;
		n -= (size_t)part;
	}
	return true;
}

static bool
xcbc_iov(struct crypto_ossl *o, const struct crypto_iov *iov, unsigned n, uint8_t *out)
{
	uint8_t last[16]; /* held back: only the end tells which block is the last */
	size_t have = 0;
	int l;

	if (EVP_EncryptInit_ex2(o->xcbc, NULL, NULL, zero, NULL) != 1)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = iov[i].p;
		size_t left = iov[i].len;

		while (left > 0) {
			size_t part;

			if (have == 16) {
				if (!xcbc_blocks(o->xcbc, last, 16))
					return false;
				have = 0;
			}
			if (have == 0 && left > 16) {
				part = (left - 1) / 16 * 16;
				if (!xcbc_blocks(o->xcbc, p, part))
					return false;
			} else {
				part = left < 16 - have ? left : 16 - have;
				memcpy(last + have, p, part);
				have += part;
			}
			p += part;
			left -= part;
		}
	}
	if (have < 16) {
		last[have] = 0x80;
		memset(last + have + 1, 0, 15 - have);
	}
	for (int i = 0; i < 16; i++)
		last[i] ^= have == 16 ? o->k2[i] : o->k3[i];
	return EVP_EncryptUpdate(o->xcbc, out, &l, last, 16) == 1;
}

int
crypto_ossl_mac_init(struct crypto_ossl *o, const struct alg *a, const uint8_t *key, size_t len)
{
	const char *name = a->kind == ALG_HMAC ? "HMAC" : "CMAC";
	const char *of = a->kind == ALG_HMAC ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER;
	const char *what =
	    a->kind == ALG_HMAC ? a->evp : "AES-128-CBC"; /* RFC 4494: AES-128 only */
	OSSL_PARAM params[2] = {OSSL_PARAM_construct_utf8_string(of, (char *)(uintptr_t)what, 0),
	    OSSL_PARAM_construct_end()};
	EVP_MAC *mac;

	if (a->kind == ALG_XCBC)
		return xcbc_init(o, key);
	if ((mac = EVP_MAC_fetch(NULL, name, NULL)) == NULL) {
		errno = ENOTSUP;
		return -1;
	}
	o->mac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (o->mac == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if (EVP_MAC_init(o->mac, key, len, params) != 1) {
		errno = ENOTSUP; /* the digest is not there, as MD5 with a FIPS provider */
		return -1;
	}
	return 0;
}

bool
crypto_ossl_mac_iov(struct crypto_ossl *o, const struct crypto_iov *iov, unsigned n,
    uint8_t out[static CRYPTO_OSSL_MAC_MAX])
{
	size_t l;

	if (o->xcbc != NULL)
		return xcbc_iov(o, iov, n, out);
	if (EVP_MAC_init(o->mac, NULL, 0, NULL) != 1)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (EVP_MAC_update(o->mac, iov[i].p, iov[i].len) != 1)
			return false;
	return EVP_MAC_final(o->mac, out, &l, CRYPTO_OSSL_MAC_MAX) == 1;
}
