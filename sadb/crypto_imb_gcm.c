/*
 * libipsec-mb: GCM (RFC 4106) and GMAC (RFC 4543), one packet after the other by direct calls: no queue, and no state but
 * the expanded key and what is on the stack.  The library computes tags and compares none: that is done here.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include "crypto_imb.h"

int
crypto_imb_gcm_init(struct crypto_imb *o, const IMB_MGR *m, const uint8_t *key, size_t keylen)
{
	switch (keylen) {
	case 16:
		IMB_AES128_GCM_PRE(m, key, o->gcm);
		o->gcm_crypt = o->seal ? m->gcm128_enc : m->gcm128_dec;
		o->gmac_init = m->gmac128_init;
		o->gmac_update = m->gmac128_update;
		o->gmac_final = m->gmac128_finalize;
		return 0;
	case 24:
		IMB_AES192_GCM_PRE(m, key, o->gcm);
		o->gcm_crypt = o->seal ? m->gcm192_enc : m->gcm192_dec;
		o->gmac_init = m->gmac192_init;
		o->gmac_update = m->gmac192_update;
		o->gmac_final = m->gmac192_finalize;
		return 0;
	case 32:
		IMB_AES256_GCM_PRE(m, key, o->gcm);
		o->gcm_crypt = o->seal ? m->gcm256_enc : m->gcm256_dec;
		o->gmac_init = m->gmac256_init;
		o->gmac_update = m->gmac256_update;
		o->gmac_final = m->gmac256_finalize;
		return 0;
	default:
		errno = ENOTSUP;
		return -1;
	}
}

static void
nonce_of(const struct crypto_imb *o, const struct crypto_esp_job *j, uint8_t nonce[static 12])
{
	memcpy(nonce, o->salt, 4);
	memcpy(nonce + 4, j->esp + 8, 8);
}

/* Header, IV and payload, with ESN the high half behind the SPI (RFC 4543 3.3). */
static void
gmac(const struct crypto_imb *o, const struct crypto_esp_job *j, uint8_t tag[static 16])
{
	struct gcm_context_data ctx;
	uint8_t nonce[12], aad[12];
	size_t aadlen = crypto_aad(aad, j, o->c.esn);

	nonce_of(o, j, nonce);
	o->gmac_init(o->gcm, &ctx, nonce, sizeof(nonce));
	o->gmac_update(o->gcm, &ctx, aad, aadlen);
	o->gmac_update(o->gcm, &ctx, j->esp + 8, 8 + (uint64_t)j->len);
	o->gmac_final(o->gcm, &ctx, tag, 16);
}

static void
gcm(const struct crypto_imb *o, const struct crypto_esp_job *j, const uint8_t *from, uint8_t *to,
    uint8_t *tag)
{
	struct gcm_context_data ctx;
	uint8_t nonce[12], aad[12];
	size_t aadlen = crypto_aad(aad, j, o->c.esn);

	nonce_of(o, j, nonce);
	o->gcm_crypt(o->gcm, &ctx, to, from, j->len, nonce, aad, aadlen, tag, o->c.icv_len);
}

void
crypto_imb_gcm_seal(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n)
{
	bool clear = o->c.enc->kind == ALG_GMAC;

	for (unsigned i = 0; i < n; i++, j++) {
		uint8_t *payload = j->esp + 8 + 8;

		if (!(j->ok = j->len <= CRYPTO_LEN_MAX))
			continue;
		if (!clear) {
			gcm(o, j, j->src, payload, payload + j->len);
			continue;
		}
		if (j->src != payload)
			memcpy(payload, j->src, j->len);
		gmac(o, j, payload + j->len);
	}
}

void
crypto_imb_gcm_open(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n)
{
	bool clear = o->c.enc->kind == ALG_GMAC;
	uint8_t tag[16];

	for (unsigned i = 0; i < n; i++, j++) {
		const uint8_t *payload = j->esp + 8 + 8;

		if (!(j->ok = j->len <= CRYPTO_LEN_MAX))
			continue;
		if (clear)
			gmac(o, j, tag);
		else
			gcm(o, j, payload, j->dst, tag);
		j->ok = crypto_equal(tag, payload + j->len, o->c.icv_len);
		if (clear && j->ok && j->dst != payload)
			memcpy(j->dst, payload, j->len);
		/* It was decrypted before it was judged: nobody may read it. */
		if (!clear && !j->ok)
			OPENSSL_cleanse(j->dst, j->len);
	}
	OPENSSL_cleanse(tag, sizeof(tag)); /* the right ICV of a forged packet */
}
