/*
 * Between the files of the NIC take-over (nic*.c); nobody else's.
 *
 *   nic.c          life cycle: take, give back, in which order and what after a crash
 *   nic_check.c    can it be taken at all?
 *   nic_place.c    NIC and TAP as devices: moved, guarded, made, deleted
 *   nic_conf.c     what the host knows about the device: saved from one, loaded onto the other
 *   nic_addr.c nic_route.c nic_nexthop.c nic_neigh.c nic_sysctl.c   its parts
 *   nic_link.c     link messages
 *   nic_guard.c    nftables netdev hooks for a NIC that cannot move
 *   nic_aside.c    keeps the stack of the NIC's own namespace from what only our sockets want
 *   nic_xdp.c      can AF_XDP do with it?
 *   nic_save.c     the state file
 *   nic_event.c    what netlink tells
 *
 * Messages kept in a struct nic_conf have the device's interface index replaced by 0, so that they fit any device.
 */
#ifndef BITS_NIC_INT_H
#define BITS_NIC_INT_H

#include <limits.h>
#include <net/if.h>
#include "netlink.h"
#include "nic.h"

#define NIC_ALTNAMES   8
#define NIC_ALTNAMELEN 128

/* A device, as RTM_GETLINK has it. */
struct nic_link {
	unsigned index, type, flags, mtu, txqlen, group, master, link, promiscuity;
	bool ether;	       /* ARPHRD_ETHER and 6 octets of address */
	bool link_here;	       /* ${link} is an index of the same namespace */
	bool carrier, running; /* running: and the kernel has made it known (operational state) */
	bool tap, tap_persist;
	int addr_gen; /* IFLA_INET6_ADDR_GEN_MODE; -1: no IPv6 on it */
	uint8_t mac[6];
	char name[IFNAMSIZ], kind[IFNAMSIZ];
	char alias[256];
	char alt[NIC_ALTNAMES][NIC_ALTNAMELEN];
	int nalt;
};

/* Settings that differ from the default: lines "ipv4/conf/arp_ignore=1". */
struct nic_sysctl {
	char **line;
	size_t n;
};

struct nic_conf {
	struct nic_link link;
	struct netlink_list addr, route, neigh;
	struct nic_sysctl sysctl;
};

/* Where in the take-over we are, on disk (nic.c says what each means for a restart). */
enum nic_phase { NIC_NONE, NIC_MOVING, NIC_GUARDING, NIC_TAKEN, NIC_GIVING };

struct nic_state {
	enum nic_phase phase;
	enum nic_way way;
	char lower[IFNAMSIZ];
	uint64_t saved_ms; /* when ${conf} was read */
	struct nic_conf conf;
};

struct nic {
	char name[IFNAMSIZ], netns[128], dir[PATH_MAX], file[PATH_MAX];
	bool stay, had_link, queues;
	int host_fd,
	    lower_fd; /* namespaces; lower_fd -1: not there yet; the same as host_fd's when guarded */
	struct netlink *host, *lower; /* requests; lower NULL as above */
	struct netlink *ev_host, *ev_lower;
	struct nic_guard *guard;
	unsigned lower_index, tap_index; /* 0: gone */
	enum nic_way way;
	char lower_name[IFNAMSIZ];
	bool
	    late; /* the TAP has had no carrier yet: what the kernel refuses without has to follow */
	struct nic_state st;
	struct nic_info info;
	struct nic_link seen_lower, seen_tap; /* as events last found them */
};

/**
 * nic_step():
 * Stands between any two changes.  Ends the process at the nic_stop_after'th call (0: never), which is how the tests die in every place;
 * nothing outside of a test program can set it.
 */
void nic_step(void);
extern unsigned nic_stop_after;
extern unsigned nic_link_wait; /* ms that giving back waits for the link */

/** nic_why(why, cap, fmt): the sentence of a failure; always -1. */
int nic_why(char *why, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* nic_link.c: 0, or -1 and errno (netlink_why() knows more). */
int nic_link_get(
    struct netlink *nl, const char *name, struct nic_link *l); /* ENODEV; altnames do not count */
int nic_link_index(struct netlink *nl, unsigned index, struct nic_link *l);
void nic_link_parse(const struct nlmsghdr *nlh, struct nic_link *l);
int nic_link_list(struct netlink *nl, struct netlink_list *list);
int nic_link_flags(struct netlink *nl, unsigned index, unsigned flags, unsigned mask);
int nic_link_move(struct netlink *nl, unsigned index, int netns, const char *name);
int nic_link_rename(struct netlink *nl, unsigned index, const char *name);
int nic_link_mac(struct netlink *nl, unsigned index, const uint8_t mac[static 6]);
int nic_link_u32(struct netlink *nl, unsigned index, uint16_t attr, uint32_t value);
int nic_link_alias(struct netlink *nl, unsigned index, const char *alias);
int nic_link_altname(struct netlink *nl, unsigned index, const char *name, bool add);
int nic_link_addr_gen(struct netlink *nl, unsigned index, int mode);
int nic_link_delete(struct netlink *nl, unsigned index);

/* nic_addr.c: loads in an order and with flags that let the device have them at once, as they were; ${age}: s since the save. */
int nic_addr_save(struct netlink *nl, unsigned index, struct netlink_list *out);
int nic_addr_load(struct netlink *nl, unsigned index, const struct netlink_list *in, uint32_t age,
    char *why, size_t cap);
int nic_addr_flush(struct netlink *nl, unsigned index);
bool nic_addr_has(const struct netlink_list *addr, uint8_t family, const void *octets, size_t len);

/* nic_nexthop.c: nexthop objects through the device, groups behind their members. */
int nic_nexthop_save(struct netlink *nl, unsigned index, struct netlink_list *out);
bool nic_nexthop_has(const struct netlink_list *l, uint32_t id);
struct nlmsghdr *nic_nexthop_fill(void *buf, const struct nlmsghdr *m, unsigned from, unsigned to);

/* nic_route.c: routes and nexthops.  load: how many could not be set (logged); -1 and errno. */
int nic_route_save(
    struct netlink *nl, unsigned index, const struct netlink_list *addr, struct netlink_list *out);
int nic_route_load(struct netlink *nl, unsigned index, const struct netlink_list *addr,
    const struct netlink_list *in, uint32_t age);
/* Takes away what still goes through a device that stays. */
int nic_route_flush(struct netlink *nl, unsigned index);
/* What of ${in} has to do with nexthop objects: added to ${out}, or loaded behind the rest, when there is carrier. */
int nic_route_late(struct netlink *nl, unsigned index, const struct netlink_list *in);
int nic_route_objects(const struct netlink_list *in, struct netlink_list *out);

/* nic_neigh.c: permanent and proxy entries. */
int nic_neigh_save(struct netlink *nl, unsigned index, struct netlink_list *out);
int nic_neigh_load(
    struct netlink *nl, unsigned index, const struct netlink_list *in, bool proxies_only);

/* nic_sysctl.c: works on the caller's network namespace.  set: one value of one device. */
int nic_sysctl_save(const char *nic, unsigned mtu, struct nic_sysctl *out);
int nic_sysctl_load(const char *nic, unsigned mtu, const struct nic_sysctl *in);
int nic_sysctl_set(const char *nic, const char *dir, const char *file, const char *value);
int nic_sysctl_add(struct nic_sysctl *s, const char *line);
void nic_sysctl_free(struct nic_sysctl *s);

/* nic_conf.c.  load: as nic_route_load(); -1 and ${why}. */
int nic_conf_save(struct netlink *nl, const char *name, struct nic_conf *c);
int nic_conf_load(struct netlink *nl, unsigned index, const struct nic_conf *c, uint32_t age,
    char *why, size_t cap);
void nic_conf_free(struct nic_conf *c);

/* nic_save.c: load: 0; -1 and ENOENT: none of this boot; -1 and EINVAL: unreadable (${why}). */
int nic_save_store(const struct nic *n, char *why, size_t cap);
int nic_save_load(const struct nic *n, struct nic_state *st, char *why, size_t cap);
int nic_save_remove(const struct nic *n);

/* nic_guard.c: the hooks (nftables, family netdev) on device ${dev} of namespace ${netns}.  close leaves them in force; remove takes them away. */
struct nic_guard *nic_guard_open(int netns, const char *dev, char *why, size_t cap);
void nic_guard_inherit(
    struct nic_guard *g, const char *dev); /* owns it, when the last owner has gone */
void nic_guard_close(struct nic_guard *g);
int nic_guard_remove(int netns, const char *dev);

/* nic_aside.c: nic_aside_load() is in nic.h.  0, or -1 and errno: then frames also enter that stack, which costs time and nothing else. */
int nic_aside(struct netlink *nl, unsigned index);

/* nic_place.c */
/** nic_place_look(n): where NIC and TAP are: n->way, lower, lower_fd, lower_index (0: nowhere), tap_index, n->seen_*. */
int nic_place_look(struct nic *n, char *why, size_t cap);
int nic_place_move(struct nic *n, const struct nic_link *l, char *why,
    size_t cap); /* errno EOPNOTSUPP: it cannot move */
int nic_place_guard(struct nic *n, const struct nic_link *l, char *why, size_t cap);
int nic_place_settle(struct nic *n, bool up, char *why,
    size_t cap); /* the NIC where it is: quiet, closed, up if told */
int nic_place_home(
    struct nic *n, char *why, size_t cap); /* back in the host's namespace, down, under its name */
int nic_place_tap(struct nic *n, const struct nic_conf *c, char *why, size_t cap);
int nic_place_tap_delete(struct nic *n, char *why, size_t cap);

/* nic.c: a struct nic that knows names and the host's namespace, and nothing of the NIC. */
int nic_init(struct nic *n, const struct nic_opts *o, char *why, size_t cap);
void nic_fini(struct nic *n);

/* nic_event.c */
int nic_event_open(struct nic *n);

#endif
