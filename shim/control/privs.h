/*
 * What bitsd's two processes give up, for good.  The one that moves packets and listens to clients: everything, before it reads a packet: root,
 * every capability, the file system.  The warden: all capabilities but the few that taking a NIC over and over needs.  Both: the right to
 * gain new ones, and the system calls they have no use for.  A worker, which is what meets the octets of strangers, may besides do nothing
 * but use its descriptors.
 */
#ifndef BITS_PRIVS_H
#define BITS_PRIVS_H

#include <stddef.h>
#include "lowuser.h"

/** privs_warden(): for the process that keeps some.  What the kernel cannot do is told by a warning, except that capabilities which stay
 * make it fail: 0, or -1 and errno. */
int privs_warden(void);

/**
 * privs_drop(u, root):
 * For the other one, while it has one thread: becomes ${u} in the directory ${root} (a descriptor, which it closes; -1: the file system
 * stays), without a capability; workers made later are held to their own list.  Who is not root has nothing to give up but system
 * calls.  As above: 0, or -1 and errno.
 */
int privs_drop(const struct lowuser *u, int root);

/** privs_kept(buf, cap): what is left, for the log: "CAP_NET_ADMIN, ...; N system calls", "no capability; ...". */
void privs_kept(char *buf, size_t cap);

/** privs_worker(): the calling thread is a worker.  Does nothing before privs_drop().  0, or -1 and errno. */
int privs_worker(void);

#endif
