/*
 * Next hops by asking the host's own tables (see neigh.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <net/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include "neigh.h"
#include "nic_int.h"

#define KNOWN (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define CHECK (NUD_STALE) /* used, but the kernel is asked to look whether it still holds */

/* What the routing table says of a destination. */
struct route {
	unsigned type, oif;
	struct ipaddr gw; /* af 0: on link */
};

struct entry {
	const struct ipaddr *dst;
	unsigned index, state;
	bool found;
	uint8_t mac[6];
};

static uint8_t
family(const struct ipaddr *a)
{
	return a->af == 4 ? AF_INET : AF_INET6;
}

/* RFC 1112 6.4, RFC 2464 7. */
static void
map_multicast(const struct ipaddr *dst, uint8_t mac[static 6])
{
	if (dst->af == 4)
		memcpy(mac,
		    (const uint8_t[]){0x01, 0x00, 0x5e, dst->b[1] & 0x7f, dst->b[2], dst->b[3]}, 6);
	else
		memcpy(mac,
		    (const uint8_t[]){0x33, 0x33, dst->b[12], dst->b[13], dst->b[14], dst->b[15]},
		    6);
}

static int
route_cb(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;
	struct route *r = ctx;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	r->type = rt->rtm_type;
	mnl_attr_for_each(a, nlh, sizeof *rt)
	{
		size_t len = mnl_attr_get_payload_len(a);
		const uint8_t *p = mnl_attr_get_payload(a);

		switch (mnl_attr_get_type(a)) {
		case RTA_OIF:
			r->oif = len >= 4 ? mnl_attr_get_u32(a) : 0;
			break;
		case RTA_GATEWAY:
			if (len == 4 || len == 16)
				r->gw = ipaddr_from(len == 4 ? 4 : 6, p);
			break;
		case RTA_VIA: /* an IPv4 route by an IPv6 neighbour, RFC 5549 */
			if (len == 2 + 4 || len == 2 + 16)
				r->gw = ipaddr_from(len == 2 + 4 ? 4 : 6, p + 2);
			break;
		}
	}
	return MNL_CB_OK;
}

static int
ask_route(struct netlink *nl, const struct ipaddr *dst, struct route *r)
{
	size_t len = ipaddr_len(dst);
	struct rtmsg rt = {.rtm_family = family(dst), .rtm_dst_len = (uint8_t)(8 * len)};
	struct nlmsghdr *nlh = netlink_request(nl, RTM_GETROUTE, 0, &rt, sizeof rt);

	memset(r, 0, sizeof *r);
	mnl_attr_put(nlh, RTA_DST, len, dst->b);
	return netlink_dump(nl, nlh, route_cb, r);
}

static int
neigh_cb(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(nlh);
	struct entry *e = ctx;
	const struct nlattr *a, *dst = NULL, *mac = NULL;
	size_t len = ipaddr_len(e->dst);

	if (nlh->nlmsg_type != RTM_NEWNEIGH || nd->ndm_family != family(e->dst) ||
	    (unsigned)nd->ndm_ifindex != e->index)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof *nd)
	{
		if (mnl_attr_get_type(a) == NDA_DST)
			dst = a;
		else if (mnl_attr_get_type(a) == NDA_LLADDR)
			mac = a;
	}
	if (!dst || mnl_attr_get_payload_len(dst) != len ||
	    memcmp(mnl_attr_get_payload(dst), e->dst->b, len) != 0)
		return MNL_CB_OK;
	e->state = nd->ndm_state;
	if (mac && mnl_attr_get_payload_len(mac) == 6) {
		memcpy(e->mac, mnl_attr_get_payload(mac), 6);
		e->found = true;
	}
	return MNL_CB_OK;
}

static int
ask_neigh(struct netlink *nl, struct entry *e)
{
	struct ndmsg nd = {.ndm_family = family(e->dst), .ndm_ifindex = (int)e->index};
	struct nlmsghdr *nlh = netlink_request(nl, RTM_GETNEIGH, 0, &nd, sizeof nd);

	mnl_attr_put(nlh, NDA_DST, ipaddr_len(e->dst), e->dst->b);
	if (netlink_dump(nl, nlh, neigh_cb, e) == 0 || errno == ENOENT)
		return 0;
	if (errno != EOPNOTSUPP && errno != EINVAL)
		return -1;
	/* Before Linux 5.0 there is only the whole table. */
	nd = (struct ndmsg){.ndm_family = family(e->dst)};
	if (netlink_dump(nl, netlink_request(nl, RTM_GETNEIGH, NLM_F_DUMP, &nd, sizeof nd),
		neigh_cb, e) == 0 ||
	    errno == EINTR)
		return 0;
	return -1;
}

/* Have the kernel resolve or check it, as if it had a packet to send there. */
static int
poke(struct netlink *nl, const struct entry *e)
{
	struct ndmsg nd = {
	    .ndm_family = family(e->dst), .ndm_ifindex = (int)e->index, .ndm_flags = NTF_USE};
	struct nlmsghdr *nlh =
	    netlink_request(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &nd, sizeof nd);

	mnl_attr_put(nlh, NDA_DST, ipaddr_len(e->dst), e->dst->b);
	return netlink_talk(nl, nlh);
}

static int
resolve(struct netlink *nl, const char *tap, const struct ipaddr *dst, uint8_t mac[static 6])
{
	struct nic_link l;
	struct route r;
	struct entry e = {0};

	if (nic_link_get(nl, tap, &l) == -1)
		return -1;
	if (ask_route(nl, dst, &r) == -1) {
		if (errno == EHOSTUNREACH || errno == EACCES ||
		    errno == EINVAL) /* unreachable, prohibit, blackhole */
			errno = ENETUNREACH;
		return -1;
	}
	if (r.oif != l.index || (r.type != RTN_UNICAST && r.type != RTN_BROADCAST)) {
		errno = ENETUNREACH;
		return -1;
	}
	if (r.type == RTN_BROADCAST) {
		memset(mac, 0xff, 6);
		return 1;
	}
	e.dst = r.gw.af ? &r.gw : dst;
	e.index = l.index;
	if (ask_neigh(nl, &e) == -1)
		return -1;
	if (e.found && (e.state & KNOWN)) {
		memcpy(mac, e.mac, 6);
		if (e.state & CHECK)
			(void)poke(nl, &e);
		return 1;
	}
	return poke(nl, &e) == -1 ? -1 : 0;
}

int
neigh_resolve(int host_netns, const char *tap, const struct ipaddr *dst, uint8_t mac[static 6])
{
	static const struct ipaddr everybody = {.b = {255, 255, 255, 255}, .af = 4};
	struct netlink *nl;
	int r, e;

	if (dst->af != 4 && dst->af != 6) {
		errno = EINVAL;
		return -1;
	}
	if (ipaddr_multicast(dst)) {
		map_multicast(dst, mac);
		return 1;
	}
	if (ipaddr_eq(dst, &everybody)) {
		memset(mac, 0xff, 6);
		return 1;
	}
	if ((nl = netlink_open(host_netns, NETLINK_ROUTE, 0)) == NULL)
		return -1;
	r = resolve(nl, tap, dst, mac);
	e = errno;
	netlink_close(nl);
	errno = e;
	return r;
}
