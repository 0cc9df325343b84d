/*
 * A record, SEQSTORE_RECORD octets, integers in network order:
 *
 *       0   8  magic "bitsseq\n"
 *       8   2  version, 1
 *      10   2  length of the record, 96
 *      12   4  zero
 *      16   8  upto: numbers below it may have been used
 *      24  32  machine, padded with zeros
 *      56   8  owner, 0 in records of before there was one
 *      64  32  SHA-256(octets 0..63, fingerprint)
 *
 * The checksum is against accidents, not against attackers: who can write the directory has the host.  It covers the
 * record's name, so that a file copied over another's is not believed.
 */
#include "seqstore.h"

#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include "secret.h"

#define VERSION 1
enum { AT_VERSION = 8, AT_LENGTH = 10, AT_UPTO = 16, AT_MACHINE = 24, AT_OWNER = 56, AT_SUM = 64 };
enum { MACHINE_LEN = 32, SUM_LEN = 32 };

_Static_assert(AT_SUM + SUM_LEN == SEQSTORE_RECORD, "layout");
_Static_assert(sizeof((struct seqstore_record *)0)->machine == MACHINE_LEN + 1, "layout");

static const uint8_t magic[8] = "bitsseq\n";
static const char label[] = "bitsd sequence number record 1";

static void
put_be(uint8_t *to, uint64_t v, unsigned octets)
{
	while (octets-- > 0) {
		to[octets] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t
get_be(const uint8_t *from, unsigned octets)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < octets; i++)
		v = v << 8 | from[i];
	return v;
}

/* A length before each part, so that no octet can move from one key to the other unseen. */
static int
mac_part(EVP_MAC_CTX *ctx, const uint8_t *p, size_t len)
{
	uint8_t be[4];

	put_be(be, len, sizeof be);
	return EVP_MAC_update(ctx, be, sizeof be) == 1 &&
		       (len == 0 || EVP_MAC_update(ctx, p, len) == 1)
		   ? 0
		   : -1;
}

int
seqstore_fingerprint(unsigned proto, const uint8_t *key, size_t keylen, const uint8_t *auth,
    size_t authlen, char fp[static SEQSTORE_FP_LEN + 1])
{
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
	    OSSL_PARAM_construct_end()};
	static const char digits[] = "0123456789abcdef";
	EVP_MAC_CTX *ctx = NULL;
	uint8_t out[32], p8 = (uint8_t)proto;
	size_t outlen;
	EVP_MAC *mac;
	int rc = -1;

	fp[0] = '\0';
	if ((mac = EVP_MAC_fetch(NULL, "HMAC", NULL)) == NULL ||
	    (ctx = EVP_MAC_CTX_new(mac)) == NULL)
		goto out;
	if (EVP_MAC_init(ctx, (const uint8_t *)label, sizeof label - 1, params) != 1 ||
	    mac_part(ctx, &p8, 1) < 0 || mac_part(ctx, key, keylen) < 0 ||
	    mac_part(ctx, auth, authlen) < 0 || EVP_MAC_final(ctx, out, &outlen, sizeof out) != 1)
		goto out;
	for (unsigned i = 0; i < SEQSTORE_FP_LEN; i++)
		fp[i] = digits[i % 2 == 0 ? out[i / 2] >> 4 : out[i / 2] & 15];
	fp[SEQSTORE_FP_LEN] = '\0';
	rc = 0;
out:
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	secret_wipe(out, sizeof out);
	if (rc < 0)
		errno = EIO; /* libcrypto without HMAC-SHA256, or out of memory */
	return rc;
}

/* A fingerprint becomes a file name: nothing but its own hex digits. */
static bool
name_ok(const char *fp)
{
	return strlen(fp) == SEQSTORE_FP_LEN && fp[strspn(fp, "0123456789abcdef")] == '\0';
}

static int
checksum(const uint8_t buf[static AT_SUM], const char *fp, uint8_t sum[static SUM_LEN])
{
	uint8_t text[AT_SUM + SEQSTORE_FP_LEN];

	memcpy(text, buf, AT_SUM);
	memcpy(text + AT_SUM, fp, SEQSTORE_FP_LEN);
	return EVP_Digest(text, sizeof text, sum, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

/* Everything but upto, machine and owner is fixed, so a record is right when it is what we would write. */
static int
encode(const struct seqstore_record *rec, const char *fp, uint8_t buf[static SEQSTORE_RECORD])
{
	memset(buf, 0, SEQSTORE_RECORD);
	memcpy(buf, magic, sizeof magic);
	put_be(buf + AT_VERSION, VERSION, 2);
	put_be(buf + AT_LENGTH, SEQSTORE_RECORD, 2);
	put_be(buf + AT_UPTO, rec->upto, 8);
	memcpy(buf + AT_MACHINE, rec->machine, strnlen(rec->machine, MACHINE_LEN));
	put_be(buf + AT_OWNER, rec->owner, 8);
	return checksum(buf, fp, buf + AT_SUM);
}

enum seqstore_status
seqstore_load(const struct seqstore_io *io, const char *fp, struct seqstore_record *rec)
{
	uint8_t buf[SEQSTORE_RECORD + 1], again[SEQSTORE_RECORD];
	struct seqstore_record got;
	size_t len = sizeof buf; /* room for one octet too many, to see it */

	if (!name_ok(fp)) {
		errno = EINVAL;
		return SEQSTORE_IO;
	}
	if (io->read(io->ctx, fp, buf, &len) < 0)
		return errno == ENOENT ? SEQSTORE_MISSING : SEQSTORE_IO;
	if (len != SEQSTORE_RECORD)
		return SEQSTORE_DAMAGED;
	got.upto = get_be(buf + AT_UPTO, 8);
	memcpy(got.machine, buf + AT_MACHINE, MACHINE_LEN);
	got.machine[MACHINE_LEN] = '\0';
	got.owner = get_be(buf + AT_OWNER, 8);
	if (encode(&got, fp, again) < 0) {
		errno = EIO;
		return SEQSTORE_IO;
	}
	if (memcmp(buf, again, sizeof again) != 0)
		return SEQSTORE_DAMAGED;
	*rec = got;
	return SEQSTORE_OK;
}

enum seqstore_status
seqstore_save(const struct seqstore_io *io, const char *fp, const struct seqstore_record *rec)
{
	uint8_t buf[SEQSTORE_RECORD];

	if (!name_ok(fp)) {
		errno = EINVAL;
		return SEQSTORE_IO;
	}
	if (encode(rec, fp, buf) < 0) {
		errno = EIO;
		return SEQSTORE_IO;
	}
	return io->replace(io->ctx, fp, buf, sizeof buf) == 0 ? SEQSTORE_OK : SEQSTORE_IO;
}
