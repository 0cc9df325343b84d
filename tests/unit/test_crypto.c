/* links: bits_sadb */
/* Contexts: every algorithm through every back end, against each other, forged, in bursts; selection and randomness. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "crypto.h"

#define LEN_MAX	  65472 /* of a payload: header, IV and ICV must still fit an IP datagram */
#define BEFORE	  (8 + CRYPTO_IV_MAX)
#define ROOM(len) (BEFORE + (len) + CRYPTO_ICV_MAX)

static const struct crypto_backend *backends[2] = {&crypto_ossl};
static unsigned nbackends = 1;
static _Thread_local struct rng *rng;

/* A pair to protect with; auth NULL: AEAD. */
struct pair {
	const struct alg *enc, *auth;
	size_t keylen;
	bool esn;
};

static uint8_t enckey[64], authkey[64];

static struct crypto *
context(const struct crypto_backend *be, const struct pair *p, bool seal)
{
	errno = 0;
	return be->new (p->enc, enckey, p->keylen, p->auth, authkey,
	    p->auth != NULL ? p->auth->key[0] : 0, p->esn, seal);
}

/* What the second back end may leave to OpenSSL; anything else it refuses is a fault. */
static bool
may_lack(const struct crypto_backend *be, const struct pair *p, bool seal)
{
	if (be == &crypto_ossl)
		return false;
	return strcmp(p->enc->name, "3des") == 0 ||
	       (p->enc->kind == ALG_CCM && p->keylen == 24 + 3) ||
	       (p->auth != NULL && p->esn && !seal);
}

static struct crypto *
context_or_lack(const struct crypto_backend *be, const struct pair *p, bool seal)
{
	struct crypto *c = context(be, p, seal);

	if (c == NULL) {
		assert_int_equal(errno, ENOTSUP);
		assert_true(may_lack(be, p, seal));
	} else
		assert_ptr_equal(c->be, be);
	return c;
}

/* Every row and key length; a cipher without integrity with one MAC, NULL and AES-128 with all of them. */
static void
each_pair(void (*f)(const struct pair *p))
{
	const struct alg *e, *a;

	for (size_t i = 0; (e = alg_at(i)) != NULL; i++)
		for (int k = 0; !e->is_auth && k < 3 && (k == 0 || e->key[k] != 0); k++)
			for (int esn = 0; esn < 2; esn++) {
				struct pair p = {e, NULL, (size_t)e->key[k] + e->salt, esn != 0};
				bool all = e->kind == ALG_NULL || strcmp(e->name, "aes-128") == 0;

				if (e->aead) {
					f(&p);
					continue;
				}
				for (size_t m = 0; (a = alg_at(m)) != NULL; m++) {
					p.auth = a;
					if (a->is_auth && a->kind != ALG_AH_GMAC &&
					    (all || strcmp(a->name, "hmac-sha2-256") == 0))
						f(&p);
				}
			}
}

/* A packet and its places: in the wire's form, the clear text, where it is opened to. */
struct packet {
	struct crypto_esp_job j;
	uint8_t *wire, *clear, *got;
	uint8_t mem[];
};

static struct packet *
packet_new(size_t len)
{
	struct packet *p = calloc(1, sizeof(*p) + ROOM(len) + 2 * len);

	assert_non_null(p);
	p->clear = p->mem;
	p->got = p->clear + len;
	p->wire = p->got + len; /* last, so that a write behind it is seen */
	rng->fill(rng, p->wire, BEFORE);
	rng->fill(rng, p->clear, len);
	p->j = (struct crypto_esp_job){
	    .esp = p->wire, .src = p->clear, .dst = p->got, .len = (uint32_t)len, .seq_hi = 7};
	return p;
}

static size_t
wire_len(const struct crypto *c, const struct packet *p)
{
	return 8U + c->iv_len + p->j.len + c->icv_len;
}

static void
seal_here(struct crypto *c, struct packet *p, bool in_place)
{
	uint8_t *payload = p->wire + 8 + c->iv_len;

	p->j.src = p->clear;
	if (in_place)
		p->j.src = memcpy(payload, p->clear, p->j.len);
	p->j.ok = false;
	memset(payload + p->j.len, 0xee, CRYPTO_ICV_MAX);
	crypto_esp_seal(c, &p->j, 1);
	assert_true(p->j.ok);
	/* Nothing is written behind the ICV. */
	for (int i = c->icv_len; i < CRYPTO_ICV_MAX; i++)
		assert_int_equal(payload[p->j.len + (unsigned)i], 0xee);
}

static void
open_right(struct crypto *c, struct packet *p, bool in_place)
{
	uint8_t *payload = p->wire + 8 + c->iv_len;

	p->j.dst = in_place ? payload : p->got;
	memset(p->got, 0xdd, p->j.len);
	p->j.ok = false;
	crypto_esp_open(c, &p->j, 1);
	assert_true(p->j.ok);
	assert_memory_equal(p->j.dst, p->clear, p->j.len);
}

/* Sealed by each back end, in place and not, the octets are the same; each opens it, in place and not. */
static void
agree_at(
    const struct pair *pair, struct crypto *const seal[], struct crypto *const open[], size_t len)
{
	struct packet *p = packet_new(len), *first = packet_new(len);
	size_t n = wire_len(seal[0], p);

	for (unsigned s = 0; s < nbackends; s++)
		for (int in_place = 0; in_place < 2 && seal[s] != NULL; in_place++) {
			seal_here(seal[s], p, in_place != 0);
			if (s == 0 && in_place == 0)
				memcpy(first->wire, p->wire, n);
			assert_memory_equal(p->wire, first->wire, n);
		}
	for (unsigned o = 0; o < nbackends; o++)
		for (int in_place = 0; in_place < 2 && open[o] != NULL; in_place++) {
			memcpy(p->wire, first->wire, n);
			open_right(open[o], p, in_place != 0);
			if (!in_place)
				assert_memory_equal(p->wire, first->wire, n);
		}
	if (len >= 16 && pair->enc->kind != ALG_NULL && pair->enc->kind != ALG_GMAC)
		assert_memory_not_equal(first->wire + 8 + seal[0]->iv_len, p->clear, len);
	free(first);
	free(p);
}

static void
agree(const struct pair *p)
{
	struct crypto *seal[2] = {NULL, NULL}, *open[2] = {NULL, NULL};
	const size_t large[] = {1376, 1500, 4096, 9000, 65504 / 2, LEN_MAX};
	size_t block = p->enc->block;

	for (unsigned b = 0; b < nbackends; b++) {
		seal[b] = context_or_lack(backends[b], p, true);
		open[b] = context_or_lack(backends[b], p, false);
	}
	assert_int_equal(seal[0]->iv_len, p->enc->iv);
	assert_int_equal(seal[0]->icv_len, p->auth != NULL ? p->auth->icv : p->enc->icv);
	assert_int_equal(seal[0]->block, block > 4 ? block : 4);
	for (size_t len = 0; len <= 300; len += block)
		agree_at(p, seal, open, len);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		agree_at(p, seal, open, large[i] / block * block);
	for (unsigned b = 0; b < nbackends; b++) {
		crypto_free(seal[b]);
		crypto_free(open[b]);
	}
}

static void
all_agree(void **state)
{
	each_pair(agree);
}

/* No 8 octets of the clear text stand at the same place of ${dst}, but where it was left as it was on the wire. */
static void
assert_no_clear_text(const struct packet *p, const uint8_t *dst, const uint8_t *before)
{
	bool same = memcmp(dst, before, p->j.len) == 0;

	for (size_t i = 0; !same && i + 8 <= p->j.len; i++)
		assert_memory_not_equal(dst + i, p->clear + i, 8);
}

/* Any bit changed anywhere, or another high half: refused, nothing of the clear text is there, nothing else is touched. */
static void
forge(const struct pair *pair)
{
	for (unsigned b = 0; b < nbackends; b++) {
		struct crypto *seal = context(&crypto_ossl, pair, true),
			      *open = context_or_lack(backends[b], pair, false);
		struct packet *p = packet_new(48), *before = packet_new(48);
		size_t n = wire_len(seal, p);
		uint8_t *payload = p->wire + 8 + seal->iv_len;

		seal_here(seal, p, false);
		for (size_t bit = 0; open != NULL && bit < 8 * n; bit++)
			for (int in_place = 0; in_place < 2; in_place++) {
				p->wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
				memcpy(before->wire, p->wire, n);
				memset(p->got, 0xdd, 48);
				p->j.dst = in_place ? payload : p->got;
				p->j.ok = true;
				crypto_esp_open(open, &p->j, 1);
				assert_false(p->j.ok);
				if (in_place)
					assert_no_clear_text(
					    p, payload, before->wire + 8 + seal->iv_len);
				else {
					memset(before->got, 0xdd, 48);
					assert_no_clear_text(p, p->got, before->got);
					assert_memory_equal(p->wire, before->wire, n);
				}
				memcpy(p->wire, before->wire, n);
				p->wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
		if (open != NULL) {
			p->j.seq_hi++;
			p->j.dst = p->got;
			crypto_esp_open(open, &p->j, 1);
			assert_true(p->j.ok == !pair->esn);
			p->j.seq_hi--;
			open_right(
			    open, p, true); /* what was refused left no trace in the context */
		}
		crypto_free(seal);
		crypto_free(open);
		free(before);
		free(p);
	}
}

static void
all_refuse_forgery(void **state)
{
	each_pair(forge);
}

/* Bursts of all sizes, lengths mixed, some forged: each packet has its own verdict and its own octets. */
static void
burst(const struct pair *pair)
{
	for (unsigned b = 0; b < nbackends; b++) {
		struct crypto *seal = context_or_lack(backends[b], pair, true);
		struct crypto *open = context_or_lack(backends[b], pair, false);
		struct crypto *alone = context(&crypto_ossl, pair, true);
		static struct packet *p[80];
		struct crypto_esp_job j[80];
		struct packet *one = packet_new(100 * 16);

		for (unsigned i = 0; i < 80; i++)
			p[i] = packet_new((i * 37 % 100) * pair->enc->block);
		for (unsigned n = 1; n <= 80; n += n < 8 ? 1 : 9) {
			for (unsigned i = 0; i < n; i++) {
				p[i]->j.src = p[i]->clear;
				p[i]->j.dst = p[i]->got;
				j[i] = p[i]->j;
				j[i].ok = false;
			}
			if (seal != NULL)
				crypto_esp_seal(seal, j, n);
			for (unsigned i = 0; i < n; i++) {
				size_t len = wire_len(alone, p[i]);

				one->j = p[i]->j;
				one->j.esp = one->wire;
				memcpy(one->wire, p[i]->wire, BEFORE);
				crypto_esp_seal(alone, &one->j, 1);
				assert_true(one->j.ok);
				if (seal != NULL) {
					assert_true(j[i].ok);
					assert_memory_equal(p[i]->wire, one->wire, len);
				}
				memcpy(p[i]->wire, one->wire, len);
				if (i % 5 == 2)
					p[i]->wire[len - 1] ^= 4;
				memset(p[i]->got, 0xdd, p[i]->j.len);
				j[i].ok = i % 5 == 2;
			}
			if (open != NULL)
				crypto_esp_open(open, j, n);
			for (unsigned i = 0; i < n && open != NULL; i++) {
				assert_true(j[i].ok == (i % 5 != 2));
				if (j[i].ok)
					assert_memory_equal(p[i]->got, p[i]->clear, p[i]->j.len);
				else {
					memset(one->got, 0xdd, p[i]->j.len);
					assert_no_clear_text(p[i], p[i]->got, one->got);
				}
			}
		}
		for (unsigned i = 0; i < 80; i++)
			free(p[i]);
		free(one);
		crypto_free(seal);
		crypto_free(open);
		crypto_free(alone);
	}
}

static void
all_in_bursts(void **state)
{
	each_pair(burst);
}

/* What cannot be whole blocks is refused, in a burst whose others go through; and a length no packet has. */
static void
odd_lengths(void **state)
{
	const struct pair pair = {alg_enc("aes-128"), alg_auth("hmac-sha1"), 16, false};

	for (unsigned b = 0; b < nbackends; b++) {
		struct crypto *seal = context(backends[b], &pair, true),
			      *open = context(backends[b], &pair, false);
		struct packet *p[3] = {packet_new(32), packet_new(33), packet_new(16)};
		struct crypto_esp_job j[3];

		for (int i = 0; i < 3; i++)
			j[i] = p[i]->j;
		j[1].ok = true;
		crypto_esp_seal(seal, j, 3);
		assert_true(j[0].ok && !j[1].ok && j[2].ok);
		j[1].ok = true;
		crypto_esp_open(open, j, 3);
		assert_true(j[0].ok && !j[1].ok && j[2].ok);
		j[0].len = UINT32_MAX - 15;
		crypto_esp_seal(seal, j, 1);
		assert_false(j[0].ok);
		j[0].ok = true;
		crypto_esp_open(open, j, 1);
		assert_false(j[0].ok);
		for (int i = 0; i < 3; i++)
			free(p[i]);
		crypto_free(seal);
		crypto_free(open);
	}
}

/* Opened elsewhere, a packet is only read: it may lie in memory that cannot be written. */
static void
open_read_only(const struct pair *pair)
{
	for (unsigned b = 0; b < nbackends; b++) {
		struct crypto *seal = context(&crypto_ossl, pair, true),
			      *open = context(backends[b], pair, false);
		struct packet *p = packet_new(480);
		uint8_t *ro =
		    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_ptr_not_equal(ro, MAP_FAILED);
		seal_here(seal, p, false);
		memcpy(ro, p->wire, wire_len(seal, p));
		assert_int_equal(mprotect(ro, 4096, PROT_READ), 0);
		p->j.esp = ro;
		if (open != NULL) {
			crypto_esp_open(open, &p->j, 1);
			assert_true(p->j.ok);
			assert_memory_equal(p->got, p->clear, 480);
		}
		assert_int_equal(munmap(ro, 4096), 0);
		free(p);
		crypto_free(seal);
		crypto_free(open);
	}
}

static void
all_open_read_only(void **state)
{
	each_pair(open_read_only);
}

/* OpenSSL's heap, counted. */
static unsigned long allocations;

static void *
count_malloc(size_t n, const char *where, int line)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return malloc(n);
}

static void *
count_realloc(void *p, size_t n, const char *where, int line)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return realloc(p, n);
}

static void
count_free(void *p, const char *where, int line)
{
	free(p);
}

/* No heap per packet, but for the two small blocks that OpenSSL's HMAC takes whatever is done. */
static void
allocates_nothing(const struct pair *pair)
{
	struct crypto *seal = context(&crypto_ossl, pair, true),
		      *open = context(&crypto_ossl, pair, false);
	struct packet *p = packet_new(480);
	unsigned long before = allocations;

	assert_true(before > 0);
	for (int i = 0; i < 10; i++) {
		seal_here(seal, p, false);
		open_right(open, p, false);
	}
	if (pair->auth != NULL && pair->auth->kind == ALG_HMAC)
		assert_true(allocations - before <= 2 * 20);
	else
		assert_int_equal(allocations, before);
	free(p);
	crypto_free(seal);
	crypto_free(open);
}

static void
all_allocate_nothing(void **state)
{
	each_pair(allocates_nothing);
}

/* AH: pieces as one; a bit more or less shows; GMAC without an IV is refused. */
static void
ah(void **state)
{
	uint8_t msg[200], iv[8], whole[CRYPTO_ICV_MAX];
	const struct alg *a;
	unsigned seen = 0;

	rng->fill(rng, msg, sizeof(msg));
	rng->fill(rng, iv, sizeof(iv));
	for (size_t i = 0; (a = alg_at(i)) != NULL; i++) {
		struct crypto_iov iov[4] = {{msg, 200}};
		struct crypto_mac_job j[2] = {
		    {.iov = iov, .niov = 1, .iv = iv}, {.iov = iov, .niov = 4}};
		struct crypto *c;

		if (!a->is_auth)
			continue;
		seen++;
		c = crypto_ossl.new(
		    NULL, NULL, 0, a, authkey, a->key[0] + (size_t)a->salt, false, true);
		assert_non_null(c);
		assert_int_equal(c->icv_len, a->icv);
		assert_int_equal(c->iv_len, a->iv);
		crypto_mac(c, j, 1);
		assert_true(j[0].ok);
		memcpy(whole, j[0].icv, a->icv);
		for (size_t cut = 0; cut < 100; cut++) {
			iov[0] = (struct crypto_iov){msg, cut};
			iov[1] = (struct crypto_iov){msg + cut, 16};
			iov[2] = (struct crypto_iov){msg + cut + 16, 64};
			iov[3] = (struct crypto_iov){msg + cut + 80, 120 - cut};
			j[1].iv = iv;
			crypto_mac(c, &j[1], 1);
			assert_true(j[1].ok);
			assert_true(crypto_equal(j[1].icv, whole, a->icv));
		}
		msg[199] ^= 1;
		crypto_mac(c, &j[1], 1);
		assert_false(crypto_equal(j[1].icv, whole, a->icv));
		msg[199] ^= 1;
		j[1].iv = NULL;
		crypto_mac(c, &j[1], 1);
		assert_true(j[1].ok == (a->kind != ALG_AH_GMAC));
		crypto_free(c);
	}
	assert_int_equal(seen, 10);
}

/* Pairs that protect nothing, or twice, and keys of the wrong length. */
static void
refused_pairs(void **state)
{
	const struct alg *cbc = alg_enc("aes-128"), *gcm = alg_enc("aes-128-gcm"),
			 *null = alg_enc("null");
	const struct alg *sha = alg_auth("hmac-sha2-256"), *gmac = alg_auth("aes-128-gmac");

	for (unsigned b = 0; b < nbackends; b++) {
		const struct {
			const struct alg *enc, *auth;
			size_t enclen, authlen;
		} bad[] = {
		    {cbc, NULL, 16, 0},
		    {null, NULL, 0, 0},
		    {NULL, NULL, 0, 0},
		    {gcm, sha, 20, 32},
		    {cbc, gmac, 16, 20},
		    {null, gmac, 0, 20},
		    {sha, NULL, 32, 0},
		    {cbc, cbc, 16, 16},
		    {NULL, cbc, 0, 16},
		    {gcm, NULL, 16, 0},
		    {gcm, NULL, 0, 0},
		    {cbc, sha, 20, 32},
		    {cbc, sha, 16, 31},
		    {null, sha, 16, 32},
		    {NULL, sha, 0, 64},
		};

		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			errno = 0;
			assert_null(backends[b]->new (bad[i].enc, enckey, bad[i].enclen,
			    bad[i].auth, authkey, bad[i].authlen, false, true));
			assert_int_equal(errno, EINVAL);
		}
	}
	crypto_free(NULL);
}

/* Every row of the table has its known answer with OpenSSL; rows of several key lengths by the rows of one. */
struct answers {
	unsigned n, supported, wrong;
	const char *alg;
	bool found;
};

static void
hear(void *ctx, const struct crypto_kat_result *r)
{
	struct answers *a = ctx;

	a->n++;
	a->supported += r->supported;
	a->wrong += r->supported && !r->ok;
	if (a->alg != NULL && strcmp(a->alg, r->alg) == 0 && r->supported && r->ok)
		a->found = true;
}

static void
known_answers(void **state)
{
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++) {
		struct answers a = {.alg = alg->name};

		assert_int_equal(crypto_kat_run(&crypto_ossl, hear, &a), 0);
		assert_int_equal(a.supported, a.n);
		if (alg->key[1] == 0 && alg->kind != ALG_NULL && !a.found)
			fail_msg("%s has no known answer", alg->name);
	}
	if (nbackends == 2) {
		struct answers a = {0};

		assert_int_equal(crypto_kat_run(backends[1], hear, &a), 0);
		assert_true(a.supported > a.n / 2);
	}
}

/* A back end that computes something else: OpenSSL with one bit of what it sealed, opened or summed up turned. */
static bool break_open;

static void
bad_seal(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	crypto_ossl.esp_seal(c, j, n);
	if (!break_open)
		j->esp[8 + c->iv_len + j->len] ^= 1;
}

static void
bad_open(struct crypto *c, struct crypto_esp_job *j, unsigned n)
{
	crypto_ossl.esp_open(c, j, n);
	if (break_open)
		j->ok = true; /* all is well, whatever the ICV */
}

static void
bad_mac(struct crypto *c, struct crypto_mac_job *j, unsigned n)
{
	crypto_ossl.mac(c, j, n);
	j->icv[0] ^= 1;
}

static struct crypto_backend bad;

static struct crypto *
bad_new(const struct alg *enc, const uint8_t *ek, size_t el, const struct alg *auth,
    const uint8_t *ak, size_t al, bool esn, bool seal)
{
	struct crypto *c = crypto_ossl.new(enc, ek, el, auth, ak, al, esn, seal);

	if (c != NULL)
		c->be = &bad;
	return c;
}

static void
known_answers_catch(void **state)
{
	struct answers a = {0};

	bad = crypto_ossl;
	bad.new = bad_new;
	bad.esp_seal = bad_seal;
	bad.esp_open = bad_open;
	bad.mac = bad_mac;
	break_open = false;
	assert_true(crypto_kat_run(&bad, hear, &a) > 0);
	assert_int_equal(a.wrong, a.n);
	memset(&a, 0, sizeof(a));
	break_open = true;
	bad.mac = crypto_ossl.mac;
	crypto_kat_run(&bad, hear, &a);
	assert_int_equal(a.n - a.wrong, 10); /* all but AH's, which opens nothing */
}

static void
selection(void **state)
{
	const struct pair des = {alg_enc("3des"), alg_auth("hmac-sha1"), 24, false};
	const struct pair gcm = {alg_enc("aes-128-gcm"), NULL, 20, false};
	const char *why = NULL;
	struct crypto *c;

	assert_string_equal(crypto_backend_name(), "openssl"); /* until something is chosen */
	assert_int_equal(crypto_select("rot13", &why), -1);
	assert_non_null(why);
	assert_int_equal(crypto_select("openssl", &why), 0);
	c = crypto_new(gcm.enc, enckey, 20, NULL, NULL, 0, false, true);
	assert_non_null(c);
	assert_string_equal(c->be->name, "openssl");
	crypto_free(c);

	assert_int_equal(crypto_select("auto", &why), 0);
	assert_string_equal(crypto_backend_name(), nbackends == 2 ? "ipsec-mb" : "openssl");
	assert_int_equal(crypto_select("ipsec-mb", &why), nbackends == 2 ? 0 : -1);
	c = crypto_new(gcm.enc, enckey, 20, NULL, NULL, 0, false, true);
	assert_non_null(c);
	assert_string_equal(c->be->name, crypto_backend_name());
	assert_true(c->be->footprint(c) > 500 && c->be->footprint(c) < 4096);
	crypto_free(c);

	/* What it lacks comes from OpenSSL: a cipher, AH. */
	c = crypto_new(des.enc, enckey, 24, des.auth, authkey, 20, false, true);
	assert_non_null(c);
	assert_string_equal(c->be->name, "openssl");
	crypto_free(c);
	c = crypto_new(NULL, NULL, 0, des.auth, authkey, 20, false, true);
	assert_non_null(c);
	assert_string_equal(c->be->name, "openssl");
	assert_true(c->be->footprint(c) > 500 && c->be->footprint(c) < 4096);
	crypto_free(c);
	errno = 0;
	assert_null(crypto_new(gcm.enc, enckey, 19, NULL, NULL, 0, false, true));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(crypto_select("openssl", &why), 0);
}

/* Two threads at once, each with contexts of its own, none seeing the other's. */
static void *
worker(void *arg)
{
	struct pair pair = {alg_enc("aes-256"), alg_auth("hmac-sha2-256"), 32, false};
	const struct crypto_backend *be = arg;
	struct crypto *seal = context(be, &pair, true), *open = context(be, &pair, false);
	struct packet *p[16];
	struct crypto_esp_job j[16];
	bool ok = true;

	rng = rng_system();
	for (int i = 0; i < 16; i++)
		p[i] = packet_new(128);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 16; i++) {
			rng->fill(rng, p[i]->wire, BEFORE);
			rng->fill(rng, p[i]->clear, 128);
			j[i] = p[i]->j;
		}
		crypto_esp_seal(seal, j, 16);
		crypto_esp_open(open, j, 16);
		for (int i = 0; i < 16; i++)
			ok = ok && j[i].ok && memcmp(p[i]->got, p[i]->clear, 128) == 0;
	}
	for (int i = 0; i < 16; i++)
		free(p[i]);
	crypto_free(seal);
	crypto_free(open);
	return ok ? arg : NULL;
}

static void
threads(void **state)
{
	for (unsigned b = 0; b < nbackends; b++) {
		pthread_t t[2];
		void *r;

		for (int i = 0; i < 2; i++)
			assert_int_equal(
			    pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)backends[b]), 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(pthread_join(t[i], &r), 0);
			assert_ptr_equal(r, backends[b]);
		}
	}
}

static void
equal(void **state)
{
	uint8_t a[16] = {1, 2, 3}, b[16] = {1, 2, 3};

	assert_true(crypto_equal(a, b, 16));
	for (int bit = 0; bit < 128; bit++) {
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(crypto_equal(a, b, 16));
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	b[15] = 9;
	assert_true(crypto_equal(a, b, 15));
}

/* One seed, one stream, however it is cut; its first octets are ChaCha20's for key 0 (RFC 8439 A.1, test vector 1). */
static void
seeded(void **state)
{
	static const uint8_t zero_key[16] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40,
	    0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
	struct rng *a = rng_seeded(0), *b = rng_seeded(0), *c = rng_seeded(1);
	uint8_t x[3000], y[3000];

	assert_true(a != NULL && b != NULL && c != NULL);
	a->fill(a, x, sizeof(x));
	assert_memory_equal(x, zero_key, sizeof(zero_key));
	for (size_t at = 0, n = 1; at < sizeof(y); at += n, n = n * 2 % 97) {
		n = n < sizeof(y) - at ? n : sizeof(y) - at;
		b->fill(b, y + at, n);
	}
	assert_memory_equal(x, y, sizeof(x));
	c->fill(c, y, sizeof(y));
	assert_memory_not_equal(x, y, 16);
	rng_free(a);
	rng_free(b);
	rng_free(c);
	rng_free(NULL);
	rng_free(rng_system()); /* left alone */
}

/* The system's: no 16 octets twice in many, large requests served, and a child process goes another way. */
static void
system_rng(void **state)
{
	struct rng *r = rng_system();
	static uint8_t seen[500][16];
	uint8_t large[5000] = {0}, parent[16], child[16];
	unsigned zero = 0;
	int fd[2];
	pid_t pid;

	for (int i = 0; i < 500; i++) {
		r->fill(r, seen[i], 16);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(seen[i], seen[k], 16);
	}
	r->fill(r, large, sizeof(large));
	for (size_t i = 0; i < sizeof(large); i++)
		zero += large[i] == 0;
	assert_true(zero < 100); /* 20 expected */

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		r->fill(r, child, sizeof(child));
		_exit(write(fd[1], child, sizeof(child)) == sizeof(child) ? 0 : 1);
	}
	r->fill(r, parent, sizeof(parent));
	assert_int_equal(read(fd[0], child, sizeof(child)), sizeof(child));
	assert_memory_not_equal(parent, child, sizeof(child));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fd[0]);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(selection),
	    cmocka_unit_test(all_agree),
	    cmocka_unit_test(all_refuse_forgery),
	    cmocka_unit_test(all_in_bursts),
	    cmocka_unit_test(odd_lengths),
	    cmocka_unit_test(all_open_read_only),
	    cmocka_unit_test(all_allocate_nothing),
	    cmocka_unit_test(ah),
	    cmocka_unit_test(refused_pairs),
	    cmocka_unit_test(known_answers),
	    cmocka_unit_test(known_answers_catch),
	    cmocka_unit_test(threads),
	    cmocka_unit_test(equal),
	    cmocka_unit_test(seeded),
	    cmocka_unit_test(system_rng),
	};
	int failed;

	if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
		return 1;
#ifdef BITS_HAVE_IPSEC_MB
	const char *why;

	if (crypto_imb_usable(&why))
		backends[nbackends++] = &crypto_imb;
	else
		print_message("ipsec-mb left out: %s\n", why);
#endif
	rng = rng_seeded(42);
	if (rng == NULL)
		return 1;
	rng->fill(rng, enckey, sizeof(enckey));
	rng->fill(rng, authkey, sizeof(authkey));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rng_free(rng);
	return failed;
}
