/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include "seq.h"
#include "seqstore.h"
#include "simfs.h"

/* The directory's code a second time, over the simulated file system. */
static void sim_dir_io(struct seqstore_io *io, int dirfd);
#define seqstore_dir_io(io, dirfd) sim_dir_io(io, dirfd)
#include "simfs_calls.h"
#include "seqstore_dir.c"
#undef seqstore_dir_io
#undef openat
#undef read
#undef write
#undef fsync
#undef fstat
#undef close
#undef renameat
#undef unlinkat

static const char fp[] = "00112233445566778899aabbccddeeff",
		  fp2[] = "ffeeddccbbaa99887766554433221100";

/* --- lives of a sender over a store that may fail --------------------------------------------------- */

enum { BLOCK = 8, LIVES_MAX = 40, NUMBERS = 4096 };

static uint8_t used[NUMBERS];
static uint64_t promised; /* what a save that returned OK said last */

/* One life: read the record, go on there, reserve and use ${rounds} blocks.  Ends early when the power goes, and uses no number that
 * is not reserved.  Returns how many saves failed. */
static unsigned
life(unsigned rounds)
{
	struct seqstore_record rec = {.machine = "m"};
	struct seqstore_io io;
	volatile unsigned failed = 0;
	struct seq s;
	uint64_t n;

	seq_init(&s, true);
	sim_dir_io(&io, SIM_DIR);
	if (setjmp(sim.power) != 0)
		return failed;
	switch (seqstore_load(&io, fp, &rec)) {
	case SEQSTORE_OK:
		assert_string_equal(rec.machine, "m");
		if (rec.upto < promised)
			fail_msg("the record says %llu, but %llu was promised",
			    (unsigned long long)rec.upto, (unsigned long long)promised);
		seq_resume(&s, rec.upto);
		break;
	case SEQSTORE_MISSING:
		assert_int_equal(promised, 0); /* a key's first use, never a lost record */
		break;
	case SEQSTORE_IO:
		return 1; /* stays unable to send */
	default:
		fail_msg("damaged by no more than a loss of power");
	}
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t upto = (s.next > s.reserved ? s.next : s.reserved) + BLOCK;

		rec.upto = upto;
		if (seqstore_save(&io, fp, &rec) == SEQSTORE_OK) {
			promised = upto;
			seq_reserve(&s, upto);
		} else
			failed++;
		while (seq_take(&s, &n) == DROP_NONE) {
			assert_true(n < NUMBERS);
			if (used[n]++)
				fail_msg("number %llu a second time", (unsigned long long)n);
		}
	}
	return failed;
}

static void
fresh(void)
{
	sim_format();
	memset(used, 0, sizeof used);
	promised = 0;
}

/* Power goes before each call; each state the disk may then be in; and all lives together use no number twice. */
static void
crash_points(void **state)
{
	unsigned calls, outcomes = 0;

	fresh();
	assert_int_equal(life(3), 0);
	calls = sim.calls;
	assert_true(calls > 3 * 7);
	for (unsigned cut = 1; cut <= calls + 1; cut++)
		for (int which = 0; which < SIM_STATES; which++)
			for (int loss = 0; loss < SIM_LOSSES; loss++) {
				fresh();
				sim.cut = cut;
				life(3);
				if (which >= sim.states)
					continue;
				sim_crash(which, (enum sim_loss)loss);
				assert_int_equal(life(2), 0); /* and it works again */
				outcomes++;
			}
	assert_true(outcomes > 4 * calls);
}

static void
crash_after_crash(void **state)
{
	srandom(5);
	for (int round = 0; round < 3000; round++) {
		fresh();
		for (int lives = 0; lives < 12; lives++) {
			sim.calls = 0;
			sim.cut = (unsigned)random() % 30;
			if (random() % 4 == 0) {
				sim.fault = 1 + (unsigned)random() % 25;
				sim.fault_errno = ENOSPC;
			}
			sim.write_max = (size_t)random() % 3 * 17;
			sim.eintr = (int)(random() % 3);
			life(1 + (unsigned)random() % 4);
			sim_crash(
			    (int)(random() % sim.states), (enum sim_loss)(random() % SIM_LOSSES));
		}
	}
}

/* A code that skipped a sync must be found out by this file system, or the tests above prove nothing. */
static int
replace_without_sync(void *ctx, const char *name, const uint8_t *buf, size_t len)
{
	int fd;

	sim_unlinkat(SIM_DIR, "temp", 0);
	fd = sim_openat(SIM_DIR, "temp", O_CREAT | O_EXCL | O_WRONLY, 0600);
	sim_write(fd, buf, len);
	if (*(const char *)ctx == 'd')
		sim_fsync(fd);
	sim_renameat(SIM_DIR, "temp", SIM_DIR, name);
	if (*(const char *)ctx != 'd')
		sim_fsync(SIM_DIR);
	return 0;
}

static void
missing_syncs_are_found_out(void **state)
{
	static char which[][2] = {"d", "f"}; /* no sync of the directory; of the file */

	for (int i = 0; i < 2; i++) {
		struct seqstore_record rec = {.upto = 10}, got;
		struct seqstore_io io, bad;
		unsigned wrong = 0;

		for (int loss = 0; loss < SIM_LOSSES; loss++)
			for (int st = 0; st < SIM_STATES; st++) {
				sim_format();
				sim_dir_io(&io, SIM_DIR);
				bad = io;
				bad.ctx = which[i];
				bad.replace = replace_without_sync;
				assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
				rec.upto = 20;
				assert_int_equal(seqstore_save(&bad, fp, &rec), SEQSTORE_OK);
				rec.upto = 10;
				if (st >= sim.states)
					break;
				sim_crash(st, (enum sim_loss)loss);
				wrong +=
				    seqstore_load(&io, fp, &got) != SEQSTORE_OK || got.upto != 20;
			}
		assert_true(wrong > 0);
	}
}

/* Each call of a save fails, with each error a disk may give: said, errno kept, nothing promised, no temporary file in the way of the
 * next try, and the old record there until the new one is. */
static void
faults(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EROFS, EDQUOT, EACCES, EMFILE};
	struct seqstore_record rec = {.upto = 100, .machine = "m"}, got;
	struct seqstore_io io;
	unsigned first, last, failures = 0;

	sim_dir_io(&io, SIM_DIR);
	sim_format();
	assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
	first = sim.calls + 1;
	assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
	last = sim.calls;
	for (unsigned at = first; at <= last; at++)
		for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
			sim_format();
			rec.upto = 100;
			assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
			sim.fault = at;
			sim.fault_errno = errors[e];
			rec.upto = 200;
			errno = 0;
			assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_IO);
			assert_int_equal(errno, errors[e]);
			failures++;
			sim.fault = 0;
			assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
			assert_true(got.upto == 100 || got.upto == 200);
			rec.upto = 300;
			assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
			sim_crash(0, SIM_LOSE);
			assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
			assert_int_equal(got.upto, 300);
		}
	assert_true(failures >= 6 * 6);
	/* reading: whatever fails, it is no record and not "missing" */
	sim.calls = 0;
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
	last = sim.calls - 1; /* that close() fails after reading does not matter */
	for (unsigned at = 1; at <= last; at++) {
		sim.calls = 0;
		sim.fault = at;
		sim.fault_errno = EIO;
		got.upto = 7;
		assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_IO);
		assert_int_equal(errno, EIO);
		assert_int_equal(got.upto, 7);
	}
	sim.fault = 0;
	/* short writes and interrupts are no faults */
	for (size_t max = 1; max < 100; max++) {
		sim.write_max = max;
		sim.eintr = 3;
		rec.upto = 400 + max;
		assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
		sim.eintr = 2;
		assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
		assert_int_equal(got.upto, 400 + max);
	}
}

/* --- a real directory --------------------------------------------------------------------------------- */

static char dir_name[] = "/tmp/bits-seqstore-XXXXXX";
static int dir = -1;

static int
dir_setup(void **state)
{
	strcpy(dir_name + sizeof dir_name - 7, "XXXXXX");
	return mkdtemp(dir_name) != NULL && (dir = open(dir_name, O_RDONLY | O_DIRECTORY)) >= 0
		   ? 0
		   : -1;
}

static int
dir_teardown(void **state)
{
	DIR *d = opendir(dir_name);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && unlinkat(dir, e->d_name, 0) < 0)
			unlinkat(dir, e->d_name, AT_REMOVEDIR);
	closedir(d);
	close(dir);
	return rmdir(dir_name);
}

static void
put_file(const char *name, const void *octets, size_t len)
{
	int fd;

	unlinkat(dir, name, 0);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, len), len);
	close(fd);
}

static size_t
get_file(const char *name, uint8_t *octets, size_t room)
{
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, octets, room);
	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static unsigned
files(void)
{
	DIR *d = opendir(dir_name);
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void
there_and_back(void **state)
{
	static const struct seqstore_record recs[] = {{1, ""},
	    {UINT64_MAX, "0123456789abcdef0123456789abcdef"},
	    {0x123456789abcdef0, "x", UINT64_MAX - 1}, {0, "abc"}};
	struct seqstore_record got;
	struct seqstore_io io;
	struct stat st;

	seqstore_dir_io(&io, dir);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_MISSING);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(seqstore_save(&io, fp, &recs[i]), SEQSTORE_OK);
		memset(&got, 0xee, sizeof got);
		assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
		assert_true(got.upto == recs[i].upto);
		assert_string_equal(got.machine, recs[i].machine);
		assert_true(got.owner == recs[i].owner);
		assert_int_equal(files(), 1); /* nothing left beside it */
	}
	assert_int_equal(fstatat(dir, fp, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SEQSTORE_RECORD);
	assert_int_equal(seqstore_load(&io, fp2, &got), SEQSTORE_MISSING);
	assert_int_equal(io.remove(io.ctx, fp), 0);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_MISSING);
	assert_int_equal(io.remove(io.ctx, fp), -1);
	assert_int_equal(errno, ENOENT);
}

/* The octets of version 1, made independently: a release must read the records of the one before. */
static void
format(void **state)
{
	static const uint8_t want[] =
	    "bitsseq\n\x00\x01\x00\x60\0\0\0\0\x12\x34\x56\x78\x9a\xbc\xde\xf0"
	    "0123456789abcdef0123456789abcdef\0\0\0\0\0\0\0\0"
	    "\x44\x74\x70\x55\x91\xa5\x13\xb8\x08\x66\x87\xdc\x80\x32\x6f\xde"
	    "\x3d\x76\x2e\x52\xe2\x61\x2e\xe4\xfc\x3b\xf9\xd2\x7d\xe1\x1d\x42";
	struct seqstore_record rec = {0x123456789abcdef0, "0123456789abcdef0123456789abcdef"}, got;
	uint8_t buf[200];
	struct seqstore_io io;

	seqstore_dir_io(&io, dir);
	assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
	assert_int_equal(get_file(fp, buf, sizeof buf), SEQSTORE_RECORD);
	assert_memory_equal(buf, want, SEQSTORE_RECORD);
	put_file(fp, want, SEQSTORE_RECORD);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
	assert_true(got.upto == rec.upto);
}

static void
damage(void **state)
{
	struct seqstore_record rec = {1u << 20, "0123456789abcdef0123456789abcdef"},
			       got = {.upto = 7};
	uint8_t good[SEQSTORE_RECORD], bad[4 * SEQSTORE_RECORD] = {0};
	struct seqstore_io io;

#define DAMAGED(octets, len)                                                                       \
	do {                                                                                       \
		put_file(fp, octets, len);                                                         \
		assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_DAMAGED);                  \
		assert_int_equal(got.upto, 7);                                                     \
	} while (0)
	seqstore_dir_io(&io, dir);
	assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
	assert_int_equal(get_file(fp, good, sizeof good), sizeof good);
	for (size_t bit = 0; bit < 8 * sizeof good; bit++) {
		memcpy(bad, good, sizeof good);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		DAMAGED(bad, sizeof good);
	}
	memcpy(bad, good, sizeof good);
	for (size_t len = 0; len < sizeof good; len++)
		DAMAGED(bad, len);
	for (size_t more = 1; more < sizeof bad - sizeof good; more += 7)
		DAMAGED(bad, sizeof good + more);
	memset(bad, 0, sizeof bad);
	DAMAGED(bad, sizeof good); /* what some file systems leave after a crash */
	DAMAGED(bad, sizeof bad);
	memset(bad, 0xff, sizeof bad);
	DAMAGED(bad, sizeof good);
	/* another key's record under this name */
	assert_int_equal(seqstore_save(&io, fp2, &rec), SEQSTORE_OK);
	get_file(fp2, bad, sizeof bad);
	DAMAGED(bad, sizeof good);
	/* and a good one is believed again */
	put_file(fp, good, sizeof good);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
	assert_int_equal(got.upto, 1 << 20);
}

static void
strange_things_in_the_directory(void **state)
{
	struct seqstore_record rec = {5, ""}, got;
	struct seqstore_io io, path;
	char temp[64];
	uint8_t was[8];
	int fd;

	seqstore_dir_io(&io, dir);
	snprintf(temp, sizeof temp, "%s.new", fp);
	/* what a crash left: no hindrance, and never read */
	put_file(temp, "half", 4);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_MISSING);
	assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
	assert_int_equal(files(), 1);
	/* a link at either name is not followed */
	put_file("victim", "victim", 6);
	assert_int_equal(unlinkat(dir, fp, 0), 0);
	assert_int_equal(symlinkat("victim", dir, fp), 0);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_IO);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(symlinkat("victim", dir, temp), 0);
	assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_OK);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_OK);
	assert_int_equal(get_file("victim", was, sizeof was), 6);
	assert_memory_equal(was, "victim", 6);
	/* no regular file */
	assert_int_equal(unlinkat(dir, fp, 0), 0);
	assert_int_equal(mkfifoat(dir, fp, 0600), 0);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_IO);
	assert_int_equal(unlinkat(dir, fp, 0), 0);
	assert_int_equal(mkdirat(dir, fp, 0700), 0);
	assert_int_equal(seqstore_load(&io, fp, &got), SEQSTORE_IO);
	assert_int_equal(seqstore_save(&io, fp, &rec), SEQSTORE_IO);
	assert_int_equal(files(), 2); /* victim and the directory: the temporary file is gone */
	assert_int_equal(unlinkat(dir, fp, AT_REMOVEDIR), 0);
	/* a descriptor that cannot be synced: the save does not count */
	fd = open(dir_name, O_PATH | O_DIRECTORY);
	seqstore_dir_io(&path, fd);
	assert_int_equal(seqstore_save(&path, fp, &rec), SEQSTORE_IO);
	assert_int_equal(errno, EBADF);
	close(fd);
}

static void
names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "../../../../etc/passwd",
	    "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeefff",
	    "00112233445566778899AABBCCDDEEFF", "0011223344556677/899aabbccddeeff"};
	struct seqstore_record rec = {5, ""};
	struct seqstore_io io;

	seqstore_dir_io(&io, dir);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		assert_int_equal(seqstore_load(&io, bad[i], &rec), SEQSTORE_IO);
		assert_int_equal(errno, EINVAL);
		errno = 0;
		assert_int_equal(seqstore_save(&io, bad[i], &rec), SEQSTORE_IO);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(files(), 0);
}

/* Values made with another implementation of HMAC: a change would lose every record there is. */
static void
fingerprints(void **state)
{
	char a[SEQSTORE_FP_LEN + 1], b[SEQSTORE_FP_LEN + 1];
	uint8_t k[32];

	for (unsigned i = 0; i < sizeof k; i++)
		k[i] = (uint8_t)i;
	assert_int_equal(seqstore_fingerprint(50, k, 20, NULL, 0, a), 0);
	assert_string_equal(a, "c91c7b453567b44ccb7675afd8e4fbc4");
	assert_int_equal(seqstore_fingerprint(51, NULL, 0, k, 32, a), 0);
	assert_string_equal(a, "f02933d09e1c1e1250e1312f722e6173");
	assert_int_equal(seqstore_fingerprint(50, k, 16, k, 20, a), 0);
	assert_string_equal(a, "b3d4a4026a3b937386e16f2131eca242");
	/* no octet may wander from one key to the other */
	assert_int_equal(seqstore_fingerprint(50, k, 16, k + 16, 16, a), 0);
	for (size_t cut = 0; cut <= 32; cut++) {
		assert_int_equal(seqstore_fingerprint(50, k, cut, k + cut, 32 - cut, b), 0);
		assert_int_equal(strcmp(a, b) == 0, cut == 16);
	}
	assert_int_equal(seqstore_fingerprint(51, k, 16, k + 16, 16, b), 0);
	assert_string_not_equal(a, b);
}

int
main(void)
{
#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(crash_points),
	    cmocka_unit_test(crash_after_crash),
	    cmocka_unit_test(missing_syncs_are_found_out),
	    cmocka_unit_test(faults),
	    IN_DIR(there_and_back),
	    IN_DIR(format),
	    IN_DIR(damage),
	    IN_DIR(strange_things_in_the_directory),
	    IN_DIR(names),
	    cmocka_unit_test(fingerprints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
