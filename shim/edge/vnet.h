/*
 * The header the kernel puts before each frame of a TAP with IFF_VNET_HDR or a socket with PACKET_VNET_HDR (struct
 * virtio_net_hdr): which checksum the sender left to the hardware, and whether the frame is a super-frame.
 */
#ifndef BITS_VNET_H
#define BITS_VNET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "gro.h"
#include "pkt.h"

#define VNET_HLEN     10 /* PACKET_VNET_HDR */
#define VNET_HLEN_TAP 12 /* TUNSETVNETHDRSZ: with num_buffers, which we leave zero */

/** vnet_read(h, v): from its VNET_HLEN octets, in the machine's byte order.  A gso of a kind we do not know stays what it is. */
void vnet_read(const uint8_t h[static VNET_HLEN], struct vnet *v);

/**
 * vnet_group(g, h, hlen, iov):
 * What the kernel is to be given of ${g}, a frame or several as one, into ${iov}, which has room for g->n + 1: the ${hlen} octets of header at
 * ${h}, zeroed but for what is written here (VNET_HLEN), and behind them the frame.  ${h} has room for GRO_HEAD octets more.  Number of pieces.
 */
unsigned vnet_group(const struct gro_group *g, uint8_t *h, uint32_t hlen, struct iovec *iov);

#endif
