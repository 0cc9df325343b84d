#include "rxring.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "vnet.h"

#define BLOCK (1 << 17) /* the kernel's memory comes in pieces of this */
#define SIZE  ((size_t)RXRING_SLOT * RXRING_SLOTS)

_Static_assert((RXRING_SLOTS & (RXRING_SLOTS - 1)) == 0, "numbers are counted through");
_Static_assert(SIZE % BLOCK == 0 && BLOCK % RXRING_SLOT == 0, "slots fill blocks");

int
rxring_set(int fd)
{
	const struct tpacket_req req = {.tp_block_size = BLOCK,
	    .tp_block_nr = SIZE / BLOCK,
	    .tp_frame_size = RXRING_SLOT,
	    .tp_frame_nr = RXRING_SLOTS};
	const int version = TPACKET_V2, copy = 1;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == -1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &copy, sizeof copy) == -1)
		return -1;
	return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof req);
}

int
rxring_map(struct rxring *r, int fd)
{
	void *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	if (map == MAP_FAILED)
		return -1;
	*r = (struct rxring){.map = map};
	return 0;
}

void
rxring_unmap(struct rxring *r)
{
	if (r->map)
		munmap(r->map, SIZE);
	r->map = NULL;
}

static struct tpacket2_hdr *
slot(const struct rxring *r)
{
	uint32_t at = __atomic_load_n(&r->at, __ATOMIC_RELAXED);

	return (struct tpacket2_hdr *)(void *)(r->map +
					       (size_t)(at & (RXRING_SLOTS - 1)) * RXRING_SLOT);
}

bool
rxring_peek(const struct rxring *r, struct rxring_frame *f)
{
	const struct tpacket2_hdr *h = slot(r);
	const uint8_t *s = (const uint8_t *)h;
	uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE), room;

	if (!(status & TP_STATUS_USER))
		return false;
	*f = (struct rxring_frame){.queued = status & TP_STATUS_COPY};
	if (status & TP_STATUS_VLAN_VALID) {
		f->tpid = status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid : ETH_P_8021Q;
		f->tci = h->tp_vlan_tci;
	}
	/* the kernel's own numbers, but it costs nothing to read no octet outside of the slot */
	room = h->tp_mac <= RXRING_SLOT ? RXRING_SLOT - h->tp_mac : 0;
	f->len = h->tp_snaplen <= room ? h->tp_snaplen : room;
	f->cut = f->len < h->tp_len;
	f->data = s + (RXRING_SLOT - room);
	f->vnet = h->tp_mac >= sizeof *h + VNET_HLEN ? f->data - VNET_HLEN : NULL;
	return true;
}

void
rxring_next(struct rxring *r)
{
	__atomic_store_n(&slot(r)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	__atomic_store_n(&r->at, r->at + 1, __ATOMIC_RELAXED);
}

bool
rxring_empty(const struct rxring *r)
{
	return !(__atomic_load_n(&slot(r)->tp_status, __ATOMIC_RELAXED) & TP_STATUS_USER);
}
