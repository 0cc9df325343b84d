/* links: bits_control bits_sadb */
/* Replay windows over the end of a process, and of a machine. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "sa.h"
#include "windows.h"

struct bed {
	char dir[64];
	char why[512];
};

static int
setup(void **state)
{
	struct bed *b = calloc(1, sizeof *b);

	assert_non_null(b);
	snprintf(b->dir, sizeof b->dir, "/tmp/bits-windows.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/windows", b->dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/windows.damaged", b->dir);
	unlink(path);
	rmdir(b->dir);
	free(b);
	return 0;
}

/* An SA that receives under SPI ${spi}, its key made of ${fill}. */
static struct sa *
receiver(uint32_t spi, uint8_t fill, bool esn)
{
	uint8_t key[20];
	struct sa_params p;
	struct sa *sa;

	sa_params_init(&p);
	memset(key, fill, sizeof key);
	p.proto = IPSEC_ESP;
	p.mode = MODE_TRANSPORT;
	p.dir = SA_DIR_IN;
	p.spi = spi;
	p.esn = esn;
	assert_int_equal(ipaddr_parse("10.0.0.1", &p.src), 0);
	assert_int_equal(ipaddr_parse("10.0.0.2", &p.dst), 0);
	p.enc = alg_enc("aes-128-gcm");
	p.enckey = secret_new(key, sizeof key);
	assert_non_null(p.enc);
	assert_non_null(sa = sa_new(&p, 0));
	sa_params_fini(&p);
	return sa;
}

static struct windows *
open_boot(struct bed *b, const char *boot)
{
	struct windows *w = windows_open(b->dir, boot, b->why, sizeof b->why);

	if (!w)
		fail_msg("%s", b->why);
	return w;
}

/* How far the window of such an SA is said to have come. */
static uint64_t
known_top(struct bed *b, const char *boot, uint32_t spi, uint8_t fill)
{
	struct windows *w = open_boot(b, boot);
	struct sa *sa = receiver(spi, fill, false);
	uint64_t top;

	assert_true(windows_begin(w, sa, &top) >= 0);
	sa_unref(sa);
	windows_close(w);
	return top;
}

/* What a process leaves that is killed after it took ${upto} packets, with ${syncs} looks at the disk on the way. */
static void
killed(struct bed *b, const char *boot, uint64_t upto, unsigned syncs)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct windows *w = open_boot(b, boot);
		struct sa *sa = receiver(0x1000, 1, false);
		uint64_t top;

		if (windows_begin(w, sa, &top) < 0)
			_exit(1);
		for (uint64_t n = 1; n <= upto; n++) {
			if (replay_advance(&sa->replay, n) != DROP_NONE)
				_exit(2);
			if (syncs && n % (upto / syncs) == 0 && windows_sync(w) < 0)
				_exit(3);
		}
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void
killed_process(void **state)
{
	killed(*state, "one", 1000, 0);
	assert_int_equal(
	    known_top(*state, "one", 0x1000, 1), 1000); /* to the packet, without a sync */
}

static void
another_key_or_spi(void **state)
{
	killed(*state, "one", 10, 0);
	assert_int_equal(known_top(*state, "one", 0x1001, 1), 0);
	assert_int_equal(known_top(*state, "one", 0x1000, 2), 0);
	assert_int_equal(known_top(*state, "one", 0x1000, 1), 10);
}

/* The machine died: the window is where it may have been one period after the last sync, or beyond. */
static void
another_boot(void **state)
{
	killed(*state, "one", 1000, 2); /* 500 in each period */
	assert_int_equal(known_top(*state, "two", 0x1000, 1), 1000 + 2 * 500 + 4);
	assert_int_equal(known_top(*state, "two", 0x1000, 1), 1000 + 2 * 500 + 4);
}

/* Nothing came for a period: not one good packet is lost by a boot. */
static void
another_boot_at_rest(void **state)
{
	struct windows *w = open_boot(*state, "one");
	struct sa *sa = receiver(0x1000, 1, false);
	uint64_t top;

	assert_int_equal(windows_begin(w, sa, &top), 0);
	assert_int_equal(replay_advance(&sa->replay, 77), DROP_NONE);
	assert_int_equal(windows_sync(w), 0);
	assert_int_equal(windows_sync(w), 0);
	sa_unref(sa);
	windows_close(w);
	assert_int_equal(known_top(*state, "two", 0x1000, 1), 77);
}

/* Nor by a stop that had time. */
static void
another_boot_after_stop(void **state)
{
	struct windows *w = open_boot(*state, "one");
	struct sa *sa = receiver(0x1000, 1, false);
	uint64_t top;

	assert_int_equal(windows_begin(w, sa, &top), 0);
	for (uint64_t n = 1; n <= 5000; n++)
		assert_int_equal(replay_advance(&sa->replay, n), DROP_NONE);
	assert_int_equal(windows_sync(w), 0);
	sa_unref(sa);
	windows_close(w);
	assert_int_equal(known_top(*state, "two", 0x1000, 1), 5000);
}

/* A number that does not verify moves nothing (replay_advance() is not called for it), and an old one does not take the record back. */
static void
never_back(void **state)
{
	struct windows *w = open_boot(*state, "one");
	struct sa *a = receiver(0x1000, 1, true), *b = receiver(0x1000, 1, true);
	uint64_t top;

	assert_int_equal(windows_begin(w, a, &top), 0);
	assert_int_equal(replay_advance(&a->replay, (UINT64_C(3) << 32) + 9), DROP_NONE);
	assert_int_equal(replay_advance(&a->replay, (UINT64_C(3) << 32) + 2), DROP_NONE);
	/* the same SA loaded beside it, by mistake, by another process: it knows less */
	assert_int_equal(windows_begin(w, b, &top), 1);
	assert_int_equal(top, (UINT64_C(3) << 32) + 9);
	assert_int_equal(replay_advance(&b->replay, 5), DROP_NONE);
	assert_int_equal(windows_begin(w, b, &top), 1);
	assert_int_equal(top, (UINT64_C(3) << 32) + 9);
	sa_unref(a);
	sa_unref(b);
	windows_close(w);
}

/* More than a chunk of them, by two processes' worth of handles in turn. */
static void
many_and_shared(void **state)
{
	struct windows *w[2] = {open_boot(*state, "one"), open_boot(*state, "one")};
	enum { MANY = 3000 };
	struct sa **sa = calloc(MANY, sizeof(struct sa *));
	uint64_t top;

	for (unsigned i = 0; i < MANY; i++) {
		sa[i] = receiver(0x1000 + i, 1, false);
		assert_int_equal(windows_begin(w[i & 1], sa[i], &top), 0);
		assert_int_equal(replay_advance(&sa[i]->replay, i + 1), DROP_NONE);
	}
	for (unsigned i = 0; i < MANY; i++) { /* each knows of the other's */
		assert_int_equal(windows_begin(w[~i & 1], sa[i], &top), 1);
		assert_int_equal(top, i + 1);
	}
	for (unsigned i = 0; i < MANY; i++)
		sa_unref(sa[i]);
	free(sa);
	windows_close(w[0]);
	windows_close(w[1]);
	assert_int_equal(known_top(*state, "one", 0x1000 + MANY - 1, 1), MANY);
}

static void
damaged(void **state)
{
	struct bed *b = *state;
	char path[128];
	int fd;

	killed(b, "one", 10, 0);
	snprintf(path, sizeof path, "%s/windows", b->dir);
	assert_true((fd = open(path, O_WRONLY)) >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 3), 1);
	close(fd);
	assert_int_equal(known_top(b, "one", 0x1000, 1), 0);
	snprintf(path, sizeof path, "%s/windows.damaged", b->dir);
	assert_int_equal(access(path, F_OK), 0);
}

static void
no_room(void **state)
{
	struct bed *b = *state;

	assert_null(windows_open("/proc/nowhere", NULL, b->why, sizeof b->why));
	assert_true(strlen(b->why) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(killed_process, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_key_or_spi, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_boot, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_boot_at_rest, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_boot_after_stop, setup, teardown),
	    cmocka_unit_test_setup_teardown(never_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_and_shared, setup, teardown),
	    cmocka_unit_test_setup_teardown(damaged, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
