/*
 * Can this NIC be taken?  Sentences for people; changes nothing.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/rtnetlink.h>
#include "netns.h"
#include "nic_int.h"
#include "tapflags.h"

#ifndef SIOCGIWNAME
#define SIOCGIWNAME 0x8B01 /* linux/wireless.h does not go together with net/if.h */
#endif

/* "lo, eth0" */
static void
names(struct netlink *nl, char *out, size_t cap)
{
	struct netlink_list all = {0};
	const struct nlmsghdr *m = NULL;
	struct nic_link l;
	size_t n = 0;

	out[0] = 0;
	if (nic_link_list(nl, &all) == 0)
		while ((m = netlink_list_next(&all, m)) != NULL && n < cap) {
			nic_link_parse(m, &l);
			n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", l.name);
		}
	netlink_list_free(&all);
}

/* The device that has ${name} as another name. */
static bool
alternative(struct netlink *nl, const char *name, struct nic_link *l)
{
	struct netlink_list all = {0};
	const struct nlmsghdr *m = NULL;
	bool found = false;

	if (nic_link_list(nl, &all) == 0)
		while (!found && (m = netlink_list_next(&all, m)) != NULL) {
			nic_link_parse(m, l);
			for (int i = 0; i < l->nalt; i++)
				found |= strcmp(l->alt[i], name) == 0;
		}
	netlink_list_free(&all);
	return found;
}

static bool
exists(const char *name, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, file);
	return access(path, F_OK) == 0;
}

/*
 * By wireless extensions (kernels without them answer nothing); else by /sys, where that shows the device and not one of the same
 * name in another namespace: it belongs to the namespace it was mounted in.
 */
static bool
wireless(const struct nic_link *l)
{
	char path[PATH_MAX], text[16] = "";
	struct ifreq ifr = {0};
	int s = netns_socket(-1, AF_INET, SOCK_DGRAM, 0), fd;
	bool yes;

	if (s == -1)
		return false;
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", l->name);
	yes = ioctl(s, SIOCGIWNAME, &ifr) == 0;
	close(s);
	if (yes)
		return true;
	snprintf(path, sizeof path, "/sys/class/net/%s/ifindex", l->name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	yes = read(fd, text, sizeof text - 1) > 0;
	close(fd);
	snprintf(path, sizeof path, "%u\n", l->index);
	return yes && strcmp(text, path) == 0 &&
	       (exists(l->name, "phy80211") || exists(l->name, "wireless"));
}

/* A device that sends through ${index} from above the NIC would walk around the bump when the NIC has moved away below it. */
static bool
stacked(struct netlink *nl, unsigned index, char *kind, char *name)
{
	static const char *const kinds[] = {
	    "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"};
	struct netlink_list all = {0};
	const struct nlmsghdr *m = NULL;
	struct nic_link l;
	bool found = false;

	if (nic_link_list(nl, &all) == 0)
		while (!found && (m = netlink_list_next(&all, m)) != NULL) {
			nic_link_parse(m, &l);
			for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
				found |=
				    l.link_here && l.link == index && strcmp(l.kind, kinds[i]) == 0;
		}
	netlink_list_free(&all);
	if (found) {
		memcpy(kind, l.kind, IFNAMSIZ);
		memcpy(name, l.name, IFNAMSIZ);
	}
	return found;
}

static int
check_tun(const char *name, char *why, size_t cap)
{
	int fd = open(TAP_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return nic_why(why, cap,
		    errno == EACCES || errno == EPERM
			? "%s: may not be opened (%s): run as root, and allow the container the "
			  "device"
			: "no %s (%s): modprobe tun, or give the container the device",
		    TAP_DEVICE, strerror(errno));
	close(fd);
	return 0;
}

static int
check_link(struct netlink *nl, const struct nic_link *l, char *why, size_t cap)
{
	char kind[IFNAMSIZ], name[IFNAMSIZ];
	struct nic_link master;

	if (l->flags & IFF_LOOPBACK)
		return nic_why(why, cap,
		    "%s: the loopback device carries nothing to protect; name the NIC", l->name);
	if (wireless(l))
		return nic_why(why, cap,
		    "%s: wireless NICs cannot be bumped: their frames and keys belong to one "
		    "station; use a "
		    "wired NIC",
		    l->name);
	if (l->master) {
		if (nic_link_index(nl, l->master, &master) == -1)
			snprintf(master.name, sizeof master.name, "%u", l->master);
		return nic_why(why, cap,
		    "%s: enslaved to %s: name %s instead, or take it out (ip link set %s nomaster)",
		    l->name, master.name, master.name, l->name);
	}
	if (!l->ether)
		return nic_why(
		    why, cap, "%s: not an Ethernet device (link type %u)", l->name, l->type);
	if (l->tap && l->tap_persist)
		return nic_why(why, cap,
		    "%s: a persistent TAP, not a NIC; if an earlier bitsd made it, start with the "
		    "same state "
		    "directory and NIC namespace",
		    l->name);
	if (stacked(nl, l->index, kind, name))
		return nic_why(why, cap,
		    "%s: %s device %s on top of it would go on sending around the bump: delete it, "
		    "and make "
		    "it again on %s when bitsd runs",
		    l->name, kind, name, l->name);
	return 0;
}

int
nic_check(const struct nic_opts *o, char *why, size_t cap)
{
	struct nic n;
	struct nic_link l;
	char list[512];
	int r = -1;

	if (nic_init(&n, o, why, cap) == -1)
		return -1;
	/* Taken before: there is no NIC in its place, and that is right. */
	(void)nic_save_load(&n, &n.st, why, cap);
	if (nic_place_look(&n, why, cap) == -1)
		goto out;
	if (n.lower_index) {
		r = check_tun(n.name, why, cap);
		goto out;
	}
	if (nic_link_get(n.host, o->name, &l) == 0) {
		if ((r = check_link(n.host, &l, why, cap)) == 0)
			r = check_tun(n.name, why, cap);
		if (r == 0 && o->lower == LOWER_XDP)
			r = nic_xdp_check(-1, n.name, l.mtu, why, cap);
	} else if (alternative(n.host, o->name, &l)) {
		nic_why(why, cap, "%s: another name of %s: say %s", o->name, l.name, l.name);
	} else {
		names(n.host, list, sizeof list);
		nic_why(why, cap, "%s: no such NIC; there are: %s", o->name, list);
	}
out:
	nic_fini(&n);
	return r;
}
