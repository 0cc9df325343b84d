/*
 * The privileged side of AF_XDP: a program that hands every frame of a NIC to the socket of its first queue, and none to anybody else, the
 * kernel's stack included, also while no socket is there.
 *
 * The program hangs on the NIC by a descriptor (a BPF link, Linux 5.9): who holds that holds the program there, and when it goes, however
 * it goes, so does the program.
 */
#ifndef BITS_XDPPROG_H
#define BITS_XDPPROG_H

#include <stdbool.h>

/** xdpprog_load(): once, before bpf(2) is given up but for two of its commands (sysfilter.h).  0, or -1 and errno. */
int xdpprog_load(void);

/** xdpprog_socket(netns): an AF_XDP socket in ${netns} (-1: the caller's), which is from now on the one that gets the frames of the NIC it will be bound
 * to.  Descriptor, or -1 and errno. */
int xdpprog_socket(int netns);

/** xdpprog_hang(netns, ifindex, generic): the program onto the NIC, in its driver, or behind it where that knows nothing of XDP.  The link's
 * descriptor, or -1 and errno; EEXIST: another program is there. */
int xdpprog_hang(int netns, unsigned ifindex, bool generic);

#endif
