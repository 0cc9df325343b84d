#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>
#include "rundir.h"
#include "seqkeeper.h"

#define FAST_MS 1000 /* a block that lasts less is too small */

struct seqkeeper {
	struct seqstore_io io;
	char machine[33];
	char dir[200];	/* for messages */
	int dirfd;	/* -1: not ours */
	uint64_t owner; /* us, in records; never 0 */
};

struct seqkeeper *
seqkeeper_new(const struct seqstore_io *io, const char *machine)
{
	struct seqkeeper *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->io = *io;
	k->dirfd = -1;
	if (getrandom(&k->owner, sizeof k->owner, 0) != sizeof k->owner) {
		free(k);
		return NULL;
	}
	k->owner |= 1;
	snprintf(k->machine, sizeof k->machine, "%s", machine);
	snprintf(k->dir, sizeof k->dir, "the state directory");
	return k;
}

/* /etc/machine-id; "" where there is none. */
static void
machine_id(char id[static 33])
{
	ssize_t n = 0;
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, id, 32);
		close(fd);
	}
	id[n > 0 ? n : 0] = '\0';
	id[strspn(id, "0123456789abcdef")] = '\0';
}

struct seqkeeper *
seqkeeper_open(const char *state_dir, char *why, size_t cap)
{
	struct seqkeeper *k;
	char path[180];
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s/seq", state_dir) >= sizeof path) {
		snprintf(why, cap, "the state directory's name is too long");
		return NULL;
	}
	if ((fd = rundir_dir(state_dir, why, cap)) < 0)
		return NULL;
	close(fd);
	if ((fd = rundir_dir(path, why, cap)) < 0)
		return NULL;
	if ((k = seqkeeper_at(fd, path, why, cap)) == NULL)
		close(fd);
	return k;
}

struct seqkeeper *
seqkeeper_at(int fd, const char *path, char *why, size_t cap)
{
	struct seqkeeper *k;
	struct seqstore_io io;
	char id[33];

	seqstore_dir_io(&io, fd);
	machine_id(id);
	if ((k = seqkeeper_new(&io, id)) == NULL) {
		snprintf(why, cap, "%s", strerror(errno));
		return NULL;
	}
	k->dirfd = fd;
	snprintf(k->dir, sizeof k->dir, "%s", path);
	return k;
}

void
seqkeeper_free(struct seqkeeper *k)
{
	if (!k)
		return;
	if (k->dirfd >= 0)
		close(k->dirfd);
	free(k);
}

bool
seqkeeper_sends(const struct sa *sa)
{
	return sa->out != NULL;
}

/* Does a repeated number break the cipher itself, and not only the peer's window? */
static bool
counter_mode(const struct sa_params *p)
{
	return (p->enc && p->enc->counter) || (p->auth && p->auth->counter);
}

/* Between a look at a record and its replacement no other bitsd may do the same.  A directory that cannot be locked: -1 and errno. */
static int
lock(const struct seqkeeper *k)
{
	int rc = 0;

	while (k->dirfd >= 0 && (rc = flock(k->dirfd, LOCK_EX)) < 0 && errno == EINTR)
		;
	return rc;
}

static void
unlock(const struct seqkeeper *k)
{
	int e = errno;

	if (k->dirfd >= 0)
		(void)flock(k->dirfd, LOCK_UN);
	errno = e;
}

static int
save(struct seqkeeper *k, const struct sa *sa, uint64_t upto)
{
	struct seqstore_record rec = {.upto = upto, .owner = k->owner};

	memcpy(rec.machine, k->machine, sizeof rec.machine);
	return seqstore_save(&k->io, sa->fp, &rec) == SEQSTORE_OK ? 0 : -1;
}

/* The same, where the record is still ours.  One that was removed or spoilt under us is made again: we know what it said. */
static int
save_ours(struct seqkeeper *k, const struct sa *sa, uint64_t upto)
{
	struct seqstore_record rec;
	int rc = -1;

	if (lock(k) < 0)
		return -1;
	if (seqstore_load(&k->io, sa->fp, &rec) == SEQSTORE_OK && rec.owner != k->owner)
		errno = EBUSY;
	else
		rc = save(k, sa, upto);
	unlock(k);
	return rc;
}

/* ${from} + ${block}, not past the end of the numbers. */
static uint64_t
block_end(const struct seq *s, uint64_t from, uint64_t block)
{
	uint64_t end = s->last == UINT64_MAX ? UINT64_MAX : s->last + 1;

	return from >= end || end - from < block ? end : from + block;
}

/* What a start finds: 0: go on at rec->upto; 1: the same, with a warning; -1: refused. */
static int
judge(struct seqkeeper *k, const struct sa *sa, bool first_use, struct seqstore_record *rec,
    char *why, size_t cap)
{
	switch (seqstore_load(&k->io, sa->fp, rec)) {
	case SEQSTORE_OK:
		if (rec->machine[0] && strcmp(rec->machine, k->machine) != 0) {
			snprintf(why, cap,
			    "SPI 0x%08x may not send: the record of its key was written on another "
			    "machine, so this is a copy of it; "
			    "give this machine keys of its own",
			    sa->spi);
			return -1;
		}
		return 0;
	case SEQSTORE_MISSING:
		*rec = (struct seqstore_record){.upto = 1};
		if (first_use)
			return 0;
		if (counter_mode(&sa->p)) {
			snprintf(why, cap,
			    "SPI 0x%08x may not send: %s has no record of its key, and to use a "
			    "number twice would break it; "
			    "if the key was never used before, load the file once with ipsecctl -f",
			    sa->spi, k->dir);
			return -1;
		}
		snprintf(why, cap,
		    "SPI 0x%08x: %s has no record of its key, its numbers start at 1; a peer that "
		    "keeps its window "
		    "drops them until they pass it",
		    sa->spi, k->dir);
		return 1;
	case SEQSTORE_DAMAGED:
		snprintf(why, cap,
		    "SPI 0x%08x may not send: the record of its key, %s/%s, is damaged; use a new "
		    "key, or restore the record",
		    sa->spi, k->dir, sa->fp);
		return -1;
	case SEQSTORE_IO:
		break;
	}
	snprintf(why, cap, "SPI 0x%08x may not send: cannot read the record of its key, %s/%s: %s",
	    sa->spi, k->dir, sa->fp, strerror(errno));
	return -1;
}

/* With the directory locked.  The record says "below this" before the worker hears of it. */
static int
begin(struct seqkeeper *k, struct sa *sa, bool first_use, char *why, size_t cap)
{
	struct seqstore_record rec;
	uint64_t upto;
	int verdict;

	if ((verdict = judge(k, sa, first_use, &rec, why, cap)) < 0)
		return -1;
	if (rec.upto > sa->seq.next)
		sa->seq.next = rec.upto; /* nobody else has it yet */
	if (sa->seq.next > sa->seq.last) {
		snprintf(why, cap,
		    "SPI 0x%08x may not send: the numbers of its key are used up; use a new key",
		    sa->spi);
		return -1;
	}
	upto = block_end(&sa->seq, sa->seq.next, sa->block);
	if (save(k, sa, upto) < 0) {
		snprintf(why, cap,
		    "SPI 0x%08x may not send: cannot write the record of its key, %s/%s: %s",
		    sa->spi, k->dir, sa->fp, strerror(errno));
		return -1;
	}
	seq_reserve(&sa->seq, upto);
	return verdict;
}

int
seqkeeper_begin(struct seqkeeper *k, struct sa *sa, bool first_use, char *why, size_t cap)
{
	int rc;

	if (sa_params_fingerprint(&sa->p, sa->fp) < 0) {
		snprintf(why, cap, "SPI 0x%08x may not send: no fingerprint of its key", sa->spi);
		return -1;
	}
	if (!sa->block)
		sa->block = sa->p.esn ? SEQSTORE_BLOCK_ESN : SEQSTORE_BLOCK;
	if (lock(k) < 0) {
		snprintf(why, cap, "SPI 0x%08x may not send: cannot lock %s: %s", sa->spi, k->dir,
		    strerror(errno));
		return -1;
	}
	rc = begin(k, sa, first_use, why, cap);
	unlock(k);
	return rc;
}

int
seqkeeper_top_up(struct seqkeeper *k, struct sa *sa, uint64_t now)
{
	uint64_t next = __atomic_load_n(&sa->seq.next, __ATOMIC_RELAXED);
	uint64_t reserved = sa->seq.reserved, upto;

	if (!sa->fp[0] || reserved == 0 || (reserved > next && reserved - next >= sa->block / 2))
		return 0;
	if (sa->topped_ms && now - sa->topped_ms < FAST_MS && sa->block < SEQKEEPER_BLOCK_MAX)
		sa->block *= 2;
	upto = block_end(&sa->seq, reserved, sa->block);
	if (upto == reserved)
		return 0;
	if (save_ours(k, sa, upto) < 0)
		return -1;
	seq_reserve(&sa->seq, upto);
	sa->topped_ms = now;
	return 0;
}

int
seqkeeper_stop(struct seqkeeper *k, const struct sa *sa)
{
	if (!sa->fp[0] || sa->seq.reserved == 0 || sa->seq.next >= sa->seq.reserved)
		return 0;
	return save_ours(k, sa, sa->seq.next);
}
