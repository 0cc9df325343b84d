/*
 * SAs by number: what it costs to find one by its SPI, a packet after the other as a burst has them, in ns; and what one takes of memory,
 * crypto context included, in octets, for each back end.
 *
 *     bits_bench_sad [LOOKUPS]
 *
 * What an SA takes is above 1 KB for two reasons that are not ours to change: OpenSSL keeps a cipher's state in three objects of its
 * own on the heap, and ipsec-mb's GCM wants a table of powers of the hash key in each context, to work on many blocks at once.
 *
 * Inbound SAs of one destination, looked up in random order.  Each figure is the best of some rounds, in the thread's own CPU time.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "sadb.h"

enum { ROUNDS = 7, MANY = 100000, BURST = 64 };

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static uint64_t state = 88172645463325252u;

static uint32_t
rnd(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 11) % n);
}

/* An inbound SA with a key of its own; NULL: not with this back end. */
static struct sa *
make(uint32_t spi, const char *enc, const char *auth)
{
	struct sa_params p;
	uint8_t key[SECRET_MAX] = {0};
	struct sa *sa;

	sa_params_init(&p);
	p.mode = MODE_TRANSPORT;
	p.dir = SA_DIR_IN;
	p.spi = spi;
	ipaddr_parse("192.0.2.2", &p.src);
	ipaddr_parse("192.0.2.1", &p.dst);
	p.enc = alg_enc(enc);
	p.auth = auth ? alg_auth(auth) : NULL;
	for (unsigned i = 0; i < 4; i++)
		key[i] = (uint8_t)(spi >> 8 * i);
	p.enckey = secret_new(key, (size_t)p.enc->key[0] + p.enc->salt);
	if (p.auth)
		p.authkey = secret_new(key, (size_t)p.auth->key[0] + p.auth->salt);
	sa = sa_new(&p, 1);
	sa_params_fini(&p);
	return sa;
}

static uint32_t
spi_of(size_t i)
{
	return 0x1000 + (uint32_t)i * 2654435761u % 0xfff00000u; /* spread, and each its own */
}

static double
lookup(const struct sadb *db, size_t n, size_t lookups)
{
	struct sadb_ask *ask = calloc(lookups, sizeof *ask);
	struct ipaddr dst;
	double best = 1e18;

	if (ask == NULL)
		abort();
	ipaddr_parse("192.0.2.1", &dst);
	for (size_t i = 0; i < lookups; i++)
		ask[i] = (struct sadb_ask){
		    .proto = IPSEC_ESP, .spi = spi_of(rnd((uint32_t)n)), .dst = &dst};
	for (int r = 0; r < ROUNDS; r++) {
		double start = now_ns(), ns;

		for (size_t i = 0; i + BURST <= lookups; i += BURST)
			sadb_in_burst(db, &ask[i], BURST);
		ns = (now_ns() - start) / (double)(lookups / BURST * BURST);
		best = ns < best ? ns : best;
	}
	for (size_t i = 0; i < lookups / BURST * BURST; i++)
		if (ask[i].sa == NULL || ask[i].sa->spi != ask[i].spi)
			abort();
	free(ask);
	return best;
}

/* ${n} SAs; ns a lookup, and octets of memory for each. */
static double
run(size_t n, size_t lookups, double *octets)
{
	struct sa **sa = calloc(n, sizeof *sa);
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	struct sadb *db;
	double ns;

	for (size_t i = 0; i < n; i++)
		if ((sa[i] = make(spi_of(i), "aes-128-gcm", NULL)) == NULL)
			abort();
	*octets = (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / (double)n;
	if ((db = sadb_new(sa, n)) == NULL)
		abort();
	ns = lookup(db, n, lookups);
	sadb_free(db);
	for (size_t i = 0; i < n; i++)
		sa_unref(sa[i]);
	free(sa);
	return ns;
}

static void
sizes(void)
{
	static const struct {
		const char *enc, *auth;
	} t[] = {{"aes-128-gcm", NULL}, {"aes-256-gcm", NULL}, {"chacha20-poly1305", NULL},
	    {"aes-128-ccm", NULL}, {"aes-128", "hmac-sha2-256"}, {"aes-256", "hmac-sha2-512"},
	    {"aes-128-ctr", "hmac-sha2-256"}, {"null", "hmac-sha2-256"}};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct sa *sa = make(0x1000, t[i].enc, t[i].auth);

		if (sa == NULL)
			continue;
		printf("%-10s %-18s %-14s %6zu octets\n", sa->in->be->name, t[i].enc,
		    t[i].auth ? t[i].auth : "-", sa_footprint(sa));
		sa_unref(sa);
	}
}

int
main(int argc, char **argv)
{
	static const char *const backends[] = {"openssl", "ipsec-mb"};
	size_t lookups = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	double few, many, octets;
	const char *why;

	for (int b = 0; b < 2; b++) {
		if (crypto_select(backends[b], &why) == -1)
			continue;
		printf("struct sa: %zu octets\n", sizeof(struct sa));
		sizes();
		few = run(10, lookups, &octets);
		many = run(MANY, lookups, &octets);
		printf("%-10s lookup by SPI: %.1f ns of 10, %.1f ns of %d, ratio %.2f; %.0f octets "
		       "an SA, aes-128-gcm\n",
		    backends[b], few, many, MANY, many / few, octets);
	}
	return 0;
}
