/* links: bits_walk bits_base bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "frame.h"

static struct pktpool *pool;

static int
setup(void **state)
{
	pool = pktpool_new(8, PKT_FRAME_MAX);
	return pool ? 0 : -1;
}

static int
teardown(void **state)
{
	pktpool_free(pool);
	return 0;
}

static void
test_udp4(void **state)
{
	uint8_t f[200];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1000, 53, 0, 20);
	struct pkt *p = frame_pkt(pool, f, len);

	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	assert_int_equal(p->af, 4);
	assert_int_equal(p->l3, 14);
	assert_int_equal(p->l4, 34);
	assert_int_equal(p->ins, 34);
	assert_int_equal(p->nh, 23);
	assert_int_equal(p->key.proto, 17);
	assert_int_equal(p->key.ports, PORTS_PORTS);
	assert_int_equal(p->key.lport, 1000);
	assert_int_equal(p->key.rport, 53);
	assert_int_equal(p->key.local.b[3], 1);
	assert_int_equal(p->key.vlan, VLAN_NONE);

	/* the same frame from the wire: local and remote change places */
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_int_equal(p->key.lport, 53);
	assert_int_equal(p->key.local.b[3], 2);
	pkt_free(pool, p);
}

/* frame longer than claimed (link padding), shorter, every cut */
static void
test_trailing_and_cuts(void **state)
{
	uint8_t f[200];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1000, 53, 0, 4);
	struct pkt *p = frame_pkt(pool, f, len);

	memset(pkt_put(p, 14), 0xee, 14);
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_int_equal(p->len, len);
	pkt_free(pool, p);
	for (uint32_t cut = 0; cut < len; cut++) {
		p = frame_pkt(pool, f, cut);
		assert_int_equal(classify(p, DIR_IN), DROP_TRUNCATED);
		pkt_free(pool, p);
	}
	len = frame_make_udp(f, "fd00::1", "fd00::2", 1000, 53, 0, 4);
	for (uint32_t cut = 0; cut < len; cut++) {
		p = frame_pkt(pool, f, cut);
		assert_int_equal(classify(p, DIR_IN), DROP_TRUNCATED);
		pkt_free(pool, p);
	}
}

static void
test_bad_headers(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} bad[] = {{14, 0x44}, {14, 0x55}, {14, 0x65}, {16, 0xff}, {17, 10}, {24, 0x77}};
	uint8_t f[200], g[200];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0, 20);

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct pkt *p;

		memcpy(g, f, len);
		g[bad[i].at] = bad[i].value;
		p = frame_pkt(pool, g, len);
		assert_int_not_equal(classify(p, DIR_IN), DROP_NONE);
		pkt_free(pool, p);
	}
}

static void
test_vlan(void **state)
{
	uint8_t f[200], g[220];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0, 20);
	struct pkt *p;

	memcpy(g, f, 12);
	put16(g + 12, ETYPE_8021AD);
	put16(g + 14, 0x2007);
	put16(g + 16, ETYPE_8021Q);
	put16(g + 18, 9);
	memcpy(g + 20, f + 12, len - 12);
	p = frame_pkt(pool, g, len + 8);
	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	assert_int_equal(p->l3, 22);
	assert_int_equal(p->key.vlan, 7);
	assert_int_equal(p->etype, ETYPE_IP4);
	pkt_free(pool, p);
	p = frame_pkt(pool, g, 16); /* a frame that ends in its tag */
	assert_int_equal(classify(p, DIR_OUT), DROP_TRUNCATED);
	pkt_free(pool, p);
}

static void
test_not_ip(void **state)
{
	uint8_t f[60] = {0};
	struct pkt *p;

	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_ARP);
	p = frame_pkt(pool, f, sizeof f);
	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	assert_int_equal(p->af, 0);
	assert_int_equal(p->key.ect, 1);
	assert_int_equal(p->key.lport, ETYPE_ARP);
	assert_int_equal(p->len, sizeof f);
	pkt_free(pool, p);
}

/* RFC 4303 3.1.1: behind hop-by-hop, routing, fragment; in front of the last destination options */
static void
test_ip6_chain(void **state)
{
	uint8_t f[300] = {0}, *x = f + 54;
	uint32_t l3 = frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP6);
	struct pkt *p;

	x[0] = 60;  /* hop-by-hop -> destination options */
	x[8] = 43;  /* -> routing */
	x[16] = 44; /* -> fragment (atomic) */
	x[24] = 60; /* -> destination options */
	x[32] = 17; /* -> UDP */
	frame_udp(x + 40, 5, 6, 8);
	frame_ip6(f + l3, "fd00::1", "fd00::2", 0, 40 + 16);
	p = frame_pkt(pool, f, l3 + 40 + 40 + 16);
	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	assert_int_equal(p->key.frag, 0);
	assert_int_equal(p->ins, 54 + 32);
	assert_int_equal(p->nh, 54 + 24);
	assert_int_equal(p->l4, 54 + 40);
	assert_int_equal(p->l4nh, 54 + 32);
	assert_int_equal(p->key.proto, 17);
	assert_int_equal(p->key.rport, 6);
	pkt_free(pool, p);
}

static void
test_ip6_chain_hostile(void **state)
{
	uint8_t f[2000] = {0};
	uint32_t l3 = frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP6);
	struct pkt *p;

	/* a hundred destination options headers */
	for (int i = 0; i < 100; i++)
		f[54 + 8 * i] = 60;
	frame_ip6(f + l3, "fd00::1", "fd00::2", 60, 800);
	p = frame_pkt(pool, f, l3 + 840);
	assert_int_equal(classify(p, DIR_IN), DROP_HEADER_CHAIN);
	pkt_free(pool, p);
	/* a length past the packet */
	f[54 + 1] = 255;
	p = frame_pkt(pool, f, l3 + 840);
	assert_int_equal(classify(p, DIR_IN), DROP_HEADER_CHAIN);
	pkt_free(pool, p);
	/* hop-by-hop options that are not in front */
	f[54 + 1] = 0;
	f[54] = 0;
	p = frame_pkt(pool, f, l3 + 840);
	assert_int_equal(classify(p, DIR_IN), DROP_HEADER_CHAIN);
	pkt_free(pool, p);
}

static void
test_fragments(void **state)
{
	uint8_t f[200];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 7, 8, 0x2000, 32);
	struct pkt *p = frame_pkt(pool, f, len);

	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	assert_int_equal(p->key.frag, 1);
	assert_int_equal(p->key.ports, PORTS_PORTS);
	pkt_free(pool, p);
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 7, 8, 0x0005, 32);
	p = frame_pkt(pool, f, len);
	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	assert_int_equal(p->key.frag, 1);
	assert_int_equal(p->key.ports, PORTS_OPAQUE);
	assert_int_equal(p->key.rport, 0);
	pkt_free(pool, p);
}

static void
test_icmp_type(void **state)
{
	uint8_t f[100] = {0};
	uint32_t l3 = frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	struct pkt *p;

	f[34] = 3;
	f[35] = 4;
	p = frame_pkt(pool, f, l3 + frame_ip4(f + l3, "10.0.0.1", "10.0.0.2", 1, 0, 8));
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_int_equal(p->key.ports, PORTS_ICMP);
	assert_int_equal(p->key.lport, 0x0304);
	pkt_free(pool, p);
	/* ICMPv6's number in an IPv4 packet is no ICMPv6 */
	p = frame_pkt(pool, f, l3 + frame_ip4(f + l3, "10.0.0.1", "10.0.0.2", 58, 0, 8));
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_int_equal(p->key.ports, PORTS_NONE);
	pkt_free(pool, p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_udp4),
	    cmocka_unit_test(test_trailing_and_cuts),
	    cmocka_unit_test(test_bad_headers),
	    cmocka_unit_test(test_vlan),
	    cmocka_unit_test(test_not_ip),
	    cmocka_unit_test(test_ip6_chain),
	    cmocka_unit_test(test_ip6_chain_hostile),
	    cmocka_unit_test(test_fragments),
	    cmocka_unit_test(test_icmp_type),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
