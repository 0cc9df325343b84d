/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Whole datagrams, which is what IPsec protects: one that is larger than IP can say once it is protected, and one that says it is a fragment and is
 * not (an atomic fragment, RFC 6946).
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "walkbed.h"

#define CBC                                                                                        \
	{                                                                                          \
		IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128", "hmac-sha2-256"      \
	}

static uint8_t f[70000], wire[70000], got[70000];

/* A datagram of that many octets of IP, from a's host to b's; does it arrive? */
static bool
arrives(const char *src, const char *dst, uint32_t octets)
{
	uint32_t len =
	    frame_make_udp(f, src, dst, 1, 2, 0, octets - 8 - (strchr(src, ':') ? 40 : 20));
	int n;

	assert_int_equal(len, 14 + octets);
	host_cuts(f, len, 1500);
	pair_wire(&pr.a, &pr.b);
	if ((n = edge_mem_take(pr.b.w.upper, got, sizeof got)) < 0)
		return false;
	assert_int_equal(n, len);
	assert_memory_equal(got + 14, f + 14, octets);
	return true;
}

/* What fits is told, to the octet, and that goes through; inside a tunnel's fragments anything does. */
static void
test_beyond_ip(void **state)
{
	static const struct {
		unsigned steps;
		struct pair_sa sa[2];
	} shape[] = {
	    {1, {{IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm"}}},
	    {1, {{IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"}}},
	    {1, {{IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm",
		    .encap = 4500}}},
	    {1, {{IPSEC_ESP, MODE_TRANSPORT, "fd00::1", "fd00::2", "aes-128", "hmac-sha1"}}},
	    {1, {{IPSEC_AH, MODE_TRANSPORT, "fd00::1", "fd00::2", NULL, "hmac-sha2-256"}}},
	    {2, {CBC, {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha1"}}},
	    {2, {CBC, {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm"}}},
	    {1, {{IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm"}}},
	    {1, {{IPSEC_ESP, MODE_TUNNEL, "fd00::1", "fd00::2", "aes-128-gcm"}}},
	};
	uint64_t refused = 0;

	for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
		const struct pair_sa *s = shape[i].sa;
		bool six = s->src[0] == 'f', tunnel = s->mode == MODE_TUNNEL;
		uint32_t most = six ? 65535 + 40 : 65535, fits;
		int n;

		pair_protect(&pr, s, shape[i].steps, s->src, s->dst);
		assert_int_equal(arrives(s->src, s->dst, most), tunnel);
		n = edge_mem_take(pr.a.w.upper, got, sizeof got);
		assert_int_equal(n >= 0, !tunnel);
		if (tunnel)
			continue;
		assert_int_equal(got[14 + (six ? 40 : 20)], six ? 2 : 3);
		assert_int_equal(got[14 + (six ? 40 : 20) + 1], six ? 0 : 4);
		fits = six ? get32(got + 14 + 40 + 4) : get16(got + 14 + 20 + 6);
		assert_in_range(fits, most - 120, most - 12);
		/* the datagram is quoted, ports and all */
		assert_memory_equal(got + 14 + (six ? 48 : 28), f + 14, six ? 48 : 28);
		assert_true(arrives(s->src, s->dst, fits));
		assert_false(arrives(s->src, s->dst, fits + 1));
		assert_true(edge_mem_take(pr.a.w.upper, got, sizeof got) > 0);
		refused += 2;
		assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_TOO_BIG), refused);
	}
}

/* An atomic fragment's header in front of what the header at offset ${nh} names, ${at}; ${len}: of the frame. */
static uint32_t
make_atomic(uint8_t *frame, uint32_t nh, uint32_t at, uint32_t len)
{
	memmove(frame + at + 8, frame + at, len - at);
	memset(frame + at, 0, 8);
	frame[at] = frame[nh];
	frame[nh] = IPPROTO_FRAGMENT;
	put32(frame + at + 4, 0x12345678);
	put16(frame + 14 + 4, (uint16_t)(get16(frame + 14 + 4) + 8));
	return len + 8;
}

static const struct pair_sa atomic_shape[] = {
    {IPSEC_ESP, MODE_TRANSPORT, "fd00::1", "fd00::2", "aes-128-gcm"},
    {IPSEC_ESP, MODE_TRANSPORT, "fd00::1", "fd00::2", "aes-128-gcm", .encap = 4500},
    {IPSEC_AH, MODE_TRANSPORT, "fd00::1", "fd00::2", NULL, "hmac-sha2-256"},
};

/* Transport mode takes it as the datagram it is, of any size that fits without the header; one header or, as nobody sends it, two. */
static void
test_atomic_out(void **state)
{
	static const uint32_t around[] = {34, 42, 32}; /* octets that protection adds */

	for (size_t i = 0; i < 3; i++)
		for (unsigned twice = 0; twice < 2; twice++)
			for (unsigned over = 0; over < 2; over++) {
				uint32_t whole, len;

				pair_protect(&pr, &atomic_shape[i], 1, "fd00::1", "fd00::2");
				whole = frame_make_udp(
				    f, "fd00::1", "fd00::2", 1, 2, 0, 1500 - 48 - around[i] + over);
				len = make_atomic(f, 20, 54, whole);
				if (twice)
					len = make_atomic(f, 20, 54, len);
				host_send1(&pr.a, f, len);
				assert_int_equal(pair_wire(&pr.a, &pr.b), !over);
				if (over) {
					assert_true(
					    edge_mem_take(pr.a.w.upper, got, sizeof got) > 0);
					assert_int_equal(get32(got + 58), 1500 - around[i]);
					continue;
				}
				frame_make_udp(
				    f, "fd00::1", "fd00::2", 1, 2, 0, 1500 - 48 - around[i]);
				assert_int_equal(
				    edge_mem_take(pr.b.w.upper, got, sizeof got), whole);
				assert_memory_equal(got + 14, f + 14, whole - 14);
			}
}

/* IPv6 knows no path below 1280: what is cut behind ESP has one fragment header, and comes together again. */
static void
test_atomic_cut(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		uint32_t whole, pieces = 0;
		int n;

		pair_protect(&pr, &atomic_shape[i], 1, "fd00::1", "fd00::2");
		sadb_at(pr.a.w.gen->sad, 0)->pmtu = 1280;
		sadb_at(pr.a.w.gen->sad, 0)->pmtu_until = UINT64_MAX;
		whole = frame_make_udp(f, "fd00::1", "fd00::2", 1, 2, 0, 1280 - 48);
		host_send1(&pr.a, f, make_atomic(f, 20, 54, whole));
		while ((n = edge_mem_take(pr.a.w.lower, wire, sizeof wire)) >= 0) {
			assert_int_equal(wire[20], IPPROTO_FRAGMENT);
			assert_int_not_equal(wire[54], IPPROTO_FRAGMENT);
			host_receive1(&pr.b, wire, (uint32_t)n);
			pieces++;
		}
		assert_int_equal(pieces, 2);
		assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), whole);
		frame_make_udp(f, "fd00::1", "fd00::2", 1, 2, 0, 1280 - 48);
		assert_memory_equal(got + 14, f + 14, whole - 14);
	}
}

/* Somebody on the way, or the sender, made the ESP or AH packet an atomic fragment; it is one packet (RFC 6946 4). */
static void
test_atomic_in(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		uint32_t whole = frame_make_udp(f, "fd00::1", "fd00::2", 1, 2, 0, 500);
		int n;

		pair_protect(&pr, &atomic_shape[i], 1, "fd00::1", "fd00::2");
		host_send1(&pr.a, f, whole);
		n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
		assert_true(n > 0);
		host_receive1(&pr.b, wire, make_atomic(wire, 20, 54, (uint32_t)n));
		assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), whole);
		assert_memory_equal(got + 14, f + 14, whole - 14);
		assert_int_equal(sadb_at(pr.b.w.gen->sad, 0)->cin.packets, 1);
	}
}

/* What is not the transform's to change stays as it is: inside a tunnel, and in clear, both ways. */
static void
test_atomic_kept(void **state)
{
	static const struct pair_sa tunnel = {
	    IPSEC_ESP, MODE_TUNNEL, "fd00::1", "fd00::2", "aes-128-gcm"};
	uint32_t len =
	    make_atomic(f, 20, 54, frame_make_udp(f, "fd00::1", "fd00::2", 1, 2, 0, 300));

	pair_protect(&pr, &tunnel, 1, "fd00::1", "fd00::2");
	host_send1(&pr.a, f, len);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 1);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	assert_memory_equal(got + 14, f + 14, len - 14);
	open_policy(&pr.a);
	open_policy(&pr.b);
	host_send1(&pr.a, f, len);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 1);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	assert_memory_equal(got, f, len);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_beyond_ip), T(test_atomic_out),
	    T(test_atomic_cut), T(test_atomic_in), T(test_atomic_kept)};

	return walkbed_run("whole datagrams", tests, sizeof tests / sizeof tests[0]);
}
