/*
 * The lower edge by AF_XDP: both ways through rings in memory that kernel and we share.
 *
 * What a frame's sender left to do is not told here: a veth peer has to finish its checksums itself (ethtool -K PEER tx off); NICs do.  Nor is a VLAN tag
 * that the NIC took off, so one that does is not taken (nic_xdp.c).  The kernel hears of no frame's length or address: what is for another
 * host, or longer than the NIC's MTU, is told here.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "device.h"
#include "edge.h"
#include "log.h"
#include "nssock.h"
#include "pksock.h"
#include "xdpprog.h"
#include "xsk.h"

#define KICKS                                                                                      \
	256 /* system calls for one burst: the kernel sends 32 frames by each, and stops at one it cannot send */
#define DRAIN_MAX 65536

struct edge_xdp {
	struct edge e;
	char name[IFNAMSIZ];
	int netns; /* the caller's */
	int ask; /* a packet socket on the NIC, for its MTU, MAC and link, and so that it takes every multicast */
	int link; /* holds the program on the NIC */
	bool generic;
	struct xsk x;
	bool down;    /* it said so when last asked to send */
	uint64_t mac; /* atomic, as the next */
	uint32_t mtu;
};

static void
xdp_unbind(struct edge *e)
{
	struct edge_xdp *k = (struct edge_xdp *)e;

	/* the program first: without a socket it drops all that comes */
	if (k->link != -1)
		close(k->link);
	xsk_close(&k->x);
	if (k->ask != -1)
		close(k->ask);
	k->ask = k->link = -1;
	e->bound = e->running = false;
	e->unsent = false;
}

int
edge_xdp_fd(const char *name, int netns_fd, enum edge_fd what)
{
	int ask = edge_packet_fd(name, netns_fd, EDGE_FD_ASK), index, fd = -1, saved;

	if (ask == -1 || what == EDGE_FD_ASK)
		return ask;
	if (what == EDGE_FD_XDP)
		fd = xdpprog_socket(netns_fd);
	else if (what != EDGE_FD_XDP_DRIVER && what != EDGE_FD_XDP_GENERIC)
		errno = EINVAL;
	else if ((index = pksock_index(ask)) != -1)
		fd = xdpprog_hang(netns_fd, (unsigned)index, what == EDGE_FD_XDP_GENERIC);
	saved = errno;
	close(ask);
	errno = saved;
	return fd;
}

/* Opens for itself, as the caller may. */
static int
xdp_open(void *ctx, enum edge_fd what)
{
	const struct edge_xdp *k = ctx;

	return edge_xdp_fd(k->name, k->netns, what);
}

/* An address as one number. */
static uint64_t
mac_number(const uint8_t *mac)
{
	return (uint64_t)get32(mac) << 16 | get16(mac + 4);
}

static int
xdp_look(struct edge *e)
{
	struct edge_xdp *k = (struct edge_xdp *)e;
	struct edge_caps c = {0};

	device_caps(k->ask, k->name, &c);
	if (c.mtu == 0) /* it is gone */
		return 0;
	if (c.mtu > XSK_MTU && k->mtu <= XSK_MTU)
		log_warnx("%s: its MTU is %u, and AF_XDP takes %u: longer packets are lost",
		    k->name, c.mtu, XSK_MTU);
	__atomic_store_n(&k->mtu, c.mtu, __ATOMIC_RELAXED);
	__atomic_store_n(&k->mac, mac_number(c.mac), __ATOMIC_RELAXED);
	return XSK_CHUNK_FOR(c.mtu) > k->x.chunk ? -1 : 0;
}

/* The program, in the driver if that can. */
static int
hang(struct edge_xdp *k)
{
	const struct edge_opener *o = &k->e.opener;

	k->generic = false;
	if ((k->link = o->open(o->ctx, EDGE_FD_XDP_DRIVER)) != -1)
		return 0;
	if (errno == ENODEV || errno == EEXIST)
		return -1;
	log_info("%s: its driver takes no XDP program (%s): the kernel runs it behind that",
	    k->name, strerror(errno));
	k->generic = true;
	k->link = o->open(o->ctx, EDGE_FD_XDP_GENERIC);
	return k->link == -1 ? -1 : 0;
}

static int
xdp_bind(struct edge *e)
{
	struct edge_xdp *k = (struct edge_xdp *)e;
	const struct edge_opener *o = &e->opener;
	const char *what = "socket";
	struct edge_caps c = {0};
	int index, fd, saved;

	if ((k->ask = o->open(o->ctx, EDGE_FD_ASK)) == -1 || (index = pksock_index(k->ask)) == -1 ||
	    (fd = o->open(o->ctx, EDGE_FD_XDP)) == -1)
		goto err;
	what = "memory and rings";
	device_caps(k->ask, k->name, &c);
	if (xsk_open(&k->x, fd, XSK_CHUNK_FOR(c.mtu)) == -1)
		goto err;
	what = "program";
	if (hang(k) == -1)
		goto err;
	what = "bind";
	if (xsk_bind(&k->x, (unsigned)index, k->generic) == -1)
		goto err;
	k->down = false;
	(void)xdp_look(e);
	log_info("%s: AF_XDP, program %s, frames %s, room for %u", k->name,
	    k->generic ? "behind the driver" : "in the driver",
	    k->x.zerocopy ? "not copied by the kernel" : "copied", k->x.nrecv);
	e->bound = true;
	return 0;
err:
	saved = errno;
	log_warn("NIC %s: AF_XDP: %s", k->name, what);
	xdp_unbind(e);
	errno = saved;
	return -1;
}

/* The first ${n} frames that came have been seen: their memory may be filled again. */
static void
release(struct edge_xdp *k, uint32_t n)
{
	const struct xskring *rx = &k->x.ring[XSK_RX], *fill = &k->x.ring[XSK_FILL];

	for (uint32_t i = 0; i < n; i++)
		xskring_in_addr(fill, i, xskring_out(rx, i)->addr & ~(uint64_t)(k->x.chunk - 1));
	xskring_consume(rx, n);
	xskring_produce(fill, n);
	if (n && xskring_sleeps(fill))
		(void)recvfrom(k->x.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static int
xdp_restart(struct edge *e)
{
	struct edge_xdp *k = (struct edge_xdp *)e;
	uint32_t n;

	if (!e->bound) {
		errno = ENODEV;
		return -1;
	}
	for (int all = 0; all < DRAIN_MAX && (n = xskring_ready(&k->x.ring[XSK_RX])) > 0;
	     all += (int)n)
		release(k, n);
	e->running = true;
	return 0;
}

static void
xdp_pause(struct edge *e)
{
	e->running = false;
}

/* For us, or for many. */
static bool
ours(const struct edge_xdp *k, const uint8_t *frame, uint32_t len)
{
	return len < ETH_HLEN_OCTETS || (frame[0] & 1) ||
	       mac_number(frame) == __atomic_load_n(&k->mac, __ATOMIC_RELAXED);
}

static void
copy_in(const uint8_t *frame, uint32_t len, struct pkt *p)
{
	p->link = LINK_ETHER;
	if (len > p->size - p->off - PKT_TAILROOM) {
		p->drop = DROP_NO_ROOM;
		return;
	}
	memcpy(pkt_data(p), frame, len);
	p->len = len;
}

/* Has the kernel send what is in the ring.  Number of frames it threw away on the way. */
static uint32_t
kick(struct edge_xdp *k)
{
	const struct xskring *tx = &k->x.ring[XSK_TX];
	uint32_t lost = 0;

	for (int i = 0; i < KICKS && !xskring_taken(tx) && xskring_sleeps(tx); i++) {
		if (sendto(k->x.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) != -1) {
			k->down = false;
		} else if (errno == ENETDOWN || errno == ENXIO || errno == ENODEV) {
			k->down = true; /* what is there stays, as in a NIC's own ring */
			break;
		} else if (errno == EBUSY) {
			lost++;
		}
		xsk_reap(&k->x);
		if (k->x.zerocopy)
			break; /* the driver goes on by itself */
	}
	k->e.unsent = !k->down && !xskring_taken(tx);
	return lost;
}

static int
xdp_take(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct edge_xdp *k = (struct edge_xdp *)e;
	const struct xskring *rx = &k->x.ring[XSK_RX];
	uint32_t n = xskring_ready(rx), i;
	struct pkt *p;

	for (i = 0; i < n && b->n < max; i++) {
		const struct xdp_desc *d = xskring_out(rx, i);
		const uint8_t *frame = k->x.memory + d->addr;

		if (!ours(k, frame, d->len))
			continue;
		if ((p = pkt_new(pool)) == NULL)
			break;
		copy_in(frame, d->len, p);
		b->p[b->n++] = p;
	}
	release(k, i);
	if (!xskring_taken(&k->x.ring[XSK_TX]))
		(void)kick(k);
	if (n == 0 && pksock_gone(k->ask)) {
		errno = ENODEV;
		return -1;
	}
	return (int)b->n;
}

/* May ${p} leave?  As the kernel decides for packet sockets: a tag may come on top of the MTU. */
static enum drop
fits(const struct edge_xdp *k, const struct pkt *p)
{
	uint32_t most = __atomic_load_n(&k->mtu, __ATOMIC_RELAXED) + ETH_HLEN_OCTETS;
	const uint8_t *tpid = pkt_get(p, 12, 2);

	if (tpid && get16(tpid) == ETYPE_8021Q)
		most += ETH_VLAN_OCTETS;
	return tpid == NULL || p->len > most || p->len > k->x.chunk ? DROP_EDGE_ERROR : DROP_NONE;
}

/* ${lost} of what was just sent were thrown away; the kernel does not say which, but the last ones are likelier. */
static void
say_lost(struct burst *b, uint32_t lost)
{
	for (unsigned i = b->n; i-- > 0 && lost;)
		if (b->p[i]->drop == DROP_NONE) {
			b->p[i]->drop = DROP_EDGE_FULL;
			lost--;
		}
}

static unsigned
xdp_send(struct edge *e, struct burst *b)
{
	struct edge_xdp *k = (struct edge_xdp *)e;
	const struct xskring *tx = &k->x.ring[XSK_TX];
	uint32_t n = 0, lost;

	xsk_reap(&k->x);
	if (k->down && sendto(k->x.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) == -1 && errno != EAGAIN &&
	    errno != EBUSY)
		return edge_refuse(b, DROP_LINK_DOWN);
	k->down = false;
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];
		uint64_t at;

		if (p->drop != DROP_NONE || (p->drop = fits(k, p)) != DROP_NONE)
			continue;
		if (k->x.nfree == 0 || n == xskring_room(tx)) {
			p->drop = DROP_EDGE_FULL;
			continue;
		}
		at = k->x.free[--k->x.nfree];
		memcpy(k->x.memory + at, pkt_data(p), p->len);
		*xskring_in(tx, n++) = (struct xdp_desc){.addr = at, .len = p->len};
	}
	xskring_produce(tx, n);
	lost = kick(k);
	say_lost(b, lost);
	return n - (lost < n ? lost : n);
}

static int
xdp_fds(const struct edge *e, int *fd, int max)
{
	const struct edge_xdp *k = (const struct edge_xdp *)e;

	if (k->x.fd == -1 || max < 1)
		return 0;
	fd[0] = k->x.fd;
	return 1;
}

static void
xdp_caps(const struct edge *e, struct edge_caps *c)
{
	const struct edge_xdp *k = (const struct edge_xdp *)e;

	memset(c, 0, sizeof *c);
	c->linktype = LINK_ETHER;
	if (k->ask == -1)
		return;
	device_caps(k->ask, k->name, c);
	c->lost = xsk_lost(&k->x);
}

static void
xdp_free(struct edge *e)
{
	xdp_unbind(e);
	free(e);
}

static const struct edge_ops xdp_ops = {
    .name = "xdp",
    .bind = xdp_bind,
    .unbind = xdp_unbind,
    .restart = xdp_restart,
    .pause = xdp_pause,
    .recv_burst = xdp_take,
    .send_burst = xdp_send,
    .fds = xdp_fds,
    .caps = xdp_caps,
    .free = xdp_free,
    .look = xdp_look,
};

struct edge *
edge_xdp_new(const char *name, int netns_fd)
{
	struct edge_xdp *k;

	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ) {
		errno = EINVAL;
		return NULL;
	}
	if ((k = calloc(1, sizeof *k)) == NULL)
		return NULL;
	k->e.ops = &xdp_ops;
	k->e.opener = (struct edge_opener){xdp_open, k};
	strcpy(k->name, name);
	k->netns = netns_fd;
	k->ask = k->link = -1;
	xsk_none(&k->x);
	return &k->e;
}
