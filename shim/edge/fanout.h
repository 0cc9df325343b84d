/*
 * Which worker gets a frame from the wire (PACKET_FANOUT with a program): packets of one SA come to one worker, by their SPI, so that its
 * window stays in one processor's cache; ESP in UDP on RFC 3948's port too, and on others by the flow, which is the peer's.  Anything else by
 * addresses and ports.  Fragments by addresses alone, so that those of a datagram meet; what they are put together to may belong to an
 * SA of another worker (sa_lock()).
 */
#ifndef BITS_FANOUT_H
#define BITS_FANOUT_H

#include <linux/filter.h>

#define FANOUT_NEW  (-1)
#define FANOUT_NONE (-2)

/** fanout_join(fd, group): the bound packet socket ${fd} joins ${group}, or a new one whose number is then there (FANOUT_NEW).  Sockets of a group are
 * for the same frames.  0, or -1 and errno: the kernel cannot. */
int fanout_join(int fd, int *group);

/** fanout_program(n): its ${n} instructions.  A frame begins with its network header, and the number that comes out is taken modulo the number of
 * sockets, in the order in which they joined. */
const struct sock_filter *fanout_program(unsigned *n);

#endif
