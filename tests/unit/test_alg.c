/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "alg.h"

/* Every name of the manual, with the numbers of its RFC: key (without salt), salt, IV, ICV, block, IKEv2 id. */
static const struct row {
	const char *name;
	bool is_auth;
	enum alg_kind kind;
	unsigned key, salt, iv, icv, block, ikev2;
	bool weak;
} rows[] = {
    {"aes-128", 0, ALG_CBC, 16, 0, 16, 0, 16, 12, 0},
    {"aes-192", 0, ALG_CBC, 24, 0, 16, 0, 16, 12, 0},
    {"aes-256", 0, ALG_CBC, 32, 0, 16, 0, 16, 12, 0},
    {"aes-128-ctr", 0, ALG_CTR, 16, 4, 8, 0, 1, 13, 0},
    {"aes-192-ctr", 0, ALG_CTR, 24, 4, 8, 0, 1, 13, 0},
    {"aes-256-ctr", 0, ALG_CTR, 32, 4, 8, 0, 1, 13, 0},
    {"aes-128-gcm", 0, ALG_GCM, 16, 4, 8, 16, 1, 20, 0},
    {"aes-192-gcm", 0, ALG_GCM, 24, 4, 8, 16, 1, 20, 0},
    {"aes-256-gcm", 0, ALG_GCM, 32, 4, 8, 16, 1, 20, 0},
    {"aes-128-gcm-12", 0, ALG_GCM, 16, 4, 8, 12, 1, 19, 0},
    {"aes-192-gcm-12", 0, ALG_GCM, 24, 4, 8, 12, 1, 19, 0},
    {"aes-256-gcm-12", 0, ALG_GCM, 32, 4, 8, 12, 1, 19, 0},
    {"aes-128-gcm-8", 0, ALG_GCM, 16, 4, 8, 8, 1, 18, 0},
    {"aes-192-gcm-8", 0, ALG_GCM, 24, 4, 8, 8, 1, 18, 0},
    {"aes-256-gcm-8", 0, ALG_GCM, 32, 4, 8, 8, 1, 18, 0},
    {"aes-128-ccm", 0, ALG_CCM, 16, 3, 8, 16, 1, 16, 0},
    {"aes-192-ccm", 0, ALG_CCM, 24, 3, 8, 16, 1, 16, 0},
    {"aes-256-ccm", 0, ALG_CCM, 32, 3, 8, 16, 1, 16, 0},
    {"aes-128-ccm-12", 0, ALG_CCM, 16, 3, 8, 12, 1, 15, 0},
    {"aes-192-ccm-12", 0, ALG_CCM, 24, 3, 8, 12, 1, 15, 0},
    {"aes-256-ccm-12", 0, ALG_CCM, 32, 3, 8, 12, 1, 15, 0},
    {"aes-128-ccm-8", 0, ALG_CCM, 16, 3, 8, 8, 1, 14, 0},
    {"aes-192-ccm-8", 0, ALG_CCM, 24, 3, 8, 8, 1, 14, 0},
    {"aes-256-ccm-8", 0, ALG_CCM, 32, 3, 8, 8, 1, 14, 0},
    {"aes-128-gmac", 0, ALG_GMAC, 16, 4, 8, 16, 1, 21, 0},
    {"aes-192-gmac", 0, ALG_GMAC, 24, 4, 8, 16, 1, 21, 0},
    {"aes-256-gmac", 0, ALG_GMAC, 32, 4, 8, 16, 1, 21, 0},
    {"chacha20-poly1305", 0, ALG_CHACHA, 32, 4, 8, 16, 1, 28, 0},
    {"3des", 0, ALG_CBC, 24, 0, 8, 0, 8, 3, 1},
    {"null", 0, ALG_NULL, 0, 0, 0, 0, 1, 11, 0},
    {"hmac-md5", 1, ALG_HMAC, 16, 0, 0, 12, 0, 1, 1},
    {"hmac-sha1", 1, ALG_HMAC, 20, 0, 0, 12, 0, 2, 0},
    {"hmac-sha2-256", 1, ALG_HMAC, 32, 0, 0, 16, 0, 12, 0},
    {"hmac-sha2-384", 1, ALG_HMAC, 48, 0, 0, 24, 0, 13, 0},
    {"hmac-sha2-512", 1, ALG_HMAC, 64, 0, 0, 32, 0, 14, 0},
    {"aes-xcbc", 1, ALG_XCBC, 16, 0, 0, 12, 0, 5, 0},
    {"aes-cmac", 1, ALG_CMAC, 16, 0, 0, 12, 0, 8, 0},
    {"aes-128-gmac", 1, ALG_AH_GMAC, 16, 4, 8, 16, 0, 9, 0},
    {"aes-192-gmac", 1, ALG_AH_GMAC, 24, 4, 8, 16, 0, 10, 0},
    {"aes-256-gmac", 1, ALG_AH_GMAC, 32, 4, 8, 16, 0, 11, 0},
};
#define NROWS (sizeof rows / sizeof rows[0])

static void
every_row(void **state)
{
	for (size_t i = 0; i < NROWS; i++) {
		const struct row *r = &rows[i];
		const struct alg *a = r->is_auth ? alg_auth(r->name) : alg_enc(r->name);
		char want[64], got[64];

		if (a == NULL)
			fail_msg("%s is missing", r->name);
		assert_string_equal(a->name, r->name);
		assert_int_equal(a->is_auth, r->is_auth);
		assert_int_equal(a->kind, r->kind);
		assert_int_equal(a->key[0], r->key);
		assert_int_equal(a->key[1], 0);
		assert_int_equal(a->salt, r->salt);
		assert_int_equal(a->iv, r->iv);
		assert_int_equal(a->icv, r->icv);
		assert_int_equal(a->block, r->block);
		assert_int_equal(a->ikev2_id, r->ikev2);
		assert_int_equal(a->weak, r->weak);
		/* RFC 3686, 4106, 4309, 4543, 7634: the counter kinds are exactly those with a salt */
		assert_int_equal(a->counter, r->salt != 0);
		assert_int_equal(a->aead, !r->is_auth && r->icv != 0);
		for (size_t len = 0; len < 300; len++)
			assert_int_equal(alg_keylen_ok(a, len), len == r->key + r->salt);
		snprintf(want, sizeof want, r->key == 0 ? "no key" : "%u octets", r->key + r->salt);
		assert_string_equal(alg_keylen_text(a, got, sizeof got), want);
	}
}

static void
by_the_keys_length(void **state)
{
	const struct alg *aes = alg_enc("aes"), *ctr = alg_enc("aesctr");
	char buf[64];

	assert_int_equal(aes->kind, ALG_CBC);
	assert_int_equal(ctr->kind, ALG_CTR);
	for (size_t len = 0; len < 300; len++) {
		assert_int_equal(alg_keylen_ok(aes, len), len == 16 || len == 24 || len == 32);
		assert_int_equal(alg_keylen_ok(ctr, len), len == 20 || len == 28 || len == 36);
	}
	assert_string_equal(alg_keylen_text(aes, buf, sizeof buf), "16, 24 or 32 octets");
	assert_string_equal(alg_keylen_text(ctr, buf, sizeof buf), "20, 28 or 36 octets");
	assert_string_equal(alg_keylen_text(aes, buf, 6), "16, 2");
}

static void
names(void **state)
{
	/* RFC 8221 5 and 6 among them: what must not be used */
	static const char *const none[] = {"", "none", "AES", "aes-", "aes-128-", "des", "des-iv64",
	    "blowfish", "idea", "cast128", "des-mac", "kpdk-md5", "hmac-ripemd160"};

	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		assert_null(alg_enc(none[i]));
		assert_null(alg_auth(none[i]));
	}
	assert_null(alg_auth("aes-128-gcm"));
	assert_null(alg_enc("hmac-sha1"));
	assert_ptr_equal(alg_enc("3des-cbc"), alg_enc("3des"));
	assert_null(alg_auth("3des-cbc"));
}

/* The table as a whole: complete, no name twice, and what a back end relies on. */
static void
table(void **state)
{
	size_t n = 0;

	for (const struct alg *a; (a = alg_at(n)) != NULL; n++) {
		assert_ptr_equal(a->is_auth ? alg_auth(a->name) : alg_enc(a->name), a);
		assert_non_null(a->rfc);
		assert_int_equal(a->evp == NULL, a->kind == ALG_NULL);
		assert_true(a->icv <= 32 && a->iv <= 16);
		assert_true(a->is_auth || a->block != 0);
	}
	assert_int_equal(n, NROWS + 2); /* and aes, aesctr */
	assert_null(alg_at(SIZE_MAX));
}

/* Where tshark is there: does it know the names we write into its esp_sa table? */
static void
wireshark_names(void **state)
{
	static const char pcap[24] =
	    "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\0\0\0\0\0\0\0\0\xff\xff\x00\x00\x01\x00\x00";
	char file[] = "/tmp/bits-alg-XXXXXX", cmd[512];
	int fd;

	if (system("command -v tshark >/dev/null 2>&1") != 0)
		skip();
	fd = mkstemp(file);
	assert_true(fd >= 0);
	FILE *f = fdopen(fd, "wb");
	assert_int_equal(fwrite(pcap, 1, sizeof pcap, f), sizeof pcap);
	assert_int_equal(fclose(f), 0);
	const char *was = "";
	int bad = 0;
	const struct alg *a;
	for (size_t i = 0; (a = alg_at(i)) != NULL; i++) {
		if (a->wireshark == NULL || strcmp(a->wireshark, was) == 0)
			continue;
		was = a->wireshark;
		snprintf(cmd, sizeof cmd,
		    "tshark -r %s -o "
		    "'uat:esp_sa:\"IPv4\",\"*\",\"*\",\"*\",\"%s\",\"0x\",\"%s\",\"0x\"' "
		    ">/dev/null 2>&1",
		    file, a->is_auth ? "NULL" : a->wireshark, a->is_auth ? a->wireshark : "NULL");
		if (system(cmd) != 0) {
			print_error("tshark refuses \"%s\"\n", a->wireshark);
			bad++;
		}
	}
	snprintf(cmd, sizeof cmd,
	    "tshark -r %s -o 'uat:esp_sa:\"IPv4\",\"*\",\"*\",\"*\",\"No "
	    "such\",\"0x\",\"NULL\",\"0x\"' >/dev/null 2>&1",
	    file);
	int refused = system(cmd);
	unlink(file);
	assert_int_equal(bad, 0);
	assert_int_not_equal(refused, 0); /* or the check above proves nothing */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row),
	    cmocka_unit_test(by_the_keys_length),
	    cmocka_unit_test(names),
	    cmocka_unit_test(table),
	    cmocka_unit_test(wireshark_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
