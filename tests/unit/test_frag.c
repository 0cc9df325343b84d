/* links: bits_walk bits_base bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "crypto.h"
#include "frame.h"
#include "reasm.h"

static struct walk w;
static struct stats stats;
static struct burst out;

static void
fill(struct rng *r, uint8_t *b, size_t n)
{
	(void)r;
	memset(b, 0x5a, n);
}

static struct rng rng = {fill};

static int
setup(void **state)
{
	memset(&w, 0, sizeof w);
	memset(&stats, 0, sizeof stats);
	w.pool = pktpool_new(256, PKT_FRAME_MAX);
	w.reasm = reasm_new();
	w.stats = &stats;
	w.rng = &rng;
	w.now = 1000;
	w.mtu = 1500;
	out.n = 0;
	return w.pool && w.reasm ? 0 : -1;
}

/* Every slot has to be back: what leaks shows. */
static int
teardown(void **state)
{
	unsigned left;

	for (unsigned i = 0; i < out.n; i++)
		pkt_free(w.pool, out.p[i]);
	reasm_free(w.reasm, w.pool);
	left = pktpool_left(w.pool);
	pktpool_free(w.pool);
	return left == 256 ? 0 : -1;
}

static void
collect(struct walk *unused, struct burst *b)
{
	(void)unused;
	for (unsigned i = 0; i < b->n; i++)
		out.p[out.n++] = b->p[i];
}

/* Cuts the frame and leaves the pieces in out. */
static void
cut(const uint8_t *f, uint32_t len, uint32_t mtu)
{
	struct emit e = {.w = &w, .rest = collect};
	struct pkt *p = frame_pkt(w.pool, f, len);

	assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
	frag_split(&w, p, mtu, &e, DIR_OUT);
	emit_end(&e);
	for (unsigned i = 0; i < out.n; i++) {
		assert_int_equal(out.p[i]->drop, DROP_NONE);
		assert_true(out.p[i]->len - 14 <= mtu);
		assert_int_equal(classify(out.p[i], DIR_OUT), DROP_NONE);
		assert_int_equal(out.p[i]->key.frag, 1);
	}
}

/* Gives the pieces back in that order; the datagram must come out with the last of them. */
static void
join(const unsigned *order, unsigned n, const uint8_t *f, uint32_t len)
{
	struct burst b = {0};

	for (unsigned i = 0; i < n; i++) {
		b.n = 1;
		b.p[0] = out.p[order[i]];
		reasm_burst(&w, &b, DIR_OUT);
		assert_int_equal(b.n, i + 1 == n);
	}
	out.n = 0;
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	assert_int_equal(b.p[0]->len, len);
	assert_memory_equal(pkt_data(b.p[0]), f, len);
	assert_int_equal(b.p[0]->cut_ok, 1);
	assert_int_equal(b.p[0]->key.ports, PORTS_PORTS);
	assert_int_equal(reasm_held(w.reasm), 0);
	pkt_free(w.pool, b.p[0]);
}

static void
roundtrip(const char *src, const char *dst, uint32_t n, uint32_t mtu, unsigned seed)
{
	uint8_t *f = malloc(66000);
	uint32_t len = frame_make_udp(f, src, dst, 7, 8, 0, n);
	unsigned order[BURST_MAX], pieces;

	cut(f, len, mtu);
	pieces = out.n;
	assert_true(pieces > 1 && pieces <= BURST_MAX);
	for (unsigned i = 0; i < pieces; i++)
		order[i] = i;
	srand(seed);
	for (unsigned i = pieces - 1; i > 0; i--) {
		unsigned j = (unsigned)rand() % (i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	join(order, pieces, f, len);
	free(f);
}

static void
test_roundtrip(void **state)
{
	for (unsigned seed = 1; seed < 40; seed++) {
		roundtrip("10.0.0.1", "10.0.0.2", 1480 + seed * 37, 1500, seed);
		roundtrip("fd00::1", "fd00::2", 1480 + seed * 37, 1280, seed);
	}
	roundtrip("10.0.0.1", "10.0.0.2", 65507, 1500, 3);
	roundtrip("fd00::1", "fd00::2", 65527, 1500, 3);
}

/* One fragment of a datagram from the wire: what became of it; DROP_NONE: it completed the datagram. */
static enum drop
piece(uint32_t offset, uint32_t n, bool more, uint8_t fill_with)
{
	uint8_t f[2000];
	struct burst b = {.n = 1};
	enum drop d;

	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	memset(f + 34, fill_with, n);
	frame_ip4(f + 14, "10.0.0.1", "10.0.0.2", 17, (uint16_t)((more ? 0x2000 : 0) | offset / 8), n);
	b.p[0] = frame_pkt(w.pool, f, 34 + n);
	assert_int_equal(classify(b.p[0], DIR_IN), DROP_NONE);
	reasm_burst(&w, &b, DIR_IN);
	if (b.n == 0)
		return DROP_HELD;
	d = b.p[0]->drop;
	pkt_free(w.pool, b.p[0]);
	return d;
}

/* RFC 5722, for both families: one overlap and all of it goes */
static void
test_overlap(void **state)
{
	assert_int_equal(piece(0, 64, true, 1), DROP_HELD);
	assert_int_equal(piece(56, 64, true, 2), DROP_FRAG_OVERLAP);
	assert_int_equal(stats.drop[DIR_IN][DROP_FRAG_OVERLAP], 1); /* the one held; the other is the caller's to count */
	assert_int_equal(reasm_held(w.reasm), 0);
	/* the rest of it begins a new datagram that never completes */
	assert_int_equal(piece(64, 8, false, 1), DROP_HELD);
	assert_int_equal(reasm_held(w.reasm), 1);
}

/* an exact duplicate is only itself refused */
static void
test_duplicate(void **state)
{
	assert_int_equal(piece(0, 64, true, 1), DROP_HELD);
	assert_int_equal(piece(0, 64, true, 1), DROP_FRAG_OVERLAP);
	assert_int_equal(piece(64, 8, false, 1), DROP_NONE);
	assert_int_equal(piece(0, 64, true, 1), DROP_HELD);
	assert_int_equal(piece(0, 64, true, 9), DROP_FRAG_OVERLAP); /* same place, other octets */
	assert_int_equal(reasm_held(w.reasm), 0);
}

static void
test_malformed(void **state)
{
	assert_int_equal(piece(8, 60, true, 1), DROP_FRAG_BAD);      /* not a multiple of 8 */
	assert_int_equal(piece(8, 0, true, 1), DROP_FRAG_BAD);       /* empty */
	assert_int_equal(piece(65528, 64, false, 1), DROP_FRAG_BAD); /* ping of death */
	assert_int_equal(piece(64, 8, false, 1), DROP_HELD);
	assert_int_equal(piece(128, 8, true, 1), DROP_FRAG_BAD);     /* behind the end */
	assert_int_equal(piece(64, 8, false, 1), DROP_HELD);
	assert_int_equal(piece(72, 8, false, 1), DROP_FRAG_BAD);     /* two ends */
	/* as many octets as the end says, but some of them behind it, and a hole in front */
	assert_int_equal(piece(0, 8, true, 1), DROP_HELD);
	assert_int_equal(piece(64, 8, true, 1), DROP_HELD);
	assert_int_equal(piece(16, 8, false, 1), DROP_FRAG_BAD);
	assert_int_equal(reasm_held(w.reasm), 0);
}

static void
test_timeout(void **state)
{
	assert_int_equal(piece(0, 64, true, 1), DROP_HELD);
	w.now += REASM_MS4 - 1;
	assert_int_equal(piece(64, 64, true, 1), DROP_HELD);
	w.now += 1;
	assert_int_equal(piece(128, 8, false, 1), DROP_HELD); /* too late: begins another */
	assert_int_equal(stats.drop[DIR_IN][DROP_FRAG_TIMEOUT], 2);
	assert_int_equal(reasm_held(w.reasm), 1);
}

/* a flood of first fragments: memory is bounded, the flooder's oldest go, another source's stay */
static void
test_flood(void **state)
{
	uint8_t f[200];

	assert_int_equal(piece(0, 64, true, 1), DROP_HELD);
	for (unsigned i = 0; i < 60000; i++) {
		struct burst b = {.n = 1};

		frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
		frame_ip4(f + 14, "10.9.9.9", "10.0.0.2", 17, 0x2000, 64);
		put16(f + 18, (uint16_t)i);
		put16(f + 24, cksum_ip4(f + 14, 20));
		b.p[0] = frame_pkt(w.pool, f, 98);
		assert_int_equal(classify(b.p[0], DIR_IN), DROP_NONE);
		reasm_burst(&w, &b, DIR_IN);
		assert_int_equal(b.n, 0);
	}
	assert_int_equal(reasm_held(w.reasm), REASM_PER_SOURCE + 1);
	assert_int_equal(stats.drop[DIR_IN][DROP_FRAG_FULL], 60000 - REASM_PER_SOURCE);
	assert_int_equal(piece(64, 8, false, 1), DROP_NONE);
}

/* A first fragment with that identification, from the wire in clear, out of ${sa}, or from the host. */
static void
begins(const char *src, unsigned id, enum dir dir, const void *sa)
{
	uint8_t f[200];
	struct burst b = {.n = 1};

	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	frame_ip4(f + 14, src, "10.0.0.2", 17, 0x2000, 64);
	put16(f + 18, (uint16_t)id);
	put16(f + 24, cksum_ip4(f + 14, 20));
	b.p[0] = frame_pkt(w.pool, f, 98);
	assert_int_equal(classify(b.p[0], dir), DROP_NONE);
	if (sa) {
		b.p[0]->nchain = 1;
		b.p[0]->chain[0] = (struct sa *)(uintptr_t)sa;
	}
	reasm_burst(&w, &b, dir);
	assert_int_equal(b.n, 0);
}

/* strangers with as many sources as they like: what the host sends and what comes out of SAs has places of its own, and each SA its own */
static void
test_shares(void **state)
{
	static const char sa[2]; /* any addresses but NULL */
	char src[16];

	begins("10.0.0.7", 1, DIR_OUT, NULL);
	begins("10.0.0.7", 2, DIR_IN, &sa[0]);
	assert_int_equal(piece(0, 64, true, 1), DROP_HELD);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(src, sizeof src, "11.0.%u.%u", i >> 8, i & 255);
		begins(src, 1, DIR_IN, NULL);
	}
	assert_int_equal(stats.drop[DIR_IN][DROP_FRAG_FULL], 5001 - REASM_SHARE);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(src, sizeof src, "11.0.%u.%u", i >> 8, i & 255);
		begins(src, 1, DIR_IN, &sa[1]); /* whoever is behind that one */
	}
	assert_int_equal(
	    stats.drop[DIR_IN][DROP_FRAG_FULL], 5001 - REASM_SHARE + 5000 - REASM_PER_SOURCE);
	assert_int_equal(reasm_held(w.reasm), 1 + 1 + REASM_PER_SOURCE + REASM_SHARE);
	assert_int_equal(stats.drop[DIR_OUT][DROP_FRAG_FULL], 0);
	/* time ends all of them, and each is counted */
	w.now += REASM_MS4;
	reasm_burst(&w, &(struct burst){0}, DIR_IN);
	assert_int_equal(reasm_held(w.reasm), 0);
	assert_int_equal(stats.drop[DIR_OUT][DROP_FRAG_TIMEOUT], 1);
	assert_int_equal(
	    stats.drop[DIR_IN][DROP_FRAG_TIMEOUT], 1 + REASM_PER_SOURCE + REASM_SHARE);
}

/* clear fragments and fragments out of an SA never make one datagram */
static void
test_no_mixing(void **state)
{
	uint8_t f[200];
	struct burst b = {.n = 1};

	assert_int_equal(piece(0, 64, true, 1), DROP_HELD);
	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	memset(f + 34, 1, 8);
	frame_ip4(f + 14, "10.0.0.1", "10.0.0.2", 17, 64 / 8, 8);
	b.p[0] = frame_pkt(w.pool, f, 42);
	assert_int_equal(classify(b.p[0], DIR_IN), DROP_NONE);
	b.p[0]->nchain = 1;
	b.p[0]->chain[0] = (struct sa *)&w; /* any address but NULL */
	reasm_burst(&w, &b, DIR_IN);
	assert_int_equal(b.n, 0);
	assert_int_equal(reasm_held(w.reasm), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_roundtrip, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_duplicate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_shares, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_mixing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
