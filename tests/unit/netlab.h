/*
 * For tests that need root: a network namespace of the test's own, gone with its process; commands in it.
 */
#ifndef BITS_TEST_NETLAB_H
#define BITS_TEST_NETLAB_H

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs a command; its exit status. */
static inline int __attribute__((format(printf, 1, 2)))
lab(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	return system(cmd);
}

static inline int
lab_self(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* 77 (skip) where namespaces cannot be made; with loopback up and IPv6's own chatter off otherwise. */
static inline int
lab_enter(void)
{
	if (geteuid() != 0) {
		puts("skipped: needs root");
		return 77;
	}
	if (unshare(CLONE_NEWNET) == -1) {
		perror("skipped: unshare");
		return 77;
	}
	return lab("ip link set lo up && sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
}

/* Waits until the command succeeds; false after 3 s. */
static inline bool
lab_wait(const char *cmd)
{
	for (int i = 0; i < 60; i++) {
		if (lab("%s", cmd) == 0)
			return true;
		usleep(50000);
	}
	return false;
}

/* Is ${fd} readable within ${ms}? */
static inline bool
lab_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

#endif
