/*
 * AF_PACKET sockets of the lower edge: which frames each sees, and the options both kinds need.
 *
 * What the kernel does with VLAN tags decides the filters: a tag is stripped before any socket sees the frame.  A socket for
 * all protocols gets the tag in PACKET_AUXDATA; a socket for one protocol gets the frame as if it never had one, marked for
 * another host when the VLAN id is not 0 (we have no VLAN devices), and as an ordinary frame when it is 0 (a priority tag).
 */
#ifndef BITS_PKSOCK_H
#define BITS_PKSOCK_H

#include <stdbool.h>

enum pksock_take {
	PKSOCK_IP4,   /* untagged (or priority tagged) IPv4 */
	PKSOCK_IP6,   /* the same for IPv6 */
	PKSOCK_REST,  /* everything the two above do not get: ARP, LLDP, tagged frames, ... */
	PKSOCK_ALL,   /* every frame */
};

/**
 * pksock_receive(netns, ifindex, take):
 * A non-blocking socket that hands out those frames of the NIC, each behind a vnet header, tags in auxiliary data; none sent
 * by ourselves, none for other hosts.  Descriptor, or -1 and errno.
 */
int pksock_receive(int netns, int ifindex, enum pksock_take take);

/** pksock_ring(netns, ifindex): the same for every frame, in a ring as rxring.h has it. */
int pksock_ring(int netns, int ifindex);

/** pksock_ask(netns, ifindex): one that neither receives nor sends: as long as it is there, the NIC takes every multicast. */
int pksock_ask(int netns, int ifindex);

/** pksock_index(fd): number of the NIC that a socket of these is bound to; -1 and errno, ENODEV: it is gone (its number is then no longer the
 * socket's, and the kernel does not say so otherwise).  Any thread. */
int pksock_index(int fd);

/** pksock_gone(fd): is that NIC gone? */
bool pksock_gone(int fd);

/** pksock_send(netns, ifindex): a non-blocking socket that only sends, past the queueing discipline. */
int pksock_send(int netns, int ifindex);

/** pksock_send_whole(netns, ifindex): the same, for frames behind a vnet header.  These go by the queueing discipline: past it, the kernel
 * throws away what it would have to cut itself. */
int pksock_send_whole(int netns, int ifindex);

#endif
