/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * RFC 4301 6: ICMP errors against the packet they are about, clear and from an SA, from the wire and from the host.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "router.h"
#include "walkbed.h"

#define HOST   "10.0.0.1"
#define PEER   "10.0.0.2"
#define INNER  "10.2.0.1"
#define INNER6 "fd02::1"

/* An error about a UDP packet ${a} port ${ap} -> ${b} port ${bp}; from ${src} to ${dst}. */
static uint32_t
error(uint8_t *f, const char *src, const char *dst, uint8_t type, uint8_t code, const char *a,
    uint16_t ap, const char *b, uint16_t bp)
{
	bool six = strchr(src, ':') != NULL;
	uint32_t hlen = six ? 40 : 20, n;
	uint8_t quoted[200], *m = f + 14 + hlen;

	n = frame_make_udp(quoted, a, b, ap, bp, 0x4000, 20) - 14;
	frame_ether(f, frame_mac_host, frame_mac_peer, six ? ETYPE_IP6 : ETYPE_IP4);
	memset(m, 0, 8);
	m[0] = type;
	m[1] = code;
	memcpy(m + 8, quoted + 14, n);
	if (six) {
		frame_ip6(f + 14, src, dst, IPPROTO_ICMPV6, 8 + n);
		put16(m + 2, cksum_l4(f + 14, IPPROTO_ICMPV6, m, 8 + n));
	} else {
		frame_ip4(f + 14, src, dst, IPPROTO_ICMP, 0, 8 + n);
		put16(m + 2, cksum_fold(cksum_add(0, m, 8 + n)));
	}
	return 14 + hlen + 8 + n;
}

/* Both hosts: UDP to and from port 7 through the SA, UDP port 9 and all ICMP in clear (or no ICMP, for ${icmp} false). */
static void
rules(const struct pair_sa *s, const char *local, const char *remote, bool icmp)
{
	struct host *host[2] = {&pr.a, &pr.b};

	pr.generation++;
	for (int i = 0; i < 2; i++) {
		struct policy *r[3] = {
		    pair_rule(s, 1, local, remote, i), policy_new(), policy_new()};
		struct sa *sa[2] = {pair_sa_new(s, 0x1001, false, i ? SA_DIR_IN : SA_DIR_OUT, 1000),
		    pair_sa_new(s, 0x2001, true, i ? SA_DIR_OUT : SA_DIR_IN, 1000)};
		struct portrange *ports = i ? &r[0]->sel.lport : &r[0]->sel.rport;

		r[0]->sel.proto_any = false;
		r[0]->sel.proto = 17;
		*(i ? &r[0]->sel.lmatch : &r[0]->sel.rmatch) = MATCH_RANGE;
		*ports = (struct portrange){7, 7};
		r[1]->sel.proto_any = false;
		r[1]->sel.proto = 17;
		r[1]->sel.rmatch = MATCH_RANGE;
		r[1]->sel.rport = (struct portrange){9, 9};
		r[2]->sel.proto_any = false;
		r[2]->sel.proto = strchr(local, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		host_policy(host[i], pr.generation, r, icmp ? 3 : 2, sa, 2);
		if (!icmp)
			policy_unref(r[2]);
	}
}

/* Clear, from the wire: an error about what left in clear meets policy; one about what did not, or never left, is made up. */
static void
test_clear(void **state)
{
	static const struct {
		const char *from, *to;
		uint16_t port;
		enum drop why;
	} row[] = {
	    {HOST, PEER, 9, DROP_NONE}, {HOST, PEER, 7, DROP_ICMP_QUOTE}, /* left protected */
	    {HOST, PEER, 8, DROP_ICMP_QUOTE},				  /* does not leave */
	    {PEER, HOST, 9, DROP_NONE}, /* what a's rule says, whoever sent it */
	};
	struct pair_sa s = ESP4;
	uint8_t f[500], got[500];
	uint32_t len;

	rules(&s, HOST, PEER, true);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint64_t before = dropped(&pr.a, DIR_IN, DROP_ICMP_QUOTE);

		len = error(f, "10.9.9.9", HOST, 3, 1, row[i].from, 5555, row[i].to, row[i].port);
		host_receive1(&pr.a, f, len);
		assert_int_equal(edge_mem_take(pr.a.w.upper, got, sizeof got),
		    row[i].why == DROP_NONE ? (int)len : -1);
		assert_int_equal(dropped(&pr.a, DIR_IN, DROP_ICMP_QUOTE) - before,
		    row[i].why == DROP_ICMP_QUOTE);
	}
	/* quoting less than an IP header, or with a wrong checksum */
	len = error(f, "10.9.9.9", HOST, 3, 1, HOST, 5555, PEER, 9);
	f[14 + 28] = 0;
	host_receive1(&pr.a, f, len);
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_ICMP_BAD), 1);
	/* what is no error is not looked into */
	len = error(f, "10.9.9.9", HOST, 8, 0, HOST, 5555, PEER, 7);
	host_receive1(&pr.a, f, len);
	assert_int_equal(edge_mem_take(pr.a.w.upper, got, sizeof got), len);
	/* without a rule for ICMP none passes, whatever it quotes */
	rules(&s, HOST, PEER, false);
	len = error(f, "10.9.9.9", HOST, 3, 1, HOST, 5555, PEER, 9);
	host_receive1(&pr.a, f, len);
	assert_int_equal(edge_mem_take(pr.a.w.upper, got, sizeof got), -1);
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_POLICY_DEFAULT), 1);
}

/* Through an SA: b's host sends an error about a's packet.  No rule takes ICMP, so it goes by the SA of the packet it is about; at a it is held
 * against that too. */
static void
test_through_sa(void **state)
{
	static const struct shape {
		enum ipsec_mode mode;
		const char *local, *remote, *router;
	} shape[] = {
	    {MODE_TRANSPORT, HOST, PEER, PEER},
	    {MODE_TUNNEL, "10.1.0.1", INNER, INNER},
	    {MODE_TUNNEL, "10.1.0.1", INNER, "10.2.0.254"}, /* a router behind the gateway */
	    {MODE_TUNNEL, "fd01::1", INNER6, "fd02::fe"},
	};

	for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
		const struct shape *t = &shape[i];
		struct pair_sa s = {IPSEC_ESP, t->mode, HOST, PEER, "aes-128-gcm"};
		bool six = strchr(t->local, ':') != NULL;
		uint64_t refused = dropped(&pr.b, DIR_OUT, DROP_POLICY_DEFAULT);
		uint8_t f[500], wire[600], got[600];
		uint32_t len;
		int n;

		rules(&s, t->local, t->remote, false);
		len = error(
		    f, t->router, t->local, six ? 1 : 3, six ? 4 : 3, t->local, 5555, t->remote, 7);
		host_send1(&pr.b, f, len);
		n = edge_mem_take(pr.b.w.lower, wire, sizeof wire);
		assert_true(n > 0);
		assert_int_equal(wire[23], 50);
		assert_false(contains(wire, (uint32_t)n, f + len - 16, 16));
		host_receive1(&pr.a, wire, (uint32_t)n);
		assert_int_equal(edge_mem_take(pr.a.w.upper, got, sizeof got), len);
		assert_memory_equal(got + 14, f + 14, len - 14);
		/* about a packet that has no SA: it stays */
		len = error(f, t->router, t->local, six ? 1 : 3, 1, t->local, 5555, t->remote, 8);
		host_send1(&pr.b, f, len);
		/* the other way round: nobody was sent that */
		len = error(f, t->router, t->local, six ? 1 : 3, 1, t->remote, 5555, t->local, 7);
		host_send1(&pr.b, f, len);
		assert_int_equal(edge_mem_take(pr.b.w.lower, wire, sizeof wire), -1);
		assert_int_equal(dropped(&pr.b, DIR_OUT, DROP_POLICY_DEFAULT), refused + 2);
	}
	/* in transport mode the SA's own ends only */
	{
		struct pair_sa s = ESP4;
		uint8_t f[500];

		rules(&s, HOST, PEER, false);
		host_send1(&pr.b, f, error(f, "10.0.0.3", HOST, 3, 3, HOST, 5555, PEER, 7));
		assert_int_equal(edge_mem_take(pr.b.w.lower, f, sizeof f), -1);
	}
}

/* An SA for all between two networks says much, but an error in it must be about what it carries (RFC 4301 6.2). */
static void
test_quote_in_sa(void **state)
{
	struct pair_sa s = {IPSEC_ESP, MODE_TUNNEL, HOST, PEER, "aes-128-gcm"};
	static const struct {
		const char *a, *b;
		bool fits;
	} row[] = {{"10.1.0.1", INNER, true}, {"10.1.0.1", "10.7.0.1", false},
	    {"10.8.0.1", INNER, false}, {INNER, "10.1.0.1", false}};

	pair_protect(&pr, &s, 1, "10.1.0.1", INNER);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t f[500], wire[600], got[600];
		uint64_t before = dropped(&pr.a, DIR_IN, DROP_ICMP_QUOTE);
		uint32_t len = error(f, INNER, "10.1.0.1", 3, 3, row[i].a, 5555, row[i].b, 7);
		int n;

		host_send1(&pr.b, f, len);
		n = edge_mem_take(pr.b.w.lower, wire, sizeof wire);
		assert_true(n > 0);
		host_receive1(&pr.a, wire, (uint32_t)n);
		assert_int_equal(
		    edge_mem_take(pr.a.w.upper, got, sizeof got), row[i].fits ? (int)len : -1);
		assert_int_equal(dropped(&pr.a, DIR_IN, DROP_ICMP_QUOTE) - before, !row[i].fits);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_clear), T(test_through_sa), T(test_quote_in_sa)};

	return walkbed_run("ICMP errors", tests, sizeof tests / sizeof tests[0]);
}
