/* Random octets for IVs: the system's generator, and a seeded one that gives the same octets every time. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "crypto.h"

/*
 * The DRBG costs about as much for 512 octets as for 16, so each thread draws ahead.  What was handed out is wiped,
 * and a child process must not hand out what its parent does: it sees another count of forks and draws anew.
 */
struct rng_sys {
	struct rng r;
	unsigned forks;
	size_t left;
	uint8_t buf[512];
};

struct rng_seed {
	struct rng r;
	EVP_CIPHER_CTX *stream;
};

static unsigned forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
forked(void)
{
	forks++;
}

static void
watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, forked) != 0)
		abort();
}

/* An IV that is not random would be worse than no daemon. */
static void
draw(uint8_t *out, size_t n)
{
	if (RAND_bytes(out, (int)n) != 1)
		abort();
}

static void
sys_fill(struct rng *r, uint8_t *out, size_t n)
{
	struct rng_sys *s = (struct rng_sys *)r;

	if (n > sizeof(s->buf)) {
		while (n > 0) {
			size_t part = n < (1U << 20) ? n : (1U << 20);

			draw(out, part);
			out += part;
			n -= part;
		}
		return;
	}
	if (n > s->left || s->forks != forks) {
		draw(s->buf, sizeof(s->buf));
		s->left = sizeof(s->buf);
		s->forks = forks;
	}
	memcpy(out, s->buf + s->left - n, n);
	memset(s->buf + s->left - n, 0, n);
	s->left -= n;
}

/** rng_system(): the system's generator (libcrypto's DRBG); aborts when it fails.  One per thread, static. */
struct rng *
rng_system(void)
{
	static _Thread_local struct rng_sys s = {.r = {.fill = sys_fill}};

	pthread_once(&once, watch_forks);
	return &s.r;
}

static void
seed_fill(struct rng *r, uint8_t *out, size_t n)
{
	struct rng_seed *s = (struct rng_seed *)r;
	int done;

	while (n > 0) {
		int part = n < (1U << 20) ? (int)n : (1 << 20);

		memset(out, 0, (size_t)part);
		if (EVP_EncryptUpdate(s->stream, out, &done, out, part) != 1)
			abort();
		out += part;
		n -= (size_t)part;
	}
}

/** rng_seeded(seed): the same octets every time for one seed: replay and tests only, never for traffic.  free: rng_free. */
struct rng *
rng_seeded(uint64_t seed)
{
	/* ChaCha20's key stream; key: the seed, low octet first, then zeroes; counter and nonce zero. */
	uint8_t key[32] = {0};
	const uint8_t iv[16] = {0};
	EVP_CIPHER *chacha = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
	struct rng_seed *s = calloc(1, sizeof(*s));

	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(seed >> (8 * i));
	if (s != NULL)
		s->stream = EVP_CIPHER_CTX_new();
	if (chacha == NULL || s == NULL || s->stream == NULL ||
	    EVP_EncryptInit_ex2(s->stream, chacha, key, iv, NULL) != 1)
		goto err;
	EVP_CIPHER_free(chacha);
	s->r.fill = seed_fill;
	return &s->r;

err:
	if (s != NULL)
		EVP_CIPHER_CTX_free(s->stream);
	free(s);
	errno = chacha == NULL ? ENOTSUP : ENOMEM;
	EVP_CIPHER_free(chacha);
	return NULL;
}

/** rng_free(r): of rng_seeded(); the system's and NULL are left alone. */
void
rng_free(struct rng *r)
{
	struct rng_seed *s = (struct rng_seed *)r;

	if (r == NULL || r->fill != seed_fill)
		return;
	EVP_CIPHER_CTX_free(s->stream);
	free(s);
}
