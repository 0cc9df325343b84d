/*
 * The state file <state_dir>/<nic>.<host namespace>.nic: JSON, one document; what netlink said is kept in hexadecimal as it was
 * said.  The namespace, by its inode, is part of the name because NICs of two of them may have one name.
 *
 * It is written beside and renamed over, and only of use until the next boot: then the NIC is where it was, and its
 * configuration comes from where the host has it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include "bootid.h"
#include "log.h"
#include "nic_int.h"

#define SAVE_VERSION 1

static const char *const phase_name[] = {[NIC_NONE] = "none",
    [NIC_MOVING] = "moving",
    [NIC_GUARDING] = "guarding",
    [NIC_TAKEN] = "taken",
    [NIC_GIVING] = "giving"};
static const char *const way_name[] = {[NIC_MOVED] = "moved", [NIC_GUARDED] = "guarded"};

static json_t *
hex_of(const void *data, size_t len)
{
	const uint8_t *p = data;
	char *s = malloc(2 * len + 1);
	json_t *j = NULL;

	if (!s)
		return NULL;
	for (size_t i = 0; i < len; i++)
		snprintf(s + 2 * i, 3, "%02x", p[i]);
	s[2 * len] = 0;
	j = json_string(s);
	free(s);
	return j;
}

/* Octets written as hex into ${out}; their number, or -1: not hex, or more than ${cap}. */
static ssize_t
hex_to(const char *s, uint8_t *out, size_t cap)
{
	size_t n = strlen(s);
	unsigned v;

	if (n % 2 || n / 2 > cap || strspn(s, "0123456789abcdef") != n)
		return -1;
	for (size_t i = 0; i < n / 2; i++) {
		sscanf(s + 2 * i, "%2x", &v);
		out[i] = (uint8_t)v;
	}
	return (ssize_t)(n / 2);
}

static json_t *
list_json(const struct netlink_list *l)
{
	const struct nlmsghdr *m = NULL;
	json_t *a = json_array();

	while (a && (m = netlink_list_next(l, m)) != NULL)
		if (json_array_append_new(a, hex_of(m, m->nlmsg_len)) == -1) {
			json_decref(a);
			return NULL;
		}
	return a;
}

/* The header that a message of that kind begins with. */
static size_t
head_of(uint16_t type)
{
	switch (type) {
	case RTM_NEWADDR:
		return sizeof(struct ifaddrmsg);
	case RTM_NEWNEXTHOP:
		return sizeof(struct nhmsg);
	case RTM_NEWROUTE:
		return sizeof(struct rtmsg);
	default:
		return sizeof(struct ndmsg);
	}
}

/* Messages of ${kind} or ${other} and no others. */
static int
list_from(const json_t *a, uint16_t kind, uint16_t other, struct netlink_list *l)
{
	_Alignas(struct nlmsghdr) uint8_t buf[32768];
	struct nlmsghdr *m = (void *)buf;
	const json_t *v;
	size_t i;

	json_array_foreach(a, i, v)
	{
		ssize_t n = json_is_string(v) ? hex_to(json_string_value(v), buf, sizeof buf) : -1;

		if (n < (ssize_t)sizeof *m || m->nlmsg_len != (size_t)n ||
		    (m->nlmsg_type != kind && m->nlmsg_type != other) ||
		    (size_t)n < sizeof *m + head_of(m->nlmsg_type) || netlink_list_add(l, m) == -1)
			return -1;
	}
	return 0;
}

static json_t *
link_json(const struct nic_link *l)
{
	json_t *alt = json_array();

	for (int i = 0; i < l->nalt; i++)
		json_array_append_new(alt, json_string(l->alt[i]));
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:i, s:s, s:o}", "mac", hex_of(l->mac, 6),
	    "flags", (json_int_t)l->flags, "mtu", (json_int_t)l->mtu, "txqlen",
	    (json_int_t)l->txqlen, "group", (json_int_t)l->group, "addr_gen", l->addr_gen, "alias",
	    l->alias, "altnames", alt);
}

static int
link_from(json_t *j, struct nic_link *l)
{
	json_int_t flags, mtu, txqlen, group;
	const char *mac, *alias;
	json_t *alt, *v;
	size_t i;

	if (json_unpack(j, "{s:s, s:I, s:I, s:I, s:I, s:i, s:s, s:o}", "mac", &mac, "flags", &flags,
		"mtu", &mtu, "txqlen", &txqlen, "group", &group, "addr_gen", &l->addr_gen, "alias",
		&alias, "altnames", &alt) == -1 ||
	    hex_to(mac, l->mac, 6) != 6)
		return -1;
	l->flags = (unsigned)flags;
	l->mtu = (unsigned)mtu;
	l->txqlen = (unsigned)txqlen;
	l->group = (unsigned)group;
	snprintf(l->alias, sizeof l->alias, "%s", alias);
	json_array_foreach(alt, i, v) if (json_is_string(v) && l->nalt < NIC_ALTNAMES)
	    snprintf(l->alt[l->nalt++], NIC_ALTNAMELEN, "%s", json_string_value(v));
	return 0;
}

static json_t *
state_json(const struct nic *n)
{
	const struct nic_state *st = &n->st;
	json_t *sysctl = json_array();
	char boot[BOOTID_LEN];

	(void)bootid(boot);
	for (size_t i = 0; i < st->conf.sysctl.n; i++)
		json_array_append_new(sysctl, json_string(st->conf.sysctl.line[i]));
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o}",
	    "version", SAVE_VERSION, "boot", boot, "nic", n->name, "netns", n->netns, "phase",
	    phase_name[st->phase], "way", way_name[st->way], "lower", st->lower, "saved_ms",
	    (json_int_t)st->saved_ms, "link", link_json(&st->conf.link), "addresses",
	    list_json(&st->conf.addr), "routes", list_json(&st->conf.route), "neighbours",
	    list_json(&st->conf.neigh), "sysctl", sysctl);
}

/* ${text} is on the disk, under its name, when this returns 0. */
static int
write_file(const struct nic *n, const char *text)
{
	char tmp[PATH_MAX + 8];
	size_t len = strlen(text), off = 0;
	int fd, dir, r = 0, e;

	snprintf(tmp, sizeof tmp, "%s.new", n->file);
	if ((fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		return -1;
	while (off < len && r == 0) {
		ssize_t w = write(fd, text + off, len - off);

		if (w >= 0)
			off += (size_t)w;
		else if (errno != EINTR)
			r = -1;
	}
	if (r == 0)
		r = fsync(fd);
	e = errno;
	close(fd);
	if (r == 0 && (r = rename(tmp, n->file)) == -1)
		e = errno;
	if (r == -1) {
		unlink(tmp);
		errno = e;
		return -1;
	}
	if ((dir = open(n->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) != -1) {
		(void)fsync(dir);
		close(dir);
	}
	return 0;
}

/* Files of an earlier boot of namespaces that are gone: they would never be looked at again. */
static void
tidy(const struct nic *n)
{
	const char *own = strrchr(n->file, '/') + 1, *id;
	size_t len = strlen(n->name);
	char path[PATH_MAX], boot[BOOTID_LEN];
	struct dirent *e;
	json_t *j;
	DIR *d;

	if (bootid(boot) == -1 || (d = opendir(n->dir)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		const char *number = e->d_name + len + 1;

		if (strncmp(e->d_name, n->name, len) != 0 || e->d_name[len] != '.' ||
		    strcmp(number + strspn(number, "0123456789"), ".nic") != 0 ||
		    strcmp(e->d_name, own) == 0 ||
		    (size_t)snprintf(path, sizeof path, "%s/%s", n->dir, e->d_name) >= sizeof path)
			continue;
		j = json_load_file(path, 0, NULL);
		if (j && json_unpack(j, "{s:s}", "boot", &id) == 0 && strcmp(id, boot) != 0)
			(void)unlink(path);
		json_decref(j);
	}
	closedir(d);
}

int
nic_save_store(const struct nic *n, char *why, size_t cap)
{
	json_t *j = state_json(n);
	char *text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;
	int r = -1;

	json_decref(j);
	if (!text)
		return nic_why(why, cap, "%s: no memory for the state", n->name);
	if (mkdir(n->dir, 0700) == -1 && errno != EEXIST)
		nic_why(why, cap, "%s: state directory %s: %s", n->name, n->dir, strerror(errno));
	else if (write_file(n, text) == -1)
		nic_why(why, cap, "%s: state file %s: %s", n->name, n->file, strerror(errno));
	else
		r = 0;
	if (r == 0 && (n->st.phase == NIC_MOVING || n->st.phase == NIC_GUARDING))
		tidy(n);
	free(text);
	return r;
}

static int
find(const char *const *names, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], s) == 0)
			return (int)i;
	return -1;
}

static int
state_from(json_t *j, struct nic_state *st)
{
	json_t *link, *addr, *route, *neigh, *sysctl, *v;
	const char *phase, *way, *lower;
	json_int_t saved;
	int p, w;
	size_t i;

	if (json_unpack(j, "{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "phase", &phase, "way",
		&way, "lower", &lower, "saved_ms", &saved, "link", &link, "addresses", &addr,
		"routes", &route, "neighbours", &neigh, "sysctl", &sysctl) == -1 ||
	    (p = find(phase_name, sizeof phase_name / sizeof *phase_name, phase)) == -1 ||
	    (w = find(way_name, sizeof way_name / sizeof *way_name, way)) == -1 ||
	    strlen(lower) >= IFNAMSIZ)
		return -1;
	st->phase = (enum nic_phase)p;
	st->way = (enum nic_way)w;
	st->saved_ms = (uint64_t)saved;
	snprintf(st->lower, sizeof st->lower, "%s", lower);
	if (link_from(link, &st->conf.link) == -1 ||
	    list_from(addr, RTM_NEWADDR, RTM_NEWADDR, &st->conf.addr) == -1 ||
	    list_from(route, RTM_NEWROUTE, RTM_NEWNEXTHOP, &st->conf.route) == -1 ||
	    list_from(neigh, RTM_NEWNEIGH, RTM_NEWNEIGH, &st->conf.neigh) == -1)
		return -1;
	json_array_foreach(sysctl, i,
	    v) if (!json_is_string(v) ||
		   nic_sysctl_add(&st->conf.sysctl, json_string_value(v)) == -1) return -1;
	return 0;
}

int
nic_save_load(const struct nic *n, struct nic_state *st, char *why, size_t cap)
{
	char boot[BOOTID_LEN];
	const char *id, *netns;
	json_error_t err;
	json_t *j;
	int version;

	*st = (struct nic_state){.phase = NIC_NONE};
	if (access(n->file, F_OK) == -1)
		return -1;
	if ((j = json_load_file(n->file, JSON_REJECT_DUPLICATES, &err)) == NULL) {
		nic_why(
		    why, cap, "%s: state file %s cannot be read: %s", n->name, n->file, err.text);
		errno = EINVAL;
		return -1;
	}
	if (json_unpack(j, "{s:i, s:s, s:s}", "version", &version, "boot", &id, "netns", &netns) ==
		-1 ||
	    version != SAVE_VERSION)
		goto bad;
	if (bootid(boot) == 0 && strcmp(boot, id) != 0) {
		json_decref(j);
		errno = ENOENT;
		return -1;
	}
	if (strcmp(netns, n->netns) != 0) {
		nic_why(why, cap,
		    "%s: taken into namespace %s, not %s (--nic-netns): give it back there first",
		    n->name, netns, n->netns);
		json_decref(j);
		errno = EINVAL;
		return -1;
	}
	if (state_from(j, st) == -1)
		goto bad;
	json_decref(j);
	return 0;
bad:
	nic_why(why, cap, "%s: state file %s is not one of this version's", n->name, n->file);
	json_decref(j);
	nic_conf_free(&st->conf);
	*st = (struct nic_state){.phase = NIC_NONE};
	errno = EINVAL;
	return -1;
}

int
nic_save_remove(const struct nic *n)
{
	return unlink(n->file) == -1 && errno != ENOENT ? -1 : 0;
}
