/*
 * An AF_XDP socket with its memory and its four rings: what needs no privilege.  The memory is this process's, in chunks of which each holds a
 * frame: some go round between fill and receive ring, the others are ours until they are sent.
 */
#ifndef BITS_XSK_H
#define BITS_XSK_H

#include <stdbool.h>
#include <stdint.h>
#include "xskring.h"

#define XSK_RECV 2048 /* chunks, and entries of the two rings; fewer where the limit of locked memory asks for it */
#define XSK_SEND 512

/* A chunk is half a page or one: more is not possible without huge ones.  XDP keeps room before a frame (XDP_PACKET_HEADROOM), and there are link header
 * and two tags besides the packet. */
#define XSK_CHUNK_MAX	   4096u
#define XSK_MTU_OF(chunk)  ((chunk)-256u - 14u - 2 * 4u)
#define XSK_MTU		   XSK_MTU_OF(XSK_CHUNK_MAX)
#define XSK_CHUNK_FOR(mtu) ((mtu) <= XSK_MTU_OF(XSK_CHUNK_MAX / 2) ? XSK_CHUNK_MAX / 2 : XSK_CHUNK_MAX)

enum { XSK_FILL, XSK_DONE, XSK_RX, XSK_TX, XSK_RINGS };

struct xsk {
	int fd; /* -1: none */
	uint8_t *memory;
	uint64_t size; /* of it */
	uint32_t chunk, nrecv, nsend;
	struct xskring ring[XSK_RINGS];
	void *map[XSK_RINGS]; /* which keep the socket open, as long as they are there */
	uint64_t len[XSK_RINGS];
	uint64_t free[XSK_SEND]; /* chunks to send from */
	uint32_t nfree;
	bool zerocopy;
};

/** xsk_none(x): ${x} is closed. */
void xsk_none(struct xsk *x);

/** xsk_open(x, fd, chunk): takes the socket ${fd}, gives it memory in chunks of ${chunk} octets and rings, and all it may fill.  0; or -1 and errno, and
 * ${x} is closed. */
int xsk_open(struct xsk *x, int fd, uint32_t chunk);

/** xsk_bind(x, ifindex, copy): to the NIC's first queue, without copies where the driver can and ${copy} does not forbid it.  0, or -1 and errno.  May
 * wait some tenths of a second until an earlier socket has let go of the queue. */
int xsk_bind(struct xsk *x, unsigned ifindex, bool copy);
void xsk_close(struct xsk *x);

/** xsk_lost(x): frames thrown away by the kernel for want of room in memory, ring or chunk.  Any thread. */
uint64_t xsk_lost(const struct xsk *x);

/** xsk_reap(x): chunks that have been sent are free again. */
void xsk_reap(struct xsk *x);

#endif
