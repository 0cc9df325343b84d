/*
 * Nexthop objects (ip-nexthop(8)) through the device.  They go when the device goes, and the routes that name them with them.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include "nic_int.h"

static uint32_t
attr_u32(const struct nlmsghdr *m, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, m,
	    sizeof(struct nhmsg)) if (mnl_attr_get_type(a) == type &&
				      mnl_attr_get_payload_len(a) >= 4) return mnl_attr_get_u32(a);
	return 0;
}

bool
nic_nexthop_has(const struct netlink_list *l, uint32_t id)
{
	const struct nlmsghdr *m = NULL;

	while ((m = netlink_list_next(l, m)) != NULL)
		if (m->nlmsg_type == RTM_NEWNEXTHOP && attr_u32(m, NHA_ID) == id)
			return true;
	return false;
}

/* Is one of ${l} a member of group ${m}? */
static bool
group_of(const struct nlmsghdr *m, const struct netlink_list *l)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, m, sizeof(struct nhmsg))
	{
		const struct nexthop_grp *g = mnl_attr_get_payload(a);

		if (mnl_attr_get_type(a) != NHA_GROUP)
			continue;
		for (size_t i = 0; i < mnl_attr_get_payload_len(a) / sizeof *g; i++)
			if (nic_nexthop_has(l, g[i].id))
				return true;
	}
	return false;
}

/* NHA_RES_GROUP without what can only be read. */
static void
put_resilient(struct nlmsghdr *nlh, const struct nlattr *res)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, NHA_RES_GROUP);
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, res) if (mnl_attr_get_type(a) != NHA_RES_GROUP_UNBALANCED_TIME)
	    mnl_attr_put(
		nlh, mnl_attr_get_type(a), mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
	mnl_attr_nest_end(nlh, nest);
}

/* A request in ${buf} that makes ${m} again, device ${from} written as ${to}. */
struct nlmsghdr *
nic_nexthop_fill(void *buf, const struct nlmsghdr *m, unsigned from, unsigned to)
{
	const struct nlattr *a;
	struct nlmsghdr *nlh;
	struct nhmsg *h;

	memset(buf, 0, 2 * (size_t)m->nlmsg_len);
	nlh = mnl_nlmsg_put_header(buf);
	h = mnl_nlmsg_put_extra_header(nlh, sizeof *h);
	*h = *(const struct nhmsg *)mnl_nlmsg_get_payload(m);
	h->nh_scope = 0; /* the kernel finds it out, and refuses to be told */
	h->nh_flags &= RTNH_F_ONLINK;
	nlh->nlmsg_type = RTM_NEWNEXTHOP;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;
	mnl_attr_for_each(a, m, sizeof *h)
	{
		switch (mnl_attr_get_type(a)) {
		case NHA_OIF:
			mnl_attr_put_u32(
			    nlh, NHA_OIF, mnl_attr_get_u32(a) == from ? to : mnl_attr_get_u32(a));
			break;
		case NHA_RES_GROUP:
			put_resilient(nlh, a);
			break;
		case NHA_ID:
		case NHA_GROUP:
		case NHA_GROUP_TYPE:
		case NHA_GATEWAY:
		case NHA_ENCAP:
		case NHA_ENCAP_TYPE:
			mnl_attr_put(
			    nlh, a->nla_type, mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
			break;
		}
	}
	return nlh;
}

int
nic_nexthop_save(struct netlink *nl, unsigned index, struct netlink_list *out)
{
	struct netlink_list all = {0};
	const struct nlmsghdr *m;
	uint8_t buf[4096];
	int r;

	r = netlink_collect(
	    nl, netlink_request(nl, RTM_GETNEXTHOP, NLM_F_DUMP, NULL, sizeof(struct nhmsg)), &all);
	if (r == -1 &&
	    (errno == EOPNOTSUPP || errno == EINVAL)) /* before Linux 5.3 there are none */
		r = 0;
	for (m = NULL; r == 0 && (m = netlink_list_next(&all, m)) != NULL;)
		if (m->nlmsg_len <= sizeof buf / 2 && attr_u32(m, NHA_OIF) == index)
			r = netlink_list_add(out, nic_nexthop_fill(buf, m, index, 0));
	for (m = NULL; r == 0 && (m = netlink_list_next(&all, m)) != NULL;)
		if (m->nlmsg_len <= sizeof buf / 2 && group_of(m, out))
			r = netlink_list_add(out, nic_nexthop_fill(buf, m, index, 0));
	netlink_list_free(&all);
	return r;
}
