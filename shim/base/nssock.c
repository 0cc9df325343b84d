#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>
#include "log.h"
#include "nssock.h"

int
nssock_enter(int netns)
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

void
nssock_leave(int back)
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
	if ((back = nssock_enter(netns)) == -1)
		return -1;
	fd = socket(domain, type, protocol);
	nssock_leave(back);
	return fd;
}

int
nssock_open(int netns, const char *path, int flags)
{
	int back, fd;

	if (netns == -1)
		return open(path, flags);
	if ((back = nssock_enter(netns)) == -1)
		return -1;
	fd = open(path, flags);
	nssock_leave(back);
	return fd;
}
