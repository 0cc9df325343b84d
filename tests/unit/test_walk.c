/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "walkbed.h"

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

	/* a soft limit that is reached when the numbers have ended does not wake the SA up */
	limited.soft.packets = 5;
	pair_protect(&pr, &limited, 1, "10.0.0.1", "10.0.0.2");
	sa = sadb_at(pr.a.w.gen->sad, 0);
	sa->seq.next = (uint64_t)UINT32_MAX + 1;
	host_send1(&pr.a, f, n);
	assert_int_equal(sa->state, SA_DEAD);
	sa->cin.packets = 5; /* the next packet of the same burst */
	assert_int_equal(xform_begin(sa, &pr.a.w), DROP_SA_EXPIRED);
	assert_true(sa->soft_said);
	assert_int_equal(sa->state, SA_DEAD);
	sa->cin.packets = 0;
	while (events_pop(pr.a.w.events, &ev))
		;

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
	const struct CMUnitTest tests[] = {T(test_matrix), T(test_bundles), T(test_replayed),
	    T(test_bit_flips), T(test_runts), T(test_clear_and_unknown), T(test_unknown_spi_bypass),
	    T(test_selectors_after), T(test_not_running), T(test_hard_stop), T(test_esn_wrap),
	    T(test_bad_in_middle)};

	return walkbed_run("walk", tests, sizeof tests / sizeof tests[0]);
}
