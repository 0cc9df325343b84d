/*
 * Named network namespaces (see netns.h, and ip-netns(8), whose files and mounts these are).
 */
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "log.h"
#include "netns.h"

#define NETNS_DIR "/run/netns"

/* What runs in the child of netns_do(): 0, or an errno. */
typedef int netns_job(const char *path);

/* Is ${name} one path component, so that nothing outside of NETNS_DIR is ever touched? */
static bool
name_ok(const char *name)
{
	return name && *name && strlen(name) < 128 && !strchr(name, '/') &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A network namespace, and not the bare file that a crash between creat(2) and mount(2) leaves behind. */
static bool
is_netns(int fd)
{
	struct statfs s;

	if (fstatfs(fd, &s) == -1 || s.f_type != NSFS_MAGIC)
		return false;
	return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

/* The parent of ${pid}, or 0. */
static pid_t
parent_of(pid_t pid)
{
	char path[64], line[512], *p;
	int ppid = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	/* "pid (comm) state ppid ...", where comm may hold anything */
	if (fgets(line, sizeof line, f) && (p = strrchr(line, ')')) != NULL &&
	    sscanf(p + 1, " %*c %d", &ppid) != 1)
		ppid = 0;
	fclose(f);
	return ppid;
}

/*
 * Opens ${what} below /proc/PID of the process whose mounts outlive ours: pid 1; where pid 1 may not be looked at, the
 * oldest of our ancestors that may.  -1: none has it.
 */
static int
open_elder(const char *what, int flags)
{
	char path[PATH_MAX];
	pid_t chain[32];
	int n = 0, fd = -1;

	for (pid_t p = getpid(); p > 1 && n < 31; p = parent_of(p))
		chain[n++] = p;
	chain[n++] = 1;
	while (fd == -1 && n-- > 1) { /* not ourselves */
		if ((size_t)snprintf(path, sizeof path, "/proc/%d/%s", (int)chain[n], what) <
		    sizeof path)
			fd = open(path, flags | O_CLOEXEC);
	}
	return fd;
}

int
netns_open(const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (!name_ok(name)) {
		errno = EINVAL;
		return -1;
	}
	/* The elder's view first: a name that only our own mount namespace has would not outlive us. */
	snprintf(path, sizeof path, "root" NETNS_DIR "/%s", name);
	fd = open_elder(path, O_RDONLY);
	if (fd != -1 && is_netns(fd))
		return fd;
	if (fd != -1)
		close(fd);
	if ((fd = open(path + strlen("root"), O_RDONLY | O_CLOEXEC)) != -1 && is_netns(fd))
		return fd;
	if (fd != -1)
		close(fd);
	errno = ENOENT;
	return -1;
}

int
netns_self(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/*
 * The child works on the mounts of the elder, or, where that is not allowed (containers), on those of ${own}, our own (-1: no
 * way back needed).
 */
static int
enter_mounts(int own)
{
	int fd, r = -1;

	/* setns(2): not while another thread shares our fs state, as a sanitizer's own thread does */
	if (unshare(CLONE_FS) == -1)
		return -1;
	if ((fd = open_elder("ns/mnt", O_RDONLY)) != -1) {
		r = setns(fd, CLONE_NEWNS);
		close(fd);
	}
	if (r == -1 && own != -1)
		return setns(own, CLONE_NEWNS);
	return 0;
}

/*
 * Run ${job} in a child, as a thread of ours must neither change its mount namespace (all threads share fs state) nor lose its
 * network namespace when a step in between fails.  0, or -1 and the child's errno.
 */
static int
netns_do(netns_job *job, const char *name)
{
	char path[PATH_MAX];
	int st, p[2], err = 0;
	pid_t pid;

	snprintf(path, sizeof path, NETNS_DIR "/%s", name);
	if (pipe2(p, O_CLOEXEC) == -1)
		return -1;
	if ((pid = fork()) == -1) {
		err = errno;
		close(p[0]);
		close(p[1]);
		errno = err;
		return -1;
	}
	if (pid == 0) {
		err = job(path);
		(void)!write(p[1], &err, sizeof err);
		_exit(err ? 1 : 0);
	}
	close(p[1]);
	if (read(p[0], &err, sizeof err) != (ssize_t)sizeof err)
		err = ECHILD;
	close(p[0]);
	while (waitpid(pid, &st, 0) == -1 && errno == EINTR)
		continue;
	errno = err;
	return err ? -1 : 0;
}

static int
put(const char *path, const char *value)
{
	ssize_t n;
	int fd, e;

	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	n = write(fd, value, strlen(value));
	e = errno;
	close(fd);
	errno = e;
	return n == -1 ? -1 : 0;
}

/*
 * No IPv6 in the namespace we are in: "all" for what is there, "default" for what comes.  A container may see /proc/sys
 * read-only; then through a /proc of our own (the caller is a child that has its mounts to itself).
 */
static int
no_ipv6(void)
{
	static const char *const file[] = {"/proc/sys/net/ipv6/conf/all/disable_ipv6",
	    "/proc/sys/net/ipv6/conf/default/disable_ipv6"};
	bool own = false;

	for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
		if (put(file[i], "1") == 0 || errno == ENOENT) /* ENOENT: a kernel without IPv6 */
			continue;
		if (own || unshare(CLONE_NEWNS) == -1 ||
		    mount("", "/", "none", MS_SLAVE | MS_REC, NULL) == -1 ||
		    mount("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) == -1)
			return errno;
		own = true;
		i--;
	}
	return 0;
}

/* NETNS_DIR as ip-netns(8) makes it: a shared mount of its own, so that names reach every mount namespace. */
static int
make_dir(void)
{
	int lock;

	if (mkdir(NETNS_DIR, 0755) == -1 && errno != EEXIST)
		return errno;
	/* Two makers at a time would stack two mounts; iproute2 takes the same lock.  It goes with this process. */
	if ((lock = open(NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return errno;
	(void)flock(lock, LOCK_EX);
	if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno == EINVAL && mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) == 0 &&
	    mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	log_warn("netns: %s is not shared between mount namespaces", NETNS_DIR);
	return 0;
}

/* Child of netns_create().  IPv6 goes off before the namespace has a name, so that nobody finds it half made. */
static int
create_job(const char *path)
{
	int fd, own, r;

	if ((own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)) == -1 ||
	    unshare(CLONE_NEWNET) == -1)
		return errno;
	if ((r = no_ipv6()) != 0)
		return r;
	if (enter_mounts(own) == -1)
		return errno;
	if ((r = make_dir()) != 0)
		return r;
	if ((fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0)) == -1)
		return errno;
	close(fd);
	if (mount("/proc/self/ns/net", path, "none", MS_BIND, NULL) == -1) {
		r = errno;
		unlink(path);
	}
	return r;
}

/* Child of netns_create() for a namespace that is there: hold it to the same. */
static int
tighten_job(const char *path)
{
	int fd;

	if ((fd = netns_open(strrchr(path, '/') + 1)) == -1 || setns(fd, CLONE_NEWNET) == -1)
		return errno;
	close(fd);
	return no_ipv6();
}

int
netns_create(const char *name)
{
	int fd;

	if (!name_ok(name)) {
		errno = EINVAL;
		return -1;
	}
	if ((fd = netns_open(name)) != -1) {
		int me = netns_self();
		bool own = me != -1 && netns_same(fd, me);

		if (me != -1)
			close(me);
		if (own) { /* must never be the host's own: its IPv6 would go off */
			close(fd);
			errno = EEXIST;
			return -1;
		}
		if (netns_do(tighten_job, name) == 0)
			return fd;
		close(fd);
		return -1;
	}
	if (netns_do(create_job, name) == -1)
		return -1;
	return netns_open(name);
}

static int
remove_job(const char *path)
{
	(void)enter_mounts(-1);
	if (umount2(path, MNT_DETACH) == -1 && errno != EINVAL && errno != ENOENT)
		return errno;
	if (unlink(path) == -1)
		return errno;
	return 0;
}

int
netns_remove(const char *name)
{
	if (!name_ok(name)) {
		errno = EINVAL;
		return -1;
	}
	return netns_do(remove_job, name);
}

int
netns_enter(int fd)
{
	return setns(fd, CLONE_NEWNET);
}

bool
netns_same(int a, int b)
{
	struct stat sa, sb;

	if (fstat(a, &sa) == -1 || fstat(b, &sb) == -1)
		return false;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int
netns_socket(int fd, int domain, int type, int protocol)
{
	int self, s, e;

	if (fd == -1)
		return socket(domain, type | SOCK_CLOEXEC, protocol);
	if ((self = netns_self()) == -1)
		return -1;
	if (netns_same(fd, self)) {
		close(self);
		return socket(domain, type | SOCK_CLOEXEC, protocol);
	}
	if (netns_enter(fd) == -1) {
		e = errno;
		close(self);
		errno = e;
		return -1;
	}
	s = socket(domain, type | SOCK_CLOEXEC, protocol);
	e = errno;
	/* In the wrong namespace every later call would do the right thing to the wrong stack. */
	if (netns_enter(self) == -1)
		fatal("netns: cannot return to the host's network namespace");
	close(self);
	errno = e;
	return s;
}
