/*
 * What the kernel says of a network device, asked when somebody wants to know.
 */
#ifndef BITS_DEVICE_H
#define BITS_DEVICE_H

#include "edge.h"

/**
 * device_caps(fd, name, c):
 * MTU, MAC and link of the device ${name} in the namespace of the socket ${fd}; what cannot be read stays zero.  The link is the
 * carrier itself: IFF_RUNNING follows it up to a second late.
 */
void device_caps(int fd, const char *name, struct edge_caps *c);

#endif
