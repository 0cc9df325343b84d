/*
 * Neighbour entries an administrator made: permanent ones, and proxies.  What ARP and ND found out is found out again.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include "log.h"
#include "nic_int.h"

static struct nlmsghdr *
fill(struct netlink *nl, const struct nlmsghdr *m, unsigned index)
{
	struct ndmsg nd = *(const struct ndmsg *)mnl_nlmsg_get_payload(m);
	const struct nlattr *a;
	struct nlmsghdr *nlh;

	nd.ndm_ifindex = (int)index;
	nlh = netlink_request(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &nd, sizeof nd);
	mnl_attr_for_each(a, m, sizeof nd) if (mnl_attr_get_type(a) != NDA_CACHEINFO &&
					       mnl_attr_get_type(a) != NDA_PROBES)
	    mnl_attr_put(nlh, a->nla_type, mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
	return nlh;
}

/* One of the two tables: ordinary entries (${flags} 0) or proxies (NTF_PROXY). */
static int
save(struct netlink *nl, unsigned index, uint8_t flags, struct netlink_list *out)
{
	struct ndmsg ask = {.ndm_flags = flags};
	struct netlink_list all = {0};
	const struct nlmsghdr *m = NULL;
	int r = netlink_collect(
	    nl, netlink_request(nl, RTM_GETNEIGH, NLM_F_DUMP, &ask, sizeof ask), &all);

	while (r == 0 && (m = netlink_list_next(&all, m)) != NULL) {
		const struct ndmsg *nd = mnl_nlmsg_get_payload(m);

		if ((unsigned)nd->ndm_ifindex != index ||
		    (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6))
			continue;
		if ((nd->ndm_flags & NTF_PROXY) == flags &&
		    (flags || (nd->ndm_state & NUD_PERMANENT)))
			r = netlink_list_add(out, fill(nl, m, 0));
	}
	netlink_list_free(&all);
	return r;
}

int
nic_neigh_save(struct netlink *nl, unsigned index, struct netlink_list *out)
{
	out->len = 0;
	return save(nl, index, 0, out) == 0 && save(nl, index, NTF_PROXY, out) == 0 ? 0 : -1;
}

int
nic_neigh_load(struct netlink *nl, unsigned index, const struct netlink_list *in, bool proxies_only)
{
	const struct nlmsghdr *m = NULL;

	while ((m = netlink_list_next(in, m)) != NULL) {
		const struct ndmsg *nd = mnl_nlmsg_get_payload(m);

		if (proxies_only && !(nd->ndm_flags & NTF_PROXY))
			continue;
		if (netlink_talk(nl, fill(nl, m, index)) == -1 && errno != EEXIST)
			log_warnx("nic: a neighbour entry cannot be set: %s", netlink_why(nl));
	}
	return 0;
}
