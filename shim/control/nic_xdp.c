/*
 * Can AF_XDP do with this NIC as it is (--lower xdp)?  Sentences for people; changes nothing: what is not so is the administrator's to set.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "netns.h"
#include "nic_int.h"
#include "xsk.h"

/* The driver's answer to the request at ${data}.  -1: it knows nothing of that. */
static int
ask(int fd, const char *name, void *data)
{
	struct ifreq ifr = {.ifr_data = data};

	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	return ioctl(fd, SIOCETHTOOL, &ifr);
}

/* Queues that it receives by. */
static unsigned
queues(int fd, const char *name)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

	if (ask(fd, name, &c) == -1)
		return 1;
	return c.combined_count + c.rx_count;
}

/* Does it take VLAN tags off the frames? */
static bool
strips(int fd, const char *name)
{
	struct ethtool_value v = {.cmd = ETHTOOL_GFLAGS};

	return ask(fd, name, &v) == 0 && (v.data & ETH_FLAG_RXVLAN);
}

int
nic_xdp_check(int netns, const char *name, unsigned mtu, char *why, size_t cap)
{
	int fd = netns_socket(netns, AF_INET, SOCK_DGRAM, 0);
	unsigned n;
	bool tags;

	if (fd == -1)
		return nic_why(
		    why, cap, "%s: no socket to ask about it: %s", name, strerror(errno));
	n = queues(fd, name);
	tags = strips(fd, name);
	close(fd);
	errno = EOPNOTSUPP;
	if (mtu > XSK_MTU)
		return nic_why(why, cap,
		    "%s: --lower xdp takes packets of up to %u octets, and its MTU is %u: set "
		    "that lower, or say --lower packet",
		    name, XSK_MTU, mtu);
	if (n > 1)
		return nic_why(why, cap,
		    "%s: --lower xdp reads one queue, and it has %u: ethtool -L %s combined 1, "
		    "or say --lower packet",
		    name, n, name);
	if (tags)
		return nic_why(why, cap,
		    "%s: it takes VLAN tags off, and --lower xdp would not see that there was "
		    "one: ethtool -K %s rxvlan off, or say --lower packet",
		    name, name);
	return 0;
}
