/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sadb.h"

static struct ipaddr
v4(uint32_t a)
{
	return ipaddr_from(4, (const uint8_t[4]){(uint8_t)(a >> 24), (uint8_t)(a >> 16),
				  (uint8_t)(a >> 8), (uint8_t)a});
}

static struct ipaddr
v6(uint32_t a)
{
	uint8_t b[16] = {0xfd};

	memcpy(b + 12, &a, 4);
	return ipaddr_from(6, b);
}

static const struct ipaddr any;

/* An SA as far as the SAD looks at it: no keys, no contexts, so that 100,000 are quickly there. */
static struct sa *
bare(enum ipsec_proto proto, uint32_t spi, struct ipaddr src, struct ipaddr dst, enum sa_dir dir,
    uint32_t reqid)
{
	struct sa *sa = aligned_alloc(64, (sizeof *sa + 63) & ~(size_t)63);

	assert_non_null(sa);
	memset(sa, 0, sizeof *sa);
	sa_params_init(&sa->p);
	sa->p.proto = proto;
	sa->p.spi = sa->spi = spi;
	sa->p.src = src;
	sa->p.dst = dst;
	sa->p.dir = dir;
	sa->p.reqid = reqid;
	sa->state = SA_MATURE;
	sa->refs = 1;
	return sa;
}

/* The SAD takes over; the array's references go. */
static struct sadb *
take(struct sa **sas, size_t n)
{
	struct sadb *db = sadb_new(sas, n);

	for (size_t i = 0; i < n; i++) {
		if (db != NULL)
			assert_int_equal(sas[i]->refs, 2);
		sa_unref(sas[i]);
	}
	return db;
}

static void
empty(void **state)
{
	struct ipaddr a = v4(1);
	struct sadb *db = sadb_new(NULL, 0);

	assert_non_null(db);
	assert_int_equal(sadb_count(db), 0);
	assert_null(sadb_at(db, 0));
	assert_null(sadb_in(db, IPSEC_ESP, 0x1000, &a));
	assert_null(sadb_out(db, IPSEC_ESP, MODE_TUNNEL, &any, &a, 0, NULL, NULL));
	sadb_free(db);
	sadb_free(NULL);
}

static void
inbound_by_all_of_its_name(void **state)
{
	struct ipaddr me = v4(0x0a000001), alias = v4(0x0a000002), six = v6(1),
		      peer = v4(0x0a0000ff), zero4 = v4(0);
	struct sa *s[] = {
	    bare(IPSEC_ESP, 0x1000, peer, me, SA_DIR_IN, 0),
	    bare(IPSEC_AH, 0x1000, peer, me, SA_DIR_IN, 0),
	    bare(IPSEC_ESP, 0x1000, peer, alias, SA_DIR_ANY, 0),
	    bare(IPSEC_ESP, 0x1000, v6(2), six, SA_DIR_IN, 0),
	    bare(IPSEC_ESP, 0x1000, me, peer, SA_DIR_OUT, 0),
	    bare(IPSEC_ESP, 0x1001, peer, me, SA_DIR_IN, 0),
	};
	struct sadb *db = take(s, 6);

	assert_int_equal(sadb_count(db), 6);
	for (size_t i = 0; i < 6; i++)
		assert_ptr_equal(sadb_at(db, i), s[i]);
	assert_null(sadb_at(db, 6));
	assert_ptr_equal(sadb_in(db, IPSEC_ESP, 0x1000, &me), s[0]);
	assert_ptr_equal(sadb_in(db, IPSEC_AH, 0x1000, &me), s[1]);
	assert_ptr_equal(sadb_in(db, IPSEC_ESP, 0x1000, &alias), s[2]);
	assert_ptr_equal(sadb_in(db, IPSEC_ESP, 0x1000, &six), s[3]);
	assert_null(sadb_in(db, IPSEC_ESP, 0x1000, &peer)); /* ours to send by */
	assert_ptr_equal(sadb_in(db, IPSEC_ESP, 0x1001, &me), s[5]);
	assert_null(sadb_in(db, IPSEC_AH, 0x1001, &me));
	assert_null(sadb_in(db, IPSEC_ESP, 0x1001, &alias));
	assert_null(sadb_in(db, IPSEC_ESP, 0, &me));
	assert_null(sadb_in(db, IPSEC_ESP, 0x1000, &zero4));
	assert_null(sadb_in(db, IPSEC_ESP, 0x1000, &any));
	/* a dead SA is still found: the packet's reason is then that it expired */
	s[0]->state = SA_DEAD;
	assert_ptr_equal(sadb_in(db, IPSEC_ESP, 0x1000, &me), s[0]);
	sadb_free(db);
}

static void
twins_are_refused(void **state)
{
	struct ipaddr me = v4(1), peer = v4(2);
	static const enum sa_dir dirs[] = {SA_DIR_ANY, SA_DIR_OUT, SA_DIR_IN};

	for (size_t a = 0; a < 3; a++)
		for (size_t b = 0; b < 3; b++) {
			struct sa *s[] = {bare(IPSEC_ESP, 0x1000, peer, me, dirs[a], 1),
			    bare(IPSEC_ESP, 0x1001, peer, me, dirs[b], 1),
			    bare(IPSEC_ESP, 0x1000, v4(3), me, dirs[b], 2)};

			errno = 0;
			assert_null(sadb_new(s, 3));
			assert_int_equal(errno, EEXIST);
			for (size_t i = 0; i < 3; i++) {
				assert_int_equal(s[i]->refs, 1); /* nothing was kept */
				sa_unref(s[i]);
			}
		}
}

static void
outbound_first_usable_in_order(void **state)
{
	struct ipaddr me = v4(1), me2 = v4(9), peer = v4(2), other = v4(3);
	struct sa *s[] = {
	    bare(IPSEC_ESP, 0x1000, me, peer, SA_DIR_IN, 7), /* never to send by */
	    bare(IPSEC_ESP, 0x1001, me, peer, SA_DIR_OUT, 7),
	    bare(IPSEC_ESP, 0x1002, me, peer, SA_DIR_OUT, 0),
	    bare(IPSEC_ESP, 0x1003, me2, peer, SA_DIR_ANY, 7),
	    bare(IPSEC_ESP, 0x1004, me, peer, SA_DIR_OUT, 8),
	    bare(IPSEC_AH, 0x1005, me, peer, SA_DIR_OUT, 9),
	    bare(IPSEC_ESP, 0x1006, me, other, SA_DIR_OUT, 7),
	    bare(IPSEC_ESP, 0x1007, me, peer, SA_DIR_OUT, 7),
	};
	s[4]->p.mode = MODE_TRANSPORT;
	struct sadb *db = take(s, 8);

#define OUT(src, dst, reqid) sadb_out(db, IPSEC_ESP, MODE_TUNNEL, src, dst, reqid, NULL, NULL)
	assert_ptr_equal(OUT(&me, &peer, 0), s[1]);
	assert_ptr_equal(OUT(&any, &peer, 0), s[1]);
	assert_ptr_equal(OUT(&me, &peer, 7), s[1]);
	assert_ptr_equal(OUT(&me2, &peer, 7), s[3]);
	assert_ptr_equal(OUT(&me2, &peer, 0), s[3]);
	assert_ptr_equal(OUT(&any, &other, 0), s[6]);
	assert_ptr_equal(OUT(&any, &other, 7), s[6]);
	assert_null(OUT(&any, &peer, 8)); /* that one is transport mode */
	assert_ptr_equal(sadb_out(db, IPSEC_ESP, MODE_TRANSPORT, &me, &peer, 8, NULL, NULL), s[4]);
	assert_ptr_equal(sadb_out(db, IPSEC_ESP, MODE_TRANSPORT, &any, &peer, 0, NULL, NULL), s[4]);
	assert_null(sadb_out(db, IPSEC_ESP, MODE_TRANSPORT, &me, &peer, 7, NULL, NULL));
	assert_ptr_equal(sadb_out(db, IPSEC_AH, MODE_TUNNEL, &me, &peer, 0, NULL, NULL), s[5]);
	assert_null(sadb_out(db, IPSEC_AH, MODE_TUNNEL, &me, &peer, 7, NULL, NULL));
	assert_null(OUT(&other, &peer, 0));
	assert_null(OUT(&any, &me, 0));
	assert_null(OUT(&any, &peer, 10));
	/* a dying SA still sends, a dead one does not: then the next in order */
	s[1]->state = SA_DYING;
	assert_ptr_equal(OUT(&me, &peer, 7), s[1]);
	s[1]->state = SA_DEAD;
	assert_ptr_equal(OUT(&me, &peer, 7), s[7]);
	assert_ptr_equal(OUT(&me, &peer, 0), s[2]);
	s[2]->state = s[7]->state = SA_DEAD;
	assert_null(OUT(&me, &peer, 0));
	assert_ptr_equal(OUT(&any, &peer, 7), s[3]);
	sadb_free(db);
}

static void
encapsulation_ports(void **state)
{
	struct sa *s[] = {bare(IPSEC_ESP, 0x1000, v4(2), v4(1), SA_DIR_IN, 0),
	    bare(IPSEC_ESP, 0x1000, v4(1), v4(2), SA_DIR_OUT, 0),
	    bare(IPSEC_ESP, 0x1001, v4(2), v4(1), SA_DIR_IN, 0)};
	s[0]->p.encap_sport = 4500, s[0]->p.encap_dport = 65535;
	s[1]->p.encap_sport = 4501, s[1]->p.encap_dport = 4502;
	struct sadb *db = take(s, 3);

	for (unsigned port = 0; port < 65536; port++)
		assert_int_equal(sadb_encap_port(db, (uint16_t)port), port == 65535);
	sadb_free(db);
}

/* Random SADs, dense enough that keys meet, against a plain search. */
static void
against_a_plain_search(void **state)
{
	srandom(11);
	for (int round = 0; round < 60; round++) {
		size_t n = 1 + (size_t)random() % 400, kept = 0;
		uint32_t span = 1 + (uint32_t)random() % 30;
		struct sa *s[400];

		while (kept < n) {
			struct sa *sa = bare(random() % 4 ? IPSEC_ESP : IPSEC_AH,
			    0x100 + (uint32_t)random() % 64, v4(span + (uint32_t)random() % 3),
			    random() % 2 ? v4((uint32_t)random() % span)
					 : v6((uint32_t)random() % span),
			    (enum sa_dir)(random() % 3), (uint32_t)random() % 4);
			bool twin = false;

			sa->p.mode = random() % 2 ? MODE_TUNNEL : MODE_TRANSPORT;
			sa->state = random() % 5 ? SA_MATURE : SA_DEAD;
			for (size_t i = 0; i < kept; i++)
				twin |= s[i]->spi == sa->spi && s[i]->p.proto == sa->p.proto &&
					ipaddr_eq(&s[i]->p.dst, &sa->p.dst);
			if (twin) {
				sa_unref(sa);
				n--;
			} else
				s[kept++] = sa;
		}
		n = kept;
		struct sadb *db = take(s, n);
		assert_non_null(db);
		for (int q = 0; q < 4000; q++) {
			enum ipsec_proto proto = random() % 4 ? IPSEC_ESP : IPSEC_AH;
			enum ipsec_mode mode = random() % 2 ? MODE_TUNNEL : MODE_TRANSPORT;
			uint32_t spi = 0x100 + (uint32_t)random() % 64,
				 reqid = (uint32_t)random() % 5;
			struct ipaddr dst = random() % 2 ? v4((uint32_t)random() % (span + 1))
							 : v6((uint32_t)random() % (span + 1));
			struct ipaddr src = random() % 2 ? any : v4(span + (uint32_t)random() % 3);
			struct sa *in = NULL, *out = NULL;

			for (size_t i = 0; i < n; i++) {
				const struct sa_params *p = &s[i]->p;

				if (p->proto != proto || !ipaddr_eq(&p->dst, &dst))
					continue;
				if (p->spi == spi && p->dir != SA_DIR_OUT)
					in = s[i];
				if (out == NULL && p->dir != SA_DIR_IN && p->mode == mode &&
				    (src.af == 0 || ipaddr_eq(&p->src, &src)) &&
				    (reqid == 0 || p->reqid == reqid) && sa_usable(s[i]))
					out = s[i];
			}
			assert_ptr_equal(sadb_in(db, proto, spi, &dst), in);
			assert_ptr_equal(
			    sadb_out(db, proto, mode, &src, &dst, reqid, NULL, NULL), out);
		}
		sadb_free(db);
	}
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { MANY = 100000, LOOKUPS = 1 << 17 };

/* ns a lookup over SAs that all came to one address, best of several. */
static double
cost(const struct sadb *db, size_t n)
{
	static uint32_t spi[LOOKUPS];
	struct ipaddr me = v4(0x0a000001);
	double best = 1e9;
	uintptr_t missing = 0;

	for (size_t i = 0; i < LOOKUPS; i++)
		spi[i] = 0x1000 + (uint32_t)((size_t)random() % n);
	for (int round = 0; round < 7; round++) {
		double t = seconds();

		for (size_t i = 0; i < LOOKUPS; i++)
			missing += sadb_in(db, IPSEC_ESP, spi[i], &me) == NULL;
		t = seconds() - t;
		best = t < best ? t : best;
	}
	assert_int_equal(missing, 0);
	return best / LOOKUPS * 1e9;
}

/* A burst finds what one lookup after the other finds: known ones, SPIs and destinations nobody has, SAs that only send. */
static void
bursts(void **state)
{
	enum { N = 500, ASKED = 300 };
	struct ipaddr dst[3] = {v4(0x0a000001), v4(0x0a000002), v6(1)};
	static struct sa *s[N];
	struct sadb_ask ask[ASKED];
	size_t found = 0;
	struct sadb *db;

	for (uint32_t i = 0; i < N; i++)
		s[i] = bare(i % 3 ? IPSEC_ESP : IPSEC_AH, 0x1000 + i, v4(9), dst[i % 2],
		    i % 5 ? SA_DIR_IN : SA_DIR_OUT, 0);
	db = take(s, N);
	assert_non_null(db);
	for (unsigned n = 0; n <= ASKED; n = n < 3 ? n + 1 : n + 33) {
		for (unsigned i = 0; i < n; i++)
			ask[i] = (struct sadb_ask){.proto = random() % 3 ? IPSEC_ESP : IPSEC_AH,
			    .spi = 0x0f80 + (uint32_t)random() % (N + 256),
			    .dst = &dst[random() % 3],
			    .sa = s[0]};
		sadb_in_burst(db, ask, n);
		for (unsigned i = 0; i < n; i++) {
			assert_ptr_equal(
			    ask[i].sa, sadb_in(db, ask[i].proto, ask[i].spi, ask[i].dst));
			found += ask[i].sa != NULL;
		}
	}
	assert_true(found > 50);
	sadb_free(db);
}

/* 100,000 SAs in each shape that a table may dislike: built in time, and all found. */
static void
many(void **state)
{
	static struct sa *s[MANY];
	double few = 0, most = 0;

	for (int shape = 0; shape < 4; shape++)
		for (size_t n = 10; n <= MANY; n *= 100 * 100) {
			double t;

			for (size_t i = 0; i < n; i++) {
				uint32_t k = (uint32_t)i;

				s[i] = shape == 0 ? bare(IPSEC_ESP, 0x1000 + k, v4(9),
							v4(0x0a000001), SA_DIR_IN, 0)
						  : /* one end */
					   shape == 1 ? bare(IPSEC_ESP, 0x1000, v4(9),
							    v4(0x0b000000 + k), SA_DIR_ANY, 0)
						      : /* many */
					   shape == 2 ? bare(IPSEC_ESP, 0x1000 + k, v4(9), v4(1),
							    SA_DIR_OUT, 1 + k)
						      : /* many reqids */
					   bare(IPSEC_ESP, 0x1000 + (k << 12), v4(9), v6(k % 16),
					       SA_DIR_ANY, 1 + k % 3);
			}
			t = seconds();
			struct sadb *db = take(s, n);
			t = seconds() - t;
			assert_non_null(db);
			if (t > 20)
				fail_msg("shape %d: building %zu took %.1f s", shape, n, t);
			t = seconds();
			for (size_t i = 0; i < n; i++) {
				const struct sa_params *p = &s[i]->p;
				struct sa *in = sadb_in(db, p->proto, p->spi, &p->dst);
				struct sa *out = sadb_out(
				    db, p->proto, p->mode, &p->src, &p->dst, p->reqid, NULL, NULL);

				assert_ptr_equal(in, shape == 2 ? NULL : s[i]);
				if (shape == 1 || shape == 2)
					assert_ptr_equal(out, s[i]);
				else if (shape == 0)
					assert_null(out);
			}
			t = seconds() - t;
			if (t > 20)
				fail_msg("shape %d: looking up %zu took %.1f s", shape, n, t);
			if (shape == 0)
				*(n == 10 ? &few : &most) = cost(db, n);
			sadb_free(db);
		}
	print_message("a lookup among 10: %.1f ns, among %d: %.1f ns\n", few, MANY, most);
	/* A shared machine's caches are not ours, so this says only that the cost does not follow the number. */
	assert_true(most < 40 * few);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty),
	    cmocka_unit_test(inbound_by_all_of_its_name),
	    cmocka_unit_test(twins_are_refused),
	    cmocka_unit_test(outbound_first_usable_in_order),
	    cmocka_unit_test(encapsulation_ports),
	    cmocka_unit_test(against_a_plain_search),
	    cmocka_unit_test(bursts),
	    cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
