/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "pair.h"

#define ESP4                                                                                       \
	{                                                                                          \
		IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL             \
	}

static struct pair pr;

static int
setup(void **state)
{
	memset(&pr, 0, sizeof pr);
	pair_init(&pr);
	return 0;
}

static int
teardown(void **state)
{
	host_balance(&pr.a);
	host_balance(&pr.b);
	pair_fini(&pr);
	return 0;
}

static const struct pair_sa esp4 = ESP4;

static uint64_t
dropped(const struct host *h, enum dir dir, enum drop why)
{
	return h->stats.drop[dir][why];
}

/* Is ${needle} anywhere in ${hay}? */
static bool
contains(const uint8_t *hay, uint32_t n, const uint8_t *needle, uint32_t m)
{
	return memmem(hay, n, needle, m) != NULL;
}

/* One UDP packet a -> b of ${n} octets: what the wire sees is protected, what b's host gets is what a's sent. */
static void
one_way(struct host *from, struct host *to, const char *src, const char *dst, uint32_t n,
    uint8_t proto, bool secret)
{
	uint8_t f[2000], wire[2000], got[2000];
	uint32_t len = frame_make_udp(f, src, dst, 1111, 2222, 0x4000, n);
	uint32_t iplen = len - 14;
	int w, g;

	host_send1(from, f, len);
	w = edge_mem_take(from->w.lower, wire, sizeof wire);
	assert_true(w > (int)len);
	assert_int_equal(edge_mem_take(from->w.lower, got, sizeof got), -1);
	assert_int_equal(get16(wire + 12) == ETYPE_IP4 ? wire[14 + 9] : wire[14 + 6], proto);
	if (n >= 16 && secret)
		assert_false(contains(wire, (uint32_t)w, f + len - 16, 16));
	host_receive1(to, wire, (uint32_t)w);
	g = edge_mem_take(to->w.upper, got, sizeof got);
	assert_int_equal(g, len);
	assert_memory_equal(got + 14, f + 14, iplen);
	assert_int_equal(get16(got + 12), get16(f + 12));
}

static void
both_ways_proto(
    const struct pair_sa *sas, unsigned steps, const char *local, const char *remote, uint8_t proto)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 15, 16, 17, 100, 1000, 1200};
	bool secret = false;

	for (unsigned i = 0; i < steps; i++)
		secret |=
		    sas[i].enc && strcmp(sas[i].enc, "null") != 0 && !strstr(sas[i].enc, "gmac");

	pair_protect(&pr, sas, steps, local, remote);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		one_way(&pr.a, &pr.b, local, remote, sizes[i], proto, secret);
		one_way(&pr.b, &pr.a, remote, local, sizes[i], proto, secret);
	}
}

static void
both_ways(const struct pair_sa *sas, unsigned steps, const char *local, const char *remote)
{
	both_ways_proto(sas, steps, local, remote, (uint8_t)sas[steps - 1].proto);
}

/* Every transform in both modes and each mixture of families. */
static void
test_matrix(void **state)
{
	static const struct {
		enum ipsec_proto proto;
		const char *enc, *auth;
		uint32_t keylen;
	} alg[] = {
	    {IPSEC_ESP, "aes-128-gcm", NULL, 0},
	    {IPSEC_ESP, "aes-256-gcm", NULL, 0},
	    {IPSEC_ESP, "aes-128-gcm-8", NULL, 0},
	    {IPSEC_ESP, "aes-128-ccm", NULL, 0},
	    {IPSEC_ESP, "chacha20-poly1305", NULL, 0},
	    {IPSEC_ESP, "aes-128-gmac", NULL, 0},
	    {IPSEC_ESP, "aes", "hmac-sha2-256", 16},
	    {IPSEC_ESP, "aes-256", "hmac-sha2-512", 0},
	    {IPSEC_ESP, "3des", "hmac-sha1", 0},
	    {IPSEC_ESP, "aes-128-ctr", "hmac-sha2-384", 0},
	    {IPSEC_ESP, "null", "hmac-sha2-256", 0},
	    {IPSEC_ESP, "aes-128", "aes-xcbc", 0},
	    {IPSEC_ESP, "aes-128", "aes-cmac", 0},
	    {IPSEC_ESP, "aes-128", "hmac-md5", 0},
	    {IPSEC_AH, NULL, "hmac-sha2-256", 0},
	    {IPSEC_AH, NULL, "hmac-sha1", 0},
	    {IPSEC_AH, NULL, "hmac-sha2-512", 0},
	    {IPSEC_AH, NULL, "aes-xcbc", 0},
	    {IPSEC_AH, NULL, "aes-cmac", 0},
	    {IPSEC_AH, NULL, "aes-128-gmac", 0},
	};
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TUNNEL, "fd00::1", "fd00::2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "fd01::1", "fd02::1"},
	    {MODE_TUNNEL, "fd00::1", "fd00::2", "fd01::1", "fd02::1"},
	};

	for (size_t i = 0; i < sizeof alg / sizeof alg[0]; i++)
		for (size_t k = 0; k < sizeof shape / sizeof shape[0]; k++)
			for (int esn = 0; esn < 2; esn++) {
				struct pair_sa s = {alg[i].proto, shape[k].mode, shape[k].src,
				    shape[k].dst, alg[i].enc, alg[i].auth, alg[i].keylen, esn};

				both_ways(&s, 1, shape[k].local, shape[k].remote);
			}
}

/* RFC 4301 4.5's nested protection: order as configured, and demanded inbound. */
static void
test_bundles(void **state)
{
	struct pair_sa ah_over_esp[] = {
	    ESP4, {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"}};
	struct pair_sa esp_over_ah[] = {
	    {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"}, ESP4};
	struct pair_sa four[] = {
	    {IPSEC_ESP, MODE_TRANSPORT, "10.1.0.1", "10.2.0.1", "aes-128-gcm", NULL},
	    {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes", "hmac-sha2-256"},
	    {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"},
	    {IPSEC_ESP, MODE_TUNNEL, "fd00::1", "fd00::2", "chacha20-poly1305", NULL},
	};
	uint8_t f[500], wire[2000];
	uint32_t len;
	int n;

	both_ways(ah_over_esp, 2, "10.0.0.1", "10.0.0.2");
	both_ways(esp_over_ah, 2, "10.0.0.1", "10.0.0.2");
	both_ways(four, 4, "10.1.0.1", "10.2.0.1");

	/* b wants AH over ESP, a sends ESP alone: opened, and refused */
	pair_protect(&pr, ah_over_esp, 2, "10.0.0.1", "10.0.0.2");
	{
		struct policy *r = pair_rule(ah_over_esp, 1, "10.0.0.1", "10.0.0.2", false);
		struct sa *sa = pair_sa_new(&ah_over_esp[0], 0x1001, false, SA_DIR_OUT, 1000);

		host_policy(&pr.a, ++pr.generation, &r, 1, &sa, 1);
	}
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 50);
	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_true(n > 0);
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_SELECTOR_MISMATCH), 1);
}

/* A sealed packet from a, for those who want to do something to it. */
static uint32_t
sealed(uint8_t *wire, uint32_t n)
{
	uint8_t f[2000];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1111, 2222, 0x4000, n);
	int got;

	host_send1(&pr.a, f, len);
	got = edge_mem_take(pr.a.w.lower, wire, 2000);
	assert_true(got > 0);
	return (uint32_t)got;
}

static void
test_replayed(void **state)
{
	uint8_t wire[2000];
	uint32_t n;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	n = sealed(wire, 50);
	host_receive1(&pr.b, wire, n);
	host_receive1(&pr.b, wire, n);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_REPLAY_DUP), 1);
	for (int i = 0; i < 100; i++) {
		uint8_t other[2000];

		host_receive1(&pr.b, other, sealed(other, 50));
	}
	host_receive1(&pr.b, wire, n);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_REPLAY_OLD), 1);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 101);
}

/* Each bit of an ESP packet, flipped: dropped, and neither window nor counters move; then the true one is taken. */
static void
test_bit_flips(void **state)
{
	uint8_t wire[2000], bad[2000];
	uint32_t n;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	n = sealed(wire, 20);
	for (uint32_t bit = 34 * 8; bit < n * 8; bit++) {
		memcpy(bad, wire, n);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		host_receive1(&pr.b, bad, n);
	}
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 0);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_UNKNOWN_SPI), 32);
	/* a flipped number is never 0 here but once: 1 -> 0 */
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_REPLAY_OLD), 1);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_AUTH_FAILED), (n - 34) * 8 - 33);
	host_receive1(&pr.b, wire, n);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 1);
}

/* reliability P1: every length, for every kind of algorithm */
static void
test_runts(void **state)
{
	static const char *const enc[] = {
	    "aes-128-gcm", "aes", "null", "aes-128-ctr", "chacha20-poly1305"};

	for (size_t a = 0; a < sizeof enc / sizeof enc[0]; a++) {
		struct pair_sa s = esp4;
		uint8_t wire[2000], bad[2000];
		uint32_t n;

		s.enc = enc[a];
		s.auth = alg_enc(enc[a])->aead ? NULL : "hmac-sha2-256";
		s.keylen = strcmp(enc[a], "aes") == 0 ? 16 : 0;
		pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
		n = sealed(wire, 40);
		for (uint32_t cut = 34; cut < n; cut++) {
			uint64_t before = pr.b.stats.protected_[DIR_IN];

			memcpy(bad, wire, cut);
			put16(bad + 16, (uint16_t)(cut - 14));
			put16(bad + 24, cksum_ip4(bad + 14, 20));
			host_receive1(&pr.b, bad, cut);
			assert_int_equal(pr.b.stats.protected_[DIR_IN], before);
		}
		host_receive1(&pr.b, wire, n);
	}
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 5);
	assert_true(
	    dropped(&pr.b, DIR_IN, DROP_RUNT) > 0 && dropped(&pr.b, DIR_IN, DROP_BAD_LENGTH) > 0);
}

static void
test_clear_and_unknown(void **state)
{
	uint8_t f[500], wire[2000];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0, 30), n;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_CLEAR_DENIED), 1);
	len = frame_make_udp(f, "10.0.0.9", "10.0.0.2", 1, 2, 0, 30);
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_POLICY_DEFAULT), 1);
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.9", 1, 2, 0, 30);
	host_send1(&pr.a, f, len);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_POLICY_DEFAULT), 1);
	n = sealed(wire, 10);
	put32(wire + 34, 0x7777);
	host_receive1(&pr.b, wire, n);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_UNKNOWN_SPI), 1);
	assert_int_equal(pr.b.stats.sent[DIR_IN].packets, 0);
}

/* a catch-all bypass does not let ESP with an unknown SPI reach the host's stack; a rule that names ESP does */
static void
test_unknown_spi_bypass(void **state)
{
	uint8_t f[500] = {0};
	uint32_t len = 14 + frame_ip4(f + 14, "10.0.0.1", "10.0.0.2", 50, 0, 60);
	struct policy *r = policy_new();

	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	put32(f + 34, 0x5555);
	host_policy(&pr.b, 1, &r, 1, NULL, 0);
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_UNKNOWN_SPI), 1);
	r = policy_new();
	r->sel.proto_any = false;
	r->sel.proto = 50;
	host_policy(&pr.b, 2, &r, 1, NULL, 0);
	host_receive1(&pr.b, f, len);
	assert_int_equal(pr.b.stats.bypassed[DIR_IN], 1);
}

/* RFC 4301 5.2: right SA, wrong packet inside */
static void
test_selectors_after(void **state)
{
	struct pair_sa t = {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL};
	struct policy *r;
	struct sa *sa;
	uint8_t f[500];
	uint32_t len;

	pair_protect(&pr, &t, 1, "10.1.0.1", "10.2.0.1");
	/* a's operator widens its own rule; b's does not */
	r = pair_rule(&t, 1, "10.0.0.0/8", "10.0.0.0/8", false);
	sa = pair_sa_new(&t, 0x1001, false, SA_DIR_OUT, 1000);
	host_policy(&pr.a, ++pr.generation, &r, 1, &sa, 1);
	len = frame_make_udp(f, "10.7.7.7", "10.2.0.1", 1, 2, 0, 30);
	host_send1(&pr.a, f, len);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 1);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_SELECTOR_MISMATCH), 1);
	len = frame_make_udp(f, "10.1.0.1", "10.2.0.1", 1, 2, 0, 30);
	host_send1(&pr.a, f, len);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 1);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 1);
}

static void
test_not_running(void **state)
{
	uint8_t f[500], wire[2000];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0, 30), n;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	n = sealed(wire, 20);
	pr.a.w.running = pr.b.w.running = false;
	host_send1(&pr.a, f, len);
	host_receive1(&pr.b, wire, n);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_NOT_RUNNING), 1);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_NOT_RUNNING), 1);
	assert_int_equal(pr.b.stats.sent[DIR_IN].packets, 0);
}

/* A burst that runs into the end of the numbers, or into a hard limit, stops in its middle. */
static void
test_hard_stop(void **state)
{
	static uint8_t f[500];
	const uint8_t *frame[10];
	uint32_t len[10], n = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 30);
	struct pair_sa limited = esp4;
	struct event ev;
	struct sa *sa;
	int hard = 0, soft = 0;

	for (int i = 0; i < 10; i++) {
		frame[i] = f;
		len[i] = n;
	}
	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	sa = sadb_at(pr.a.w.gen->sad, 0);
	sa->seq.next = UINT32_MAX - 3;
	host_send(&pr.a, frame, len, 10);
	assert_int_equal(pr.a.stats.sent[DIR_OUT].packets, 4);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_SEQ_EXHAUSTED), 1);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_SA_EXPIRED), 5);
	while (events_pop(pr.a.w.events, &ev))
		hard += ev.kind == EV_SA_HARD;
	assert_int_equal(hard, 1);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 4);

	limited.soft.packets = 3;
	limited.hard.packets = 7;
	pair_protect(&pr, &limited, 1, "10.0.0.1", "10.0.0.2");
	host_send(&pr.a, frame, len, 10);
	assert_int_equal(pr.a.stats.sent[DIR_OUT].packets, 4 + 7);
	hard = 0;
	while (events_pop(pr.a.w.events, &ev)) {
		hard += ev.kind == EV_SA_HARD;
		soft += ev.kind == EV_SA_SOFT;
	}
	assert_int_equal(hard, 1);
	assert_int_equal(soft, 1);

	limited = esp4;
	limited.hard.ms = 5000;
	pair_protect(&pr, &limited, 1, "10.0.0.1", "10.0.0.2");
	host_send1(&pr.a, f, n);
	pr.a.w.now += 5000;
	host_send1(&pr.a, f, n);
	assert_int_equal(pr.a.stats.sent[DIR_OUT].packets, 4 + 7 + 1);
}

/* ESN: a burst that straddles 2^32 (RFC 4303 A2) */
static void
test_esn_wrap(void **state)
{
	static uint8_t f[500];
	const uint8_t *frame[10];
	uint32_t len[10], n = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 30);
	struct pair_sa s = esp4;

	for (int i = 0; i < 10; i++) {
		frame[i] = f;
		len[i] = n;
	}
	s.esn = true;
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	sadb_at(pr.a.w.gen->sad, 0)->seq.next = 0xfffffffau;
	sadb_at(pr.b.w.gen->sad, 0)->replay.top = 0xfffffff0u;
	host_send(&pr.a, frame, len, 10);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 10);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 10);
	assert_true(sadb_at(pr.b.w.gen->sad, 0)->replay.top == 0x100000003u);
}

/* DF set: the host is told what fits, to the octet; what it then sends goes through, one octet more does not. */
static void
test_too_big(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2"},
	    {MODE_TUNNEL, "fd00::1", "fd00::2", "fd01::1", "fd02::1"},
	};
	static const char *const enc[] = {"aes-128-gcm", "aes-256"};

	for (size_t i = 0; i < 8; i++) {
		struct pair_sa s = {IPSEC_ESP, shape[i / 2].mode, shape[i / 2].src,
		    shape[i / 2].dst, enc[i % 2], i % 2 ? "hmac-sha2-512" : NULL};
		bool six = shape[i / 2].local[0] == 'f';
		uint32_t hlen = six ? 48 : 28, len, mtu;
		uint8_t f[2000], got[2000];
		int n;

		pair_protect(&pr, &s, 1, shape[i / 2].local, shape[i / 2].remote);
		len = frame_make_udp(
		    f, shape[i / 2].local, shape[i / 2].remote, 1, 2, 0x4000, 1500 - hlen);
		host_send1(&pr.a, f, len);
		n = edge_mem_take(pr.a.w.upper, got, sizeof got);
		assert_true(n > 14 + 28);
		mtu = six ? get32(got + 14 + 40 + 4) : get16(got + 14 + 20 + 6);
		assert_true(mtu > 1300 && mtu < 1480);
		assert_int_equal(got[14 + (six ? 40 : 20)], six ? 2 : 3);
		assert_memory_equal(got, f + 6, 6);
		assert_int_equal(edge_mem_take(pr.a.w.lower, got, sizeof got), -1);

		one_way(
		    &pr.a, &pr.b, shape[i / 2].local, shape[i / 2].remote, mtu - hlen, 50, true);
		len = frame_make_udp(
		    f, shape[i / 2].local, shape[i / 2].remote, 1, 2, 0x4000, mtu - hlen + 1);
		host_send1(&pr.a, f, len);
		assert_int_equal(edge_mem_take(pr.a.w.lower, got, sizeof got), -1);
		while (edge_mem_take(pr.a.w.upper, got, sizeof got) >= 0)
			;
	}
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_TOO_BIG), 16);
}

static void
give_pieces(struct walk *w, struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		host_send1(&pr.a, pkt_data(b->p[i]), b->p[i]->len);
		pkt_free(w->pool, b->p[i]);
	}
}

/* What a's stack does with a datagram above its MTU; b's pool lends the slots, its counters are left alone. */
static void
host_cuts(const uint8_t *f, uint32_t len, uint32_t mtu)
{
	struct stats unused = {0};
	struct walk cutter = {.pool = pr.b.w.pool, .rng = pr.b.w.rng, .stats = &unused};
	struct emit e = {.w = &cutter, .rest = give_pieces};
	struct pkt *p = frame_pkt(cutter.pool, f, len);

	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	frag_split(&cutter, p, mtu, &e, DIR_OUT);
	emit_end(&e);
}

/* Without DF, and whatever the host cut itself, everything arrives whole: 65507 octets of UDP too. */
static void
test_fragments(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "fd01::1", "fd02::1"},
	};
	static const struct {
		enum ipsec_proto proto;
		const char *enc, *auth;
	} suite[] = {
	    {IPSEC_ESP, "aes-128-gcm", NULL},
	    {IPSEC_ESP, "aes-128", "hmac-sha2-256"},
	    {IPSEC_ESP, "chacha20-poly1305", NULL},
	    {IPSEC_ESP, "aes-128-ccm", NULL},
	    {IPSEC_ESP, "aes-128-ctr", "hmac-sha1"},
	    {IPSEC_AH, NULL, "hmac-sha2-256"},
	};
	static const uint32_t sizes[] = {1472, 1473, 8000, 60000, 65400};
	static uint8_t f[70000], got[70000];

	for (size_t j = 0; j < 4 * sizeof suite / sizeof suite[0]; j++) {
		size_t i = j % 4;
		struct pair_sa s = {suite[j / 4].proto, shape[i].mode, shape[i].src, shape[i].dst,
		    suite[j / 4].enc, suite[j / 4].auth};

		pair_protect(&pr, &s, 1, shape[i].local, shape[i].remote);
		for (size_t k = 0; k < 5; k++) {
			uint32_t len =
			    frame_make_udp(f, shape[i].local, shape[i].remote, 1, 2, 0, sizes[k]);
			uint64_t before = pr.b.stats.sent[DIR_IN].packets;
			int n = -1;

			if (len - 14 <= 1500 && shape[i].local[0] == '1') {
				host_send1(&pr.a, f, len);
			} else {
				host_cuts(f, len, 1400);
			}
			pair_wire(&pr.a, &pr.b);
			assert_int_equal(pr.b.stats.sent[DIR_IN].packets, before + 1);
			n = edge_mem_take(pr.b.w.upper, got, sizeof got);
			assert_int_equal(n, len);
			assert_memory_equal(got + 14, f + 14, len - 14);
		}
	}
}

/* RFC 6040: both directions of the outer header's ECN field, all pairs on the way in */
static void
test_ecn(void **state)
{
	static const int8_t want[4][4] = {
	    /* outer: Not, ECT(1), ECT(0), CE */
	    {0, 0, 0, -1}, /* inner Not-ECT */
	    {1, 1, 1, 3},  /* inner ECT(1) */
	    {2, 1, 2, 3},  /* inner ECT(0) */
	    {3, 3, 3, 3},  /* inner CE */
	};
	struct pair_sa t = {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL};

	pair_protect(&pr, &t, 1, "10.1.0.1", "10.2.0.1");
	for (unsigned inner = 0; inner < 4; inner++)
		for (unsigned outer = 0; outer < 4; outer++) {
			uint8_t f[500], wire[600], got[600];
			uint32_t len = frame_make_udp(f, "10.1.0.1", "10.2.0.1", 1, 2, 0, 30);
			int n;

			f[15] = (uint8_t)(0xb8 | inner);
			put16(f + 24, cksum_ip4(f + 14, 20));
			host_send1(&pr.a, f, len);
			n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
			assert_true(n > 0);
			assert_int_equal(
			    wire[15], 0xb8 | inner); /* DSCP and ECN copied: normal mode */
			wire[15] = (uint8_t)((wire[15] & ~3) | outer);
			put16(wire + 24, cksum_ip4(wire + 14, 20));
			host_receive1(&pr.b, wire, (uint32_t)n);
			n = edge_mem_take(pr.b.w.upper, got, sizeof got);
			if (want[inner][outer] < 0) {
				assert_int_equal(n, -1);
				continue;
			}
			assert_int_equal(n, len);
			assert_int_equal(got[15], 0xb8 | want[inner][outer]);
			assert_int_equal(cksum_ip4(got + 14, 20), get16(got + 24));
		}
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_ECN), 1);
}

/* RFC 4303 2.7: all packets of one size on the wire, and gone on receipt */
static void
test_tfc(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *local, *remote;
	} shape[] = {{MODE_TRANSPORT, "10.0.0.1", "10.0.0.2"},
	    {MODE_TUNNEL, "10.1.0.1", "10.2.0.1"}, {MODE_TUNNEL, "fd01::1", "fd02::1"}};

	for (size_t i = 0; i < 3; i++)
		for (uint32_t tfc = 600; tfc < 10000; tfc += 8000) {
			struct pair_sa s = {
			    IPSEC_ESP, shape[i].mode, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
			int size = 0;

			s.tfc = tfc;
			pair_protect(&pr, &s, 1, shape[i].local, shape[i].remote);
			for (uint32_t n = 1; n < 500; n += 71) {
				uint8_t f[2000], wire[2000], got[2000];
				uint32_t len = frame_make_udp(
				    f, shape[i].local, shape[i].remote, 1, 2, 0x4000, n);
				int w;

				host_send1(&pr.a, f, len);
				w = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
				assert_true(w > 0 && w <= 1514);
				assert_true(size == 0 || w == size);
				size = w;
				host_receive1(&pr.b, wire, (uint32_t)w);
				assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
				assert_memory_equal(got + 14, f + 14, len - 14);
			}
			assert_true(tfc < 1500 ? size > 600 && size < 700 : size > 1500);
		}
}

/* RFC 3948: ESP in UDP both modes and families; IKE and keepalives beside it; the checksum NAT broke is mended */
static void
test_udpencap(void **state)
{
	static const struct {
		enum ipsec_mode mode;
		const char *src, *dst, *local, *remote;
	} shape[] = {
	    {MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"},
	    {MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2"},
	    {MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1"},
	    {MODE_TUNNEL, "fd00::1", "fd00::2", "10.1.0.1", "10.2.0.1"},
	};
	struct pair_sa s = {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
	uint8_t f[200], wire[500], got[500];
	uint32_t len;
	int n;

	s.encap = 4500;
	for (size_t i = 0; i < 4; i++) {
		s.mode = shape[i].mode;
		s.src = shape[i].src;
		s.dst = shape[i].dst;
		both_ways_proto(&s, 1, shape[i].local, shape[i].remote, 17);
	}
	s.mode = MODE_TRANSPORT;
	s.src = "10.0.0.1";
	s.dst = "10.0.0.2";
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	/* a keepalive is swallowed; IKE behind four zero octets meets policy, which here denies clear packets */
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 4500, 4500, 0, 1);
	f[42] = 0xff;
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_KEEPALIVE), 1);
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 4500, 4500, 0, 40);
	memset(f + 42, 0, 4);
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_CLEAR_DENIED), 1);
	/* an unknown SPI, and the SA's SPI without UDP around */
	put32(f + 42, 0x9999);
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_UNKNOWN_SPI), 1);
	/* a sender whose checksum is for another address (NAT): right when it reaches the host */
	len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 7, 8, 0x4000, 20);
	put16(f + 40, 0x1234);
	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_int_equal(get16(wire + 40), 0); /* RFC 3948 2.1: the outer one is zero over IPv4 */
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	{
		uint8_t pseudo[12];

		memcpy(pseudo, got + 26, 8);
		put16(pseudo + 8, 17);
		put16(pseudo + 10, 28);
		assert_int_equal(cksum_fold(cksum_add(cksum_add(0, pseudo, 12), got + 34, 28)), 0);
	}
}

/* RFC 3948 with a NAT that maps anew: the place a verified packet came from is told, a forged one moves nothing */
static void
test_follow(void **state)
{
	struct pair_sa s = {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm"};
	struct sa *out;
	uint8_t f[200], wire[500], moved[500];
	uint32_t len = frame_make_udp(f, "10.1.0.1", "10.2.0.1", 7, 8, 0x4000, 20);
	struct event ev;
	int n;

	s.encap = 4500;
	s.follow = true;
	pair_protect(&pr, &s, 1, "10.1.0.1", "10.2.0.1");
	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_false(events_pop(pr.b.w.events, &ev)); /* it is where it is said to be */

	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	memcpy(wire + 26, "\x0a\x09\x09\x09", 4); /* the NAT has another address and port now */
	put16(wire + 34, 31000);
	put16(wire + 24, cksum_ip4(wire + 14, 20));
	memcpy(moved, wire, (size_t)n);
	moved[n - 1] ^= 1;
	host_receive1(&pr.b, moved, (uint32_t)n);
	assert_true(
	    events_pop(pr.b.w.events, &ev) && ev.kind == EV_AUDIT && ev.drop == DROP_AUTH_FAILED);
	assert_false(events_pop(pr.b.w.events, &ev));
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_true(events_pop(pr.b.w.events, &ev));
	assert_int_equal(ev.kind, EV_PEER);
	assert_int_equal(ev.key.rport, 31000);
	assert_int_equal(ev.src.b[3], 9);

	/* what the control thread does with it */
	out = sadb_at(pr.b.w.gen->sad, 1);
	out->peer = malloc(sizeof *out->peer);
	*out->peer = (struct sa_peer){ev.src, 31000};
	len = frame_make_udp(f, "10.2.0.1", "10.1.0.1", 8, 7, 0x4000, 20);
	host_send1(&pr.b, f, len);
	n = edge_mem_take(pr.b.w.lower, wire, sizeof wire);
	assert_true(n > 0);
	assert_memory_equal(wire + 30, "\x0a\x09\x09\x09", 4);
	assert_int_equal(get16(wire + 36), 31000);
}

/* all patterns of good and bad in one burst: order kept, the bad ones and only they are dropped */
static void
test_bad_in_middle(void **state)
{
	for (unsigned pattern = 0; pattern < 256; pattern++) {
		uint8_t wire[8][200];
		uint32_t len[8];
		struct burst b;
		unsigned good = 0;

		pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
		for (unsigned i = 0; i < 8; i++) {
			len[i] = sealed(wire[i], i);
			if (pattern >> i & 1)
				wire[i][len[i] - 1] ^= 1;
			assert_int_equal(edge_mem_give(pr.b.w.lower, wire[i], len[i]), 0);
		}
		assert_int_equal(edge_recv(pr.b.w.lower, pr.b.w.pool, &b, BURST_MAX), 8);
		inbound_burst(&pr.b.w, &b);
		for (unsigned i = 0; i < 8; i++) {
			uint8_t got[200];

			if (pattern >> i & 1)
				continue;
			assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), 42 + i);
			good++;
		}
		assert_int_equal(good + (unsigned)__builtin_popcount(pattern), 8);
		assert_int_equal(edge_mem_take(pr.b.w.upper, wire[0], 200), -1);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_matrix),
	    T(test_bundles),
	    T(test_replayed),
	    T(test_bit_flips),
	    T(test_runts),
	    T(test_clear_and_unknown),
	    T(test_unknown_spi_bypass),
	    T(test_selectors_after),
	    T(test_not_running),
	    T(test_hard_stop),
	    T(test_esn_wrap),
	    T(test_too_big),
	    T(test_fragments),
	    T(test_ecn),
	    T(test_bad_in_middle),
	    T(test_tfc),
	    T(test_udpencap),
	    T(test_follow),
	};

	static const char *const backend[] = {"openssl", "ipsec-mb"};
	int failed = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *why;

		if (crypto_select(backend[i], &why) < 0) {
			print_message("%s: %s\n", backend[i], why);
			failed += i == 0; /* the first is always there */
			continue;
		}
		failed += cmocka_run_group_tests_name(backend[i], tests, NULL, NULL);
	}
	return failed;
}
