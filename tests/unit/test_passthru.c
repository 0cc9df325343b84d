/* links: bits_edge bits_walk bits_spd bits_sadb */
/*
 * F4: what passes with an empty policy, as a golden list.  Whoever widens a built-in rule has to say so here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "frame.h"
#include "gen.h"
#include "stats.h"

static struct pktpool *pool;
static struct walk w;
static struct stats stats;

static int
set_up(void **state)
{
	pool = pktpool_new(4, 2000);
	w = (struct walk){.pool = pool, .stats = &stats, .running = true, .now = 1};
	w.gen = gen_new(1, NULL, 0, NULL, NULL, 0);
	return pool && w.gen ? 0 : -1;
}

static int
tear_down(void **state)
{
	gen_free((struct gen *)w.gen);
	pktpool_free(pool);
	return 0;
}

/* What becomes of a frame. */
static enum drop
verdict(const uint8_t *f, uint32_t len, enum dir dir)
{
	struct burst b = {.n = 1, .p = {frame_pkt(pool, f, len)}};
	enum drop d;

	classify_burst(&b, dir);
	policy_burst(&w, &b, dir);
	d = b.p[0]->drop;
	if (d == DROP_NONE)
		assert_true(b.p[0]->bypass);
	pkt_free(pool, b.p[0]);
	return d;
}

/* An IPv6 packet with ${hbh}: a hop-by-hop header with a router alert; its next layer's octets are there already. */
static uint32_t
make6(
    uint8_t *f, const char *src, const char *dst, uint8_t next, bool hbh, uint8_t hops, uint32_t n)
{
	static const uint8_t alert[8] = {0, 0, 5, 2, 0, 0, 1, 0};
	uint32_t l3 = frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP6);

	if (hbh) {
		memmove(f + l3 + 48, f + l3 + 40, n);
		memcpy(f + l3 + 40, alert, sizeof alert);
		f[l3 + 40] = next;
		n += 8;
	}
	n = frame_ip6(f + l3, src, dst, hbh ? 0 : next, n);
	f[l3 + 7] = hops;
	return l3 + n;
}

static bool
listed(uint16_t etype, const uint16_t *list, size_t n)
{
	while (n--)
		if (list[n] == etype)
			return true;
	return false;
}

/* Every EtherType passes but those that carry IP in a way nobody looks into. */
static void
ethertypes(void **state)
{
	static const uint16_t no[] = {
	    0x0800, 0x86dd, 0x6558, 0x8847, 0x8848, 0x8864, 0x88e7, 0x894f, 0x9100, 0x9200, 0x9300};
	uint8_t f[64] = {0};

	for (unsigned e = 0; e < 65536; e++)
		for (int dir = 0; dir < 2; dir++) {
			bool passes;

			frame_ether(f, frame_mac_peer, frame_mac_host, (uint16_t)e);
			passes = verdict(f, 60, (enum dir)dir) == DROP_NONE;
			if (passes == listed((uint16_t)e, no, sizeof no / sizeof *no))
				fail_msg(
				    "EtherType %04x %s", e, passes ? "passes" : "does not pass");
		}
}

/* IP behind tags or SNAP is IP. */
static void
wrapped_ip(void **state)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 3, 0, 0, 0};
	static const struct {
		uint16_t etype;
		bool passes;
	} t[] = {{ETYPE_IP4, false}, {ETYPE_IP6, false}, {ETYPE_8021Q, false}, {0x8847, false},
	    {ETYPE_ARP, true}, {0x809b, true}};
	uint8_t f[128], plain[128];
	uint32_t len;
	enum builtin b;
	struct pkt *p;

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		memset(f, 0, sizeof f);
		frame_ether(f, frame_mac_peer, frame_mac_host, 46);
		memcpy(f + 14, snap, sizeof snap);
		put16(f + 20, t[i].etype);
		assert_int_equal(verdict(f, 60, DIR_IN) == DROP_NONE, t[i].passes);
	}
	put16(f + 20, ETYPE_ARP);
	p = frame_pkt(pool, f, 60);
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_true(passthru(p, &b));
	assert_int_equal(b, BUILTIN_ARP);
	pkt_free(pool, p);

	for (unsigned tags = 0; tags < 5; tags++) { /* in clear under any number of tags: never */
		len = frame_make_udp(plain, "10.0.0.1", "10.0.0.2", 1, 2, 0, 8);
		memcpy(f, plain, 12);
		for (unsigned i = 0; i < tags; i++) {
			put16(f + 12 + 4 * i, i % 2 ? ETYPE_8021Q : ETYPE_8021AD);
			put16(f + 14 + 4 * i, (uint16_t)i);
		}
		memcpy(f + 12 + 4 * tags, plain + 12, len - 12);
		assert_int_not_equal(verdict(f, len + 4 * tags, DIR_OUT), DROP_NONE);
		assert_int_not_equal(verdict(f, len + 4 * tags, DIR_IN), DROP_NONE);
	}
}

/* One line for each way of sending ICMPv6 of which some types pass. */
static void
icmp6(void **state)
{
	static const char *const golden[] = {
	    "out fe80::1 hops 1 code 0 alert: 130-132 143-143",
	    "out fe80::1 hops 1 code 1 alert: 130-132 143-143",
	    "out fe80::1 hops 255 code 0 plain: 133-137",
	    "out :: hops 1 code 0 alert: 130-132 143-143",
	    "out :: hops 1 code 1 alert: 130-132 143-143",
	    "out :: hops 255 code 0 plain: 133-137",
	    "out fd00::1 hops 255 code 0 plain: 133-137",
	    "in fe80::1 hops 1 code 0 alert: 130-132 143-143",
	    "in fe80::1 hops 1 code 1 alert: 130-132 143-143",
	    "in fe80::1 hops 255 code 0 plain: 133-137",
	    "in :: hops 1 code 0 alert: 130-132 143-143",
	    "in :: hops 1 code 1 alert: 130-132 143-143",
	    "in :: hops 255 code 0 plain: 133-137",
	    "in fd00::1 hops 255 code 0 plain: 133-137",
	};
	static const char *const src[] = {"fe80::1", "::", "fd00::1"};
	static const uint8_t hops[] = {0, 1, 2, 64, 254, 255};
	size_t at = 0;

	for (int i = 0; i < 2 * 3 * 6 * 2 * 2; i++) {
		int dir = i / 72, s = i / 24 % 3, h = i / 4 % 6, code = i / 2 % 2;
		bool hbh = i % 2;
		char line[200];
		int n = snprintf(line, sizeof line, "%s %s hops %d code %d %s:", dir ? "in" : "out",
		    src[s], hops[h], code, hbh ? "alert" : "plain");
		int start = n, from = -1;

		for (int type = 0; type <= 256; type++) {
			uint8_t f[200] = {0};
			bool passes = false;

			if (type < 256) {
				f[14 + 40] = (uint8_t)type;
				f[14 + 41] = (uint8_t)code;
				passes =
				    verdict(f, make6(f, src[s], "ff02::16", 58, hbh, hops[h], 32),
					(enum dir)dir) == DROP_NONE;
			}
			if (passes && from < 0)
				from = type;
			if (!passes && from >= 0) {
				n += snprintf(
				    line + n, sizeof line - (size_t)n, " %d-%d", from, type - 1);
				from = -1;
			}
		}
		if (n == start)
			continue;
		if (at == sizeof golden / sizeof *golden || strcmp(line, golden[at]) != 0)
			fail_msg("passes, and is not in the list here: %s", line);
		at++;
	}
	assert_int_equal(at, sizeof golden / sizeof *golden);
}

/* Which pairs of ports pass; one of the two at a time goes through all values. */
static void
udp(void **state)
{
	static const struct {
		const char *src, *dst, *passes; /* of an outbound packet; inbound its answer */
		enum builtin b;
	} t[] = {
	    {"0.0.0.0", "255.255.255.255", "68 67", BUILTIN_DHCP},
	    {"10.0.0.9", "10.0.0.1", "68 67", BUILTIN_DHCP},
	    {"fe80::1", "ff02::1:2", "546 547", BUILTIN_DHCP6},
	    {"fe80::1", "fe80::2", "546 547", BUILTIN_DHCP6},
	    {"fd00::1", "ff05::1:3", "546 547", BUILTIN_DHCP6},
	    {"fd00::1", "fd00::2", "", BUILTIN_DHCP6},
	};
	static const uint16_t ends[] = {67, 68, 546, 547};

	for (size_t i = 0; i < 2 * sizeof t / sizeof *t; i++) {
		bool in = i % 2;
		uint8_t f[200];
		uint32_t len = frame_make_udp(f, in ? t[i / 2].dst : t[i / 2].src,
		    in ? t[i / 2].src : t[i / 2].dst, 1, 1, 0, 20);
		struct pkt *p = frame_pkt(pool, f, len);
		char seen[200] = "";

		assert_int_equal(classify(p, in ? DIR_IN : DIR_OUT), DROP_NONE);
		for (unsigned j = 0; j < 8 * 65536; j++) {
			uint16_t end = ends[j / 65536 % 4], port = (uint16_t)j;
			enum builtin b;

			p->key.lport = j / 65536 < 4 ? end : port;
			p->key.rport = j / 65536 < 4 ? port : end;
			if (!passthru(p, &b))
				continue;
			assert_int_equal(b, t[i / 2].b);
			snprintf(seen, sizeof seen, "%d %d", p->key.lport, p->key.rport);
			assert_string_equal(seen, t[i / 2].passes);
		}
		assert_string_equal(seen, t[i / 2].passes);
		pkt_free(pool, p);
	}
}

/* open/matrix: each protocol, both families, unicast and multicast, whole or fragment, options: nothing but the above. */
static void
protocols(void **state)
{
	static const char *const to4[] = {"10.0.0.2", "224.0.0.22", "255.255.255.255"},
				 *const to6[] = {"fd00::2", "ff02::16", "fe80::2"};

	for (unsigned i = 0; i < 256 * 3 * 2 * 3; i++) {
		uint8_t proto = (uint8_t)i, f[200] = {0};
		unsigned to = i / 256 % 3, frag = i / (256 * 3 * 2);
		enum dir dir = i / (256 * 3) % 2 ? DIR_IN : DIR_OUT;
		uint32_t l3 = frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
		static const uint16_t flags[] = {0, 0x2000, 0x0005};

		/* Ports 500 or 4500: IKE needs a rule of its own (RFC 4301 5.2). */
		put16(f + l3 + 20, i % 2 ? 500 : 4500);
		put16(f + l3 + 22, i % 2 ? 500 : 4500);
		assert_int_not_equal(
		    verdict(f, l3 + frame_ip4(f + l3, "10.0.0.1", to4[to], proto, flags[frag], 64),
			dir),
		    DROP_NONE);

		memset(f, 0, sizeof f);
		f[54] =
		    frag
			? 17
			: 135; /* a fragment header with UDP behind; or what looks like ND in any protocol but ICMPv6 */
		put16(f + 56, frag ? 0x0009 : 0);
		put16(f + 62, 546);
		put16(f + 64, 547);
		if (proto == 58 && !frag)
			continue;
		assert_int_not_equal(
		    verdict(
			f, make6(f, "fe80::1", to6[to], frag ? 44 : proto, false, 255, 64), dir),
		    DROP_NONE);
	}
}

/* A fragment is never one of them, though its first octets say so. */
static void
fragments(void **state)
{
	uint8_t f[200] = {0};
	uint32_t len;

	len = frame_make_udp(f, "0.0.0.0", "255.255.255.255", 68, 67, 0, 20);
	assert_int_equal(verdict(f, len, DIR_OUT), DROP_NONE);
	len = frame_make_udp(f, "0.0.0.0", "255.255.255.255", 68, 67, 0x2000, 20);
	assert_int_equal(verdict(f, len, DIR_OUT), DROP_POLICY_DEFAULT);
	len = frame_make_udp(f, "0.0.0.0", "255.255.255.255", 68, 67, 0x0001, 20);
	assert_int_equal(verdict(f, len, DIR_OUT), DROP_POLICY_DEFAULT);

	/* ND in a first, a later and an atomic fragment (RFC 6980: never), and behind a routing header. */
	for (int i = 0; i < 4; i++) {
		static const uint16_t offset[] = {0x0001, 0x0008, 0x0000, 0x0000};

		memset(f, 0, sizeof f);
		f[54] = 58;
		put16(f + 56, offset[i]);
		f[62] = 135;
		len = make6(f, "fe80::1", "fe80::2", i == 3 ? 43 : 44, false, 255, 40);
		assert_int_equal(verdict(f, len, DIR_OUT), DROP_POLICY_DEFAULT);
		assert_int_equal(verdict(f, len, DIR_IN), DROP_POLICY_DEFAULT);
	}
}

/* deny and none: the operator's word counts. */
static void
overridden(void **state)
{
	const struct gen *empty = w.gen;
	struct policy *rule = policy_new();
	enum builtin_set deny[BUILTIN_MAX], none[BUILTIN_MAX];
	uint8_t dhcp[200], arp[64] = {0};
	uint32_t len = frame_make_udp(dhcp, "0.0.0.0", "255.255.255.255", 68, 67, 0, 20);

	frame_ether(arp, frame_mac_peer, frame_mac_host, ETYPE_ARP);
	for (int b = 0; b < BUILTIN_MAX; b++) {
		deny[b] = BUILTIN_DENY;
		none[b] = BUILTIN_NONE;
	}
	w.gen = gen_new(2, &rule, 1, deny, NULL, 0);
	assert_int_equal(verdict(dhcp, len, DIR_OUT), DROP_POLICY_DISCARD);
	assert_int_equal(verdict(arp, 60, DIR_OUT), DROP_POLICY_DISCARD);
	gen_free((struct gen *)w.gen);

	w.gen = gen_new(3, &rule, 1, none, NULL, 0); /* then the rule decides, which is about IP */
	assert_int_equal(verdict(dhcp, len, DIR_OUT), DROP_NONE);
	assert_int_equal(rule->count[DIR_OUT].packets, 1);
	assert_int_equal(verdict(arp, 60, DIR_OUT), DROP_POLICY_DEFAULT);
	gen_free((struct gen *)w.gen);
	w.gen = empty;
	policy_unref(rule);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ethertypes),
	    cmocka_unit_test(wrapped_ip),
	    cmocka_unit_test(icmp6),
	    cmocka_unit_test(udp),
	    cmocka_unit_test(protocols),
	    cmocka_unit_test(fragments),
	    cmocka_unit_test(overridden),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
