/* links: bits_walk */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "frame.h"
#include "segment.h"

#define TCP4 GSO_TCP4
#define TCP6 GSO_TCP6
#define UDP  GSO_UDP

static struct pktpool *pool;
static uint8_t super[70000];

static int
setup(void **state)
{
	return (pool = pktpool_new(2, 3000)) ? 0 : -1;
}

static int
teardown(void **state)
{
	int left = (int)pktpool_left(pool);

	pktpool_free(pool);
	return left == 2 ? 0 : -1;
}

/* The Internet checksum as RFC 1071 writes it, octet by octet: 0 over data that includes a right one. */
static uint16_t
naive(const uint8_t *ip, int af, const uint8_t *l4, uint32_t len, uint8_t proto)
{
	uint32_t sum = proto + len;
	const uint8_t *addr = af == 4 ? ip + 12 : ip + 8;

	for (int i = 0; i < (af == 4 ? 8 : 32); i += 2)
		sum += get16(addr + i);
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? l4[i] : (uint32_t)l4[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

struct shape {
	uint8_t gso;
	int af, tags;
	bool hopopts;
	uint32_t tcp_options, payload;
	uint16_t size;
};

/* A super-frame as the kernel hands it out; *hlen gets the offset of its payload. */
static uint32_t
build(const struct shape *s, uint32_t *l3, uint32_t *l4, uint32_t *hlen)
{
	bool tcp = s->gso != UDP;
	uint32_t at, head = tcp ? 20 + s->tcp_options : 8, ext = s->hopopts ? 8 : 0;
	uint8_t proto = tcp ? 6 : 17, *h;

	frame_ether(super, frame_mac_host, frame_mac_peer, s->tags ? ETYPE_8021Q : 0);
	for (int i = 0; i < s->tags; i++) {
		put16(super + 12 + 4 * i, i == 0 && s->tags == 2 ? ETYPE_8021AD : ETYPE_8021Q);
		put16(super + 14 + 4 * i, (uint16_t)(100 + i));
	}
	*l3 = 14 + 4 * (uint32_t)s->tags;
	put16(super + *l3 - 2, s->af == 4 ? ETYPE_IP4 : ETYPE_IP6);
	*l4 = *l3 + (s->af == 4 ? 20 : 40 + ext);
	*hlen = *l4 + head;
	h = super + *l4;
	memset(h, 0, head);
	put16(h, 4711);
	put16(h + 2, 80);
	if (tcp) {
		put32(h + 4, 0xfffffff0); /* the sequence number wraps on the way */
		h[12] = (uint8_t)(head / 4 << 4);
		h[13] = 0x80 | 0x10 | 0x08 | 0x01; /* CWR, ACK, PSH, FIN */
		memset(h + 20, 1, s->tcp_options);
	}
	for (uint32_t i = 0; i < s->payload; i++)
		super[*hlen + i] = (uint8_t)(i * 7 + i / 251);
	at = head + s->payload;
	if (s->af == 4) {
		frame_ip4(super + *l3, "10.0.0.1", "10.0.0.2", proto, 0x4000, at);
	} else {
		frame_ip6(super + *l3, "fd00::1", "fd00::2", s->hopopts ? 0 : proto, at + ext);
		if (s->hopopts)
			memcpy(super + *l3 + 40, (uint8_t[8]){proto, 0, 1, 4}, 8);
	}
	return *hlen + s->payload;
}

static void
check_ip(const struct pkt *p, uint32_t l3, uint32_t l4, int af, unsigned index)
{
	const uint8_t *ip = pkt_data(p) + l3;

	if (af == 4) {
		assert_int_equal(get16(ip + 2), p->len - l3);
		assert_int_equal(get16(ip + 4), 0x1234 + index);
		assert_int_equal(get16(ip + 10), cksum_ip4(ip, 20));
	} else {
		assert_int_equal(get16(ip + 4), p->len - l3 - 40);
	}
}

/* Cuts and holds each segment against what the RFCs say it is; the payloads in a row are the super-frame's. */
static void
check(const struct shape *s)
{
	uint32_t l3, l4, hlen, len = build(s, &l3, &l4, &hlen), done = 0;
	struct vnet v = {
	    .partial = true, .gso = s->gso, .gso_size = s->size, .csum_start = (uint16_t)l4};
	struct segment seg;
	unsigned index = 0, want = s->payload ? (s->payload + s->size - 1) / s->size : 1;
	bool tcp = s->gso != UDP;

	assert_int_equal(segment_begin(&seg, super, len, &v), DROP_NONE);
	for (; segment_more(&seg); index++) {
		struct pkt *p = pkt_new(pool);
		const uint8_t *h;
		uint32_t n;

		segment_next(&seg, p);
		assert_int_equal(p->drop, DROP_NONE);
		h = pkt_data(p) + l4;
		n = p->len - hlen;
		assert_memory_equal(pkt_data(p), super, l3);
		check_ip(p, l3, l4, s->af, index);
		assert_int_equal(naive(pkt_data(p) + l3, s->af, h, p->len - l4, tcp ? 6 : 17), 0);
		if (tcp) {
			assert_int_equal(get32(h + 4), 0xfffffff0 + done);
			assert_int_equal(
			    h[13], 0x10 | (index == 0 ? 0x80 : 0) | (index + 1 == want ? 0x09 : 0));
		} else {
			assert_int_equal(get16(h + 4), p->len - l4);
			assert_int_not_equal(get16(h + 6), 0);
		}
		assert_int_equal(n, index + 1 < want ? s->size : s->payload - done);
		assert_memory_equal(pkt_data(p) + hlen, super + hlen + done, n);
		done += n;
		pkt_free(pool, p);
	}
	assert_int_equal(done, s->payload);
	assert_int_equal(index, want);
}

static void
test_shapes(void **state)
{
	static const struct shape shapes[] = {
	    {TCP4, 4, 0, false, 12, 40000, 1448},
	    {TCP4, 4, 0, false, 0, 1461, 1460},
	    {TCP4, 4, 0, false, 0, 1460, 1460},
	    {TCP4, 4, 0, false, 40, 3, 1},
	    {TCP4, 4, 1, false, 12, 9000, 1448},
	    {TCP6, 6, 2, false, 12, 9000, 1428},
	    {TCP6, 6, 0, false, 12, 64000, 1428},
	    {TCP6, 6, 0, true, 12, 20000, 1420},
	    {UDP, 4, 0, false, 0, 20001, 1472},
	    {UDP, 6, 0, false, 0, 4096, 512},
	    {TCP4, 4, 0, false, 0, 0, 1448},
	};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		check(&shapes[i]);
}

static enum drop
begin(const struct shape *s, void (*spoil)(struct vnet *v, uint32_t l3, uint32_t l4), uint32_t cut)
{
	uint32_t l3, l4, hlen, len = build(s, &l3, &l4, &hlen);
	struct vnet v = {
	    .partial = true, .gso = s->gso, .gso_size = s->size, .csum_start = (uint16_t)l4};
	struct segment seg;

	if (spoil)
		spoil(&v, l3, l4);
	return segment_begin(&seg, super, cut ? cut : len, &v);
}

static void
spoil_size(struct vnet *v, uint32_t l3, uint32_t l4)
{
	v->gso_size = 0;
}
static void
spoil_kind(struct vnet *v, uint32_t l3, uint32_t l4)
{
	v->gso = 3;
}
static void
spoil_start(struct vnet *v, uint32_t l3, uint32_t l4)
{
	v->csum_start += 50;
}
static void
spoil_proto(struct vnet *v, uint32_t l3, uint32_t l4)
{
	super[l3 + 9] = 47;
}
static void
spoil_frag(struct vnet *v, uint32_t l3, uint32_t l4)
{
	put16(super + l3 + 6, 0x2000);
}
static void
spoil_ihl(struct vnet *v, uint32_t l3, uint32_t l4)
{
	super[l3] = 0x44;
}
static void
spoil_version(struct vnet *v, uint32_t l3, uint32_t l4)
{
	super[l3] = 0x65;
}
static void
spoil_etype(struct vnet *v, uint32_t l3, uint32_t l4)
{
	put16(super + l3 - 2, ETYPE_ARP);
}
static void
spoil_doff(struct vnet *v, uint32_t l3, uint32_t l4)
{
	super[l4 + 12] = 0x40;
}

/* What cannot be cut here is refused as a whole; no length of frame reads past its end (ASan looks on). */
static void
test_refused(void **state)
{
	const struct shape s = {TCP4, 4, 0, false, 12, 4000, 1448};
	void (*const spoil[])(struct vnet *, uint32_t, uint32_t) = {spoil_size, spoil_kind,
	    spoil_start, spoil_proto, spoil_frag, spoil_ihl, spoil_version, spoil_etype,
	    spoil_doff};

	assert_int_equal(begin(&s, NULL, 0), DROP_NONE);
	for (size_t i = 0; i < sizeof spoil / sizeof spoil[0]; i++)
		if (begin(&s, spoil[i], 0) != DROP_EDGE_ERROR)
			fail_msg("spoilt super-frame %zu was taken", i);
	for (uint32_t cut = 1; cut < 14 + 20 + 32; cut++)
		assert_int_equal(begin(&s, NULL, cut), DROP_EDGE_ERROR);
}

/* The extension headers of IPv6 end where the frame does. */
static void
test_extensions(void **state)
{
	const struct shape s = {TCP6, 6, 0, true, 0, 4000, 1448};
	uint8_t *heap;
	uint32_t l3, l4, hlen;
	struct vnet v = {.gso = TCP6, .gso_size = 1000};
	struct segment seg;

	build(&s, &l3, &l4, &hlen);
	for (uint32_t cut = 14; cut < hlen; cut++) {
		heap = test_malloc(cut);
		memcpy(heap, super, cut);
		assert_int_equal(segment_begin(&seg, heap, cut, &v), DROP_EDGE_ERROR);
		test_free(heap);
	}
	super[l3 + 6] = 43; /* a routing header changes the pseudo header */
	assert_int_equal(segment_begin(&seg, super, hlen + 4000, &v), DROP_EDGE_ERROR);
}

/* A segment that no slot takes is counted; the next ones come all the same. */
static void
test_no_room(void **state)
{
	const struct shape s = {TCP4, 4, 0, false, 0, 9000, 8000};
	uint32_t l3, l4, hlen, len = build(&s, &l3, &l4, &hlen);
	struct vnet v = {
	    .partial = true, .gso = TCP4, .gso_size = 8000, .csum_start = (uint16_t)l4};
	struct segment seg;
	struct pkt *p = pkt_new(pool), *q = pkt_new(pool);

	assert_int_equal(segment_begin(&seg, super, len, &v), DROP_NONE);
	segment_next(&seg, p);
	assert_int_equal(p->drop, DROP_NO_ROOM);
	assert_true(segment_more(&seg));
	segment_next(&seg, q);
	assert_int_equal(q->drop, DROP_NONE);
	assert_int_equal(q->len, hlen + 1000);
	assert_false(segment_more(&seg));
	pkt_free(pool, p);
	pkt_free(pool, q);
}

/* ESP in UDP looks after itself: no checksum; and what a super-frame counts as is known before it is cut. */
static void
test_encap(void **state)
{
	const struct shape s = {UDP, 4, 0, false, 0, 3001, 1000};
	uint32_t l3, l4, hlen, len = build(&s, &l3, &l4, &hlen);
	struct pkt *p = pkt_new(pool), *q = pkt_new(pool);
	struct segment seg;

	assert_int_equal(len, hlen + 3001);
	memcpy(pkt_put(p, 3000), super, 3000);
	pkt_trim(p, 2990);
	p->todo = (struct vnet){
	    .partial = true, .gso = UDP, .gso_size = 1000, .csum_start = (uint16_t)l4};
	assert_int_equal(segment_count(p), DROP_NONE);
	assert_int_equal(pkt_count(p), 3);
	assert_int_equal(pkt_octets(p), 2990 + 2 * hlen);
	p->todo.gso_size = 0;
	assert_int_equal(segment_count(p), DROP_EDGE_ERROR);
	p->todo.gso_size = 1000;
	assert_int_equal(segment_begin(&seg, super, len, &p->todo), DROP_NONE);
	seg.encap = true;
	assert_int_equal(segment_left(&seg), 4);
	segment_next(&seg, q);
	assert_int_equal(segment_left(&seg), 3);
	assert_int_equal(get16(pkt_data(q) + l4 + 6), 0);
	assert_int_equal(get16(pkt_data(q) + l4 + 4), 1008);
	assert_memory_equal(pkt_data(q) + hlen, super + hlen, 1000);
	memset(super + hlen + 1000, 0, 4); /* the non-ESP marker */
	pkt_trim(q, 0);
	segment_next(&seg, q);
	assert_int_equal(naive(pkt_data(q) + l3, 4, pkt_data(q) + l4, 1008, 17), 0);
	pkt_free(pool, p);
	pkt_free(pool, q);
}

/* The checksum's loops against the plain one: every length and alignment, ones throughout, and a copy that stays inside its place. */
static void
test_cksum(void **state)
{
	static uint8_t from[2][70000], to[70000];

	memset(from[0], 0xff, sizeof from[0]);
	for (size_t i = 0; i < sizeof from[1]; i++)
		from[1][i] = (uint8_t)(i * 31 + i / 255);
	for (int k = 0; k < 2; k++) {
		for (uint32_t n = 0; n < 200; n++) {
			uint32_t sum = 0;

			for (uint32_t i = 0; i < n; i++)
				sum += i % 2 ? from[k][3 + i] : (uint32_t)from[k][3 + i] << 8;
			while (sum >> 16)
				sum = (sum & 0xffff) + (sum >> 16);
			assert_int_equal(cksum_fold(cksum_add(0, from[k] + 3, n)), (uint16_t)~sum);
			memset(to, 0xa5, 300);
			assert_int_equal(
			    cksum_fold(cksum_copy(to + 1, from[k] + 3, n)), (uint16_t)~sum);
			assert_memory_equal(to + 1, from[k] + 3, n);
			assert_int_equal(to[0], 0xa5);
			assert_int_equal(to[n + 1], 0xa5);
		}
		/* longer than a chunk: no lane overflows */
		assert_int_equal(cksum_fold(cksum_copy(to, from[k], 69999)),
		    cksum_fold(cksum_add(cksum_add(0, from[k], 30000), from[k] + 30000, 39999)));
		assert_memory_equal(to, from[k], 69999);
	}
	assert_int_equal(cksum_fold(cksum_add(0, from[0], 70000)), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_shapes),
	    T(test_refused),
	    T(test_extensions),
	    T(test_no_room),
	    T(test_encap),
	    T(test_cksum),
	};

	return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
