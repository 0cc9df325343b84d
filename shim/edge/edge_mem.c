/*
 * An edge of plain memory: for unit tests, fuzzing and benchmarks.  Frames lie one behind the other, each after its length.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "edge.h"

struct fifo {
	uint8_t *octets;
	size_t head, tail, cap;
};

struct edge_mem {
	struct edge e;
	uint32_t mtu;
	uint8_t link;
	bool gone;
	enum drop fail;
	struct fifo in, out;
};

/* Appends a frame; the buffer is only ever grown, so a benchmark's steady state does not allocate. */
static int
fifo_put(struct fifo *f, const void *frame, uint32_t len)
{
	size_t need, cap;
	uint8_t *octets;

	if (f->head == f->tail)
		f->head = f->tail = 0;
	need = f->tail + sizeof len + len;
	if (need > f->cap) {
		for (cap = f->cap ? f->cap : 4096; cap < need; cap *= 2)
			;
		if ((octets = realloc(f->octets, cap)) == NULL)
			return -1;
		f->octets = octets;
		f->cap = cap;
	}
	memcpy(f->octets + f->tail, &len, sizeof len);
	if (len)
		memcpy(f->octets + f->tail + sizeof len, frame, len);
	f->tail = need;
	return 0;
}

/* The oldest frame, which stays; NULL: empty. */
static const uint8_t *
fifo_peek(const struct fifo *f, uint32_t *len)
{
	if (f->head == f->tail)
		return NULL;
	memcpy(len, f->octets + f->head, sizeof *len);
	return f->octets + f->head + sizeof *len;
}

static void
fifo_drop(struct fifo *f, uint32_t len)
{
	f->head += sizeof len + len;
}

static int
mem_bind(struct edge *e)
{
	((struct edge_mem *)e)->gone = false;
	e->bound = true;
	return 0;
}

static void
mem_unbind(struct edge *e)
{
	e->bound = e->running = false;
}

static int
mem_restart(struct edge *e)
{
	if (!e->bound) {
		errno = ENODEV;
		return -1;
	}
	e->running = true;
	return 0;
}

static void
mem_pause(struct edge *e)
{
	e->running = false;
}

static int
mem_recv(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct edge_mem *m = (struct edge_mem *)e;
	const uint8_t *frame;
	uint8_t *octets;
	struct pkt *p;
	uint32_t len;

	while (b->n < max && (frame = fifo_peek(&m->in, &len)) != NULL) {
		if ((p = pkt_new(pool)) == NULL)
			break;
		p->link = m->link;
		if ((octets = pkt_put(p, len)) == NULL)
			p->drop = DROP_NO_ROOM;
		else if (len)
			memcpy(octets, frame, len);
		fifo_drop(&m->in, len);
		b->p[b->n++] = p;
	}
	if (b->n == 0 && m->gone) {
		errno = ENODEV;
		return -1;
	}
	return (int)b->n;
}

static unsigned
mem_send(struct edge *e, struct burst *b)
{
	struct edge_mem *m = (struct edge_mem *)e;
	struct pkt *p;
	unsigned sent = 0;

	for (unsigned i = 0; i < b->n; i++) {
		p = b->p[i];
		if (p->drop != DROP_NONE)
			continue;
		if (m->fail != DROP_NONE)
			p->drop = m->fail;
		else if (fifo_put(&m->out, pkt_data(p), p->len) == -1)
			p->drop = DROP_EDGE_FULL;
		else
			sent++;
	}
	return sent;
}

static int
mem_fds(const struct edge *e, int *fd, int max)
{
	return 0;
}

static void
mem_caps(const struct edge *e, struct edge_caps *c)
{
	const struct edge_mem *m = (const struct edge_mem *)e;

	memset(c, 0, sizeof *c);
	c->mtu = m->mtu;
	c->link = e->bound && !m->gone;
	c->linktype = m->link;
}

static void
mem_free(struct edge *e)
{
	struct edge_mem *m = (struct edge_mem *)e;

	free(m->in.octets);
	free(m->out.octets);
	free(m);
}

static const struct edge_ops mem_ops = {
    .name = "mem",
    .bind = mem_bind,
    .unbind = mem_unbind,
    .restart = mem_restart,
    .pause = mem_pause,
    .recv_burst = mem_recv,
    .send_burst = mem_send,
    .fds = mem_fds,
    .caps = mem_caps,
    .free = mem_free,
};

struct edge *
edge_mem_new(enum pkt_link link, uint32_t mtu)
{
	struct edge_mem *m = calloc(1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->e.ops = &mem_ops;
	m->link = (uint8_t)link;
	m->mtu = mtu;
	return &m->e;
}

int
edge_mem_give(struct edge *e, const void *frame, uint32_t len)
{
	return fifo_put(&((struct edge_mem *)e)->in, frame, len);
}

int
edge_mem_take(struct edge *e, void *frame, uint32_t cap)
{
	struct edge_mem *m = (struct edge_mem *)e;
	const uint8_t *octets;
	uint32_t len;

	if ((octets = fifo_peek(&m->out, &len)) == NULL)
		return -1;
	if (len && cap)
		memcpy(frame, octets, len < cap ? len : cap);
	fifo_drop(&m->out, len);
	return (int)len;
}

void
edge_mem_fail(struct edge *e, enum drop d)
{
	((struct edge_mem *)e)->fail = d;
}

void
edge_mem_gone(struct edge *e)
{
	((struct edge_mem *)e)->gone = true;
}
