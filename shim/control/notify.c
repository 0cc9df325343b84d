#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "notify.h"

static int manager = -1; /* opened by notify_open() */

/* A socket that is connected to the service manager; -1: there is none (errno 0), or it cannot be reached. */
static int
reach(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len;
	int fd, saved;

	errno = 0;
	if (!path || (path[0] != '/' && path[0] != '@'))
		return -1;
	len = strlen(path);
	if (len >= sizeof sun.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* abstract name */
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void
notify_open(void)
{
	if (manager < 0)
		manager = reach();
}

int
notify(const char *state)
{
	int fd = manager >= 0 ? manager : reach(), saved;
	ssize_t n;

	if (fd < 0)
		return errno ? -1 : 0;
	n = send(fd, state, strlen(state), MSG_NOSIGNAL);
	saved = errno;
	if (fd != manager)
		close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}
