/* links: bits_sadb */
/*
 * Known answers from files, through every back end there is.  A file is a list of tests; each line a word and its value,
 * octets in hex, hh*n for n times the same:
 *
 *	test NAME       begins one
 *	enc NAME, enckey OCTETS, auth NAME, authkey OCTETS, esn OCTETS (the high half)
 *
 * and one of: packet and clear (an ESP packet with its ICV); iv, clear and text (a cipher without ICV: a MAC of ours goes
 * with it and is not looked at); data, icv and for GMAC iv (a MAC: in pieces as for AH, and as ESP with NULL).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crypto.h"

#define OCTETS_MAX 1200

struct octets {
	uint8_t p[OCTETS_MAX];
	size_t n;
	bool given;
};

struct vector {
	char name[80], enc[32], auth[32];
	struct octets enckey, authkey, esn, packet, clear, iv, text, data, icv;
};

static const struct crypto_backend *const backends[] = {
    &crypto_ossl,
#ifdef BITS_HAVE_IPSEC_MB
    &crypto_imb,
#endif
};

static const struct crypto_backend *be; /* under test */
static unsigned asked;			/* answers it was asked for */

static void
octets_parse(struct octets *o, const char *text)
{
	char *copy = strdup(text), *save = NULL;

	assert_non_null(copy);
	o->given = true;
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		char *star = strchr(w, '*');
		size_t times = star != NULL ? strtoul(star + 1, NULL, 10) : 1;
		size_t n = (star != NULL ? (size_t)(star - w) : strlen(w)) / 2;

		for (; times > 0; times--)
			for (size_t i = 0; i < n; i++) {
				unsigned v;

				assert_true(o->n < OCTETS_MAX);
				assert_int_equal(sscanf(w + 2 * i, "%2x", &v), 1);
				o->p[o->n++] = (uint8_t)v;
			}
	}
	free(copy);
}

static struct crypto *
context(const struct vector *v, const char *enc, const char *auth, const struct octets *authkey,
    bool seal)
{
	const struct alg *e = enc != NULL ? alg_enc(enc) : NULL,
			 *a = auth != NULL ? alg_auth(auth) : NULL;
	struct crypto *c;

	assert_true(enc == NULL || e != NULL);
	assert_true(auth == NULL || a != NULL);
	c = be->new (e, v->enckey.p, v->enckey.n, a, authkey->p, authkey->n, v->esn.given, seal);
	if (c == NULL)
		assert_int_equal(errno, ENOTSUP);
	return c;
}

/* Seal and open one packet of ${v}; ${icv} NULL: not known. */
static void
esp(const struct vector *v, const char *enc, const char *auth, const struct octets *authkey,
    const uint8_t *head, const uint8_t *iv, const struct octets *clear, const uint8_t *text,
    const uint8_t *icv)
{
	uint8_t pkt[OCTETS_MAX + 64] = {0}, got[OCTETS_MAX];
	struct crypto *seal = context(v, enc, auth, authkey, true),
		      *open = context(v, enc, auth, authkey, false);
	struct crypto_esp_job j = {
	    .esp = pkt, .src = clear->p, .dst = got, .len = (uint32_t)clear->n};
	const uint8_t *payload;

	for (int i = 0; i < 4 && v->esn.given; i++)
		j.seq_hi = j.seq_hi << 8 | v->esn.p[i];
	if (seal != NULL) {
		asked++;
		payload = pkt + 8 + seal->iv_len;
		memcpy(pkt, head, 8);
		memcpy(pkt + 8, iv, seal->iv_len);
		crypto_esp_seal(seal, &j, 1);
		assert_true(j.ok);
		assert_memory_equal(pkt, head, 8);
		assert_memory_equal(payload, text, clear->n);
		if (icv != NULL)
			assert_memory_equal(payload + clear->n, icv, seal->icv_len);
	}
	if (open != NULL) {
		memcpy(pkt, head, 8);
		memcpy(pkt + 8, iv, open->iv_len);
		memcpy(pkt + 8 + open->iv_len, text, clear->n);
		if (icv != NULL)
			memcpy(pkt + 8 + open->iv_len + clear->n, icv, open->icv_len);
	}
	if (open != NULL && (icv != NULL || seal != NULL)) {
		crypto_esp_open(open, &j, 1);
		assert_true(j.ok);
		assert_memory_equal(got, clear->p, clear->n);
	}
	crypto_free(seal);
	crypto_free(open);
}

static void
whole_packet(const struct vector *v)
{
	size_t iv = alg_enc(v->enc) != NULL ? alg_enc(v->enc)->iv : 0;
	const uint8_t *payload = v->packet.p + 8 + iv;

	assert_true(v->packet.n > 8 + iv + v->clear.n);
	esp(v, v->enc, v->auth[0] != '\0' ? v->auth : NULL, &v->authkey, v->packet.p,
	    v->packet.p + 8, &v->clear, payload, payload + v->clear.n);
}

static void
cipher(const struct vector *v)
{
	const struct octets key = {.n = 32};
	const uint8_t head[8] = {0};

	assert_int_equal(v->clear.n, v->text.n);
	esp(v, v->enc, "hmac-sha2-256", &key, head, v->iv.p, &v->clear, v->text.p, NULL);
}

/* As AH does it, the data cut at every place in turn, with an empty piece between. */
static void
mac_pieces(const struct vector *v)
{
	struct crypto *c = context(v, NULL, v->auth, &v->authkey, true);
	struct crypto_iov iov[3];
	struct crypto_mac_job j = {.iov = iov, .niov = 3, .iv = v->iv.given ? v->iv.p : NULL};

	if (c == NULL)
		return;
	assert_int_equal(v->icv.n, c->icv_len);
	for (size_t cut = 0; cut <= v->data.n; cut++) {
		iov[0] = (struct crypto_iov){v->data.p, cut};
		iov[1] = (struct crypto_iov){v->data.p, 0};
		iov[2] = (struct crypto_iov){v->data.p + cut, v->data.n - cut};
		asked++;
		crypto_mac(c, &j, 1);
		assert_true(j.ok);
		assert_memory_equal(j.icv, v->icv.p, v->icv.n);
	}
	crypto_free(c);
}

static void
one(const struct vector *v)
{
	print_message("  %s\n", v->name);
	if (v->packet.given)
		whole_packet(v);
	else if (v->text.given)
		cipher(v);
	else {
		struct octets rest = {0};

		assert_true(v->data.given && v->icv.given);
		mac_pieces(v);
		/* ESP with NULL: the first 8 octets take the header's place, the rest is payload. */
		if (!v->iv.given && v->data.n >= 8) {
			rest.n = v->data.n - 8;
			memcpy(rest.p, v->data.p + 8, rest.n);
			esp(v, "null", v->auth, &v->authkey, v->data.p, v->data.p, &rest, rest.p,
			    v->icv.p);
		}
	}
}

static void
set(struct vector *v, const char *word, const char *value)
{
	const struct {
		const char *word;
		struct octets *o;
	} octets[] = {{"enckey", &v->enckey}, {"authkey", &v->authkey}, {"esn", &v->esn},
	    {"packet", &v->packet}, {"clear", &v->clear}, {"iv", &v->iv}, {"text", &v->text},
	    {"data", &v->data}, {"icv", &v->icv}};

	if (strcmp(word, "enc") == 0)
		snprintf(v->enc, sizeof(v->enc), "%s", value);
	else if (strcmp(word, "auth") == 0)
		snprintf(v->auth, sizeof(v->auth), "%s", value);
	else {
		for (size_t i = 0; i < sizeof(octets) / sizeof(octets[0]); i++)
			if (strcmp(word, octets[i].word) == 0) {
				octets_parse(octets[i].o, value);
				return;
			}
		fail_msg("what is \"%s\"?", word);
	}
}

static void
file(void **state)
{
	const char *path = *state;
	static char line[8192];
	struct vector *v = calloc(1, sizeof(*v));
	unsigned tests = 0;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_non_null(v);
	while (fgets(line, sizeof(line), f) != NULL) {
		char *value;

		assert_non_null(strchr(line, '\n')); /* else it is longer than our buffer */
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		value = strchr(line, ' ');
		assert_non_null(value);
		*value++ = '\0';
		if (strcmp(line, "test") != 0) {
			assert_true(tests > 0);
			set(v, line, value);
			continue;
		}
		if (tests++ > 0)
			one(v);
		memset(v, 0, sizeof(*v));
		snprintf(v->name, sizeof(v->name), "%s", value);
	}
	assert_true(tests > 0);
	one(v);
	free(v);
	fclose(f);
}

int
main(void)
{
	struct CMUnitTest *tests;
	glob_t g;
	int failed = 0;

	if (glob(BITS_TEST_DATA "/kat/*.kat", 0, NULL, &g) != 0 || g.gl_pathc == 0) {
		fprintf(stderr, "no vectors in " BITS_TEST_DATA "/kat\n");
		return 1;
	}
	tests = calloc(g.gl_pathc, sizeof(*tests));
	if (tests == NULL)
		return 1;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		tests[i].name = strrchr(g.gl_pathv[i], '/') + 1;
		tests[i].test_func = file;
		tests[i].initial_state = g.gl_pathv[i];
	}
	for (size_t b = 0; b < sizeof(backends) / sizeof(backends[0]); b++) {
		be = backends[b];
		asked = 0;
#ifdef BITS_HAVE_IPSEC_MB
		const char *why;

		if (be == &crypto_imb && !crypto_imb_usable(&why)) {
			print_message("%s: left out: %s\n", be->name, why);
			continue;
		}
#endif
		print_message("%s\n", be->name);
		failed += _cmocka_run_group_tests(be->name, tests, g.gl_pathc, NULL, NULL);
		if (asked < 100) { /* a back end that supports nothing must not pass */
			print_error("%s was asked for %u answers only\n", be->name, asked);
			failed++;
		}
	}
	free(tests);
	globfree(&g);
	return failed;
}
