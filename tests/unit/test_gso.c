/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Super-frames through the whole walk: what comes out is what would have come out if the host had sent the segments one by one.
 */
#include <netinet/in.h>
#include "segment.h"
#include "walkbed.h"

static uint8_t super[PKT_FRAME_MAX];

/* A TCP or UDP super-frame of a's host, its checksum left to others; its length.  *${hlen}: where the payload begins. */
static uint32_t
build(bool six, bool udp, uint32_t payload, uint32_t *l4, uint32_t *hlen)
{
	uint8_t *h;

	*l4 = six ? 54 : 34;
	*hlen = *l4 + (udp ? 8u : 32u);
	h = super + *l4;
	memset(h, 0, *hlen - *l4);
	put16(h, 4711);
	put16(h + 2, 80);
	if (udp) {
		put16(h + 4, (uint16_t)(8 + payload));
	} else {
		put32(h + 4, 1000);
		h[12] = 0x80;
		h[13] = 0x18;
		memset(h + 20, 1, 12);
	}
	for (uint32_t i = 0; i < payload; i++)
		super[*hlen + i] = (uint8_t)(i * 7 + i / 251);
	frame_ether(super, frame_mac_peer, frame_mac_host, six ? ETYPE_IP6 : ETYPE_IP4);
	payload += *hlen - *l4;
	if (six)
		frame_ip6(super + 14, "fd00::1", "fd00::2", udp ? 17 : 6, payload);
	else
		frame_ip4(super + 14, "10.0.0.1", "10.0.0.2", udp ? 17 : 6, 0x4000, payload);
	put16(h + (udp ? 6 : 16),
	    (uint16_t)~cksum_fold(cksum_pseudo(super + 14, udp ? 17 : 6, payload)));
	return *l4 + payload;
}

static struct vnet
todo(bool six, bool udp, uint32_t l4, uint16_t size)
{
	return (struct vnet){.partial = true,
	    .gso = udp	 ? GSO_UDP
		   : six ? GSO_TCP6
			 : GSO_TCP4,
	    .gso_size = size,
	    .csum_start = (uint16_t)l4,
	    .csum_offset = udp ? 6 : 16};
}

/* The frame as an edge with offloads hands it in; ${v} zero: an ordinary one. */
static void
hand_in(struct host *h, enum dir dir, const uint8_t *f, uint32_t len, const struct vnet *v)
{
	struct burst b = {.n = 1, .p = {frame_pkt(h->w.pool, f, len)}};

	b.p[0]->todo = *v;
	if (v->gso)
		b.p[0]->drop = segment_count(b.p[0]);
	(dir == DIR_OUT ? outbound_burst : inbound_burst)(&h->w, &b);
}

/* The super-frame through a, and the same cut by hand into ${size} octets of payload each, one by one, through the twin of a. */
static void
same_as_one_by_one(const struct pair_sa *sas, unsigned steps, bool six, bool udp, uint32_t payload,
    uint16_t host_size, uint16_t size)
{
	struct pair twin;
	uint32_t l4, hlen, len, want;
	struct segment s;
	struct vnet v;
	uint8_t a[2000], b[2000];
	int n, m;

	memset(&twin, 0, sizeof twin);
	pair_init(&twin);
	twin.a.w.ipid = pr.a.w.ipid = 77;
	pair_protect(&pr, sas, steps, six ? "fd00::1" : "10.0.0.1", six ? "fd00::2" : "10.0.0.2");
	pair_protect(&twin, sas, steps, six ? "fd00::1" : "10.0.0.1", six ? "fd00::2" : "10.0.0.2");

	len = build(six, udp, payload, &l4, &hlen);
	v = todo(six, udp, l4, host_size);
	hand_in(&pr.a, DIR_OUT, super, len, &v);

	v.gso_size = size;
	assert_int_equal(segment_begin(&s, super, len, &v), DROP_NONE);
	for (want = 0; segment_more(&s); want++) {
		struct pkt *p = pkt_new(twin.a.w.pool);

		segment_next(&s, p);
		host_send1(&twin.a, pkt_data(p), p->len);
		pkt_free(twin.a.w.pool, p);
	}
	for (uint32_t i = 0; i < want; i++) {
		n = edge_mem_take(pr.a.w.lower, a, sizeof a);
		m = edge_mem_take(twin.a.w.lower, b, sizeof b);
		assert_true(n > 0);
		assert_true(n <= 1514);
		assert_int_equal(n, m);
		assert_memory_equal(a, b, n);
		host_receive1(&pr.b, a, (uint32_t)n);
		n = (int)(i + 1 < want ? size : payload - i * size);
		assert_int_equal(edge_mem_take(pr.b.w.upper, a, sizeof a), hlen + (uint32_t)n);
		assert_memory_equal(a + hlen, super + hlen + i * size, n);
	}
	assert_int_equal(edge_mem_take(pr.a.w.lower, a, sizeof a), -1);
	/* books: as many packets, and not one more */
	assert_int_equal(pr.a.stats.sent[DIR_OUT].packets, want);
	assert_int_equal(pr.a.stats.sent[DIR_OUT].octets, twin.a.stats.sent[DIR_OUT].octets);
	assert_int_equal(pr.a.stats.read[DIR_OUT].packets, (payload + host_size - 1) / host_size);
	assert_int_equal(pr.a.stats.protected_[DIR_OUT], want);
	assert_int_equal(
	    edge_mem_take(pr.a.w.upper, a, sizeof a), -1); /* nobody was told anything */
	host_balance(&twin.a);
	pair_fini(&twin);
}

static void
test_protected(void **state)
{
	static const struct pair_sa esp6 = {
	    IPSEC_ESP, MODE_TRANSPORT, "fd00::1", "fd00::2", "aes-128-gcm", NULL};
	static const struct pair_sa tunnel = {
	    IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-256-gcm", NULL};
	static const struct pair_sa natt = {.proto = IPSEC_ESP,
	    .src = "10.0.0.1",
	    .dst = "10.0.0.2",
	    .mode = MODE_TRANSPORT,
	    .enc = "chacha20-poly1305",
	    .encap = 4500};
	static const struct pair_sa ah = {
	    IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"};

	/* 1500 - 20 - 16 (header, IV) - 16 (ICV) - 2, down to a multiple of 4, are 1446 of TCP: 32 of header, 1414 of payload */
	same_as_one_by_one(&esp4, 1, false, false, 60000, 1448, 1414);
	teardown(NULL);
	setup(NULL);
	same_as_one_by_one(&esp6, 1, true, false, 60000, 1428, 1394);
	teardown(NULL);
	setup(NULL);
	same_as_one_by_one(&tunnel, 1, false, false, 50000, 1448, 1394);
	teardown(NULL);
	setup(NULL);
	same_as_one_by_one(&natt, 1, false, false, 64000, 1448, 1406);
	teardown(NULL);
	setup(NULL);
	same_as_one_by_one(&ah, 1, false, false, 64000, 1448, 1420);
	teardown(NULL);
	setup(NULL);
	/* small enough as the host cut it: not touched; datagrams never are */
	same_as_one_by_one(&esp4, 1, false, false, 30001, 536, 536);
	teardown(NULL);
	setup(NULL);
	same_as_one_by_one(&esp4, 1, false, true, 30001, 1200, 1200);
}

/* Datagrams that are too big after protection are handled as if each had come alone: the host is told. */
static void
test_udp_too_big(void **state)
{
	uint32_t l4, hlen, len;
	struct vnet v;
	uint8_t f[2000];
	unsigned told = 0;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	len = build(false, true, 1472 * 3, &l4, &hlen);
	v = todo(false, true, l4, 1472);
	hand_in(&pr.a, DIR_OUT, super, len, &v);
	while (edge_mem_take(pr.a.w.upper, f, sizeof f) > 0)
		told++;
	assert_int_equal(told, 3);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_TOO_BIG), 3);
}

/* Clear traffic goes whole where the edge takes it, in packets where it does not; the counters are the same. */
static void
test_bypass(void **state)
{
	static uint8_t f[PKT_FRAME_MAX];
	uint32_t l4, hlen, len;
	struct vnet v;
	unsigned n;

	open_policy(&pr.a);
	for (int dir = 0; dir < 2; dir++) {
		struct edge *to = dir == DIR_OUT ? pr.a.w.lower : pr.a.w.upper;

		len = build(false, false, 14480, &l4, &hlen);
		v = todo(false, false, l4, 1448);
		to->offload = true;
		hand_in(&pr.a, (enum dir)dir, super, len, &v);
		assert_int_equal(edge_mem_take(to, f, sizeof f), len);
		assert_memory_equal(f, super, len);
		assert_int_equal(pr.a.stats.read[dir].packets, 10);
		assert_int_equal(pr.a.stats.bypassed[dir], 10);
		assert_int_equal(pr.a.stats.sent[dir].octets, len + 9 * hlen);
		to->offload = false;
		hand_in(&pr.a, (enum dir)dir, super, len, &v);
		for (n = 0; edge_mem_take(to, f, sizeof f) > 0; n++)
			assert_int_equal(cksum_l4(f + 14, 6, f + l4, 1480), 0);
		assert_int_equal(n, 10);
		assert_int_equal(pr.a.stats.bypassed[dir], 20);
		assert_int_equal(pr.a.stats.sent[dir].octets, 2 * (len + 9 * hlen));
		/* one packet with its checksum missing */
		v.gso = 0;
		len = build(false, false, 100, &l4, &hlen);
		hand_in(&pr.a, (enum dir)dir, super, len, &v);
		assert_int_equal(edge_mem_take(to, f, sizeof f), len);
		assert_int_equal(cksum_l4(f + 14, 6, f + l4, 132), 0);
		to->offload = true;
		hand_in(&pr.a, (enum dir)dir, super, len, &v);
		assert_int_equal(edge_mem_take(to, f, sizeof f), len);
		assert_memory_equal(f, super, len);
	}
}

/* Larger segments than the wire's MTU do not go whole. */
static void
test_bypass_mtu(void **state)
{
	static uint8_t f[PKT_FRAME_MAX];
	uint32_t l4, hlen, len = build(false, false, 14480, &l4, &hlen);
	struct vnet v = todo(false, false, l4, 1448);
	unsigned n = 0;
	int got;

	open_policy(&pr.a);
	pr.a.w.lower->offload = true;
	pr.a.w.mtu = 1400;
	hand_in(&pr.a, DIR_OUT, super, len, &v);
	while ((got = edge_mem_take(pr.a.w.lower, f, sizeof f)) > 0) {
		assert_true(got <= 1414);
		n++;
	}
	assert_int_equal(n, 11);
}

/* A whole super-frame under one reason counts as its packets; nonsense is refused before anything looks into it. */
static void
test_dropped(void **state)
{
	uint32_t l4, hlen, len = build(false, false, 14480, &l4, &hlen);
	struct vnet v = todo(false, false, l4, 1448);

	host_policy(&pr.a, ++pr.generation, NULL, 0, NULL, 0);
	hand_in(&pr.a, DIR_OUT, super, len, &v);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_POLICY_DEFAULT), 10);
	hand_in(&pr.a, DIR_IN, super, len, &v);
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_POLICY_DEFAULT), 10);
	v.csum_start += 20; /* a tunnel */
	hand_in(&pr.a, DIR_OUT, super, len, &v);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_EDGE_ERROR), 1);
	v.gso = 0;
	v.csum_offset = 0xfff0;
	open_policy(&pr.a);
	hand_in(&pr.a, DIR_OUT, super, len, &v);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_EDGE_ERROR), 2);
}

/* No slot left in the middle: the rest is counted, and nothing is lost from the books. */
static void
test_pool(void **state)
{
	struct pkt *hold[512];
	uint32_t l4, hlen, len = build(false, false, 60000, &l4, &hlen);
	struct vnet v = todo(false, false, l4, 1448);
	uint8_t f[2000];
	unsigned n = 0, got = 0;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	while (pktpool_left(pr.a.w.pool) > 11)
		hold[n++] = pkt_new(pr.a.w.pool);
	hand_in(&pr.a, DIR_OUT, super, len, &v);
	while (edge_mem_take(pr.a.w.lower, f, sizeof f) > 0)
		got++;
	assert_int_equal(got, 10);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_NO_BUFFER), 43 - 10);
	while (n)
		pkt_free(pr.a.w.pool, hold[--n]);
}

/* ESP in UDP that came as one super-frame (UDP GSO of the peer, GRO of the NIC) is opened packet by packet; one of another port is not cut. */
static void
test_encap_in(void **state)
{
	static const struct pair_sa natt = {.proto = IPSEC_ESP,
	    .src = "10.0.0.1",
	    .dst = "10.0.0.2",
	    .mode = MODE_TRANSPORT,
	    .enc = "aes-128-gcm",
	    .encap = 4500};
	static uint8_t whole[PKT_FRAME_MAX];
	uint32_t l4, hlen, len = build(false, false, 20000, &l4, &hlen), at = 0, size = 0;
	struct vnet v = todo(false, false, l4, 1448);
	uint8_t f[2000];
	unsigned n = 0;
	int got;

	pair_protect(&pr, &natt, 1, "10.0.0.1", "10.0.0.2");
	hand_in(&pr.a, DIR_OUT, super, len, &v);
	while ((got = edge_mem_take(pr.a.w.lower, f, sizeof f)) > 0) {
		if (at == 0) {
			memcpy(whole, f, 42);
			at = 42;
			size = (uint32_t)got - 42;
		}
		memcpy(whole + at, f + 42, (uint32_t)got - 42);
		at += (uint32_t)got - 42;
		n++;
	}
	assert_int_equal(n, 15);
	put16(whole + 16, (uint16_t)(at - 14));
	put16(whole + 24, cksum_ip4(whole + 14, 20));
	put16(whole + 38, (uint16_t)(at - 34));
	v = todo(false, true, 34, (uint16_t)size);
	hand_in(&pr.b, DIR_IN, whole, at, &v);
	for (at = 0; (got = edge_mem_take(pr.b.w.upper, f, sizeof f)) > 0;
	     at += (uint32_t)got - hlen) {
		assert_memory_equal(f + hlen, super + hlen + at, (uint32_t)got - hlen);
		assert_int_equal(cksum_l4(f + 14, 6, f + l4, (uint32_t)got - l4), 0);
	}
	assert_int_equal(at, 20000);
	assert_int_equal(pr.b.stats.read[DIR_IN].packets, 15);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 15);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_protected),
	    T(test_udp_too_big),
	    T(test_bypass),
	    T(test_bypass_mtu),
	    T(test_dropped),
	    T(test_pool),
	    T(test_encap_in),
	};

	return walkbed_run("gso", tests, sizeof tests / sizeof *tests);
}
