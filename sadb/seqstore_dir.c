/*
 * Records as files of a directory.  A file is replaced so that after a crash at any moment the old record or the new one
 * is there, whole; and when replace() said 0, it is the new one: the octets are on the disk before the name points to
 * them (fsync, then rename), and the name is before we return (fsync of the directory).
 */
#include "seqstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ROOM (SEQSTORE_FP_LEN + 8)

static int
dir_fd(void *ctx)
{
	return (int)(intptr_t)ctx;
}

static int
dir_read(void *ctx, const char *name, uint8_t *buf, size_t *len)
{
	size_t room = *len, got = 0;
	struct stat st;
	ssize_t n = 0;
	int fd, e;

	/* NONBLOCK: a FIFO planted there must not stop us */
	if ((fd = openat(dir_fd(ctx), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		goto err;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		goto err;
	}
	while (got < room && (n = read(fd, buf + got, room - got)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto err;
		got += (size_t)n;
	}
	close(fd);
	*len = got;
	return 0;
err:
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

static int
write_all(int fd, const uint8_t *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0) {
			errno = EIO;
			return -1;
		}
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
dir_replace(void *ctx, const char *name, const uint8_t *buf, size_t len)
{
	char temp[NAME_ROOM];
	int dir = dir_fd(ctx), fd, e, n;

	if ((n = snprintf(temp, sizeof temp, "%s.new", name)) < 0 || (size_t)n >= sizeof temp) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* what a crash left behind */
	if (unlinkat(dir, temp, 0) < 0 && errno != ENOENT)
		return -1;
	if ((fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) <
	    0)
		return -1;
	if (write_all(fd, buf, len) < 0 || fsync(fd) < 0) {
		e = errno;
		close(fd);
		errno = e;
		goto err;
	}
	if (close(fd) < 0 || renameat(dir, temp, dir, name) < 0)
		goto err;
	/* A failure here leaves the new record, which only gives numbers away; but it may not survive, so it does not count. */
	return fsync(dir);
err:
	e = errno;
	unlinkat(dir, temp, 0);
	errno = e;
	return -1;
}

static int
dir_remove(void *ctx, const char *name)
{
	return unlinkat(dir_fd(ctx), name, 0) < 0 ? -1 : fsync(dir_fd(ctx));
}

void
seqstore_dir_io(struct seqstore_io *io, int dirfd)
{
	*io = (struct seqstore_io){.ctx = (void *)(intptr_t)dirfd,
	    .read = dir_read,
	    .replace = dir_replace,
	    .remove = dir_remove};
}
