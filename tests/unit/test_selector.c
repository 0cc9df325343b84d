/* links: bits_spd */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "selector.h"

static struct ipaddr
ip4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	uint8_t o[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};

	return ipaddr_from(4, o);
}

static struct ipaddr
ip6(unsigned first, unsigned last)
{
	uint8_t o[16] = {(uint8_t)first};

	o[15] = (uint8_t)last;
	return ipaddr_from(6, o);
}

static struct flowkey
key4(uint8_t proto, uint8_t kind, uint16_t lport, uint16_t rport)
{
	struct flowkey k;

	memset(&k, 0, sizeof k);
	k.local = ip4(10, 0, 0, 1);
	k.remote = ip4(10, 0, 0, 2);
	k.proto = proto;
	k.ports = kind;
	k.lport = lport;
	k.rport = rport;
	k.vlan = VLAN_NONE;
	return k;
}

static void
any_takes_all_ip(void **state)
{
	struct selector s;
	struct flowkey k = key4(6, PORTS_PORTS, 1, 2);

	selector_any(&s);
	assert_true(selector_match(&s, &k));
	k.ports = PORTS_OPAQUE;
	k.frag = 1;
	assert_true(selector_match(&s, &k));
	k.opaque = 1;
	assert_true(selector_match(&s, &k));
	k.local = ip6(0xfd, 1);
	k.remote = ip6(0xfd, 2);
	assert_true(selector_match(&s, &k));
	k.vlan = 7;
	assert_true(selector_match(&s, &k));
	k.ect = 1;
	assert_false(selector_match(&s, &k));
}

/* RFC 4301 4.4.1.1: ANY, a range and OPAQUE against what a packet can show. */
static void
ports(void **state)
{
	static const struct {
		uint8_t match;
		uint16_t lo, hi;
		uint8_t kind;
		uint16_t port;
		bool yes;
	} t[] = {
	    {MATCH_ANY, 0, 0, PORTS_PORTS, 80, true},
	    {MATCH_ANY, 0, 0, PORTS_NONE, 0, true},
	    {MATCH_ANY, 0, 0, PORTS_OPAQUE, 0, true},
	    {MATCH_RANGE, 80, 90, PORTS_PORTS, 79, false},
	    {MATCH_RANGE, 80, 90, PORTS_PORTS, 80, true},
	    {MATCH_RANGE, 80, 90, PORTS_PORTS, 90, true},
	    {MATCH_RANGE, 80, 90, PORTS_PORTS, 91, false},
	    {MATCH_RANGE, 0, 0xffff, PORTS_PORTS, 0, true},
	    {MATCH_RANGE, 0, 0xffff, PORTS_PORTS, 0xffff, true},
	    {MATCH_RANGE, 0, 0xffff, PORTS_OPAQUE, 0, false},
	    {MATCH_RANGE, 0, 0xffff, PORTS_NONE, 0, false},
	    {MATCH_OPAQUE, 0, 0xffff, PORTS_OPAQUE, 0, true},
	    {MATCH_OPAQUE, 0, 0xffff, PORTS_PORTS, 0, false},
	    {MATCH_OPAQUE, 0, 0xffff, PORTS_NONE, 0, false},
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		for (int side = 0; side < 2; side++) {
			struct selector s;
			struct flowkey k = key4(17, t[i].kind, 5, 5);

			selector_any(&s);
			s.proto_any = false;
			s.proto = 17;
			if (side == 0) {
				s.lmatch = t[i].match;
				s.lport = (struct portrange){t[i].lo, t[i].hi};
				k.lport = t[i].port;
			} else {
				s.rmatch = t[i].match;
				s.rport = (struct portrange){t[i].lo, t[i].hi};
				k.rport = t[i].port;
			}
			if (selector_match(&s, &k) != t[i].yes)
				fail_msg("row %zu, side %d", i, side);
		}
}

/* Type in the high octet, code in the low one; type 0 can be named; ICMP of the two families do not cross. */
static void
icmp_types(void **state)
{
	struct selector s;
	struct flowkey k = key4(1, PORTS_ICMP, 0 << 8 | 0, 0);

	selector_any(&s);
	s.proto_any = false;
	s.proto = 1;
	s.lmatch = MATCH_RANGE;
	s.lport = (struct portrange){0, 0x00ff};
	assert_true(selector_match(&s, &k));
	k.lport = 8 << 8;
	assert_false(selector_match(&s, &k));
	k.lport = 0x00ff;
	assert_true(selector_match(&s, &k));
	k.lport = 0x0100;
	assert_false(selector_match(&s, &k));
	k.lport = 0;
	k.proto = 58;
	assert_false(selector_match(&s, &k));
	k.proto = 1;
	k.ports = PORTS_OPAQUE;
	assert_false(selector_match(&s, &k));

	/* A port range without a protocol is not about types. */
	k.ports = PORTS_ICMP;
	s.proto_any = true;
	s.lport = (struct portrange){0, 0xffff};
	assert_false(selector_match(&s, &k));
	k.ports = PORTS_PORTS;
	k.proto = 6;
	assert_true(selector_match(&s, &k));
}

static void
protocols(void **state)
{
	struct selector s;
	struct flowkey k = key4(6, PORTS_PORTS, 1, 2);

	selector_any(&s);
	s.proto_any = false;
	s.proto = 6;
	assert_true(selector_match(&s, &k));
	k.proto = 17;
	assert_false(selector_match(&s, &k));
	k.proto = 6;
	k.opaque = 1; /* what is hidden cannot be tcp */
	assert_false(selector_match(&s, &k));

	/* OPAQUE asks for just that, and ANY takes it. */
	s.proto_opaque = true;
	s.proto = 0;
	assert_true(selector_match(&s, &k));
	k.opaque = 0;
	k.proto = 0;
	assert_int_equal(selector_mismatch(&s, &k), SELECTOR_PROTO);
	selector_any(&s);
	k.opaque = 1;
	assert_true(selector_match(&s, &k));
}

static void
addresses(void **state)
{
	struct selector s;
	struct flowkey k = key4(6, PORTS_PORTS, 1, 2);

	selector_any(&s);
	s.local = (struct iprange){ip4(10, 0, 0, 1), ip4(10, 0, 0, 1)};
	s.remote = (struct iprange){ip4(10, 0, 0, 2), ip4(10, 0, 1, 0)};
	assert_true(selector_match(&s, &k));
	k.remote = ip4(10, 0, 1, 0);
	assert_true(selector_match(&s, &k));
	k.remote = ip4(10, 0, 1, 1);
	assert_false(selector_match(&s, &k));
	k.remote = ip4(10, 0, 0, 1);
	assert_false(selector_match(&s, &k));
	k.local = ip6(10, 1);
	k.remote = ip6(10, 2);
	assert_false(selector_match(&s, &k));
}

static void
vlan(void **state)
{
	struct selector s;
	struct flowkey k = key4(6, PORTS_PORTS, 1, 2);

	selector_any(&s);
	s.vlan = 5;
	assert_false(selector_match(&s, &k));
	k.vlan = 5;
	assert_true(selector_match(&s, &k));
	k.vlan = 6;
	assert_false(selector_match(&s, &k));
}

/* A small world, so that "covers" can be held against trying every packet there is in it. */
static uint64_t rnd_state = 0x9e3779b97f4a7c15;

static unsigned
rnd(unsigned n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (unsigned)((rnd_state >> 11) % n);
}

static struct iprange
small_range(void)
{
	unsigned a = rnd(4), b = a + rnd(4 - a);

	switch (rnd(5)) {
	case 0:
	case 1:
		return (struct iprange){{.af = 0}, {.af = 0}};
	case 2:
		return (struct iprange){ip6(0xfd, a), ip6(0xfd, b)};
	default:
		return (struct iprange){ip4(10, 0, 0, a), ip4(10, 0, 0, b)};
	}
}

static struct selector
small_selector(void)
{
	static const uint8_t protos[] = {1, 6, 17};
	struct selector s;

	selector_any(&s);
	s.local = small_range();
	s.remote = small_range();
	s.proto_any = rnd(2);
	s.proto_opaque = !s.proto_any && rnd(4) == 0;
	s.proto = s.proto_any || s.proto_opaque ? 0 : protos[rnd(3)];
	s.lmatch = (uint8_t)rnd(3);
	s.lport.lo = (uint16_t)rnd(3);
	s.lport.hi = (uint16_t)(s.lport.lo + rnd(3));
	s.rmatch = s.proto == 1 ? MATCH_ANY : (uint8_t)rnd(3);
	s.rport.lo = (uint16_t)rnd(3);
	s.rport.hi = (uint16_t)(s.rport.lo + rnd(3));
	s.vlan = rnd(4) ? VLAN_NONE : (uint16_t)rnd(2);
	return s;
}

static struct flowkey
small_key(void)
{
	static const uint8_t protos[] = {1, 6, 17, 47};
	struct flowkey k = key4(protos[rnd(4)], PORTS_NONE, 0, 0);

	if (rnd(2)) {
		k.local = ip6(0xfd, rnd(5));
		k.remote = ip6(0xfd, rnd(5));
	} else {
		k.local = ip4(10, 0, 0, rnd(5));
		k.remote = ip4(10, 0, 0, rnd(5));
	}
	if (rnd(8) == 0)
		k.opaque = 1;
	if (k.opaque || rnd(4) == 0) {
		k.ports = PORTS_OPAQUE;
		k.frag = 1;
	} else if (k.proto == 1) {
		k.ports = PORTS_ICMP;
		k.lport = (uint16_t)rnd(6);
	} else if (k.proto != 47) {
		k.ports = PORTS_PORTS;
		k.lport = (uint16_t)rnd(6);
		k.rport = (uint16_t)rnd(6);
	}
	k.vlan = rnd(2) ? VLAN_NONE : (uint16_t)rnd(3);
	return k;
}

static void
covers_means_every_packet(void **state)
{
	unsigned covered = 0, hits = 0;

	for (int i = 0; i < 200000; i++) {
		struct selector a = small_selector(), b = small_selector();

		if (rnd(2)) { /* near relatives, or covering would be rare */
			b = a;
			if (rnd(2))
				b.local = small_range();
			if (rnd(2))
				b.rport.lo = b.rport.hi;
			if (rnd(3) == 0)
				b.lmatch = (uint8_t)rnd(3);
		}
		if (!selector_covers(&a, &b))
			continue;
		covered++;
		for (int j = 0; j < 20; j++) {
			struct flowkey k = small_key();

			if (!selector_match(&b, &k))
				continue;
			hits++;
			if (!selector_match(&a, &k))
				fail_msg("round %d: covered, and yet a packet matches the inner "
					 "one only",
				    i);
		}
	}
	assert_true(covered > 20000);
	assert_true(hits > 10000);
}

static void
covers(void **state)
{
	struct selector any, v4, half;

	selector_any(&any);
	v4 = any;
	v4.local = (struct iprange){ip4(10, 0, 0, 0), ip4(10, 0, 0, 255)};
	assert_true(selector_covers(&any, &v4));
	assert_false(selector_covers(&v4, &any));
	assert_true(selector_covers(&v4, &v4));
	half = v4;
	half.remote = (struct iprange){ip4(0, 0, 0, 0), ip4(255, 255, 255, 255)};
	assert_true(selector_covers(&half, &v4)); /* v4.remote is any, but of IPv4 only */
	assert_true(selector_covers(&v4, &half));
}

static void
names(void **state)
{
	assert_int_equal(proto_number("tcp"), 6);
	assert_int_equal(proto_number("icmp6"), 58);
	assert_int_equal(proto_number("ipv6-icmp"), 58);
	assert_int_equal(proto_number("TCP"), -1);
	assert_int_equal(proto_number(""), -1);
	assert_null(proto_name(255));
	assert_null(proto_name(6 + 256));
	for (unsigned p = 0; p < 256; p++)
		if (proto_name(p))
			assert_int_equal(proto_number(proto_name(p)), (int)p);
	assert_true(proto_has_ports(132));
	assert_false(proto_has_ports(1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_takes_all_ip),
	    cmocka_unit_test(ports),
	    cmocka_unit_test(icmp_types),
	    cmocka_unit_test(protocols),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(vlan),
	    cmocka_unit_test(covers),
	    cmocka_unit_test(covers_means_every_packet),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
