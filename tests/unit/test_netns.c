/* links: bits_control bits_base */
/* root */
/*
 * Named namespaces: what is made outlives its maker, also one with a mount namespace of its own (ip netns exec), and comes up without
 * IPv6 and with lo down.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>
#include "netns.h"

static char name[64], outer[64], self[4096];

/* Run a shell command; its exit status. */
static int __attribute__((format(printf, 1, 2))) sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;
	int st;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	st = system(cmd);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 255;
}

static int
clean(void **state)
{
	(void)sh("ip netns del %s 2>/dev/null; ip netns del %s 2>/dev/null; rm -f /run/netns/%s",
	    name, outer, name);
	return 0;
}

static void
test_create_is_tight(void **state)
{
	char buf[8] = "";
	int fd = netns_create(name), me = netns_self(), s, t;
	struct ifreq ifr = {.ifr_name = "lo"};

	assert_true(fd >= 0);
	assert_true(me >= 0);
	assert_false(netns_same(fd, me));
	assert_true(netns_same(fd, fd));
	/* a socket is made over there, and we stay where we are */
	s = netns_socket(fd, AF_INET, SOCK_DGRAM, 0);
	assert_true(s >= 0);
	assert_int_equal(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	assert_int_equal(ifr.ifr_flags & IFF_UP, 0);
	t = netns_self();
	assert_true(netns_same(t, me));
	close(t);
	close(s);
	/* what comes into it has no IPv6 */
	assert_int_equal(sh("ip -n %s link add v0 type veth peer name v1 && ip -n %s link set v0 "
			    "up && ip -n %s link set v1 up",
			     name, name, name),
	    0);
	assert_int_equal(sh("ip -n %s -6 addr | grep -q inet6", name), 1);
	assert_int_equal(netns_enter(fd), 0);
	t = open("/proc/sys/net/ipv6/conf/v0/disable_ipv6", O_RDONLY);
	assert_true(read(t, buf, sizeof buf) > 0);
	close(t);
	assert_int_equal(netns_enter(me), 0);
	assert_string_equal(buf, "1\n");
	close(fd);
	/* again: the same one */
	fd = netns_create(name);
	t = netns_open(name);
	assert_true(netns_same(fd, t));
	assert_int_equal(sh("ip -n %s link show v0 >/dev/null", name), 0);
	close(t);
	close(fd);
	close(me);
	assert_int_equal(netns_remove(name), 0);
	assert_int_equal(netns_open(name), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(netns_remove(name), -1);
}

static void
test_wrong_names(void **state)
{
	static const char *const bad[] = {"", "..", ".", "a/b", "../../etc/passwd"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(netns_create(bad[i]), -1);
		assert_int_equal(netns_open(bad[i]), -1);
		assert_int_equal(netns_remove(bad[i]), -1);
	}
}

/* A file without a mount is what a crash in the midst leaves: no namespace, and no obstacle. */
static void
test_half_made(void **state)
{
	int fd;

	assert_int_equal(sh("mkdir -p /run/netns && touch /run/netns/%s", name), 0);
	assert_int_equal(netns_open(name), -1);
	assert_int_equal(errno, ENOENT);
	fd = netns_create(name);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(netns_remove(name), 0);
}

/* Our own namespace is never tightened, whatever its name: the host would lose its IPv6. */
static void
test_not_our_own(void **state)
{
	int me = netns_self(), fd;

	assert_int_equal(sh("ip netns add %s", name), 0);
	fd = netns_open(name);
	assert_int_equal(netns_enter(fd), 0);
	assert_int_equal(netns_create(name), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(netns_enter(me), 0);
	close(fd);
	close(me);
	assert_int_equal(netns_remove(name), 0);
}

/* The child's part of test_survives: "create NAME", then wait to be killed. */
static int
maker(const char *ns)
{
	int fd = netns_create(ns);

	if (fd == -1 ||
	    sh("ip link add nsv0 type veth peer name nsv1 && ip link set nsv0 netns /proc/%d/fd/%d",
		getpid(), fd))
		return 1;
	printf("made\n");
	fflush(stdout);
	pause();
	return 0;
}

/* `ip netns exec` gives a mount namespace of its own; what is made there must be left when all its processes are dead. */
static void
test_survives(void **state)
{
	char line[16] = "";
	int p[2], st;
	pid_t pid;

	assert_int_equal(sh("ip netns add %s", outer), 0);
	assert_int_equal(pipe(p), 0);
	if ((pid = fork()) == 0) {
		dup2(p[1], 1);
		execlp("ip", "ip", "netns", "exec", outer, self, "create", name, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	assert_true(read(p[0], line, sizeof line - 1) > 0);
	assert_string_equal(line, "made\n");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	close(p[0]);
	assert_int_equal(sh("ip -n %s link show nsv0 >/dev/null", name), 0);
	assert_int_equal(sh("ip -n %s link show nsv1 >/dev/null", outer), 0);
	/* and can be removed from within such a mount namespace too */
	assert_int_equal(sh("ip netns exec %s %s remove %s", outer, self, name), 0);
	assert_int_equal(sh("test ! -e /run/netns/%s", name), 0);
}

/* A mount namespace without propagation (unshare -m): names are found, made and removed by way of pid 1. */
static void
test_private_mounts(void **state)
{
	assert_int_equal(sh("unshare -m --propagation private %s make %s", self, name), 0);
	assert_int_equal(sh("ip netns list | grep -qw %s", name), 0);
	assert_int_equal(sh("unshare -m --propagation private %s remove %s", self, name), 0);
	assert_int_equal(sh("test ! -e /run/netns/%s", name), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_create_is_tight, clean),
	    cmocka_unit_test_teardown(test_wrong_names, clean),
	    cmocka_unit_test_teardown(test_half_made, clean),
	    cmocka_unit_test_teardown(test_not_our_own, clean),
	    cmocka_unit_test_teardown(test_survives, clean),
	    cmocka_unit_test_teardown(test_private_mounts, clean),
	};

	if (argc == 3 && strcmp(argv[1], "create") == 0)
		return maker(argv[2]);
	if (argc == 3 && strcmp(argv[1], "make") == 0)
		return netns_create(argv[2]) == -1;
	if (argc == 3 && strcmp(argv[1], "remove") == 0)
		return netns_remove(argv[2]) == -1;
	if (geteuid() != 0)
		return 77;
	assert_non_null(realpath("/proc/self/exe", self));
	snprintf(name, sizeof name, "bitst-ns%d", getpid());
	snprintf(outer, sizeof outer, "bitst-ex%d", getpid());
	return cmocka_run_group_tests_name("netns", tests, NULL, NULL);
}
