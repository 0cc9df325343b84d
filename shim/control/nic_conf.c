/*
 * What the host knows about a device, read from one and loaded onto another.
 */
#include <errno.h>
#include <string.h>
#include <linux/if_link.h>
#include "log.h"
#include "nic_int.h"

/* Flags an administrator sets; IFF_UP has its own place in the order. */
#define CONF_FLAGS (IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST)

void
nic_conf_free(struct nic_conf *c)
{
	netlink_list_free(&c->addr);
	netlink_list_free(&c->route);
	netlink_list_free(&c->neigh);
	nic_sysctl_free(&c->sysctl);
	memset(&c->link, 0, sizeof c->link);
}

int
nic_conf_save(struct netlink *nl, const char *name, struct nic_conf *c)
{
	nic_conf_free(c);
	if (nic_link_get(nl, name, &c->link) == -1 ||
	    nic_addr_save(nl, c->link.index, &c->addr) == -1 ||
	    nic_route_save(nl, c->link.index, &c->addr, &c->route) == -1 ||
	    nic_neigh_save(nl, c->link.index, &c->neigh) == -1 ||
	    nic_sysctl_save(name, c->link.mtu, &c->sysctl) == -1)
		return -1;
	return 0;
}

/* What the device itself has: its address is the caller's business. */
static int
load_link(
    struct netlink *nl, unsigned index, const struct nic_link *now, const struct nic_link *want)
{
	if (now->txqlen != want->txqlen && nic_link_u32(nl, index, IFLA_TXQLEN, want->txqlen) == -1)
		return -1;
	if (now->group != want->group && nic_link_u32(nl, index, IFLA_GROUP, want->group) == -1)
		return -1;
	if (strcmp(now->alias, want->alias) != 0 && nic_link_alias(nl, index, want->alias) == -1)
		return -1;
	for (int i = 0; i < want->nalt; i++)
		if (nic_link_altname(nl, index, want->alt[i], true) == -1 && errno != EEXIST)
			return -1;
	return nic_link_flags(nl, index, want->flags, CONF_FLAGS);
}

/*
 * The order: settings before the device comes up, or the kernel acts on the wrong ones; no link-local address by the kernel's own hand while
 * ours come (it would be tentative); addresses before the routes that prefer them.
 */
int
nic_conf_load(struct netlink *nl, unsigned index, const struct nic_conf *c, uint32_t age, char *why,
    size_t cap)
{
	struct nic_link now;
	int missing;

	if (nic_link_index(nl, index, &now) == -1)
		return nic_why(why, cap, "the device is gone: %s", strerror(errno));
	if (load_link(nl, index, &now, &c->link) == -1)
		return nic_why(why, cap, "a link setting cannot be set: %s", netlink_why(nl));
	nic_step();
	if (nic_sysctl_load(now.name, now.mtu, &c->sysctl) == -1)
		return nic_why(why, cap, "settings cannot be set: %s", strerror(errno));
	nic_step();
	if (c->link.addr_gen >= 0 && nic_link_addr_gen(nl, index, IN6_ADDR_GEN_MODE_NONE) == -1)
		log_debug("nic", "%s: no address generation mode: %s", now.name, netlink_why(nl));
	if (nic_link_flags(nl, index, c->link.flags, IFF_UP) == -1)
		return nic_why(why, cap, "it cannot be set %s: %s",
		    c->link.flags & IFF_UP ? "up" : "down", netlink_why(nl));
	nic_step();
	if (nic_addr_load(nl, index, &c->addr, age, why, cap) == -1)
		return -1;
	nic_step();
	if (c->link.addr_gen >= 0 && nic_link_addr_gen(nl, index, c->link.addr_gen) == -1)
		log_debug("nic", "%s: no address generation mode: %s", now.name, netlink_why(nl));
	if ((missing = nic_route_load(nl, index, &c->addr, &c->route, age)) == -1)
		return nic_why(why, cap, "routes cannot be set: %s", strerror(errno));
	nic_step();
	if (nic_neigh_load(nl, index, &c->neigh, false) == -1)
		return nic_why(why, cap, "neighbours cannot be set: %s", strerror(errno));
	return missing;
}
