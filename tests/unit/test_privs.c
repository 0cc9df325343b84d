/* links: bits_control */
/*
 * What is given up stays given up.  Every case runs in a child, since none of it can be taken back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "privs.h"

/* Runs ${f} in a child that has dropped its privileges; wait status. */
static int
in_child(void (*f)(void))
{
	int st;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (privs_drop() < 0)
			_exit(99);
		f();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #x, errno);  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* A line of /proc/thread-self/status as a number; base 16 for capabilities. */
static unsigned long long
status_of(const char *what, int base)
{
	char line[256];
	unsigned long long n = ~0ull;
	FILE *f = fopen("/proc/thread-self/status", "re");

	CHECK(f);
	while (fgets(line, sizeof line, f))
		if (strncmp(line, what, strlen(what)) == 0 && line[strlen(what)] == ':')
			n = strtoull(line + strlen(what) + 1, NULL, base);
	fclose(f);
	return n;
}

static void
the_process(void)
{
	const unsigned long long may = 1ull << 1 /* DAC_OVERRIDE */ | 1ull << 12 /* NET_ADMIN */ |
				       1ull << 13 /* NET_RAW */ | 1ull << 14 /* IPC_LOCK */ |
				       1ull << 18 /* SYS_CHROOT */ | 1ull << 19 /* SYS_PTRACE */ |
				       1ull << 21 /* SYS_ADMIN */;
	char kept[512];

	CHECK(status_of("NoNewPrivs", 10) == 1);
	CHECK(status_of("Seccomp", 10) == 2);
	if (geteuid() == 0) {
		CHECK((status_of("CapEff", 16) & ~may) == 0);
		CHECK((status_of("CapPrm", 16) & ~may) == 0);
		CHECK((status_of("CapInh", 16)) == 0);
	}
	privs_kept(kept, sizeof kept);
	CHECK(strstr(kept, "system calls"));
	CHECK(geteuid() != 0 || status_of("CapEff", 16) == 0 || strstr(kept, "CAP_"));
	/* one octet is enough to end it: no write behind a short buffer */
	for (size_t n = 1; n < 40; n++) {
		kept[n] = 'x';
		privs_kept(kept, n);
		CHECK(kept[n] == 'x' && strlen(kept) < n);
	}
}

/* What the control thread goes on doing. */
static void
its_work(void)
{
	int st, fd;
	pid_t pid;

	CHECK((fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) >= 0);
	close(fd);
	CHECK((fd = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	close(fd);
	CHECK((fd = socket(AF_NETLINK, SOCK_RAW, 0)) >= 0);
	close(fd);
	CHECK((pid = fork()) >= 0);
	if (pid == 0)
		_exit(7);
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 7);
}

/* What is not its work fails as if the kernel did not have it. */
static void
not_its_work(void)
{
	CHECK(socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_syslog, 10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_sethostname, "x", 1) < 0 && errno == ENOSYS);
}

static void
a_shell(void)
{
	char *const argv[] = {(char *)(uintptr_t) "sh", NULL};

	execve("/bin/sh", argv, NULL);
}

static void
a_module(void)
{
	syscall(SYS_finit_module, -1, "", 0);
}

static void *
worker(void *arg)
{
	int fd = *(int *)arg;
	uint64_t n = 1;
	void *p;

	CHECK(privs_worker() == 0);
	/* its work */
	CHECK(write(fd, &n, sizeof n) == sizeof n && read(fd, &n, sizeof n) == sizeof n);
	CHECK((p = malloc(1 << 22)) != NULL);
	memset(p, 1, 1 << 22);
	free(p);
	/* not its work, but no crime */
	CHECK(syscall(SYS_memfd_create, "x", 0) < 0 && errno == ENOSYS);
	return NULL;
}

static void
workers(void)
{
	pthread_t t;
	int fd = eventfd(0, 0);

	CHECK(pthread_create(&t, NULL, worker, &fd) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	/* the control thread is what it was */
	CHECK((fd = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	CHECK(geteuid() != 0 || status_of("CapBnd", 16) != 0);
}

static void *
confined(void *arg)
{
	CHECK(privs_worker() == 0);
	((void (*)(void))(uintptr_t)arg)();
	return NULL;
}

static void
makes_a_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
}

static void
leaves_the_namespace(void)
{
	syscall(SYS_setns, -1, 0);
}

static void
removes_a_file(void)
{
	unlink("/nonexistent");
}

static void (*forbidden[])(void) = {makes_a_socket, leaves_the_namespace, removes_a_file, a_shell};
static size_t nth;

static void
a_forbidden_worker(void)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, confined, (void *)(uintptr_t)forbidden[nth]) == 0);
	pthread_join(t, NULL);
}

/* A worker has no capability, and its last word is read by another thread: it cannot open its own status. */
static int idle_fd = -1;

static void *
idle(void *arg)
{
	uint64_t n = 1;

	CHECK(privs_worker() == 0);
	__atomic_store_n((long *)arg, syscall(SYS_gettid), __ATOMIC_RELEASE);
	(void)!read(idle_fd, &n, sizeof n);
	return NULL;
}

static void
a_bare_worker(void)
{
	char path[64], line[256];
	long tid = 0;
	pthread_t t;
	FILE *f;
	int seen = 0;

	idle_fd = eventfd(0, 0);
	CHECK(pthread_create(&t, NULL, idle, &tid) == 0);
	while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	snprintf(path, sizeof path, "/proc/self/task/%ld/status",
	    __atomic_load_n(&tid, __ATOMIC_ACQUIRE));
	CHECK((f = fopen(path, "re")));
	while (fgets(line, sizeof line, f)) {
		if (strncmp(line, "CapEff:", 7) == 0 || strncmp(line, "CapPrm:", 7) == 0)
			seen += strtoull(line + 7, NULL, 16) == 0;
		if (strncmp(line, "Seccomp_filters:", 16) == 0)
			seen += atoi(line + 16) >= 2;
	}
	fclose(f);
	CHECK(seen == 3);
	_exit(0);
}

static void
code_from_data(void)
{
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		  0) == MAP_FAILED);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0);
}

static void
the_process_keeps_little(void **s)
{
	assert_int_equal(in_child(the_process), 0);
}

static void
work_goes_on(void **s)
{
	assert_int_equal(in_child(its_work), 0);
}

static void
the_rest_is_not_there(void **s)
{
	assert_int_equal(in_child(not_its_work), 0);
}

static void
data_stays_data(void **s)
{
#if defined(__SANITIZE_ADDRESS__)
	skip(); /* the sanitizers' own memory is mapped at will */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip();
#endif
#endif
	assert_int_equal(in_child(code_from_data), 0);
}

static void
crimes_end_it(void **s)
{
	int st;

	st = in_child(a_shell);
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
	st = in_child(a_module);
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
}

static void
a_worker_moves_packets(void **s)
{
	assert_int_equal(in_child(workers), 0);
	assert_int_equal(in_child(a_bare_worker), 0);
}

static void
a_worker_does_nothing_else(void **s)
{
	for (nth = 0; nth < sizeof forbidden / sizeof *forbidden; nth++) {
		int st = in_child(a_forbidden_worker);

		if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGSYS)
			fail_msg("number %zu: status 0x%x", nth, (unsigned)st);
	}
}

/* A program that did not drop anything (ipsecreplay, a test) has ordinary workers. */
static void
nothing_without_the_word(void **s)
{
	assert_int_equal(privs_worker(), 0);
	assert_true(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_without_the_word),
	    cmocka_unit_test(the_process_keeps_little),
	    cmocka_unit_test(work_goes_on),
	    cmocka_unit_test(the_rest_is_not_there),
	    cmocka_unit_test(data_stays_data),
	    cmocka_unit_test(crimes_end_it),
	    cmocka_unit_test(a_worker_moves_packets),
	    cmocka_unit_test(a_worker_does_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
