/*
 * Addresses: all that RTM_GETADDR says of them goes over, so scope, label, broadcast, peer, metric, protocol and lifetimes
 * stay.  Those of the device itself (link-local) too: whoever comes first, the kernel finds it there and makes no second one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include "nic_int.h"

#define FOREVER 0xffffffffu

/* Flags a user may set; the kernel finds the others out by itself. */
#define V6_FLAGS                                                                                   \
	(IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE |            \
	    IFA_F_MCAUTOJOIN)
#define V4_FLAGS (IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN)

static int
collect(struct netlink *nl, struct netlink_list *all)
{
	return netlink_collect(
	    nl, netlink_request(nl, RTM_GETADDR, NLM_F_DUMP, NULL, sizeof(struct ifaddrmsg)), all);
}

int
nic_addr_save(struct netlink *nl, unsigned index, struct netlink_list *out)
{
	struct netlink_list all = {0};
	struct nlmsghdr *m = NULL;
	int r = collect(nl, &all);

	out->len = 0;
	while (r == 0 && (m = netlink_list_next(&all, m)) != NULL) {
		struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(m);

		if (ifa->ifa_index != index ||
		    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
			continue;
		ifa->ifa_index = 0;
		r = netlink_list_add(out, m);
	}
	netlink_list_free(&all);
	return r;
}

static uint32_t
left(uint32_t lifetime, uint32_t age)
{
	return lifetime == FOREVER ? FOREVER : lifetime > age ? lifetime - age : 0;
}

/* The request that gives ${index} the address of ${m}, with ${flags}.  NULL: it has expired meanwhile. */
static struct nlmsghdr *
fill(struct netlink *nl, const struct nlmsghdr *m, unsigned index, uint32_t flags, uint32_t age)
{
	struct ifaddrmsg ifa = *(const struct ifaddrmsg *)mnl_nlmsg_get_payload(m);
	const struct nlattr *a;
	struct nlmsghdr *nlh;

	ifa.ifa_index = index;
	ifa.ifa_flags = (uint8_t)flags;
	nlh = netlink_request(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &ifa, sizeof ifa);
	mnl_attr_for_each(a, m, sizeof ifa)
	{
		uint16_t type = mnl_attr_get_type(a);

		if (type == IFA_FLAGS)
			continue;
		if (type == IFA_CACHEINFO &&
		    mnl_attr_get_payload_len(a) >= sizeof(struct ifa_cacheinfo)) {
			struct ifa_cacheinfo ci;

			memcpy(&ci, mnl_attr_get_payload(a), sizeof ci);
			if ((ci.ifa_valid = left(ci.ifa_valid, age)) == 0)
				return NULL;
			ci.ifa_prefered = left(ci.ifa_prefered, age);
			mnl_attr_put(nlh, type, sizeof ci, &ci);
			continue;
		}
		mnl_attr_put(nlh, type, mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
	}
	mnl_attr_put_u32(nlh, IFA_FLAGS, flags);
	return nlh;
}

static uint32_t
flags_of(const struct nlmsghdr *m)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(m);
	const struct nlattr *a;

	mnl_attr_for_each(
	    a, m, sizeof *ifa) if (mnl_attr_get_type(a) == IFA_FLAGS &&
				   mnl_attr_get_payload_len(a) >= 4) return mnl_attr_get_u32(a);
	return ifa->ifa_flags;
}

static int
load_one(struct netlink *nl, const struct nlmsghdr *m, unsigned index, uint32_t age)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(m);
	uint32_t flags = flags_of(m);
	struct nlmsghdr *nlh;

	if (ifa->ifa_family == AF_INET) {
		nlh = fill(nl, m, index, flags & V4_FLAGS, age);
		return !nlh || netlink_talk(nl, nlh) == 0 || errno == EEXIST ? 0 : -1;
	}
	/*
	 * Without NODAD the address is tentative for a second, and for ever on a device without carrier; connections bound to
	 * it would break.  It was checked when it was new.  The flag itself is taken away again where the address did not have it.
	 * (A temporary address, RFC 8981, lives on until its end as an ordinary one: nobody but the kernel can make those.)
	 */
	flags &= V6_FLAGS;
	if ((nlh = fill(nl, m, index, flags | IFA_F_NODAD, age)) == NULL)
		return 0;
	if (netlink_talk(nl, nlh) == -1 && errno != EEXIST)
		return -1;
	if (!(flags & IFA_F_NODAD) && (nlh = fill(nl, m, index, flags, age)) != NULL &&
	    netlink_talk(nl, nlh) == -1)
		return -1;
	return 0;
}

/* The kernel keeps IPv4 addresses as they come and puts the newest IPv6 address of a scope first: v4 forward, v6 backward. */
int
nic_addr_load(struct netlink *nl, unsigned index, const struct netlink_list *in, uint32_t age,
    char *why, size_t cap)
{
	const struct nlmsghdr *m, *last;

	for (m = NULL; (m = netlink_list_next(in, m)) != NULL;) {
		const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(m);

		if (ifa->ifa_family == AF_INET && load_one(nl, m, index, age) == -1)
			goto err;
	}
	for (last = NULL;; last = m) {
		const struct nlmsghdr *next = NULL;

		m = NULL;
		while ((next = netlink_list_next(in, next)) != NULL && next != last)
			m = next;
		if (m == NULL)
			return 0;
		if (((const struct ifaddrmsg *)mnl_nlmsg_get_payload(m))->ifa_family == AF_INET6 &&
		    load_one(nl, m, index, age) == -1)
			goto err;
	}
err:
	return nic_why(why, cap, "an address cannot be set: %s", netlink_why(nl));
}

int
nic_addr_flush(struct netlink *nl, unsigned index)
{
	struct netlink_list mine = {0};
	struct nlmsghdr *m = NULL;
	int r = nic_addr_save(nl, index, &mine);

	while (r == 0 && (m = netlink_list_next(&mine, m)) != NULL) {
		((struct ifaddrmsg *)mnl_nlmsg_get_payload(m))->ifa_index = index;
		m->nlmsg_type = RTM_DELADDR;
		m->nlmsg_flags = 0;
		/* a secondary goes with its primary */
		if (netlink_talk(nl, m) == -1 && errno != EADDRNOTAVAIL)
			r = -1;
	}
	netlink_list_free(&mine);
	return r;
}

bool
nic_addr_has(const struct netlink_list *addr, uint8_t family, const void *octets, size_t len)
{
	const struct nlmsghdr *m = NULL;
	const struct nlattr *a;

	while ((m = netlink_list_next(addr, m)) != NULL) {
		const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(m);

		if (ifa->ifa_family != family)
			continue;
		mnl_attr_for_each(a, m,
		    sizeof *ifa) if ((mnl_attr_get_type(a) == IFA_LOCAL ||
					 mnl_attr_get_type(a) == IFA_ADDRESS) &&
				     mnl_attr_get_payload_len(a) == len &&
				     memcmp(mnl_attr_get_payload(a), octets, len) == 0) return true;
	}
	return false;
}

/* nic.h */
int
nic_addresses(const struct nic *n, struct ipaddr *out, int cap)
{
	struct netlink_list mine = {0};
	const struct nlmsghdr *m = NULL;
	int count = 0;

	if (!n->tap_index || nic_addr_save(n->host, n->tap_index, &mine) == -1)
		return 0;
	while ((m = netlink_list_next(&mine, m)) != NULL && count < cap) {
		const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(m);
		const struct nlattr *a, *best = NULL;

		/* IFA_LOCAL is our end where the other is another one, IFA_ADDRESS else */
		mnl_attr_for_each(
		    a, m, sizeof *ifa) if (mnl_attr_get_type(a) == IFA_LOCAL ||
					   (mnl_attr_get_type(a) == IFA_ADDRESS && !best)) best = a;
		if (best &&
		    mnl_attr_get_payload_len(best) == (ifa->ifa_family == AF_INET ? 4u : 16u))
			out[count++] = ipaddr_from(
			    ifa->ifa_family == AF_INET ? 4 : 6, mnl_attr_get_payload(best));
	}
	netlink_list_free(&mine);
	return count;
}
