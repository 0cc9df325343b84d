#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>
#include "log.h"
#include "nssock.h"

/* Goes to ${netns}; a descriptor of where the thread was, or -1 and errno. */
static int
enter(int netns)
{
	int back, saved;

	if ((back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	if (setns(netns, CLONE_NEWNET) == -1) {
		saved = errno;
		close(back);
		errno = saved;
		return -1;
	}
	return back;
}

/* Comes back; errno stays. */
static void
leave(int back)
{
	int saved = errno;

	if (setns(back, CLONE_NEWNET) == -1)
		fatal("cannot return to the network namespace");
	close(back);
	errno = saved;
}

int
nssock_socket(int netns, int domain, int type, int protocol)
{
	int back, fd;

	if (netns == -1)
		return socket(domain, type, protocol);
	if ((back = enter(netns)) == -1)
		return -1;
	fd = socket(domain, type, protocol);
	leave(back);
	return fd;
}

int
nssock_open(int netns, const char *path, int flags)
{
	int back, fd;

	if (netns == -1)
		return open(path, flags);
	if ((back = enter(netns)) == -1)
		return -1;
	fd = open(path, flags);
	leave(back);
	return fd;
}
