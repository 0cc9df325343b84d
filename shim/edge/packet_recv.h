/*
 * The way in of the AF_PACKET edge: bursts from one to three sockets, or from one with a ring (rxring.h).
 *
 * A frame is read straight into a pool slot, a super-frame too; its VLAN tag is put back, and what its sender left to do goes along
 * with it.
 */
#ifndef BITS_PACKET_RECV_H
#define BITS_PACKET_RECV_H

#include <stdbool.h>
#include <stdint.h>
#include "edge.h"

/* Opaque types. */
struct packet_recv;

/** packet_recv_new(): NULL and ENOMEM.  Opens nothing. */
struct packet_recv *packet_recv_new(void);
void packet_recv_free(struct packet_recv *r);

/** packet_recv_ring(r): ${r} is to have a ring; before the first packet_recv_open(). */
void packet_recv_ring(struct packet_recv *r);

/** packet_recv_share(r, first): ${r} is one of several that share what comes in, ${first} among them; as edge_packet_share(). */
void packet_recv_share(struct packet_recv *r, const struct packet_recv *first);

/** packet_recv_open(r, o, all): the sockets, by ${o}: one for all frames (a ring always is), or one for each of IPv4, IPv6, the rest.  0, or -1
 * and errno, with those opened so far left for packet_recv_close(). */
int packet_recv_open(struct packet_recv *r, const struct edge_opener *o, bool all);
void packet_recv_close(struct packet_recv *r);

/** packet_recv_drain(r): throw away what waits. */
void packet_recv_drain(struct packet_recv *r);

/** packet_recv_burst(r, pool, b, max): as edge_ops.recv_burst. */
int packet_recv_burst(struct packet_recv *r, struct pktpool *pool, struct burst *b, unsigned max);

int packet_recv_fds(const struct packet_recv *r, int *fd, int max);

/** packet_recv_look(r): as edge_ops.look, now and then: -1 when the ring stands still. */
int packet_recv_look(struct packet_recv *r);

/** packet_recv_lost(r): frames the kernel threw away because a socket's buffer was full.  Any thread. */
uint64_t packet_recv_lost(struct packet_recv *r);

#endif
