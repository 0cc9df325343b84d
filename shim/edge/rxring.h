/*
 * The kernel's receive ring of a packet socket (TPACKET_V2): a slot a frame, in memory that kernel and we share, so frames come without a system
 * call.  Version 3 gathers frames in blocks, and one that comes alone waits for its block's timeout.
 *
 * A frame longer than a slot (a super-frame, a jumbo) is cut in its slot and lies whole in the socket's own queue: one message there for each
 * such slot, in order.  That holds as long as each is read when its slot's turn comes, and never else.
 *
 * A frame for which the kernel has no vnet header (a super-frame of SCTP, or of UDP fragments from a virtual machine) makes it lose its place: from
 * then on it throws every frame away (tpacket_rcv() keeps the slot's bit in rx_owner_map; so at least up to Linux 6.18).  packet_recv_look() notices.
 */
#ifndef BITS_RXRING_H
#define BITS_RXRING_H

#include <stdbool.h>
#include <stdint.h>

#define RXRING_SLOT  2048 /* octets, of which 76 are the kernel's */
#define RXRING_SLOTS 4096 /* a power of two */

struct rxring {
	uint8_t *map; /* NULL: none */
	uint32_t at;  /* number of the slot whose turn it is, counted through; atomic */
};

/* What is in a slot. */
struct rxring_frame {
	const uint8_t *vnet; /* VNET_HLEN octets; NULL: none */
	const uint8_t *data;
	uint32_t len;
	uint16_t tpid, tci; /* a stripped VLAN tag; tpid 0: there was none */
	bool queued;	    /* it is longer, and whole in the socket's queue */
	bool cut;	    /* it is longer, and the rest is lost */
};

/** rxring_set(fd): a packet socket that has its other options and is not bound yet gets a ring.  0, or -1 and errno. */
int rxring_set(int fd);

/** rxring_map(r, fd): ${r} is the ring of ${fd}.  0, or -1 and errno. */
int rxring_map(struct rxring *r, int fd);

/** rxring_unmap(r): before the socket is closed, which it otherwise is not. */
void rxring_unmap(struct rxring *r);

/** rxring_peek(r, f): the frame whose turn it is; false: it has not come.  It stays there until rxring_next(). */
bool rxring_peek(const struct rxring *r, struct rxring_frame *f);

/** rxring_next(r): the slot is the kernel's again. */
void rxring_next(struct rxring *r);

/** rxring_empty(r): nothing waits.  Any thread, while the ring is mapped. */
bool rxring_empty(const struct rxring *r);

#endif
