/*
 * The bed of the NIC tests: a host's namespace with eth0, one end of a veth, the other end on a "wire" namespace.  The test itself
 * works in the host's namespace.  All names hold the pid, so that runs do not meet; bed_down() leaves nothing.
 */
#ifndef NICBED_H
#define NICBED_H

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "netns.h"
#include "nic.h"
#include "tapflags.h"

static struct {
	char host[32], wire[32], priv[32], dir[64];
	int self, host_fd, wire_fd;
	struct nic_opts o;
	char why[512];
} bed;

/* Run a shell command in the host's namespace; its exit status. */
static int __attribute__((format(printf, 1, 2))) sh(const char *fmt, ...)
{
	char cmd[8192];
	va_list ap;
	int st;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	st = system(cmd);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 255;
}

/* All it prints; to be freed. */
static char *__attribute__((format(printf, 1, 2))) out(const char *fmt, ...)
{
	char cmd[4096], *text = NULL;
	size_t len = 0, n;
	va_list ap;
	FILE *p, *m;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	p = popen(cmd, "r");
	m = open_memstream(&text, &len);
	while ((n = fread(cmd, 1, sizeof cmd, p)) > 0)
		fwrite(cmd, 1, n, m);
	fclose(m);
	pclose(p);
	return text;
}

static inline bool
until(bool (*cond)(void), int ms)
{
	struct timespec t = {.tv_nsec = 10000000};

	for (; ms > 0; ms -= 10) {
		if (cond())
			return true;
		nanosleep(&t, NULL);
	}
	return cond();
}

static int
bed_up(void **state)
{
	static int n;
	int pid = (int)getpid();

	n++;
	snprintf(bed.host, sizeof bed.host, "bitst-h%d-%d", pid, n);
	snprintf(bed.wire, sizeof bed.wire, "bitst-w%d-%d", pid, n);
	snprintf(bed.priv, sizeof bed.priv, "bitst-p%d-%d", pid, n);
	snprintf(bed.dir, sizeof bed.dir, "/tmp/bitst-%d-%d", pid, n);
	bed.o = (struct nic_opts){.name = "eth0", .netns = bed.priv, .state_dir = bed.dir};
	bed.self = netns_self();
	if (sh("ip netns add %s && ip netns add %s && ip -n %s link add eth0 type veth peer name "
	       "w0 netns %s",
		bed.host, bed.wire, bed.host, bed.wire) != 0)
		return -1;
	bed.host_fd = netns_open(bed.host);
	bed.wire_fd = netns_open(bed.wire);
	if (sh("ip -n %s link set w0 up && ip -n %s addr add 10.9.0.2/24 dev w0 && ip -n %s addr "
	       "add fd09::2/64 dev w0 nodad",
		bed.wire, bed.wire, bed.wire) != 0 ||
	    netns_enter(bed.host_fd) == -1)
		return -1;
	return sh("ip link set lo up");
}

static int
bed_down(void **state)
{
	(void)netns_enter(bed.self);
	close(bed.host_fd);
	close(bed.wire_fd);
	close(bed.self);
	(void)sh("ip netns del %s; ip netns del %s; ip netns del %s 2>/dev/null; rm -rf %s",
	    bed.host, bed.wire, bed.priv, bed.dir);
	return 0;
}

/* No address is tentative any more, and the wire end is up: link-local addresses are there. */
static inline bool
bed_settled(void)
{
	return sh("ip -6 addr show dev eth0 scope link | grep -q inet6 && ! ip -6 addr | grep -q "
		  "tentative") == 0;
}

/*
 * Everything the host sees of its network, as its tools tell it.  Out go what has to change: interface indices, and times that run.
 * ${tap}: also what tells a TAP without carrier from a NIC.
 */
static inline bool
bed_link(void)
{
	return sh("ip link show eth0 | grep -q 'state UP' || ip link show eth0 | grep -qv "
		  "'[<,]UP[,>]'") == 0;
}

static inline char *
bed_look(bool tap)
{
	return out(
	    "{ for d in lo eth0 other otherp; do ip addr show dev $d 2>/dev/null; done;"
	    " ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; ip nexthop;"
	    " ip neigh show nud permanent; ip neigh show proxy; ip -o link show eth0;"
	    " cd /proc/sys/net; for d in ipv4/conf ipv6/conf ipv4/neigh ipv6/neigh; do grep -r . "
	    "$d/eth0 2>/dev/null | sort; done; }"
	    " | sed -E -e 's/^[0-9]+: //' -e 's/@if[0-9]+//' -e 's/ link-netns(id)? [^ \\\\]+//' "
	    "-e 's/ [0-9]+sec/ Nsec/g' %s",
	    tap ? "-e 's/ qdisc [^ ]+//' -e 's/ state [A-Z]+//' -e 's/NO-CARRIER,//; "
		  "s/,LOWER_UP//' -e 's/ linkdown//g'"
		  " -e '/^multicast ff00/d'"
		: "");
}

/* Where the two differ is worth more than that they do. */
#define assert_looks(a, b)                                                                         \
	do {                                                                                       \
		if (strcmp(a, b) != 0) {                                                           \
			bed_diff(a, b);                                                            \
			fail_msg("the host sees a difference");                                    \
		}                                                                                  \
	} while (0)

static inline void
bed_diff(const char *a, const char *b)
{
	char path[2][64];
	const char *text[2] = {a, b};

	for (int i = 0; i < 2; i++) {
		FILE *f;

		snprintf(path[i], sizeof path[i], "/tmp/bitst-%d.%d", (int)getpid(), i);
		f = fopen(path[i], "w");
		fputs(text[i], f);
		fclose(f);
	}
	(void)sh("diff %s %s >&2; rm -f %s %s", path[0], path[1], path[0], path[1]);
}

static inline struct nic *
bed_take(void)
{
	struct nic *n = nic_take(&bed.o, bed.why, sizeof bed.why);

	if (!n)
		fail_msg("nic_take: %s", bed.why);
	return n;
}

static inline void
bed_give_back(struct nic *n)
{
	if (nic_give_back(n, bed.why, sizeof bed.why) == -1)
		fail_msg("nic_give_back: %s", bed.why);
	nic_free(n);
}

/* What must be gone when the NIC is back. */
static inline void
bed_nothing_left(void)
{
	char *left = out(
	    "ls /run/netns | grep -w %s; ls -A %s 2>/dev/null | grep .; ip -o link | grep -e -bits;"
	    " nft list tables | grep bits-guard; ip -d link show eth0 | grep 'tun type tap'",
	    bed.priv, bed.dir);

	assert_string_equal(left, "");
	free(left);
}

/* The TAP's carrier as an edge would turn it on; a descriptor to close. */
static inline int
bed_attach(void)
{
	struct ifreq ifr = {.ifr_name = "eth0", .ifr_flags = TAP_FLAGS};
	int fd = open(TAP_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

/* A host as most are. */
static const char bed_plain[] __attribute__((unused)) = "set -e\n"
							"ip link set eth0 up\n"
							"ip addr add 10.9.0.1/24 brd + dev eth0\n"
							"ip addr add fd09::1/64 dev eth0\n"
							"ip route add default via 10.9.0.254\n"
							"ip -6 route add default via fd09::254\n";

static inline void
bed_configure(const char *script)
{
	assert_int_equal(sh("%s", script), 0);
	assert_true(until(bed_settled, 5000));
}

#endif
