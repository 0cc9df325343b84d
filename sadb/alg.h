/*
 * The one table of algorithms.  To add one: a row in alg.c, a case in a crypto back end's set-up, and a vector
 * in tests/kat.
 */
#ifndef BITS_ALG_H
#define BITS_ALG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a back end has to do; the table's rows map many names onto these. */
enum alg_kind {
	ALG_NONE,
	/* encryption */
	ALG_NULL, ALG_CBC, ALG_CTR, ALG_GCM, ALG_CCM, ALG_GMAC, ALG_CHACHA,
	/* integrity */
	ALG_HMAC, ALG_XCBC, ALG_CMAC, ALG_AH_GMAC,
};

struct alg {
	const char *name;      /* as in ipsec.conf */
	const char *rfc;       /* "RFC 4106" */
	enum alg_kind kind;
	bool is_auth;          /* a name of `auth`; else of `enc` */
	bool aead;             /* enc with integrity of its own */
	bool counter;          /* a repeated IV under one key breaks it: numbers must be reserved */
	bool weak;             /* RFC 8221 MUST NOT or SHOULD NOT: loads only with `weak` */
	uint8_t key[3];        /* allowed key lengths in octets without salt, 0-filled */
	uint8_t salt;          /* octets behind the key that belong to the nonce */
	uint8_t iv;            /* octets of IV in each packet */
	uint8_t icv;           /* octets of ICV */
	uint8_t block;         /* payload + padding is a multiple of it (before RFC 4303's 4) */
	const char *evp;       /* OpenSSL: cipher or digest name; %u stands for the key's bits */
	uint16_t ikev2_id;     /* IANA: IKEv2 transform id (ENCR or INTEG) */
	uint8_t pfkey_id;      /* PF_KEY: SADB_EALG_ or SADB_AALG_ value; 0: none */
	const char *wireshark; /* esp_sa name; NULL: Wireshark cannot open it */
};

/** alg_enc(name), alg_auth(name): the row of that name, or NULL. */
const struct alg *alg_enc(const char *name);
const struct alg *alg_auth(const char *name);

/** alg_at(i): the i-th row, NULL past the end; for tables in man pages, completion and tests. */
const struct alg *alg_at(size_t i);

/** alg_keylen_ok(a, octets): is ${octets} (salt included) a length ${a} takes? */
bool alg_keylen_ok(const struct alg *a, size_t octets);

/** alg_keylen_text(a, buf, cap): "20 octets" or "16, 24 or 32 octets" for messages (salt included). */
char *alg_keylen_text(const struct alg *a, char *buf, size_t cap);

#endif
