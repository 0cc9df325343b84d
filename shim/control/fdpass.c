#include "fdpass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

ssize_t
fdpass_send(int fd, const void *octets, size_t len, int pass, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)octets, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	union {
		struct cmsghdr align;
		char octets[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct cmsghdr *h;
	ssize_t n;

	if (pass >= 0) {
		m.msg_control = control.octets;
		m.msg_controllen = sizeof control.octets;
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &pass, sizeof(int));
	}
	while ((n = sendmsg(fd, &m, flags | MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return n;
}
