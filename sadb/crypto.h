/*
 * Keyed contexts: a back end's ESP and AH transforms over arrays of jobs.  A context belongs to one SA, one direction and
 * (but where it says `shared`) one worker at a time; it holds expanded keys and is set up once.  Nothing here allocates per packet, but for what OpenSSL's HMAC
 * takes and gives back itself (crypto_ossl.h); where that fails the packet is not ok.
 */
#ifndef BITS_CRYPTO_H
#define BITS_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "alg.h"

#define CRYPTO_ICV_MAX 32
#define CRYPTO_IV_MAX  16

/*
 * One ESP packet.  ${esp} points at the ESP header as it is on the wire: SPI, sequence number (8 octets), then alg->iv
 * octets of IV, then ${len} octets of payload (cipher text; with padding, pad length and next header), then the ICV.
 * For sealing the caller has written SPI, number and IV; ${src} is the clear payload, which may be the payload's place
 * itself (in place) or any other, non-overlapping place.  For opening, clear text goes to ${dst}: the payload's place or
 * any other; after a failure ${dst} holds no clear text (unchanged or wiped).
 */
struct crypto_esp_job {
	uint8_t *esp;
	const uint8_t *src; /* seal only */
	uint8_t *dst;       /* open only */
	uint32_t len;       /* octets of payload, a multiple of the cipher's block */
	uint32_t seq_hi;    /* high half of an extended sequence number (host order); used with ESN only */
	bool ok;            /* out: sealed; or: the ICV was right and dst is clear text */
};

/* One AH packet: the octets the ICV covers, in pieces, mutable fields already zeroed by the caller. */
struct crypto_mac_job {
	const struct crypto_iov { const uint8_t *p; size_t len; } *iov;
	unsigned niov;
	const uint8_t *iv;  /* AH with GMAC: 8 octets of IV (RFC 4543 4); NULL otherwise */
	uint8_t icv[CRYPTO_ICV_MAX]; /* out: alg->icv octets */
	bool ok;            /* out */
};

struct crypto;

/* A back end.  new() returns NULL and errno: ENOTSUP (not this algorithm here), ENOMEM, EINVAL. */
struct crypto_backend {
	const char *name;                       /* "openssl", "ipsec-mb" */
	struct crypto *(*new)(const struct alg *enc, const uint8_t *enckey, size_t enckeylen,
	    const struct alg *auth, const uint8_t *authkey, size_t authkeylen, bool esn, bool seal);
	void (*free)(struct crypto *c);         /* wipes */
	void (*esp_seal)(struct crypto *c, struct crypto_esp_job *j, unsigned n);
	void (*esp_open)(struct crypto *c, struct crypto_esp_job *j, unsigned n);
	void (*mac)(struct crypto *c, struct crypto_mac_job *j, unsigned n);
	size_t (*footprint)(const struct crypto *c); /* octets of memory, for `-s sa -v` and tests */
};

/* The head of every back end's context. */
struct crypto {
	const struct crypto_backend *be;
	const struct alg *enc;  /* NULL for AH */
	const struct alg *auth; /* NULL with an AEAD */
	bool esn;
	bool shared;            /* its calls may run on several threads at once */
	uint8_t iv_len;         /* of the pair */
	uint8_t icv_len;
	uint8_t block;          /* multiple that payload + pad + 2 must be: max(block, 4) */
	uint16_t hot, hot_len;  /* octets behind this head that each packet reads: keys; for fetching ahead */
};

/**
 * crypto_select(name):
 * "auto", "openssl" or "ipsec-mb".  Chooses the back end for contexts made from now on and runs the known answers
 * of every algorithm through it.  0; -1 when it is not built in, the CPU lacks what it needs, or a known answer
 * came out wrong: *${why} then is a static sentence.  Start-up only.
 */
int crypto_select(const char *name, const char **why);

/** crypto_backend_name(): of the chosen back end. */
const char *crypto_backend_name(void);

/**
 * crypto_new(enc, enckey, auth, authkey, esn, seal):
 * A context from the chosen back end, or from OpenSSL where the chosen one lacks the algorithm.  ${enc} NULL: AH.
 * ${auth} NULL: AEAD.  Keys include the salt.  NULL and errno.
 */
struct crypto *crypto_new(const struct alg *enc, const uint8_t *enckey, size_t enckeylen, const struct alg *auth,
    const uint8_t *authkey, size_t authkeylen, bool esn, bool seal);
void crypto_free(struct crypto *c);

static inline void
crypto_esp_seal(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	c->be->esp_seal(c, j, n);
}

static inline void
crypto_esp_open(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	c->be->esp_open(c, j, n);
}

static inline void
crypto_mac(struct crypto *c, struct crypto_mac_job *j, unsigned n)
{
	c->be->mac(c, j, n);
}

/** crypto_equal(a, b, n): constant-time: are the two ICVs the same? */
bool crypto_equal(const uint8_t *a, const uint8_t *b, size_t n);

/* Random octets for IVs.  A parameter of the walk, so that a replay with a seed is repeatable. */
struct rng {
	void (*fill)(struct rng *r, uint8_t *out, size_t n);
};

/** rng_system(): the system's generator (libcrypto's DRBG); aborts when it fails.  One per thread, static. */
struct rng *rng_system(void);

/** rng_seeded(seed): the same octets every time for one seed: replay and tests only, never for traffic.  free: rng_free. */
struct rng *rng_seeded(uint64_t seed);
/** rng_free(r): of rng_seeded(); the system's and NULL are left alone. */
void rng_free(struct rng *r);

/* Known answers (crypto_kat.c). */
struct crypto_kat_result {
	const char *alg;
	const char *proto; /* "esp", "esp esn", "ah" */
	const char *backend;
	bool supported, ok;
};

/** crypto_kat_run(be, cb, ctx): run every algorithm's known answers through ${be}; ${cb} hears each result (may be
 * NULL).  Number of failures. */
int crypto_kat_run(const struct crypto_backend *be, void (*cb)(void *ctx, const struct crypto_kat_result *r), void *ctx);

extern const struct crypto_backend crypto_ossl;
extern const struct crypto_backend crypto_imb; /* only where built with libipsec-mb */

/** crypto_imb_usable(why): does this CPU have what libipsec-mb needs, and does its self-test pass?  If not, *${why} is a
 * static sentence.  Only where built with libipsec-mb. */
bool crypto_imb_usable(const char **why);

#endif
