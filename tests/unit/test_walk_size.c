/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "walkbed.h"

/* DF set: the host is told what fits, to the octet; what it then sends goes through, one octet more does not. */
static void
test_too_big(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2"},
	    {MODE_TUNNEL, "fd00::1", "fd00::2", "fd01::1", "fd02::1"},
	};
	static const char *const enc[] = {"aes-128-gcm", "aes-256"};

	for (size_t i = 0; i < 8; i++) {
		struct pair_sa s = {IPSEC_ESP, shape[i / 2].mode, shape[i / 2].src,
		    shape[i / 2].dst, enc[i % 2], i % 2 ? "hmac-sha2-512" : NULL};
		bool six = shape[i / 2].local[0] == 'f';
		uint32_t hlen = six ? 48 : 28, len, mtu;
		uint8_t f[2000], got[2000];
		int n;

		pair_protect(&pr, &s, 1, shape[i / 2].local, shape[i / 2].remote);
		len = frame_make_udp(
		    f, shape[i / 2].local, shape[i / 2].remote, 1, 2, 0x4000, 1500 - hlen);
		host_send1(&pr.a, f, len);
		n = edge_mem_take(pr.a.w.upper, got, sizeof got);
		assert_true(n > 14 + 28);
		mtu = six ? get32(got + 14 + 40 + 4) : get16(got + 14 + 20 + 6);
		assert_true(mtu > 1300 && mtu < 1480);
		assert_int_equal(got[14 + (six ? 40 : 20)], six ? 2 : 3);
		assert_memory_equal(got, f + 6, 6);
		assert_int_equal(edge_mem_take(pr.a.w.lower, got, sizeof got), -1);

		one_way(
		    &pr.a, &pr.b, shape[i / 2].local, shape[i / 2].remote, mtu - hlen, 50, true);
		len = frame_make_udp(
		    f, shape[i / 2].local, shape[i / 2].remote, 1, 2, 0x4000, mtu - hlen + 1);
		host_send1(&pr.a, f, len);
		assert_int_equal(edge_mem_take(pr.a.w.lower, got, sizeof got), -1);
		while (edge_mem_take(pr.a.w.upper, got, sizeof got) >= 0)
			;
	}
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_TOO_BIG), 16);
}

/* Without DF, and whatever the host cut itself, everything arrives whole: 65507 octets of UDP too. */
static void
test_fragments(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "fd01::1", "fd02::1"},
	};
	static const struct {
		enum ipsec_proto proto;
		const char *enc, *auth;
	} suite[] = {
	    {IPSEC_ESP, "aes-128-gcm", NULL},
	    {IPSEC_ESP, "aes-128", "hmac-sha2-256"},
	    {IPSEC_ESP, "chacha20-poly1305", NULL},
	    {IPSEC_ESP, "aes-128-ccm", NULL},
	    {IPSEC_ESP, "aes-128-ctr", "hmac-sha1"},
	    {IPSEC_AH, NULL, "hmac-sha2-256"},
	};
	static const uint32_t sizes[] = {1472, 1473, 8000, 60000, 65400};
	static uint8_t f[70000], got[70000];

	for (size_t j = 0; j < 4 * sizeof suite / sizeof suite[0]; j++) {
		size_t i = j % 4;
		struct pair_sa s = {suite[j / 4].proto, shape[i].mode, shape[i].src, shape[i].dst,
		    suite[j / 4].enc, suite[j / 4].auth};

		pair_protect(&pr, &s, 1, shape[i].local, shape[i].remote);
		for (size_t k = 0; k < 5; k++) {
			uint32_t len =
			    frame_make_udp(f, shape[i].local, shape[i].remote, 1, 2, 0, sizes[k]);
			uint64_t before = pr.b.stats.sent[DIR_IN].packets;
			int n = -1;

			if (len - 14 <= 1500 && shape[i].local[0] == '1') {
				host_send1(&pr.a, f, len);
			} else {
				host_cuts(f, len, 1400);
			}
			pair_wire(&pr.a, &pr.b);
			assert_int_equal(pr.b.stats.sent[DIR_IN].packets, before + 1);
			n = edge_mem_take(pr.b.w.upper, got, sizeof got);
			assert_int_equal(n, len);
			assert_memory_equal(got + 14, f + 14, len - 14);
		}
	}
}

/* RFC 6040: both directions of the outer header's ECN field, all pairs on the way in */
static void
test_ecn(void **state)
{
	static const int8_t want[4][4] = {
	    /* outer: Not, ECT(1), ECT(0), CE */
	    {0, 0, 0, -1}, /* inner Not-ECT */
	    {1, 1, 1, 3},  /* inner ECT(1) */
	    {2, 1, 2, 3},  /* inner ECT(0) */
	    {3, 3, 3, 3},  /* inner CE */
	};
	struct pair_sa t = {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL};

	pair_protect(&pr, &t, 1, "10.1.0.1", "10.2.0.1");
	for (unsigned inner = 0; inner < 4; inner++)
		for (unsigned outer = 0; outer < 4; outer++) {
			uint8_t f[500], wire[600], got[600];
			uint32_t len = frame_make_udp(f, "10.1.0.1", "10.2.0.1", 1, 2, 0, 30);
			int n;

			f[15] = (uint8_t)(0xb8 | inner);
			put16(f + 24, cksum_ip4(f + 14, 20));
			host_send1(&pr.a, f, len);
			n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
			assert_true(n > 0);
			assert_int_equal(
			    wire[15], 0xb8 | inner); /* DSCP and ECN copied: normal mode */
			wire[15] = (uint8_t)((wire[15] & ~3) | outer);
			put16(wire + 24, cksum_ip4(wire + 14, 20));
			host_receive1(&pr.b, wire, (uint32_t)n);
			n = edge_mem_take(pr.b.w.upper, got, sizeof got);
			if (want[inner][outer] < 0) {
				assert_int_equal(n, -1);
				continue;
			}
			assert_int_equal(n, len);
			assert_int_equal(got[15], 0xb8 | want[inner][outer]);
			assert_int_equal(cksum_ip4(got + 14, 20), get16(got + 24));
		}
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_ECN), 1);
}

/* RFC 4303 2.7: all packets of one size on the wire, and gone on receipt */
static void
test_tfc(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *local, *remote;
	} shape[] = {{MODE_TRANSPORT, "10.0.0.1", "10.0.0.2"},
	    {MODE_TUNNEL, "10.1.0.1", "10.2.0.1"}, {MODE_TUNNEL, "fd01::1", "fd02::1"}};

	for (size_t i = 0; i < 3; i++)
		for (uint32_t tfc = 600; tfc < 10000; tfc += 8000) {
			struct pair_sa s = {
			    IPSEC_ESP, shape[i].mode, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
			int size = 0;

			s.tfc = tfc;
			pair_protect(&pr, &s, 1, shape[i].local, shape[i].remote);
			for (uint32_t n = 1; n < 500; n += 71) {
				uint8_t f[2000], wire[2000], got[2000];
				uint32_t len = frame_make_udp(
				    f, shape[i].local, shape[i].remote, 1, 2, 0x4000, n);
				int w;

				host_send1(&pr.a, f, len);
				w = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
				assert_true(w > 0 && w <= 1514);
				assert_true(size == 0 || w == size);
				size = w;
				host_receive1(&pr.b, wire, (uint32_t)w);
				assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
				assert_memory_equal(got + 14, f + 14, len - 14);
			}
			assert_true(tfc < 1500 ? size > 600 && size < 700 : size > 1500);
		}
}

/* What does not say its own length is not padded: its receiver could not tell the end.  Nor is what a further SA wraps. */
static void
test_tfc_not(void **state)
{
	struct pair_sa s = {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm"},
		       bundle[] = {
			   s, {IPSEC_ESP, MODE_TUNNEL, "10.9.0.1", "10.9.0.2", "aes-128-gcm"}};
	uint8_t f[200] = {0}, wire[2000], got[200];
	uint32_t len;

	s.tfc = bundle[0].tfc = 600;
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	put16(f + 34, 5);
	put16(f + 36, 6);
	f[46] = 0x50;
	len = 14 + frame_ip4(f + 14, "10.0.0.1", "10.0.0.2", 6, 0x4000, 21); /* TCP */
	host_send1(&pr.a, f, len);
	/* header and IV, 21 octets with 3 of trailer, ICV */
	assert_int_equal(edge_mem_take(pr.a.w.lower, wire, sizeof wire), 34 + 16 + 24 + 16);
	host_receive1(&pr.b, wire, 34 + 16 + 24 + 16);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	assert_memory_equal(got + 14, f + 14, len - 14);

	pair_protect(&pr, bundle, 2, "10.0.0.1", "10.0.0.2");
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 10);
	host_send1(&pr.a, f, len);
	/* 18 octets of UDP in ESP are 20 + 16 + 20 + 16; these in a tunnel */
	assert_int_equal(edge_mem_take(pr.a.w.lower, wire, sizeof wire), 34 + 16 + 76 + 16);
	host_receive1(&pr.b, wire, 34 + 16 + 76 + 16);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
}

/* RFC 3948: ESP in UDP both modes and families; IKE and keepalives beside it; the checksum NAT broke is mended */
static void
test_udpencap(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TUNNEL, "fd00::1", "fd00::2", "10.1.0.1", "10.2.0.1"},
	};
	struct pair_sa s = {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
	uint8_t f[200], wire[500], got[500];
	uint32_t len;
	int n;

	s.encap = 4500;
	for (size_t i = 0; i < 4; i++) {
		s.mode = shape[i].mode;
		s.src = shape[i].src;
		s.dst = shape[i].dst;
		both_ways_proto(&s, 1, shape[i].local, shape[i].remote, 17);
	}
	s.mode = MODE_TRANSPORT;
	s.src = "10.0.0.1";
	s.dst = "10.0.0.2";
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	/* a keepalive is swallowed; IKE behind four zero octets meets policy, which here denies clear packets */
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 4500, 4500, 0, 1);
	f[42] = 0xff;
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_KEEPALIVE), 1);
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 4500, 4500, 0, 40);
	memset(f + 42, 0, 4);
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_CLEAR_DENIED), 1);
	/* an unknown SPI, and the SA's SPI without UDP around */
	put32(f + 42, 0x9999);
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_UNKNOWN_SPI), 1);
	/* a sender whose checksum is for another address (NAT): right when it reaches the host */
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 7, 8, 0x4000, 20);
	put16(f + 40, 0x1234);
	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_int_equal(get16(wire + 40), 0); /* RFC 3948 2.1: the outer one is zero over IPv4 */
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	{
		uint8_t pseudo[12];

		memcpy(pseudo, got + 26, 8);
		put16(pseudo + 8, 17);
		put16(pseudo + 10, 28);
		assert_int_equal(cksum_fold(cksum_add(cksum_add(0, pseudo, 12), got + 34, 28)), 0);
	}
}

/* RFC 3948 with a NAT that maps anew: the place a verified packet came from is told, a forged one moves nothing */
static void
test_follow(void **state)
{
	struct pair_sa s = {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
	struct sa *out;
	uint8_t f[200], wire[500], moved[500];
	uint32_t len = frame_make_udp(f, "10.1.0.1", "10.2.0.1", 7, 8, 0x4000, 20);
	struct event ev;
	int n;

	s.encap = 4500;
	s.follow = true;
	pair_protect(&pr, &s, 1, "10.1.0.1", "10.2.0.1");
	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_false(events_pop(pr.b.w.events, &ev)); /* it is where it is said to be */

	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	memcpy(wire + 26, "\x0a\x09\x09\x09", 4); /* the NAT has another address and port now */
	put16(wire + 34, 31000);
	put16(wire + 24, cksum_ip4(wire + 14, 20));
	memcpy(moved, wire, (size_t)n);
	moved[n - 1] ^= 1;
	host_receive1(&pr.b, moved, (uint32_t)n);
	assert_true(
	    events_pop(pr.b.w.events, &ev) && ev.kind == EV_AUDIT && ev.drop == DROP_AUTH_FAILED);
	assert_false(events_pop(pr.b.w.events, &ev));
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_true(events_pop(pr.b.w.events, &ev));
	assert_int_equal(ev.kind, EV_PEER);
	assert_int_equal(ev.key.rport, 31000);
	assert_int_equal(ev.src.b[3], 9);

	/* what the control thread does with it */
	out = sadb_at(pr.b.w.gen->sad, 1);
	out->peer = malloc(sizeof *out->peer);
	*out->peer = (struct sa_peer){ev.src, 31000};
	len = frame_make_udp(f, "10.2.0.1", "10.1.0.1", 8, 7, 0x4000, 20);
	host_send1(&pr.b, f, len);
	n = edge_mem_take(pr.b.w.lower, wire, sizeof wire);
	assert_true(n > 0);
	assert_memory_equal(wire + 30, "\x0a\x09\x09\x09", 4);
	assert_int_equal(get16(wire + 36), 31000);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_too_big), T(test_fragments), T(test_ecn),
	    T(test_tfc), T(test_tfc_not), T(test_udpencap), T(test_follow)};

	return walkbed_run("sizes and headers", tests, sizeof tests / sizeof tests[0]);
}
