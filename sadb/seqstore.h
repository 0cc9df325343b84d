/*
 * The durable side of sequence numbers: one record per key in the state directory, reserve-ahead (RFC 8613 B.1 has
 * the same idea).  A record is named by a fingerprint, HMAC-SHA256(label, proto || key), never by the key.
 *
 * Rules.  A record says "numbers below N may have been used".  Before an SA sends, N is raised by a block, written to a
 * new file, fsynced, renamed over the old one, and the directory fsynced.  A start goes on at the stored N.  A record
 * that is missing, damaged or unwritable is an error that the caller must not overlook: the SA stays unable to send.
 */
#ifndef BITS_SEQSTORE_H
#define BITS_SEQSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEQSTORE_FP_LEN    32 /* hex digits of a fingerprint, without NUL */
#define SEQSTORE_RECORD    96 /* octets of a record as it is stored */
#define SEQSTORE_BLOCK     (UINT64_C(1) << 16) /* numbers reserved at a time without ESN */
#define SEQSTORE_BLOCK_ESN (UINT64_C(1) << 20) /* and with it */

/* The file system as the store sees it, so that tests can cut it at each call.  Each returns 0 or -1 and errno. */
struct seqstore_io {
	void *ctx;
	/* whole file into buf; *len in: room, out: octets.  ENOENT when there is none */
	int (*read)(void *ctx, const char *name, uint8_t *buf, size_t *len);
	/* replace durably: new file, write, fsync, rename, fsync of the directory */
	int (*replace)(void *ctx, const char *name, const uint8_t *buf, size_t len);
	int (*remove)(void *ctx, const char *name);
};

enum seqstore_status {
	SEQSTORE_OK,
	SEQSTORE_MISSING,  /* no record: the key was never used here, or its state is lost */
	SEQSTORE_DAMAGED,  /* bad checksum, magic or length; never trusted */
	SEQSTORE_IO,       /* errno says why */
};

struct seqstore_record {
	uint64_t upto;       /* numbers below it may have been used */
	char machine[33];    /* /etc/machine-id at the time, "" if there is none: a clone must not go on */
	uint64_t owner;      /* drawn by each process that keeps numbers here: who else raises them is noticed */
};

/** seqstore_fingerprint(proto, key, keylen, auth, authlen, fp): names the record of a key (encryption and integrity
 * key, salt included) used by ${proto}.  ${fp} gets SEQSTORE_FP_LEN hex digits and NUL.  Either key may be NULL with length 0.
 * 0; -1 and errno, and ${fp} is "".  For an SA use sa_params_fingerprint(). */
int seqstore_fingerprint(unsigned proto, const uint8_t *key, size_t keylen, const uint8_t *auth, size_t authlen,
    char fp[static SEQSTORE_FP_LEN + 1]);

/** seqstore_load(io, fp, rec), seqstore_save(io, fp, rec): read or durably replace a record.  ${rec} is written only with OK; a
 * save that failed may or may not be there after a crash.  They block; control thread. */
enum seqstore_status seqstore_load(const struct seqstore_io *io, const char *fp, struct seqstore_record *rec);
enum seqstore_status seqstore_save(const struct seqstore_io *io, const char *fp, const struct seqstore_record *rec);

/** seqstore_dir_io(io, dirfd): the real thing, below an open directory (0700, owner checked by the caller; opened for reading, not
 * O_PATH, since it is fsynced).  ${dirfd} stays the caller's. */
void seqstore_dir_io(struct seqstore_io *io, int dirfd);

#endif
