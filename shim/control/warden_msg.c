#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fdpass.h"
#include "warden_msg.h"

/* Each op's largest argument. */
static const uint32_t arg_max[WARDEN_OPS] = {
    [WARDEN_TAKE] = 1,
    [WARDEN_OPEN] = EDGE_FD_MAX - 1,
};

bool
warden_msg_request(const void *buf, size_t len, struct warden_request *r)
{
	if (len != sizeof *r)
		return false;
	memcpy(r, buf, sizeof *r);
	if (r->op == 0 || r->op >= WARDEN_OPS || r->arg > arg_max[r->op])
		return false;
	if (r->op != WARDEN_RESOLVE)
		return r->dst.af == 0;
	if (r->dst.af != 4 && r->dst.af != 6)
		return false;
	r->dst =
	    ipaddr_from(r->dst.af, r->dst.b); /* nothing behind it: addresses are compared whole */
	return true;
}

int
warden_msg_send(int fd, const void *msg, size_t len, int pass, int flags)
{
	return fdpass_send(fd, msg, len, pass, flags) < 0 ? -1 : 0;
}

ssize_t
warden_msg_recv(int fd, void *msg, size_t len, int *pass, int flags)
{
	struct iovec iov = {.iov_base = msg, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	union {
		struct cmsghdr align;
		char octets[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct cmsghdr *h;
	ssize_t n;

	/* without room for descriptors the kernel closes those that come */
	if (pass) {
		*pass = -1;
		m.msg_control = control.octets;
		m.msg_controllen = sizeof control.octets;
	}
	while ((n = recvmsg(fd, &m, flags | MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	if (n <= 0 || !pass)
		return n;
	for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
		    h->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(pass, CMSG_DATA(h), sizeof(int));
	if (*pass < 0 && (m.msg_flags & MSG_CTRUNC)) {
		errno = EMFILE;
		return -1;
	}
	return n;
}
