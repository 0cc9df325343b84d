/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * RFC 4301 7.2 and 7.3: fragments that meet policy one by one.
 */
#include "walkbed.h"

/* A rule of host b: UDP to its port ${port}. */
static struct policy *
udp(uint16_t port, enum policy_action what)
{
	struct policy *p = policy_new();

	p->sel.proto_any = false;
	p->sel.proto = 17;
	p->sel.lmatch = MATCH_RANGE;
	p->sel.lport = (struct portrange){port, port};
	p->action = (uint8_t)what;
	p->type = what == ACT_BYPASS ? FLOW_BYPASS : FLOW_DENY;
	return p;
}

static struct policy *
checked(uint16_t port)
{
	struct policy *p = udp(port, ACT_BYPASS);

	p->frags = FRAGS_CHECK;
	return p;
}

static struct policy *
opaque(void)
{
	struct policy *p = udp(0, ACT_BYPASS);

	p->sel.lmatch = MATCH_OPAQUE;
	return p;
}

static void
rules(struct policy **r, size_t n)
{
	host_policy(&pr.b, ++pr.generation, r, n, NULL, 0);
}

/* One fragment of a datagram to port ${port} of b; the first holds the ports and ${n} - 8 octets.  Did the host get it? */
static bool
fragment(uint16_t id, uint8_t proto, uint16_t port, uint32_t offset, uint32_t n, bool more)
{
	uint8_t f[2000], got[2000];

	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	memset(f + 34, 0x55, n);
	if (offset == 0 && n >= 4) {
		put16(f + 34, 1000);
		put16(f + 36, port);
	}
	frame_ip4(
	    f + 14, "10.0.0.1", "10.0.0.2", proto, (uint16_t)((more ? 0x2000 : 0) | offset / 8), n);
	put16(f + 18, id);
	put16(f + 24, cksum_ip4(f + 14, 20));
	host_receive1(&pr.b, f, 34 + n);
	return edge_mem_take(pr.b.w.upper, got, sizeof got) == (int)(34 + n);
}

static bool
udp_fragment(uint16_t id, uint16_t port, uint32_t offset, bool more)
{
	return fragment(id, 17, port, offset, 64, more);
}

/* 7.3: as they come, without waiting; what has no first fragment, or one that was not let by, does not pass. */
static void
test_checked(void **state)
{
	struct policy *r[] = {checked(53), udp(54, ACT_DISCARD)};

	rules(r, 2);
	assert_true(udp_fragment(1, 53, 0, true));
	assert_true(udp_fragment(1, 0, 64, true));
	assert_true(udp_fragment(1, 0, 128, false));
	assert_int_equal(reasm_held(pr.b.w.reasm), 0);
	assert_int_equal(pr.b.stats.bypassed[DIR_IN], 3);

	assert_false(udp_fragment(2, 0, 64, true)); /* waits for its first */
	assert_int_equal(reasm_held(pr.b.w.reasm), 1);
	assert_false(udp_fragment(3, 54, 0, true)); /* another rule's: put together first */
	assert_int_equal(reasm_held(pr.b.w.reasm), 2);
	assert_false(udp_fragment(3, 0, 64, false));
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_POLICY_DISCARD), 1);
}

/* The first fragment comes second: the datagram takes the way of the one that waits, and is whole then. */
static void
test_reordered(void **state)
{
	struct policy *r[] = {checked(53)};

	rules(r, 1);
	assert_false(udp_fragment(1, 0, 64, false));
	assert_false(udp_fragment(1, 53, 0, true)); /* (what the host gets is longer) */
	assert_int_equal(reasm_held(pr.b.w.reasm), 0);
	assert_int_equal(pr.b.stats.bypassed[DIR_IN], 1);
}

static void
test_attacks(void **state)
{
	struct policy *r[] = {checked(53), checked(55)};

	rules(r, 2);
	assert_true(udp_fragment(1, 53, 0, true));
	assert_false(udp_fragment(1, 55, 0, true)); /* other ports under the same identification */
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_FRAG_OVERLAP), 1);
	assert_true(udp_fragment(1, 53, 0, true)); /* the same again is only a duplicate */

	/* Once its end went by, the identification may be another datagram's. */
	assert_true(udp_fragment(1, 0, 64, false));
	assert_true(udp_fragment(1, 55, 0, true));

	/* Not even ports, and then what would overwrite TCP's flags. */
	r[0] = checked(80);
	r[0]->sel.proto = 6;
	r[1] = opaque();
	r[1]->sel.proto = 6;
	rules(r, 2);
	assert_true(
	    fragment(2, 6, 80, 0, 2, false)); /* cut short, but no fragment: its ports are OPAQUE */
	assert_false(fragment(2, 6, 80, 0, 2, true));
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_FRAG_BAD), 1);
	assert_true(fragment(3, 6, 80, 0, 24, true));
	assert_false(fragment(3, 6, 0, 8, 24, true));
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_FRAG_BAD), 2);
	assert_true(fragment(3, 6, 0, 24, 24, false));
}

static void
test_timeout(void **state)
{
	struct policy *r[] = {checked(53)};

	rules(r, 1);
	assert_true(udp_fragment(1, 53, 0, true));
	pr.b.w.now += REASM_MS4 - 1;
	assert_true(udp_fragment(1, 0, 64, true));
	pr.b.w.now += 1;
	assert_false(udp_fragment(1, 0, 128, false));
	assert_int_equal(reasm_held(pr.b.w.reasm), 1);
}

/* A flood takes the places of its own kind; what is under way is bounded, and the table still works. */
static void
test_flood(void **state)
{
	struct policy *r[] = {checked(53)};
	unsigned alive = 0;

	rules(r, 1);
	for (unsigned id = 0; id < 60000; id++)
		assert_true(udp_fragment((uint16_t)id, 53, 0, true));
	for (unsigned id = 60000 - 100; id < 60000; id++)
		alive += udp_fragment((uint16_t)id, 0, 64, false);
	assert_int_equal(alive, 100); /* the newest are there */
	assert_false(udp_fragment(1, 0, 64, false));
}

/* 7.2: a rule of its own for what has no ports to see. */
static void
test_opaque_rule(void **state)
{
	struct policy *r[] = {udp(53, ACT_BYPASS), udp(54, ACT_DISCARD), opaque()};

	rules(r, 3);
	assert_true(udp_fragment(1, 53, 0, true));
	assert_true(udp_fragment(1, 0, 64, true));
	assert_true(udp_fragment(2, 0, 64, false)); /* by the rule, whatever its first one was */
	assert_false(udp_fragment(3, 54, 0, true));
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_POLICY_DISCARD), 1);
	assert_false(fragment(4, 17, 53, 0, 2, true)); /* a first one without ports */
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_FRAG_BAD), 1);
	assert_int_equal(reasm_held(pr.b.w.reasm), 0);
}

/* Nobody asks for fragments: all are put together, as ever. */
static void
test_whole(void **state)
{
	struct policy *r[] = {udp(53, ACT_BYPASS)};

	rules(r, 1);
	assert_false(udp_fragment(1, 53, 0, true));
	assert_int_equal(reasm_held(pr.b.w.reasm), 1);
	assert_false(udp_fragment(1, 0, 64, false)); /* (the whole datagram is longer) */
	assert_int_equal(pr.b.stats.bypassed[DIR_IN], 1);
}

/* A tunnel carries the host's fragments one by one, and only with its own ports. */
static void
test_tunnel(void **state)
{
	const struct pair_sa sas[] = {
	    {IPSEC_ESP, MODE_TUNNEL, "192.0.2.1", "192.0.2.2", "aes-128-gcm", NULL}};
	uint8_t f[3000], got[3000];
	struct policy *ra = pair_rule(sas, 1, NULL, NULL, false),
		      *rb = pair_rule(sas, 1, NULL, NULL, true);
	struct sa *sa = pair_sa_new(&sas[0], 0x1001, false, SA_DIR_OUT, 1000),
		  *sb = pair_sa_new(&sas[0], 0x1001, false, SA_DIR_IN, 1000);

	ra->sel.proto_any = rb->sel.proto_any = false;
	ra->sel.proto = rb->sel.proto = 17;
	ra->sel.rmatch = rb->sel.lmatch = MATCH_RANGE;
	ra->sel.rport = rb->sel.lport = (struct portrange){53, 53};
	ra->frags = rb->frags = FRAGS_CHECK;
	host_policy(&pr.a, ++pr.generation, &ra, 1, &sa, 1);
	host_policy(&pr.b, pr.generation, &rb, 1, &sb, 1);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t n = i < 2 ? 1200 : 64;

		frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
		memset(f + 34, 0x77, n);
		put16(f + 36, 53);
		frame_ip4(f + 14, "10.0.0.1", "10.0.0.2", 17,
		    (uint16_t)((i < 2 ? 0x2000 : 0) | 150 * i), n);
		host_send1(&pr.a, f, 34 + n);
		assert_int_equal(pair_wire(&pr.a, &pr.b), 1);
		assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), 34 + n);
		assert_memory_equal(got + 14, f + 14, 20 + n);
	}
	/* The receiver asks for itself: a fragment whose datagram did not begin here is not let by. */
	put16(f + 18, 0x7777);
	put16(f + 24, 0);
	put16(f + 24, cksum_ip4(f + 14, 20));
	host_send1(&pr.a, f, 34 + 64);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 0); /* nor did it here */
	assert_int_equal(reasm_held(pr.a.w.reasm), 1);
}

/* IPv6: the fragment header says what is behind it, and for extension headers that is hidden. */
static void
test_ip6(void **state)
{
	uint8_t f[300], got[300];
	struct policy *hidden = policy_new(), *named = checked(53);
	struct policy *r[] = {named, hidden};

	hidden->sel.proto_any = false;
	hidden->sel.proto_opaque = true;
	rules(r, 2);
	for (unsigned i = 0; i < 4; i++) {
		bool first = i % 2 == 0, options = i >= 2;
		uint32_t at = 54 + 8, n = 8 + 64;

		frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP6);
		frame_ip6(f + 14, "fd00::1", "fd00::2", 44, n);
		memset(f + 54, 0, n);
		f[54] = options ? 60 : 17;
		put16(f + 56, first ? 1 : 64);
		put32(f + 58, 7 + options);
		if (options && first) {
			f[at] = 17; /* destination options of 8 octets: PadN */
			f[at + 2] = 1;
			f[at + 3] = 4;
			at += 8;
		}
		put16(f + at, 1000);
		put16(f + at + 2, 53);
		host_receive1(&pr.b, f, 54 + n);
		if (edge_mem_take(pr.b.w.upper, got, sizeof got) != (int)(54 + n))
			fail_msg("fragment %u did not pass", i);
	}
	assert_int_equal(reasm_held(pr.b.w.reasm), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_checked, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reordered, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_attacks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_opaque_rule, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tunnel, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ip6, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
