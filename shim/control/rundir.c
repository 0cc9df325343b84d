#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "rundir.h"

#define HOLDER_STEPS 250 /* 5 s for a dead bitsd's other process: giving a NIC back may take two */

struct rundir {
	int dirfd, lockfd;
	char dir[160], nic[32];
	char sock[sizeof((struct sockaddr_un *)0)->sun_path];
	char pid[64]; /* name of the pid file, "" before it is written */
	pid_t serves; /* whose it is */
};

/* The parents of ${path}, each 0755 where it is missing. */
static int
make_parents(const char *path)
{
	char part[4096];

	if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

int
rundir_dir(const char *path, char *why, size_t cap)
{
	struct stat st;
	int fd;

	if (make_parents(path) < 0 || (mkdir(path, 0700) < 0 && errno != EEXIST)) {
		snprintf(why, cap, "cannot make directory %s: %s", path, strerror(errno));
		return -1;
	}
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
		snprintf(why, cap, "cannot open directory %s: %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
		snprintf(why, cap, "directory %s belongs to uid %u, not to us", path,
		    (unsigned)st.st_uid);
		goto err;
	}
	/* to pass through it is what --group may have given another bitsd's clients; what lies in it is nobody's */
	if ((st.st_mode & 067) && fchmod(fd, 0700) < 0) {
		snprintf(why, cap, "directory %s is open to others: %s", path, strerror(errno));
		goto err;
	}
	return fd;
err:
	close(fd);
	return -1;
}

/* ${fd}'s whole content becomes ${pid}. */
static int
write_pid(int fd, pid_t pid)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%ld\n", (long)pid);

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return -1;
	return 0;
}

/* Who holds the lock: what it wrote into it. */
static long
holder(int fd)
{
	char text[24];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/* The lock, which a process of a bitsd that is dead may hold until it has finished what it was at. */
static int
await_lock(int fd)
{
	struct timespec step = {.tv_nsec = 20000000};

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		long pid = holder(fd);

		if (errno != EWOULDBLOCK || i == HOLDER_STEPS ||
		    (pid > 0 && (kill((pid_t)pid, 0) == 0 || errno != ESRCH))) {
			errno = EWOULDBLOCK;
			return -1;
		}
		nanosleep(&step, NULL);
	}
	return 0;
}

static int
take_lock(struct rundir *r, char *why, size_t cap)
{
	char name[64];

	snprintf(name, sizeof name, "%s.lock", r->nic);
	r->lockfd = openat(r->dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r->lockfd < 0) {
		snprintf(why, cap, "cannot open %s/%s: %s", r->dir, name, strerror(errno));
		return -1;
	}
	if (await_lock(r->lockfd) < 0) {
		if (errno == EWOULDBLOCK)
			snprintf(
			    why, cap, "%s is taken by bitsd (pid %ld)", r->nic, holder(r->lockfd));
		else
			snprintf(why, cap, "cannot lock %s/%s: %s", r->dir, name, strerror(errno));
		close(r->lockfd);
		return -1;
	}
	(void)write_pid(r->lockfd, r->serves); /* for a message only */
	return 0;
}

struct rundir *
rundir_open(const char *dir, const char *nic, pid_t serves, char *why, size_t cap)
{
	struct rundir *r = calloc(1, sizeof *r);

	if (!r) {
		snprintf(why, cap, "%s", strerror(errno));
		goto err0;
	}
	r->serves = serves;
	if ((size_t)snprintf(r->dir, sizeof r->dir, "%s", dir) >= sizeof r->dir ||
	    (size_t)snprintf(r->nic, sizeof r->nic, "%s", nic) >= sizeof r->nic ||
	    strchr(nic, '/')) {
		snprintf(why, cap, "run directory or name of the NIC is too long");
		goto err1;
	}
	if ((r->dirfd = rundir_dir(dir, why, cap)) < 0)
		goto err1;
	if (take_lock(r, why, cap) < 0)
		goto err2;
	return r;
err2:
	close(r->dirfd);
err1:
	free(r);
err0:
	return NULL;
}

int
rundir_pid(struct rundir *r)
{
	char name[64];
	int fd, rc;

	snprintf(name, sizeof name, "%s.pid", r->nic);
	fd = openat(r->dirfd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	rc = write_pid(fd, r->serves);
	close(fd);
	if (rc == 0)
		memcpy(r->pid, name, sizeof r->pid);
	return rc;
}

int
rundir_lock(const struct rundir *r)
{
	return r->lockfd;
}

/* Does somebody listen at ${sun}?  (With -S it may be the bitsd of another NIC, whose lock is not ours.) */
static bool
served(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes;

	if (fd < 0)
		return true;
	/* EAGAIN: its queue is full; only a refusal says that nobody is there */
	yes = connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno != ECONNREFUSED;
	close(fd);
	return yes;
}

/* May we bind at ${sun}?  A socket of ours that nobody serves is taken away. */
static int
clear_path(const struct sockaddr_un *sun, char *why, size_t cap)
{
	const char *path = sun->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		snprintf(why, cap, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid()) {
		snprintf(
		    why, cap, "%s is in the way: it is not a socket of ours; move it away", path);
		return -1;
	}
	if (served(sun)) {
		snprintf(why, cap, "%s is in the way: somebody listens there", path);
		return -1;
	}
	if (unlink(path) < 0) {
		snprintf(why, cap, "%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

int
rundir_listen(struct rundir *r, const char *path, char *why, size_t cap)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, rc, n;

	if (path)
		n = snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	else
		n = snprintf(sun.sun_path, sizeof sun.sun_path, "%s/%s.sock", r->dir, r->nic);
	if ((size_t)n >= sizeof sun.sun_path) {
		snprintf(why, cap, "the path of the control socket is longer than %zu octets",
		    sizeof sun.sun_path - 1);
		return -1;
	}
	if (clear_path(&sun, why, cap) < 0)
		return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0) {
		snprintf(why, cap, "control socket: %s", strerror(errno));
		return -1;
	}
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof sun);
	umask(mask);
	if (rc < 0 || listen(fd, 64) < 0) {
		snprintf(why, cap, "control socket %s: %s", sun.sun_path, strerror(errno));
		close(fd);
		return -1;
	}
	memcpy(r->sock, sun.sun_path, sizeof r->sock);
	return fd;
}

bool
rundir_heard(const struct rundir *r)
{
	struct stat st;

	return lstat(r->sock, &st) == 0 || errno != ENOENT;
}

int
rundir_share(struct rundir *r, gid_t group, char *why, size_t cap)
{
	struct stat dir, sock;

	/* A socket that is made again, when giving things away is a privilege given up, gets the group from its directory. */
	if (fstat(r->dirfd, &dir) < 0 ||
	    (dir.st_gid != group && fchown(r->dirfd, (uid_t)-1, group) < 0) ||
	    ((dir.st_mode & 07777) != 02710 && fchmod(r->dirfd, 02710) < 0) ||
	    lstat(r->sock, &sock) < 0 ||
	    (sock.st_gid != group && chown(r->sock, (uid_t)-1, group) < 0) ||
	    chmod(r->sock, 0660) < 0) {
		snprintf(why, cap, "control socket %s cannot be given to group %lu: %s", r->sock,
		    (unsigned long)group, strerror(errno));
		return -1;
	}
	return 0;
}

void
rundir_close(struct rundir *r)
{
	if (!r)
		return;
	if (r->sock[0])
		unlink(r->sock);
	if (r->pid[0])
		unlinkat(r->dirfd, r->pid, 0);
	close(r->lockfd); /* the lock's file stays: removing it would let two hold "the" lock */
	close(r->dirfd);
	free(r);
}

int
rundir_empty(const char *dir, char *why, size_t cap)
{
	char path[200];
	struct stat st;
	DIR *d = NULL;
	int fd, n = 0;

	snprintf(path, sizeof path, "%s/empty", dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		snprintf(why, cap, "cannot make directory %s: %s", path, strerror(errno));
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
	    ((st.st_mode & 07777) != 0555 && fchmod(fd, 0555) < 0) ||
	    (d = fdopendir(dup(fd))) == NULL) {
		snprintf(why, cap, "directory %s is not ours alone", path);
		goto err;
	}
	while (n <= 2 && readdir(d) != NULL)
		n++;
	closedir(d);
	if (n > 2) {
		snprintf(why, cap, "directory %s is not empty: remove what is in it", path);
		goto err;
	}
	return fd;
err:
	if (fd >= 0)
		close(fd);
	return -1;
}
