/* links: bits_control bits_base */
/* What is watched once a second: a worker that does not come on is noticed, one that rests or a machine that slept is not taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/event.h>
#include "vigil.h"

struct bed {
	struct event_base *base;
	struct vigil *v;
	uint64_t pulse;
	bool lives;
	unsigned stuck, healed;
};

static uint64_t
pulse(void *ctx)
{
	struct bed *b = ctx;

	b->pulse += b->lives;
	return b->pulse;
}

static void
stuck(void *ctx)
{
	((struct bed *)ctx)->stuck++;
}

static void
heal(void *ctx)
{
	((struct bed *)ctx)->healed++;
}

static struct bed *
bed_new(void)
{
	struct bed *b = calloc(1, sizeof *b);
	struct vigil_env env = {.pulse = pulse, .heal = heal, .stuck = stuck, .ctx = b};

	assert_non_null(b);
	b->lives = true;
	assert_non_null(env.base = b->base = event_base_new());
	assert_non_null(b->v = vigil_new(&env));
	return b;
}

static void
bed_free(struct bed *b)
{
	vigil_free(b->v);
	event_base_free(b->base);
	free(b);
}

static void
notices_a_stuck_worker(void **state)
{
	struct bed *b = bed_new();

	for (int i = 0; i < 100; i++)
		assert_true(vigil_look(b->v));
	assert_int_equal(b->healed, 100);
	b->lives = false;
	for (int i = 0; i < VIGIL_MISSED - 1; i++)
		assert_true(vigil_look(b->v));
	b->lives = true; /* slow, not stuck */
	assert_true(vigil_look(b->v));
	b->lives = false;
	for (int i = 0; i < VIGIL_MISSED - 1; i++)
		assert_true(vigil_look(b->v));
	assert_int_equal(b->stuck, 0);
	assert_false(vigil_look(b->v));
	assert_false(vigil_look(b->v));
	assert_int_equal(b->stuck, 1); /* told once */
	bed_free(b);
}

/* Datagrams that wait at ${fd}. */
static unsigned
told(int fd)
{
	char text[64];
	unsigned n = 0;
	ssize_t len;

	while ((len = recv(fd, text, sizeof text, MSG_DONTWAIT)) > 0) {
		assert_int_equal(len, strlen("WATCHDOG=1"));
		assert_memory_equal(text, "WATCHDOG=1", (size_t)len);
		n++;
	}
	return n;
}

static void
tells_the_service_manager(void **state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char path[64], pid[24];
	struct bed *b;

	assert_true(fd >= 0);
	snprintf(path, sizeof path, "@bits-vigil-%d", (int)getpid());
	memcpy(sun.sun_path + 1, path + 1, strlen(path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
	    0);
	setenv("NOTIFY_SOCKET", path, 1);

	b = bed_new(); /* nobody asked */
	assert_true(vigil_look(b->v));
	assert_int_equal(told(fd), 0);
	bed_free(b);

	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	b = bed_new(); /* somebody else was asked */
	assert_true(vigil_look(b->v));
	assert_int_equal(told(fd), 0);
	bed_free(b);

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	b = bed_new();
	for (int i = 0; i < 3; i++)
		assert_true(vigil_look(b->v));
	assert_int_equal(told(fd), 3);
	b->lives = false;
	while (vigil_look(b->v))
		;
	assert_int_equal(told(fd), VIGIL_MISSED - 1); /* and then no more */
	assert_false(vigil_look(b->v));
	assert_int_equal(told(fd), 0);
	bed_free(b);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	close(fd);
}

static void
by_itself(void **state)
{
	struct bed *b = bed_new();

	assert_int_equal(event_base_loop(b->base, EVLOOP_ONCE), 0);
	assert_int_equal(b->healed, 1);
	bed_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(notices_a_stuck_worker),
	    cmocka_unit_test(tells_the_service_manager),
	    cmocka_unit_test(by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
