/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * What a router on the way says about ESP and AH packets: what is believed, for how long, and what the host is told of its own packet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "router.h"
#include "walkbed.h"

static const struct shape {
	enum ipsec_proto proto;
	enum ipsec_mode mode;
	const char *src, *dst, *local, *remote;
	uint16_t encap;
} shapes[] = {
    {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", 0},
    {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", 4500},
    {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1", 0},
    {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1", 4500},
    {IPSEC_ESP, MODE_TUNNEL, "fd00::1", "fd00::2", "10.1.0.1", "10.2.0.1", 0},
    {IPSEC_ESP, MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2", 0},
    {IPSEC_ESP, MODE_TUNNEL, "fd00::1", "fd00::2", "fd01::1", "fd02::1", 0},
    {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "fd01::1", "fd02::1", 0},
    {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", 0},
    {IPSEC_AH, MODE_TUNNEL, "fd00::1", "fd00::2", "fd01::1", "fd02::1", 0},
};
#define NSHAPES (sizeof shapes / sizeof shapes[0])

static void
protect(const struct shape *s)
{
	struct pair_sa sa = {s->proto, s->mode, s->src, s->dst,
	    s->proto == IPSEC_AH ? NULL : "aes-128-gcm",
	    s->proto == IPSEC_AH ? "hmac-sha2-256" : NULL};

	sa.encap = s->encap;
	pair_protect(&pr, &sa, 1, s->local, s->remote);
}

static uint32_t
hlen(const struct shape *s)
{
	return strchr(s->local, ':') ? 48 : 28;
}

/* The host sends an IP packet of ${octets} with DF; what goes to the wire into ${wire}: its length, -1: nothing. */
static int
send_octets(const struct shape *s, uint32_t octets, uint8_t *f, uint8_t *wire)
{
	uint32_t len = frame_make_udp(f, s->local, s->remote, 1, 2, 0x4000, octets - hlen(s));

	host_send1(&pr.a, f, len);
	return edge_mem_take(pr.a.w.lower, wire, 2000);
}

/* The MTU in the ICMP message the host got, which must quote ${f} and come from ${from} (NULL: the packet's destination); 0: it got none. */
static uint32_t
told(const struct shape *s, const uint8_t *f, const char *from)
{
	bool six = strchr(s->local, ':') != NULL;
	uint32_t at = 14 + (six ? 40 : 20);
	struct ipaddr src, want;
	uint8_t got[2000];
	int n = edge_mem_take(pr.a.w.upper, got, sizeof got);

	if (n < 0)
		return 0;
	assert_true((uint32_t)n >= at + 8 + hlen(s));
	assert_int_equal(got[at], six ? ICMP6_TOO_BIG : ICMP4_UNREACH);
	assert_int_equal(got[at + 1], six ? 0 : ICMP4_NEEDFRAG);
	assert_memory_equal(got + at + 8, f + 14, hlen(s));
	src = ipaddr_from(six ? 6 : 4, got + 14 + (six ? 8 : 12));
	assert_int_equal(ipaddr_parse(from ? from : s->remote, &want), 0);
	assert_true(ipaddr_eq(&src, &want));
	return get32(got + at + 4);
}

/* ${m} fits ${path} octets, ${m} + 1 does not, by what really leaves. */
static void
fits(const struct shape *s, uint32_t m, uint32_t path)
{
	uint8_t f[2000], wire[2000];
	int n = send_octets(s, m, f, wire);

	assert_true(n > 0 && (uint32_t)n - 14 <= path);
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(edge_mem_take(pr.b.w.upper, wire, sizeof wire), 14 + m);
	assert_int_equal(send_octets(s, m + 1, f, wire), -1);
	assert_int_equal(told(s, f, NULL), m);
}

/* One error, and the host knows to the octet; whoever it is that quotes little tells less, but is heard. */
static void
test_lowered(void **state)
{
	for (size_t i = 0; i < NSHAPES; i++)
		for (uint32_t quote = 52; quote <= 1280; quote += 1228) {
			const struct shape *s = &shapes[i];
			uint8_t f[2000], wire[2000], icmp[2000];
			bool outer6 = strchr(s->src, ':') != NULL,
			     inner6 = strchr(s->local, ':') != NULL;
			uint32_t m, len;
			int n;

			protect(s);
			n = send_octets(s, 1380, f, wire);
			assert_true(n > 14 + 1380);
			len = router_too_big(icmp, wire, (uint32_t)n, 1370, quote);
			host_receive1(&pr.a, icmp, len);
			m = told(s, f, inner6 != outer6 ? NULL : outer6 ? ROUTER6 : ROUTER4);
			assert_true(m > 1280 && m < 1370);
			assert_int_equal(sadb_at(pr.a.w.gen->sad, 0)->pmtu, 1370);
			fits(s, m, 1370);
			/* another one never makes it grow */
			host_receive1(
			    &pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 1400, quote));
			while (edge_mem_take(pr.a.w.upper, f, sizeof f) >= 0)
				;
			fits(s, m, 1370);
			/* ten minutes later the path may be another */
			pr.a.w.now += PMTU_AGE_MS - 1;
			assert_int_equal(send_octets(s, 1380, f, wire), -1);
			assert_int_equal(told(s, f, NULL), m);
			pr.a.w.now += 1;
			assert_true(send_octets(s, 1380, f, wire) > 14 + 1380);
		}
	assert_true(dropped(&pr.a, DIR_IN, DROP_ICMP_UNSENT) == 0);
}

/* Whatever a router says: 576 octets over IPv4; over IPv6 1280, and packets of that size still pass, cut after protection. */
static void
test_least(void **state)
{
	for (size_t i = 0; i < NSHAPES; i++) {
		const struct shape *s = &shapes[i];
		bool outer6 = strchr(s->src, ':') != NULL, inner6 = strchr(s->local, ':') != NULL;
		uint32_t least = outer6 ? 1280 : 576, m;
		uint8_t f[2000], wire[2000], icmp[2000];
		int n;

		protect(s);
		n = send_octets(s, 1400, f, wire);
		host_receive1(&pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 68, 1280));
		m = told(s, f, inner6 != outer6 ? NULL : outer6 ? ROUTER6 : ROUTER4);
		if (!inner6) {
			assert_true(m < least && m > least - 100);
			fits(s, m, least);
			continue;
		}
		assert_int_equal(m, 1280);
		assert_int_equal(send_octets(s, 1281, f, wire), -1);
		assert_int_equal(told(s, f, NULL), 1280);
		assert_true((n = send_octets(s, 1280, f, wire)) > 0);
		for (unsigned pieces = 0;; n = edge_mem_take(pr.a.w.lower, wire, sizeof wire)) {
			if (n < 0) {
				assert_true(pieces > 1);
				break;
			}
			assert_true((uint32_t)n <= 14 + least);
			host_receive1(&pr.b, wire, (uint32_t)n);
			pieces++;
		}
		assert_int_equal(edge_mem_take(pr.b.w.upper, wire, sizeof wire), 14 + 1280);
		assert_memory_equal(wire + 14, f + 14, 1280);
	}
}

/* A router that is too old to say what fits. */
static void
test_plateau(void **state)
{
	const struct shape *s = &shapes[0];
	uint8_t f[2000], wire[2000], icmp[2000];
	int n;

	protect(s);
	n = send_octets(s, 1464, f, wire);
	assert_int_equal(n, 14 + 1500);
	host_receive1(&pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 0, 28));
	assert_int_equal(sadb_at(pr.a.w.gen->sad, 0)->pmtu, 1492);
	assert_true(told(s, f, ROUTER4) < 1464);
}

/* What who is not on the path can make up. */
static void
test_forged(void **state)
{
	static const struct {
		int at; /* octet of the quoted packet that is changed */
		uint8_t by;
		enum drop why;
	} lie[] = {
	    {20, 1, DROP_ICMP_UNSENT},	  /* SPI */
	    {27, 1, DROP_ICMP_UNSENT},	  /* number: not sent yet */
	    {24, 0x80, DROP_ICMP_UNSENT}, /* number: far away */
	    {15, 1, DROP_ICMP_UNSENT},	  /* source */
	    {19, 1, DROP_ICMP_UNSENT},	  /* destination */
	    {6, 0x01, DROP_ICMP_BAD},	  /* a later fragment says nothing of an SPI */
	    {0, 0x10, DROP_ICMP_BAD},	  /* no IPv4 */
	};
	const struct shape *s = &shapes[0];
	struct sa *sa;
	uint8_t f[2000], wire[2000], icmp[2000];
	uint32_t len;
	int n;

	protect(s);
	sa = sadb_at(pr.a.w.gen->sad, 0);
	n = send_octets(s, 1400, f, wire);
	for (size_t i = 0; i < sizeof lie / sizeof lie[0]; i++) {
		uint64_t before = dropped(&pr.a, DIR_IN, lie[i].why);

		wire[14 + lie[i].at] ^= lie[i].by;
		len = router_says(icmp, wire, (uint32_t)n, 3, 4, 1300, 28);
		wire[14 + lie[i].at] ^= lie[i].by;
		memcpy(icmp + 30, "\x0a\0\0\x01", 4); /* it comes to us all the same */
		put16(icmp + 24, 0);
		put16(icmp + 24, cksum_ip4(icmp + 14, 20));
		host_receive1(&pr.a, icmp, len);
		assert_int_equal(dropped(&pr.a, DIR_IN, lie[i].why), before + 1);
		assert_int_equal(sa->pmtu, 0);
	}
	/* cut short, each length; and a checksum that is wrong */
	for (uint32_t quote = 0; quote < 28; quote++) {
		host_receive1(&pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 1300, quote));
		assert_int_equal(sa->pmtu, 0);
	}
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_ICMP_BAD), 2 + 28);
	len = router_too_big(icmp, wire, (uint32_t)n, 1300, 28);
	icmp[41] ^= 1;
	host_receive1(&pr.a, icmp, len);
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_ICMP_BAD), 2 + 29);
	/* about an SA that has been silent */
	pr.a.w.now += 60001;
	host_receive1(&pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 1300, 28));
	assert_int_equal(sa->pmtu, 0);
	/* about the SA of the other direction: that one sends nothing */
	host_receive1(&pr.a, icmp, len);
	assert_int_equal(edge_mem_take(pr.a.w.upper, icmp, sizeof icmp), -1);
	/* and the true one */
	n = send_octets(s, 1400, f, wire);
	host_receive1(&pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 1300, 28));
	assert_int_equal(sa->pmtu, 1300);
	assert_true(told(s, f, ROUTER4) > 1200);
}

/* A packet that may be cut needs no message to the host: the next one is cut to fit. */
static void
test_no_df(void **state)
{
	for (size_t i = 0; i < 4; i++) {
		const struct shape *s = &shapes[i];
		uint8_t f[2000], wire[2000], icmp[2000];
		uint32_t len, pieces = 0;
		int n;

		protect(s);
		len = frame_make_udp(f, s->local, s->remote, 1, 2, 0, 1300);
		host_send1(&pr.a, f, len);
		n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
		host_receive1(&pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 700, 100));
		assert_int_equal(edge_mem_take(pr.a.w.upper, icmp, sizeof icmp), -1);
		host_send1(&pr.a, f, len);
		for (; (n = edge_mem_take(pr.a.w.lower, wire, sizeof wire)) >= 0; pieces++) {
			assert_true(n <= 14 + 700);
			host_receive1(&pr.b, wire, (uint32_t)n);
		}
		assert_true(pieces >= 2);
		for (pieces = 0; edge_mem_take(pr.b.w.upper, wire, sizeof wire) >= 0; pieces++)
			;
		assert_int_equal(pieces, 1); /* put together again before the host */
	}
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_ICMP_HEARD), 4);
}

/* What else routers say, and what the host is told in transport mode and of a tunnel. */
static void
test_translated(void **state)
{
	static const struct {
		size_t shape;
		uint8_t type, code;
		uint32_t word;
		uint8_t transport[2], tunnel[2]; /* type and code the host is told */
	} row[] = {
	    {0, 11, 0, 0, {11, 0}, {3, 1}}, {0, 3, 1, 0, {3, 1}, {3, 1}},
	    {0, 3, 13, 0, {3, 13}, {3, 1}}, {0, 3, 2, 0, {3, 1}, {3, 1}}, /* the peer has no ESP */
	    {0, 12, 0, 8u << 24, {12, 0}, {3, 1}}, /* the TTL field is the host's own */
	    {0, 12, 0, 24u << 24, {3, 1}, {3, 1}}, /* but the ESP header is not */
	    {5, 3, 0, 0, {3, 0}, {1, 3}}, {5, 1, 0, 0, {1, 0}, {1, 3}},
	    {5, 1, 4, 0, {1, 3}, {1, 3}}, {5, 4, 0, 7, {4, 0}, {1, 3}},
	    {5, 4, 1, 6, {1, 3}, {1, 3}}, /* "unrecognized next header": that was ours */
	};

	for (size_t i = 0; i < 2 * sizeof row / sizeof row[0]; i++) {
		size_t k = i / 2;
		const struct shape *s =
		    &shapes[i % 2 ? row[k].shape + (row[k].shape ? 1 : 2) : row[k].shape];
		const uint8_t *want = i % 2 ? row[k].tunnel : row[k].transport;
		uint8_t f[2000], wire[2000], icmp[2000];
		uint32_t at = row[k].shape ? 54 : 34, len;
		int n;

		protect(s);
		n = send_octets(s, 300, f, wire);
		len =
		    router_says(icmp, wire, (uint32_t)n, row[k].type, row[k].code, row[k].word, 60);
		host_receive1(&pr.a, icmp, len);
		n = edge_mem_take(pr.a.w.upper, wire, sizeof wire);
		assert_int_equal(n, at + 8 + 80);
		assert_memory_equal(wire + at, want, 2);
		assert_memory_equal(wire + at + 8, f + 14, 80);
		assert_memory_equal(wire, icmp, 14);
		/* by the very router, to the host; checksums right, or the walk would not take it for one */
		assert_memory_equal(wire + 14 + (row[k].shape ? 8 : 12),
		    icmp + 14 + (row[k].shape ? 8 : 12), row[k].shape ? 16 : 4);
		{
			struct pkt *p = frame_pkt(pr.a.w.pool, wire, (uint32_t)n);
			struct icmp_error e;

			assert_int_equal(classify(p, DIR_IN), DROP_NONE);
			assert_true(icmp_is_error(p) && icmp_read(p, &e));
			assert_int_equal(e.proto, 17);
			pkt_free(pr.a.w.pool, p);
		}
	}
}

/* RFC 4301 6.1.1: which of them are taken is the administrator's choice, by type and code. */
static void
test_policy(void **state)
{
	for (int set = BUILTIN_BYPASS; set <= BUILTIN_NONE; set++) {
		struct pair_sa s = ESP4;
		enum builtin_set builtins[BUILTIN_MAX] = {0};
		struct policy *r[2] = {
		    pair_rule(&s, 1, "10.0.0.1", "10.0.0.2", false), policy_new()};
		struct sa *sa = pair_sa_new(&s, 0x1001, false, SA_DIR_OUT, pr.a.w.now);
		uint8_t f[2000], wire[2000], icmp[2000];
		uint64_t denied = dropped(&pr.a, DIR_IN, DROP_ICMP_DENIED);
		int n;

		builtins[BUILTIN_ICMP] = (enum builtin_set)set;
		r[1]->dirs = 1 << DIR_IN;
		r[1]->sel.proto_any = false;
		r[1]->sel.proto = IPPROTO_ICMP;
		r[1]->sel.lmatch = MATCH_RANGE;
		r[1]->sel.lport = (struct portrange){0x0304, 0x0304};
		gen_free((struct gen *)pr.a.w.gen);
		pr.a.w.gen = gen_new(++pr.generation, r, 2, builtins, &sa, 1);
		assert_non_null(pr.a.w.gen);
		policy_unref(r[0]);
		policy_unref(r[1]);
		n = send_octets(&shapes[0], 1400, f, wire);
		host_receive1(&pr.a, icmp, router_says(icmp, wire, (uint32_t)n, 11, 0, 0, 28));
		assert_int_equal(
		    edge_mem_take(pr.a.w.upper, icmp, sizeof icmp) > 0, set == BUILTIN_BYPASS);
		host_receive1(&pr.a, icmp, router_too_big(icmp, wire, (uint32_t)n, 1300, 28));
		assert_int_equal(
		    edge_mem_take(pr.a.w.upper, icmp, sizeof icmp) > 0, set != BUILTIN_DENY);
		assert_int_equal(sa->pmtu, set == BUILTIN_DENY ? 0 : 1300);
		assert_int_equal(dropped(&pr.a, DIR_IN, DROP_ICMP_DENIED) - denied,
		    set == BUILTIN_DENY ? 2 : set == BUILTIN_NONE);
		sa_unref(sa);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_lowered), T(test_least), T(test_plateau),
	    T(test_forged), T(test_no_df), T(test_translated), T(test_policy)};

	return walkbed_run("path MTU", tests, sizeof tests / sizeof tests[0]);
}
