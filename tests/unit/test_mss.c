/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * What a TCP SYN announces, lowered to what fits the SA; and where a tunnel cuts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "walkbed.h"

/* A segment with the ${n} octets of options at ${opt}; the frame's length. */
static uint32_t
segment(uint8_t *f, const char *src, const char *dst, uint8_t flags, const uint8_t *opt, uint32_t n)
{
	bool six = strchr(src, ':') != NULL;
	uint8_t *t = f + 14 + (six ? 40 : 20);

	memset(t, 0, 20);
	put16(t, 4711);
	put16(t + 2, 80);
	put32(t + 4, 0x01020304);
	t[12] = (uint8_t)((20 + n) / 4 << 4);
	t[13] = flags;
	memcpy(t + 20, opt, n);
	frame_ether(f, frame_mac_peer, frame_mac_host, six ? ETYPE_IP6 : ETYPE_IP4);
	n = 14 + (six ? frame_ip6(f + 14, src, dst, 6, 20 + n)
		      : frame_ip4(f + 14, src, dst, 6, 0x4000, 20 + n));
	put16(t + 16, cksum_l4(f + 14, 6, t, n - (uint32_t)(t - f)));
	return n;
}

/* From a's host to b's host; the announced value b's host sees at ${at} of the options. */
static uint16_t
through(
    const char *src, const char *dst, uint8_t flags, const uint8_t *opt, uint32_t n, uint32_t at)
{
	bool six = strchr(src, ':') != NULL;
	uint8_t f[200], wire[400], got[400], *t = got + 14 + (six ? 40 : 20);
	uint32_t len = segment(f, src, dst, flags, opt, n), sum;
	int w;

	host_send1(&pr.a, f, len);
	w = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_true(w > 0);
	host_receive1(&pr.b, wire, (uint32_t)w);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	sum = get16(t + 16);
	put16(t + 16, 0);
	assert_int_equal(sum, cksum_l4(got + 14, 6, t, len - (uint32_t)(t - got)));
	put16(t + 16, (uint16_t)sum);
	return get16(t + 20 + at);
}

static void
give_mss(uint16_t out, uint16_t in)
{
	sadb_at(pr.a.w.gen->sad, 0)->p.mss = out; /* a's, which sends */
	sadb_at(pr.b.w.gen->sad, 1)->p.mss = in;  /* b's, which would answer */
}

static void
test_mss(void **state)
{
	static const uint8_t plain[] = {2, 4, 0x05, 0xb4}, odd[] = {1, 2, 4, 0x05, 0xb4, 1, 1, 0},
			     behind[] = {4, 2, 1, 1, 2, 4, 0x05, 0xb4}, none[] = {1, 1, 1, 1},
			     bad[] = {3, 0, 2, 4}, cut[] = {1, 1, 1, 2};
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
		uint16_t fits; /* over 1500 octets, with AES-GCM */
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", 1426},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1", 1406},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2", 1406},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "fd01::1", "fd02::1", 1386},
	};

	for (size_t i = 0; i < 4; i++) {
		struct pair_sa s = {
		    IPSEC_ESP, shape[i].mode, shape[i].src, shape[i].dst, "aes-128-gcm"};
		const char *l = shape[i].local, *r = shape[i].remote;

		pair_protect(&pr, &s, 1, l, r);
		assert_int_equal(through(l, r, 2, plain, 4, 2), 1460);
		give_mss(MSS_AUTO, 0);
		assert_int_equal(through(l, r, 2, plain, 4, 2), shape[i].fits);
		assert_int_equal(through(l, r, 0x12, odd, 8, 3), shape[i].fits);
		assert_int_equal(through(l, r, 2, behind, 8, 6), shape[i].fits);
		assert_int_equal(through(l, r, 0x10, plain, 4, 2), 1460); /* no SYN */
		assert_int_equal(through(l, r, 2, none, 4, 2), 0x0101);
		assert_int_equal(through(l, r, 2, bad, 4, 2), 0x0204);
		assert_int_equal(through(l, r, 2, cut, 4, 2), 0x0102);
		give_mss(1200, 0);
		assert_int_equal(through(l, r, 2, plain, 4, 2), 1200);
		give_mss(1461, 0);
		assert_int_equal(through(l, r, 2, plain, 4, 2), 1460); /* never up */
		/* the end that receives the SYN bounds what its own host will send */
		give_mss(0, MSS_AUTO);
		assert_int_equal(through(l, r, 2, plain, 4, 2), shape[i].fits);
		assert_int_equal(through(l, r, 2, odd, 8, 3), shape[i].fits);
		/* and a path that is narrower than the NIC counts */
		sadb_at(pr.b.w.gen->sad, 1)->pmtu = 1400;
		sadb_at(pr.b.w.gen->sad, 1)->pmtu_until = UINT64_MAX;
		assert_int_equal(through(l, r, 2, plain, 4, 2), shape[i].fits - 100);
	}
}

/* What the host has cut: in fragments through the tunnel, or as one packet that is cut outside. */
static void
test_fragment(void **state)
{
	for (int after = 0; after < 2; after++) {
		struct pair_sa s = {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
		uint8_t f[4000], got[4000];
		uint32_t len, outer_fragments = 0, esp = 0;
		int n;

		pair_protect(&pr, &s, 1, "10.1.0.1", "10.2.0.1");
		sadb_at(pr.a.w.gen->sad, 0)->p.frag = after ? FRAG_AFTER : FRAG_BEFORE;
		len = frame_make_udp(f, "10.1.0.1", "10.2.0.1", 1, 2, 0, 3000);
		host_send1(&pr.a, f, len);
		while ((n = edge_mem_take(pr.a.w.lower, got, sizeof got)) >= 0) {
			assert_true(n <= 1514);
			outer_fragments += (get16(got + 20) & 0x3fff) != 0;
			esp++;
			host_receive1(&pr.b, got, (uint32_t)n);
		}
		assert_int_equal(outer_fragments, after ? esp : 0);
		assert_true(esp >= 3);
		assert_int_equal(sadb_at(pr.a.w.gen->sad, 0)->cout.packets, after ? 1 : esp);
		assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
		assert_memory_equal(got + 14, f + 14, len - 14);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_mss), T(test_fragment)};

	return walkbed_run("segments and fragments", tests, sizeof tests / sizeof tests[0]);
}
