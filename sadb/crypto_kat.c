/*
 * Known answers, run at start-up through the back end chosen: each algorithm seals one packet, opens it, and must refuse
 * it with one bit changed.  The answers are not ours: tests/kat/make_vectors.py makes the rows with other libraries.
 */
#include <errno.h>
#include "crypto_head.h"

#define SPI	0x01020304
#define SEQ	0x0a0b0c0d
#define SEQ_HI	0x00000005
#define PAYLOAD 32

struct row {
	const char *enc;  /* NULL: AH */
	const char *auth; /* NULL: AEAD */
	bool esn;
	const char *text; /* payload on the wire; NULL: as it was */
	const char *icv;
};

static const struct row rows[] = {
#include "crypto_kat_rows.h"
};

static unsigned
nibble(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static bool
is_hex(const uint8_t *p, size_t n, const char *hex)
{
	for (size_t i = 0; i < n; i++)
		if (hex[2 * i] == '\0' ||
		    p[i] != (nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1])))
			return false;
	return hex[2 * n] == '\0';
}

/* Octets from, from + 1, ...: keys, IVs and payloads of the rows are these. */
static void
count_up(uint8_t *p, size_t n, unsigned from)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(from + i);
}

static size_t
key_octets(const struct alg *a)
{
	return a == NULL ? 0 : (size_t)a->key[0] + a->salt;
}

static struct crypto *
context(const struct crypto_backend *be, const struct row *r, bool seal)
{
	const struct alg *enc = r->enc != NULL ? alg_enc(r->enc) : NULL;
	const struct alg *auth = r->auth != NULL ? alg_auth(r->auth) : NULL;
	uint8_t enckey[64], authkey[64];

	if ((r->enc != NULL && enc == NULL) || (r->auth != NULL && auth == NULL)) {
		errno = EINVAL;
		return NULL;
	}
	count_up(enckey, sizeof(enckey), 0x10);
	count_up(authkey, sizeof(authkey), 0x80);
	return be->new (
	    enc, enckey, key_octets(enc), auth, authkey, key_octets(auth), r->esn, seal);
}

/* Do ${seal}'s lanes, all in use at once, say what one alone says?  (Else one packet at a time would be all that is ever asked.) */
static bool
esp_alike(struct crypto *seal)
{
	enum { N = 17, SIZE = 8 + CRYPTO_IV_MAX + PAYLOAD + CRYPTO_ICV_MAX };
	struct crypto_esp_job j[N];
	uint8_t pkt[N][SIZE] = {{0}}, clear[PAYLOAD];

	count_up(clear, PAYLOAD, 0);
	for (int i = 0; i < N; i++) {
		crypto_put32(pkt[i], SPI);
		crypto_put32(pkt[i] + 4, SEQ);
		count_up(pkt[i] + 8, seal->iv_len, 0xa0);
		j[i] = (struct crypto_esp_job){
		    .esp = pkt[i], .src = clear, .len = PAYLOAD, .seq_hi = SEQ_HI};
	}
	crypto_esp_seal(seal, &j[0], 1);
	crypto_esp_seal(seal, &j[1], N - 1);
	for (int i = 0; i < N; i++)
		if (!j[i].ok || memcmp(pkt[i], pkt[0], SIZE) != 0)
			return false;
	return true;
}

static bool
esp_right(const struct row *r, struct crypto *seal, struct crypto *open)
{
	uint8_t pkt[8 + CRYPTO_IV_MAX + PAYLOAD + CRYPTO_ICV_MAX], clear[PAYLOAD], got[PAYLOAD];
	uint8_t *payload = pkt + 8 + seal->iv_len, *icv = payload + PAYLOAD;
	struct crypto_esp_job j = {
	    .esp = pkt, .src = clear, .dst = got, .len = PAYLOAD, .seq_hi = SEQ_HI};

	if (!esp_alike(seal))
		return false;
	crypto_put32(pkt, SPI);
	crypto_put32(pkt + 4, SEQ);
	count_up(pkt + 8, seal->iv_len, 0xa0);
	count_up(clear, PAYLOAD, 0);
	crypto_esp_seal(seal, &j, 1);
	if (!j.ok || !is_hex(icv, seal->icv_len, r->icv))
		return false;
	if (r->text != NULL ? !is_hex(payload, PAYLOAD, r->text)
			    : memcmp(payload, clear, PAYLOAD) != 0)
		return false;

	crypto_esp_open(open, &j, 1);
	if (!j.ok || memcmp(got, clear, PAYLOAD) != 0)
		return false;
	icv[0] ^= 1;
	crypto_esp_open(open, &j, 1);
	icv[0] ^= 1;
	if (j.ok)
		return false;
	payload[PAYLOAD - 1] ^= 0x80;
	crypto_esp_open(open, &j, 1);
	return !j.ok;
}

static bool
ah_right(const struct row *r, struct crypto *c)
{
	uint8_t msg[61], iv[8];
	const struct crypto_iov iov[3] = {{msg, 1}, {msg + 1, 16}, {msg + 17, sizeof(msg) - 17}};
	struct crypto_mac_job j = {.iov = iov, .niov = 3, .iv = iv};

	count_up(msg, sizeof(msg), 0);
	count_up(iv, sizeof(iv), 0xa0);
	crypto_mac(c, &j, 1);
	if (!j.ok || !is_hex(j.icv, c->icv_len, r->icv))
		return false;
	msg[60] ^= 1;
	crypto_mac(c, &j, 1);
	return j.ok && !is_hex(j.icv, c->icv_len, r->icv);
}

static struct crypto_kat_result
run(const struct crypto_backend *be, const struct row *r)
{
	struct crypto_kat_result res = {.backend = be->name};
	struct crypto *seal, *open;

	res.alg = r->enc != NULL && strcmp(r->enc, "null") != 0 ? r->enc : r->auth;
	res.proto = r->enc == NULL ? "ah" : r->esn ? "esp esn" : "esp";
	errno = 0;
	seal = context(be, r, true);
	open = seal != NULL ? context(be, r, false) : NULL;
	res.supported = seal != NULL || errno != ENOTSUP;
	if (seal != NULL && open == NULL && errno == ENOTSUP)
		open = context(&crypto_ossl, r, false); /* as crypto_new() will */
	if (open != NULL)
		res.ok = r->enc != NULL ? esp_right(r, seal, open) : ah_right(r, seal);
	crypto_free(seal);
	crypto_free(open);
	return res;
}

/** crypto_kat_run(be, cb, ctx): run every algorithm's known answers through ${be}; ${cb} hears each result (may be
 * NULL).  Number of failures. */
int
crypto_kat_run(const struct crypto_backend *be,
    void (*cb)(void *ctx, const struct crypto_kat_result *r), void *ctx)
{
	int failures = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct crypto_kat_result r = run(be, &rows[i]);

		if (r.supported && !r.ok)
			failures++;
		if (cb != NULL)
			cb(ctx, &r);
	}
	return failures;
}
