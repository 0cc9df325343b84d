/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Limits of an SA within a burst, on the way in too, packets and octets (RFC 4301 4.4.2.1); and an SA without a replay window.
 */
#include "walkbed.h"

#define N	   10
#define UDP_OCTETS 38 /* what one packet counts: the payload before protection */

static uint8_t frame[200];

/* a's end of ${s} loses its limits: what b's does is b's own. */
static void
begin(const struct pair_sa *s)
{
	struct pair_sa from = *s;
	struct policy *r;
	struct sa *sa;

	memset(&from.soft, 0, sizeof from.soft);
	memset(&from.hard, 0, sizeof from.hard);
	pair_protect(&pr, s, 1, "10.0.0.1", "10.0.0.2");
	r = pair_rule(s, 1, "10.0.0.1", "10.0.0.2", false);
	sa = pair_sa_new(&from, 0x1001, false, SA_DIR_OUT, pr.a.w.now);
	host_policy(&pr.a, ++pr.generation, &r, 1, &sa, 1);
}

/* N packets of a's, in one burst, and what comes out of them in one burst at b. */
static void
burst(void)
{
	const uint8_t *f[N];
	uint32_t len[N], n = frame_make_udp(frame, "10.0.0.1", "10.0.0.2", 1, 2, 0x4000, 30);
	uint8_t wire[300];
	struct burst b;
	int took;

	for (int i = 0; i < N; i++) {
		f[i] = frame;
		len[i] = n;
	}
	host_send(&pr.a, f, len, N);
	for (int i = 0; (took = edge_mem_take(pr.a.w.lower, wire, sizeof wire)) > 0; i++)
		assert_int_equal(edge_mem_give(pr.b.w.lower, wire, (uint32_t)took), 0);
	while (edge_recv(pr.b.w.lower, pr.b.w.pool, &b, BURST_MAX) > 0)
		inbound_burst(&pr.b.w, &b);
}

/* Events of one SA's end so far. */
static void
events(struct host *h, unsigned soft, unsigned hard)
{
	unsigned is_soft = 0, is_hard = 0;
	struct event ev;

	while (events_pop(h->w.events, &ev)) {
		is_soft += ev.kind == EV_SA_SOFT;
		is_hard += ev.kind == EV_SA_HARD;
		assert_int_equal(ev.dir, h == &pr.b ? DIR_IN : DIR_OUT);
	}
	assert_int_equal(is_soft, soft);
	assert_int_equal(is_hard, hard);
}

/* The packet that reaches the limit is the last, in the middle of the burst; those behind leave the window alone. */
static void
test_inbound(void **state)
{
	static const struct pair_sa suite[] = {ESP4,
	    {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128", "hmac-sha2-256"},
	    {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"}};
	uint64_t got = 0, expired = 0;

	for (size_t i = 0; i < 3; i++)
		for (int octets = 0; octets < 2; octets++) {
			struct pair_sa s = suite[i];
			struct sa *in;

			if (octets) {
				s.soft.octets = 2 * UDP_OCTETS + 1;
				s.hard.octets = 6 * UDP_OCTETS - 1;
			} else {
				s.soft.packets = 3;
				s.hard.packets = 6;
			}
			begin(&s);
			in = sadb_at(pr.b.w.gen->sad, 0);
			burst();
			got += 6;
			expired += N - 6;
			assert_int_equal(pr.b.stats.protected_[DIR_IN], got);
			assert_int_equal(dropped(&pr.b, DIR_IN, DROP_SA_EXPIRED), expired);
			assert_int_equal(in->state, SA_DEAD);
			assert_int_equal(in->replay.top, 6);
			assert_int_equal(in->cin.packets, 6);
			assert_int_equal(in->cin.octets, 6 * UDP_OCTETS);
			events(&pr.b, 1, 1);
			events(&pr.a, 0, 0);
			burst();
			expired += N;
			assert_int_equal(dropped(&pr.b, DIR_IN, DROP_SA_EXPIRED), expired);
			events(&pr.b, 0, 0);
		}
}

/* Octets on the way out: nothing is sent beyond the packet that reaches the limit. */
static void
test_octets_out(void **state)
{
	struct pair_sa s = esp4;

	s.soft.octets = UDP_OCTETS;
	s.hard.octets = 4 * UDP_OCTETS;
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	burst();
	assert_int_equal(pr.a.stats.sent[DIR_OUT].packets, 4);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_SA_EXPIRED), N - 4);
	events(&pr.a, 1, 1);
	/* the other end has the same limits and has seen the same */
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 4);
	events(&pr.b, 1, 1);
}

/* A soft limit alone ends nothing, and is told once. */
static void
test_soft_alone(void **state)
{
	struct pair_sa s = esp4;

	s.soft.packets = 3;
	begin(&s);
	burst();
	burst();
	assert_int_equal(pr.b.stats.protected_[DIR_IN], 2 * N);
	assert_int_equal(sadb_at(pr.b.w.gen->sad, 0)->state, SA_DYING);
	events(&pr.b, 1, 0);
}

/* `replay 0`: the same packet again, an old one, number 0; but none whose ICV is wrong. */
static void
test_no_window(void **state)
{
	static const struct pair_sa suite[] = {ESP4,
	    {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-256", "hmac-sha2-512"},
	    {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "aes-cmac"}};
	uint64_t got = 0, failed = 0;

	for (size_t i = 0; i < 3; i++) {
		struct pair_sa s = suite[i];
		uint8_t first[2000], wire[2000];
		struct sa *in;
		uint32_t n, m;

		s.no_replay = true;
		pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
		in = sadb_at(pr.b.w.gen->sad, 0);
		assert_int_equal(in->replay.size, 0);
		n = sealed(first, 50);
		sadb_at(pr.a.w.gen->sad, 0)->seq.next = 100000;
		m = sealed(wire, 50);
		host_receive1(&pr.b, wire, m);
		for (int k = 0; k < 5; k++)
			host_receive1(&pr.b, first, n);
		host_receive1(&pr.b, wire, m);
		assert_int_equal(pr.b.stats.protected_[DIR_IN], got += 7);
		assert_int_equal(in->cin.packets, 7);
		assert_int_equal(in->cin.lost, 0);
		wire[m - 1] ^= 1;
		host_receive1(&pr.b, wire, m);
		assert_int_equal(dropped(&pr.b, DIR_IN, DROP_AUTH_FAILED), ++failed);
		assert_int_equal(pr.b.stats.protected_[DIR_IN], got);
	}
}

/* With ESN and no window the high half is inferred all the same (RFC 4303 3.4.3): across 2^32, late ones too. */
static void
test_no_window_esn(void **state)
{
	struct pair_sa s = esp4;
	uint8_t late[2000];
	struct sa *in;
	uint32_t n;

	s.esn = s.no_replay = true;
	pair_protect(&pr, &s, 1, "10.0.0.1", "10.0.0.2");
	in = sadb_at(pr.b.w.gen->sad, 0);
	sadb_at(pr.a.w.gen->sad, 0)->seq.next = 0xfffffffau;
	in->replay.top = 0xfffffff0u;
	n = sealed(late, 20);
	burst();
	assert_int_equal(pr.b.stats.protected_[DIR_IN], N);
	assert_true(in->replay.top == 0x100000004u);
	host_receive1(&pr.b, late, n);
	host_receive1(&pr.b, late, n);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], N + 2);
	assert_true(in->replay.top == 0x100000004u);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_inbound), T(test_octets_out), T(test_soft_alone),
	    T(test_no_window), T(test_no_window_esn)};

	return walkbed_run("limits", tests, sizeof tests / sizeof tests[0]);
}
