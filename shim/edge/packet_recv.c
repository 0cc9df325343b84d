#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fanout.h"
#include "log.h"
#include "packet_recv.h"
#include "pksock.h"
#include "rxring.h"
#include "segment.h"
#include "vnet.h"

#define SOCKETS	  3
#define DRAIN_MAX 65536
#define ROUND                                                                                      \
	4 /* calls after which the other sockets are read as well, however much comes from one */
#define GUESS 8 /* slots made ready beyond as many as came last */

/* A stripped VLAN tag; tpid 0: there was none. */
struct tag {
	uint16_t tpid, tci;
};

struct packet_recv {
	int fd[SOCKETS], nfd;
	bool by_ring; /* one socket, with a ring */
	struct rxring ring;
	uint64_t taken;			    /* frames out of it; atomic */
	uint64_t looked_taken, looked_lost; /* at the last look */
	const struct packet_recv *first;    /* of those that share; NULL: it is alone */
	int group[SOCKETS];		    /* FANOUT_NONE: this one gets all */
	unsigned at, calls;		    /* socket that gave frames last */
	unsigned guess; /* slots worth making ready: at rest frames come by ones */
	bool down;	/* the NIC is or may be down, so it may be gone as well */
	bool gone;
	uint64_t lost; /* atomic */

	/* one message each */
	struct mmsghdr msg[BURST_MAX];
	struct iovec iov[BURST_MAX][2]; /* vnet header, slot */
	uint8_t head[BURST_MAX][VNET_HLEN];
	union {
		uint8_t octets[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} aux[BURST_MAX];
	struct pkt *slot[BURST_MAX];
};

struct packet_recv *
packet_recv_new(void)
{
	struct packet_recv *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	for (unsigned i = 0; i < BURST_MAX; i++) {
		r->iov[i][0] = (struct iovec){r->head[i], VNET_HLEN};
		r->msg[i].msg_hdr.msg_iov = r->iov[i];
		r->msg[i].msg_hdr.msg_iovlen = 2;
		r->msg[i].msg_hdr.msg_control = r->aux[i].octets;
	}
	return r;
}

void
packet_recv_free(struct packet_recv *r)
{
	if (r == NULL)
		return;
	packet_recv_close(r);
	free(r);
}

void
packet_recv_ring(struct packet_recv *r)
{
	r->by_ring = true;
}

void
packet_recv_share(struct packet_recv *r, const struct packet_recv *first)
{
	r->first = first;
}

/* Socket ${i}, just opened, gets its share.  -1: nothing. */
static int
share(struct packet_recv *r, int i)
{
	if (r->first == NULL)
		return 0;
	r->group[i] = r->first == r ? FANOUT_NEW : r->first->group[i];
	if (r->group[i] != FANOUT_NONE && fanout_join(r->fd[i], &r->group[i]) == 0)
		return 0;
	if (r->first != r)
		return -1;
	log_warn("the kernel cannot share out what comes in: one worker reads it all");
	r->group[i] = FANOUT_NONE;
	return 0;
}

int
packet_recv_open(struct packet_recv *r, const struct edge_opener *o, bool all)
{
	static const enum edge_fd kind[SOCKETS] = {
	    EDGE_FD_RECV_IP4, EDGE_FD_RECV_IP6, EDGE_FD_RECV_REST};
	enum edge_fd one = r->by_ring ? EDGE_FD_RECV_RING : EDGE_FD_RECV_ALL;
	int n = all || r->by_ring ? 1 : SOCKETS;

	r->gone = false;
	r->at = 0;
	r->guess = GUESS;
	r->down = true; /* until the first frame */
	for (r->nfd = 0; r->nfd < n; r->nfd++) {
		r->fd[r->nfd] = o->open(o->ctx, n == 1 ? one : kind[r->nfd]);
		if (r->fd[r->nfd] == -1)
			return -1;
		if (share(r, r->nfd) == -1) {
			close(r->fd[r->nfd]);
			packet_recv_close(r);
			return 0;
		}
	}
	return r->by_ring ? rxring_map(&r->ring, r->fd[0]) : 0;
}

void
packet_recv_close(struct packet_recv *r)
{
	rxring_unmap(&r->ring);
	while (r->nfd > 0)
		close(r->fd[--r->nfd]);
}

/* What is queued goes with its slot, or the next one would take it for its own. */
static void
drain_ring(struct packet_recv *r)
{
	struct rxring_frame f;
	uint8_t octet;

	for (int n = 0; n < DRAIN_MAX && rxring_peek(&r->ring, &f); n++) {
		if (f.queued && recv(r->fd[0], &octet, 1, MSG_DONTWAIT | MSG_TRUNC) == -1 &&
		    errno == ENETDOWN)
			continue; /* that is all it says, once */
		rxring_next(&r->ring);
	}
}

void
packet_recv_drain(struct packet_recv *r)
{
	uint8_t octet;

	if (r->ring.map) {
		drain_ring(r);
		return;
	}
	for (int i = 0; i < r->nfd; i++)
		for (int n = 0; n < DRAIN_MAX; n++)
			if (recv(r->fd[i], &octet, 1, MSG_DONTWAIT | MSG_TRUNC) == -1 &&
			    errno == EAGAIN)
				break;
}

int
packet_recv_fds(const struct packet_recv *r, int *fd, int max)
{
	int n = r->nfd < max ? r->nfd : max;

	memcpy(fd, r->fd, (size_t)n * sizeof *fd);
	return n;
}

uint64_t
packet_recv_lost(struct packet_recv *r)
{
	struct tpacket_stats s;
	socklen_t len;

	/* reading sets the kernel's counter back to zero */
	for (int i = 0; i < r->nfd; i++) {
		len = sizeof s;
		if (getsockopt(r->fd[i], SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0)
			__atomic_fetch_add(&r->lost, s.tp_drops, __ATOMIC_RELAXED);
	}
	return __atomic_load_n(&r->lost, __ATOMIC_RELAXED);
}

int
packet_recv_look(struct packet_recv *r)
{
	uint64_t taken, lost = packet_recv_lost(r);
	bool stands;

	if (!r->ring.map)
		return 0;
	/* frames are thrown away while there is room for them; what was taken is asked last, or the worker could empty a full ring meanwhile */
	stands = lost > r->looked_lost && rxring_empty(&r->ring);
	taken = __atomic_load_n(&r->taken, __ATOMIC_SEQ_CST);
	stands = stands && taken == r->looked_taken;
	r->looked_taken = taken;
	r->looked_lost = lost;
	return stands ? -1 : 0;
}

/* The tag the kernel took out of message ${i}. */
static struct tag
tag_of(struct packet_recv *r, unsigned i)
{
	struct msghdr *m = &r->msg[i].msg_hdr;
	struct tpacket_auxdata aux;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof aux);
		if (aux.tp_status & TP_STATUS_VLAN_VALID)
			return (struct tag){aux.tp_status & TP_STATUS_VLAN_TPID_VALID
						? aux.tp_vlan_tpid
						: ETYPE_8021Q,
			    aux.tp_vlan_tci};
	}
	return (struct tag){0, 0};
}

/* Puts a tag back where it was, behind the two link addresses. */
static void
put_tag(struct pkt *p, struct tag tag)
{
	uint8_t *f;

	if (tag.tpid == 0 || p->drop != DROP_NONE)
		return;
	if (p->len < ETH_HLEN_OCTETS || (f = pkt_push(p, ETH_VLAN_OCTETS)) == NULL) {
		p->drop = DROP_NO_ROOM;
		return;
	}
	memmove(f, f + ETH_VLAN_OCTETS, 12);
	put16(f + 12, tag.tpid);
	put16(f + 14, tag.tci);
	if (p->todo.partial)
		p->todo.csum_start += ETH_VLAN_OCTETS;
}

/* Gets message ${i} ready to receive into ${p}. */
static void
prepare(struct packet_recv *r, unsigned i, struct pkt *p)
{
	r->slot[i] = p;
	r->iov[i][1] = (struct iovec){pkt_data(p), p->size - p->off - PKT_TAILROOM};
	r->msg[i].msg_hdr.msg_controllen = sizeof r->aux[i].octets;
	r->msg[i].msg_hdr.msg_flags = 0;
}

/* Message ${i} has come into its slot. */
static void
hand_out(struct packet_recv *r, unsigned i, struct burst *b)
{
	struct pkt *p = r->slot[i];
	uint32_t len = r->msg[i].msg_len;

	p->link = LINK_ETHER;
	p->len = len < VNET_HLEN ? 0 : len - VNET_HLEN;
	if (r->msg[i].msg_hdr.msg_flags & MSG_TRUNC) {
		p->drop = DROP_NO_ROOM;
	} else {
		vnet_read(r->head[i], &p->todo);
		put_tag(p, tag_of(r, i));
		if (p->todo.gso && p->drop == DROP_NONE)
			p->drop = segment_count(p);
	}
	b->p[b->n++] = p;
}

/* A frame the kernel could not describe (a super-frame of a kind it has no vnet header for) is thrown away by it: count it. */
static void
say_refused(struct pktpool *pool, struct burst *b, unsigned max)
{
	struct pkt *p;

	if (b->n == max || (p = pkt_new(pool)) == NULL)
		return;
	p->link = LINK_ETHER;
	p->drop = DROP_EDGE_ERROR;
	b->p[b->n++] = p;
}

/* At most ${max} frames of one socket by one system call; true: there may be more. */
static bool
take(struct packet_recv *r, int fd, struct pktpool *pool, struct burst *b, unsigned max)
{
	unsigned want, i;
	struct pkt *p;
	int n;

	for (want = 0; want < max && (p = pkt_new(pool)) != NULL; want++)
		prepare(r, want, p);
	if (want == 0)
		return false;
	while ((n = recvmmsg(fd, r->msg, want, MSG_DONTWAIT, NULL)) == -1 && errno == EINTR)
		;
	if (n > 0)
		r->down = false;
	else if (errno == ENETDOWN)
		r->down = true; /* told once; frames come again when the NIC is up again */
	else if (errno == ENXIO || errno == ENODEV)
		r->gone = true;
	for (i = 0; i < want; i++) {
		if ((int)i < n)
			hand_out(r, i, b);
		else
			pkt_free(pool, r->slot[i]);
	}
	if (n == -1 && errno == EINVAL)
		say_refused(pool, b, b->n + max);
	if (n >= 0)
		r->guess = n == (int)want ? BURST_MAX : (unsigned)n + GUESS;
	return n == (int)want;
}

/* A burst from one socket. */
static void
from_socket(struct packet_recv *r, int fd, struct pktpool *pool, struct burst *b, unsigned max)
{
	unsigned left;

	do
		left = max - b->n;
	while (left && take(r, fd, pool, b, left < r->guess ? left : r->guess));
}

/* What the socket has to say besides frames; else it would stay readable. */
static void
hear(struct packet_recv *r)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(r->fd[0], SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error)
		r->down = true;
}

/* The frame whose turn it is, out of its slot. */
static void
from_slot(const struct rxring_frame *f, struct pkt *p)
{
	const struct tag tag = {f->tpid, f->tci};

	p->link = LINK_ETHER;
	if (f->cut || f->vnet == NULL || f->len > p->size - p->off - PKT_TAILROOM) {
		p->drop = DROP_NO_ROOM;
		return;
	}
	memcpy(pkt_data(p), f->data, f->len);
	p->len = f->len;
	vnet_read(f->vnet, &p->todo);
	put_tag(p, tag);
	if (p->todo.gso && p->drop == DROP_NONE)
		p->drop = segment_count(p);
}

/* The one that did not fit into its slot, out of the socket's queue; the pool has a packet for it.  false: it is not there. */
static bool
from_queue(struct packet_recv *r, struct pktpool *pool, struct burst *b)
{
	unsigned had = b->n;

	for (int i = 0; i < 2 && b->n == had; i++) /* what the socket has to say comes first */
		(void)take(r, r->fd[0], pool, b, 1);
	return b->n > had;
}

/* A burst from the ring. */
static void
from_ring(struct packet_recv *r, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct rxring_frame f;
	struct pkt *p;

	while (b->n < max && pktpool_left(pool) && rxring_peek(&r->ring, &f)) {
		if ((!f.queued || !from_queue(r, pool, b)) && (p = pkt_new(pool)) != NULL) {
			from_slot(&f, p);
			b->p[b->n++] = p;
		}
		rxring_next(&r->ring);
	}
	if (b->n == 0) {
		hear(r);
		return;
	}
	r->down = false;
	__atomic_store_n(&r->taken, r->taken + b->n, __ATOMIC_RELAXED);
}

/* A burst from the sockets. */
static void
from_sockets(struct packet_recv *r, struct pktpool *pool, struct burst *b, unsigned max)
{
	/* What gave frames last has some now, and to ask the others costs a system call each.  What they hold wakes the caller again. */
	bool all = ++r->calls % ROUND == 0;
	unsigned first = r->at + all;

	for (unsigned i = 0; i < (unsigned)r->nfd && b->n < max; i++) {
		unsigned had = b->n, k = (first + i) % (unsigned)r->nfd;

		from_socket(r, r->fd[k], pool, b, max);
		if (b->n == had)
			continue;
		r->at = k;
		if (!all)
			break;
	}
}

int
packet_recv_burst(struct packet_recv *r, struct pktpool *pool, struct burst *b, unsigned max)
{
	if (r->ring.map)
		from_ring(r, pool, b, max);
	else
		from_sockets(r, pool, b, max);
	if (r->down && b->n == 0)
		r->gone = r->gone || (r->nfd > 0 && pksock_gone(r->fd[0]));
	if (r->gone && b->n == 0) {
		errno = ENODEV;
		return -1;
	}
	return (int)b->n;
}
