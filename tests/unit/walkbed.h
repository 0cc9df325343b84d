/*
 * What the programs that test the whole walk share: the pair of hosts, and one packet's way from one to the other.
 */
#ifndef BITS_TEST_WALKBED_H
#define BITS_TEST_WALKBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "pair.h"

#define ESP4                                                                                       \
	{                                                                                          \
		IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL             \
	}

static struct pair pr;

static inline int
setup(void **state)
{
	memset(&pr, 0, sizeof pr);
	pair_init(&pr);
	return 0;
}

static inline int
teardown(void **state)
{
	host_balance(&pr.a);
	host_balance(&pr.b);
	pair_fini(&pr);
	return 0;
}

static const struct pair_sa esp4 = ESP4;

static inline uint64_t
dropped(const struct host *h, enum dir dir, enum drop why)
{
	return h->stats.drop[dir][why];
}

/* Is ${needle} anywhere in ${hay}? */
static inline bool
contains(const uint8_t *hay, uint32_t n, const uint8_t *needle, uint32_t m)
{
	return memmem(hay, n, needle, m) != NULL;
}

/* One UDP packet a -> b of ${n} octets: what the wire sees is protected, what b's host gets is what a's sent. */
static inline void
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

static inline void
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

static inline void
both_ways(const struct pair_sa *sas, unsigned steps, const char *local, const char *remote)
{
	both_ways_proto(sas, steps, local, remote, (uint8_t)sas[steps - 1].proto);
}

/* A sealed packet from a, for those who want to do something to it. */
static inline uint32_t
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

static inline void
give_pieces(struct walk *w, struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		host_send1(&pr.a, pkt_data(b->p[i]), b->p[i]->len);
		pkt_free(w->pool, b->p[i]);
	}
}

/* What a's stack does with a datagram above its MTU; b's pool lends the slots, its counters are left alone. */
static inline void
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

/* Everything passes. */
static inline void
open_policy(struct host *h)
{
	struct policy *r = policy_new();

	selector_any(&r->sel);
	r->dirs = 3;
	r->action = ACT_BYPASS;
	r->type = FLOW_BYPASS;
	host_policy(h, ++pr.generation, &r, 1, NULL, 0);
}

/* Runs the group once through each crypto back end there is; failures. */
static inline int
walkbed_run(const char *group, const struct CMUnitTest *tests, size_t n)
{
	static const char *const backend[] = {"openssl", "ipsec-mb"};
	int failed = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *why;
		char name[64];

		if (crypto_select(backend[i], &why) < 0) {
			print_message("%s: %s\n", backend[i], why);
			failed += i == 0; /* the first is always there */
			continue;
		}
		snprintf(name, sizeof name, "%s, %s", group, backend[i]);
		failed += _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	}
	return failed;
}

#endif
