/*
 * What bitsd gives up before it reads a packet: all capabilities but the few that taking a NIC over and over needs, the right to gain new
 * ones, and the system calls it has no use for.  A worker, which is what meets the octets of strangers, keeps no capability at all, and
 * nothing but its descriptors.
 */
#ifndef BITS_PRIVS_H
#define BITS_PRIVS_H

#include <stddef.h>

/** privs_drop(): for the whole process and for good; workers made later are held to their own list.  What the kernel cannot do is told
 * by a warning, except that capabilities which stay make it fail: 0, or -1 and errno. */
int privs_drop(void);

/** privs_kept(buf, cap): what privs_drop() left, for the log: "CAP_NET_ADMIN, ...; N system calls, M in a worker". */
void privs_kept(char *buf, size_t cap);

/** privs_worker(): the calling thread is a worker.  Does nothing before privs_drop().  0, or -1 and errno. */
int privs_worker(void);

#endif
