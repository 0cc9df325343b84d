/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * The outer header of tunnel mode, field by field (RFC 4301 5.1.2, RFC 6040), each family over each; the inner packet comes out as it
 * went in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "pair.h"

static struct pair pr;
static uint8_t frame[2000], wire[2000], got[2000];

struct shape {
	bool outer6, inner6;
};

static const struct shape shapes[] = {{false, false}, {false, true}, {true, false}, {true, true}};
#define EACH_SHAPE(s) for (const struct shape *s = shapes; s < shapes + 4; s++)

static struct pair_sa
tunnel(const struct shape *s)
{
	return (struct pair_sa){.proto = IPSEC_ESP,
	    .mode = MODE_TUNNEL,
	    .src = s->outer6 ? "fd00::1" : "10.0.0.1",
	    .dst = s->outer6 ? "fd00::2" : "10.0.0.2",
	    .enc = "aes-128-gcm"};
}

static void
begin(const struct pair_sa *sa, const struct shape *s)
{
	pair_init(&pr);
	pair_protect(
	    &pr, sa, 1, s->inner6 ? "fd01::1" : "10.1.0.1", s->inner6 ? "fd02::1" : "10.2.0.1");
}

static void
end(void)
{
	host_balance(&pr.a);
	host_balance(&pr.b);
	pair_fini(&pr);
}

/* An inner packet with this traffic class, hop limit, flow label (IPv6) and IPv4 flags. */
static uint32_t
inner(const struct shape *s, uint8_t tos, uint8_t ttl, uint32_t label, uint16_t flags)
{
	uint32_t len = frame_make_udp(frame, s->inner6 ? "fd01::1" : "10.1.0.1",
	    s->inner6 ? "fd02::1" : "10.2.0.1", 1, 2, flags, 50);
	uint8_t *h = frame + 14;

	if (s->inner6) {
		put32(h, 6u << 28 | (uint32_t)tos << 20 | label);
		h[7] = ttl;
	} else {
		h[1] = tos;
		h[8] = ttl;
		put16(h + 10, cksum_ip4(h, 20));
	}
	return len;
}

/* Sent, looked at on the wire, and received; the inner packet is the same on the other side. */
static const uint8_t *
through(uint32_t len)
{
	int n;

	host_send1(&pr.a, frame, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_true(n > 0);
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	assert_memory_equal(got + 12, frame + 12, len - 12);
	return wire + 14;
}

static uint8_t
class_of(const uint8_t *h)
{
	return h[0] >> 4 == 4 ? h[1] : (uint8_t)(get16(h) >> 4);
}

/* DSCP copied or set, ECN copied beside it: every value. */
static void
test_dscp(void **state)
{
	EACH_SHAPE(s)
	{
		struct pair_sa sa = tunnel(s);

		begin(&sa, s);
		for (unsigned tos = 0; tos < 256; tos++)
			assert_int_equal(
			    class_of(through(inner(s, (uint8_t)tos, 64, 0, 0x4000))), tos);
		end();
		for (int dscp = 0; dscp < 64; dscp += 21) {
			sa.dscp = dscp + 1;
			begin(&sa, s);
			for (unsigned tos = 0; tos < 256; tos += 5)
				assert_int_equal(
				    class_of(through(inner(s, (uint8_t)tos, 64, 0, 0x4000))),
				    dscp << 2 | (tos & 3));
			end();
		}
	}
}

/* RFC 6040 4.1's compatibility mode, `ecn off`: Not-ECT outside, DSCP as ever, the inner field as the host made it. */
static void
test_ecn_off(void **state)
{
	EACH_SHAPE(s)
	{
		struct pair_sa sa = tunnel(s);

		sa.no_ecn = true;
		begin(&sa, s);
		for (unsigned tos = 0; tos < 256; tos++)
			assert_int_equal(
			    class_of(through(inner(s, (uint8_t)tos, 64, 0, 0x4000))), tos & 0xfc);
		end();
	}
}

/* An IPv6 packet inside counts as one with DF; the outer IPv6 header has none. */
static void
test_df(void **state)
{
	static const struct {
		enum df_policy df;
		bool inner6;
		uint16_t flags;
		bool want;
	} row[] = {
	    {DF_COPY, false, 0, false},
	    {DF_COPY, false, 0x4000, true},
	    {DF_COPY, true, 0, true},
	    {DF_SET, false, 0, true},
	    {DF_SET, false, 0x4000, true},
	    {DF_CLEAR, false, 0, false},
	    {DF_CLEAR, false, 0x4000, false},
	    {DF_CLEAR, true, 0, false},
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct shape s = {.inner6 = row[i].inner6};
		struct pair_sa sa = tunnel(&s);
		const uint8_t *h;

		sa.df = row[i].df;
		begin(&sa, &s);
		h = through(inner(&s, 0, 64, 0, row[i].flags));
		assert_int_equal(get16(h + 6), row[i].want ? 0x4000 : 0);
		end();
	}
}

/* Ours is 64 whatever the inner one is, and the inner one is not counted down: a bump does not forward. */
static void
test_ttl(void **state)
{
	static const uint8_t ttls[] = {1, 2, 64, 255};

	EACH_SHAPE(s)
	{
		struct pair_sa sa = tunnel(s);

		begin(&sa, s);
		for (size_t i = 0; i < sizeof ttls; i++) {
			const uint8_t *h = through(inner(s, 0, ttls[i], 0, 0x4000));

			assert_int_equal(h[s->outer6 ? 7 : 8], 64);
		}
		end();
	}
}

/* Copied from IPv6 to IPv6; 0 where the inner packet has none. */
static void
test_flow_label(void **state)
{
	static const uint32_t labels[] = {0, 1, 0x12345, 0xfffff};

	for (int six = 0; six < 2; six++) {
		struct shape s = {true, six};
		struct pair_sa sa = tunnel(&s);

		begin(&sa, &s);
		for (size_t i = 0; i < 4; i++) {
			const uint8_t *h = through(inner(&s, 0xb9, 64, labels[i], 0x4000));

			assert_int_equal(get32(h) & 0xfffff, six ? labels[i] : 0);
			assert_int_equal(class_of(h), 0xb9);
		}
		end();
	}
}

/* The rest of an outer header: lengths, protocol, addresses, checksum; an IPv4 ID of its own for each packet. */
static void
test_rest(void **state)
{
	EACH_SHAPE(s)
	{
		struct pair_sa sa = tunnel(s);
		struct ipaddr src, dst;
		uint16_t last = 0;

		ipaddr_parse(sa.src, &src);
		ipaddr_parse(sa.dst, &dst);
		begin(&sa, s);
		for (int i = 0; i < 3; i++) {
			const uint8_t *h = through(inner(s, 0, 64, 0, 0));

			if (s->outer6) {
				assert_int_equal(h[0] >> 4, 6);
				assert_int_equal(h[6], IPSEC_ESP);
				assert_memory_equal(h + 8, src.b, 16);
				assert_memory_equal(h + 24, dst.b, 16);
				continue;
			}
			assert_int_equal(h[0], 0x45);
			assert_int_equal(h[9], IPSEC_ESP);
			assert_int_equal(get16(h + 10), cksum_ip4(h, 20));
			assert_memory_equal(h + 12, src.b, 4);
			assert_memory_equal(h + 16, dst.b, 4);
			if (i)
				assert_int_equal(get16(h + 4), (uint16_t)(last + 1));
			last = get16(h + 4);
		}
		end();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dscp),
	    cmocka_unit_test(test_ecn_off),
	    cmocka_unit_test(test_df),
	    cmocka_unit_test(test_ttl),
	    cmocka_unit_test(test_flow_label),
	    cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
