#include <linux/virtio_net.h>
#include <string.h>
#include "vnet.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

_Static_assert(GSO_TCP4 == VIRTIO_NET_HDR_GSO_TCPV4 && GSO_TCP6 == VIRTIO_NET_HDR_GSO_TCPV6 &&
		   GSO_UDP == VIRTIO_NET_HDR_GSO_UDP_L4,
    "the kernel's numbers");
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

/* ${v}, which is to do about a frame that begins with the ${len} octets at ${frame}. */
static void
vnet_write(uint8_t h[static VNET_HLEN], const struct vnet *v, const uint8_t *frame, uint32_t len)
{
	struct virtio_net_hdr raw = {0};
	uint32_t doff = v->csum_start + 12u; /* of TCP: where its length stands */

	if (v->partial) {
		raw.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		raw.csum_start = v->csum_start;
		raw.csum_offset = v->csum_offset;
	}
	if (v->gso) {
		raw.gso_type = v->gso;
		raw.gso_size = v->gso_size;
		raw.hdr_len =
		    (uint16_t)(v->csum_start +
			       (v->gso != GSO_UDP && doff < len ? (frame[doff] >> 4) * 4 : 8));
	}
	memcpy(h, &raw, sizeof raw);
}

unsigned
vnet_group(const struct gro_group *g, uint8_t *h, uint32_t hlen, struct iovec *iov)
{
	const struct pkt *p = g->first;
	struct vnet joined;
	unsigned n = 0;

	if (g->n == 1) {
		vnet_write(h, &p->todo, pkt_data(p), p->len);
		iov[n++] = (struct iovec){h, hlen};
		iov[n++] = (struct iovec){pkt_data(p), p->len};
		return n;
	}
	gro_head(g, h + hlen, &joined);
	vnet_write(h, &joined, h + hlen, g->hlen);
	iov[n++] = (struct iovec){h, hlen + g->hlen};
	for (; p; p = p->next)
		iov[n++] = (struct iovec){pkt_data(p) + g->hlen, p->len - g->hlen};
	return n;
}
