#include "alg.h"

#include <stdio.h>
#include <string.h>

#define ROWS(a) (sizeof(a) / sizeof(a)[0])

/* IANA: IKEv2 parameters, transform types 1 and 3.  PF_KEY: <linux/pfkeyv2.h>. */
enum {
	ENCR_3DES = 3,
	ENCR_NULL = 11,
	ENCR_AES_CBC,
	ENCR_AES_CTR,
	ENCR_AES_CCM_8,
	ENCR_AES_CCM_12,
	ENCR_AES_CCM_16,
	ENCR_AES_GCM_8 = 18,
	ENCR_AES_GCM_12,
	ENCR_AES_GCM_16,
	ENCR_AES_GMAC,
	ENCR_CHACHA = 28
};
enum {
	INTEG_MD5 = 1,
	INTEG_SHA1,
	INTEG_XCBC = 5,
	INTEG_CMAC = 8,
	INTEG_GMAC_128,
	INTEG_GMAC_192,
	INTEG_GMAC_256,
	INTEG_SHA2_256,
	INTEG_SHA2_384,
	INTEG_SHA2_512
};
enum {
	EALG_3DES = 3,
	EALG_NULL = 11,
	EALG_AESCBC,
	EALG_AESCTR,
	EALG_CCM_8,
	EALG_CCM_12,
	EALG_CCM_16,
	EALG_GCM_8 = 18,
	EALG_GCM_12,
	EALG_GCM_16,
	EALG_GMAC = 23
};
enum { AALG_MD5 = 2, AALG_SHA1, AALG_SHA2_256 = 5, AALG_SHA2_384, AALG_SHA2_512, AALG_XCBC = 9 };

#define KEYS(...)                                                                                  \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

/* clang-format off */
#define CBC(n, keys) \
	{ .name = n, .rfc = "RFC 3602", .kind = ALG_CBC, .key = keys, .iv = 16, .block = 16, .evp = "AES-%u-CBC", \
	  .ikev2_id = ENCR_AES_CBC, .pfkey_id = EALG_AESCBC, .wireshark = "AES-CBC [RFC3602]" }
#define CTR(n, keys) \
	{ .name = n, .rfc = "RFC 3686", .kind = ALG_CTR, .counter = true, .key = keys, .salt = 4, .iv = 8, .block = 1, \
	  .evp = "AES-%u-CTR", .ikev2_id = ENCR_AES_CTR, .pfkey_id = EALG_AESCTR, .wireshark = "AES-CTR [RFC3686]" }
/* Wireshark's names with the ICV's length are the ones that open; beside them its integrity column has to be "NULL". */
#define GCM(n, k, icvlen, id) \
	{ .name = n, .rfc = "RFC 4106", .kind = ALG_GCM, .aead = true, .counter = true, .key = {k}, .salt = 4, .iv = 8, \
	  .icv = icvlen, .block = 1, .evp = "AES-%u-GCM", .ikev2_id = ENCR_AES_GCM_##id, .pfkey_id = EALG_GCM_##id, \
	  .wireshark = "AES-GCM with " #icvlen " octet ICV [RFC4106]" }
#define CCM(n, k, icvlen, id) \
	{ .name = n, .rfc = "RFC 4309", .kind = ALG_CCM, .aead = true, .counter = true, .key = {k}, .salt = 3, .iv = 8, \
	  .icv = icvlen, .block = 1, .evp = "AES-%u-CCM", .ikev2_id = ENCR_AES_CCM_##id, .pfkey_id = EALG_CCM_##id }
#define GMAC(n, k) \
	{ .name = n, .rfc = "RFC 4543", .kind = ALG_GMAC, .aead = true, .counter = true, .key = {k}, .salt = 4, .iv = 8, \
	  .icv = 16, .block = 1, .evp = "AES-%u-GCM", .ikev2_id = ENCR_AES_GMAC, .pfkey_id = EALG_GMAC }
#define AH_GMAC(n, k, id) \
	{ .name = n, .rfc = "RFC 4543", .kind = ALG_AH_GMAC, .is_auth = true, .counter = true, .key = {k}, .salt = 4, \
	  .iv = 8, .icv = 16, .evp = "AES-%u-GCM", .ikev2_id = id }
#define HMAC(n, text, digest, k, icvlen, id, ws) \
	.name = n, .rfc = text, .kind = ALG_HMAC, .is_auth = true, .key = {k}, .icv = icvlen, .evp = digest, \
	.ikev2_id = INTEG_##id, .pfkey_id = AALG_##id, .wireshark = ws

static const struct alg table[] = {
	/* enc */
	CBC("aes", KEYS(16, 24, 32)),
	CBC("aes-128", KEYS(16)),
	CBC("aes-192", KEYS(24)),
	CBC("aes-256", KEYS(32)),
	CTR("aesctr", KEYS(16, 24, 32)),
	CTR("aes-128-ctr", KEYS(16)),
	CTR("aes-192-ctr", KEYS(24)),
	CTR("aes-256-ctr", KEYS(32)),
	GCM("aes-128-gcm", 16, 16, 16),
	GCM("aes-192-gcm", 24, 16, 16),
	GCM("aes-256-gcm", 32, 16, 16),
	GCM("aes-128-gcm-12", 16, 12, 12),
	GCM("aes-192-gcm-12", 24, 12, 12),
	GCM("aes-256-gcm-12", 32, 12, 12),
	GCM("aes-128-gcm-8", 16, 8, 8),
	GCM("aes-192-gcm-8", 24, 8, 8),
	GCM("aes-256-gcm-8", 32, 8, 8),
	CCM("aes-128-ccm", 16, 16, 16),
	CCM("aes-192-ccm", 24, 16, 16),
	CCM("aes-256-ccm", 32, 16, 16),
	CCM("aes-128-ccm-12", 16, 12, 12),
	CCM("aes-192-ccm-12", 24, 12, 12),
	CCM("aes-256-ccm-12", 32, 12, 12),
	CCM("aes-128-ccm-8", 16, 8, 8),
	CCM("aes-192-ccm-8", 24, 8, 8),
	CCM("aes-256-ccm-8", 32, 8, 8),
	GMAC("aes-128-gmac", 16),
	GMAC("aes-192-gmac", 24),
	GMAC("aes-256-gmac", 32),
	{ .name = "chacha20-poly1305", .rfc = "RFC 7634", .kind = ALG_CHACHA, .aead = true, .counter = true, .key = {32},
	  .salt = 4, .iv = 8, .icv = 16, .block = 1, .evp = "ChaCha20-Poly1305", .ikev2_id = ENCR_CHACHA },
	/* SHOULD NOT, RFC 8221 5 */
	{ .name = "3des", .rfc = "RFC 2451", .kind = ALG_CBC, .weak = true, .key = {24}, .iv = 8, .block = 8,
	  .evp = "DES-EDE3-CBC", .ikev2_id = ENCR_3DES, .pfkey_id = EALG_3DES, .wireshark = "TripleDES-CBC [RFC2451]" },
	{ .name = "null", .rfc = "RFC 2410", .kind = ALG_NULL, .block = 1, .ikev2_id = ENCR_NULL, .pfkey_id = EALG_NULL,
	  .wireshark = "NULL" },

	/* auth; SHA-1 is MUST- there, so not weak yet */
	{ HMAC("hmac-sha1", "RFC 2404", "SHA1", 20, 12, SHA1, "HMAC-SHA-1-96 [RFC2404]") },
	{ HMAC("hmac-sha2-256", "RFC 4868", "SHA256", 32, 16, SHA2_256, "HMAC-SHA-256-128 [RFC4868]") },
	{ HMAC("hmac-sha2-384", "RFC 4868", "SHA384", 48, 24, SHA2_384, "HMAC-SHA-384-192 [RFC4868]") },
	{ HMAC("hmac-sha2-512", "RFC 4868", "SHA512", 64, 32, SHA2_512, "HMAC-SHA-512-256 [RFC4868]") },
	{ .name = "aes-xcbc", .rfc = "RFC 3566", .kind = ALG_XCBC, .is_auth = true, .key = {16}, .icv = 12,
	  .evp = "AES-%u-CBC", .ikev2_id = INTEG_XCBC, .pfkey_id = AALG_XCBC,
	  .wireshark = "ANY 96 bit authentication [no checking]" },
	{ .name = "aes-cmac", .rfc = "RFC 4494", .kind = ALG_CMAC, .is_auth = true, .key = {16}, .icv = 12,
	  .evp = "AES-%u-CBC", .ikev2_id = INTEG_CMAC, .wireshark = "ANY 96 bit authentication [no checking]" },
	/* MUST NOT, RFC 8221 6 */
	{ HMAC("hmac-md5", "RFC 2403", "MD5", 16, 12, MD5, "HMAC-MD5-96 [RFC2403]"), .weak = true },
	AH_GMAC("aes-128-gmac", 16, INTEG_GMAC_128),
	AH_GMAC("aes-192-gmac", 24, INTEG_GMAC_192),
	AH_GMAC("aes-256-gmac", 32, INTEG_GMAC_256),
};
/* clang-format on */

/* Other names of a row: what OpenBSD's ipsec.conf(5) takes beside ours.  Output uses the row's own name. */
static const struct {
	const char *alias, *name;
	bool is_auth;
} aliases[] = {
    {"3des-cbc", "3des", false},
};

static const struct alg *
find(const char *name, bool is_auth)
{
	for (size_t i = 0; i < ROWS(aliases); i++) {
		if (aliases[i].is_auth == is_auth && strcmp(aliases[i].alias, name) == 0)
			name = aliases[i].name;
	}
	for (size_t i = 0; i < ROWS(table); i++) {
		if (table[i].is_auth == is_auth && strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

const struct alg *
alg_enc(const char *name)
{
	return find(name, false);
}

const struct alg *
alg_auth(const char *name)
{
	return find(name, true);
}

const struct alg *
alg_at(size_t i)
{
	return i < ROWS(table) ? &table[i] : NULL;
}

bool
alg_keylen_ok(const struct alg *a, size_t octets)
{
	if (a->key[0] == 0)
		return octets == 0; /* null */
	for (size_t i = 0; i < ROWS(a->key) && a->key[i] != 0; i++) {
		if (octets == (size_t)a->key[i] + a->salt)
			return true;
	}
	return false;
}

char *
alg_keylen_text(const struct alg *a, char *buf, size_t cap)
{
	unsigned k[3];

	for (size_t i = 0; i < 3; i++)
		k[i] = a->key[i] == 0 ? 0 : a->key[i] + a->salt;
	if (k[0] == 0)
		snprintf(buf, cap, "no key");
	else if (k[1] == 0)
		snprintf(buf, cap, "%u octets", k[0]);
	else if (k[2] == 0)
		snprintf(buf, cap, "%u or %u octets", k[0], k[1]);
	else
		snprintf(buf, cap, "%u, %u or %u octets", k[0], k[1], k[2]);
	return buf;
}
