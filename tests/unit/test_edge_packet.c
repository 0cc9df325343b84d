/* root */
/* links: bits_edge */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "edge.h"
#include "frame.h"
#include "netlab.h"
#include "rxring.h"
#include "segment.h"

#define VNET_SIZE 10u /* PACKET_VNET_HDR */

/* A wire: our NIC w0, the peer's end w1.  The peer is a packet socket. */
static struct edge *e;
static struct pktpool *pool;
static int peer;
static bool guarded, offload, ring;

static const uint8_t all_hosts[6] = {0x01, 0, 0x5e, 0, 0, 0x77},
		     everyone[6] = {255, 255, 255, 255, 255, 255}, stranger[6] = {2, 9, 9, 9, 9, 9};

/* A packet socket on ${nic}; with ${vnet} its frames carry a vnet header. */
static int
raw(const char *nic, bool vnet)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	sll.sll_ifindex = (int)if_nametoindex(nic);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
	if (vnet)
		assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof sll), 0);
	return fd;
}

static int
make_wire(uint32_t frame)
{
	pool = pktpool_new(128, frame);
	if (lab("ip link add w0 address 02:00:00:00:00:01 type veth peer name w1 address "
		"02:00:00:00:00:02 &&"
		"ip link set w0 up && ip link set w1 up") != 0)
		return -1;
	if (!lab_wait("ip link show w0 | grep -q 'state UP'"))
		return -1;
	peer = raw("w1", false);
	e = edge_packet_new("w0", -1, guarded, offload);
	if (e && ring)
		edge_packet_ring(e);
	return e && pool && edge_bind(e) == 0 && edge_restart(e) == 0 ? 0 : -1;
}

static int
setup(void **state)
{
	guarded = offload = ring = false;
	return make_wire(1518);
}

static int
setup_guarded(void **state)
{
	guarded = true;
	offload = ring = false;
	return make_wire(1518);
}

static int
setup_offload(void **state)
{
	guarded = ring = false;
	offload = true;
	return make_wire(1518);
}

static int
setup_ring(void **state)
{
	guarded = offload = false;
	ring = true;
	return make_wire(1518);
}

static int
teardown(void **state)
{
	int left = (int)pktpool_left(pool);

	edge_free(e);
	pktpool_free(pool);
	close(peer);
	lab("ip link del w0 2>/dev/null");
	return left == 128 ? 0 : -1;
}

static void
give_back(struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++)
		pkt_free(pool, b->p[i]);
	b->n = 0;
}

/* Frames off the edge until ${n} are there or nothing has come for a while. */
static unsigned
collect(struct burst *all, unsigned n)
{
	struct burst b;

	all->n = 0;
	for (int idle = 0; idle < 20 && all->n < n; idle++) {
		assert_true(edge_recv(e, pool, &b, BURST_MAX - all->n) >= 0);
		if (b.n > 0)
			idle = 0;
		else
			usleep(5000);
		for (unsigned i = 0; i < b.n; i++)
			all->p[all->n++] = b.p[i];
	}
	return all->n;
}

static void
expect_nothing(void)
{
	struct burst b;

	usleep(20000);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
}

/* A frame of ${etype} with ${n} octets of payload; tag 0: none. */
static uint32_t
make(uint8_t *f, const uint8_t dst[6], uint16_t tpid, uint16_t tci, uint16_t etype, uint32_t n)
{
	uint32_t at = frame_ether(f, dst, frame_mac_peer, etype);

	if (tpid) {
		put16(f + 12, tpid);
		put16(f + 14, tci);
		put16(f + 16, etype);
		at += 4;
	}
	for (uint32_t i = 0; i < n; i++)
		f[at + i] = (uint8_t)(i + n);
	return at + n;
}

static void
peer_sends(const uint8_t *f, uint32_t len)
{
	assert_int_equal(send(peer, f, len, 0), len);
}

/* Sends one frame and wants it back just so. */
static void
expect_same(const uint8_t *f, uint32_t len)
{
	struct burst b;

	peer_sends(f, len);
	if (collect(&b, 1) != 1)
		fail_msg("frame of EtherType 0x%04x did not come", get16(f + 12));
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	assert_int_equal(b.p[0]->link, LINK_ETHER);
	assert_int_equal(b.p[0]->len, len);
	assert_memory_equal(pkt_data(b.p[0]), f, len);
	give_back(&b);
	expect_nothing(); /* once, not on two sockets */
}

/* Each kind of frame comes once and whole: by protocol, by kind of address, tagged or not. */
static void
test_kinds(void **state)
{
	static const struct {
		const uint8_t *dst;
		uint16_t tpid, tci, etype;
	} k[] = {
	    {frame_mac_host, 0, 0, ETYPE_IP4}, {frame_mac_host, 0, 0, ETYPE_IP6},
	    {everyone, 0, 0, ETYPE_ARP}, {all_hosts, 0, 0, ETYPE_IP4},
	    {frame_mac_host, 0, 0, 0x88cc}, {frame_mac_host, ETYPE_8021Q, 5, ETYPE_IP4},
	    {frame_mac_host, ETYPE_8021Q, 0xe005, ETYPE_IP6},
	    {everyone, ETYPE_8021Q, 4094, ETYPE_ARP}, {frame_mac_host, ETYPE_8021AD, 7, ETYPE_IP4},
	    {frame_mac_host, 0, 0, 60}, /* a length: 802.3 */
	};
	uint8_t f[200];

	for (size_t i = 0; i < sizeof k / sizeof k[0]; i++)
		expect_same(f, make(f, k[i].dst, k[i].tpid, k[i].tci, k[i].etype, 60));
	/* a tag in a tag */
	make(f, frame_mac_host, ETYPE_8021AD, 7, ETYPE_8021Q, 60);
	put16(f + 18, 9);
	put16(f + 20, ETYPE_IP4);
	expect_same(f, 78);
}

/* A priority tag (VLAN id 0): the socket for all protocols keeps it, the kernel takes it off before the one for IPv4. */
static void
test_priority_tag(void **state)
{
	uint8_t f[200];
	struct burst b;

	peer_sends(f, make(f, frame_mac_host, ETYPE_8021Q, 0xa000, ETYPE_IP4, 60));
	assert_int_equal(collect(&b, 1), 1);
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	assert_int_equal(b.p[0]->len, 74);
	assert_int_equal(get16(pkt_data(b.p[0]) + 12), ETYPE_IP4);
	assert_memory_equal(pkt_data(b.p[0]) + 14, f + 18, 60);
	give_back(&b);
	expect_nothing();
}

static void
test_priority_tag_guarded(void **state)
{
	uint8_t f[200];

	expect_same(f, make(f, frame_mac_host, ETYPE_8021Q, 0xa000, ETYPE_IP4, 60));
}

/* What is not ours stays out: other hosts' frames and what we sent ourselves. */
static void
test_not_ours(void **state)
{
	uint8_t f[200];
	struct burst b = {.n = 1, .p = {pkt_new(pool)}};
	uint32_t len = make(f, stranger, 0, 0, ETYPE_IP4, 60);

	assert_int_equal(lab("ip link set w0 promisc on"), 0);
	peer_sends(f, len);
	peer_sends(f, make(f, stranger, ETYPE_8021Q, 5, ETYPE_IP4, 60));
	peer_sends(f, make(f, stranger, 0, 0, 0x88cc, 60));
	expect_nothing();
	len = make(f, frame_mac_host, 0, 0, ETYPE_IP4, 60); /* to our own address, even */
	memcpy(pkt_put(b.p[0], len), f, len);
	assert_int_equal(edge_send(e, &b), 1);
	expect_nothing();
	assert_int_equal(recv(peer, f, sizeof f, 0), len);
	give_back(&b);
}

/* In place behind an ingress drop: the socket for all protocols still sees everything (others would starve). */
static void
test_guarded(void **state)
{
	uint8_t f[200];

	assert_int_equal(lab("nft 'add table netdev g; add chain netdev g i { type filter hook "
			     "ingress device w0 "
			     "priority -500; policy drop; }'"),
	    0);
	test_kinds(state);
	expect_same(f, make(f, frame_mac_host, 0, 0, ETYPE_IP4, 60));
	assert_int_equal(lab("nft delete table netdev g"), 0);
}

/* A flood on one socket does not starve the others: each fourth burst begins with them. */
static void
test_turns(void **state)
{
	uint8_t f[200], arp[200];
	uint32_t len = make(f, frame_mac_host, 0, 0, ETYPE_IP4, 60);
	struct burst b;
	bool seen = false;

	for (int i = 0; i < 400; i++)
		peer_sends(f, len);
	peer_sends(arp, make(arp, everyone, 0, 0, ETYPE_ARP, 46));
	usleep(20000);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(edge_recv(e, pool, &b, 32), 32);
		for (unsigned k = 0; k < b.n; k++)
			seen |= get16(pkt_data(b.p[k]) + 12) == ETYPE_ARP;
		give_back(&b);
	}
	assert_true(seen);
	while (edge_recv(e, pool, &b, BURST_MAX) > 0)
		give_back(&b);
}

/* An empty pool loses nothing; the queue is thrown away by restart. */
static void
test_pool_and_restart(void **state)
{
	struct pktpool *small = pktpool_new(2, 1518);
	uint8_t f[200];
	struct burst b;

	for (uint32_t i = 1; i <= 5; i++)
		peer_sends(f, make(f, frame_mac_host, 0, 0, ETYPE_IP4, 60 + i));
	usleep(20000);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(edge_recv(e, small, &b, BURST_MAX), 2);
		assert_int_equal(b.p[1]->len, 14 + 60 + 2 * i + 2);
		pkt_free(small, b.p[0]);
		pkt_free(small, b.p[1]);
	}
	assert_int_equal(pktpool_left(small), 2);
	edge_pause(e);
	assert_int_equal(edge_restart(e), 0);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
	pktpool_free(small);
}

/* Up to the MTU and a tag; longer is refused by name, and the rest of the burst goes. */
static void
test_send_sizes(void **state)
{
	static const struct {
		uint16_t tpid;
		uint32_t n;
		enum drop d;
	} k[] = {
	    {0, 46, DROP_NONE},
	    {0, 1501, DROP_EDGE_ERROR},
	    {0, 1500, DROP_NONE},
	    {ETYPE_8021Q, 1500, DROP_NONE},
	    {ETYPE_8021Q, 1501, DROP_EDGE_ERROR},
	    {0, 5000, DROP_EDGE_ERROR},
	    {0, 100, DROP_NONE},
	};
	enum { N = sizeof k / sizeof k[0] };
	struct pktpool *big = pktpool_new(N, 6000);
	static uint8_t f[6000], got[6000];
	struct burst b = {.n = N};
	uint32_t len;

	for (unsigned i = 0; i < N; i++) {
		b.p[i] = pkt_new(big);
		len = make(f, frame_mac_peer, k[i].tpid, 3, ETYPE_IP4, k[i].n);
		memcpy(pkt_put(b.p[i], len), f, len);
	}
	b.p[0]->drop = DROP_POLICY_DISCARD; /* decided before: not ours to send */
	assert_int_equal(edge_send(e, &b), 3);
	assert_int_equal(b.p[0]->drop, DROP_POLICY_DISCARD);
	for (unsigned i = 1; i < N; i++) {
		assert_int_equal(b.p[i]->drop, k[i].d);
		if (k[i].d == DROP_NONE) {
			assert_true(lab_readable(peer, 1000));
			len = (uint32_t)recv(peer, got, sizeof got, 0);
			assert_int_equal(len,
			    b.p[i]->len - (k[i].tpid ? 4 : 0)); /* the peer's kernel strips it */
			assert_memory_equal(
			    got + 20, pkt_data(b.p[i]) + 20 + (k[i].tpid ? 4 : 0), len - 20);
		}
	}
	for (unsigned i = 0; i < N; i++)
		pkt_free(big, b.p[i]);
	pktpool_free(big);
}

/* Jumbo frames, with a NIC that takes them. */
static void
test_jumbo(void **state)
{
	struct pktpool *big = pktpool_new(4, 9018);
	static uint8_t f[9100];
	struct burst b;
	struct edge_caps c;
	uint32_t len = make(f, frame_mac_host, 0, 0, ETYPE_IP4, 9000);

	assert_int_equal(lab("ip link set w0 mtu 9000 && ip link set w1 mtu 9000"), 0);
	edge_caps(e, &c);
	assert_int_equal(c.mtu, 9000);
	peer_sends(f, len);
	usleep(20000);
	assert_int_equal(edge_recv(e, big, &b, BURST_MAX), 1);
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	assert_int_equal(b.p[0]->len, len);
	assert_memory_equal(pkt_data(b.p[0]), f, len);
	assert_int_equal(edge_send(e, &b), 1);
	pkt_free(big, b.p[0]);
	/* slots for less: handed out to be counted, whether it comes alone or not */
	peer_sends(f, len);
	peer_sends(f, make(f, frame_mac_host, 0, 0, ETYPE_IP4, 60));
	usleep(20000);
	assert_int_equal(collect(&b, 2), 2);
	assert_int_equal(b.p[0]->drop, DROP_NO_ROOM);
	assert_int_equal(b.p[1]->drop, DROP_NONE);
	assert_int_equal(b.p[1]->len, 74);
	give_back(&b);
	pktpool_free(big);
}

/* A TCP super-frame of the peer, as its kernel hands it over a veth when offloads are on; and a tag on top. */
static uint32_t
super_frame(uint8_t *f, uint16_t tag, uint32_t payload, uint16_t size)
{
	struct virtio_net_hdr h = {
	    .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	    .gso_size = size,
	    .csum_offset = 16,
	};
	uint32_t l3 = tag ? 18 : 14;
	uint8_t *ip = f + sizeof h + l3, *tcp = ip + 20;

	make(f + sizeof h, frame_mac_host, tag ? ETYPE_8021Q : 0, tag, ETYPE_IP4, 0);
	memset(tcp, 0, 20);
	put16(tcp, 1);
	put16(tcp + 2, 2);
	tcp[12] = 0x50;
	tcp[13] = 0x18;
	for (uint32_t i = 0; i < payload; i++)
		tcp[20 + i] = (uint8_t)(i / size);
	frame_ip4(ip, "10.0.0.2", "10.0.0.1", 6, 0x4000, 20 + payload);
	put16(tcp + 16,
	    (uint16_t)~cksum_fold(cksum_add(cksum_add(0, ip + 12, 8),
		(uint8_t[]){0, 6, (uint8_t)((20 + payload) >> 8), (uint8_t)(20 + payload)}, 4)));
	h.csum_start = (uint16_t)(l3 + 20);
	h.hdr_len = (uint16_t)(l3 + 40);
	memcpy(f, &h, sizeof h);
	return (uint32_t)sizeof h + l3 + 40 + payload;
}

/* A super-frame comes whole, with what is to do about it, its tag put back, in order with the frames before and behind it. */
static void
test_super_frames(void **state)
{
	static uint8_t f[66000], plain[200];
	const uint32_t payload = 40 * 1448 + 100;
	struct pktpool *big = pktpool_new(8, PKT_FRAME_MAX);
	struct burst b;
	int vnet = raw("w1", true);

	for (uint32_t tag = 0; tag <= 5; tag += 5) {
		uint32_t len = super_frame(f, (uint16_t)tag, payload, 1448);
		uint32_t small = make(
		    plain, frame_mac_host, tag ? ETYPE_8021Q : 0, (uint16_t)tag, ETYPE_IP4, 60);

		peer_sends(plain, small);
		assert_int_equal(send(vnet, f, len, 0), len);
		assert_int_equal(send(vnet, f, len, 0), len);
		peer_sends(plain, small);
		usleep(20000);
		assert_int_equal(edge_recv(e, big, &b, 7), 4);
		for (unsigned i = 0; i < 4; i++) {
			struct pkt *p = b.p[i];

			assert_int_equal(p->drop, DROP_NONE);
			if (i == 0 || i == 3) {
				assert_int_equal(p->len, small);
				assert_memory_equal(pkt_data(p), plain, small);
				assert_int_equal(pkt_count(p), 1);
				continue;
			}
			len -= VNET_SIZE;
			assert_int_equal(p->len, len);
			assert_memory_equal(pkt_data(p), f + VNET_SIZE, len);
			assert_int_equal(p->todo.gso, GSO_TCP4);
			assert_int_equal(p->todo.gso_size, 1448);
			assert_true(p->todo.partial);
			assert_int_equal(p->todo.csum_start, (tag ? 18 : 14) + 20);
			assert_int_equal(p->todo.csum_offset, 16);
			assert_int_equal(pkt_count(p), 41);
			assert_int_equal(pkt_octets(p), len + 40 * ((tag ? 18u : 14u) + 40));
			len += VNET_SIZE;
		}
		for (unsigned i = 0; i < 4; i++)
			pkt_free(big, b.p[i]);
	}
	/* into slots for less: counted, not cut in silence */
	assert_int_equal(
	    send(vnet, f, super_frame(f, 0, payload, 1448), 0), super_frame(f, 0, payload, 1448));
	peer_sends(plain, make(plain, frame_mac_host, 0, 0, ETYPE_IP4, 60));
	usleep(20000);
	assert_int_equal(edge_recv(e, pool, &b, 7), 2);
	assert_int_equal(b.p[0]->drop, DROP_NO_ROOM);
	assert_int_equal(b.p[1]->drop, DROP_NONE);
	give_back(&b);
	pktpool_free(big);
	close(vnet);
}

/* A checksum the sender left to the hardware is told. */
static void
test_partial_checksum(void **state)
{
	struct virtio_net_hdr h = {
	    .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
	uint8_t f[200];
	struct burst b;
	uint32_t len = frame_make_udp(f + sizeof h, "10.0.0.2", "10.0.0.1", 9, 9, 0, 21);
	int vnet = raw("w1", true);

	memcpy(f + sizeof h, frame_mac_host, 6);
	memcpy(f, &h, sizeof h);
	assert_int_equal(send(vnet, f, len + sizeof h, 0), len + sizeof h);
	assert_int_equal(collect(&b, 1), 1);
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	assert_true(b.p[0]->todo.partial);
	assert_int_equal(b.p[0]->todo.gso, GSO_NONE);
	assert_int_equal(b.p[0]->todo.csum_start, 34);
	assert_int_equal(b.p[0]->todo.csum_offset, 6);
	assert_memory_equal(pkt_data(b.p[0]), f + sizeof h, len);
	give_back(&b);
	close(vnet);
}

/*
 * Sent whole to a NIC that segments, a super-frame arrives whole; to one that does not, the kernel cuts it, into the very octets that
 * segment.c makes of it.
 */
static void
test_send_whole(void **state)
{
	static uint8_t f[66000], got[66000];
	const uint32_t payload = 20 * 1448 + 100;
	uint32_t len = super_frame(f, 0, payload, 1448) - VNET_SIZE;
	struct pktpool *big = pktpool_new(3, PKT_FRAME_MAX);
	struct burst b = {.n = 2, .p = {pkt_new(big), pkt_new(big)}};
	struct pkt *p = b.p[0], *one;
	struct segment s;
	int vnet = raw("w1", true);
	ssize_t n;

	memcpy(f + VNET_SIZE, frame_mac_peer, 6);
	memcpy(f + VNET_SIZE + 6, frame_mac_host, 6);
	memcpy(pkt_put(p, len), f + VNET_SIZE, len);
	p->todo = (struct vnet){true, GSO_TCP4, 1448, 34, 16};
	memcpy(pkt_put(b.p[1], 74), f + VNET_SIZE, 74); /* and an ordinary frame behind it */
	assert_int_equal(edge_send(e, &b), 2);
	assert_true(lab_readable(vnet, 1000));
	assert_int_equal(recv(vnet, got, sizeof got, 0), len + VNET_SIZE);
	assert_memory_equal(got + VNET_SIZE, f + VNET_SIZE, len);
	assert_int_equal(recv(vnet, got, sizeof got, 0), 74 + VNET_SIZE);
	while (lab_readable(peer, 20))
		recv(peer, got, sizeof got, 0);

	assert_int_equal(lab("ethtool -K w0 tso off gso off tx off >/dev/null"), 0);
	b.n = 1;
	assert_int_equal(edge_send(e, &b), 1);
	assert_int_equal(segment_begin(&s, pkt_data(p), p->len, &p->todo), DROP_NONE);
	while (segment_more(&s)) {
		one = pkt_new(big);
		segment_next(&s, one);
		assert_true(lab_readable(peer, 1000));
		n = recv(peer, got, sizeof got, 0);
		assert_int_equal(n, one->len);
		assert_memory_equal(got, pkt_data(one), n);
		pkt_free(big, one);
	}
	assert_false(lab_readable(peer, 20));
	/* what the NIC's MTU has no room for is refused whole or not, like any other */
	p->todo = (struct vnet){0};
	assert_int_equal(edge_send(e, &b), 0);
	assert_int_equal(p->drop, DROP_EDGE_ERROR);
	pkt_free(big, b.p[0]);
	pkt_free(big, b.p[1]);
	pktpool_free(big);
	close(vnet);
}

/* ESP in UDP goes out joined; a NIC that cuts gets it so, and one that does not gets the packets, which have a checksum more. */
static void
test_encap(void **state)
{
	static uint8_t f[5][1400], got[66000];
	struct burst b = {.n = 5};
	int vnet = raw("w1", true);
	struct virtio_net_hdr h;
	ssize_t n;

	for (uint32_t k = 0; k < 5; k++) {
		uint32_t len = frame_make_udp(
		    f[k], "10.0.0.1", "10.0.0.2", 4500, 4500, 0x4000, k == 4 ? 500 : 1000);

		put16(f[k] + 18, (uint16_t)k);
		put16(f[k] + 24, cksum_ip4(f[k] + 14, 20));
		f[k][42] = (uint8_t)(k + 1);
		b.p[k] = frame_pkt(pool, f[k], len);
		assert_int_equal(classify(b.p[k], DIR_OUT), DROP_NONE);
		b.p[k]->encap = 1;
	}
	assert_int_equal(edge_send(e, &b), 5);
	assert_true(lab_readable(vnet, 1000));
	n = recv(vnet, got, sizeof got, 0);
	memcpy(&h, got, sizeof h);
	assert_int_equal(n, sizeof h + 42 + 4500);
	assert_int_equal(h.gso_type, GSO_UDP);
	assert_int_equal(h.gso_size, 1000);
	while (lab_readable(peer, 20))
		recv(peer, got, sizeof got, 0);

	assert_int_equal(
	    lab("ethtool -K w0 tx off tx-udp-segmentation off gso off >/dev/null 2>&1"), 0);
	assert_int_equal(edge_send(e, &b), 5);
	for (unsigned k = 0; k < 5; k++) {
		assert_true(lab_readable(peer, 1000));
		n = recv(peer, got, sizeof got, 0);
		assert_int_equal(n, k == 4 ? 542 : 1042);
		assert_int_equal(
		    cksum_l4(got + 14, 17, got + 34, (uint32_t)n - 34) & 0xffff, 0xffff);
		put16(got + 40, 0);
		assert_memory_equal(got, f[k], n);
	}
	give_back(&b);
	close(vnet);
}

/* Down is not gone: sends say LINK_DOWN, receive goes on when it is up again. */
static void
test_down_and_up(void **state)
{
	uint8_t f[200];
	uint32_t len = make(f, frame_mac_host, 0, 0, ETYPE_IP4, 60);
	struct burst b, out = {.n = 1, .p = {pkt_new(pool)}};
	struct edge_caps c;

	memcpy(pkt_put(out.p[0], len), f, len);
	edge_caps(e, &c);
	assert_true(c.link);
	assert_memory_equal(c.mac, frame_mac_host, 6);
	assert_int_equal(lab("ip link set w0 down"), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
	edge_caps(e, &c);
	assert_false(c.link);
	assert_int_equal(edge_send(e, &out), 0);
	assert_int_equal(out.p[0]->drop, DROP_LINK_DOWN);
	assert_int_equal(lab("ip link set w0 up"), 0);
	assert_true(lab_wait("ip link show w0 | grep -q 'state UP'"));
	expect_same(f, len);
	out.p[0]->drop = DROP_NONE;
	assert_int_equal(edge_send(e, &out), 1);
	give_back(&out);
}

/* Gone: an error for ever, until it is back and bound again. */
static void
test_gone(void **state)
{
	uint8_t f[200];
	uint32_t len = make(f, frame_mac_host, 0, 0, ETYPE_IP4, 60);
	struct burst b, out = {.n = 1, .p = {pkt_new(pool)}};

	memcpy(pkt_put(out.p[0], len), f, len);
	assert_int_equal(lab("ip link del w0"), 0);
	for (int i = 0; i < 2; i++) {
		errno = 0;
		assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), -1);
		assert_int_equal(errno, ENODEV);
	}
	assert_int_equal(edge_send(e, &out), 0);
	assert_int_equal(out.p[0]->drop, DROP_LINK_DOWN);
	give_back(&out);
	edge_unbind(e);
	assert_int_equal(edge_bind(e), -1);
	assert_int_equal(errno, ENODEV);
	edge_free(e);
	close(peer);
	pktpool_free(pool);
	assert_int_equal(make_wire(1518), 0);
	expect_same(f, len);
}

/* A full socket buffer is told, as a number. */
static void
test_lost(void **state)
{
	uint8_t f[1514];
	uint32_t len = make(f, frame_mac_host, 0, 0, ETYPE_IP4, 1500);
	struct edge_caps c;
	struct burst b;
	uint64_t got = 0;
	const uint64_t sent = 30000;

	edge_caps(e, &c);
	assert_int_equal(c.lost, 0);
	for (uint64_t i = 0; i < sent; i++)
		peer_sends(f, len);
	while (edge_recv(e, pool, &b, BURST_MAX) > 0) {
		got += b.n;
		give_back(&b);
	}
	edge_caps(e, &c);
	assert_true(c.lost > 0);
	assert_int_equal(got + c.lost, sent);
	edge_caps(e, &c);
	assert_int_equal(got + c.lost, sent); /* asking again does not count twice */
}

/* Once around the ring, in order, and what is longer than a slot in its place. */
static void
test_around(void **state)
{
	struct pktpool *big = pktpool_new(4, 9018);
	static uint8_t f[9100];
	struct burst b;

	assert_int_equal(lab("ip link set w0 mtu 9000 && ip link set w1 mtu 9000"), 0);
	for (uint32_t i = 0; i < RXRING_SLOTS + 200; i++) {
		uint32_t len = i % 100 == 99 ? 9000 : 46 + i % 1000;

		make(f, frame_mac_host, 0, 0, ETYPE_IP4, len);
		f[14] = (uint8_t)i;
		peer_sends(f, 14 + len);
		for (int wait = 0; wait < 100 && edge_recv(e, big, &b, 4) == 0; wait++)
			usleep(1000);
		assert_int_equal(b.n, 1);
		assert_int_equal(b.p[0]->drop, DROP_NONE);
		assert_int_equal(b.p[0]->len, 14 + len);
		assert_memory_equal(pkt_data(b.p[0]), f, 14 + len);
		pkt_free(big, b.p[0]);
	}
	pktpool_free(big);
}

/* NIC in another namespace; and names that are none. */
static void
test_namespace(void **state)
{
	int here = lab_self(), there;
	struct edge *far, *lo = edge_packet_new("lo", -1, false, offload);
	struct edge_caps c;
	int fd[4];

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	there = lab_self();
	assert_int_equal(lab("ip link add x0 type veth peer name x1"), 0);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	far = edge_packet_new("x0", there, false, offload);
	assert_int_equal(edge_bind(far), 0);
	assert_int_equal(edge_restart(far), 0);
	assert_int_equal(edge_fds(far, fd, 4), 3);
	assert_int_equal(edge_fds(far, fd, 2), 2);
	edge_caps(far, &c);
	assert_int_equal(c.mtu, 1500);
	assert_false(c.link);
	assert_int_equal(if_nametoindex("x0"), 0);
	edge_free(far);
	assert_int_equal(edge_bind(lo), -1); /* not Ethernet */
	edge_free(lo);
	assert_null(edge_packet_new("", -1, false, offload));
	assert_null(edge_packet_new("a-name-of-16-oct", -1, false, offload));
	close(here);
	close(there);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define O(f) cmocka_unit_test_setup_teardown(f, setup_offload, teardown)
#define R(f) cmocka_unit_test_setup_teardown(f, setup_ring, teardown)
#define G(f) cmocka_unit_test_setup_teardown(f, setup_guarded, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_kinds),
	    T(test_priority_tag),
	    G(test_priority_tag_guarded),
	    T(test_not_ours),
	    G(test_not_ours),
	    G(test_guarded),
	    T(test_turns),
	    T(test_pool_and_restart),
	    T(test_send_sizes),
	    T(test_jumbo),
	    T(test_super_frames),
	    G(test_super_frames),
	    T(test_partial_checksum),
	    O(test_send_whole),
	    O(test_encap),
	    O(test_send_sizes),
	    T(test_down_and_up),
	    T(test_gone),
	    G(test_gone),
	    T(test_lost),
	    T(test_namespace),
	    R(test_kinds),
	    R(test_priority_tag_guarded),
	    R(test_not_ours),
	    R(test_guarded),
	    R(test_pool_and_restart),
	    R(test_jumbo),
	    R(test_super_frames),
	    R(test_partial_checksum),
	    R(test_around),
	    R(test_down_and_up),
	    R(test_gone),
	    R(test_lost),
	};
	int status = lab_enter();

	if (status != 0)
		return status;
	return cmocka_run_group_tests_name("edge_packet", tests, NULL, NULL);
}
