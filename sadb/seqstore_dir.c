/*
 * The store's file system: one file per record below a directory.  A record is replaced by a new file that is whole on disk before it
 * takes the old one's name, and the name is on disk before the call returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "seqstore.h"

static int
dir_of(void *ctx)
{
	return (int)(intptr_t)ctx;
}

static int
dir_read(void *ctx, const char *name, uint8_t *buf, size_t *len)
{
	int fd = openat(dir_of(ctx), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), keep;
	size_t have = 0;
	ssize_t n = 0;
	uint8_t more;

	if (fd < 0)
		return -1;
	while (have < *len && (n = read(fd, buf + have, *len - have)) > 0)
		have += (size_t)n;
	if (n >= 0 && have == *len && read(fd, &more, 1) == 1) {
		errno = EFBIG;
		n = -1;
	}
	keep = errno;
	close(fd);
	errno = keep;
	*len = have;
	return n < 0 ? -1 : 0;
}

static int
write_all(int fd, const uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
dir_replace(void *ctx, const char *name, const uint8_t *buf, size_t len)
{
	int dir = dir_of(ctx), fd, keep;
	char fresh[64];

	if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", name) >= sizeof fresh) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (write_all(fd, buf, len) < 0 || fsync(fd) < 0)
		goto err;
	if (close(fd) < 0) {
		fd = -1;
		goto err;
	}
	fd = -1;
	if (renameat(dir, fresh, dir, name) < 0 || fsync(dir) < 0)
		goto err;
	return 0;
err:
	keep = errno;
	if (fd >= 0)
		close(fd);
	unlinkat(dir, fresh, 0);
	errno = keep;
	return -1;
}

static int
dir_remove(void *ctx, const char *name)
{
	int dir = dir_of(ctx);

	return unlinkat(dir, name, 0) < 0 || fsync(dir) < 0 ? -1 : 0;
}

void
seqstore_dir_io(struct seqstore_io *io, int dirfd)
{
	*io = (struct seqstore_io){.ctx = (void *)(intptr_t)dirfd,
	    .read = dir_read,
	    .replace = dir_replace,
	    .remove = dir_remove};
}
