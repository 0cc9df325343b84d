/*
 * The file, integers in this machine's own order (it never goes to another one):
 *
 *       0   8  magic "bitswin1"
 *       8  40  id of the boot in which it was last opened
 *   65536      records of 32 octets, without a gap: name 16, top 8, ahead 8
 *
 * It grows by chunks of 65536 octets, each mapped for itself, so that what a worker writes to never moves.  Room is allocated before it is
 * mapped: a full disk is an error here, not a SIGBUS there.
 */
#include "windows.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootid.h"
#include "log.h"
#include "rundir.h"
#include "sa.h"

#define CHUNK	   65536
#define CHUNKS_MAX 4096 /* 8 million windows */
#define MARGIN	   4	/* packets on top of twice what came in the time before */
#define NOT_OURS   UINT64_MAX

struct record {
	uint8_t name[16]; /* written last; all zero: free */
	uint64_t top;	  /* highest number accepted; written by a worker */
	uint64_t ahead;	  /* what is on the disk: it is not above this */
};

struct header {
	char magic[8], boot[BOOTID_LEN];
};

#define RECORDS (CHUNK / sizeof(struct record))

_Static_assert(CHUNK % sizeof(struct record) == 0, "no record crosses a chunk");

struct chunk {
	struct record *rec;
	uint64_t last
	    [RECORDS]; /* top at the last sync; NOT_OURS: nothing of this process writes there */
};

struct windows {
	int fd;
	struct header *head;
	struct chunk *chunk[CHUNKS_MAX];
	size_t nchunks, n; /* n: records known */
	void *root;	   /* of them, by name */
};

static int
by_name(const void *a, const void *b)
{
	return memcmp(((const struct record *)a)->name, ((const struct record *)b)->name,
	    sizeof((const struct record *)a)->name);
}

static struct record *
record_at(const struct windows *w, size_t i)
{
	return &w->chunk[i / RECORDS]->rec[i % RECORDS];
}

static void *
map(int fd, off_t at)
{
	void *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

	return p == MAP_FAILED ? NULL : p;
}

/* One more chunk, which the file has or gets.  0, or -1 and errno. */
static int
add_chunk(struct windows *w)
{
	off_t at = (off_t)CHUNK * (off_t)(w->nchunks + 1);
	struct chunk *c;
	int e;

	if (w->nchunks == CHUNKS_MAX) {
		errno = ENOSPC;
		return -1;
	}
	if ((e = posix_fallocate(w->fd, at, CHUNK)) != 0) {
		errno = e;
		return -1;
	}
	if ((c = malloc(sizeof *c)) == NULL)
		return -1;
	memset(c->last, 0xff, sizeof c->last);
	if ((c->rec = map(w->fd, at)) == NULL) {
		free(c);
		return -1;
	}
	w->chunk[w->nchunks++] = c;
	return 0;
}

/* Learns of records that were added since the last look, also by another process; the next free one is then number w->n and mapped.  With
 * the file locked.  0, or -1 and errno. */
static int
learn(struct windows *w)
{
	static const uint8_t zero[sizeof((struct record *)0)->name];

	for (;; w->n++) {
		if (w->n == w->nchunks * RECORDS && add_chunk(w) < 0)
			return -1;
		if (memcmp(record_at(w, w->n)->name, zero, sizeof zero) == 0)
			return 0;
		if (!tsearch(record_at(w, w->n), &w->root, by_name)) {
			errno = ENOMEM;
			return -1;
		}
	}
}

/* Another boot: what the disk has of the tops may be old, but none was beyond what it says of the time after. */
static void
after_boot(struct windows *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct record *r = record_at(w, i);

		if (r->ahead > r->top)
			r->top = r->ahead;
	}
}

/* The file, made where it is missing or is none of ours.  Descriptor, locked, or -1 and errno. */
static int
open_file(int dir)
{
	static const char magic[8] = "bitswin1";
	struct header h = {0};
	struct stat st;
	int fd, e;

	for (;;) {
		fd = openat(dir, "windows", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
			goto err;
		if (st.st_size == 0) {
			memcpy(h.magic, magic, sizeof magic);
			if ((e = posix_fallocate(fd, 0, CHUNK)) != 0) {
				errno = e;
				goto err;
			}
			if (pwrite(fd, &h, sizeof h, 0) != sizeof h)
				goto err;
			return fd;
		}
		if (pread(fd, &h, sizeof h, 0) == sizeof h && st.st_size % CHUNK == 0 &&
		    memcmp(h.magic, magic, sizeof magic) == 0)
			return fd;
		log_warnx(
		    "the record of replay windows is damaged and put aside as windows.damaged: "
		    "packets captured before now can be replayed once, unless keys are changed");
		if (renameat(dir, "windows", dir, "windows.damaged") < 0)
			goto err;
		close(fd);
	}
err:
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

struct windows *
windows_open(const char *state_dir, const char *boot, char *why, size_t cap)
{
	struct windows *w = calloc(1, sizeof *w);
	char id[BOOTID_LEN];
	int dir = -1;

	if (!w) {
		snprintf(why, cap, "%s", strerror(errno));
		return NULL;
	}
	w->fd = -1;
	if ((dir = rundir_dir(state_dir, why, cap)) < 0)
		goto err;
	if ((w->fd = open_file(dir)) < 0 || (w->head = map(w->fd, 0)) == NULL || learn(w) < 0) {
		snprintf(why, cap, "%s/windows: %s", state_dir, strerror(errno));
		goto err;
	}
	(void)bootid(id);
	if (boot) {
		memset(id, 0, sizeof id);
		memcpy(id, boot, strnlen(boot, sizeof id - 1));
	}
	if (id[0] == '\0' || memcmp(id, w->head->boot, sizeof id) != 0)
		after_boot(w);
	memcpy(w->head->boot, id, sizeof id);
	(void)flock(w->fd, LOCK_UN);
	close(dir);
	return w;
err:
	if (dir >= 0)
		close(dir);
	windows_close(w);
	return NULL;
}

void
windows_close(struct windows *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++) {
		struct record *r = record_at(w, i);

		if (w->chunk[i / RECORDS]->last[i % RECORDS] != NOT_OURS)
			r->ahead = r->top;
	}
	if (w->fd >= 0)
		(void)fdatasync(w->fd);
	/* one by one: there is no tdestroy() that frees nothing in every C library */
	for (size_t i = 0; i < w->n; i++)
		tdelete(record_at(w, i), &w->root, by_name);
	for (size_t i = 0; i < w->nchunks; i++) {
		munmap(w->chunk[i]->rec, CHUNK);
		free(w->chunk[i]);
	}
	if (w->head)
		munmap(w->head, CHUNK);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

/* The name of ${sa}'s record: made of the key's own and the SPI.  0, or -1 and errno. */
static int
name_of(const struct sa *sa, struct record *r)
{
	char fp[SEQSTORE_FP_LEN + 1], name[SEQSTORE_FP_LEN + 1];
	uint8_t spi[4] = {(uint8_t)(sa->spi >> 24), (uint8_t)(sa->spi >> 16),
	    (uint8_t)(sa->spi >> 8), (uint8_t)sa->spi};

	if (sa_params_fingerprint(&sa->p, fp) < 0 ||
	    seqstore_fingerprint(
		sa->p.proto, (const uint8_t *)fp, SEQSTORE_FP_LEN, spi, sizeof spi, name) < 0)
		return -1;
	for (size_t i = 0; i < sizeof r->name; i++) {
		char two[3] = {name[2 * i], name[2 * i + 1], '\0'};

		r->name[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return 0;
}

static struct record *
find(const struct windows *w, const struct record *name)
{
	struct record *const *found = tfind(name, &w->root, by_name);

	return found ? *found : NULL;
}

/* Marks ${r} as written by this process. */
static void
claim(struct windows *w, const struct record *r)
{
	for (size_t i = 0; i < w->nchunks; i++) {
		const struct record *base = w->chunk[i]->rec;

		if (r >= base && r < base + RECORDS && w->chunk[i]->last[r - base] == NOT_OURS)
			w->chunk[i]->last[r - base] = r->top;
	}
}

/* A record for ${name}, which is not known: another process may have made it meanwhile.  NULL and errno. */
static struct record *
make(struct windows *w, const struct record *name)
{
	struct record *r = NULL;

	if (flock(w->fd, LOCK_EX) < 0)
		return NULL;
	if (learn(w) == 0 && (r = find(w, name)) == NULL) {
		r = record_at(w, w->n);
		memcpy(r->name, name->name, sizeof r->name);
		if (learn(w) < 0 && find(w, name) == NULL)
			r = NULL;
	}
	(void)flock(w->fd, LOCK_UN);
	return r;
}

int
windows_begin(struct windows *w, struct sa *sa, uint64_t *top)
{
	struct record name = {{0}}, *r;
	bool known = true;

	*top = 0;
	if (name_of(sa, &name) < 0)
		return -1;
	if ((r = find(w, &name)) == NULL) {
		if ((r = make(w, &name)) == NULL)
			return -1;
		known = r->top != 0;
	}
	claim(w, r);
	*top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	sa->replay.kept = &r->top;
	return known;
}

/* Where a window at ${top}, which was at ${last} one period ago, may be in one more. */
static uint64_t
ahead_of(uint64_t top, uint64_t last)
{
	uint64_t more = top > last ? 2 * (top - last) + MARGIN : 0;

	return top + more < top ? UINT64_MAX : top + more;
}

int
windows_sync(struct windows *w)
{
	bool dirty = false;

	for (size_t i = 0; i < w->n; i++) {
		uint64_t *last = &w->chunk[i / RECORDS]->last[i % RECORDS];
		struct record *r = record_at(w, i);
		uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED), ahead;

		if (*last == NOT_OURS)
			continue;
		ahead = ahead_of(top, *last);
		*last = top;
		if (ahead != r->ahead) {
			r->ahead = ahead;
			dirty = true;
		}
	}
	return dirty ? fdatasync(w->fd) : 0;
}
