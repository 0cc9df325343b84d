/*
 * A file system made of arrays, for the code that keeps records: each call can fail, be cut short, or be the last one before the
 * power goes.  Then what was never synced may be there, in part, as zeros, or not at all, and the directory may be any of the states
 * it went through since it was last synced.
 *
 * Include it, define the calls as macros (simfs_calls.h), include the .c file under test.
 */
#ifndef BITS_TESTS_SIMFS_H
#define BITS_TESTS_SIMFS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIM_DIR = 3, SIM_FD = 10, SIM_FILES = 16, SIM_NAMES = 4, SIM_ROOM = 256, SIM_STATES = 64 };

struct sim_file {
	uint8_t data[SIM_ROOM], disk[SIM_ROOM]; /* as programs see it; as it was last synced */
	size_t len, disk_len;
	bool synced;
	size_t at; /* of the one descriptor there is */
};

struct sim_names {
	char name[SIM_NAMES][48];
	int file[SIM_NAMES]; /* index, -1: free */
};

enum sim_loss { SIM_LOSE, SIM_HALF, SIM_ZEROS, SIM_KEEP, SIM_LOSSES };

static struct sim {
	struct sim_file file[SIM_FILES];
	int files;
	struct sim_names state
	    [SIM_STATES]; /* of the directory since its last sync; the last is what programs see */
	int states;
	unsigned calls;
	unsigned cut;	/* the power goes before this call; from 1, 0: never */
	unsigned fault; /* this call fails with ... */
	int fault_errno;
	size_t write_max; /* octets a write() takes at a time, 0: all */
	int eintr;	  /* so many reads and writes are interrupted */
	jmp_buf power;
} sim;

static void
sim_format(void)
{
	memset(&sim, 0, sizeof sim);
	sim.states = 1;
	for (int i = 0; i < SIM_NAMES; i++)
		sim.state[0].file[i] = -1;
}

/* Each call passes here; -1: it fails. */
static int
sim_call(void)
{
	sim.calls++;
	if (sim.calls == sim.cut)
		longjmp(sim.power, 1);
	if (sim.calls == sim.fault) {
		errno = sim.fault_errno;
		return -1;
	}
	return 0;
}

static struct sim_names *
sim_now(void)
{
	return &sim.state[sim.states - 1];
}

static int
sim_name(const struct sim_names *d, const char *name)
{
	for (int i = 0; i < SIM_NAMES; i++)
		if (d->file[i] >= 0 && strcmp(d->name[i], name) == 0)
			return i;
	return -1;
}

static struct sim_names *
sim_change(void)
{
	if (sim.states == SIM_STATES) /* the oldest possibility is given up */
		memmove(&sim.state[0], &sim.state[1], (size_t)--sim.states * sizeof sim.state[0]);
	sim.state[sim.states] = *sim_now();
	sim.states++;
	return sim_now();
}

/* Power comes back: the directory is its ${which}-th possible state, unsynced octets suffer ${loss}. */
static void
sim_crash(int which, enum sim_loss loss)
{
	sim.state[0] = sim.state[which % sim.states];
	sim.states = 1;
	for (int i = 0; i < sim.files; i++) {
		struct sim_file *f = &sim.file[i];

		if (!f->synced) {
			if (loss == SIM_LOSE) {
				memcpy(f->data, f->disk, sizeof f->data);
				f->len = f->disk_len;
			} else if (loss == SIM_HALF)
				f->len /= 2;
			else if (loss == SIM_ZEROS)
				memset(f->data, 0, sizeof f->data);
		}
		memcpy(f->disk, f->data, sizeof f->data);
		f->disk_len = f->len;
		f->synced = true;
	}
	sim.cut = sim.fault = 0;
	sim.eintr = 0;
	sim.write_max = 0;
}

static int
sim_openat(int dir, const char *name, int flags, ...)
{
	int at, i = 0;

	if (sim_call() < 0)
		return -1;
	if (dir != SIM_DIR) {
		errno = EBADF;
		return -1;
	}
	if ((at = sim_name(sim_now(), name)) >= 0) {
		if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
			errno = EEXIST;
			return -1;
		}
		sim.file[sim_now()->file[at]].at = 0;
		return SIM_FD + sim_now()->file[at];
	}
	if ((flags & O_CREAT) == 0) {
		errno = ENOENT;
		return -1;
	}
	/* a file that no state of the directory names is free again */
	for (i = 0; i < SIM_FILES; i++) {
		bool used = false;

		for (int s = 0; s < sim.states; s++)
			for (int n = 0; n < SIM_NAMES; n++)
				used |= sim.state[s].file[n] == i;
		if (!used)
			break;
	}
	if (i == SIM_FILES) {
		errno = ENOSPC;
		return -1;
	}
	memset(&sim.file[i], 0, sizeof sim.file[i]);
	sim.files = i >= sim.files ? i + 1 : sim.files;
	struct sim_names *d = sim_change();
	for (at = 0; d->file[at] >= 0; at++)
		;
	snprintf(d->name[at], sizeof d->name[at], "%s", name);
	d->file[at] = i;
	return SIM_FD + i;
}

static ssize_t
sim_read(int fd, void *buf, size_t n)
{
	struct sim_file *f = &sim.file[fd - SIM_FD];

	if (sim_call() < 0)
		return -1;
	if (sim.eintr > 0) {
		sim.eintr--;
		errno = EINTR;
		return -1;
	}
	n = n < f->len - f->at ? n : f->len - f->at;
	memcpy(buf, f->data + f->at, n);
	f->at += n;
	return (ssize_t)n;
}

static ssize_t
sim_write(int fd, const void *buf, size_t n)
{
	struct sim_file *f = &sim.file[fd - SIM_FD];

	if (sim_call() < 0)
		return -1;
	if (sim.eintr > 0) {
		sim.eintr--;
		errno = EINTR;
		return -1;
	}
	if (sim.write_max != 0 && n > sim.write_max)
		n = sim.write_max;
	if (f->at + n > SIM_ROOM) {
		errno = EFBIG;
		return -1;
	}
	memcpy(f->data + f->at, buf, n);
	f->at += n;
	f->len = f->at > f->len ? f->at : f->len;
	f->synced = false;
	return (ssize_t)n;
}

static int
sim_fsync(int fd)
{
	if (sim_call() < 0)
		return -1;
	if (fd == SIM_DIR) {
		sim.state[0] = *sim_now();
		sim.states = 1;
	} else {
		struct sim_file *f = &sim.file[fd - SIM_FD];

		memcpy(f->disk, f->data, sizeof f->disk);
		f->disk_len = f->len;
		f->synced = true;
	}
	return 0;
}

static int
sim_fstat(int fd, struct stat *st)
{
	if (sim_call() < 0)
		return -1;
	memset(st, 0, sizeof *st);
	st->st_mode = S_IFREG | 0600;
	st->st_size = (off_t)sim.file[fd - SIM_FD].len;
	return 0;
}

static int
sim_close(int fd)
{
	return sim_call();
}

static int
sim_unlinkat(int dir, const char *name, int flags)
{
	int at;

	if (sim_call() < 0)
		return -1;
	if ((at = sim_name(sim_now(), name)) < 0) {
		errno = ENOENT;
		return -1;
	}
	sim_change()->file[at] = -1;
	return 0;
}

static int
sim_renameat(int a, const char *from, int b, const char *to)
{
	int f = sim_name(sim_now(), from), t = sim_name(sim_now(), to);

	if (sim_call() < 0)
		return -1;
	if (f < 0) {
		errno = ENOENT;
		return -1;
	}
	struct sim_names *d = sim_change();
	if (t >= 0)
		d->file[t] = -1;
	snprintf(d->name[f], sizeof d->name[f], "%s", to);
	return 0;
}

#endif
