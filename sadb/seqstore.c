/*
 * A record is a text of fixed form, so that an operator can read it:
 *
 *     bits-seq 1
 *     upto 131072
 *     machine 0123456789abcdef0123456789abcdef
 *     sum 40 hex digits
 *
 * sum is the first 20 octets of SHA-256 over the lines before it.  Anything else, down to one octet, is a damaged record.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "seqstore.h"

#define RECORD_MAX 256
#define SUM_OCTETS 20

static const char label[] = "bitsd sequence number record";

static void
hex(char *out, const uint8_t *in, size_t n)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digit[in[i] >> 4];
		out[2 * i + 1] = digit[in[i] & 15];
	}
	out[2 * n] = '\0';
}

int
seqstore_fingerprint(unsigned proto, const uint8_t *key, size_t keylen, const uint8_t *auth,
    size_t authlen, char fp[static SEQSTORE_FP_LEN + 1])
{
	/* Lengths go in too, so that no two pairs of keys make one text. */
	uint8_t text[3 + 2 * 256], md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	size_t at = 3;
	bool ok;

	if (keylen > 255 || authlen > 255) {
		errno = EINVAL;
		return -1;
	}
	text[0] = (uint8_t)proto;
	text[1] = (uint8_t)keylen;
	text[2] = (uint8_t)authlen;
	if (keylen)
		memcpy(text + at, key, keylen);
	at += keylen;
	if (authlen)
		memcpy(text + at, auth, authlen);
	at += authlen;
	ok = HMAC(EVP_sha256(), label, (int)sizeof label - 1, text, at, md, &n) &&
	     n >= SEQSTORE_FP_LEN / 2;
	OPENSSL_cleanse(text, sizeof text);
	if (!ok) {
		errno = EIO;
		return -1;
	}
	hex(fp, md, SEQSTORE_FP_LEN / 2);
	return 0;
}

/* The record as text with its sum; its length, or 0. */
static size_t
record_print(const struct seqstore_record *rec, char out[static RECORD_MAX])
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int len = snprintf(out, RECORD_MAX, "bits-seq 1\nupto %" PRIu64 "\nmachine %s\n", rec->upto,
	    rec->machine[0] ? rec->machine : "-");

	if (len <= 0 || len > RECORD_MAX - 2 * SUM_OCTETS - 8 ||
	    !EVP_Digest(out, (size_t)len, md, &n, EVP_sha256(), NULL))
		return 0;
	memcpy(out + len, "sum ", 4);
	hex(out + len + 4, md, SUM_OCTETS);
	memcpy(out + len + 4 + 2 * SUM_OCTETS, "\n", 2);
	return (size_t)len + 4 + 2 * SUM_OCTETS + 1;
}

/* Reads what record_print() wrote; what prints differently from what was read is damaged, whatever the difference. */
static enum seqstore_status
record_scan(const char *text, size_t len, struct seqstore_record *rec)
{
	struct seqstore_record r = {0};
	char again[RECORD_MAX];

	if (sscanf(text, "bits-seq 1\nupto %" SCNu64 "\nmachine %32s\n", &r.upto, r.machine) != 2)
		return SEQSTORE_DAMAGED;
	if (strcmp(r.machine, "-") == 0)
		r.machine[0] = '\0';
	if (record_print(&r, again) != len || memcmp(again, text, len) != 0)
		return SEQSTORE_DAMAGED;
	*rec = r;
	return SEQSTORE_OK;
}

enum seqstore_status
seqstore_load(const struct seqstore_io *io, const char *fp, struct seqstore_record *rec)
{
	char text[RECORD_MAX + 1];
	size_t len = RECORD_MAX;

	if (io->read(io->ctx, fp, (uint8_t *)text, &len) < 0)
		return errno == ENOENT	? SEQSTORE_MISSING
		       : errno == EFBIG ? SEQSTORE_DAMAGED
					: SEQSTORE_IO;
	text[len] = '\0';
	return record_scan(text, len, rec);
}

enum seqstore_status
seqstore_save(const struct seqstore_io *io, const char *fp, const struct seqstore_record *rec)
{
	char text[RECORD_MAX];
	size_t len = record_print(rec, text);

	if (len == 0) {
		errno = EINVAL;
		return SEQSTORE_IO;
	}
	return io->replace(io->ctx, fp, (const uint8_t *)text, len) < 0 ? SEQSTORE_IO : SEQSTORE_OK;
}
