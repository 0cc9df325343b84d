/*
 * An edge with a real descriptor behind it: one end of a socket pair.  The test has the other, and may use it from another thread.
 */
#ifndef BITS_TEST_PAIR_EDGE_H
#define BITS_TEST_PAIR_EDGE_H

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge.h"

struct pair_edge {
	struct edge e;
	int fd, test; /* the edge's end, the test's end */
	bool refuse;  /* bind fails */
	int binds, restarts;
};

static int
pair_bind(struct edge *e)
{
	struct pair_edge *p = (struct pair_edge *)e;
	int fd[2];

	if (p->refuse) {
		errno = ENODEV;
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	p->fd = fd[0];
	p->test = fd[1];
	p->binds++;
	e->bound = true;
	return 0;
}

static void
pair_unbind(struct edge *e)
{
	struct pair_edge *p = (struct pair_edge *)e;

	close(p->fd);
	if (p->test >= 0)
		close(p->test);
	p->fd = p->test = -1;
	e->bound = false;
}

/* What the device queued up while it was paused goes. */
static int
pair_restart(struct edge *e)
{
	struct pair_edge *p = (struct pair_edge *)e;
	char octets[2048];

	while (recv(p->fd, octets, sizeof octets, 0) > 0)
		;
	p->restarts++;
	e->running = true;
	return 0;
}

static void
pair_pause(struct edge *e)
{
	e->running = false;
}

static int
pair_recv(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct pair_edge *p = (struct pair_edge *)e;

	while (b->n < max) {
		struct pkt *k = pkt_new(pool);
		ssize_t n;

		if (!k)
			break;
		n = recv(p->fd, pkt_put(k, 2048), 2048, 0);
		if (n <= 0) {
			pkt_free(pool, k);
			if (n == 0) { /* the test hung up: the device is gone */
				errno = ENODEV;
				return b->n ? (int)b->n : -1;
			}
			break;
		}
		pkt_trim(k, (uint32_t)n);
		b->p[b->n++] = k;
	}
	return (int)b->n;
}

static unsigned
pair_send(struct edge *e, struct burst *b)
{
	struct pair_edge *p = (struct pair_edge *)e;
	unsigned sent = 0;

	for (unsigned i = 0; i < b->n; i++) {
		if (b->p[i]->drop != DROP_NONE)
			continue;
		if (send(p->fd, pkt_data(b->p[i]), b->p[i]->len, MSG_NOSIGNAL) < 0)
			b->p[i]->drop = errno == EAGAIN ? DROP_EDGE_FULL : DROP_EDGE_ERROR;
		else
			sent++;
	}
	return sent;
}

static int
pair_fds(const struct edge *e, int *fd, int max)
{
	fd[0] = ((const struct pair_edge *)e)->fd;
	return 1;
}

static void
pair_caps(const struct edge *e, struct edge_caps *c)
{
	*c = (struct edge_caps){
	    .mtu = 1500, .link = true, .linktype = LINK_ETHER, .mac = {2, 0, 0, 0, 0, 1}};
}

static void
pair_free(struct edge *e)
{
	if (e->bound)
		pair_unbind(e);
	free(e);
}

static const struct edge_ops pair_ops = {"pair", pair_bind, pair_unbind, pair_restart, pair_pause,
    pair_recv, pair_send, pair_fds, pair_caps, pair_free};

static inline struct pair_edge *
pair_new(void)
{
	struct pair_edge *p = calloc(1, sizeof *p);

	p->e.ops = &pair_ops;
	p->fd = p->test = -1;
	return p;
}

/* The next frame that comes out within ${ms}; its length, or -1. */
static inline int
pair_take(struct pair_edge *p, void *octets, size_t cap, int ms)
{
	struct pollfd f = {.fd = p->test, .events = POLLIN};

	if (poll(&f, 1, ms) != 1)
		return -1;
	return (int)recv(p->test, octets, cap, 0);
}

/* An ARP request of 42 octets whose last one is ${mark}: the built-in kind that passes any policy that does not deny it. */
static inline size_t
pair_arp(uint8_t *f, uint8_t mark)
{
	static const uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x08,
	    0x06, 0, 1, 0x08, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9,
	    0, 2};

	memcpy(f, arp, sizeof arp);
	f[41] = mark;
	return sizeof arp;
}

/* An Ethernet frame with IPv4 and UDP from 10.9.0.${from} to 10.9.0.${to}, checksums right. */
static inline size_t
pair_udp(uint8_t *f, uint8_t from, uint8_t to, uint16_t dport)
{
	uint8_t h[] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 32, 0, 1, 0, 0,
	    64, 17, 0, 0, 10, 9, 0, from, 10, 9, 0, to, 0x10, 0x00, (uint8_t)(dport >> 8),
	    (uint8_t)dport, 0, 12, 0, 0, 1, 2, 3, 4};
	uint32_t sum = 0;

	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)(h[i] << 8 | h[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	h[24] = (uint8_t)(~sum >> 8);
	h[25] = (uint8_t)~sum;
	memcpy(f, h, sizeof h);
	return sizeof h;
}

#endif
