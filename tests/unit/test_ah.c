/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * AH's ICV over IPv4 options and IPv6 extension headers (RFC 4302 3.3.3.1, Appendix A), against packets scapy made: the same octets leave,
 * and what arrives is taken when routers did only what they may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "ah.h"
#include "pair.h"

#ifndef BITS_TEST_DATA
#define BITS_TEST_DATA "tests"
#endif
#define LONGEST 400

struct vector {
	char name[64], auth[32];
	uint8_t plain[LONGEST], sealed[LONGEST], arrives[LONGEST]; /* each behind a link header */
	uint32_t nplain, nsealed, narrives;
	bool six;
};

static struct pair pr;

static uint32_t
unhex(const char *text, uint8_t *frame)
{
	uint32_t n = 14;
	unsigned octet;

	for (; sscanf(text, "%2x", &octet) == 1 && n < LONGEST; text += 2)
		frame[n++] = (uint8_t)octet;
	return n;
}

/* Each vector of the file, through ${use}. */
static void
each(void (*use)(const struct vector *v))
{
	static char plain[2 * LONGEST], sealed[2 * LONGEST], arrives[2 * LONGEST],
	    line[8 * LONGEST];
	FILE *in = fopen(BITS_TEST_DATA "/kat/ah_scapy.txt", "r");
	struct vector v;
	int n = 0;

	assert_non_null(in);
	while (fgets(line, sizeof line, in)) {
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%63s %31s %799s %799s %799s", v.name, v.auth, plain,
				     sealed, arrives),
		    5);
		v.six = v.name[0] == '6';
		v.nplain = unhex(plain, v.plain);
		v.nsealed = unhex(sealed, v.sealed);
		v.narrives = unhex(arrives, v.arrives);
		frame_ether(v.plain, frame_mac_peer, frame_mac_host, v.six ? ETYPE_IP6 : ETYPE_IP4);
		frame_ether(
		    v.sealed, frame_mac_peer, frame_mac_host, v.six ? ETYPE_IP6 : ETYPE_IP4);
		frame_ether(
		    v.arrives, frame_mac_peer, frame_mac_host, v.six ? ETYPE_IP6 : ETYPE_IP4);
		use(&v);
		n++;
	}
	fclose(in);
	assert_int_equal(n, 46);
}

static void
begin(const struct vector *v)
{
	struct pair_sa s = {IPSEC_AH, MODE_TRANSPORT, v->six ? "fd00::1" : "10.0.0.1",
	    v->six ? "fd00::2" : "10.0.0.2", NULL, v->auth};

	pair_init(&pr);
	pair_protect(&pr, &s, 1, s.src, s.dst);
}

static void
end(void)
{
	host_balance(&pr.a);
	host_balance(&pr.b);
	pair_fini(&pr);
}

static void
seal(const struct vector *v)
{
	struct pkt *p;
	struct sa *sa;

	begin(v);
	sa = sadb_at(pr.a.w.gen->sad, 0);
	p = frame_pkt(pr.a.w.pool, v->plain, v->nplain);
	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	sa->seal(sa, &p, 1, &pr.a.w);
	if (p->drop != DROP_NONE || p->len != v->nsealed ||
	    memcmp(pkt_data(p), v->sealed, v->nsealed) != 0)
		fail_msg(
		    "%s %s: other octets than scapy's (%s)", v->name, v->auth, drop_name(p->drop));
	pkt_free(pr.a.w.pool, p);
	end();
}

static void
test_seal(void **state)
{
	each(seal);
}

/* What the host gets is what arrived but for AH: the headers as they are, the octet that names AH mended, lengths and checksum. */
static void
opened(const struct vector *v)
{
	uint8_t got[LONGEST];
	uint32_t gone = v->nsealed - v->nplain, front;
	int n;

	begin(v);
	host_receive1(&pr.b, v->arrives, v->narrives);
	n = edge_mem_take(pr.b.w.upper, got, sizeof got);
	if (n != (int)(v->narrives - gone))
		fail_msg("%s %s: not taken", v->name, v->auth);
	/* in front of AH: addresses and options as they arrived */
	front = 14 + (v->six ? 40 : (v->arrives[14] & 0xfu) * 4);
	assert_memory_equal(got + 14 + (v->six ? 8 : 12), v->arrives + 14 + (v->six ? 8 : 12),
	    front - 14 - (v->six ? 8 : 12));
	/* behind the headers: UDP as it was */
	assert_memory_equal(got + n - 28, v->plain + v->nplain - 28, 28);
	assert_int_equal(got[21], v->arrives[21]); /* hop limit, or IPv4 flags: as they arrived */
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 1);
	if (!v->six)
		assert_int_equal(cksum_ip4(got + 14, (got[14] & 0xfu) * 4), get16(got + 24));
	end();
}

static void
test_open(void **state)
{
	each(opened);
}

/* What only looks as if a router had done it: one bit anywhere in AH or behind it. */
static void
forged(const struct vector *v)
{
	uint8_t f[LONGEST];
	uint32_t from = v->narrives - 28 - (v->nsealed - v->nplain);

	begin(v);
	for (uint32_t i = from; i < v->narrives; i++) {
		uint64_t before = pr.b.stats.protected_[DIR_IN];

		memcpy(f, v->arrives, v->narrives);
		f[i] ^= (uint8_t)(1u << (i & 7));
		host_receive1(&pr.b, f, v->narrives);
		if (pr.b.stats.protected_[DIR_IN] != before)
			fail_msg("%s %s: octet %u does not matter", v->name, v->auth, i - 14);
	}
	end();
}

static void
test_forged(void **state)
{
	each(forged);
}

/* One octet of a header that arrived, and whether it may be another (RFC 4302 3.3.3.1.1, A1, A2). */
static void
test_mutable(void **state)
{
	static const struct {
		const char *name;
		uint32_t octet;
		bool may;
	} octet[] = {
	    {"4-plain", 1, true},      /* DSCP and ECN */
	    {"4-plain", 4, false},     /* identification */
	    {"4-plain", 6, true},      /* DF (bit 6 below) */
	    {"4-plain", 8, true},      /* TTL */
	    {"4-plain", 12, false},    /* source */
	    {"4-security", 22, false}, /* security: its data */
	    {"4-cipso", 25, false},
	    {"4-router-alert", 22, false},
	    {"4-extended-security", 22, false},
	    {"4-directed-multi-destination", 24, false},
	    {"4-record-route", 24, true},
	    {"4-timestamp", 25, true},
	    {"4-unknown", 23, true},
	    {"4-loose-route", 24, true},
	    {"4-strict-route", 24, true},
	    {"6-may-change", 1, true}, /* class, flow label */
	    {"6-may-change", 3, true},
	    {"6-may-change", 7, true},	 /* hop limit */
	    {"6-may-change", 8, false},	 /* source */
	    {"6-may-change", 44, true},	 /* an option's data, change bit set */
	    {"6-may-change", 42, false}, /* its type: bit 1 of it is none that says what it is */
	    {"6-may-not-change", 44, false},
	    {"6-route", 44, false}, /* reserved */
	    {"6-route", 60, false}, /* an address of it */
	    {"6-destination-and-route", 44, true},
	};
	char line[8 * LONGEST], name[64], auth[32], plain[2 * LONGEST], sealed[2 * LONGEST],
	    arrives[2 * LONGEST];
	unsigned tried = 0;

	for (size_t i = 0; i < sizeof octet / sizeof *octet; i++) {
		FILE *in = fopen(BITS_TEST_DATA "/kat/ah_scapy.txt", "r");
		struct vector v;

		assert_non_null(in);
		while (fgets(line, sizeof line, in)) {
			uint8_t *ip = v.arrives + 14;

			if (sscanf(line, "%63s %31s %799s %799s %799s", name, auth, plain, sealed,
				arrives) != 5 ||
			    strcmp(name, octet[i].name) != 0 || strcmp(auth, "hmac-sha1") != 0)
				continue;
			strcpy(v.name, name);
			strcpy(v.auth, auth);
			v.six = name[0] == '6';
			v.narrives = unhex(arrives, v.arrives);
			frame_ether(v.arrives, frame_mac_peer, frame_mac_host,
			    v.six ? ETYPE_IP6 : ETYPE_IP4);
			ip[octet[i].octet] ^= octet[i].octet == 6 ? 0x40 : 0x02;
			if (!v.six)
				put16(ip + 10, cksum_ip4(ip, (ip[0] & 0xfu) * 4));
			begin(&v);
			host_receive1(&pr.b, v.arrives, v.narrives);
			/* with another source the ICV is right or not, and the SA's rule is not met */
			if (octet[i].may ? pr.b.stats.protected_[DIR_IN] != 1
					 : pr.b.stats.drop[DIR_IN][DROP_AUTH_FAILED] != 1)
				fail_msg("%s: octet %u", octet[i].name, octet[i].octet);
			end();
			tried++;
		}
		fclose(in);
	}
	assert_int_equal(tried, sizeof octet / sizeof *octet);
}

/* RFC 4302 3.3.3.2.1: padding behind the ICV counts, whatever the sender puts there (Linux and we: zeros). */
static void
test_padding(void **state)
{
	struct pair_sa s = {IPSEC_AH, MODE_TRANSPORT, "fd00::1", "fd00::2", NULL, "hmac-sha2-256"};
	uint8_t f[2000], wire[2000];
	struct ah_cover cover;
	struct crypto_mac_job j;
	struct sa *sa;
	struct pkt *p;
	int n;

	pair_init(&pr);
	pair_protect(&pr, &s, 1, s.src, s.dst);
	host_send1(&pr.a, f, frame_make_udp(f, s.src, s.dst, 1, 2, 0, 30));
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_int_equal(wire[14 + 40 + 1], (12 + 16 + 4) / 4 - 2);
	assert_int_equal(get32(wire + 14 + 40 + 28), 0);
	/* padding changed on the way */
	wire[14 + 40 + 30] ^= 1;
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(pr.b.stats.drop[DIR_IN][DROP_AUTH_FAILED], 1);
	/* padding of the sender's choice */
	put32(wire + 14 + 40 + 28, 0xdeadbeef);
	memset(wire + 14 + 40 + 12, 0, 16);
	sa = sadb_at(pr.a.w.gen->sad, 0);
	p = frame_pkt(pr.a.w.pool, wire, (uint32_t)n);
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_int_equal(ah_cover(&cover, &j, p, p->l4, sa->out, 0), DROP_NONE);
	crypto_mac(sa->out, &j, 1);
	memcpy(wire + 14 + 40 + 12, j.icv, 16);
	pkt_free(pr.a.w.pool, p);
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 1);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_seal),
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_forged),
	    cmocka_unit_test(test_mutable),
	    cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
