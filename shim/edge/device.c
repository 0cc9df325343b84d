#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include "device.h"

static int
ask(int fd, const char *name, unsigned long request, struct ifreq *ifr)
{
	size_t len = strnlen(name, IFNAMSIZ - 1);

	memset(ifr->ifr_name, 0, sizeof ifr->ifr_name);
	memcpy(ifr->ifr_name, name, len);
	return ioctl(fd, request, ifr);
}

static bool
carrier(int fd, const char *name)
{
	struct ethtool_value v = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {0};
	bool running;

	if (ask(fd, name, SIOCGIFFLAGS, &ifr) == -1 || !(ifr.ifr_flags & IFF_UP))
		return false;
	running = ifr.ifr_flags & IFF_RUNNING;
	ifr.ifr_data = (void *)&v;
	return ask(fd, name, SIOCETHTOOL, &ifr) == 0 ? v.data != 0 : running;
}

void
device_caps(int fd, const char *name, struct edge_caps *c)
{
	struct ifreq ifr = {0};

	if (ask(fd, name, SIOCGIFMTU, &ifr) == 0)
		c->mtu = (uint32_t)ifr.ifr_mtu;
	if (ask(fd, name, SIOCGIFHWADDR, &ifr) == 0)
		memcpy(c->mac, ifr.ifr_hwaddr.sa_data, sizeof c->mac);
	c->link = carrier(fd, name);
}
