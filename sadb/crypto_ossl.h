/* OpenSSL's back end, shared by its files crypto_ossl*.c. */
#ifndef BITS_CRYPTO_OSSL_H
#define BITS_CRYPTO_OSSL_H

#include <openssl/evp.h>
#include "crypto_head.h"

/*
 * Contexts are set up once and keep their keys; per packet only the IV is set, or the MAC begun anew.
 * HMAC: OpenSSL 3.0 itself takes two blocks of some 100 octets from the heap each time (it copies the state after the
 * key); there is no way around that with EVP, and when it fails the packet is not ok.  All else allocates nothing.
 */
struct crypto_ossl {
	struct crypto c;
	bool seal;
	uint8_t salt_len;
	uint8_t salt[4];
	EVP_CIPHER_CTX *cipher; /* NULL with ENCR_NULL and AH with a MAC proper */
	EVP_MAC_CTX *mac;	/* HMAC, CMAC */
	EVP_CIPHER_CTX *xcbc;	/* AES-CBC under K1 of RFC 3566; */
	uint8_t k2[16], k3[16]; /* the keys of the last block */
};

/**
 * crypto_ossl_cipher(a, keylen):
 * OpenSSL's cipher of row ${a} for a key of ${keylen} octets (salt not counted); EVP_CIPHER_free() it.  NULL: it has none.
 */
EVP_CIPHER *crypto_ossl_cipher(const struct alg *a, size_t keylen);

/* AEADs and GMAC (crypto_ossl_aead.c).  init: 0, or -1 and errno. */
int crypto_ossl_aead_init(
    struct crypto_ossl *o, const struct alg *a, const uint8_t *key, size_t len);
void crypto_ossl_aead_seal(struct crypto *c, struct crypto_esp_job *j, unsigned n);
void crypto_ossl_aead_open(struct crypto *c, struct crypto_esp_job *j, unsigned n);
bool crypto_ossl_aead_gmac(
    struct crypto_ossl *o, const struct crypto_mac_job *j, uint8_t icv[static 16]);

/* MACs proper (crypto_ossl_mac.c). */
#define CRYPTO_OSSL_MAC_MAX 64 /* before cutting it to the ICV */
int crypto_ossl_mac_init(
    struct crypto_ossl *o, const struct alg *a, const uint8_t *key, size_t len);
bool crypto_ossl_mac_iov(struct crypto_ossl *o, const struct crypto_iov *iov, unsigned n,
    uint8_t out[static CRYPTO_OSSL_MAC_MAX]);

#endif
