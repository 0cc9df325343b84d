/*
 * The header the kernel puts before each frame of a TAP with IFF_VNET_HDR or a socket with PACKET_VNET_HDR (struct
 * virtio_net_hdr): which checksum the sender left to the hardware, and whether the frame is a super-frame.
 */
#ifndef BITS_VNET_H
#define BITS_VNET_H

#include <stdbool.h>
#include <stdint.h>
#include "pkt.h"

#define VNET_HLEN     10 /* PACKET_VNET_HDR */
#define VNET_HLEN_TAP 12 /* TUNSETVNETHDRSZ: with num_buffers, which we leave zero */

/** vnet_read(h, v): from its VNET_HLEN octets, in the machine's byte order.  A gso of a kind we do not know stays what it is. */
void vnet_read(const uint8_t h[static VNET_HLEN], struct vnet *v);

/** vnet_write(h, v, frame, len): ${v}, which is to do about a frame that begins with the ${len} octets at ${frame}, as its VNET_HLEN octets. */
void vnet_write(uint8_t h[static VNET_HLEN], const struct vnet *v, const uint8_t *frame, uint32_t len);

#endif
