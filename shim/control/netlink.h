/*
 * Small helpers over libmnl: a netlink socket in a namespace, a request with its answer, and lists of messages kept for later.
 *
 * Control thread; requests block until the kernel has answered.
 */
#ifndef BITS_NETLINK_H
#define BITS_NETLINK_H

#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

/* Opaque types. */
struct netlink;

/* Messages one after the other, each padded to NLMSG_ALIGNTO.  All zero: an empty list. */
struct netlink_list {
	uint8_t *data;
	size_t len, room;
};

/**
 * netlink_open(netns, protocol, groups):
 * A socket of ${protocol} (NETLINK_ROUTE, ...) in namespace ${netns} (-1: the caller's) that hears ${groups}, a bit mask of
 * the first 32 (1u << (RTNLGRP_x - 1)).  With groups it does not block.  NULL and errno.
 */
struct netlink *netlink_open(int netns, int protocol, uint32_t groups);
void netlink_close(struct netlink *nl);
int netlink_fd(const struct netlink *nl);

/**
 * netlink_request(nl, type, flags, head, len):
 * Begins a request in ${nl}'s own buffer (the next call overwrites it), with ${len} octets of the protocol's header
 * copied from ${head} (NULL: zeros).  NLM_F_REQUEST is added.  Attributes are put behind it by mnl_attr_put*().
 */
struct nlmsghdr *netlink_request(struct netlink *nl, uint16_t type, uint16_t flags, const void *head, size_t len);

/** netlink_talk(nl, nlh): sends ${nlh} (in any buffer), waits for the acknowledgement.  0, or -1 and errno; netlink_why(). */
int netlink_talk(struct netlink *nl, struct nlmsghdr *nlh);

/**
 * netlink_batch(nl, buf, len):
 * Sends the messages in ${buf} as one datagram (nfnetlink's transactions: all or nothing).  They have to be numbered by
 * the caller; the first error any of them meets is -1 and errno.
 */
int netlink_batch(struct netlink *nl, const void *buf, size_t len);

/**
 * netlink_dump(nl, nlh, cb, ctx):
 * Sends ${nlh} and calls ${cb} for each answer (NLM_F_DUMP: many, else one).  0, or -1 and errno.  A dump that changed while it was read
 * (NLM_F_DUMP_INTR) fails with EINTR after some tries' worth of answers: use netlink_collect() where that matters.
 */
int netlink_dump(struct netlink *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *ctx);

/** netlink_collect(nl, nlh, list): all answers into ${list} (emptied first); begins again when the dump was disturbed. */
int netlink_collect(struct netlink *nl, struct nlmsghdr *nlh, struct netlink_list *list);

/**
 * netlink_events(nl, cb, ctx):
 * Calls ${cb} for what waits on a socket with groups.  0; 1: messages were lost (ENOBUFS), look at everything; -1 and errno.
 */
int netlink_events(struct netlink *nl, mnl_cb_t cb, void *ctx);

/** netlink_why(nl): the kernel's own words on the last failed netlink_talk(), or strerror(errno of it). */
const char *netlink_why(const struct netlink *nl);

/** netlink_list_add(l, nlh): copies ${nlh} to the end.  0, or -1 and ENOMEM. */
int netlink_list_add(struct netlink_list *l, const struct nlmsghdr *nlh);
void netlink_list_free(struct netlink_list *l);

/** netlink_list_next(l, m): the message after ${m} (NULL: the first); NULL at the end. */
struct nlmsghdr *netlink_list_next(const struct netlink_list *l, const struct nlmsghdr *m);

#endif
