#include "xsk.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

void
xsk_none(struct xsk *x)
{
	*x = (struct xsk){.fd = -1};
}

/* The ring of kind ${k}, which lies at ${o} of what is mapped at ${at}. */
static int
map_ring(struct xsk *x, int k, const struct xdp_ring_offset *o, uint64_t at)
{
	const bool chunks = k == XSK_FILL || k == XSK_DONE;
	uint32_t n = k == XSK_FILL || k == XSK_RX ? x->nrecv : x->nsend;
	size_t len = o->desc + n * (chunks ? sizeof(uint64_t) : sizeof(struct xdp_desc));
	uint8_t *p =
	    mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, x->fd, (off_t)at);

	if (p == MAP_FAILED)
		return -1;
	x->map[k] = p;
	x->len[k] = len;
	x->ring[k] = (struct xskring){.producer = (uint32_t *)(void *)(p + o->producer),
	    .consumer = (uint32_t *)(void *)(p + o->consumer),
	    .flags = (uint32_t *)(void *)(p + o->flags),
	    .entry = p + o->desc,
	    .size = n};
	return 0;
}

static int
set_size(int fd, int option, uint32_t n)
{
	return setsockopt(fd, SOL_XDP, option, &n, sizeof n);
}

static int
make_rings(struct xsk *x)
{
	struct xdp_mmap_offsets o;
	socklen_t len = sizeof o;

	if (set_size(x->fd, XDP_UMEM_FILL_RING, x->nrecv) == -1 ||
	    set_size(x->fd, XDP_UMEM_COMPLETION_RING, x->nsend) == -1 ||
	    set_size(x->fd, XDP_RX_RING, x->nrecv) == -1 ||
	    set_size(x->fd, XDP_TX_RING, x->nsend) == -1 ||
	    getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &len) == -1)
		return -1;
	if (len != sizeof o) { /* before Linux 5.4 the rings had no flags */
		errno = EOPNOTSUPP;
		return -1;
	}
	if (map_ring(x, XSK_FILL, &o.fr, XDP_UMEM_PGOFF_FILL_RING) == -1 ||
	    map_ring(x, XSK_DONE, &o.cr, XDP_UMEM_PGOFF_COMPLETION_RING) == -1 ||
	    map_ring(x, XSK_RX, &o.rx, XDP_PGOFF_RX_RING) == -1)
		return -1;
	return map_ring(x, XSK_TX, &o.tx, XDP_PGOFF_TX_RING);
}

/* Memory for ${x->nrecv} and ${x->nsend} chunks, known to the kernel. */
static int
give_memory(struct xsk *x)
{
	struct xdp_umem_reg reg = {.chunk_size = x->chunk};
	void *p;
	int saved;

	reg.len = x->size = (uint64_t)(x->nrecv + x->nsend) * x->chunk;
	p = mmap(NULL, x->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
	    -1, 0);
	if (p == MAP_FAILED)
		return -1;
	reg.addr = (uintptr_t)p;
	if (setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg) == 0) {
		x->memory = p;
		return 0;
	}
	saved = errno;
	munmap(p, x->size);
	errno = saved;
	return -1;
}

int
xsk_open(struct xsk *x, int fd, uint32_t chunk)
{
	xsk_none(x);
	x->fd = fd;
	x->chunk = chunk;
	x->nrecv = XSK_RECV;
	x->nsend = XSK_SEND;
	/* ENOBUFS: more than RLIMIT_MEMLOCK, which counts for all of this user's processes */
	while (give_memory(x) == -1) {
		if (errno != ENOBUFS || x->nrecv <= XSK_RECV / 8)
			goto err;
		x->nrecv /= 2;
		x->nsend /= 2;
	}
	if (make_rings(x) == -1)
		goto err;
	for (uint32_t i = 0; i < x->nrecv; i++)
		xskring_in_addr(&x->ring[XSK_FILL], i, (uint64_t)i * chunk);
	xskring_produce(&x->ring[XSK_FILL], x->nrecv);
	for (uint32_t i = 0; i < x->nsend; i++)
		x->free[x->nfree++] = (uint64_t)(x->nrecv + i) * chunk;
	return 0;
err:
	xsk_close(x);
	return -1;
}

int
xsk_bind(struct xsk *x, unsigned ifindex, bool copy)
{
	struct sockaddr_xdp a = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_USE_NEED_WAKEUP};
	const struct timespec soon = {.tv_nsec = 10000000};
	struct xdp_options o = {0};
	socklen_t len = sizeof o;

	a.sxdp_ifindex = ifindex;
	if (copy)
		a.sxdp_flags |= XDP_COPY;
	/* what had the queue before is let go of a little later than it is closed */
	for (int i = 0; bind(x->fd, (struct sockaddr *)&a, sizeof a) == -1; i++) {
		if (errno != EBUSY || i == 50)
			return -1;
		nanosleep(&soon, NULL);
	}
	x->zerocopy = getsockopt(x->fd, SOL_XDP, XDP_OPTIONS, &o, &len) == 0 &&
		      (o.flags & XDP_OPTIONS_ZEROCOPY);
	return 0;
}

void
xsk_close(struct xsk *x)
{
	int saved = errno;

	for (int k = 0; k < XSK_RINGS; k++)
		if (x->map[k])
			munmap(x->map[k], x->len[k]);
	if (x->fd != -1)
		close(x->fd);
	if (x->memory)
		munmap(x->memory, x->size);
	xsk_none(x);
	errno = saved;
}

uint64_t
xsk_lost(const struct xsk *x)
{
	struct xdp_statistics s = {0};
	socklen_t len = sizeof s;

	if (x->fd == -1 || getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &s, &len) == -1)
		return 0;
	return s.rx_dropped + s.rx_ring_full;
}

void
xsk_reap(struct xsk *x)
{
	const struct xskring *r = &x->ring[XSK_DONE];
	uint32_t n = xskring_ready(r);

	for (uint32_t i = 0; i < n && x->nfree < x->nsend; i++)
		x->free[x->nfree++] = xskring_out_addr(r, i);
	xskring_consume(r, n);
}
