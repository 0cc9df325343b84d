/*
 * Names of algorithms elsewhere.  Ours follows from the name, the key's length and the ICV's.
 */
#include <stdio.h>
#include <string.h>
#include "import_int.h"

/* ${ours}: a format of the key's bits, salt apart. */
static const struct {
	const char *name, *ours;
	unsigned salt;
	bool aead;
	unsigned icv; /* bits where the name says them; 0: they are said apart, or there are none */
} encs[] = {
    /* Linux, as `ip xfrm` prints them */
    {"cbc(aes)", "aes-%u", 0, false, 0},
    {"aes", "aes-%u", 0, false, 0},
    {"rfc3686(ctr(aes))", "aes-%u-ctr", 4, false, 0},
    {"cbc(des3_ede)", "3des", 0, false, 0},
    {"des3_ede", "3des", 0, false, 0},
    {"ecb(cipher_null)", "null", 0, false, 0},
    {"cipher_null", "null", 0, false, 0},
    {"rfc4106(gcm(aes))", "aes-%u-gcm", 4, true, 0},
    {"rfc4309(ccm(aes))", "aes-%u-ccm", 3, true, 0},
    {"rfc4543(gcm(aes))", "aes-%u-gmac", 4, true, 0},
    {"rfc7539esp(chacha20,poly1305)", "chacha20-poly1305", 4, true, 0},
    /* setkey */
    {"aes-cbc", "aes-%u", 0, false, 0},
    {"rijndael-cbc", "aes-%u", 0, false, 0},
    {"aes-ctr", "aes-%u-ctr", 4, false, 0},
    {"3des-cbc", "3des", 0, false, 0},
    {"null", "null", 0, false, 0},
    {"aes-gcm-16", "aes-%u-gcm", 4, true, 128},
    {"aes-gcm-12", "aes-%u-gcm", 4, true, 96},
    {"aes-gcm-8", "aes-%u-gcm", 4, true, 64},
    {"aes-gmac", "aes-%u-gmac", 4, true, 128},
    {"chacha20-poly1305", "chacha20-poly1305", 4, true, 128},
};

static const struct {
	const char *name, *ours;
	unsigned icv; /* bits where nothing else is said */
} auths[] = {
    {"hmac(sha1)", "hmac-sha1", 96},
    {"sha1", "hmac-sha1", 96},
    {"hmac(md5)", "hmac-md5", 96},
    {"md5", "hmac-md5", 96},
    {"hmac(sha256)", "hmac-sha2-256", 96}, /* Linux's draft of old: RFC 4868 has 128 */
    {"sha256", "hmac-sha2-256", 96},
    {"hmac(sha384)", "hmac-sha2-384", 192},
    {"sha384", "hmac-sha2-384", 192},
    {"hmac(sha512)", "hmac-sha2-512", 256},
    {"sha512", "hmac-sha2-512", 256},
    {"xcbc(aes)", "aes-xcbc", 96},
    {"cmac(aes)", "aes-cmac", 96},
    /* setkey */
    {"hmac-sha1", "hmac-sha1", 96},
    {"hmac-md5", "hmac-md5", 96},
    {"hmac-sha256", "hmac-sha2-256", 128},
    {"hmac-sha2-256", "hmac-sha2-256", 128},
    {"hmac-sha384", "hmac-sha2-384", 192},
    {"hmac-sha2-384", "hmac-sha2-384", 192},
    {"hmac-sha512", "hmac-sha2-512", 256},
    {"hmac-sha2-512", "hmac-sha2-512", 256},
    {"aes-xcbc-mac", "aes-xcbc", 96},
};

const struct alg *
import_enc(const char *name, size_t octets, bool aead, uint64_t bits, const char **why)
{
	const struct alg *a;
	char ours[64];
	unsigned keybits;
	size_t i = 0;
	int n;

	while (
	    i < sizeof encs / sizeof *encs && (strcmp(encs[i].name, name) || encs[i].aead != aead))
		i++;
	if (i == sizeof encs / sizeof *encs) {
		*why = "this encryption algorithm is not known here";
		return NULL;
	}
	if (octets <= encs[i].salt && strcmp(encs[i].ours, "null") != 0) {
		*why = "its key is missing or too short";
		return NULL;
	}
	keybits = (unsigned)(octets - encs[i].salt) * 8;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = snprintf(ours, sizeof ours, encs[i].ours, keybits);
#pragma GCC diagnostic pop
	if (encs[i].icv != 0)
		bits = encs[i].icv;
	if (aead && (bits == 64 || bits == 96) && strcmp(encs[i].ours, "chacha20-poly1305") != 0)
		snprintf(ours + n, sizeof ours - (size_t)n, "-%u", (unsigned)bits / 8);
	a = alg_enc(ours);
	if (a == NULL || !alg_keylen_ok(a, octets)) {
		*why = "its key has a length that does not go with it";
		return NULL;
	}
	if (aead && bits != 0 && a->icv * 8u != bits) {
		*why = "its ICV has a length that is not known here";
		return NULL;
	}
	return a;
}

const struct alg *
import_auth(const char *name, uint64_t bits, const char **why)
{
	for (size_t i = 0; i < sizeof auths / sizeof *auths; i++) {
		const struct alg *a;

		if (strcmp(auths[i].name, name) != 0)
			continue;
		a = alg_auth(auths[i].ours);
		if (a != NULL && a->icv * 8u == (bits != 0 ? bits : auths[i].icv))
			return a;
		*why = a != NULL && strcmp(a->name, "hmac-sha2-256") == 0
			   ? "its ICV is not of the 128 bits of RFC 4868; Linux does so with '128' "
			     "behind auth-trunc"
			   : "its ICV has a length that is not known here";
		return NULL;
	}
	*why = "this integrity algorithm is not known here";
	return NULL;
}
