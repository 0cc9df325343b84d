#include <linux/virtio_net.h>
#include <string.h>
#include "datapath.h"
#include "vnet.h"

_Static_assert(sizeof(struct virtio_net_hdr) == VNET_HLEN, "the kernel's header");

void
vnet_read(const uint8_t h[static VNET_HLEN], struct vnet *v)
{
	struct virtio_net_hdr raw;

	memcpy(&raw, h, sizeof raw);
	v->partial = raw.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	v->gso = raw.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	v->gso_size = raw.gso_size;
	v->csum_start = raw.csum_start;
	v->csum_offset = raw.csum_offset;
}

enum drop
vnet_finish(const struct vnet *v, uint8_t *frame, uint32_t len)
{
	uint32_t at = (uint32_t)v->csum_start + v->csum_offset;
	uint16_t sum;

	if (!v->partial)
		return DROP_NONE;
	if (v->csum_start >= len || at + 2 > len)
		return DROP_EDGE_ERROR;
	/* the field holds the pseudo header's sum, so it is part of what is summed */
	sum = cksum_fold(cksum_add(0, frame + v->csum_start, len - v->csum_start));
	put16(frame + at,
	    sum ? sum : 0xffff); /* 0 would mean "none" in UDP (RFC 768); in TCP both are right */
	return DROP_NONE;
}
