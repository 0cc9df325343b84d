/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * So many SAs in use that the walk fetches ahead what a burst will read: each packet still takes its own flow, SA and keys, whatever stands
 * beside it in the burst.
 */
#include "walkbed.h"

#define PEERS  300 /* more than ahead_pays() needs */
#define BURST  48
#define ROUNDS 40

static uint32_t rnd_state = 1;

static uint32_t
rnd(uint32_t n)
{
	rnd_state = rnd_state * 1103515245 + 12345;
	return (rnd_state >> 16) % n;
}

static void
address(char text[static 32], unsigned i)
{
	snprintf(text, 32, "10.1.%u.%u", i / 200, i % 200 + 1);
}

/* One rule and one SA for each peer: a sends under them, b, which has all the addresses, receives. */
static void
begin(void)
{
	static char at[PEERS][32];
	static struct policy *rule[2][PEERS];
	static struct sa *sa[2][PEERS];
	struct pair_sa s = esp4;

	for (unsigned i = 0; i < PEERS; i++) {
		address(at[i], i);
		s.dst = at[i];
		rule[0][i] = pair_rule(&s, 1, "10.0.0.1", at[i], false);
		rule[1][i] = pair_rule(&s, 1, "10.0.0.1", at[i], true);
		sa[0][i] = pair_sa_new(&s, 0x1000 + i, false, SA_DIR_OUT, pr.a.w.now);
		sa[1][i] = pair_sa_new(&s, 0x1000 + i, false, SA_DIR_IN, pr.b.w.now);
	}
	host_policy(&pr.a, 1, rule[0], PEERS, sa[0], PEERS);
	host_policy(&pr.b, 1, rule[1], PEERS, sa[1], PEERS);
}

/* A burst to peers at random, among them some for whom there is no rule. */
static void
round_of(unsigned *known)
{
	static uint8_t frame[BURST][200];
	const uint8_t *f[BURST];
	uint32_t len[BURST], spi[BURST];
	uint8_t wire[300], got[300];
	struct burst b;
	unsigned n = 0, taken = 0;
	char to[32];
	int w;

	for (unsigned i = 0; i < BURST; i++) {
		unsigned peer = rnd(PEERS + 8);

		address(to, peer);
		len[i] = frame_make_udp(
		    frame[i], "10.0.0.1", to, (uint16_t)(1 + rnd(3)), 2222, 0x4000, 20 + rnd(100));
		f[i] = frame[i];
		spi[i] = peer < PEERS ? 0x1000 + peer : 0;
		n += peer < PEERS;
	}
	host_send(&pr.a, f, len, BURST);
	for (unsigned i = 0; (w = edge_mem_take(pr.a.w.lower, wire, sizeof wire)) > 0; i++) {
		while (i < BURST && spi[i] == 0)
			i++;
		assert_true(i < BURST);
		assert_int_equal(get32(wire + 34), spi[i]); /* its own SA, and in order */
		assert_int_equal(edge_mem_give(pr.b.w.lower, wire, (uint32_t)w), 0);
		taken++;
	}
	assert_int_equal(taken, n);
	while (edge_recv(pr.b.w.lower, pr.b.w.pool, &b, BURST_MAX) > 0)
		inbound_burst(&pr.b.w, &b);
	for (unsigned i = 0; i < BURST; i++) {
		if (spi[i] == 0)
			continue;
		w = edge_mem_take(pr.b.w.upper, got, sizeof got);
		assert_int_equal(w, len[i]);
		assert_memory_equal(got + 14, frame[i] + 14, len[i] - 14);
	}
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), -1);
	*known += n;
}

static void
each_its_own(void **state)
{
	unsigned known = 0, sum = 0;

	begin();
	assert_true(ahead_pays(&pr.a.w));
	for (unsigned r = 0; r < ROUNDS; r++)
		round_of(&known);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], known);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_POLICY_DEFAULT), ROUNDS * BURST - known);
	for (size_t i = 0; i < sadb_count(pr.b.w.gen->sad); i++) {
		const struct sa *sa = sadb_at(pr.b.w.gen->sad, i);

		assert_int_equal(sa->cin.packets, sa->replay.top); /* no number was given away */
		sum += (unsigned)sa->cin.packets;
	}
	assert_int_equal(sum, known);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_its_own, setup, teardown),
	};

	return walkbed_run("many", tests, sizeof tests / sizeof tests[0]);
}
