/*
 * What the two processes of bitsd say to each other: requests and replies of one size each over a SOCK_SEQPACKET pair, a descriptor along
 * with a reply where one is asked for.  No path, no name and no length crosses to the side that has the privileges.
 *
 * The other side of a request may be in an intruder's hands, so warden_msg_request() believes nothing; a reply comes from root.
 */
#ifndef BITS_WARDEN_MSG_H
#define BITS_WARDEN_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "edge.h"
#include "nic.h"

enum warden_op {
	WARDEN_CHECK = 1, /* can the NIC be taken? */
	WARDEN_LOCK,	  /* the run directory, and in it the NIC; + the lock, to be held */
	WARDEN_LISTEN, /* + the control socket; a new one where somebody removed it (rc 1: it is still there) */
	WARDEN_PID,	   /* the pid file */
	WARDEN_BACKGROUND, /* stdio and log as of a daemon's */
	WARDEN_TAKE, /* the NIC; arg 1: leave it closed when that fails (struct nic_opts' hold) */
	WARDEN_GIVE_BACK,
	WARDEN_FORGET,
	WARDEN_OPEN,	/* + a descriptor for an edge; arg: enum edge_fd */
	WARDEN_RESOLVE, /* next hop of dst */
	WARDEN_READ,	/* + a pipe from which the operator's file comes, see reread.h */
	WARDEN_OPS
};

struct warden_request {
	uint32_t op, arg;
	struct ipaddr dst; /* af 0: none */
};

/* Answers, and what is told without being asked (seen is not 0 then). */
struct warden_reply {
	int32_t rc, error; /* -1 and errno, with a sentence in why or not */
	uint32_t take;	   /* how often the NIC was taken: an event of an earlier one is late */
	uint32_t seen;	   /* bit per enum nic_event */
	struct nic_info info;
	uint8_t mac[6];
	char why[1024];
};

/** warden_msg_request(buf, len, r): ${buf} as a request.  false: it is none. */
bool warden_msg_request(const void *buf, size_t len, struct warden_request *r);

/** warden_msg_send(fd, msg, len, pass, flags): one message, with the descriptor ${pass} (-1: none).  0, or -1 and errno. */
int warden_msg_send(int fd, const void *msg, size_t len, int pass, int flags);

/** warden_msg_recv(fd, msg, len, pass, flags): one message of at most ${len} octets; its length, 0: the other side is gone, or -1 and
 * errno.  *${pass}: the descriptor that came along, -1: none (EMFILE where there was no room for it, and the message is lost);
 * NULL: none is taken. */
ssize_t warden_msg_recv(int fd, void *msg, size_t len, int *pass, int flags);

#endif
