/*
 * What the back ends share: the head of a context, additional data and nonces.  For crypto*.c only.
 */
#ifndef BITS_CRYPTO_HEAD_H
#define BITS_CRYPTO_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "crypto.h"

#define CRYPTO_LEN_MAX (1U << 30) /* of one payload: lengths are int below us */

/**
 * crypto_head_init(c, be, enc, enckeylen, auth, authkeylen, esn):
 * Fill ${c} for ESP (${enc}) or AH (${enc} NULL).  0; -1 and EINVAL when the pair is none that ESP or AH may use
 * (no integrity, integrity twice, a GMAC row for ESP's separate ICV) or a key's length is wrong.
 */
int crypto_head_init(struct crypto *c, const struct crypto_backend *be, const struct alg *enc,
    size_t enckeylen, const struct alg *auth, size_t authkeylen, bool esn);

static inline void
crypto_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* crypto_aad(aad, j, esn): SPI and sequence number, with ESN the high half between them (RFC 4106 5); octets written. */
static inline size_t
crypto_aad(uint8_t aad[static 12], const struct crypto_esp_job *j, bool esn)
{
	if (!esn) {
		memcpy(aad, j->esp, 8);
		return 8;
	}
	memcpy(aad, j->esp, 4);
	crypto_put32(aad + 4, j->seq_hi);
	memcpy(aad + 8, j->esp + 4, 4);
	return 12;
}

#endif
