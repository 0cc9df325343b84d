/*
 * An edge of the bump, whatever is behind it: the host (TAP), the wire (AF_PACKET), a capture file, arrays in memory.
 * The walk sees only this table; edges are exchangeable.
 *
 * Life: *_new() -> bind -> restart -> (receive and send bursts) -> pause -> unbind -> free.  bind and unbind are the only places
 * that open and close a descriptor.  receive and send run on one worker; the others on the control thread while
 * the worker is paused, but for look, and caps, which anyone may call.
 */
#ifndef BITS_EDGE_H
#define BITS_EDGE_H

#include <stdbool.h>
#include <stdint.h>
#include "pkt.h"

/* What an edge tells of itself (NDIS: answers to queries). */
struct edge_caps {
	uint32_t mtu;          /* largest IP packet, octets */
	uint8_t mac[6];        /* all zero: none */
	bool link;             /* up */
	uint8_t linktype;      /* enum pkt_link */
	uint64_t lost;         /* frames the kernel threw away before they were read, since bind */
};

struct edge;

/*
 * A descriptor that an edge needs, opened and set up by whoever may: the edge itself, or, once bitsd has given its privileges up, the
 * process that kept them (control/warden.h).
 */
enum edge_fd {
	EDGE_FD_TAP,        /* attached to the TAP, without carrier */
	EDGE_FD_TAP_ASK,    /* a socket in the TAP's namespace, to ask for its MTU and flags */
	EDGE_FD_SEND,       /* the rest as pksock.h says */
	EDGE_FD_SEND_WHOLE,
	EDGE_FD_RECV_IP4,
	EDGE_FD_RECV_IP6,
	EDGE_FD_RECV_REST,
	EDGE_FD_RECV_ALL,
	EDGE_FD_TAP_QUEUE,  /* the same as EDGE_FD_TAP, of a TAP made for several queues: one more of them */
	EDGE_FD_RECV_RING,
	EDGE_FD_ASK,
	EDGE_FD_XDP,        /* xdpprog_socket() */
	EDGE_FD_XDP_DRIVER, /* xdpprog_hang() */
	EDGE_FD_XDP_GENERIC,
	EDGE_FD_MAX
};

struct edge_opener {
	int (*open)(void *ctx, enum edge_fd what); /* a descriptor for the caller to close, or -1 and errno */
	void *ctx;
};

struct edge_ops {
	const char *name;                                /* "tap", "packet", "ring", "xdp", "pcap", "mem" */
	int (*bind)(struct edge *e);                     /* 0, or -1 and errno; logs what failed */
	void (*unbind)(struct edge *e);                  /* on return nobody holds the device */
	int (*restart)(struct edge *e);                  /* begin to pass packets */
	void (*pause)(struct edge *e);                   /* stop; packets in the device's queue are thrown away by restart */
	/* At most ${max} frames from the device into ${b} (n counts up from 0), each a new packet of ${pool}.  Never blocks.
	 * Number of frames; 0: nothing there now; -1 and errno: the device is gone (ENODEV, ENXIO, EBADFD). */
	int (*recv_burst)(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max);
	/* Send every packet of ${b} whose drop is DROP_NONE; one that cannot go gets EDGE_FULL, EDGE_ERROR or LINK_DOWN.  The burst
	 * keeps its packets.  Number sent. */
	unsigned (*send_burst)(struct edge *e, struct burst *b);
	int (*fds)(const struct edge *e, int *fd, int max); /* descriptors to wait for (EPOLLIN); count, 0: none (pcap, mem) */
	void (*caps)(const struct edge *e, struct edge_caps *c);
	void (*free)(struct edge *e);
	/* May be NULL.  Now and then, and when something happened to the device: what the edge keeps in mind of it is looked at again.
	 * -1: it is not gone, but nothing comes any more until it is bound again. */
	int (*look)(struct edge *e);
};

struct edge {
	const struct edge_ops *ops;
	bool bound;
	bool running;
	bool more;    /* the last burst ended before the device was empty, for sure or probably: set by receive */
	bool unsent;  /* the device has not taken all that was sent: receive asks it again, even if nothing comes */
	bool offload; /* takes super-frames and missing checksums (struct vnet); the others are never given any */
	struct edge_opener opener; /* of a TAP or packet edge */
};

static inline int edge_bind(struct edge *e) { return e->ops->bind(e); }
static inline void edge_unbind(struct edge *e) { e->ops->unbind(e); }
static inline int edge_restart(struct edge *e) { return e->ops->restart(e); }
static inline void edge_pause(struct edge *e) { e->ops->pause(e); }
static inline int edge_fds(const struct edge *e, int *fd, int max) { return e->ops->fds(e, fd, max); }
static inline void edge_caps(const struct edge *e, struct edge_caps *c) { e->ops->caps(e, c); }
static inline int edge_look(struct edge *e) { return e->running && e->ops->look ? e->ops->look(e) : 0; }
static inline void edge_free(struct edge *e) { if (e) e->ops->free(e); }

/** edge_refuse(b, d): every packet of ${b} that was still to go gets ${d}; 0, the number sent. */
static inline unsigned
edge_refuse(struct burst *b, enum drop d)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i]->drop == DROP_NONE)
			b->p[i]->drop = d;
	return 0;
}

/* The only two ways in: through an edge that is not running nothing passes, whatever is behind it.  What is read from it all the
 * same (to be counted) has drop NOT_RUNNING already. */
static inline int
edge_recv(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	int n;

	b->n = 0;
	if (!e->bound)
		return 0;
	if (max > BURST_MAX)
		max = BURST_MAX;
	e->more = false;
	n = e->ops->recv_burst(e, pool, b, max);
	if (n == (int)max)
		e->more = true;
	if (!e->running)
		edge_refuse(b, DROP_NOT_RUNNING);
	return n;
}

static inline unsigned
edge_send(struct edge *e, struct burst *b)
{
	if (!e->running)
		return edge_refuse(b, DROP_NOT_RUNNING);
	return b->n ? e->ops->send_burst(e, b) : 0;
}

/* How the wire is read and written (--lower). */
enum edge_lower {
	LOWER_PACKET, /* lower_packet.c, by messages */
	LOWER_RING,   /* the same, reading from a ring */
	LOWER_XDP,    /* lower_xdp.c */
};

/*
 * The back ends.  Each *_new() returns NULL and errno, and opens nothing.
 */

/* upper_tap.c: the host's side.  Creates or re-attaches the persistent TAP ${name} in the network namespace ${netns_fd}
 * (-1: the caller's; the descriptor stays the caller's and must stay open).  bind leaves the carrier off until
 * edge_tap_carrier(); unbind leaves the TAP persistent and without carrier, and so does the owner's death.  Longer frames than the
 * pool's slots take are handed out with drop NO_ROOM.  ${offload}: the host leaves checksums and the cutting of TCP (and, where the
 * kernel knows how, of UDP) to us, see struct vnet; without it a frame read is one packet, all in it. */
struct edge *edge_tap_new(const char *name, int netns_fd, bool offload);
/** edge_tap_fd(name, netns_fd, what): what a TAP edge opens; EDGE_FD_TAP, _TAP_QUEUE or _TAP_ASK.  Descriptor, or -1 and errno. */
int edge_tap_fd(const char *name, int netns_fd, enum edge_fd what);
/** edge_tap_queue(e): ${e} is one of several edges of one TAP, each with a queue of it; before its first bind.  The kernel keeps a flow on the queue by
 * which packets of it last came in to the host.  EINVAL at bind: the TAP was made for one. */
void edge_tap_queue(struct edge *e);
/** edge_tap_carrier(e, up): the TAP's carrier (TUNSETCARRIER); 0 or -1 and errno. */
int edge_tap_carrier(struct edge *e, bool up);
/** edge_tap_destroy(e): unbind, and the TAP goes away.  An edge that is not bound attaches for it. */
void edge_tap_destroy(struct edge *e);

/*
 * lower_packet.c: the wire.  AF_PACKET on NIC ${name} in ${netns_fd} (-1: the caller's).
 *
 * Own frames never come back (PACKET_IGNORE_OUTGOING); frames for other hosts are not taken, those for every multicast
 * address are (the host's stack keeps its list on the TAP, not here).  A stripped VLAN tag is put back.  What a sender left to
 * do (partial checksums of a veth peer; its super-frames, or those of the NIC's GRO) is handed out as struct vnet.  Frames longer
 * than the NIC's MTU are refused by the kernel (EDGE_ERROR).
 *
 * ${offload}: super-frames and missing checksums are sent as they are, for the NIC or the kernel to finish.
 *
 * ${guarded}: the NIC stays in the host's namespace behind a netdev ingress drop.  Only sockets for all protocols see a frame
 * before that hook, so one takes all; otherwise there is a socket for each of IPv4, IPv6 and the rest, which costs less.
 */
struct edge *edge_packet_new(const char *name, int netns_fd, bool guarded, bool offload);
/** edge_packet_ring(e): frames come in by a ring (rxring.h), of one socket for all; before the first bind.  edge_look() notices when it stands still. */
void edge_packet_ring(struct edge *e);
/** edge_packet_fd(name, netns_fd, what): what a packet edge opens.  Descriptor, or -1 and errno. */
int edge_packet_fd(const char *name, int netns_fd, enum edge_fd what);
/** edge_packet_share(e, first): ${e} is one of several edges of one NIC, which share what comes in by fanout.h: ${first}, which is bound before
 * the others and outlives them.  Before the first bind.  Where the kernel cannot share, ${first} gets all. */
void edge_packet_share(struct edge *e, struct edge *first);

/*
 * lower_xdp.c: the wire by AF_XDP, on a NIC with one queue and of an MTU of at most XSK_MTU.  Frames for other hosts are not taken; longer ones than
 * the NIC's MTU are refused (EDGE_ERROR).  What a sender left to do is not seen, and the edge leaves nothing to do.  edge_look() follows
 * the NIC's MTU and MAC.
 */
struct edge *edge_xdp_new(const char *name, int netns_fd);
/** edge_xdp_fd(name, netns_fd, what): what such an edge opens. */
int edge_xdp_fd(const char *name, int netns_fd, enum edge_fd what);

/*
 * edge_pcap.c: a capture file in, another out; either may be NULL.  Time stamps in pkt->ts_ns, numbers in pkt->number.
 * Reads pcap and pcapng; writes pcap with nanoseconds, or pcapng where ${out} ends in ".pcapng".  Link types:
 * Ethernet, raw IP (LINKTYPE_RAW, _IPV4, _IPV6), Linux cooked (SLL, SLL2) and BSD loopback (NULL, LOOP), see caplink.h.  bind opens both files, unbind closes them.  Packets that were cut when captured
 * come with drop TRUNCATED.  restart throws nothing away.
 */
struct edge *edge_pcap_new(const char *in, const char *out, uint32_t mtu);
/** edge_pcap_peek(e, ts): time stamp (ns) of the next packet; false at the end of the file or after an error. */
bool edge_pcap_peek(struct edge *e, uint64_t *ts);
/** edge_pcap_error(e): NULL, or what is wrong with the file ("A.pcap: packet 7: ..."); owned by the edge.  Also after unbind. */
const char *edge_pcap_error(const struct edge *e);
/** edge_pcap_linktype(e): LINKTYPE number of the input, -1: no input.  Bound edges. */
int edge_pcap_linktype(const struct edge *e);
/** edge_pcap_write_as(e, linktype): of the output, between bind and restart; without it the input's, or Ethernet. */
void edge_pcap_write_as(struct edge *e, int linktype);
/** edge_pcap_clock(e, ts): time stamp (ns) for packets sent that have none of their own. */
void edge_pcap_clock(struct edge *e, uint64_t ts);

/** edge_pcap_backwards(e, first): packets read that are older than one before them, and the number of the first such one. */
uint64_t edge_pcap_backwards(const struct edge *e, uint64_t *first);
/** edge_pcap_progress(e, done, size): octets of the input read until now, and all of it; false: no input, or its size is not known. */
bool edge_pcap_progress(const struct edge *e, uint64_t *done, uint64_t *size);
/** edge_pcap_watch(e, watch, ctx): ${watch} sees every packet that is sent, also where there is no output file. */
void edge_pcap_watch(struct edge *e, void (*watch)(void *ctx, const struct pkt *p, uint64_t ts), void *ctx);

/* edge_mem.c: frames given by edge_mem_give() come out of receive; sent frames are kept for edge_mem_take().  restart throws
 * nothing away. */
struct edge *edge_mem_new(enum pkt_link link, uint32_t mtu);
/** edge_mem_give(e, frame, len): 0, or -1 and ENOMEM. */
int edge_mem_give(struct edge *e, const void *frame, uint32_t len);
/** edge_mem_take(e, frame, cap): the oldest frame sent, copied; its length (of which at most ${cap} were copied), or -1 when
 * there is none. */
int edge_mem_take(struct edge *e, void *frame, uint32_t cap);
/** edge_mem_fail(e, d): from now on each send fails with ${d} (DROP_NONE: works again). */
void edge_mem_fail(struct edge *e, enum drop d);
/** edge_mem_gone(e): the device is gone: receive returns -1 and ENODEV until the next bind. */
void edge_mem_gone(struct edge *e);

#endif
