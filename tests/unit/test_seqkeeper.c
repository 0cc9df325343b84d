/* links: bits_control bits_sadb */
/*
 * Numbers over restarts: what a record says, what a start makes of it, and what happens when the directory fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "mem_store.h"

static struct seqkeeper *
keeper(struct mem *m, const char *machine)
{
	struct seqkeeper *k = mem_keeper(m, machine);

	assert_non_null(k);
	return k;
}

static struct sa *
make(const char *enc, size_t enclen, const char *auth, size_t authlen, uint8_t key, bool esn)
{
	uint8_t octets[64];
	struct sa_params p;
	struct sa *sa;

	memset(octets, key, sizeof octets);
	sa_params_init(&p);
	p.proto = IPSEC_ESP;
	p.mode = MODE_TRANSPORT;
	p.dir = SA_DIR_OUT;
	p.spi = 0x1001;
	p.esn = esn;
	assert_int_equal(ipaddr_parse("10.9.0.1", &p.src), 0);
	assert_int_equal(ipaddr_parse("10.9.0.2", &p.dst), 0);
	p.enc = alg_enc(enc);
	assert_non_null(p.enc);
	p.enckey = secret_new(octets, enclen);
	if (auth) {
		p.auth = alg_auth(auth);
		assert_non_null(p.auth);
		p.authkey = secret_new(octets, authlen);
	}
	sa = sa_new(&p, 1);
	assert_non_null(sa);
	sa_params_fini(&p);
	return sa;
}

static struct sa *
gcm(uint8_t key)
{
	return make("aes-128-gcm", 20, NULL, 0, key, false);
}

static void
spend(struct sa *sa, uint64_t n)
{
	uint64_t seq;

	while (n--)
		assert_int_equal(seq_take(&sa->seq, &seq), DROP_NONE);
}

static void
test_first_use_then_restart(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *sa = gcm(1), *again = gcm(1);
	char why[512];

	assert_true(seqkeeper_sends(sa));
	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	assert_int_equal(sa->seq.next, 1);
	assert_int_equal(sa->seq.reserved, 1 + SEQSTORE_BLOCK);
	assert_int_equal(strlen(sa->fp), SEQSTORE_FP_LEN);
	spend(sa, 100);
	/* a crash: the next start goes on above everything that may have been used */
	assert_int_equal(seqkeeper_begin(k, again, false, why, sizeof why), 0);
	assert_int_equal(again->seq.next, 1 + SEQSTORE_BLOCK);
	assert_int_equal(again->seq.reserved, 1 + 2 * SEQSTORE_BLOCK);
	sa_unref(sa);
	sa_unref(again);
	seqkeeper_free(k);
}

static void
test_orderly_stop(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *sa = gcm(1), *again = gcm(1);
	char why[512];

	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	spend(sa, 100);
	assert_int_equal(seqkeeper_stop(k, sa), 0);
	assert_int_equal(seqkeeper_begin(k, again, false, why, sizeof why), 0);
	assert_int_equal(again->seq.next, 101);
	sa_unref(sa);
	sa_unref(again);
	seqkeeper_free(k);
}

static void
test_start_without_a_record(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *counter = gcm(1), *cbc = make("aes-128", 16, "hmac-sha2-256", 32, 2, false);
	uint64_t seq;
	char why[512];

	assert_int_equal(seqkeeper_begin(k, counter, false, why, sizeof why), -1);
	assert_non_null(strstr(why, "ipsecctl -f")); /* how to go on */
	assert_int_equal(counter->seq.reserved, 0);
	assert_int_equal(seq_take(&counter->seq, &seq), DROP_SEQ_UNRESERVED);
	assert_int_equal(m.replaces, 0);
	assert_int_equal(
	    seqkeeper_begin(k, cbc, false, why, sizeof why), 1); /* goes on, and says so */
	assert_int_equal(cbc->seq.next, 1);
	/* the operator's own load is what opens it */
	assert_int_equal(seqkeeper_begin(k, counter, true, why, sizeof why), 0);
	assert_int_equal(seq_take(&counter->seq, &seq), DROP_NONE);
	sa_unref(counter);
	sa_unref(cbc);
	seqkeeper_free(k);
}

static void
test_first_use_does_not_forget(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *sa = gcm(1), *again = gcm(1);
	char why[512];

	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	assert_int_equal(
	    seqkeeper_begin(k, again, true, why, sizeof why), 0); /* "first" once more */
	assert_true(again->seq.next >= sa->seq.reserved);
	sa_unref(sa);
	sa_unref(again);
	seqkeeper_free(k);
}

static void
test_damage_and_faults(void **state)
{
	static const int faults[] = {EIO, EROFS, EACCES};
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *sa = gcm(1);
	char why[512];

	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	sa_unref(sa);
	for (size_t bit = 0; bit < m.file[0].len * 8; bit++) {
		sa = gcm(1);
		m.file[0].buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), -1);
		assert_int_equal(sa->seq.reserved, 0);
		m.file[0].buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		sa_unref(sa);
	}
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		sa = gcm(1);
		m.fail_read = faults[i];
		assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), -1);
		m.fail_read = 0;
		m.fail_replace = faults[i];
		assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), -1);
		assert_non_null(strstr(why, strerror(faults[i])));
		assert_int_equal(sa->seq.reserved, 0);
		m.fail_replace = 0;
		assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
		sa_unref(sa);
	}
	seqkeeper_free(k);
}

static void
test_clone(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aaaa"), *clone = keeper(&m, "bbbb"),
			 *none = keeper(&m, "");
	struct sa *sa = gcm(1), *other = gcm(1), *unnamed = gcm(2), *named = gcm(2);
	char why[512];

	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	assert_int_equal(seqkeeper_begin(clone, other, false, why, sizeof why), -1);
	assert_non_null(strstr(why, "another machine"));
	assert_int_equal(seqkeeper_begin(clone, other, true, why, sizeof why), -1);
	assert_int_equal(seqkeeper_begin(none, other, false, why, sizeof why), -1);
	assert_int_equal(seqkeeper_begin(none, unnamed, true, why, sizeof why), 0);
	assert_int_equal(
	    seqkeeper_begin(k, named, false, why, sizeof why), 0); /* it got its id later */
	sa_unref(sa);
	sa_unref(other);
	sa_unref(unnamed);
	sa_unref(named);
	seqkeeper_free(k);
	seqkeeper_free(clone);
	seqkeeper_free(none);
}

static void
test_top_up(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *sa = gcm(1), *again = gcm(1);
	uint64_t reserved, block;
	char why[512];

	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	assert_int_equal(seqkeeper_top_up(k, sa, 5000), 0);
	assert_int_equal(sa->seq.reserved, 1 + SEQSTORE_BLOCK); /* not low yet */
	spend(sa, SEQSTORE_BLOCK / 2 + 1);
	assert_int_equal(seqkeeper_top_up(k, sa, 5000), 0);
	assert_int_equal(sa->seq.reserved, 1 + 2 * SEQSTORE_BLOCK);
	assert_int_equal(sa->block, SEQSTORE_BLOCK);
	spend(sa, SEQSTORE_BLOCK);
	assert_int_equal(seqkeeper_top_up(k, sa, 5300), 0); /* in 0.3 s: the block was too small */
	assert_int_equal(sa->block, 2 * SEQSTORE_BLOCK);
	for (uint64_t now = 5301; sa->block < SEQKEEPER_BLOCK_MAX; now++) {
		spend(sa, sa->seq.reserved - sa->seq.next);
		assert_int_equal(seqkeeper_top_up(k, sa, now), 0);
	}
	block = sa->block;
	sa->seq.next = sa->seq.reserved;
	assert_int_equal(seqkeeper_top_up(k, sa, 5400), 0);
	assert_int_equal(sa->block, block); /* there is a bound */
	/* a fault: what is reserved can be spent, then it stops; later it goes on */
	m.fail_replace = ENOSPC;
	reserved = sa->seq.reserved;
	sa->seq.next = reserved;
	assert_int_equal(seqkeeper_top_up(k, sa, 9000), -1);
	assert_int_equal(sa->seq.reserved, reserved);
	m.fail_replace = 0;
	assert_int_equal(seqkeeper_top_up(k, sa, 9000), 0);
	assert_true(sa->seq.reserved > reserved);
	assert_int_equal(seqkeeper_begin(k, again, false, why, sizeof why), 0);
	assert_int_equal(again->seq.next, sa->seq.reserved);
	sa_unref(sa);
	sa_unref(again);
	seqkeeper_free(k);
}

static void
test_the_end_of_the_numbers(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *sa = gcm(1), *again = gcm(1);
	uint64_t seq;
	char why[512];

	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	sa->seq.next = UINT32_MAX - 10;
	seq_reserve(&sa->seq, UINT32_MAX - 9);
	assert_int_equal(seqkeeper_top_up(k, sa, 5000), 0);
	assert_int_equal(sa->seq.reserved, (uint64_t)UINT32_MAX + 1);
	spend(sa, 11);
	assert_int_equal(seq_take(&sa->seq, &seq), DROP_SEQ_EXHAUSTED);
	assert_int_equal(seqkeeper_stop(k, sa), 0);
	assert_int_equal(seqkeeper_begin(k, again, false, why, sizeof why), -1);
	assert_non_null(strstr(why, "used up"));
	sa_unref(sa);
	sa_unref(again);
	seqkeeper_free(k);
}

/* Two bitsd with one directory and, by mistake, one key: whoever is asked when, no number is had twice, and no stop gives back what
 * the other one uses. */
static void
test_two_keepers(void **state)
{
	struct mem m = {0};
	struct seqkeeper *a = keeper(&m, "aa"), *b = keeper(&m, "aa");
	struct sa *first = gcm(1), *second = gcm(1), *third = gcm(1);
	uint64_t end;
	char why[512];

	assert_int_equal(seqkeeper_begin(a, first, true, why, sizeof why), 0);
	assert_int_equal(seqkeeper_begin(b, second, true, why, sizeof why), 0);
	end = first->seq.reserved;
	assert_true(second->seq.next >= end);
	/* the first one uses up what it has, and gets no more */
	spend(first, SEQSTORE_BLOCK / 2 + 1);
	errno = 0;
	assert_int_equal(seqkeeper_top_up(a, first, 5000), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(first->seq.reserved, end);
	/* the second one goes on */
	spend(second, SEQSTORE_BLOCK / 2 + 1);
	assert_int_equal(seqkeeper_top_up(b, second, 5000), 0);
	assert_int_equal(seqkeeper_stop(a, first), -1);
	assert_int_equal(seqkeeper_begin(a, third, false, why, sizeof why), 0);
	assert_true(third->seq.next >= second->seq.reserved);
	assert_int_equal(seqkeeper_top_up(b, second, 9000), 0); /* enough is left */
	spend(second, SEQSTORE_BLOCK);
	assert_int_equal(seqkeeper_top_up(b, second, 9000), -1);
	sa_unref(first);
	sa_unref(second);
	sa_unref(third);
	seqkeeper_free(a);
	seqkeeper_free(b);
}

/* The state directory is wiped or spoilt while we run: what is reserved next is still above what was. */
static void
test_record_lost_while_running(void **state)
{
	struct mem m = {0};
	struct seqkeeper *k = keeper(&m, "aa");
	struct sa *sa = gcm(1), *again = gcm(1);
	char why[512];

	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	for (int spoilt = 0; spoilt < 2; spoilt++) {
		if (spoilt)
			m.file[0].buf[20] ^= 1;
		else
			m.n = 0;
		spend(sa, SEQSTORE_BLOCK);
		assert_int_equal(seqkeeper_top_up(k, sa, 5000 + 5000 * (uint64_t)spoilt), 0);
	}
	assert_int_equal(seqkeeper_begin(k, again, false, why, sizeof why), 0);
	assert_int_equal(again->seq.next, sa->seq.reserved);
	sa_unref(sa);
	sa_unref(again);
	seqkeeper_free(k);
}

static void
test_real_directory(void **state)
{
	char dir[] = "/tmp/bits-seq-XXXXXX", path[64], cmd[80], why[512];
	struct seqkeeper *k;
	struct sa *sa = gcm(9), *again = gcm(9);
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/state", dir);
	k = seqkeeper_open(path, why, sizeof why);
	assert_non_null(k);
	assert_int_equal(seqkeeper_begin(k, sa, true, why, sizeof why), 0);
	seqkeeper_free(k);
	strcat(path, "/seq");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	*strrchr(path, '/') = '\0';
	k = seqkeeper_open(path, why, sizeof why);
	assert_non_null(k);
	assert_int_equal(seqkeeper_begin(k, again, false, why, sizeof why), 0);
	assert_int_equal(again->seq.next, sa->seq.reserved);
	seqkeeper_free(k);
	sa_unref(sa);
	sa_unref(again);
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_use_then_restart),
	    cmocka_unit_test(test_orderly_stop),
	    cmocka_unit_test(test_start_without_a_record),
	    cmocka_unit_test(test_first_use_does_not_forget),
	    cmocka_unit_test(test_damage_and_faults),
	    cmocka_unit_test(test_clone),
	    cmocka_unit_test(test_top_up),
	    cmocka_unit_test(test_the_end_of_the_numbers),
	    cmocka_unit_test(test_two_keepers),
	    cmocka_unit_test(test_record_lost_while_running),
	    cmocka_unit_test(test_real_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
