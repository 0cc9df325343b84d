/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "secret.h"

/* The sanitizers turn mlock(2) into nothing, so there only the release build can see it work. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_WORKS 0
#elif defined(__has_feature)
#define MLOCK_WORKS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define MLOCK_WORKS 1
#endif

/* A key that occurs nowhere else; built octet by octet so that it is no constant in the program. */
static void
marker(uint8_t *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		key[i] = (uint8_t)(0xa5 ^ (i * 37));
}

static void
copies_and_compares(void **state)
{
	uint8_t key[SECRET_MAX + 1];

	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	for (size_t len = 1; len <= SECRET_MAX; len++) {
		struct secret *s = secret_new(key, len), *t = secret_new(key, len), *u;

		assert_non_null(s);
		assert_int_equal(secret_len(s), len);
		assert_memory_equal(secret_bytes(s), key, len);
		assert_true(secret_eq(s, t));
		key[len - 1] ^= 0x80;
		u = secret_new(key, len);
		key[len - 1] ^= 0x80;
		assert_false(secret_eq(s, u));
		assert_false(secret_eq(s, NULL) || secret_eq(NULL, s));
		secret_unref(s);
		secret_unref(t);
		secret_unref(u);
	}
	assert_true(secret_eq(NULL, NULL));
	errno = 0;
	assert_null(secret_new(key, 0));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(secret_new(key, SECRET_MAX + 1));
	assert_int_equal(errno, EINVAL);

	struct secret *a = secret_new(key, 16), *b = secret_new(key, 17);
	assert_false(secret_eq(a, b));
	secret_unref(a);
	secret_unref(b);
}

static void
last_unref_wipes(void **state)
{
	static const size_t lens[] = {16, 36, 57, 58, 121, 122, 256};

	for (size_t n = 0; n < sizeof lens / sizeof *lens; n++) {
		uint8_t key[SECRET_MAX];
		const uint8_t *at;
		struct secret *s;
		unsigned same = 0;

		marker(key, sizeof key);
		s = secret_new(key, lens[n]);
		at = secret_bytes(s);
		assert_ptr_equal(secret_ref(s), s);
		secret_unref(s);
		assert_memory_equal(at, key, lens[n]); /* one reference is left */
		secret_unref(s);
		/* The arena keeps the memory; the link of the free list may lie in the first octets. */
		for (size_t i = 0; i < lens[n]; i++)
			same += i >= 8 && at[i] != 0;
		assert_int_equal(same, 0);
		assert_memory_not_equal(at, key, 8);
	}
	secret_unref(NULL);
	assert_null(secret_ref(NULL));
}

static void
wiping(void **state)
{
	uint8_t b[64];

	memset(b, 0x5a, sizeof b);
	secret_wipe(b + 1, 62);
	assert_int_equal(b[0], 0x5a);
	assert_int_equal(b[63], 0x5a);
	for (size_t i = 1; i < 63; i++)
		assert_int_equal(b[i], 0);
}

static void
hex(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} bad[] = {{"", -1}, {"0", -1}, {"x", -1}, {"00", -1}, {"1x00", -1}, {"0xg0", -1},
	    {"0x0 ", -1}, {" 0x00", -1}, {"0x0/", -1}, {"0x0:", -1}, {"0x@0", -1}, {"0x`0", -1},
	    {"0x0G", -1},
	    {"0x\x10"
	     "0",
		-1},
	    {"0x1", -2}, {"0x123", -2}, {"0x", -3}};
	char out[2 * SECRET_MAX + 3], in[2 * SECRET_MAX + 8];
	struct secret *s = NULL;

	assert_int_equal(secret_parse("0X00ff1A9b", &s), 0);
	assert_int_equal(secret_len(s), 4);
	assert_memory_equal(secret_bytes(s), "\x00\xff\x1a\x9b", 4);
	memset(out, '#', sizeof out);
	assert_int_equal(secret_hex(s, out, 10), -1);
	assert_int_equal(out[0], '#');
	assert_int_equal(secret_hex(s, out, 11), 0);
	assert_string_equal(out, "0x00ff1a9b");
	assert_int_equal(out[11], '#');
	secret_unref(s);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		s = (struct secret *)0x1;
		if (secret_parse(bad[i].text, &s) != bad[i].rc)
			fail_msg("\"%s\"", bad[i].text);
		assert_ptr_equal(s, (struct secret *)0x1);
	}
	memset(in, 'a', sizeof in);
	memcpy(in, "0x", 2);
	in[2 + 2 * SECRET_MAX] = '\0';
	assert_int_equal(secret_parse(in, &s), 0);
	assert_int_equal(secret_hex(s, out, sizeof out), 0);
	assert_string_equal(out, in);
	secret_unref(s);
	in[2 + 2 * SECRET_MAX] = 'a';
	in[4 + 2 * SECRET_MAX] = '\0';
	assert_int_equal(secret_parse(in, &s), -3);
}

/* Does the mapping that holds ${at} carry ${flag} in its VmFlags? */
static bool
mapping_has(const void *at, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	bool here = false, found = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned long lo, hi;

		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			here = (uintptr_t)at >= lo && (uintptr_t)at < hi;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(f);
	return found;
}

static void
locked_and_out_of_core_dumps(void **state)
{
	uint8_t key[32];
	struct secret *s;
	static int plain;

	marker(key, sizeof key);
	s = secret_new(key, sizeof key);
	assert_true(mapping_has(secret_bytes(s), " dd"));
	assert_false(mapping_has(&plain, " dd"));
	/* an ordinary user may not be allowed to lock: then it must be said */
	if (MLOCK_WORKS)
		assert_int_equal(mapping_has(secret_bytes(s), " lo"), secret_locked());
	secret_unref(s);
}

/* More secrets than any chunk holds: all different, none shares an octet with another. */
static void
many(void **state)
{
	enum { N = 20000 };
	static struct secret *s[N];

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N; i++) {
			uint8_t key[40];

			memset(key, 0x11, sizeof key);
			memcpy(key + i % 8, &i, sizeof i);
			s[i] = secret_new(key, 20 + i % 21);
			assert_non_null(s[i]);
		}
		for (unsigned i = 0; i < N; i++) {
			unsigned was;

			memcpy(&was, secret_bytes(s[i]) + i % 8, sizeof was);
			assert_int_equal(was, i);
			assert_int_equal(secret_len(s[i]), 20 + i % 21);
			secret_unref(s[i]);
		}
	}
}

static void *
juggle(void *shared)
{
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t key[24];
		struct secret *s;

		memset(key, (int)i, sizeof key);
		s = secret_new(key, sizeof key);
		if (s == NULL || memcmp(secret_bytes(s), key, sizeof key) != 0)
			return shared;
		secret_ref(shared);
		secret_unref(s);
		secret_unref(shared);
	}
	return NULL;
}

static void
threads(void **state)
{
	struct secret *shared = secret_new((const uint8_t *)"shared", 6);
	pthread_t t[4];
	void *bad;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, juggle, shared), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_memory_equal(secret_bytes(shared), "shared", 6);
	secret_unref(shared);
}

/* Last: lowers the limit for the rest of the program.  Root is not bound by it, so then nothing may change. */
static void
too_little_lockable_memory(void **state)
{
	struct rlimit none = {0, 0};
	static struct secret *s[5000];
	uint8_t key[200] = {1};

	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	for (unsigned i = 0; i < 5000; i++)
		assert_non_null(s[i] = secret_new(key, sizeof key));
	if (MLOCK_WORKS)
		assert_int_equal(mapping_has(secret_bytes(s[4999]), " lo"), secret_locked());
	for (unsigned i = 0; i < 5000; i++)
		secret_unref(s[i]);
}

/* A child (netns.c makes some) has no use for keys, so it has none; and it can make its own. */
static void
not_in_a_child(void **state)
{
	uint8_t key[32], zero[32] = {0};
	struct secret *s;
	int st;
	pid_t pid;

	marker(key, sizeof key);
	s = secret_new(key, sizeof key);
	assert_non_null(s);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		struct secret *own;

		if (memcmp(secret_bytes(s), zero, sizeof zero) != 0)
			_exit(1);
		for (int i = 0; i < 2000; i++)
			if ((own = secret_new(key, sizeof key)) == NULL ||
			    secret_len(own) != sizeof key ||
			    memcmp(secret_bytes(own), key, sizeof key) != 0)
				_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	assert_memory_equal(secret_bytes(s), key, sizeof key);
	secret_unref(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(copies_and_compares),
	    cmocka_unit_test(last_unref_wipes),
	    cmocka_unit_test(wiping),
	    cmocka_unit_test(hex),
	    cmocka_unit_test(locked_and_out_of_core_dumps),
	    cmocka_unit_test(not_in_a_child),
	    cmocka_unit_test(many),
	    cmocka_unit_test(threads),
	    cmocka_unit_test(too_little_lockable_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
