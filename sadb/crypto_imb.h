/* libipsec-mb's back end, shared by its files crypto_imb*.c. */
#ifndef BITS_CRYPTO_IMB_H
#define BITS_CRYPTO_IMB_H

#include <intel-ipsec-mb.h>
#include "crypto_head.h"

#define CRYPTO_IMB_BURST 64 /* packets handed to the library at a time */

/* Round keys and what comes of them; the library wants 16 octets of alignment for most. */
union crypto_imb_key {
	struct {
		uint32_t enc[15 * 4] __attribute__((aligned(16)));
		uint32_t dec[15 * 4] __attribute__((aligned(16)));
	} aes;
	uint8_t chacha[32];
};
union crypto_imb_mac {
	struct {
		uint8_t ipad[64] __attribute__((aligned(16))); /* the state after key and padding */
		uint8_t opad[64] __attribute__((aligned(16)));
	} hmac;
	struct {
		uint32_t k1[11 * 4] __attribute__((aligned(16)));
		uint32_t k2[4] __attribute__((aligned(16)));
		uint32_t k3[4] __attribute__((aligned(16)));
	} aes; /* XCBC: K1 expanded, K2, K3; CMAC: the key expanded and two sub-keys */
};

struct crypto_imb {
	struct crypto c;
	bool seal;
	uint8_t salt_len;
	uint8_t salt[4];
	uint8_t key_len;
	size_t size;		/* octets allocated: gcm is there for GCM and GMAC only */
	IMB_CIPHER_MODE cipher; /* GCM: called directly, not as a job */
	IMB_HASH_ALG hash;
	aes_gcm_enc_dec_t gcm_crypt; /* of key length and direction */
	aes_gmac_init_t gmac_init;
	aes_gmac_update_t gmac_update;
	aes_gmac_finalize_t gmac_final;
	union crypto_imb_key key;
	union crypto_imb_mac mac;
	struct gcm_key_data gcm[] __attribute__((aligned(64)));
};

/**
 * crypto_imb_base():
 * The library initialised once for the process: for expanding keys, and for the functions that work without a manager's
 * state.  NULL: no memory, or this CPU has not what it needs.
 */
const IMB_MGR *crypto_imb_base(void);

/* GCM and GMAC, called directly (crypto_imb_gcm.c). */
int crypto_imb_gcm_init(struct crypto_imb *o, const IMB_MGR *m, const uint8_t *key, size_t keylen);
void crypto_imb_gcm_seal(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n);
void crypto_imb_gcm_open(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n);

/* All else: jobs of a manager (crypto_imb_job.c); ${n} at most CRYPTO_IMB_BURST. */
void crypto_imb_job_seal(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n);
void crypto_imb_job_open(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n);

#endif
