/*
 * Netlink by way of libmnl (see netlink.h).
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include "netlink.h"
#include "netns.h"

#define NETLINK_BUF    32768 /* the kernel fills at most this much of a dump into one read */
#define NETLINK_RCVBUF (1 << 20)
#define NETLINK_TRIES  8

struct netlink {
	int fd;
	uint32_t seq, port;
	char why[256];
	uint8_t tx[NETLINK_BUF];
	uint8_t rx[NETLINK_BUF];
};

struct netlink *
netlink_open(int netns, int protocol, uint32_t groups)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK, .nl_groups = groups};
	socklen_t len = sizeof sa;
	int one = 1, size = NETLINK_RCVBUF, e;
	struct netlink *nl;

	if ((nl = calloc(1, sizeof *nl)) == NULL)
		return NULL;
	nl->fd = netns_socket(netns, AF_NETLINK, SOCK_RAW | (groups ? SOCK_NONBLOCK : 0), protocol);
	if (nl->fd == -1)
		goto err0;
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
	if (groups) /* bursts of route changes must not overrun us more than they have to */
		(void)setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	if (bind(nl->fd, (struct sockaddr *)&sa, sizeof sa) == -1 ||
	    getsockname(nl->fd, (struct sockaddr *)&sa, &len) == -1)
		goto err1;
	nl->port = sa.nl_pid;
	return nl;
err1:
	e = errno;
	close(nl->fd);
	errno = e;
err0:
	free(nl);
	return NULL;
}

void
netlink_close(struct netlink *nl)
{
	if (!nl)
		return;
	close(nl->fd);
	free(nl);
}

int
netlink_fd(const struct netlink *nl)
{
	return nl->fd;
}

const char *
netlink_why(const struct netlink *nl)
{
	return nl->why;
}

struct nlmsghdr *
netlink_request(struct netlink *nl, uint16_t type, uint16_t flags, const void *head, size_t len)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->tx);
	void *h = mnl_nlmsg_put_extra_header(nlh, len);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	if (head)
		memcpy(h, head, len);
	else
		memset(h, 0, len);
	return nlh;
}

static int
send_request(struct netlink *nl, struct nlmsghdr *nlh)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	ssize_t n;

	nlh->nlmsg_seq = ++nl->seq;
	nlh->nlmsg_pid = 0;
	do
		n = sendto(nl->fd, nlh, nlh->nlmsg_len, 0, (struct sockaddr *)&sa, sizeof sa);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

/* One datagram of the kernel's into rx; other senders are not listened to. */
static ssize_t
receive(struct netlink *nl, int flags)
{
	struct sockaddr_nl sa;
	ssize_t n;

	for (;;) {
		struct iovec iov = {nl->rx, sizeof nl->rx};
		struct msghdr m = {
		    .msg_name = &sa, .msg_namelen = sizeof sa, .msg_iov = &iov, .msg_iovlen = 1};

		n = recvmsg(nl->fd, &m, flags);
		if (n == -1 && errno == EINTR)
			continue;
		if (n >= 0 && (m.msg_namelen != sizeof sa || sa.nl_pid != 0))
			continue;
		if (n >= 0 && (m.msg_flags & MSG_TRUNC)) {
			errno = ENOSPC;
			return -1;
		}
		return n;
	}
}

/* Keep what the kernel says beside errno (NETLINK_EXT_ACK): the first message of the datagram in rx. */
static void
keep_why(struct netlink *nl, ssize_t n)
{
	const struct nlmsghdr *nlh = (const void *)nl->rx;
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;
	size_t off = sizeof *err;

	if (!mnl_nlmsg_ok(nlh, (int)n) || nlh->nlmsg_type != NLMSG_ERROR ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof *err || err->error == 0)
		return;
	snprintf(nl->why, sizeof nl->why, "%s", strerror(-err->error));
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		off += mnl_nlmsg_get_payload_len(nlh) > err->msg.nlmsg_len
			   ? MNL_ALIGN(err->msg.nlmsg_len) - sizeof err->msg
			   : 0;
	mnl_attr_for_each(a, nlh, off)
	{
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			snprintf(nl->why, sizeof nl->why, "%s (%s)", mnl_attr_get_str(a),
			    strerror(-err->error));
	}
}

/* Answers to the last request, until it is done. */
static int
answers(struct netlink *nl, mnl_cb_t cb, void *ctx)
{
	ssize_t n;
	int r, intr = 0;

	do {
		if ((n = receive(nl, 0)) == -1)
			return -1;
		r = mnl_cb_run(nl->rx, (size_t)n, nl->seq, nl->port, cb, ctx);
		if (r == -1 &&
		    errno ==
			EINTR) { /* disturbed: read it to its end, or its rest answers the next request */
			const struct nlmsghdr *nlh = (const void *)nl->rx;
			int left = (int)n;

			intr = 1;
			for (r = 1; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
				if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
					r = 0;
		} else if (r == -1) {
			int e = errno;

			if (e == ESRCH || e == EPROTO) { /* an answer to an older request */
				r = 1;
				continue;
			}
			keep_why(nl, n);
			errno = e;
			return -1;
		}
	} while (r > 0);
	if (intr) {
		errno = EINTR;
		return -1;
	}
	return 0;
}

int
netlink_talk(struct netlink *nl, struct nlmsghdr *nlh)
{
	int r;

	nl->why[0] = 0;
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	r = send_request(nl, nlh);
	if (r == 0)
		r = answers(nl, NULL, NULL);
	if (r == -1 && !nl->why[0])
		snprintf(nl->why, sizeof nl->why, "%s", strerror(errno));
	return r;
}

int
netlink_dump(struct netlink *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *ctx)
{
	nl->why[0] = 0;
	/* A single answer has no end of its own: ask for an acknowledgement behind it. */
	if ((nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		nlh->nlmsg_flags |= NLM_F_ACK;
	if (send_request(nl, nlh) == -1)
		return -1;
	return answers(nl, cb, ctx);
}

int
netlink_batch(struct netlink *nl, const void *buf, size_t len)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	int err = 0;
	ssize_t n;

	nl->why[0] = 0;
	do
		n = sendto(nl->fd, buf, len, 0, (struct sockaddr *)&sa, sizeof sa);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	/* The kernel has answered by the time sendto(2) returns; what it is content with it does not mention. */
	while ((n = receive(nl, MSG_DONTWAIT)) != -1) {
		const struct nlmsghdr *nlh = (const void *)nl->rx;
		int left = (int)n;

		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR ||
			    mnl_nlmsg_get_payload_len(nlh) < sizeof *e || e->error == 0 || err)
				continue;
			err = -e->error;
			keep_why(nl, n);
		}
	}
	if (!err)
		return 0;
	if (!nl->why[0])
		snprintf(nl->why, sizeof nl->why, "%s", strerror(err));
	errno = err;
	return -1;
}

static int
collect_cb(const struct nlmsghdr *nlh, void *ctx)
{
	return netlink_list_add(ctx, nlh) == -1 ? MNL_CB_ERROR : MNL_CB_OK;
}

int
netlink_collect(struct netlink *nl, struct nlmsghdr *nlh, struct netlink_list *list)
{
	int r = -1;

	for (int i = 0; i < NETLINK_TRIES; i++) {
		list->len = 0;
		if ((r = netlink_dump(nl, nlh, collect_cb, list)) == 0 || errno != EINTR)
			break;
	}
	return r;
}

int
netlink_events(struct netlink *nl, mnl_cb_t cb, void *ctx)
{
	ssize_t n;
	int lost = 0;

	for (;;) {
		if ((n = receive(nl, MSG_DONTWAIT)) == -1) {
			if (errno == EAGAIN)
				return lost;
			if (errno != ENOBUFS && errno != ENOSPC)
				return -1;
			lost = 1;
			continue;
		}
		if (mnl_cb_run(nl->rx, (size_t)n, 0, 0, cb, ctx) == -1)
			lost = 1;
	}
}

int
netlink_list_add(struct netlink_list *l, const struct nlmsghdr *nlh)
{
	size_t need = NLMSG_ALIGN(nlh->nlmsg_len), room = l->room;
	uint8_t *d;

	while (room < l->len + need)
		room = room ? room * 2 : 1024;
	if (room != l->room) {
		if ((d = realloc(l->data, room)) == NULL)
			return -1;
		l->data = d;
		l->room = room;
	}
	memset(l->data + l->len, 0, need);
	memcpy(l->data + l->len, nlh, nlh->nlmsg_len);
	l->len += need;
	return 0;
}

void
netlink_list_free(struct netlink_list *l)
{
	free(l->data);
	*l = (struct netlink_list){0};
}

struct nlmsghdr *
netlink_list_next(const struct netlink_list *l, const struct nlmsghdr *m)
{
	size_t off = m ? (size_t)((const uint8_t *)m - l->data) + NLMSG_ALIGN(m->nlmsg_len) : 0;

	return off < l->len ? (struct nlmsghdr *)(void *)(l->data + off) : NULL;
}
