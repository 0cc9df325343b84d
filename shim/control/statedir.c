#include "statedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rundir.h"

/* Of a change of owners: a namespace of users may have no number for this one; then root of that namespace goes on (privs.c). */
static int
own(int rc)
{
	return rc < 0 && errno == EINVAL ? 0 : rc;
}

/* ${name} in ${dir} becomes ${u}'s.  Not through a link of either kind: what it leads to need not be a record. */
static int
give(int dir, const char *name, const struct lowuser *u)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1; /* another bitsd has just replaced it */
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return 0;
	if (st.st_uid == u->uid && st.st_gid == u->gid)
		return 0;
	return own(fchownat(dir, name, u->uid, u->gid, AT_SYMLINK_NOFOLLOW));
}

/* ${dir}, and every file in it. */
static int
give_all(int dir, const struct lowuser *u)
{
	struct stat st;
	struct dirent *e;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (rc == 0 && (e = readdir(d)) != NULL)
		rc = give(dir, e->d_name, u);
	closedir(d);
	if (rc < 0 || fstat(dir, &st) < 0)
		return -1;
	if (st.st_uid == u->uid && st.st_gid == u->gid) /* the disk may be read-only by now */
		return 0;
	return own(fchown(dir, u->uid, u->gid));
}

int
statedir_seq(
    const char *dir, const struct lowuser *u, char *path, size_t pathcap, char *why, size_t cap)
{
	struct stat st;
	int top, fd;

	if ((size_t)snprintf(path, pathcap, "%s/seq", dir) >= pathcap) {
		snprintf(why, cap, "the state directory's name is too long");
		return -1;
	}
	if ((top = rundir_dir(dir, why, cap)) < 0)
		return -1;
	fd = -1;
	if ((mkdirat(top, "seq", 0700) < 0 && errno != EEXIST) ||
	    (fd = openat(top, "seq", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0 ||
	    fstat(fd, &st) < 0 || ((st.st_mode & 077) && fchmod(fd, 0700) < 0) ||
	    give_all(fd, u) < 0) {
		snprintf(
		    why, cap, "%s cannot be given to user %s: %s", path, u->name, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	close(top);
	return fd;
}

int
statedir_give(const char *dir, const char *name, const struct lowuser *u)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc, e;

	if (fd < 0)
		return -1;
	rc = give(fd, name, u);
	e = errno;
	close(fd);
	errno = e;
	return rc;
}
