/*
 * The header the kernel puts before each frame of a TAP with IFF_VNET_HDR or a socket with PACKET_VNET_HDR (struct
 * virtio_net_hdr): which checksum the sender left to the hardware, and whether the frame is a super-frame.
 */
#ifndef BITS_VNET_H
#define BITS_VNET_H

#include <stdbool.h>
#include <stdint.h>
#include "drop.h"

#define VNET_HLEN     10 /* PACKET_VNET_HDR */
#define VNET_HLEN_TAP 12 /* TUNSETVNETHDRSZ: with num_buffers, which we leave zero */

struct vnet {
	bool partial;          /* checksum from csum_start to the end goes to csum_start + csum_offset */
	uint8_t gso;           /* VIRTIO_NET_HDR_GSO_*, without the ECN bit; 0: one packet */
	uint16_t gso_size;     /* octets of payload of each segment */
	uint16_t csum_start;   /* from the frame's start */
	uint16_t csum_offset;
};

/** vnet_read(h, v): from its VNET_HLEN octets, in the machine's byte order. */
void vnet_read(const uint8_t h[static VNET_HLEN], struct vnet *v);

/** vnet_finish(v, frame, len): computes the checksum that is missing, if one is.  DROP_NONE, or EDGE_ERROR when the header
 * points outside the frame. */
enum drop vnet_finish(const struct vnet *v, uint8_t *frame, uint32_t len);

#endif
