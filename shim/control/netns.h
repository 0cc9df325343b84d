/*
 * Named network namespaces, the way ip-netns(8) makes them: a bind mount below /run/netns, so that the namespace outlives every
 * process.
 *
 * The mount is made in the mount namespace of pid 1 where that is another one: a daemon started under `ip netns exec` has a mount
 * namespace of its own, and a mount made there would die with it, and the NIC in it with that (fail open).  For the same
 * reason names are opened by way of /proc/1/root first.  Where pid 1 may not be looked at, the oldest ancestor that may takes
 * its place; where there is none, our own mount namespace has to do.
 */
#ifndef BITS_NETNS_H
#define BITS_NETNS_H

#include <stdbool.h>

/** netns_open(name): a descriptor (CLOEXEC) of the named namespace, or -1 and errno (ENOENT: there is none). */
int netns_open(const char *name);

/** netns_self(): a descriptor of the calling thread's network namespace. */
int netns_self(void);

/** netns_create(name): makes it if it is not there, with lo down and IPv6 off by default; descriptor or -1 and errno. */
int netns_create(const char *name);

/** netns_remove(name): unmounts and unlinks the name; the namespace goes when nobody holds it.  0, or -1 and errno. */
int netns_remove(const char *name);

/** netns_enter(fd): the calling thread works in that namespace from now on; 0, or -1 and errno. */
int netns_enter(int fd);

/** netns_same(a, b): are the two descriptors one namespace? */
bool netns_same(int a, int b);

/** netns_socket(fd, domain, type, protocol): a socket made in that namespace (-1: this one), the calling thread stays where it is. */
int netns_socket(int fd, int domain, int type, int protocol);

#endif
