/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "walkbed.h"

/* What is rare on a wire, and right all the same. */

static const struct pair_sa gcm4 = {
    IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};

/* What a's bump makes of ${f}. */
static uint32_t
seal(const uint8_t *f, uint32_t n, uint8_t *wire, size_t size)
{
	int len;

	host_send1(&pr.a, f, n);
	len = edge_mem_take(pr.a.w.lower, wire, size);
	assert_true(len > 0);
	return (uint32_t)len;
}

/* What b's host gets of ${wire}; 0: nothing. */
static uint32_t
opened(const uint8_t *wire, uint32_t n, uint8_t *got, size_t size)
{
	int len;

	host_receive1(&pr.b, wire, n);
	len = edge_mem_take(pr.b.w.upper, got, size);
	return len > 0 ? (uint32_t)len : 0;
}

/* A receiver with ESN that has lost the high half finds it again (RFC 4303 A3), and forged packets do not make it look often. */
static void
test_lost_high_half(void **state)
{
	static const struct pair_sa kind[] = {
	    {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL, .esn = true},
	    {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128", "hmac-sha2-256",
		.esn = true},
	    {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256", .esn = true},
	};
	uint8_t f[500], wire[600], got[600];

	for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
		uint32_t n = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 30), len = 0;
		struct sa *in;

		pair_protect(&pr, &kind[i], 1, "10.0.0.1", "10.0.0.2");
		in = sadb_at(pr.b.w.gen->sad, 0);
		sadb_at(pr.a.w.gen->sad, 0)->seq.next = (UINT64_C(5) << 32) + 100;
		for (int k = 0; k < REPLAY_FAILED; k++)
			assert_int_equal(
			    opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), 0);
		assert_int_equal(in->cin.auth_failed, REPLAY_FAILED);
		len = seal(f, n, wire, sizeof wire);
		assert_int_equal(opened(wire, len, got, sizeof got), n);
		assert_memory_equal(got + 14, f + 14, n - 14);
		assert_true(in->replay.top >> 32 == 5);
		assert_int_equal(opened(wire, len, got, sizeof got), 0); /* and no packet twice */
		assert_int_equal(in->cin.replay_dup, 1);
		assert_int_equal(opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), n);

		/* too far: never found; and tries are far between */
		sadb_at(pr.a.w.gen->sad, 0)->seq.next = UINT64_C(99) << 32;
		for (int k = 0; k < 3 * REPLAY_FAILED; k++)
			assert_int_equal(
			    opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), 0);
		assert_true(in->replay.top >> 32 == 5);
		sadb_at(pr.a.w.gen->sad, 0)->seq.next = (UINT64_C(6) << 32) + (1u << 31);
		assert_int_equal(opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), 0);
		pr.b.w.now += REPLAY_PROBE_MS;
		assert_int_equal(opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), n);
		assert_true(in->replay.top >> 32 == 6);
	}
}

/* A packet in a fragment stays a fragment, whatever atomic ones stand inside. */
static void
test_fragment_in_fragment(void **state)
{
	uint8_t f[200] = {0};
	uint32_t n = frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP6);
	struct pkt *p;

	frame_udp(f + n + 56, 1, 2, 20);
	f[n + 40] = 44;
	f[n + 43] = 1; /* more to come */
	f[n + 48] = 17;
	n += frame_ip6(f + n, "fd00::1", "fd00::2", 44, 16 + 28);
	p = frame_pkt(pr.a.w.pool, f, n);
	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	assert_int_equal(p->key.frag, 1);
	pkt_free(pr.a.w.pool, p);
}

/* 0xffff verifies where 0 was computed (RFC 1071, RFC 1141). */
static void
test_checksum_ffff(void **state)
{
	uint8_t f[200];
	uint32_t n = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0, 20);
	enum drop want[] = {DROP_NONE, DROP_NONE, DROP_BAD_HEADER};

	for (uint32_t id = 0; cksum_ip4(f + 14, 20) != 0; id++)
		put16(f + 18, (uint16_t)id);
	for (unsigned i = 0; i < 3; i++) {
		struct pkt *p;

		put16(f + 24, (uint16_t)(i == 2 ? 1 : 0xffff * i));
		p = frame_pkt(pr.a.w.pool, f, n);
		assert_int_equal(classify(p, DIR_IN), want[i]);
		pkt_free(pr.a.w.pool, p);
	}
}

/* RFC 6040, figure 4: all that may be made of inner and outer field, the marked ones counted; a wrong inner checksum stays wrong. */
static void
test_ecn(void **state)
{
	/* [inner][outer]: not, ECT(1), ECT(0), CE; -1: dropped */
	static const int becomes[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
	static const int odd[4][4] = {{0, 1, 1, 1}, {0, 0, 1, 0}, {0, 0, 0, 0}, {0, 1, 0, 0}};
	const struct pair_sa s = {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
	uint8_t f[200], wire[300], got[300];
	uint64_t alarms = 0;

	pair_protect(&pr, &s, 1, "10.1.0.1", "10.2.0.1");
	for (unsigned i = 0; i < 32; i++) {
		unsigned inner = i & 3, outer = i >> 2 & 3, wrong = i >> 4;
		uint32_t n = frame_make_udp(f, "10.1.0.1", "10.2.0.1", 1, 2, 0, 20), len;

		f[15] = (uint8_t)inner;
		put16(f + 24, cksum_ip4(f + 14, 20) ^ (uint16_t)wrong);
		n = seal(f, n, wire, sizeof wire);
		wire[15] = (uint8_t)((wire[15] & ~3u) | outer);
		put16(wire + 24, cksum_ip4(wire + 14, 20));
		len = opened(wire, n, got, sizeof got);
		alarms += (uint64_t)odd[inner][outer];
		assert_int_equal(len > 0, !wrong && becomes[inner][outer] >= 0);
		if (len) {
			assert_int_equal(got[15] & 3, becomes[inner][outer]);
			assert_int_equal(cksum_ip4(got + 14, 20), get16(got + 24));
		}
		assert_true(sadb_at(pr.b.w.gen->sad, 0)->cin.ecn_alarm == alarms);
	}
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_ECN), 2);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_BAD_HEADER), 15);
}

/* Behind UDP's own end: zeros are padding and go, anything else is the host's (RFC 9868); TFC padding only where the length says where it begins. */
static void
test_behind_udp(void **state)
{
	struct pair_sa s = gcm4;
	uint8_t f[400], wire[600], got[600];
	uint32_t n = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 40);

	put16(f + 38, 30); /* 18 octets behind it: 22, 23, ... */
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	assert_int_equal(opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), n);
	assert_memory_equal(got + 34, f + 34, n - 34);
	memset(f + n - 18, 0, 18);
	assert_int_equal(opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), n - 18);

	s.tfc = 300;
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	assert_true(
	    seal(f, n, wire, sizeof wire) < n + 60); /* as the length does not say where it ends */
	put16(f + 38, 48);
	n = seal(f, n, wire, sizeof wire);
	assert_true(n > 300);
	assert_int_equal(opened(wire, n, got, sizeof got), 14 + 20 + 48);
}

/* ESP in UDP ends where UDP ends; a length beyond the packet is refused. */
static void
test_behind_udp_outside(void **state)
{
	struct pair_sa s = gcm4;
	uint8_t f[400], wire[600], got[600];
	uint32_t n = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 40), len;

	s.encap = 4500;
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	len = seal(f, n, wire, sizeof wire);
	memset(wire + len, 7, 4);
	put16(wire + 16, (uint16_t)(len - 14 + 4));
	put16(wire + 24, cksum_ip4(wire + 14, 20));
	put16(wire + 38, (uint16_t)(len - 34 + 5));
	assert_int_equal(opened(wire, len + 4, got, sizeof got), 0);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_BAD_LENGTH), 1);
	put16(wire + 38, (uint16_t)(len - 34));
	assert_int_equal(opened(wire, len + 4, got, sizeof got), n);
}

/* Whatever came in a UDP packet came through the NAT, through however many SAs; each checksum over addresses is made anew. */
static void
test_mend(void **state)
{
	struct pair_sa s[2] = {
	    {IPSEC_AH, MODE_TRANSPORT, "fd00::1", "fd00::2", NULL, "hmac-sha2-256"},
	    {IPSEC_ESP, MODE_TRANSPORT, "fd00::1", "fd00::2", "aes-128-gcm", .encap = 4500},
	};
	static const struct {
		uint8_t proto, at, covered; /* covered: UDP-Lite's coverage */
	} kind[] = {{6, 16, 0}, {17, 6, 0}, {58, 2, 0}, {136, 6, 0}, {136, 6, 12}};
	uint8_t f[400], wire[600], got[600];

	for (unsigned i = 0; i < 10; i++) {
		unsigned k = i / 2, steps = 1 + i % 2;
		uint32_t l4 = 41, n = frame_make_udp(f, "fd00::1", "fd00::2", 1, 2, 0, l4 - 8), len;
		uint8_t *u = f + 54;

		f[20] = kind[k].proto;
		if (kind[k].proto == 136)
			put16(u + 4, kind[k].covered);
		if (kind[k].proto == 58)
			u[0] = 128;
		put16(u + kind[k].at, 0);
		put16(u + kind[k].at, cksum_part(f + 14, kind[k].proto, u, l4,
					  kind[k].covered ? kind[k].covered : l4));
		memcpy(got, f, n);
		u[kind[k].at] ^= 0x5a; /* as if for the addresses before the NAT */
		pair_protect(&pr, s + 2 - steps, steps, "fd00::1", "fd00::2");
		len = seal(f, n, wire, sizeof wire);
		memcpy(f, got, n);
		assert_int_equal(opened(wire, len, got, sizeof got), n);
		assert_memory_equal(got + 14, f + 14, n - 14);
	}
	/* no checksum stays no checksum */
	{
		uint32_t n = frame_make_udp(f, "fd00::1", "fd00::2", 1, 2, 0, 33);

		pair_protect(&pr, s + 1, 1, "fd00::1", "fd00::2");
		assert_int_equal(opened(wire, seal(f, n, wire, sizeof wire), got, sizeof got), n);
		assert_int_equal(get16(got + 60), 0);
	}
}

static uint8_t drawn;

static void
draw(struct rng *r, uint8_t *out, size_t n)
{
	(void)r;
	memset(out, ++drawn, n);
}

/*
 * CBC's IV is what the generator gives, anew for each packet (RFC 3602 3: not to be foreseen).  Of counter modes it is the number, so that none
 * comes twice under a key (RFC 3686 4, RFC 4106 3.1, RFC 4309 3.1, RFC 4543 3.1, RFC 7634 2).
 */
static void
test_iv(void **state)
{
	static const struct {
		const char *enc, *auth;
		uint32_t random; /* octets */
	} t[] = {{"aes-128", "hmac-sha2-256", 16}, {"aes-256", "hmac-sha1", 16},
	    {"3des", "hmac-sha1", 8}, {"aes-128-gcm", NULL, 0}, {"aes-128-ccm", NULL, 0},
	    {"aes-128-gmac", NULL, 0}, {"chacha20-poly1305", NULL, 0},
	    {"aes-128-ctr", "hmac-sha1", 0}};
	struct rng fixed = {draw}, *was = pr.a.w.rng;
	uint8_t f[200], wire[300], want[16];

	pr.a.w.rng = &fixed;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct pair_sa s = gcm4;
		uint32_t n = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 20);

		s.enc = t[i].enc;
		s.auth = t[i].auth;
		pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
		for (uint32_t number = 1; number < 4; number++) {
			seal(f, n, wire, sizeof wire);
			assert_int_equal(get32(wire + 38), number);
			if (t[i].random == 0) {
				assert_int_equal(get32(wire + 42), 0);
				assert_int_equal(get32(wire + 46), number);
				continue;
			}
			memset(want, drawn, sizeof want);
			assert_memory_equal(wire + 42, want, t[i].random);
		}
	}
	assert_int_equal(drawn, 3 * 3);
	drawn = 0;
	pr.a.w.rng = was;
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_lost_high_half), T(test_fragment_in_fragment),
	    T(test_checksum_ffff), T(test_ecn), T(test_behind_udp), T(test_behind_udp_outside),
	    T(test_mend), T(test_iv)};

	return walkbed_run("walk_odd", tests, sizeof tests / sizeof tests[0]);
}
