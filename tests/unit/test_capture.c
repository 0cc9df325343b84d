/* links: bits_walk bits_base bits_spd bits_sadb */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gen.h"
#include "live.h"

static struct capring *
ring(void)
{
	struct capring *r = calloc(1, sizeof *r + 64);

	assert_non_null(r);
	capring_begin(r);
	return r;
}

static struct capture_rec
record(uint64_t number, uint32_t len)
{
	return (struct capture_rec){.number = number, .len = len, .caplen = len};
}

/* Records of all lengths go round the ring many times and come out as they went in; a full ring takes none and counts. */
static void
test_ring(void **state)
{
	static uint8_t in[3000], out[3000];
	struct capring *r = ring();
	struct capture_rec rec, want;
	uint64_t head = 0, put = 0, got = 0;

	for (unsigned i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(i * 7);
	assert_int_equal(capring_get(r, &rec, out, sizeof out), 0);
	for (int round = 0; round < 12; round++) {
		for (;;) {
			want = record(put, (uint32_t)(put * 37 % sizeof in));
			if (!capring_put(r, &head, &want, in))
				break;
			put++;
		}
		assert_int_equal(capring_lost(r), round + 1);
		for (int i = 0; i < 2000; i++, got++) {
			assert_int_equal(capring_get(r, &rec, out, sizeof out), 1);
			assert_int_equal(rec.number, got);
			assert_int_equal(rec.caplen, got * 37 % sizeof in);
			assert_memory_equal(out, in, rec.caplen);
		}
	}
	assert_true(head > 2 * CAPRING_DATA);
	while (capring_get(r, &rec, out, 10) == 1) {
		assert_true(rec.caplen <= 10);
		got++;
	}
	assert_int_equal(got, put);
	free(r);
}

#define RECORDS 60000u

static void *
write_all(void *arg)
{
	static uint8_t octets[3000];
	struct capring *r = arg;
	uint64_t head = 0;

	for (unsigned i = 0; i < RECORDS; i++) {
		uint32_t len = i * 37 % sizeof octets;
		struct capture_rec rec = record(i, len);

		memset(octets, (int)(i & 0xff), len);
		(void)capring_put(r, &head, &rec, octets);
	}
	return NULL;
}

/* Both ends at the same time: what comes out is whole and in order, and what does not was counted. */
static void
test_two_ends(void **state)
{
	static uint8_t octets[3000];
	struct capring *r = ring();
	struct capture_rec rec;
	uint64_t got = 0, next = 0;
	bool done = false;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, write_all, r), 0);
	for (;;) {
		int n = capring_get(r, &rec, octets, sizeof octets);

		assert_int_not_equal(n, -1);
		if (n == 0 && done)
			break;
		if (n == 0) {
			done = pthread_tryjoin_np(t, NULL) == 0;
			continue;
		}
		assert_true(rec.number >= next);
		next = rec.number + 1;
		assert_int_equal(rec.caplen, rec.number * 37 % sizeof octets);
		for (uint32_t i = 0; i < rec.caplen; i++)
			if (octets[i] != (rec.number & 0xff))
				fail_msg("packet %ju differs at %u", (uintmax_t)rec.number, i);
		got++;
	}
	assert_true(got > 0);
	assert_int_equal(got + capring_lost(r), RECORDS);
	free(r);
}

/* Whatever the other end writes into the memory, neither end leaves it. */
static void
test_damaged(void **state)
{
	static uint8_t octets[3000];
	struct capture_rec rec = record(1, 100), back;
	struct capring *r = ring();
	uint64_t head = 0;

	assert_true(capring_put(r, &head, &rec, octets));
	r->tail = UINT64_MAX / 2; /* a reader that claims to have read what was never written */
	assert_false(capring_put(r, &head, &rec, octets));
	assert_int_equal(capring_get(r, &back, octets, sizeof octets), -1);
	r->tail = 0;
	memset(r->data + offsetof(struct capture_rec, caplen), 0xff, 4);
	assert_int_equal(capring_get(r, &back, octets, sizeof octets), -1);
	memset(r->data + offsetof(struct capture_rec, len), 0xff, 4);
	assert_int_equal(capring_get(r, &back, octets, sizeof octets), -1);
	r->head = 8;
	assert_int_equal(capring_get(r, &back, octets, sizeof octets), -1);
	free(r);
}

struct bed {
	struct pktpool *pool;
	struct gen *gen;
	struct walk w;
	struct stats stats;
	struct live_tap taps[LIVE_TAPS];
};

static void
bed_open(struct bed *b)
{
	memset(b, 0, sizeof *b);
	b->pool = pktpool_new(BURST_MAX, 2000);
	b->gen = gen_new(1, NULL, 0, NULL, NULL, 0);
	assert_true(b->pool != NULL && b->gen != NULL);
	b->w = (struct walk){.pool = b->pool, .gen = b->gen, .stats = &b->stats, .running = true};
}

static void
bed_close(struct bed *b)
{
	for (int i = 0; i < LIVE_TAPS; i++)
		free(b->taps[i].ring);
	gen_free(b->gen);
	pktpool_free(b->pool);
}

static uint64_t epoch;

static uint64_t
clock_of_test(void)
{
	return epoch;
}

/* A burst of ${n} packets of 100 octets is read, changed, and ends: the odd ones are dropped. */
static void
pass(struct bed *b, struct live *l, unsigned n, uint64_t ns)
{
	struct burst burst = {.n = n};

	for (unsigned i = 0; i < n; i++) {
		burst.p[i] = pkt_new(b->pool);
		assert_non_null(burst.p[i]);
		memset(pkt_put(burst.p[i], 100), 'a', 100);
	}
	b->w.now = ns / 1000000;
	epoch = ns;
	if (l != NULL)
		live_begin(l, &b->w, &burst, clock_of_test);
	account_read(&b->w, &burst, DIR_OUT);
	for (unsigned i = 0; i < n; i++) {
		struct pkt *p = burst.p[i];

		memset(pkt_data(p), 'b', p->len);
		memset(pkt_put(p, 20), 'b', 20);
		p->bypass = 1;
		p->etype = ETYPE_ARP;
		p->drop = i & 1 ? DROP_POLICY_DISCARD : DROP_NONE;
	}
	account_burst(&b->w, &burst, DIR_OUT);
	if (l != NULL)
		live_end(l, &b->w);
}

/* Each packet as it came and as it went, only the sides that are asked for; nothing where nobody captures. */
static void
test_points(void **state)
{
	static const struct {
		unsigned points, came, went;
	} rows[] = {{CAPTURE_AT_HOST, 4, 0}, {CAPTURE_AT_WIRE, 0, 2}, {CAPTURE_DROPPED, 2, 0},
	    {CAPTURE_AT_HOST | CAPTURE_AT_WIRE, 4, 2}};
	uint8_t octets[200];
	struct capture_rec r;
	struct live *l;
	struct bed b;

	bed_open(&b);
	pass(&b, NULL, 4, 0);
	for (unsigned i = 0; i < LIVE_TAPS; i++)
		b.taps[i] = (struct live_tap){.ring = ring(), .points = rows[i].points};
	l = live_new(b.taps);
	assert_non_null(l);
	pass(&b, l, 4, 1000);
	assert_null(b.w.capture);
	assert_null(b.w.verdict);
	pass(&b, NULL, 4, 0);
	for (unsigned i = 0; i < LIVE_TAPS; i++) {
		unsigned came = 0, went = 0;

		while (capring_get(b.taps[i].ring, &r, octets, sizeof octets) == 1) {
			assert_int_equal(r.ts, 1000);
			assert_int_equal(r.len, r.came ? 100 : 120);
			assert_int_equal(octets[0], r.came ? 'a' : 'b');
			assert_int_equal(r.point, r.came ? CAPTURE_HOST : CAPTURE_WIRE);
			assert_int_equal(r.word, r.number % 2 ? CAPTURE_BYPASS : CAPTURE_DROP);
			came += r.came;
			went += !r.came;
		}
		assert_int_equal(came, rows[i].came);
		assert_int_equal(went, rows[i].went);
		assert_int_equal(capring_lost(b.taps[i].ring), 0);
	}
	live_free(l);
	bed_close(&b);
}

/* Too many packets a second are not looked at, and counted; a little later they are again. */
static void
test_budget(void **state)
{
	uint64_t ns = 1000000000, all = 0, seen = 0;
	uint8_t octets[200];
	struct capture_rec r;
	struct live *l;
	struct bed b;

	bed_open(&b);
	b.taps[0] = (struct live_tap){.ring = ring(), .points = CAPTURE_AT_HOST};
	l = live_new(b.taps);
	while (capring_lost(b.taps[0].ring) == 0) {
		pass(&b, l, BURST_MAX, ns);
		all += BURST_MAX;
		while (capring_get(b.taps[0].ring, &r, octets, sizeof octets) == 1)
			seen++;
	}
	assert_int_equal(seen + capring_lost(b.taps[0].ring), all);
	assert_in_range(seen, LIVE_RATE / 10 / (100 + LIVE_PACKET) / LIVE_BUSY - BURST_MAX,
	    LIVE_RATE / 10 / (100 + LIVE_PACKET) / LIVE_BUSY);
	pass(&b, l, 1, ns + 1000000);
	assert_int_equal(capring_get(b.taps[0].ring, &r, octets, sizeof octets), 1);
	live_free(l);
	bed_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ring),
	    cmocka_unit_test(test_two_ends),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_points),
	    cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
