/* links: bits_edge bits_walk bits_spd bits_sadb */
/*
 * Several workers by one SA and one rule at the same time: no number twice, no packet accepted twice, limits to the packet, counters that
 * add up.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "pair.h"
#include "workers.h"

#define WORKERS 3
#define PACKETS 1000 /* of each */
#define ALL	(WORKERS * PACKETS)
#define SOME	30 /* packets at a time, at most */

/* Workers of host a, and one host b; a's share their generation. */
struct crew {
	struct host w[WORKERS], b;
	struct sa *sa; /* that is theirs */
	struct policy *rule;
	uint8_t frame[ALL][256];
	uint32_t len[ALL];
	unsigned frames;
};

static const struct pair_sa gcm = {.proto = IPSEC_ESP,
    .mode = MODE_TRANSPORT,
    .src = "10.9.0.1",
    .dst = "10.9.0.2",
    .enc = "aes-128-gcm",
    .replay = REPLAY_MAX};

/* SAs of ${s} from host a to host b. */
static void
crew_init(struct crew *c, const struct pair_sa *s)
{
	struct policy *ra, *rb;
	struct sa *out, *in;

	memset(c, 0, sizeof *c);
	workers_set(WORKERS); /* before there is a rule or an SA */
	ra = pair_rule(s, 1, NULL, NULL, false);
	rb = pair_rule(s, 1, NULL, NULL, true);
	for (unsigned i = 0; i < WORKERS; i++) {
		host_init(&c->w[i]);
		c->w[i].w.worker = i;
		c->w[i].w.many = true;
	}
	host_init(&c->b);
	out = pair_sa_new(s, 0x1001, false, SA_DIR_OUT, 1000);
	in = pair_sa_new(s, 0x1001, false, SA_DIR_IN, 1000);
	assert_non_null(out);
	assert_non_null(in);
	c->sa = out;
	c->rule = ra;
	host_policy(&c->w[0], 1, &ra, 1, &out, 1);
	for (unsigned i = 1; i < WORKERS; i++)
		c->w[i].w.gen = c->w[0].w.gen;
	host_policy(&c->b, 1, &rb, 1, &in, 1);
}

static void
crew_fini(struct crew *c)
{
	for (unsigned i = WORKERS; i-- > 0;) {
		if (i > 0)
			c->w[i].w.gen = NULL;
		host_balance(&c->w[i]);
		host_fini(&c->w[i]);
	}
	host_fini(&c->b);
	workers_set(1);
}

static void
crew_run(struct crew *c, void *(*work)(void *))
{
	pthread_t t[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work, &c->w[i]), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
}

/* PACKETS of a flow of its own, some at a time. */
static void *
sender(void *arg)
{
	struct host *h = arg;
	uint8_t frame[128];
	struct burst b;
	uint32_t len =
	    frame_make_udp(frame, "10.9.0.1", "10.9.0.2", (uint16_t)(5000 + h->w.worker), 7, 0, 40);

	h->w.rng = rng_system();
	for (unsigned sent = 0, some; sent < PACKETS; sent += some) {
		some = 1 + (sent * 7 + h->w.worker) % SOME;
		some = some < PACKETS - sent ? some : PACKETS - sent;
		for (unsigned i = 0; i < some; i++)
			if (edge_mem_give(h->w.upper, frame, len) != 0)
				return NULL;
		while (edge_recv(h->w.upper, h->w.pool, &b, BURST_MAX) > 0)
			outbound_burst(&h->w, &b);
	}
	return NULL;
}

/* What the workers sent, into c->frame. */
static void
crew_collect(struct crew *c)
{
	c->frames = 0;
	for (unsigned i = 0; i < WORKERS; i++)
		for (int n; c->frames < ALL &&
			    (n = edge_mem_take(c->w[i].w.lower, c->frame[c->frames], 256)) >= 0;)
			c->len[c->frames++] = (uint32_t)n;
}

static uint64_t
crew_drops(const struct crew *c, enum dir dir, enum drop d)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += c->w[i].stats.drop[dir][d];
	return n;
}

/* Every packet has a number of its own, of all without a gap; host b opens them all; SA and rule count them all. */
static void
sending(void **state)
{
	static const struct pair_sa rows[] = {
	    {.proto = IPSEC_ESP, .mode = MODE_TRANSPORT, .enc = "aes-128-gcm"},
	    {.proto = IPSEC_ESP, .mode = MODE_TUNNEL, .enc = "aes-128", .auth = "hmac-sha2-256"},
	    {.proto = IPSEC_ESP, .mode = MODE_TRANSPORT, .enc = "chacha20-poly1305", .esn = true},
	    {.proto = IPSEC_AH, .mode = MODE_TRANSPORT, .auth = "hmac-sha2-256"},
	};
	static const char *const backend[] = {"openssl", "auto"};
	static struct crew c;
	static uint8_t seen[ALL + 1];
	struct policy_counters ruled;
	struct sa_counters sent;
	const char *why;

	for (size_t r = 0; r < 2 * sizeof rows / sizeof *rows; r++) {
		struct pair_sa s = rows[r / 2];

		assert_int_equal(crypto_select(backend[r % 2], &why), 0);
		s.src = "10.9.0.1";
		s.dst = "10.9.0.2";
		s.no_replay = true; /* the frames come worker by worker */
		crew_init(&c, &s);
		crew_run(&c, sender);
		crew_collect(&c);
		assert_int_equal(c.frames, ALL);
		memset(seen, 0, sizeof seen);
		for (unsigned i = 0; i < c.frames; i++) {
			uint32_t n = get32(c.frame[i] + 34 + (s.proto == IPSEC_AH ? 8 : 4));

			assert_in_range(n, 1, ALL);
			assert_int_equal(seen[n]++, 0);
			host_receive1(&c.b, c.frame[i], c.len[i]);
		}
		assert_int_equal(c.b.stats.protected_[DIR_IN], ALL);
		sa_sent(c.sa, &sent);
		assert_int_equal(sent.packets, ALL);
		assert_int_equal(sent.octets, (uint64_t)ALL * (s.mode == MODE_TUNNEL ? 68 : 48));
		policy_counted(c.rule, DIR_OUT, &ruled);
		assert_int_equal(ruled.packets, ALL);
		while (edge_mem_take(c.b.w.upper, c.frame[0], 256) >= 0)
			;
		crew_fini(&c);
	}
	assert_int_equal(crypto_select("openssl", &why), 0);
}

/* A limit of packets lets just so many go, and is told once; soft before hard. */
static void
limits(void **state)
{
	static struct crew c;
	struct pair_sa s = gcm;
	unsigned told[EV_MAX] = {0};
	struct event ev;

	s.soft.packets = 700;
	s.hard.packets = 1234;
	crew_init(&c, &s);
	crew_run(&c, sender);
	crew_collect(&c);
	assert_int_equal(c.frames, 1234);
	assert_int_equal(
	    crew_drops(&c, DIR_OUT, DROP_SA_EXPIRED) + crew_drops(&c, DIR_OUT, DROP_NO_SA),
	    ALL - 1234);
	assert_int_equal(c.sa->state, SA_DEAD);
	for (unsigned i = 0; i < WORKERS; i++)
		while (events_pop(c.w[i].w.events, &ev))
			told[ev.kind]++;
	assert_int_equal(told[EV_SA_SOFT], 1);
	assert_int_equal(told[EV_SA_HARD], 1);
	crew_fini(&c);
}

/* The end of the reservation is the end, to the packet.  So is that of the numbers, and nobody sends one twice or another; who finds none left ends
 * the SA, and what the others have in hand then, a burst each at most, is not sent any more. */
static void
numbers_end(void **state)
{
	static struct crew c;
	uint8_t seen[100] = {0};

	crew_init(&c, &gcm);
	c.sa->seq.reserved = 501;
	crew_run(&c, sender);
	crew_collect(&c);
	assert_int_equal(c.frames, 500);
	assert_int_equal(crew_drops(&c, DIR_OUT, DROP_SEQ_UNRESERVED), ALL - 500);
	seq_reserve(&c.sa->seq, UINT64_MAX);
	seq_resume(&c.sa->seq, SEQ_LAST - 99);
	crew_run(&c, sender);
	crew_collect(&c);
	assert_in_range(c.frames, 100 - (WORKERS - 1) * SOME, 100);
	for (unsigned i = 0; i < c.frames; i++) {
		uint32_t n = get32(c.frame[i] + 34 + 4);

		assert_in_range(n, SEQ_LAST - 99, SEQ_LAST);
		assert_int_equal(seen[SEQ_LAST - n]++, 0);
	}
	assert_int_equal(c.sa->state, SA_DEAD);
	crew_fini(&c);
}

static struct crew in;

/* All that host b sent, each packet once. */
static void *
receiver(void *arg)
{
	struct host *h = arg;
	struct burst b;

	for (unsigned i = 0; i < in.frames;) {
		for (unsigned k = 0; k < 1 + h->w.worker * 9 && i < in.frames; k++, i++)
			if (edge_mem_give(h->w.lower, in.frame[i], in.len[i]) != 0)
				return NULL;
		while (edge_recv(h->w.lower, h->w.pool, &b, BURST_MAX) > 0)
			inbound_burst(&h->w, &b);
	}
	return NULL;
}

/* Each worker gets every packet: of each just one is taken, and the others know it for what it is. */
static void
opening(void **state)
{
	static uint8_t frame[128];
	uint32_t len = frame_make_udp(frame, "10.9.0.2", "10.9.0.1", 7, 5000, 0, 40);
	struct policy *ra, *rb;
	struct sa *sa, *sb;
	uint64_t passed = 0;

	crew_init(&in, &gcm);
	ra = pair_rule(&gcm, 1, NULL, NULL, false);
	rb = pair_rule(&gcm, 1, NULL, NULL, true);
	sa = pair_sa_new(&gcm, 0x2001, true, SA_DIR_IN, 1000);
	sb = pair_sa_new(&gcm, 0x2001, true, SA_DIR_OUT, 1000);
	in.rule = ra;
	host_policy(&in.w[0], 2, &ra, 1, &sa, 1);
	for (unsigned i = 1; i < WORKERS; i++)
		in.w[i].w.gen = in.w[0].w.gen;
	host_policy(&in.b, 2, &rb, 1, &sb, 1);
	for (unsigned i = 0; i < ALL; i++)
		host_send1(&in.b, frame, len);
	for (int n; (n = edge_mem_take(in.b.w.lower, in.frame[in.frames], 256)) >= 0;)
		in.len[in.frames++] = (uint32_t)n;
	assert_int_equal(in.frames, ALL);
	crew_run(&in, receiver);
	for (unsigned i = 0; i < WORKERS; i++)
		passed += in.w[i].stats.protected_[DIR_IN];
	assert_int_equal(passed, ALL);
	assert_int_equal(sa->cin.packets, ALL);
	assert_int_equal(sa->cin.replay_dup, (WORKERS - 1) * ALL);
	assert_int_equal(sa->cin.lost, 0);
	assert_int_equal(crew_drops(&in, DIR_IN, DROP_REPLAY_DUP), (WORKERS - 1) * ALL);
	crew_fini(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sending),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(numbers_end),
	    cmocka_unit_test(opening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
