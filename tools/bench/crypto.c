/*
 * What one packet costs: nanoseconds to seal and to open, for each back end, by size of the payload, in bursts of 32.
 * For measuring by hand; nothing depends on its figures.  Build bits_bench_crypto with the release preset.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "crypto.h"

#define BURST	32
#define LEN_MAX 1408
#define ROOM	(8 + CRYPTO_IV_MAX + LEN_MAX + CRYPTO_ICV_MAX)
#define SECONDS 0.1 /* for each figure */

static const struct {
	const char *enc, *auth;
} pairs[] = {
    {"aes-128-gcm", NULL},
    {"aes-256-gcm", NULL},
    {"chacha20-poly1305", NULL},
    {"aes-128-ccm", NULL},
    {"aes-128-gmac", NULL},
    {"aes-128", "hmac-sha1"},
    {"aes-128", "hmac-sha2-256"},
    {"aes-256", "hmac-sha2-512"},
    {"aes-128", "aes-xcbc"},
    {"aes-128-ctr", "hmac-sha2-256"},
    {"3des", "hmac-sha1"},
    {"null", "hmac-sha2-256"},
};

static const size_t sizes[] = {64, 576, 1408}; /* whole blocks of every cipher */

static uint8_t wire[BURST][ROOM], clear[BURST][LEN_MAX];

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nanoseconds a packet; the best of five, the others having been disturbed. */
static double
measure(struct crypto *c, bool seal, struct crypto_esp_job *j)
{
	double best = 1e9;

	for (int run = 0; run < 5; run++) {
		double start = now(), took;
		unsigned long n = 0;

		do {
			if (seal)
				crypto_esp_seal(c, j, BURST);
			else
				crypto_esp_open(c, j, BURST);
			n += BURST;
			took = now() - start;
		} while (took < SECONDS / 5);
		if (!j[0].ok || !j[BURST - 1].ok) {
			fprintf(stderr, "%s: not ok\n", c->be->name);
			exit(1);
		}
		best = took / (double)n < best ? took / (double)n : best;
	}
	return best * 1e9;
}

static void
pair(const struct crypto_backend *be, const char *enc, const char *auth)
{
	static const uint8_t key[64] = {1};
	const struct alg *e = alg_enc(enc), *a = auth != NULL ? alg_auth(auth) : NULL;
	size_t len = (size_t)e->key[0] + e->salt, authlen = a != NULL ? a->key[0] : 0;
	struct crypto *seal = be->new (e, key, len, a, key, authlen, false, true);
	struct crypto *open = be->new (e, key, len, a, key, authlen, false, false);
	struct crypto_esp_job j[BURST];

	for (size_t s = 0; seal != NULL && open != NULL && s < sizeof(sizes) / sizeof(sizes[0]);
	     s++) {
		for (int i = 0; i < BURST; i++)
			j[i] = (struct crypto_esp_job){.esp = wire[i],
			    .src = clear[i],
			    .dst = clear[i],
			    .len = (uint32_t)sizes[s]};
		printf("%-18s %-14s %-9s %5zu", enc, auth != NULL ? auth : "-", be->name, sizes[s]);
		printf(" %8.0f", measure(seal, true, j));
		printf(" %8.0f\n", measure(open, false, j));
	}
	crypto_free(seal);
	crypto_free(open);
}

int
main(void)
{
	const struct crypto_backend *backends[2] = {&crypto_ossl};
	unsigned n = 1;

#ifdef BITS_HAVE_IPSEC_MB
	const char *why;

	if (crypto_imb_usable(&why))
		backends[n++] = &crypto_imb;
	else
		fprintf(stderr, "ipsec-mb: %s\n", why);
#endif
	printf("%-18s %-14s %-9s %5s %8s %8s\n", "enc", "auth", "back end", "len", "seal ns",
	    "open ns");
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		for (unsigned b = 0; b < n; b++)
			pair(backends[b], pairs[i].enc, pairs[i].auth);
	return 0;
}
