/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Groups: an SA is found by destination and SPI (RFC 4301 4.1), so one SPI can stand for a group and for a host at once; broadcast and multicast in
 * clear pass only by a rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "walkbed.h"

static struct policy *
rule(const struct pair_sa *s, const char *local, const char *remote)
{
	struct policy *r = pair_rule(s, 1, local, remote, false);

	r->dirs = 1 << DIR_OUT | 1 << DIR_IN;
	return r;
}

static void
test_group(void **state)
{
	static const struct {
		const char *from, *group, *host;
	} row[] = {{"10.0.0.1", "239.1.1.1", "10.0.0.2"}, {"fd00::1", "ff0e::77", "fd00::2"}};

	for (size_t i = 0; i < 2; i++) {
		/* different keys behind one SPI: the wrong SA would not open it */
		struct pair_sa group = {IPSEC_ESP, MODE_TRANSPORT, row[i].from, row[i].group,
				   "aes-128-gcm"},
			       host = {IPSEC_ESP, MODE_TRANSPORT, row[i].from, row[i].host,
				   "chacha20-poly1305"};
		struct policy *ra[2] = {
		    rule(&group, row[i].from, row[i].group), rule(&host, row[i].from, row[i].host)};
		struct policy *rb[2] = {
		    rule(&group, row[i].group, row[i].from), rule(&host, row[i].host, row[i].from)};
		struct sa *sa[2] = {pair_sa_new(&group, 0x1001, false, SA_DIR_OUT, 1000),
		    pair_sa_new(&host, 0x1001, false, SA_DIR_OUT, 1000)};
		struct sa *sb[2] = {pair_sa_new(&group, 0x1001, false, SA_DIR_IN, 1000),
		    pair_sa_new(&host, 0x1001, false, SA_DIR_IN, 1000)};
		uint8_t f[2000], wire[2000], got[2000];
		uint32_t len;
		int n;

		pr.generation++;
		host_policy(&pr.a, pr.generation, ra, 2, sa, 2);
		host_policy(&pr.b, pr.generation, rb, 2, sb, 2);
		one_way(&pr.a, &pr.b, row[i].from, row[i].group, 100, IPSEC_ESP, true);
		one_way(&pr.a, &pr.b, row[i].from, row[i].host, 100, IPSEC_ESP, true);
		assert_int_equal(sadb_at(pr.b.w.gen->sad, 0)->cin.packets, 1);
		assert_int_equal(sadb_at(pr.b.w.gen->sad, 1)->cin.packets, 1);
		/* the link address of a group stays what the host wrote: only a tunnel has another next hop */
		len = frame_make_udp(f, row[i].from, row[i].group, 1, 2, 0x4000, 50);
		memcpy(f, i ? "\x33\x33\0\0\0\x77" : "\x01\0\x5e\x01\x01\x01", 6);
		host_send1(&pr.a, f, len);
		n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
		assert_true(n > 0);
		assert_memory_equal(wire, f, 6);
		/* over IPv4 nobody is told that a packet for a group is too big (RFC 1122 3.2.2), over IPv6 the sender is (RFC 4443 2.4) */
		len = frame_make_udp(f, row[i].from, row[i].group, 1, 2, 0x4000, 1440);
		host_send1(&pr.a, f, len);
		n = edge_mem_take(pr.a.w.upper, got, sizeof got);
		assert_int_equal(n > 0, i);
		if (n > 0) /* no packet comes from a group */
			assert_int_equal(got[14 + 8], 0xfd);
		assert_int_equal(edge_mem_take(pr.a.w.lower, got, sizeof got), -1);
	}
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_TOO_BIG), 2);
}

static void
test_clear(void **state)
{
	static const char *const to[] = {"255.255.255.255", "10.0.0.255", "239.1.1.1"};
	struct policy *r;
	uint8_t f[200], got[200];

	for (int with = 0; with < 2; with++)
		for (size_t i = 0; i < 3; i++) {
			uint32_t len = frame_make_udp(f, "10.0.0.1", to[i], 1000, 2000, 0, 30);

			memset(f, 0xff, 6);
			r = policy_new();
			pair_range(&r->sel.local, to[i]);
			if (!with)
				r->dirs = 1 << DIR_OUT; /* ... but only for what leaves */
			host_policy(&pr.a, ++pr.generation, &r, 1, NULL, 0);
			host_receive1(&pr.a, f, len);
			assert_int_equal(
			    edge_mem_take(pr.a.w.upper, got, sizeof got), with ? (int)len : -1);
		}
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_POLICY_DEFAULT), 3);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_group), T(test_clear)};

	return walkbed_run("groups", tests, sizeof tests / sizeof tests[0]);
}
