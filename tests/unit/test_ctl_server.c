/* links: bits_control PkgConfig::EVENT */
/*
 * The control socket against clients that mean no good: garbage, half messages, too much, too slow, too many, gone in the midst.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "ctl_msg.h"
#include "ctl_server.h"
#include "rundir.h"

#define IDLE_MS 300

struct fix {
	char dir[40], path[80];
	struct rundir *run;
	struct event_base *base;
	struct ctl_server *server;
	struct event *quit;
	int quit_fd[2];
	pthread_t thread;
	unsigned handled;
};

/* Echoes; "monitor" subscribes, "tell N" sends N events of 100 octets to the monitors, "big N" answers N octets. */
static bool
handle(void *ctx, uid_t uid, const char *body, size_t len, struct wipebuf *reply)
{
	struct fix *f = ctx;
	char event[101], word[32] = "";

	__atomic_add_fetch(&f->handled, 1, __ATOMIC_RELAXED);
	if (len < sizeof word)
		memcpy(word, body, len);
	memset(event, 'e', 100);
	event[100] = '\0';
	if (strncmp(word, "tell ", 5) == 0)
		for (int n = atoi(word + 5); n > 0; n--)
			ctl_server_tell(f->server, event);
	if (strncmp(word, "big ", 4) == 0)
		for (int n = atoi(word + 4); n > 0; n -= 100)
			assert_int_equal(wipebuf_add(reply, event, 100), 0);
	else
		assert_int_equal(wipebuf_add(reply, body, len), 0);
	return strcmp(word, "monitor") == 0;
}

static void
quit(evutil_socket_t fd, short what, void *arg)
{
	event_base_loopbreak(arg);
}

static void *
loop(void *arg)
{
	event_base_dispatch(arg);
	return NULL;
}

static int
setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	struct ctl_server_env env = {.handle = handle, .ctx = f, .idle_ms = IDLE_MS};
	char why[512];

	signal(SIGPIPE, SIG_IGN);
	strcpy(f->dir, "/tmp/bits-ctl-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->run = rundir_open(f->dir, "t0", getpid(), why, sizeof why);
	assert_non_null(f->run);
	env.fd = rundir_listen(f->run, NULL, why, sizeof why);
	assert_true(env.fd >= 0);
	snprintf(f->path, sizeof f->path, "%s/t0.sock", f->dir);
	f->base = event_base_new();
	env.base = f->base;
	f->server = ctl_server_new(&env);
	assert_non_null(f->server);
	assert_int_equal(pipe(f->quit_fd), 0);
	f->quit = event_new(f->base, f->quit_fd[0], EV_READ, quit, f->base);
	event_add(f->quit, NULL);
	assert_int_equal(pthread_create(&f->thread, NULL, loop, f->base), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;
	char cmd[80];

	assert_int_equal(write(f->quit_fd[1], "", 1), 1);
	pthread_join(f->thread, NULL);
	event_free(f->quit);
	ctl_server_free(f->server);
	event_base_free(f->base);
	rundir_close(f->run);
	close(f->quit_fd[0]);
	close(f->quit_fd[1]);
	assert_int_equal(access(f->path, F_OK), -1); /* the socket is gone with us */
	snprintf(cmd, sizeof cmd, "rm -r %s", f->dir);
	assert_int_equal(system(cmd), 0);
	free(f);
	return 0;
}

static int
dial(struct fix *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	return fd;
}

static void
put(int fd, unsigned type, const char *body, size_t claimed)
{
	uint8_t head[CTL_HEADER];

	ctl_header_put(&(struct ctl_header){.type = (uint8_t)type, .len = (uint32_t)claimed}, head);
	assert_int_equal(send(fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
	if (*body)
		assert_int_equal(send(fd, body, strlen(body), MSG_NOSIGNAL), strlen(body));
}

static void
ask(int fd, const char *body)
{
	put(fd, CTL_REQUEST, body, strlen(body));
}

/* Reads one message; its body's length, or -1: hung up (or nothing in 5 s). */
static long
get(int fd, unsigned *type, char *body, size_t cap)
{
	uint8_t head[CTL_HEADER];
	struct ctl_header h;

	if (recv(fd, head, sizeof head, MSG_WAITALL) != sizeof head)
		return -1;
	assert_int_equal(ctl_header_get(head, &h), 0);
	assert_true(h.len < cap);
	if (h.len && recv(fd, body, h.len, MSG_WAITALL) != (ssize_t)h.len)
		return -1;
	body[h.len] = '\0';
	if (type)
		*type = h.type;
	return (long)h.len;
}

/* The peer hangs up within 5 s, whatever it says before. */
static bool
hung_up(int fd)
{
	char octets[4096];
	ssize_t n;

	while ((n = recv(fd, octets, sizeof octets, 0)) > 0)
		;
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* Nobody is connected any more, within 10 s. */
static bool
all_gone(struct fix *f)
{
	for (int i = 0; i < 2000 && ctl_server_clients(f->server) != 0; i++)
		usleep(5000);
	return ctl_server_clients(f->server) == 0;
}

static void
good(struct fix *f)
{
	char body[128];
	int fd = dial(f);

	ask(fd, "hello");
	assert_int_equal(get(fd, NULL, body, sizeof body), 5);
	assert_string_equal(body, "hello");
	close(fd);
}

static void
test_ask(void **state)
{
	struct fix *f = *state;
	char body[128];
	unsigned type;
	struct stat st;
	int fd = dial(f);

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (int i = 0; i < 10; i++) { /* several on one connection */
		ask(fd, "{\"verb\":\"x\"}");
		assert_int_equal(get(fd, &type, body, sizeof body), 12);
		assert_int_equal(type, CTL_REPLY);
	}
	/* octet by octet */
	put(fd, CTL_REQUEST, "", 3);
	for (int i = 0; i < 3; i++) {
		usleep(5000);
		assert_int_equal(send(fd, &"xyz"[i], 1, 0), 1);
	}
	assert_int_equal(get(fd, NULL, body, sizeof body), 3);
	assert_string_equal(body, "xyz");
	/* two at once, and an empty body */
	ask(fd, "one");
	ask(fd, "two");
	assert_int_equal(get(fd, NULL, body, sizeof body), 3);
	assert_int_equal(get(fd, NULL, body, sizeof body), 3);
	assert_string_equal(body, "two");
	close(fd);
}

static void
test_garbage(void **state)
{
	struct fix *f = *state;
	char noise[4096];

	for (unsigned seed = 0; seed < 50; seed++) {
		int fd = dial(f);

		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (char)(seed * 31 + i * i + (i >> 3));
		send(fd, noise, sizeof noise, MSG_NOSIGNAL);
		assert_true(hung_up(fd));
		close(fd);
	}
	assert_int_equal(f->handled, 0);
	good(f);
}

static void
test_wrong_type_and_too_long(void **state)
{
	struct fix *f = *state;
	char body[256];
	uint8_t head[CTL_HEADER];
	int fd = dial(f);

	put(fd, CTL_REPLY, "", 3);
	assert_true(get(fd, NULL, body, sizeof body) > 0);
	assert_non_null(strstr(body, "\"status\":1"));
	assert_true(hung_up(fd));
	close(fd);
	fd = dial(f);
	ctl_header_put(&(struct ctl_header){.type = CTL_REQUEST, .len = CTL_BODY_MAX + 1}, head);
	assert_int_equal(send(fd, head, sizeof head, 0), sizeof head);
	assert_true(hung_up(fd));
	close(fd);
	assert_int_equal(f->handled, 0);
	good(f);
}

static void
test_half_a_message(void **state)
{
	struct fix *f = *state;
	int fd = dial(f), idle = dial(f), gone = dial(f);

	put(fd, CTL_REQUEST, "half", 100);
	put(gone, CTL_REQUEST, "half", 100);
	close(gone);
	assert_true(hung_up(fd)); /* cut after idle_ms */
	assert_true(hung_up(idle));
	assert_int_equal(f->handled, 0);
	close(fd);
	close(idle);
	good(f);
}

static void
test_drip(void **state)
{
	struct fix *f = *state;
	int fd = dial(f), i;

	put(fd, CTL_REQUEST, "", 1000); /* an octet now and then does not win time */
	for (i = 0; i < 100; i++) {
		usleep(20000);
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			break;
	}
	assert_true(i < 60);
	close(fd);
	good(f);
}

static void
test_slow_reader(void **state)
{
	struct fix *f = *state;
	int fd = dial(f);

	ask(fd, "big 4000000");
	good(f); /* nobody else waits for it */
	assert_true(all_gone(f));
	assert_true(hung_up(fd));
	close(fd);
}

static void
test_big_reply(void **state)
{
	struct fix *f = *state;
	char *body = malloc(5000000);
	int fd = dial(f);

	ask(fd, "big 4000000");
	assert_int_equal(get(fd, NULL, body, 5000000), 4000000);
	free(body);
	close(fd);
}

static void
test_many_clients(void **state)
{
	struct fix *f = *state;
	char body[128];
	int fd[CTL_SERVER_CLIENTS + 8];
	size_t served = 0;

	for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
		fd[i] = dial(f);
	for (size_t i = 0; i < sizeof fd / sizeof *fd; i++) {
		uint8_t head[CTL_HEADER];

		ctl_header_put(&(struct ctl_header){.type = CTL_REQUEST, .len = 2}, head);
		if (send(fd[i], head, sizeof head, MSG_NOSIGNAL) < 0 ||
		    send(fd[i], "hi", 2, MSG_NOSIGNAL) < 0)
			continue;
		served += get(fd[i], NULL, body, sizeof body) == 2;
	}
	assert_int_equal(served, CTL_SERVER_CLIENTS);
	for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
		close(fd[i]);
	usleep(50000);
	good(f);
}

static void
test_flood(void **state)
{
	struct fix *f = *state;

	for (int i = 0; i < 1000; i++)
		close(dial(f));
	good(f);
}

static void
test_monitor(void **state)
{
	struct fix *f = *state;
	char body[256];
	unsigned type;
	int m = dial(f), fd = dial(f);

	ask(m, "monitor");
	assert_int_equal(get(m, &type, body, sizeof body), 7);
	assert_int_equal(type, CTL_REPLY);
	usleep(2 * IDLE_MS * 1000); /* a monitor is not idle */
	close(fd);
	fd = dial(f);
	ask(fd, "tell 3");
	assert_int_equal(get(fd, NULL, body, sizeof body), 6);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(get(m, &type, body, sizeof body), 100);
		assert_int_equal(type, CTL_EVENT);
	}
	/* the monitor itself asks for something that tells: events and the reply all arrive */
	ask(m, "tell 2");
	for (int i = 0; i < 3; i++)
		assert_true(get(m, &type, body, sizeof body) > 0);
	assert_int_equal(type, CTL_REPLY);
	close(fd);
	close(m);
}

static void
test_monitor_that_does_not_read(void **state)
{
	struct fix *f = *state;
	char body[256];
	unsigned type;
	bool lost = false;
	long n;
	int m = dial(f), fd = dial(f), events = 0;

	ask(m, "monitor");
	assert_int_equal(get(m, NULL, body, sizeof body), 7);
	ask(fd, "tell 20000"); /* 2 MB: more than socket and bound take */
	assert_int_equal(get(fd, NULL, body, sizeof body), 10);
	while (!lost) { /* what fits comes; the gap is told with the next event that fits */
		if (events % 1000 == 999) {
			ask(fd, "tell 1");
			assert_true(get(fd, NULL, body, sizeof body) > 0);
		}
		n = get(m, &type, body, sizeof body);
		assert_true(n > 0);
		assert_int_equal(type, CTL_EVENT);
		lost = strstr(body, "\"lost\"") != NULL;
		assert_true(++events < 20000);
	}
	close(m);
	/* one that never reads is cut */
	m = dial(f);
	ask(m, "monitor");
	close(fd);
	fd = dial(f);
	ask(fd, "tell 20000");
	assert_int_equal(get(fd, NULL, body, sizeof body), 10);
	close(fd);
	assert_true(all_gone(f));
	close(m);
}

static void
test_socket_in_the_way(void **state)
{
	struct fix *f = *state;
	char why[512], other[128], cmd[256];
	struct rundir *r;
	int fd;

	assert_null(rundir_open(f->dir, "t0", getpid(), why, sizeof why)); /* the lock */
	assert_non_null(strstr(why, "t0 is taken by bitsd"));
	r = rundir_open(f->dir, "t1", getpid(), why, sizeof why);
	assert_non_null(r);
	snprintf(other, sizeof other, "%s/t1.sock", f->dir);
	assert_int_equal(symlink("/etc/passwd", other), 0);
	assert_int_equal(rundir_listen(r, NULL, why, sizeof why), -1);
	assert_int_equal(access(other, F_OK), 0); /* still there */
	assert_int_equal(unlink(other), 0);
	snprintf(cmd, sizeof cmd, "echo mine > %s", other);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(rundir_listen(r, NULL, why, sizeof why), -1);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(unlink(other), 0);
	/* a stale socket of ours is no obstacle */
	fd = rundir_listen(r, NULL, why, sizeof why);
	assert_true(fd >= 0);
	close(fd);
	fd = rundir_listen(r, NULL, why, sizeof why);
	assert_true(fd >= 0);
	close(fd);
	/* one that is served is: with -S it may be another NIC's */
	snprintf(other, sizeof other, "%s/t0.sock", f->dir);
	assert_int_equal(rundir_listen(r, other, why, sizeof why), -1);
	assert_non_null(strstr(why, "somebody listens there"));
	assert_int_equal(access(other, F_OK), 0);
	rundir_close(r);
	assert_null(rundir_open("/proc/bits", "t0", getpid(), why, sizeof why));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_ask),
	    T(test_garbage),
	    T(test_wrong_type_and_too_long),
	    T(test_half_a_message),
	    T(test_drip),
	    T(test_slow_reader),
	    T(test_big_reply),
	    T(test_many_clients),
	    T(test_flood),
	    T(test_monitor),
	    T(test_monitor_that_does_not_read),
	    T(test_socket_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
