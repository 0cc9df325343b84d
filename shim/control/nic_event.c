/*
 * What happens to NIC and TAP.  Messages only say that something happened; what it is now is asked for again, so that lost messages
 * (ENOBUFS) and those that come late do no harm.
 *
 * The NIC leads in carrier and MTU.  The host leads in what it sets on its NIC, which is the TAP: up, MAC address, promiscuous mode
 * go down to the NIC.  A TAP that is set down leaves the NIC up: nothing passes anyhow, and the link need not train again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include "log.h"
#include "nic_int.h"

#define GROUP(g) (1u << (RTNLGRP_##g - 1))

enum { SAW_LINK = 1, SAW_ADDR = 2, SAW_ROUTE = 4, SAW_ALL = 7 };

struct saw {
	unsigned what, tap_index;
};

int
nic_event_open(struct nic *n)
{
	n->ev_lower = netlink_open(n->lower_fd, NETLINK_ROUTE, GROUP(LINK));
	n->ev_host = netlink_open(n->host_fd, NETLINK_ROUTE,
	    GROUP(LINK) | GROUP(IPV4_IFADDR) | GROUP(IPV6_IFADDR) | GROUP(IPV4_ROUTE) |
		GROUP(IPV6_ROUTE) | GROUP(NEIGH));
	return n->ev_lower && n->ev_host ? 0 : -1;
}

void
nic_event_fds(const struct nic *n, int fd[2])
{
	fd[0] = netlink_fd(n->ev_lower);
	fd[1] = netlink_fd(n->ev_host);
}

static int
saw_cb(const struct nlmsghdr *nlh, void *ctx)
{
	struct saw *s = ctx;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		s->what |= SAW_LINK;
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (((const struct ifaddrmsg *)mnl_nlmsg_get_payload(nlh))->ifa_index ==
		    s->tap_index)
			s->what |= SAW_ADDR;
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		s->what |= SAW_ROUTE;
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if ((unsigned)((const struct ndmsg *)mnl_nlmsg_get_payload(nlh))->ndm_ifindex ==
		    s->tap_index)
			s->what |= SAW_ROUTE;
		break;
	}
	return MNL_CB_OK;
}

/* A NIC of ours that came back in the host's namespace, where hot-plugged devices appear, is taken in again. */
static bool
adopt(struct nic *n, struct nic_link *l)
{
	struct netlink_list all = {0};
	const struct nlmsghdr *m = NULL;
	bool found = false;

	if (n->way != NIC_MOVED || nic_link_list(n->host, &all) == -1)
		return false;
	while (!found && (m = netlink_list_next(&all, m)) != NULL) {
		nic_link_parse(m, l);
		/* Devices on top of the TAP have its MAC too; those have a kind, physical ones have none. */
		found = l->ether && l->index != n->tap_index && !l->master &&
			memcmp(l->mac, n->seen_lower.mac, 6) == 0 &&
			(!l->kind[0] || strcmp(l->kind, "veth") == 0);
	}
	netlink_list_free(&all);
	if (!found)
		return false;
	log_info("%s: is back as %s", n->name, l->name);
	if (nic_link_move(n->host, l->index, n->lower_fd, n->name) == -1) {
		log_warnx("%s: came back as %s and cannot be moved away: %s", n->name, l->name,
		    netlink_why(n->host));
		return false;
	}
	return nic_link_get(n->lower, n->name, l) == 0;
}

static bool
lower_now(struct nic *n, struct nic_link *l)
{
	return nic_link_get(n->lower, n->lower_name, l) == 0 || (!n->lower_index && adopt(n, l));
}

/* There again, or another one under its name: as closed as before, before anybody binds to it. */
static bool
settle(struct nic *n, const struct nic_link *l)
{
	char why[256];

	n->lower_index = l->index;
	nic_guard_close(n->guard);
	n->guard = NULL;
	if (nic_place_settle(n, n->tap_index && (n->seen_tap.flags & IFF_UP), why, sizeof why) == 0)
		return true;
	(void)nic_link_flags(n->lower, l->index, 0, IFF_UP);
	log_warnx("%s (left down)", why);
	n->lower_index = 0;
	return false;
}

/* A guarded NIC that somebody renames loses its hooks: down with it. */
static void
close_renamed(struct nic *n, unsigned index)
{
	struct nic_link l;

	if (n->way != NIC_GUARDED || nic_link_index(n->lower, index, &l) == -1)
		return;
	(void)nic_link_flags(n->lower, index, 0, IFF_UP);
	log_warnx("%s: its NIC %s was renamed %s, which unguards it: set down", n->name,
	    n->lower_name, l.name);
}

static unsigned
check_tap(struct nic *n)
{
	struct nic_link l;

	if (!n->tap_index)
		return 0;
	if (nic_link_index(n->host, n->tap_index, &l) == -1) {
		n->tap_index = 0;
		return 1u << NIC_TAP_GONE;
	}
	if (n->lower_index && (l.flags & IFF_UP) && !(n->seen_tap.flags & IFF_UP) &&
	    nic_link_flags(n->lower, n->lower_index, IFF_UP, IFF_UP) == -1)
		log_warnx("%s: cannot be set up: %s", n->name, netlink_why(n->lower));
	if (n->lower_index && memcmp(l.mac, n->seen_tap.mac, 6) != 0 &&
	    memcmp(l.mac, n->seen_lower.mac, 6) != 0 &&
	    nic_link_mac(n->lower, n->lower_index, l.mac) == -1)
		log_warnx(
		    "%s: the NIC does not take the host's MAC: %s", n->name, netlink_why(n->lower));
	if (n->lower_index && !l.promiscuity != !n->seen_tap.promiscuity &&
	    nic_link_flags(
		n->lower, n->lower_index, l.promiscuity ? IFF_PROMISC : 0, IFF_PROMISC) == -1)
		log_warnx("%s: promiscuous mode: %s", n->name, netlink_why(n->lower));
	/*
	 * Nexthop objects, and the routes that name them, are refused to a device without carrier; proxy entries go when
	 * carrier goes, which it did when the TAP was made.
	 */
	if (n->late && l.carrier && l.running) {
		n->late = false;
		(void)nic_route_late(n->host, l.index, &n->st.conf.route);
		(void)nic_neigh_load(n->host, l.index, &n->st.conf.neigh, true);
	}
	n->seen_tap = l;
	return 0;
}

static unsigned
check_lower(struct nic *n)
{
	struct nic_link was = n->seen_lower, l;
	unsigned ev = 0, index = n->lower_index;

	if (!lower_now(n, &l)) {
		n->lower_index = 0;
		if (index)
			close_renamed(n, index);
		return index ? 1u << NIC_GONE : 0;
	}
	if (l.index != index) {
		if (!settle(n, &l) || nic_link_index(n->lower, l.index, &l) == -1)
			return index ? 1u << NIC_GONE : 0;
		ev |= (index ? 1u << NIC_GONE : 0) | 1u << NIC_BACK;
	}
	/* The NIC's own MAC changed (a guarded bridge or bond): the host has to speak with that one. */
	if (n->tap_index && memcmp(l.mac, was.mac, 6) != 0 &&
	    memcmp(l.mac, n->seen_tap.mac, 6) != 0) {
		if (nic_link_mac(n->host, n->tap_index, l.mac) == -1)
			log_warnx("%s: the TAP does not take the NIC's MAC: %s", n->name,
			    netlink_why(n->host));
		else
			memcpy(n->seen_tap.mac, l.mac, 6);
	}
	if (l.mtu != was.mtu) {
		if (n->tap_index && nic_link_u32(n->host, n->tap_index, IFLA_MTU, l.mtu) == -1)
			log_warnx("%s: the TAP does not take MTU %u: %s", n->name, l.mtu,
			    netlink_why(n->host));
		ev |= 1u << NIC_MTU;
	}
	if (l.carrier != was.carrier || (l.flags & IFF_UP) != (was.flags & IFF_UP) ||
	    memcmp(l.mac, was.mac, 6) != 0)
		ev |= 1u << NIC_LINK;
	n->seen_lower = l;
	return ev;
}

void
nic_event_read(struct nic *n, void (*cb)(void *ctx, enum nic_event ev), void *ctx)
{
	struct saw s = {.tap_index = n->tap_index};
	unsigned ev = 0;

	if (n->guard)
		nic_guard_inherit(n->guard, n->lower_name);
	if (netlink_events(n->ev_lower, saw_cb, &s) == 1)
		s.what = SAW_ALL;
	if (netlink_events(n->ev_host, saw_cb, &s) == 1)
		s.what = SAW_ALL;
	if (s.what & SAW_LINK)
		ev |= check_tap(n) | check_lower(n);
	if (s.what & SAW_ADDR)
		ev |= 1u << NIC_ADDR;
	if (s.what & SAW_ROUTE)
		ev |= 1u << NIC_ROUTE;
	for (unsigned i = 0; i <= NIC_ROUTE; i++)
		if (ev & 1u << i)
			cb(ctx, (enum nic_event)i);
}
