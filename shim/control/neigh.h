/*
 * The next hop of an outer header: route of the host's namespace by way of the TAP, then its neighbour table.
 */
#ifndef BITS_NEIGH_H
#define BITS_NEIGH_H

#include <stdbool.h>
#include <stdint.h>
#include "addr.h"

/**
 * neigh_resolve(host_netns, tap, dst, mac):
 * The link address frames to ${dst} go to: asks the routing table (RTM_GETROUTE), then the neighbour table of the next hop on ${tap}; makes
 * the kernel find it out (NTF_USE) when it does not know or its knowledge is stale.  1: known, in ${mac}; 0: being looked for; -1 and
 * errno: no route by that device (ENETUNREACH), or netlink failed.  Multicast and broadcast destinations map without asking.
 */
int neigh_resolve(int host_netns, const char *tap, const struct ipaddr *dst, uint8_t mac[static 6]);

#endif
