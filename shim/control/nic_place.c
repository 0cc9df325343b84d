/*
 * NIC and TAP as devices: where they are, and taking them to where they belong.
 */
#include <sys/ioctl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include "log.h"
#include "netns.h"
#include "nic_int.h"
#include "tapflags.h"

/* The name of a guarded NIC: "eth0-bits", cut and told apart by a hash (FNV-1a) where that is too long for the kernel. */
static void
guard_name(const char *name, char out[static IFNAMSIZ])
{
	uint32_t h = 2166136261u;

	if (strlen(name) + 5 < IFNAMSIZ) {
		snprintf(out, IFNAMSIZ, "%.10s-bits", name);
		return;
	}
	for (const char *p = name; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	snprintf(out, IFNAMSIZ, "%.5s%04x-bits", name, (h ^ h >> 16) & 0xffff);
}

static void
close_lower(struct nic *n)
{
	netlink_close(n->lower);
	if (n->lower_fd != -1)
		close(n->lower_fd);
	n->lower = NULL;
	n->lower_fd = -1;
}

/* Takes over ${fd}. */
static int
open_lower(struct nic *n, int fd)
{
	int e;

	close_lower(n);
	n->lower_fd = fd;
	if ((n->lower = netlink_open(fd, NETLINK_ROUTE, 0)) != NULL)
		return 0;
	e = errno;
	close_lower(n);
	errno = e;
	return -1;
}

int
nic_place_look(struct nic *n, char *why, size_t cap)
{
	struct nic_link l;
	char guard[IFNAMSIZ];
	int fd;

	guard_name(n->name, guard);
	n->lower_index = n->tap_index = 0;
	if (nic_link_get(n->host, n->name, &l) == 0 && l.tap && l.tap_persist) {
		n->tap_index = l.index;
		n->seen_tap = l;
	}
	if ((fd = netns_open(n->netns)) != -1) {
		if (netns_same(fd, n->host_fd)) {
			close(fd);
			return nic_why(why, cap,
			    "%s: namespace %s is the host's own; name another one (--nic-netns)",
			    n->name, n->netns);
		}
		if (open_lower(n, fd) == -1)
			return nic_why(
			    why, cap, "%s: namespace %s: %s", n->name, n->netns, strerror(errno));
		if (nic_link_get(n->lower, n->name, &l) == 0) {
			n->way = NIC_MOVED;
			goto found;
		}
	}
	/* Under the other name only where there is reason to believe that it was us. */
	if ((n->tap_index || n->st.way == NIC_GUARDED) && nic_link_get(n->host, guard, &l) == 0) {
		if (open_lower(n, dup(n->host_fd)) == -1)
			return nic_why(why, cap, "%s: %s", n->name, strerror(errno));
		n->way = NIC_GUARDED;
		goto found;
	}
	return 0;
found:
	n->lower_index = l.index;
	n->seen_lower = l;
	snprintf(n->lower_name, sizeof n->lower_name, "%s", l.name);
	return 0;
}

int
nic_place_move(struct nic *n, const struct nic_link *l, char *why, size_t cap)
{
	struct nic_link moved;
	int fd, e;

	if ((fd = netns_create(n->netns)) == -1 || open_lower(n, fd) == -1)
		return nic_why(why, cap, "%s: namespace %s cannot be made: %s", n->name, n->netns,
		    strerror(errno));
	nic_step();
	if (nic_link_move(n->host, l->index, n->lower_fd, n->name) == -1) {
		e = errno;
		nic_why(why, cap, "%s: cannot move into namespace %s: %s", n->name, n->netns,
		    netlink_why(n->host));
		close_lower(n);
		if (netns_remove(n->netns) == -1)
			log_warn("%s: namespace %s is left over", n->name, n->netns);
		/* What devices that are bound to their namespace answer. */
		errno = e == EINVAL || e == EOPNOTSUPP ? EOPNOTSUPP : e;
		return -1;
	}
	nic_step();
	if (nic_link_get(n->lower, n->name, &moved) == -1)
		return nic_why(why, cap, "%s: lost on the way into namespace %s: %s", n->name,
		    n->netns, strerror(errno));
	n->way = NIC_MOVED;
	n->lower_index = moved.index;
	snprintf(n->lower_name, sizeof n->lower_name, "%s", n->name);
	return 0;
}

/* Belt beside the braces of nic_guard.c. */
static void
numb(const char *dev)
{
	static const struct {
		const char *dir, *file, *value;
	} set[] = {
	    {"ipv6/conf", "disable_ipv6", "1"},
	    {"ipv4/conf", "rp_filter",
		"1"}, /* its addresses' routes lead to the TAP: martians here */
	    {"ipv4/conf", "arp_ignore", "8"}, /* answers for no address */
	    {"ipv4/conf", "arp_accept", "0"},
	    {"ipv4/conf", "forwarding", "0"},
	    {"ipv4/conf", "accept_local", "0"},
	    {"ipv4/conf", "proxy_arp", "0"},
	};

	for (size_t i = 0; i < sizeof set / sizeof *set; i++)
		if (nic_sysctl_set(dev, set[i].dir, set[i].file, set[i].value) == -1 &&
		    errno != ENOENT)
			log_warn("%s: net/%s/%s/%s", dev, set[i].dir, dev, set[i].file);
}

/*
 * Down first: between here and nic_place_settle(), which closes it, nothing comes in.  The hooks are put on under the new name, as since
 * Linux 6.16 they follow names and not devices.
 */
int
nic_place_guard(struct nic *n, const struct nic_link *l, char *why, size_t cap)
{
	struct nic_link other;
	char guard[IFNAMSIZ];

	guard_name(n->name, guard);
	if (nic_link_get(n->host, guard, &other) == 0)
		return nic_why(why, cap, "%s: cannot be set aside as %s: there is one already",
		    n->name, guard);
	if (open_lower(n, dup(n->host_fd)) == -1)
		return nic_why(why, cap, "%s: %s", n->name, strerror(errno));
	if (nic_link_flags(n->host, l->index, 0, IFF_UP) == -1)
		return nic_why(
		    why, cap, "%s: cannot be set down: %s", n->name, netlink_why(n->host));
	nic_step();
	for (int i = 0; i < l->nalt; i++)
		if (nic_link_altname(n->host, l->index, l->alt[i], false) == -1)
			return nic_why(why, cap, "%s: name %s cannot be taken off: %s", n->name,
			    l->alt[i], netlink_why(n->host));
	/* A multipath route of which this was one leg stays, with a leg that would come back to life. */
	if (nic_addr_flush(n->host, l->index) == -1 || nic_route_flush(n->host, l->index) == -1)
		return nic_why(why, cap, "%s: addresses and routes cannot be taken off: %s",
		    n->name, netlink_why(n->host));
	nic_step();
	if (nic_link_rename(n->host, l->index, guard) == -1)
		return nic_why(
		    why, cap, "%s: cannot be renamed %s: %s", n->name, guard, netlink_why(n->host));
	nic_step();
	n->way = NIC_GUARDED;
	n->lower_index = l->index;
	snprintf(n->lower_name, sizeof n->lower_name, "%s", guard);
	return 0;
}

int
nic_place_settle(struct nic *n, bool up, char *why, size_t cap)
{
	if (n->way == NIC_GUARDED && !n->guard) {
		if ((n->guard = nic_guard_open(n->host_fd, n->lower_name, why, cap)) == NULL)
			return -1;
		numb(n->lower_name);
		nic_step();
	}
	if (n->way == NIC_MOVED && nic_aside(n->lower, n->lower_index) == -1)
		log_debug("nic", "%s: its frames enter the stack of its namespace too: %s",
		    n->lower_name, strerror(errno));
	if (nic_link_addr_gen(n->lower, n->lower_index, IN6_ADDR_GEN_MODE_NONE) == -1)
		log_debug("nic", "%s: no address generation mode: %s", n->lower_name,
		    netlink_why(n->lower));
	if (nic_addr_flush(n->lower, n->lower_index) == -1)
		return nic_why(why, cap, "%s: addresses cannot be taken off: %s", n->name,
		    netlink_why(n->lower));
	if (nic_link_flags(n->lower, n->lower_index, IFF_NOARP, IFF_NOARP) == -1)
		return nic_why(
		    why, cap, "%s: cannot be made quiet: %s", n->name, netlink_why(n->lower));
	if (up && nic_link_flags(n->lower, n->lower_index, IFF_UP, IFF_UP) == -1)
		return nic_why(
		    why, cap, "%s: cannot be set up: %s", n->name, netlink_why(n->lower));
	return 0;
}

int
nic_place_home(struct nic *n, char *why, size_t cap)
{
	if (nic_link_flags(n->lower, n->lower_index, 0, IFF_UP) == -1)
		return nic_why(
		    why, cap, "%s: cannot be set down: %s", n->name, netlink_why(n->lower));
	nic_step();
	if (n->way == NIC_MOVED) {
		if (nic_link_move(n->lower, n->lower_index, n->host_fd, n->name) == -1)
			return nic_why(
			    why, cap, "%s: cannot move back: %s", n->name, netlink_why(n->lower));
	} else {
		if (nic_link_rename(n->host, n->lower_index, n->name) == -1)
			return nic_why(why, cap, "%s: cannot be renamed: %s", n->lower_name,
			    netlink_why(n->host));
		nic_step();
		nic_guard_close(n->guard);
		n->guard = NULL;
		if (nic_guard_remove(n->host_fd, n->lower_name) == -1)
			return nic_why(why, cap, "%s: the guard of %s cannot be removed: %s",
			    n->name, n->lower_name, strerror(errno));
	}
	nic_step();
	n->lower_index = 0;
	close_lower(n);
	return 0;
}

/* A persistent TAP, without carrier until an edge attaches to it.  In the caller's namespace, which is the host's. */
static int
make_tap(const char *name, bool queues, char *why, size_t cap)
{
	struct ifreq ifr = {.ifr_flags = (short)(TAP_FLAGS | (queues ? IFF_MULTI_QUEUE : 0))};
	int fd, r = -1;

	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	if ((fd = open(TAP_DEVICE, O_RDWR | O_CLOEXEC)) == -1)
		return nic_why(why, cap, "%s: %s: %s", name, TAP_DEVICE, strerror(errno));
	if (ioctl(fd, TUNSETIFF, &ifr) == -1 || ioctl(fd, TUNSETPERSIST, 1) == -1)
		nic_why(why, cap, "%s: the TAP cannot be made: %s", name, strerror(errno));
	else
		r = 0;
	close(fd);
	return r;
}

int
nic_place_tap(struct nic *n, const struct nic_conf *c, char *why, size_t cap)
{
	struct nic_link lower, tap;

	if (nic_link_index(n->lower, n->lower_index, &lower) == -1)
		return nic_why(why, cap, "%s: the NIC is gone: %s", n->name, strerror(errno));
	if (!n->tap_index && make_tap(n->name, n->queues, why, cap) == -1)
		return -1;
	nic_step();
	if (nic_link_get(n->host, n->name, &tap) == -1)
		return nic_why(why, cap, "%s: the TAP is gone: %s", n->name, strerror(errno));
	n->tap_index = tap.index;
	if (memcmp(tap.mac, c->link.mac, 6) != 0 &&
	    nic_link_mac(n->host, tap.index, c->link.mac) == -1)
		return nic_why(why, cap, "%s: the TAP does not take the NIC's MAC: %s", n->name,
		    netlink_why(n->host));
	if (tap.mtu != lower.mtu && nic_link_u32(n->host, tap.index, IFLA_MTU, lower.mtu) == -1)
		return nic_why(why, cap, "%s: the TAP does not take MTU %u: %s", n->name, lower.mtu,
		    netlink_why(n->host));
	nic_step();
	return 0;
}

int
nic_place_tap_delete(struct nic *n, char *why, size_t cap)
{
	if (!n->tap_index)
		return 0;
	if (nic_link_delete(n->host, n->tap_index) == -1 && errno != ENODEV)
		return nic_why(
		    why, cap, "%s: the TAP cannot be deleted: %s", n->name, netlink_why(n->host));
	n->tap_index = 0;
	nic_step();
	return 0;
}
