/*
 * Link messages: what a device is, and single changes to it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <net/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include "nic_int.h"

#define IF_OPER_UNKNOWN 0 /* linux/if.h does not go together with net/if.h */
#define IF_OPER_UP	6

static int
attr_u8(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) >= 1 ? mnl_attr_get_u8(a) : 0;
}

static unsigned
attr_u32(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : 0;
}

static void
attr_str(const struct nlattr *a, char *out, size_t cap)
{
	size_t n = mnl_attr_get_payload_len(a);

	snprintf(out, cap, "%.*s", (int)n, (const char *)mnl_attr_get_payload(a));
}

/* IFLA_LINKINFO: the kind, and of a TAP whether it is one and outlives its opener. */
static void
parse_linkinfo(const struct nlattr *info, struct nic_link *l)
{
	const struct nlattr *a, *data = NULL;

	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			attr_str(a, l->kind, sizeof l->kind);
		else if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	if (!data || strcmp(l->kind, "tun") != 0)
		return;
	mnl_attr_for_each_nested(a, data)
	{
		if (mnl_attr_get_type(a) == IFLA_TUN_TYPE)
			l->tap = attr_u8(a) == IFF_TAP;
		else if (mnl_attr_get_type(a) == IFLA_TUN_PERSIST)
			l->tap_persist = attr_u8(a) != 0;
	}
}

static void
parse_af_spec(const struct nlattr *spec, struct nic_link *l)
{
	const struct nlattr *af, *a;

	mnl_attr_for_each_nested(af, spec)
	{
		if (mnl_attr_get_type(af) != AF_INET6)
			continue;
		mnl_attr_for_each_nested(
		    a, af) if (mnl_attr_get_type(a) == IFLA_INET6_ADDR_GEN_MODE) l->addr_gen =
		    attr_u8(a);
	}
}

static void
parse_altnames(const struct nlattr *list, struct nic_link *l)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(
	    a, list) if (mnl_attr_get_type(a) == IFLA_ALT_IFNAME && l->nalt < NIC_ALTNAMES)
	    attr_str(a, l->alt[l->nalt++], NIC_ALTNAMELEN);
}

void
nic_link_parse(const struct nlmsghdr *nlh, struct nic_link *l)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;
	bool elsewhere = false;

	*l = (struct nic_link){.index = (unsigned)ifi->ifi_index,
	    .type = ifi->ifi_type,
	    .flags = ifi->ifi_flags,
	    .addr_gen = -1};
	mnl_attr_for_each(a, nlh, sizeof *ifi)
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			attr_str(a, l->name, sizeof l->name);
			break;
		case IFLA_ADDRESS:
			if (ifi->ifi_type == ARPHRD_ETHER && mnl_attr_get_payload_len(a) == 6) {
				l->ether = true;
				memcpy(l->mac, mnl_attr_get_payload(a), 6);
			}
			break;
		case IFLA_MTU:
			l->mtu = attr_u32(a);
			break;
		case IFLA_TXQLEN:
			l->txqlen = attr_u32(a);
			break;
		case IFLA_GROUP:
			l->group = attr_u32(a);
			break;
		case IFLA_MASTER:
			l->master = attr_u32(a);
			break;
		case IFLA_LINK:
			l->link = attr_u32(a);
			break;
		case IFLA_LINK_NETNSID:
			elsewhere = true;
			break;
		case IFLA_PROMISCUITY:
			l->promiscuity = attr_u32(a);
			break;
		case IFLA_CARRIER:
			l->carrier = attr_u8(a) != 0;
			break;
		case IFLA_OPERSTATE: /* IF_OPER_UP, IF_OPER_UNKNOWN (no driver's word on it) */
			l->running = attr_u8(a) == IF_OPER_UP || attr_u8(a) == IF_OPER_UNKNOWN;
			break;
		case IFLA_IFALIAS:
			attr_str(a, l->alias, sizeof l->alias);
			break;
		case IFLA_LINKINFO:
			parse_linkinfo(a, l);
			break;
		case IFLA_AF_SPEC:
			parse_af_spec(a, l);
			break;
		case IFLA_PROP_LIST:
			parse_altnames(a, l);
			break;
		}
	}
	l->link_here = l->link != 0 && !elsewhere;
}

static int
get_cb(const struct nlmsghdr *nlh, void *ctx)
{
	if (nlh->nlmsg_type == RTM_NEWLINK)
		nic_link_parse(nlh, ctx);
	return MNL_CB_OK;
}

int
nic_link_get(struct netlink *nl, const char *name, struct nic_link *l)
{
	struct nlmsghdr *nlh = netlink_request(nl, RTM_GETLINK, 0, NULL, sizeof(struct ifinfomsg));

	memset(l, 0, sizeof *l);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (netlink_dump(nl, nlh, get_cb, l) == -1)
		return -1;
	if (strcmp(l->name, name) != 0) {
		errno = ENODEV;
		return -1;
	}
	return 0;
}

int
nic_link_index(struct netlink *nl, unsigned index, struct nic_link *l)
{
	struct ifinfomsg ifi = {.ifi_index = (int)index};

	memset(l, 0, sizeof *l);
	if (netlink_dump(nl, netlink_request(nl, RTM_GETLINK, 0, &ifi, sizeof ifi), get_cb, l) ==
	    -1)
		return -1;
	return 0;
}

int
nic_link_list(struct netlink *nl, struct netlink_list *list)
{
	return netlink_collect(
	    nl, netlink_request(nl, RTM_GETLINK, NLM_F_DUMP, NULL, sizeof(struct ifinfomsg)), list);
}

static struct nlmsghdr *
change(struct netlink *nl, uint16_t type, unsigned index)
{
	struct ifinfomsg ifi = {.ifi_index = (int)index};

	return netlink_request(nl, type, 0, &ifi, sizeof ifi);
}

int
nic_link_flags(struct netlink *nl, unsigned index, unsigned flags, unsigned mask)
{
	struct ifinfomsg ifi = {
	    .ifi_index = (int)index, .ifi_flags = flags & mask, .ifi_change = mask};

	return netlink_talk(nl, netlink_request(nl, RTM_NEWLINK, 0, &ifi, sizeof ifi));
}

int
nic_link_move(struct netlink *nl, unsigned index, int netns, const char *name)
{
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index);

	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return netlink_talk(nl, nlh);
}

int
nic_link_rename(struct netlink *nl, unsigned index, const char *name)
{
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index);

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return netlink_talk(nl, nlh);
}

int
nic_link_mac(struct netlink *nl, unsigned index, const uint8_t mac[static 6])
{
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index);

	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	return netlink_talk(nl, nlh);
}

int
nic_link_u32(struct netlink *nl, unsigned index, uint16_t attr, uint32_t value)
{
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index);

	mnl_attr_put_u32(nlh, attr, value);
	return netlink_talk(nl, nlh);
}

int
nic_link_alias(struct netlink *nl, unsigned index, const char *alias)
{
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index);

	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	return netlink_talk(nl, nlh);
}

int
nic_link_altname(struct netlink *nl, unsigned index, const char *name, bool add)
{
	struct nlmsghdr *nlh = change(nl, add ? RTM_NEWLINKPROP : RTM_DELLINKPROP, index);
	struct nlattr *nest;

	if (add)
		nlh->nlmsg_flags |= NLM_F_CREATE | NLM_F_APPEND;
	nest = mnl_attr_nest_start(nlh, IFLA_PROP_LIST);
	mnl_attr_put_strz(nlh, IFLA_ALT_IFNAME, name);
	mnl_attr_nest_end(nlh, nest);
	return netlink_talk(nl, nlh);
}

int
nic_link_addr_gen(struct netlink *nl, unsigned index, int mode)
{
	struct nlmsghdr *nlh = change(nl, RTM_NEWLINK, index);
	struct nlattr *spec, *af;

	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	af = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, (uint8_t)mode);
	mnl_attr_nest_end(nlh, af);
	mnl_attr_nest_end(nlh, spec);
	return netlink_talk(nl, nlh);
}

int
nic_link_delete(struct netlink *nl, unsigned index)
{
	return netlink_talk(nl, change(nl, RTM_DELLINK, index));
}
