/*
 * The lower edge: AF_PACKET sockets on the real NIC.  pksock.c says which socket sees what; packet_recv.c takes frames in; here
 * is the edge's life and the way out.  What each way costs: tools/bench/wire.c, and README has the figures.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "device.h"
#include "edge.h"
#include "gro.h"
#include "log.h"
#include "nssock.h"
#include "packet_recv.h"
#include "pksock.h"
#include "vnet.h"

struct edge_packet {
	struct edge e;
	char name[IFNAMSIZ];
	int netns; /* the caller's */
	bool guarded;
	bool join; /* ESP in UDP */
	int out;   /* sends what is whole, past the queueing discipline */
	int whole; /* sends behind a vnet header, by the path on which the kernel finishes what the NIC cannot */
	struct packet_recv *in;
	struct gro gro;
	struct mmsghdr msg[BURST_MAX];
	struct iovec iov[2 * BURST_MAX];	       /* vnet headers, frames, more payload */
	uint8_t head[BURST_MAX][VNET_HLEN + GRO_HEAD]; /* the latter of what is joined */
};

static void
packet_unbind(struct edge *e)
{
	struct edge_packet *k = (struct edge_packet *)e;

	if (k->out != -1)
		close(k->out);
	if (k->whole != -1)
		close(k->whole);
	packet_recv_close(k->in);
	k->out = k->whole = -1;
	e->bound = e->running = false;
}

/* Number of the NIC; -1 and errno: there is none, or it is not Ethernet. */
static int
find_nic(const char *name, int netns)
{
	struct ifreq ifr;
	int fd, index = -1, saved;

	if ((fd = nssock_socket(netns, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	memset(&ifr, 0, sizeof ifr);
	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) == 0) {
		if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
			errno = EPROTOTYPE;
		else if (ioctl(fd, SIOCGIFINDEX, &ifr) == 0)
			index = ifr.ifr_ifindex;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return index;
}

int
edge_packet_fd(const char *name, int netns_fd, enum edge_fd what)
{
	int index = find_nic(name, netns_fd);

	if (index == -1)
		return -1;
	switch (what) {
	case EDGE_FD_SEND:
		return pksock_send(netns_fd, index);
	case EDGE_FD_SEND_WHOLE:
		return pksock_send_whole(netns_fd, index);
	case EDGE_FD_RECV_IP4:
		return pksock_receive(netns_fd, index, PKSOCK_IP4);
	case EDGE_FD_RECV_IP6:
		return pksock_receive(netns_fd, index, PKSOCK_IP6);
	case EDGE_FD_RECV_REST:
		return pksock_receive(netns_fd, index, PKSOCK_REST);
	case EDGE_FD_RECV_ALL:
		return pksock_receive(netns_fd, index, PKSOCK_ALL);
	case EDGE_FD_ASK:
		return pksock_ask(netns_fd, index);
	case EDGE_FD_RECV_RING:
		return pksock_ring(netns_fd, index);
	default:
		errno = EINVAL;
		return -1;
	}
}

/* Opens for itself, as the caller may. */
static int
packet_open(void *ctx, enum edge_fd what)
{
	const struct edge_packet *k = ctx;

	return edge_packet_fd(k->name, k->netns, what);
}

/* From 6.2 on the vnet header can say UDP GSO; before, such frames are refused. */
static bool
kernel_joins(void)
{
	struct utsname u;
	unsigned major, minor;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 2));
}

static int
packet_bind(struct edge *e)
{
	struct edge_packet *k = (struct edge_packet *)e;
	const struct edge_opener *o = &e->opener;
	int saved;

	if ((k->out = o->open(o->ctx, EDGE_FD_SEND)) == -1 ||
	    (e->offload && (k->whole = o->open(o->ctx, EDGE_FD_SEND_WHOLE)) == -1) ||
	    packet_recv_open(k->in, o, k->guarded) == -1) {
		saved = errno;
		log_warn("NIC %s: bind", k->name);
		packet_unbind(e);
		errno = saved;
		return -1;
	}
	e->bound = true;
	return 0;
}

static int
packet_restart(struct edge *e)
{
	struct edge_packet *k = (struct edge_packet *)e;

	if (!e->bound) {
		errno = ENODEV;
		return -1;
	}
	packet_recv_drain(k->in);
	e->running = true;
	return 0;
}

static void
packet_pause(struct edge *e)
{
	e->running = false;
}

static int
packet_take(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	return packet_recv_burst(((struct edge_packet *)e)->in, pool, b, max);
}

static enum drop
drop_of(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOMEM:
	case ENOBUFS: /* the NIC's ring is full */
		return DROP_EDGE_FULL;
	case ENETDOWN:
	case ENODEV:
	case ENXIO:
		return DROP_LINK_DOWN;
	default: /* EMSGSIZE: longer than the NIC's MTU */
		return DROP_EDGE_ERROR;
	}
}

/* Sends k->msg[0..n), whose packets are g[]; number of packets sent.  What the kernel refuses for its own sake is passed over; a full or
 * dead device takes the rest of the burst with it, or each would cost a system call to hear the same. */
static unsigned
send_all(struct edge_packet *k, int fd, struct gro_group *g, unsigned n)
{
	unsigned at = 0, sent = 0;
	enum drop d;
	int r;

	while (at < n) {
		r = sendmmsg(fd, k->msg + at, n - at, MSG_DONTWAIT);
		if (r == -1 && errno == EINTR)
			continue;
		if (r > 0) {
			while (r-- > 0)
				sent += g[at++].n;
			continue;
		}
		d = drop_of(errno);
		gro_drop(&g[at++], d);
		while (d != DROP_EDGE_ERROR && at < n)
			gro_drop(&g[at++], d);
	}
	return sent;
}

/* By which socket?  All of ESP in UDP goes by one, joined or alone, so that it stays in order. */
static int
way_of(const struct edge_packet *k, const struct pkt *p)
{
	return p->todo.gso || p->todo.partial || (p->encap && k->join) ? k->whole : k->out;
}

/* Message ${n}, with the next of the iovecs from ${iov} on; the first behind them. */
static struct iovec *
load(struct edge_packet *k, unsigned n, const struct gro_group *g, struct iovec *iov)
{
	struct msghdr *m = &k->msg[n].msg_hdr;

	m->msg_iov = iov;
	m->msg_iovlen = 1;
	if (way_of(k, g->first) == k->whole)
		m->msg_iovlen = vnet_group(g, k->head[n], VNET_HLEN, iov);
	else
		*iov = (struct iovec){pkt_data(g->first), g->first->len};
	return iov + m->msg_iovlen;
}

/* In order, so that a flow of which some packets have something left to do and others have not stays in order. */
static unsigned
packet_send(struct edge *e, struct burst *b)
{
	struct edge_packet *k = (struct edge_packet *)e;
	struct gro_group *g = k->gro.group;
	unsigned sent = 0, n = 0;
	struct iovec *iov = k->iov;
	int fd = k->out;

	if (k->join)
		gro_encap_burst(&k->gro, b);
	else
		gro_alone(&k->gro, b);
	for (unsigned i = 0; i < k->gro.n; i++) {
		int way = way_of(k, g[i].first);

		if (n && way != fd) {
			sent += send_all(k, fd, g + i - n, n);
			n = 0;
			iov = k->iov;
		}
		fd = way;
		iov = load(k, n++, &g[i], iov);
	}
	return n ? sent + send_all(k, fd, g + k->gro.n - n, n) : sent;
}

static int
packet_fds(const struct edge *e, int *fd, int max)
{
	return packet_recv_fds(((const struct edge_packet *)e)->in, fd, max);
}

static void
packet_caps(const struct edge *e, struct edge_caps *c)
{
	const struct edge_packet *k = (const struct edge_packet *)e;

	memset(c, 0, sizeof *c);
	c->linktype = LINK_ETHER;
	if (k->out == -1)
		return;
	device_caps(k->out, k->name, c);
	c->lost = packet_recv_lost(k->in);
}

static int
packet_look(struct edge *e)
{
	return packet_recv_look(((struct edge_packet *)e)->in);
}

static void
packet_free(struct edge *e)
{
	struct edge_packet *k = (struct edge_packet *)e;

	packet_unbind(e);
	packet_recv_free(k->in);
	free(k);
}

/* They differ in how frames come in, which packet_recv knows. */
#define OPS(NAME)                                                                                  \
	{                                                                                          \
		.name = (NAME), .bind = packet_bind, .unbind = packet_unbind,                      \
		.restart = packet_restart, .pause = packet_pause, .recv_burst = packet_take,       \
		.send_burst = packet_send, .fds = packet_fds, .caps = packet_caps,                 \
		.free = packet_free, .look = packet_look,                                          \
	}
static const struct edge_ops packet_ops = OPS("packet");
static const struct edge_ops ring_ops = OPS("ring");

void
edge_packet_ring(struct edge *e)
{
	e->ops = &ring_ops;
	packet_recv_ring(((struct edge_packet *)e)->in);
}

void
edge_packet_share(struct edge *e, struct edge *first)
{
	packet_recv_share(((struct edge_packet *)e)->in, ((const struct edge_packet *)first)->in);
}

struct edge *
edge_packet_new(const char *name, int netns_fd, bool guarded, bool offload)
{
	struct edge_packet *k;

	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ) {
		errno = EINVAL;
		return NULL;
	}
	if ((k = calloc(1, sizeof *k)) == NULL)
		return NULL;
	if ((k->in = packet_recv_new()) == NULL) {
		free(k);
		errno = ENOMEM;
		return NULL;
	}
	k->e.ops = &packet_ops;
	k->e.offload = offload;
	k->e.opener = (struct edge_opener){packet_open, k};
	k->join = offload && kernel_joins();
	strcpy(k->name, name);
	k->netns = netns_fd;
	k->guarded = guarded;
	k->out = k->whole = -1;
	return &k->e;
}
