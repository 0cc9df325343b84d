/*
 * Descriptors made in another network namespace.  A socket (and an open /dev/net/tun) belongs for ever to the namespace its
 * maker was in, so the calling thread goes there for the one call and comes back; other threads are not touched.  A thread
 * that cannot come back must not go on in the wrong place: that is fatal().
 */
#ifndef BITS_NSSOCK_H
#define BITS_NSSOCK_H

/** nssock_enter(netns), nssock_leave(back): for what is neither: the calling thread goes there, and comes back with what the first returned, a descriptor
 * (-1 and errno: it stayed).  errno survives the way back. */
int nssock_enter(int netns);
void nssock_leave(int back);

/** nssock_socket(netns, domain, type, protocol): socket(2) in the namespace ${netns} (a descriptor; -1: the caller's). */
int nssock_socket(int netns, int domain, int type, int protocol);

/** nssock_open(netns, path, flags): open(2) there. */
int nssock_open(int netns, const char *path, int flags);

#endif
