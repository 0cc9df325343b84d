#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "packet_recv.h"
#include "pksock.h"
#include "segment.h"
#include "vnet.h"

#define SOCKETS	  3
#define DRAIN_MAX 65536
#define STAGE                                                                                      \
	(PKT_FRAME_MAX + 2) /* a frame of the largest size, and room to see that one was larger */

/* A stripped VLAN tag; tpid 0: there was none. */
struct tag {
	uint16_t tpid, tci;
};

/* A frame that waits in the edge's own memory. */
struct staged {
	uint8_t *octets; /* STAGE */
	uint32_t len;
	struct vnet v;
	struct tag tag;
	struct segment seg; /* where we are in a super-frame */
	bool begun;
};

struct packet_recv {
	int fd[SOCKETS], nfd;
	unsigned turn; /* socket to begin with, so that a flood on one does not starve the others */
	bool down;     /* the NIC is or may be down, so it may be gone as well */
	bool gone;
	uint64_t lost; /* atomic */

	/* one message each */
	struct mmsghdr msg[BURST_MAX];
	struct iovec iov[BURST_MAX][3]; /* vnet header, slot, staging buffer */
	uint8_t head[BURST_MAX][VNET_HLEN];
	union {
		uint8_t octets[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} aux[BURST_MAX];
	struct pkt *slot[BURST_MAX];
	uint32_t room[BURST_MAX];

	struct staged stage[BURST_MAX];
	unsigned first, last; /* staged frames not yet handed out: [first, last) */
	uint8_t *octets;      /* of all of them; touched only where a super-frame comes in */
};

struct packet_recv *
packet_recv_new(void)
{
	struct packet_recv *r = calloc(1, sizeof *r);

	if (r == NULL || (r->octets = calloc(BURST_MAX, STAGE)) == NULL) {
		free(r);
		errno = ENOMEM;
		return NULL;
	}
	for (unsigned i = 0; i < BURST_MAX; i++) {
		r->stage[i].octets = r->octets + (size_t)i * STAGE;
		r->iov[i][0] = (struct iovec){r->head[i], VNET_HLEN};
		r->msg[i].msg_hdr.msg_iov = r->iov[i];
		r->msg[i].msg_hdr.msg_iovlen = 3;
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
	free(r->octets);
	free(r);
}

int
packet_recv_open(struct packet_recv *r, int netns, int ifindex, bool all)
{
	static const enum pksock_take take[SOCKETS] = {PKSOCK_IP4, PKSOCK_IP6, PKSOCK_REST};
	int n = all ? 1 : SOCKETS;

	r->gone = false;
	r->down = true; /* until the first frame */
	for (r->nfd = 0; r->nfd < n; r->nfd++) {
		r->fd[r->nfd] = pksock_receive(netns, ifindex, all ? PKSOCK_ALL : take[r->nfd]);
		if (r->fd[r->nfd] == -1)
			return -1;
	}
	return 0;
}

void
packet_recv_close(struct packet_recv *r)
{
	while (r->nfd > 0)
		close(r->fd[--r->nfd]);
	r->first = r->last = 0;
}

void
packet_recv_drain(struct packet_recv *r)
{
	uint8_t octet;

	r->first = r->last = 0;
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
}

/* Gets message ${i} ready to receive into ${p}. */
static void
prepare(struct packet_recv *r, unsigned i, struct pkt *p)
{
	uint32_t room = p->size - p->off - PKT_TAILROOM;

	if (room > STAGE)
		room = STAGE;
	r->slot[i] = p;
	r->room[i] = room;
	r->iov[i][1] = (struct iovec){pkt_data(p), room};
	r->iov[i][2] = (struct iovec){r->stage[i].octets + room, STAGE - room};
	r->msg[i].msg_hdr.msg_controllen = sizeof r->aux[i].octets;
	r->msg[i].msg_hdr.msg_flags = 0;
}

/* Message ${i} is one packet that fits its slot: handed out as it lies. */
static void
hand_out(struct packet_recv *r, unsigned i, uint32_t len, const struct vnet *v, struct burst *b)
{
	struct pkt *p = r->slot[i];

	p->link = LINK_ETHER;
	p->len = len;
	p->drop = vnet_finish(v, pkt_data(p), len);
	put_tag(p, tag_of(r, i));
	b->p[b->n++] = p;
}

/* Message ${i} has to wait: what of it lies in the slot goes to the staging buffer, in front of what ran over. */
static void
stage(struct packet_recv *r, unsigned i, uint32_t len, const struct vnet *v)
{
	struct staged *s = &r->stage[r->last];
	uint8_t *octets = r->stage[i].octets;

	/* buffers change places, so that frames stand in a row: i >= last always */
	r->stage[i].octets = s->octets;
	s->octets = octets;
	memcpy(octets, pkt_data(r->slot[i]), len < r->room[i] ? len : r->room[i]);
	s->len = len;
	s->v = *v;
	s->tag = tag_of(r, i);
	s->begun = false;
	r->last++;
}

/* The next packet out of staged frame ${s}; true: it was the last one. */
static bool
unstage(struct staged *s, struct pkt *p)
{
	uint8_t *f;

	p->link = LINK_ETHER;
	if (s->v.gso == 0) {
		if (p->size - p->off - PKT_TAILROOM < s->len || (f = pkt_put(p, s->len)) == NULL) {
			p->drop = DROP_NO_ROOM;
			return true;
		}
		memcpy(f, s->octets, s->len);
		p->drop = vnet_finish(&s->v, f, s->len);
		put_tag(p, s->tag);
		return true;
	}
	if (!s->begun) {
		s->begun = true;
		if ((p->drop = segment_begin(&s->seg, s->octets, s->len, &s->v)) != DROP_NONE)
			return true;
	}
	segment_next(&s->seg, p);
	put_tag(p, s->tag);
	return !segment_more(&s->seg);
}

static void
unstage_burst(struct packet_recv *r, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct pkt *p;

	while (r->first < r->last && b->n < max && (p = pkt_new(pool)) != NULL) {
		if (unstage(&r->stage[r->first], p))
			r->first++;
		b->p[b->n++] = p;
	}
	if (r->first == r->last)
		r->first = r->last = 0;
}

/* Is the NIC gone, after we heard that it is down?  Its number is then no longer ours; the kernel does not say so otherwise. */
static bool
check_gone(const struct packet_recv *r)
{
	struct sockaddr_ll sll;
	socklen_t len = sizeof sll;

	memset(&sll, 0, sizeof sll);
	return r->nfd > 0 && getsockname(r->fd[0], (struct sockaddr *)&sll, &len) == 0 &&
	       sll.sll_ifindex <= 0;
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

/* One message's octets, sorted out. */
static bool
sort_out(struct packet_recv *r, unsigned i, struct burst *b)
{
	struct vnet v = {0};
	uint32_t len = r->msg[i].msg_len;

	vnet_read(r->head[i], &v);
	len = len < VNET_HLEN ? 0 : len - VNET_HLEN;
	if (r->msg[i].msg_hdr.msg_flags & MSG_TRUNC)
		v.gso = 0; /* longer than any frame we know: it fits no slot */
	if (v.gso == 0 && len <= r->room[i] && r->last == 0) {
		hand_out(r, i, len, &v, b);
		return true;
	}
	stage(r, i, len, &v);
	return false;
}

/* A burst from one socket. */
static void
from_socket(struct packet_recv *r, int fd, struct pktpool *pool, struct burst *b, unsigned max)
{
	unsigned want, i;
	struct pkt *p;
	int n;

	for (want = 0; want < max - b->n && (p = pkt_new(pool)) != NULL; want++)
		prepare(r, want, p);
	if (want == 0)
		return;
	while ((n = recvmmsg(fd, r->msg, want, MSG_DONTWAIT, NULL)) == -1 && errno == EINTR)
		;
	if (n > 0)
		r->down = false;
	else if (errno == ENETDOWN)
		r->down = true; /* told once; frames come again when the NIC is up again */
	else if (errno == ENXIO || errno == ENODEV)
		r->gone = true;
	for (i = 0; i < want; i++)
		if ((int)i >= n || !sort_out(r, i, b))
			pkt_free(pool, r->slot[i]);
	if (n == -1 && errno == EINVAL)
		say_refused(pool, b, max);
}

int
packet_recv_burst(struct packet_recv *r, struct pktpool *pool, struct burst *b, unsigned max)
{
	unstage_burst(r, pool, b, max);
	for (int i = 0; i < r->nfd && b->n < max && r->last == 0; i++) {
		from_socket(r, r->fd[(r->turn + (unsigned)i) % (unsigned)r->nfd], pool, b, max);
		unstage_burst(r, pool, b, max);
	}
	r->turn++;
	if (r->down && b->n == 0)
		r->gone = r->gone || check_gone(r);
	if (r->gone && b->n == 0) {
		errno = ENODEV;
		return -1;
	}
	return (int)b->n;
}
