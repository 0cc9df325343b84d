/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "sa.h"

static struct secret *
key(size_t len, uint8_t fill)
{
	uint8_t b[SECRET_MAX];

	memset(b, fill, sizeof b);
	b[0] = (uint8_t)len;
	return secret_new(b, len);
}

static void
addresses(struct sa_params *p, const char *src, const char *dst)
{
	assert_int_equal(ipaddr_parse(src, &p->src), 0);
	assert_int_equal(ipaddr_parse(dst, &p->dst), 0);
}

/* ESP, tunnel, with these algorithms and keys of these lengths (0: none). */
static struct sa_params
esp(const char *enc, size_t enclen, const char *auth, size_t authlen)
{
	struct sa_params p;

	sa_params_init(&p);
	p.spi = 0x1001;
	addresses(&p, "192.0.2.1", "198.51.100.7");
	p.enc = enc != NULL ? alg_enc(enc) : NULL;
	p.auth = auth != NULL ? alg_auth(auth) : NULL;
	p.enckey = enclen != 0 ? key(enclen, 0x11) : NULL;
	p.authkey = authlen != 0 ? key(authlen, 0x22) : NULL;
	return p;
}

static struct sa_params
ah(const char *auth, size_t authlen)
{
	struct sa_params p = esp(NULL, 0, auth, authlen);

	p.proto = IPSEC_AH;
	return p;
}

#define GOOD(...)                                                                                  \
	do {                                                                                       \
		struct sa_params p_ = __VA_ARGS__;                                                 \
		const char *why_ = sa_params_check(&p_);                                           \
		if (why_ != NULL)                                                                  \
			fail_msg("line %d: refused: %s", __LINE__, why_);                          \
		sa_params_fini(&p_);                                                               \
	} while (0)

/* Refused, by a sentence that holds ${part}. */
#define BAD(part, ...)                                                                             \
	do {                                                                                       \
		struct sa_params p_ = __VA_ARGS__;                                                 \
		const char *why_ = sa_params_check(&p_);                                           \
		if (why_ == NULL)                                                                  \
			fail_msg("line %d: was taken", __LINE__);                                  \
		if (strstr(why_, part) == NULL)                                                    \
			fail_msg("line %d: refused for another reason: %s", __LINE__, why_);       \
		sa_params_fini(&p_);                                                               \
	} while (0)

static void
which_algorithms_go_together(void **state)
{
	GOOD(esp("aes-128-gcm", 20, NULL, 0));
	GOOD(esp("chacha20-poly1305", 36, NULL, 0));
	GOOD(esp("aes-128-gmac", 20, NULL, 0));
	GOOD(esp("aes", 24, "hmac-sha1", 20));
	GOOD(esp("aesctr", 36, "hmac-sha2-512", 64));
	GOOD(esp("null", 0, "aes-cmac", 16));
	GOOD(ah("hmac-sha2-256", 32));
	GOOD(ah("aes-256-gmac", 36));

	BAD("neither encryption nor integrity", esp("null", 0, NULL, 0));
	BAD("RFC 8221 4", esp("aes-128", 16, NULL, 0));
	BAD("RFC 8221 4", esp("aes-128-ctr", 20, NULL, 0));
	BAD("by itself", esp("aes-128-gcm", 20, "hmac-sha1", 20));
	BAD("by itself", esp("aes-128-gmac", 20, "hmac-sha1", 20));
	BAD("needs an encryption algorithm", esp(NULL, 0, "hmac-sha1", 20));
	BAD("is for AH", esp("aes-128", 16, "aes-128-gmac", 20));
	BAD("AH needs an integrity", ah(NULL, 0));
	struct sa_params p = ah("hmac-sha1", 20);
	p.enc = alg_enc("null");
	BAD("AH does not encrypt", p);
	p = esp("aes-128-gcm", 20, NULL, 16);
	BAD("integrity key without", p);
	p = ah("hmac-sha1", 20);
	p.enckey = key(16, 1);
	BAD("encryption key without", p);
	p = esp("aes-128", 16, NULL, 20);
	p.auth = alg_enc("null");
	BAD("the reverse", p);
}

/* Every algorithm with every key length: taken exactly when the table says so, and the message says what is right. */
static void
key_lengths(void **state)
{
	const struct alg *a;

	for (size_t i = 0; (a = alg_at(i)) != NULL; i++)
		for (size_t len = 0; len <= 80; len++) {
			struct sa_params p = a->is_auth && a->kind == ALG_AH_GMAC ? ah(a->name, len)
					     : a->is_auth ? esp("aes-128", 16, a->name, len)
					     : a->aead	  ? esp(a->name, len, NULL, 0)
							  : esp(a->name, len, "hmac-sha1", 20);
			char right[64];

			p.weak = true;
			if (alg_keylen_ok(a, len))
				GOOD(p);
			else
				BAD(alg_keylen_text(a, right, sizeof right), p);
		}
	BAD("the encryption key has 16 octets, but aes-128-gcm takes 20 octets (the salt",
	    esp("aes-128-gcm", 16, NULL, 0));
	BAD("aes-128 needs an encryption key of 16 octets", esp("aes-128", 0, "hmac-sha1", 20));
	BAD("the integrity key has 19 octets, but hmac-sha1 takes 20 octets",
	    esp("aes-128", 16, "hmac-sha1", 19));
}

static void
weak_only_when_said(void **state)
{
	struct sa_params p = esp("3des", 24, "hmac-sha1", 20);

	BAD("weak", p);
	p = esp("3des", 24, "hmac-sha1", 20);
	p.weak = true;
	GOOD(p);
	p = ah("hmac-md5", 16);
	BAD("weak", p);
	p = ah("hmac-md5", 16);
	p.weak = true;
	GOOD(p);
	p = esp("aes-128", 16, "hmac-sha1", 20); /* needless, but no error */
	p.weak = true;
	GOOD(p);
}

static void
numbers_and_addresses(void **state)
{
#define WITH(stmt, macro, ...)                                                                     \
	do {                                                                                       \
		struct sa_params p = esp("aes-128-gcm", 20, NULL, 0);                              \
		stmt;                                                                              \
		macro(__VA_ARGS__ p);                                                              \
	} while (0)
	static const uint32_t spis[] = {0, 1, 255},
			      windows[] = {1, 31, 4097, 0x80000000, 0xffffffff};

	for (size_t i = 0; i < 3; i++)
		WITH(p.spi = spis[i], BAD, "SPI", );
	WITH(p.spi = 256, GOOD, );
	WITH(p.spi = 0xffffffff, GOOD, );
	for (size_t i = 0; i < 5; i++)
		WITH(p.replay = windows[i], BAD, "window", );
	WITH(p.replay = 0, GOOD, );
	WITH(p.replay = 32, GOOD, );
	WITH(p.replay = 4096, GOOD, );
	WITH(p.proto = (enum ipsec_proto)108, BAD, "neither ESP nor AH", );
	WITH(p.mode = MODE_ANY, BAD, "mode", );
	WITH(p.mode = (enum ipsec_mode)9, BAD, "mode", );
	WITH(p.dir = (enum sa_dir)3, BAD, "direction", );
	WITH(addresses(&p, "192.0.2.1", "fd00::1"), BAD, "families", );
	WITH(addresses(&p, "0.0.0.0", "192.0.2.1"), BAD, "unspecified", );
	WITH(addresses(&p, "fd00::1", "::"), BAD, "unspecified", );
	WITH(addresses(&p, "224.0.0.1", "192.0.2.1"), BAD, "multicast", );
	WITH(addresses(&p, "192.0.2.1", "224.0.0.1"), GOOD, );
	WITH(addresses(&p, "fd00::1", "fd00::2"), GOOD, );
	WITH(p.src.af = 0, BAD, "single addresses", );
	WITH(p.dst = (struct ipaddr){.af = 9}, BAD, "single addresses", );
	WITH(p.tfc = 65536, BAD, "65535", );
	WITH(p.tfc = 65535, GOOD, );
	WITH((p.tfc = 1400, p.mode = MODE_TRANSPORT), GOOD, );
	WITH(p.ahpad = 5, BAD, "4 or 8", );
	WITH(p.ahpad = 0, BAD, "4 or 8", );
	WITH(p.ahpad = 8, GOOD, );
	WITH(p.dscp = 64, BAD, "DSCP", );
	WITH(p.dscp = -2, BAD, "DSCP", );
	WITH(p.dscp = 0, GOOD, );
	WITH(p.dscp = 63, GOOD, );
	WITH(p.df = (enum df_policy)3, BAD, "fragment", );
	WITH(p.frag = (enum frag_policy)2, BAD, "before or after", );
	WITH(p.mss = 2, BAD, "segment", );
	WITH(p.encap_sport = 4500, BAD, "both ports", );
	WITH(p.encap_dport = 4500, BAD, "both ports", );
	WITH(p.encap_sport = p.encap_dport = 4500, GOOD, );
	WITH(p.follow = true, BAD, "UDP encapsulation", );
	struct sa_params p = ah("hmac-sha1", 20);
	p.encap_sport = p.encap_dport = 4500;
	BAD("AH cannot", p);
	p = ah("hmac-sha1", 20);
	p.tfc = 100;
	BAD("is ESP's", p);
}

/* Each field makes a difference, but for the direction. */
static void
equality(void **state)
{
	struct sa_params a = esp("aes-128", 16, "hmac-sha1", 20), b;
	const struct sa_selector all = {.proto_any = true};

#define DIFFERS(stmt)                                                                              \
	do {                                                                                       \
		sa_params_copy(&b, &a);                                                            \
		assert_true(sa_params_eq(&a, &b));                                                 \
		stmt;                                                                              \
		if (sa_params_eq(&a, &b))                                                          \
			fail_msg("%s makes no difference", #stmt);                                 \
		sa_params_fini(&b);                                                                \
	} while (0)
#define REKEY(field, s) (secret_unref(b.field), b.field = (s))
	DIFFERS(b.proto = IPSEC_AH);
	DIFFERS(b.mode = MODE_TRANSPORT);
	DIFFERS(b.spi++);
	DIFFERS(b.src.b[3]++);
	DIFFERS(b.dst.b[3]++);
	DIFFERS(b.enc = alg_enc("aes"));
	DIFFERS(b.auth = alg_auth("hmac-md5"));
	DIFFERS(REKEY(enckey, key(16, 0x12)));
	DIFFERS(REKEY(enckey, NULL));
	DIFFERS(REKEY(authkey, key(20, 0x23)));
	DIFFERS(b.reqid = 1);
	DIFFERS(b.esn = true);
	DIFFERS(b.replay = 128);
	DIFFERS(b.encap_sport = 1);
	DIFFERS(b.encap_dport = 1);
	DIFFERS(b.tfc = 1);
	DIFFERS(b.ahpad = 8);
	DIFFERS(b.df = DF_SET);
	DIFFERS(b.ecn = false);
	DIFFERS(b.frag = FRAG_AFTER);
	DIFFERS(b.mss = MSS_AUTO);
	DIFFERS(b.dscp = 0);
	DIFFERS(b.follow = true);
	DIFFERS(b.weak = true);
	DIFFERS(b.soft.packets = 1);
	DIFFERS(b.soft.octets = 1);
	DIFFERS(b.soft.ms = 1);
	DIFFERS(b.hard.packets = 1);
	DIFFERS(b.hard.octets = 1);
	DIFFERS(b.hard.ms = 1);
	DIFFERS(b.sel = sa_selector_new(&all));
	sa_params_copy(&b, &a);
	REKEY(enckey, key(16, 0x11)); /* the same octets elsewhere */
	b.dir = SA_DIR_IN;
	assert_true(sa_params_eq(&a, &b));
	sa_params_fini(&b);
	sa_params_fini(&a);
	assert_null(a.enckey);
	sa_params_fini(&a);
}

/* Same key and same record belong together, in every pair. */
static void
same_key_same_record(void **state)
{
	struct sa_params p[] = {
	    esp("aes-128-gcm", 20, NULL, 0),	     /* 0 */
	    esp("aes-128-gcm-8", 20, NULL, 0),	     /* 1: as 0 */
	    esp("aes-128-ctr", 20, "hmac-sha1", 20), /* 2: as 0, the nonce does not know the mode */
	    esp("aes-128-ctr", 20, "hmac-sha2-256",
		32),		    /* 3: as 0: another integrity key makes no other nonce */
	    ah("aes-128-gmac", 20), /* 4: another key */
	    ah("aes-128-gmac", 20), /* 5: as 0, with that key: AH or not */
	    esp("aes-128", 16, "hmac-sha1", 20),     /* 6 */
	    esp("aes-128", 16, "hmac-sha1", 20),     /* 7: as 6 */
	    esp("aes-128", 16, "hmac-sha2-256", 32), /* 8: another integrity key */
	    ah("hmac-sha1", 20),		     /* 9 */
	    esp("null", 0, "hmac-sha1", 20),	     /* 10: not as 9: another protocol */
	    esp("aes-128-gcm", 20, NULL, 0),	     /* 11: another salt */
	};
	static const int family[] = {0, 0, 0, 0, 1, 0, 2, 2, 3, 4, 5, 6};
	enum { N = sizeof p / sizeof *p };
	char fp[N][SEQSTORE_FP_LEN + 1];
	uint8_t salted[20];

	secret_unref(p[5].authkey);
	p[5].authkey = secret_ref(p[0].enckey);
	memcpy(salted, secret_bytes(p[0].enckey), 20);
	salted[19] ^= 1;
	secret_unref(p[11].enckey);
	p[11].enckey = secret_new(salted, 20);
	p[1].spi = 0x9999;
	p[7].spi = 0x9999;
	addresses(&p[7], "fd00::1", "fd00::2");
	for (int i = 0; i < N; i++) {
		assert_int_equal(sa_params_fingerprint(&p[i], fp[i]), 0);
		assert_int_equal(strlen(fp[i]), SEQSTORE_FP_LEN);
	}
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			bool same = family[i] == family[j];

			if (sa_params_same_key(&p[i], &p[j]) != same ||
			    (strcmp(fp[i], fp[j]) == 0) != same)
				fail_msg("%d and %d", i, j);
		}
	for (int i = 0; i < N; i++)
		sa_params_fini(&p[i]);
}

static void
contexts_by_direction(void **state)
{
	static const enum sa_dir dirs[] = {SA_DIR_ANY, SA_DIR_OUT, SA_DIR_IN};

	for (int i = 0; i < 6; i++) {
		struct sa_params p =
		    i < 3 ? esp("aes-128-gcm", 20, NULL, 0) : ah("hmac-sha2-256", 32);

		p.dir = dirs[i % 3];
		p.esn = i % 2;
		p.replay = 128;
		assert_null(sa_params_check(&p));
		struct sa *sa = sa_new(&p, 12345);
		assert_non_null(sa);
		assert_int_equal((uintptr_t)sa % 64, 0);
		assert_int_equal(sa->out != NULL, p.dir != SA_DIR_IN);
		assert_int_equal(sa->in != NULL, p.dir != SA_DIR_OUT);
		assert_int_equal(sa->replay.size, p.dir != SA_DIR_OUT ? 128 : 0);
		assert_int_equal(sa->replay.esn, p.esn);
		assert_int_equal(sa->state, SA_MATURE);
		assert_true(sa_usable(sa));
		assert_int_equal(sa->spi, 0x1001);
		assert_int_equal(sa->seq.next, 1);
		assert_int_equal(
		    sa->seq.reserved, 0); /* sends nothing until something is reserved */
		assert_true(sa->seq.last == (p.esn ? SEQ_LAST_ESN : SEQ_LAST));
		assert_true(sa->block == (p.esn ? SEQSTORE_BLOCK_ESN : SEQSTORE_BLOCK));
		assert_int_equal(sa->added_ms, 12345);
		assert_int_equal(sa->refs, 1);
		assert_false(sa->limited);
		assert_true(sa_params_eq(&sa->p, &p));
		assert_int_equal(sa->p.dir, p.dir);
		struct crypto *c = sa->out != NULL ? sa->out : sa->in;
		assert_ptr_equal(c->enc, p.enc);
		assert_ptr_equal(c->auth, p.auth);
		assert_true(sa_footprint(sa) > sizeof *sa && sa_footprint(sa) < 65536);
		sa_unref(sa);
		sa_params_fini(&p);
	}
}

/* Every algorithm of the table makes an SA. */
static void
every_algorithm(void **state)
{
	const struct alg *a;

	for (size_t i = 0; (a = alg_at(i)) != NULL; i++)
		for (unsigned k = 0; k < 3 && (k == 0 || a->key[k] != 0); k++) {
			size_t len = a->key[k] != 0 ? (size_t)a->key[k] + a->salt : 0;
			struct sa_params p =
			    a->is_auth ? ah(a->name, len)
				       : esp(a->name, len, a->aead ? NULL : "hmac-sha2-256",
					     32 * !a->aead);

			p.weak = true;
			assert_null(sa_params_check(&p));
			struct sa *sa = sa_new(&p, 0);
			if (sa == NULL)
				fail_msg("%s with %zu octets of key", a->name, len);
			sa_unref(sa);
			sa_params_fini(&p);
		}
}

static void
limits_are_seen(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct sa_params p = esp("aes-128-gcm", 20, NULL, 0);

		if (i == 1)
			p.soft.packets = 5;
		if (i == 2)
			p.hard.ms = 5;
		struct sa *sa = sa_new(&p, 0);
		assert_int_equal(sa->limited, i != 0);
		sa_unref(sa);
		sa_params_fini(&p);
	}
}

/* Key memory goes when the last holder does: the arena's octets are wiped then, and not before. */
static void
keys_go_with_the_last_reference(void **state)
{
	struct sa_params p = esp("aes-128-gcm", 20, NULL, 0);
	const uint8_t *at = secret_bytes(p.enckey);
	uint8_t was[20];

	memcpy(was, at, 20);
	struct sa *sa = sa_new(&p, 0);
	sa_params_fini(&p);
	assert_memory_equal(at, was, 20);
	assert_ptr_equal(sa_ref(sa), sa);
	sa_unref(sa);
	assert_memory_equal(at, was, 20);
	sa_unref(sa);
	for (int i = 8; i < 20; i++)
		assert_int_equal(at[i], 0);
	sa_unref(NULL);
}

/* A failed constructor keeps nothing: the leak checker watches. */
static void
bad_parameters_leave_nothing(void **state)
{
	struct sa_params p = esp("aes-128-gcm", 20, NULL, 0);

	p.replay = 7;
	assert_null(sa_new(&p, 0));
	p.replay = 64;
	secret_unref(p.enckey);
	p.enckey = key(7, 1); /* no cipher takes it */
	assert_null(sa_new(&p, 0));
	sa_params_fini(&p);
}

static void
states(void **state)
{
	struct sa_params p = esp("aes-128-gcm", 20, NULL, 0);
	struct sa *sa = sa_new(&p, 0);

	assert_false(sa_move(sa, SA_MATURE));
	assert_false(sa_move(sa, SA_LARVAL));
	assert_true(sa_move(sa, SA_DYING));
	assert_false(sa_move(sa, SA_DYING));
	assert_true(sa_usable(sa));
	assert_true(sa_move(sa, SA_DEAD));
	assert_false(sa_usable(sa));
	for (int s = SA_LARVAL; s <= SA_DEAD; s++)
		assert_false(sa_move(sa, (enum sa_state)s));
	assert_false(sa_usable(sa));
	assert_string_equal(sa_state_name(SA_LARVAL), "larval");
	assert_string_equal(sa_state_name(SA_MATURE), "mature");
	assert_string_equal(sa_state_name(SA_DYING), "dying");
	assert_string_equal(sa_state_name(SA_DEAD), "dead");
	assert_string_equal(sa_state_name((enum sa_state)77), "unknown");
	sa_unref(sa);
	sa_params_fini(&p);
}

enum { RACES = 2000 };
static struct sa *racing;
static pthread_barrier_t line;
static unsigned won[2]; /* atomic: by DYING, DEAD */

static void *
race(void *arg)
{
	enum sa_state to = arg != NULL ? SA_DEAD : SA_DYING;

	for (int i = 0; i < RACES; i++) {
		pthread_barrier_wait(&line);
		if (sa_move(racing, to))
			__atomic_add_fetch(&won[to == SA_DEAD], 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&line);
	}
	return NULL;
}

/* A limit that is reached while the SA is deleted: it stays deleted, and one thread each raises an event. */
static void
two_who_move(void **state)
{
	struct sa_params p = esp("aes-128-gcm", 20, NULL, 0);
	pthread_t t[4];

	racing = sa_new(&p, 0);
	pthread_barrier_init(&line, NULL, 5);
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, race, (void *)(i % 2)), 0);
	for (int i = 0; i < RACES; i++) {
		racing->state = SA_MATURE;
		pthread_barrier_wait(&line);
		pthread_barrier_wait(&line);
		assert_int_equal(racing->state, SA_DEAD);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(won[1], RACES);
	assert_true(won[0] <= RACES);
	pthread_barrier_destroy(&line);
	sa_unref(racing);
	sa_params_fini(&p);
}

static void
defaults(void **state)
{
	struct sa_params p;

	memset(&p, 0xff, sizeof p);
	sa_params_init(&p);
	assert_int_equal(p.replay, 64);
	assert_int_equal(p.ahpad, 4);
	assert_int_equal(p.dscp, -1);
	assert_int_equal(p.df, DF_COPY);
	assert_true(p.ecn);
	assert_false(p.esn || p.follow || p.weak);
	assert_null(p.enckey);
	assert_null(p.authkey);
	assert_false(lifetime_set(&p.soft) || lifetime_set(&p.hard));
	assert_non_null(sa_params_check(&p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(which_algorithms_go_together),
	    cmocka_unit_test(key_lengths),
	    cmocka_unit_test(weak_only_when_said),
	    cmocka_unit_test(numbers_and_addresses),
	    cmocka_unit_test(equality),
	    cmocka_unit_test(same_key_same_record),
	    cmocka_unit_test(contexts_by_direction),
	    cmocka_unit_test(every_algorithm),
	    cmocka_unit_test(limits_are_seen),
	    cmocka_unit_test(keys_go_with_the_last_reference),
	    cmocka_unit_test(bad_parameters_leave_nothing),
	    cmocka_unit_test(states),
	    cmocka_unit_test(two_who_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
