/*
 * libipsec-mb: what goes through its job manager, so that packets of a burst run beside each other in the vector
 * registers.  A call leaves no job behind: it flushes at its end, and a result finds its packet by a pointer, whatever
 * order the library finishes in.
 *
 * A manager (200 KB) serves one thread at a time, and contexts are many: so one manager per thread, made when the thread
 * first needs it and wiped when the thread ends.  Contexts hold keys only.
 */
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include "crypto_imb.h"

static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* the library detects the CPU into globals */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static bool have_key;
static _Thread_local IMB_MGR *mine;

static void
mgr_free(void *mgr)
{
	OPENSSL_cleanse(mgr, imb_get_mb_mgr_size());
	free(mgr);
}

static void
make_key(void)
{
	have_key = pthread_key_create(&at_exit, mgr_free) == 0;
}

/* This thread's manager; NULL: no memory for it, and nothing is sealed or opened. */
static IMB_MGR *
manager(void)
{
	void *mem;

	if (mine != NULL)
		return mine;
	pthread_once(&once, make_key);
	if (!have_key || posix_memalign(&mem, 64, imb_get_mb_mgr_size()) != 0)
		return NULL;
	memset(mem, 0, imb_get_mb_mgr_size());
	pthread_mutex_lock(&lock);
	mine = imb_set_pointers_mb_mgr(mem, 0, 1);
	if (mine != NULL)
		init_mb_mgr_auto(mine, NULL);
	pthread_mutex_unlock(&lock);
	if (mine == NULL || imb_get_errno(mine) != 0 || pthread_setspecific(at_exit, mem) != 0) {
		free(mem);
		mine = NULL;
	}
	return mine;
}

/* What jobs of one chunk point at until they are flushed. */
struct chunk {
	bool go[CRYPTO_IMB_BURST]; /* in: make a job of it; out: it was done */
	uint8_t iv[CRYPTO_IMB_BURST][16];
	uint8_t aad[CRYPTO_IMB_BURST][12];
	uint8_t tag[CRYPTO_IMB_BURST][CRYPTO_ICV_MAX];
};

static void
finish(IMB_JOB *job)
{
	*(bool *)job->user_data = job->status == IMB_STATUS_COMPLETED;
}

/* Submit one job for each packet that goes, filled by ${fill}; then all are done. */
static void
run(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n, struct chunk *c,
    void (*fill)(const struct crypto_imb *o, const struct crypto_esp_job *j, struct chunk *c,
	unsigned i, IMB_JOB *job))
{
	IMB_MGR *m = manager();
	IMB_JOB *job;

	for (unsigned i = 0; i < n; i++) {
		if (m == NULL)
			c->go[i] = false;
		if (!c->go[i])
			continue;
		c->go[i] = false;
		job = IMB_GET_NEXT_JOB(m);
		memset(job, 0, sizeof(*job));
		fill(o, &j[i], c, i, job);
		job->user_data = &c->go[i];
		for (job = IMB_SUBMIT_JOB(m); job != NULL; job = IMB_GET_COMPLETED_JOB(m))
			finish(job);
	}
	if (m != NULL)
		while ((job = IMB_FLUSH_JOB(m)) != NULL)
			finish(job);
}

/* CBC and CTR of the payload. */
static void
fill_cipher(const struct crypto_imb *o, const struct crypto_esp_job *j, struct chunk *c, unsigned i,
    IMB_JOB *job)
{
	uint8_t *payload = j->esp + 8 + o->c.iv_len;

	job->cipher_mode = o->cipher;
	job->hash_alg = IMB_AUTH_NULL;
	job->cipher_direction = o->seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = o->seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = o->key.aes.enc;
	job->dec_keys = o->key.aes.dec;
	job->key_len_in_bytes = o->key_len;
	job->src = o->seal ? j->src : payload;
	job->dst = o->seal ? payload : j->dst;
	job->msg_len_to_cipher_in_bytes = j->len;
	job->iv = j->esp + 8;
	job->iv_len_in_bytes = 16;
	if (o->cipher == IMB_CIPHER_CNTR) { /* nonce, IV, block counter from 1 (RFC 3686 4) */
		memcpy(c->iv[i], o->salt, 4);
		memcpy(c->iv[i] + 4, j->esp + 8, 8);
		crypto_put32(c->iv[i] + 12, 1);
		job->iv = c->iv[i];
	}
}

/* The ICV over header to payload and, with ESN, the high half: esp_seal put that behind (RFC 4303 2.2.1). */
static void
fill_hash(const struct crypto_imb *o, const struct crypto_esp_job *j, struct chunk *c, unsigned i,
    IMB_JOB *job)
{
	job->cipher_mode = IMB_CIPHER_NULL;
	job->hash_alg = o->hash;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_HASH_CIPHER;
	job->src = j->esp;
	job->dst = j->esp; /* not written */
	job->msg_len_to_hash_in_bytes = 8 + o->c.iv_len + (uint64_t)j->len + (o->c.esn ? 4 : 0);
	job->auth_tag_output = c->tag[i];
	job->auth_tag_output_len_in_bytes = o->c.icv_len;
	switch (o->hash) {
	case IMB_AUTH_AES_XCBC:
		job->u.XCBC._k1_expanded = o->mac.aes.k1;
		job->u.XCBC._k2 = (const uint8_t *)o->mac.aes.k2;
		job->u.XCBC._k3 = (const uint8_t *)o->mac.aes.k3;
		break;
	case IMB_AUTH_AES_CMAC:
		job->u.CMAC._key_expanded = o->mac.aes.k1;
		job->u.CMAC._skey1 = o->mac.aes.k2;
		job->u.CMAC._skey2 = o->mac.aes.k3;
		break;
	default:
		job->u.HMAC._hashed_auth_key_xor_ipad = o->mac.hmac.ipad;
		job->u.HMAC._hashed_auth_key_xor_opad = o->mac.hmac.opad;
	}
}

/* ChaCha20-Poly1305 (RFC 7634) and CCM (RFC 4309). */
static void
fill_aead(const struct crypto_imb *o, const struct crypto_esp_job *j, struct chunk *c, unsigned i,
    IMB_JOB *job)
{
	uint8_t *payload = j->esp + 8 + 8;
	size_t aadlen = crypto_aad(c->aad[i], j, o->c.esn);
	bool hash_first;

	memcpy(c->iv[i], o->salt, o->salt_len);
	memcpy(c->iv[i] + o->salt_len, j->esp + 8, 8);
	job->cipher_mode = o->cipher;
	job->hash_alg = o->hash;
	if (o->cipher == IMB_CIPHER_CCM) {
		hash_first = o->seal; /* CCM's MAC is over the clear text */
		job->enc_keys = o->key.aes.enc;
		job->u.CCM.aad = c->aad[i];
		job->u.CCM.aad_len_in_bytes = aadlen;
	} else {
		hash_first = !o->seal;
		job->enc_keys = o->key.chacha;
		job->u.CHACHA20_POLY1305.aad = c->aad[i];
		job->u.CHACHA20_POLY1305.aad_len_in_bytes = aadlen;
	}
	job->dec_keys = job->enc_keys;
	job->key_len_in_bytes = o->key_len;
	job->cipher_direction = o->seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = hash_first ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
	job->src = o->seal ? j->src : payload;
	job->dst = o->seal ? payload : j->dst;
	job->msg_len_to_cipher_in_bytes = j->len;
	job->msg_len_to_hash_in_bytes = j->len;
	job->iv = c->iv[i];
	job->iv_len_in_bytes = o->salt_len + 8U;
	job->auth_tag_output = c->tag[i];
	job->auth_tag_output_len_in_bytes = o->c.icv_len;
}

/* Packets whose payload the cipher takes; one of no octets has nothing to cipher, and the library would refuse it. */
static void
crypt_all(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n, struct chunk *c)
{
	bool empty[CRYPTO_IMB_BURST];

	for (unsigned i = 0; i < n; i++) {
		uint8_t *payload = j[i].esp + 8 + o->c.iv_len;
		const uint8_t *from = o->seal ? j[i].src : payload;
		uint8_t *to = o->seal ? payload : j[i].dst;

		empty[i] = c->go[i] && (j[i].len == 0 || o->cipher == IMB_CIPHER_NULL);
		c->go[i] = c->go[i] && !empty[i];
		if (empty[i] && from != to)
			memcpy(to, from, j[i].len);
	}
	if (o->cipher != IMB_CIPHER_NULL)
		run(o, j, n, c, fill_cipher);
	for (unsigned i = 0; i < n; i++)
		c->go[i] = c->go[i] || empty[i];
}

static void
admit(const struct crypto_imb *o, const struct crypto_esp_job *j, unsigned n, struct chunk *c)
{
	for (unsigned i = 0; i < n; i++)
		c->go[i] = j[i].len <= CRYPTO_LEN_MAX &&
			   (o->cipher != IMB_CIPHER_CBC || j[i].len % 16 == 0);
}

void
crypto_imb_job_seal(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n)
{
	struct chunk c;

	admit(o, j, n, &c);
	if (o->c.enc->aead)
		run(o, j, n, &c, fill_aead);
	else {
		crypt_all(o, j, n, &c);
		/* The number's high half is hashed where the ICV will stand: that place is ours to write. */
		for (unsigned i = 0; o->c.esn && i < n; i++)
			if (c.go[i])
				crypto_put32(j[i].esp + 8 + o->c.iv_len + j[i].len, j[i].seq_hi);
		run(o, j, n, &c, fill_hash);
	}
	for (unsigned i = 0; i < n; i++)
		if ((j[i].ok = c.go[i]))
			memcpy(j[i].esp + 8 + o->c.iv_len + j[i].len, c.tag[i], o->c.icv_len);
}

void
crypto_imb_job_open(struct crypto_imb *o, struct crypto_esp_job *j, unsigned n)
{
	struct chunk c;
	bool tried[CRYPTO_IMB_BURST];

	admit(o, j, n, &c);
	memcpy(tried, c.go, n * sizeof(bool));
	run(o, j, n, &c, o->c.enc->aead ? fill_aead : fill_hash);
	for (unsigned i = 0; i < n; i++)
		c.go[i] = c.go[i] && crypto_equal(c.tag[i], j[i].esp + 8 + o->c.iv_len + j[i].len,
					 o->c.icv_len);
	if (!o->c.enc
		 ->aead) /* the ICV first: of the others nothing is decrypted (RFC 4303 3.4.4.1) */
		crypt_all(o, j, n, &c);
	for (unsigned i = 0; i < n; i++) {
		j[i].ok = c.go[i];
		if (o->c.enc->aead && tried[i] && !j[i].ok) /* decrypted before it was judged */
			OPENSSL_cleanse(j[i].dst, j[i].len);
	}
	OPENSSL_cleanse(c.tag, sizeof(c.tag)); /* right ICVs of forged packets */
}
