/*
 * The upper edge: the TAP the host's stack believes to be its NIC.
 *
 * Fail closed: the kernel takes the carrier of a persistent TAP away when its last owner's descriptor goes (__tun_detach()), so a
 * killed bitsd leaves a device with addresses and routes that passes nothing.  Attaching turns the carrier on, unless the
 * kernel knows IFF_NO_CARRIER; where it does not, it is turned off right after, and what was queued in between is thrown away by
 * restart.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "device.h"
#include "edge.h"
#include "gro.h"
#include "log.h"
#include "nssock.h"
#include "segment.h"
#include "tapflags.h"
#include "vnet.h"

#ifndef IFF_NO_CARRIER
#define IFF_NO_CARRIER 0x0040
#endif

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define OFFLOADS     (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define OFFLOADS_UDP (TUN_F_USO4 | TUN_F_USO6) /* Linux 6.2 */

/* A burst ends after that many octets, so that what comes from the wire need not wait for a thousand segments. */
#define BURST_OCTETS (2 * 65536)

#define DRAIN_MAX 65536 /* frames restart throws away; the TAP's own queue is far shorter */

struct edge_tap {
	struct edge e;
	char name[IFNAMSIZ];
	int netns;   /* the caller's */
	bool queues; /* one of several */
	int fd;	     /* the TAP's queue */
	struct gro gro;
	struct iovec iov[1 + BURST_MAX]; /* vnet header, frame, more payload */
	int ctl; /* a socket in the TAP's namespace, for its MTU and flags */
};

/* With just the flags the TAP was made with, or the kernel refuses (EINVAL).  One that was made for several queues will do for one. */
static int
set_iff(int fd, const char *name, bool queues, unsigned no_carrier)
{
	unsigned flags = TAP_FLAGS | no_carrier;
	struct ifreq ifr = {.ifr_flags = (short)(queues ? flags | IFF_MULTI_QUEUE : flags)};

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, TUNSETIFF, &ifr) == 0)
		return 0;
	if (errno != EINVAL || queues)
		return -1;
	ifr.ifr_flags = (short)(flags | IFF_MULTI_QUEUE);
	return ioctl(fd, TUNSETIFF, &ifr);
}

/* A descriptor attached to the TAP, without carrier; -1 and errno. */
static int
attach(const char *name, int netns, bool queues)
{
	unsigned features = 0;
	int fd, saved, off = 0;

	fd = nssock_open(netns, TAP_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return -1;
	if (ioctl(fd, TUNGETFEATURES, &features) == -1 || !(features & IFF_NO_CARRIER))
		features = 0;
	if (set_iff(fd, name, queues, features & IFF_NO_CARRIER) == -1 ||
	    ioctl(fd, TUNSETCARRIER, &off) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
edge_tap_fd(const char *name, int netns_fd, enum edge_fd what)
{
	if (what == EDGE_FD_TAP || what == EDGE_FD_TAP_QUEUE)
		return attach(name, netns_fd, what == EDGE_FD_TAP_QUEUE);
	return nssock_socket(netns_fd, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* Opens for itself, as the caller may. */
static int
tap_open(void *ctx, enum edge_fd what)
{
	const struct edge_tap *t = ctx;

	return edge_tap_fd(t->name, t->netns, what);
}

static void
tap_unbind(struct edge *e)
{
	struct edge_tap *t = (struct edge_tap *)e;
	int off = 0;

	if (t->fd != -1) {
		(void)ioctl(t->fd, TUNSETCARRIER, &off); /* a deleted TAP has none to take away */
		close(t->fd);
	}
	if (t->ctl != -1)
		close(t->ctl);
	t->fd = t->ctl = -1;
	e->bound = e->running = false;
}

/* What the host may leave to us.  Said at each attach: the kernel resets or keeps it as it pleases. */
static int
set_offloads(struct edge_tap *t)
{
	unsigned long all = OFFLOADS;

	t->gro.udp = false;
	if (!t->e.offload)
		return ioctl(t->fd, TUNSETOFFLOAD, 0UL);
	t->gro.udp = ioctl(t->fd, TUNSETOFFLOAD, all | OFFLOADS_UDP) == 0;
	if (t->gro.udp)
		return 0;
	return ioctl(t->fd, TUNSETOFFLOAD, all);
}

static int
tap_bind(struct edge *e)
{
	struct edge_tap *t = (struct edge_tap *)e;
	int hlen = VNET_HLEN_TAP, saved;
	const char *what;

	what = "attach";
	if ((t->fd = e->opener.open(e->opener.ctx, t->queues ? EDGE_FD_TAP_QUEUE : EDGE_FD_TAP)) ==
	    -1)
		goto err;
	what = "vnet header";
	if (ioctl(t->fd, TUNSETVNETHDRSZ, &hlen) == -1)
		goto err;
	what = "offloads";
	if (set_offloads(t) == -1)
		goto err;
	what = "persist";
	if (ioctl(t->fd, TUNSETPERSIST, 1) == -1)
		goto err;
	what = "socket";
	if ((t->ctl = e->opener.open(e->opener.ctx, EDGE_FD_TAP_ASK)) == -1)
		goto err;
	e->bound = true;
	return 0;
err:
	saved = errno;
	log_warn("TAP %s: %s", t->name, what);
	tap_unbind(e);
	errno = saved;
	return -1;
}

static int
tap_restart(struct edge *e)
{
	struct edge_tap *t = (struct edge_tap *)e;
	uint8_t octet;
	int i;

	if (!e->bound) {
		errno = ENODEV;
		return -1;
	}
	/* what the host sent while we were paused; a short read throws the rest of the frame away.  A buffer shorter than the
	 * vnet header is refused (EINVAL), with the frame gone all the same */
	for (i = 0; i < DRAIN_MAX; i++)
		if (read(t->fd, &octet, 1) == -1 && errno != EINVAL)
			break;
	if (i < DRAIN_MAX && errno != EAGAIN) {
		errno = ENODEV;
		return -1;
	}
	e->running = true;
	return 0;
}

static void
tap_pause(struct edge *e)
{
	e->running = false;
}

/* One frame into ${p}, whose slot keeps its tail room.  false and errno: nothing read. */
static bool
read_frame(struct edge_tap *t, struct pkt *p)
{
	uint8_t h[VNET_HLEN_TAP], over;
	uint32_t room = p->size - p->off - PKT_TAILROOM;
	struct iovec iov[3] = {{h, sizeof h}, {pkt_data(p), room},
	    {&over, 1}}; /* the last shows a frame that was cut */
	ssize_t n;

	while ((n = readv(t->fd, iov, 3)) == -1 && errno == EINTR)
		;
	if (n == -1)
		return false;
	p->link = LINK_ETHER;
	if (n < (ssize_t)sizeof h) {
		p->drop = DROP_EDGE_ERROR;
		return true;
	}
	p->len = (uint32_t)n - sizeof h;
	if (p->len > room) {
		p->len = room;
		p->drop = DROP_NO_ROOM;
		return true;
	}
	vnet_read(h, &p->todo);
	if (p->todo.gso)
		p->drop = segment_count(p);
	return true;
}

static int
tap_recv(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct edge_tap *t = (struct edge_tap *)e;
	uint32_t octets = 0;
	struct pkt *p;

	while (b->n < max && octets < BURST_OCTETS && (p = pkt_new(pool)) != NULL) {
		if (read_frame(t, p)) {
			octets += p->len;
			b->p[b->n++] = p;
			continue;
		}
		pkt_free(pool, p);
		if (errno == EAGAIN || b->n > 0)
			break;
		errno = ENODEV; /* EBADFD: deleted.  poll would say POLLERR for ever */
		return -1;
	}
	if (octets >= BURST_OCTETS)
		e->more = true;
	return (int)b->n;
}

static enum drop
drop_of(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOMEM:
	case ENOBUFS:
		return DROP_EDGE_FULL;
	case EIO: /* admin down */
	case EBADFD:
	case ENODEV:
	case ENXIO:
		return DROP_LINK_DOWN;
	default:
		return DROP_EDGE_ERROR;
	}
}

/* One frame, or several that the host gets as one; number of packets written. */
static unsigned
write_group(struct edge_tap *t, const struct gro_group *g)
{
	uint8_t h[VNET_HLEN_TAP + GRO_HEAD] = {0};
	int n = (int)vnet_group(g, h, VNET_HLEN_TAP, t->iov);
	ssize_t r;

	while ((r = writev(t->fd, t->iov, n)) == -1 && errno == EINTR)
		;
	if (r != -1)
		return g->n;
	gro_drop(g, drop_of(errno));
	return 0;
}

static unsigned
tap_send(struct edge *e, struct burst *b)
{
	struct edge_tap *t = (struct edge_tap *)e;
	unsigned sent = 0;

	if (e->offload)
		gro_burst(&t->gro, b);
	else
		gro_alone(&t->gro, b);
	for (unsigned i = 0; i < t->gro.n; i++)
		sent += write_group(t, &t->gro.group[i]);
	return sent;
}

static int
tap_fds(const struct edge *e, int *fd, int max)
{
	const struct edge_tap *t = (const struct edge_tap *)e;

	if (t->fd == -1 || max < 1)
		return 0;
	fd[0] = t->fd;
	return 1;
}

static void
tap_caps(const struct edge *e, struct edge_caps *c)
{
	const struct edge_tap *t = (const struct edge_tap *)e;

	memset(c, 0, sizeof *c);
	c->linktype = LINK_ETHER;
	if (t->ctl != -1)
		device_caps(t->ctl, t->name, c);
}

static void
tap_free(struct edge *e)
{
	tap_unbind(e);
	free(e);
}

static const struct edge_ops tap_ops = {
    .name = "tap",
    .bind = tap_bind,
    .unbind = tap_unbind,
    .restart = tap_restart,
    .pause = tap_pause,
    .recv_burst = tap_recv,
    .send_burst = tap_send,
    .fds = tap_fds,
    .caps = tap_caps,
    .free = tap_free,
};

struct edge *
edge_tap_new(const char *name, int netns_fd, bool offload)
{
	struct edge_tap *t;

	/* the kernel would make a pattern of '%' */
	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ || strpbrk(name, "%/:") != NULL) {
		errno = EINVAL;
		return NULL;
	}
	if ((t = calloc(1, sizeof *t)) == NULL)
		return NULL;
	t->e.ops = &tap_ops;
	t->e.offload = offload;
	t->e.opener = (struct edge_opener){tap_open, t};
	strcpy(t->name, name);
	t->netns = netns_fd;
	t->fd = t->ctl = -1;
	return &t->e;
}

void
edge_tap_queue(struct edge *e)
{
	((struct edge_tap *)e)->queues = true;
}

int
edge_tap_carrier(struct edge *e, bool up)
{
	int on = up;

	return ioctl(((struct edge_tap *)e)->fd, TUNSETCARRIER, &on) == -1 ? -1 : 0;
}

void
edge_tap_destroy(struct edge *e)
{
	struct edge_tap *t = (struct edge_tap *)e;

	if (t->fd == -1 && (t->fd = e->opener.open(e->opener.ctx, EDGE_FD_TAP)) == -1) {
		log_warn("TAP %s: attach to remove it", t->name);
		return;
	}
	if (ioctl(t->fd, TUNSETPERSIST, 0) == -1)
		log_warn("TAP %s: persist", t->name);
	tap_unbind(e);
}
