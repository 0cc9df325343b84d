/*
 * Routes of every table but "local" (the kernel's own) that the device, or an address of it, carries.
 *
 * They are loaded until a pass over the rest makes no more progress, so that on-link routes come before the gateways they lead to
 * in whatever order they were read; what the kernel put there by itself and the host did not have (a connected route the
 * host's manager had removed) goes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include "log.h"
#include "nic_int.h"

#define ROUTE_MAX 16384 /* octets of one message; a multipath route of 100 legs is 3 KB */

static const struct nlattr *
attr(const struct nlmsghdr *m, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, m, sizeof(struct rtmsg)) if (mnl_attr_get_type(a) == type) return a;
	return NULL;
}

static uint32_t
attr_u32(const struct nlmsghdr *m, uint16_t type)
{
	const struct nlattr *a = attr(m, type);

	return a && mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : 0;
}

/* Does a leg of multipath route ${m} go out by ${index}? */
static bool
has_leg(const struct nlattr *mp, unsigned index)
{
	const struct rtnexthop *h = mnl_attr_get_payload(mp);
	int len = mnl_attr_get_payload_len(mp);

	for (; RTNH_OK(h, len); len -= (int)NLMSG_ALIGN(h->rtnh_len), h = RTNH_NEXT(h))
		if ((unsigned)h->rtnh_ifindex == index)
			return true;
	return false;
}

static bool
ours(const struct nlmsghdr *m, unsigned index, const struct netlink_list *addr,
    const struct netlink_list *nh)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
	uint32_t table = attr(m, RTA_TABLE) ? attr_u32(m, RTA_TABLE) : rt->rtm_table;
	const struct nlattr *a;

	if (m->nlmsg_type != RTM_NEWROUTE || m->nlmsg_len > ROUTE_MAX / 2 ||
	    table == RT_TABLE_LOCAL || (rt->rtm_flags & RTM_F_CLONED) ||
	    (rt->rtm_family != AF_INET && rt->rtm_family != AF_INET6))
		return false;
	if (attr_u32(m, RTA_OIF) == index ||
	    ((a = attr(m, RTA_MULTIPATH)) != NULL && has_leg(a, index)))
		return true;
	if (attr(m, RTA_NH_ID) && nic_nexthop_has(nh, attr_u32(m, RTA_NH_ID)))
		return true;
	/* A route of another device that prefers an address of this one as its source goes with the address. */
	a = attr(m, RTA_PREFSRC);
	return a && nic_addr_has(
			addr, rt->rtm_family, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
}

/* RTA_MULTIPATH with the legs' state taken out and leg ${from} written as ${to}. */
static void
put_multipath(struct nlmsghdr *nlh, const struct nlattr *mp, unsigned from, unsigned to)
{
	uint8_t buf[ROUTE_MAX / 2];
	size_t n = mnl_attr_get_payload_len(mp);
	struct rtnexthop *h = (void *)buf;
	int len = (int)n;

	if (n > sizeof buf)
		return;
	memcpy(buf, mnl_attr_get_payload(mp), n);
	for (; RTNH_OK(h, len); len -= (int)NLMSG_ALIGN(h->rtnh_len), h = RTNH_NEXT(h)) {
		h->rtnh_flags &= RTNH_F_ONLINK;
		if ((unsigned)h->rtnh_ifindex == from)
			h->rtnh_ifindex = (int)to;
	}
	mnl_attr_put(nlh, RTA_MULTIPATH, n, buf);
}

/* What a read route says of its end, as what a new one is told: s, or 0. */
static uint32_t
expires(const struct nlmsghdr *m)
{
	const struct nlattr *a = attr(m, RTA_CACHEINFO);
	struct rta_cacheinfo ci;
	long hz = sysconf(_SC_CLK_TCK);

	if (!a || mnl_attr_get_payload_len(a) < sizeof ci)
		return 0;
	memcpy(&ci, mnl_attr_get_payload(a), sizeof ci);
	return ci.rta_expires > 0 ? (uint32_t)ci.rta_expires / (uint32_t)hz + 1 : 0;
}

/* In ${buf}, ROUTE_MAX octets: a request that makes ${m} again, device ${from} written as ${to}.  RTA_EXPIRES comes last. */
static struct nlmsghdr *
fill(void *buf, const struct nlmsghdr *m, unsigned from, unsigned to, uint32_t end)
{
	bool object = attr(m, RTA_NH_ID) != NULL;
	const struct nlattr *a;
	struct nlmsghdr *nlh;
	struct rtmsg *rt;

	/* libmnl leaves what pads an attribute as it is, and same() compares that too */
	memset(buf, 0, 2 * (size_t)m->nlmsg_len);
	nlh = mnl_nlmsg_put_header(buf);
	rt = mnl_nlmsg_put_extra_header(nlh, sizeof *rt);
	*rt = *(const struct rtmsg *)mnl_nlmsg_get_payload(m);
	rt->rtm_flags &= RTNH_F_ONLINK;
	nlh->nlmsg_type = RTM_NEWROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	/*
	 * IPv4: behind others of the same destination and metric.  IPv6: where other legs of a multipath route are left they
	 * are a route of their own now, which this one has to replace.
	 */
	if (rt->rtm_family == AF_INET)
		nlh->nlmsg_flags |= NLM_F_APPEND;
	else if (attr(m, RTA_MULTIPATH))
		nlh->nlmsg_flags |= NLM_F_REPLACE;
	mnl_attr_for_each(a, m, sizeof *rt)
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_CACHEINFO:
		case RTA_EXPIRES:
			break;
		case RTA_OIF:
			if (!object)
				mnl_attr_put_u32(nlh, RTA_OIF,
				    mnl_attr_get_u32(a) == from ? to : mnl_attr_get_u32(a));
			break;
		case RTA_MULTIPATH:
			if (!object)
				put_multipath(nlh, a, from, to);
			break;
		case RTA_GATEWAY:
		case RTA_VIA:
		case RTA_ENCAP:
		case RTA_ENCAP_TYPE:
			if (object)
				break;
			/* fallthrough */
		default:
			mnl_attr_put(
			    nlh, a->nla_type, mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
		}
	}
	if (end)
		mnl_attr_put_u32(nlh, RTA_EXPIRES, end);
	return nlh;
}

/* Only the routes.  Nexthop objects of the device are in ${nh}. */
static int
save(struct netlink *nl, unsigned index, const struct netlink_list *addr,
    const struct netlink_list *nh, struct netlink_list *out)
{
	struct netlink_list all = {0};
	const struct nlmsghdr *m = NULL;
	uint8_t *buf = malloc(ROUTE_MAX);
	int r = buf ? 0 : -1;

	if (r == 0)
		r = netlink_collect(nl,
		    netlink_request(nl, RTM_GETROUTE, NLM_F_DUMP, NULL, sizeof(struct rtmsg)),
		    &all);
	while (r == 0 && (m = netlink_list_next(&all, m)) != NULL)
		if (ours(m, index, addr, nh))
			r = netlink_list_add(out, fill(buf, m, index, 0, expires(m)));
	netlink_list_free(&all);
	free(buf);
	return r;
}

int
nic_route_save(
    struct netlink *nl, unsigned index, const struct netlink_list *addr, struct netlink_list *out)
{
	struct netlink_list nh = {0};
	const struct nlmsghdr *m = NULL;
	int r;

	out->len = 0;
	r = nic_nexthop_save(nl, index, &nh);
	while (r == 0 && (m = netlink_list_next(&nh, m)) != NULL)
		r = netlink_list_add(out, m);
	if (r == 0)
		r = save(nl, index, addr, &nh, out);
	netlink_list_free(&nh);
	return r;
}

/* Two saved routes, apart from when they end. */
static bool
same(const struct nlmsghdr *a, const struct nlmsghdr *b)
{
	const struct nlattr *ea = attr(a, RTA_EXPIRES), *eb = attr(b, RTA_EXPIRES);
	size_t la = ea ? (size_t)((const uint8_t *)ea - (const uint8_t *)a) : a->nlmsg_len;
	size_t lb = eb ? (size_t)((const uint8_t *)eb - (const uint8_t *)b) : b->nlmsg_len;

	return la == lb && memcmp(mnl_nlmsg_get_payload(a), mnl_nlmsg_get_payload(b),
			       la - MNL_NLMSG_HDRLEN) == 0;
}

static bool
in(const struct netlink_list *l, const struct nlmsghdr *route)
{
	const struct nlmsghdr *m = NULL;

	while ((m = netlink_list_next(l, m)) != NULL)
		if (m->nlmsg_type == RTM_NEWROUTE && same(m, route))
			return true;
	return false;
}

/* "10.1.0.0/16 table 254", for the log. */
static const char *
describe(const struct nlmsghdr *m, char *out, size_t cap)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
	const struct nlattr *dst;
	char ip[INET6_ADDRSTRLEN] = "default";

	if (m->nlmsg_type == RTM_NEWNEXTHOP) {
		snprintf(out, cap, "nexthop object");
		return out;
	}
	dst = attr(m, RTA_DST);
	if (dst)
		inet_ntop(rt->rtm_family, mnl_attr_get_payload(dst), ip, sizeof ip);
	snprintf(out, cap, "route %s/%u of table %u", ip, rt->rtm_dst_len, attr_u32(m, RTA_TABLE));
	return out;
}

/* One try at ${m}: 0 done, -1 not (yet) and errno. */
static int
put_back(struct netlink *nl, uint8_t *buf, const struct nlmsghdr *m, unsigned index, uint32_t age)
{
	uint32_t end;

	if (m->nlmsg_len > ROUTE_MAX / 2) {
		errno = EMSGSIZE;
		return -1;
	}
	if (m->nlmsg_type == RTM_NEWNEXTHOP)
		return netlink_talk(nl, nic_nexthop_fill(buf, m, 0, index));
	end = attr_u32(m, RTA_EXPIRES);
	if (end && end <= age)
		return 0;
	if (netlink_talk(nl, fill(buf, m, 0, index, end ? end - age : 0)) == 0 || errno == EEXIST)
		return 0;
	return -1;
}

/*
 * The last try.  A gateway that was on link when its route was made need not be so by now (its prefix has gone): a route to the
 * gateway stands in while the route is made.
 */
static int
put_back_by_hand(
    struct netlink *nl, uint8_t *buf, const struct nlmsghdr *m, unsigned index, uint32_t age)
{
	const struct rtmsg *old = mnl_nlmsg_get_payload(m);
	const struct nlattr *gw = m->nlmsg_type == RTM_NEWROUTE ? attr(m, RTA_GATEWAY) : NULL;
	struct rtmsg rt = {.rtm_family = old->rtm_family,
	    .rtm_table = RT_TABLE_MAIN,
	    .rtm_protocol = RTPROT_STATIC,
	    .rtm_scope = RT_SCOPE_LINK,
	    .rtm_type = RTN_UNICAST};
	struct nlmsghdr *nlh;
	int r, e;

	if (!gw || !attr(m, RTA_OIF) || attr_u32(m, RTA_OIF) != 0)
		return put_back(nl, buf, m, index, age);
	rt.rtm_dst_len = (unsigned char)(8 * mnl_attr_get_payload_len(gw));
	nlh = netlink_request(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rt, sizeof rt);
	mnl_attr_put(nlh, RTA_DST, mnl_attr_get_payload_len(gw), mnl_attr_get_payload(gw));
	mnl_attr_put_u32(nlh, RTA_OIF, index);
	if (netlink_talk(nl, nlh) == -1)
		return put_back(nl, buf, m, index, age);
	r = put_back(nl, buf, m, index, age);
	e = errno;
	nlh = netlink_request(nl, RTM_DELROUTE, 0, &rt, sizeof rt);
	mnl_attr_put(nlh, RTA_DST, mnl_attr_get_payload_len(gw), mnl_attr_get_payload(gw));
	mnl_attr_put_u32(nlh, RTA_OIF, index);
	(void)netlink_talk(nl, nlh);
	errno = e;
	return r;
}

/* Pass after pass over what ${have} does not have, while any makes progress.  How many are left over; -1 and errno. */
static int
add(struct netlink *nl, unsigned index, const struct netlink_list *want,
    const struct netlink_list *have, uint8_t *buf, uint32_t age)
{
	size_t n = 0, i, before, open;
	const struct nlmsghdr *m;
	char text[128], *done;
	int left = 0;

	for (m = NULL; (m = netlink_list_next(want, m)) != NULL;)
		n++;
	if ((done = calloc(1, n + 1)) == NULL)
		return -1;
	for (before = n + 1, open = n; open > 0 && open < before;) {
		before = open;
		open = 0;
		for (m = NULL, i = 0; (m = netlink_list_next(want, m)) != NULL; i++) {
			if (done[i])
				continue;
			if ((m->nlmsg_type == RTM_NEWROUTE && in(have, m)) ||
			    put_back(nl, buf, m, index, age) == 0)
				done[i] = 1;
			else
				open++;
		}
	}
	for (m = NULL, i = 0; (m = netlink_list_next(want, m)) != NULL; i++)
		if (!done[i] && put_back_by_hand(nl, buf, m, index, age) == -1) {
			/* refused without carrier; they are tried again when there is one */
			if (m->nlmsg_type == RTM_NEWNEXTHOP || attr(m, RTA_NH_ID))
				log_debug("nic", "%s waits: %s", describe(m, text, sizeof text),
				    netlink_why(nl));
			else
				log_warnx("nic: %s cannot be set: %s",
				    describe(m, text, sizeof text), netlink_why(nl));
			left++;
		}
	free(done);
	return left;
}

int
nic_route_late(struct netlink *nl, unsigned index, const struct netlink_list *list)
{
	struct netlink_list objects = {0}, none = {0};
	uint8_t *buf = malloc(ROUTE_MAX);
	int r = buf ? nic_route_objects(list, &objects) : -1;

	if (r == 0)
		r = add(nl, index, &objects, &none, buf, 0);
	netlink_list_free(&objects);
	free(buf);
	return r;
}

int
nic_route_objects(const struct netlink_list *list, struct netlink_list *out)
{
	const struct nlmsghdr *m = NULL;

	while ((m = netlink_list_next(list, m)) != NULL)
		if ((m->nlmsg_type == RTM_NEWNEXTHOP || attr(m, RTA_NH_ID)) &&
		    netlink_list_add(out, m) == -1)
			return -1;
	return 0;
}

int
nic_route_flush(struct netlink *nl, unsigned index)
{
	struct netlink_list none = {0}, mine = {0};
	const struct nlmsghdr *m = NULL;
	uint8_t *buf = malloc(ROUTE_MAX);
	int r = buf ? save(nl, index, &none, &none, &mine) : -1;

	while (r == 0 && (m = netlink_list_next(&mine, m)) != NULL) {
		struct nlmsghdr *del = fill(buf, m, 0, index, 0);

		del->nlmsg_type = RTM_DELROUTE;
		del->nlmsg_flags = NLM_F_REQUEST;
		if (netlink_talk(nl, del) == -1 && errno != ESRCH)
			r = -1;
	}
	netlink_list_free(&mine);
	free(buf);
	return r;
}

int
nic_route_load(struct netlink *nl, unsigned index, const struct netlink_list *addr,
    const struct netlink_list *want, uint32_t age)
{
	struct netlink_list have = {0}, nh = {0};
	const struct nlmsghdr *m;
	uint8_t *buf = malloc(ROUTE_MAX);
	char text[128];
	int r = -1;

	if (!buf || nic_nexthop_save(nl, index, &nh) == -1 ||
	    save(nl, index, addr, &nh, &have) == -1)
		goto out;
	for (m = NULL; (m = netlink_list_next(&have, m)) != NULL;) {
		const struct rtmsg *rt = mnl_nlmsg_get_payload(m);

		if (rt->rtm_protocol != RTPROT_KERNEL || in(want, m))
			continue;
		struct nlmsghdr *del = fill(buf, m, 0, index, 0);

		del->nlmsg_type = RTM_DELROUTE;
		del->nlmsg_flags = NLM_F_REQUEST;
		if (netlink_talk(nl, del) == -1 && errno != ESRCH)
			log_warnx("nic: %s cannot be removed: %s", describe(m, text, sizeof text),
			    netlink_why(nl));
	}
	r = add(nl, index, want, &have, buf, age);
out:
	netlink_list_free(&have);
	netlink_list_free(&nh);
	free(buf);
	return r;
}
