/*
 * Taking the NIC over and giving it back (design.md's picture: the TAP has the NIC's name, MAC, MTU, addresses and routes in the host's
 * namespace; the NIC sits alone in its own).
 *
 * Failing is closed.  What is needed to give the NIC back is written to the state directory before the first change, so that
 * a start after a crash in the midst goes on from there.  nic_take() is idempotent: on a NIC that is already taken it picks NIC and TAP
 * up as they are and touches nothing of the host's configuration.
 *
 * What does not survive: temporary IPv6 addresses go on as ordinary ones until they expire (nobody but the kernel can make those); qdiscs
 * and socket memberships in multicast groups go with the NIC, as they do when any device changes its namespace.
 *
 * Control thread; these functions may block for some milliseconds (nic_give_back() up to two seconds, until the link is there).
 */
#ifndef BITS_NIC_H
#define BITS_NIC_H

#include <stdbool.h>
#include <stdint.h>
#include "addr.h"
#include "edge.h"

enum nic_way {
	NIC_MOVED,   /* in its private namespace */
	NIC_GUARDED, /* could not move: renamed in place, every ingress frame but bitsd's taps dropped (nftables netdev hook) */
};

struct nic_opts {
	const char *name;      /* "eth0" */
	const char *netns;     /* name of the private namespace; NULL: "bits-<name>" */
	const char *state_dir; /* what is saved goes to nic_state_file() there */
	bool stay;	       /* do not try to move it (test of the second way) */
	bool no_offload;       /* the edges leave neither checksums nor segments to others */
	enum edge_lower lower; /* how the NIC is read and written */
	unsigned workers;      /* queues the TAP is made with; 0: one */
	bool hold;	       /* policy is in force: a take that fails leaves the NIC closed and undoes nothing */
};

struct nic_info {
	enum nic_way way;
	char lower[16]; /* the NIC's name where it is now */
	uint8_t mac[6];
	uint32_t mtu;
	bool up;      /* admin up and carrier */
	bool resumed; /* it was taken already */
};

/* Opaque types. */
struct nic;

/** nic_aside_load(): once, before bpf(2) is given up: what spares a NIC that is taken later the way through a stack nobody uses (nic_aside.c).
 * Without it all works the same, only slower. */
void nic_aside_load(void);

/**
 * nic_check(o, why, cap):
 * Can this NIC be taken at all?  0; or -1 and a sentence in ${why} that says what is wrong and what would be right: no such NIC (names the
 * ones there are), loopback, wireless, enslaved (names the master), not Ethernet, no /dev/net/tun.  Changes nothing.
 */
int nic_check(const struct nic_opts *o, char *why, size_t cap);

/** nic_xdp_check(netns, name, mtu, why, cap): can AF_XDP do with the NIC ${name} of that MTU as it is in ${netns} (-1: the caller's)?  0, or -1 with
 * EOPNOTSUPP and a sentence: it has several queues, takes VLAN tags off, or its MTU is too large. */
int nic_xdp_check(int netns, const char *name, unsigned mtu, char *why, size_t cap);

/** nic_state_file(o, buf, cap): where the state of this NIC of the calling thread's namespace is saved.  0, or -1: the name is too long, or there
 * is no /proc. */
int nic_state_file(const struct nic_opts *o, char *buf, size_t cap);

/**
 * nic_take(o, why, cap):
 * Saves, moves (or guards) the NIC, creates the TAP and carries addresses, routes, neighbour settings over.  NULL: ${why} says what
 * failed; what was changed is undone, or, where it cannot be, left closed and said so.
 */
struct nic *nic_take(const struct nic_opts *o, char *why, size_t cap);
void nic_info(const struct nic *n, struct nic_info *i);

/** nic_netns(n): descriptor of the namespace the NIC is in now, owned by ${n}; nic_host_netns(n): the host's. */
int nic_netns(const struct nic *n);
int nic_host_netns(const struct nic *n);

/**
 * nic_give_back(n, why, cap):
 * The NIC returns to the host's namespace under its name with the addresses, routes and settings the TAP has now (or had, where the
 * TAP is gone); the TAP, the guard and the private namespace go.  The caller has unbound both edges.  0, or -1 and ${why}.
 */
int nic_give_back(struct nic *n, char *why, size_t cap);

/** nic_free(n): forget it; NIC and TAP stay as they are (closed). */
void nic_free(struct nic *n);

/*
 * What happens to the NIC and the TAP, told by netlink.  The NIC leads in carrier and MTU; what the host sets on its NIC, which is the
 * TAP, goes down to the real one: up, MAC address, promiscuous mode.  A TAP that is set down leaves the NIC up.
 */
enum nic_event {
	NIC_LINK,     /* carrier or admin state changed: read nic_info() */
	NIC_MTU,      /* MTU of the NIC changed (the TAP follows by nic_event_read()) */
	NIC_GONE,     /* unplugged or renamed away */
	NIC_BACK,     /* and there again (index changed) */
	NIC_TAP_GONE, /* somebody deleted the TAP */
	NIC_ADDR,     /* the host's addresses on the TAP changed */
	NIC_ROUTE,    /* routes or neighbours of the host changed: next hops have to be looked at */
};

/** nic_event_fds(n, fd): the two netlink descriptors to wait for (NIC's namespace, host's). */
void nic_event_fds(const struct nic *n, int fd[2]);

/** nic_event_read(n, cb, ctx): reads what waits on both, without blocking, and tells each event once. */
void nic_event_read(struct nic *n, void (*cb)(void *ctx, enum nic_event ev), void *ctx);

/** nic_addresses(n, out, cap): the host's addresses on the TAP; number of them. */
int nic_addresses(const struct nic *n, struct ipaddr *out, int cap);

#endif
