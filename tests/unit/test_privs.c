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
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "privs.h"
#include "sanitized.h"
#include "sysfilter.h"

static const struct lowuser nobody = {"60999", 60999, 60998};
static int root = -1; /* of the next ward */

static int
ward(void)
{
	return privs_drop(&nobody, root);
}

/* Runs ${f} in a child that has given up what ${drop} gives up; wait status. */
static int
in_child(int (*drop)(void), void (*f)(void))
{
	int st;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (drop() < 0)
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
the_warden(void)
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

static void
the_ward(void)
{
	const unsigned ids[] = {getuid(), geteuid(), getgid(), getegid()};
	bool was_root = status_of("CapBnd", 16) == 0;
	char kept[512];

	CHECK(status_of("NoNewPrivs", 10) == 1);
	CHECK(status_of("Seccomp", 10) == 2);
	CHECK(status_of("CapEff", 16) == 0 && status_of("CapPrm", 16) == 0);
	CHECK(status_of("CapInh", 16) == 0 && status_of("CapAmb", 16) == 0);
	if (was_root)
		CHECK(ids[0] == 60999 && ids[1] == 60999 && ids[2] == 60998 && ids[3] == 60998);
	CHECK(ids[1] != 0);
	privs_kept(kept, sizeof kept);
	CHECK(strncmp(kept, "no capability; ", 15) == 0 && strstr(kept, "system calls"));
}

/* What the control thread goes on doing. */
static void
wards_work(void)
{
	int fd;

	CHECK((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	close(fd);
	CHECK((fd = socket(AF_NETLINK, SOCK_RAW, 0)) >= 0);
	close(fd);
}

static void
not_wards_work(void)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_PACKET, AF_ALG};

	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		CHECK(socket(families[i], SOCK_DGRAM, 0) < 0 && errno == ENOSYS);
	CHECK(mkdir("/tmp/bits-privs", 0700) < 0 && errno == ENOSYS);
	if (!SANITIZED)
		CHECK(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 && errno == ENOSYS);
}

static void
nothing_there(void)
{
	CHECK(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == ENOENT);
	CHECK(open("../../etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == ENOENT);
	CHECK(open("/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES);
}

/* What the warden goes on doing. */
static void
wardens_work(void)
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
not_wardens_work(void)
{
	CHECK(socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_syslog, 10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0) < 0 &&
	      errno == ENOSYS);
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
	CHECK((fd = socket(AF_NETLINK, SOCK_RAW, 0)) >= 0);
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

/* A worker cannot open its own status; one that was opened before says how it is now. */
static void *
bare(void *arg)
{
	char text[4096];
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	const char *filters;
	ssize_t n;

	CHECK(fd >= 0 && privs_worker() == 0);
	CHECK((n = read(fd, text, sizeof text - 1)) > 0);
	text[n] = '\0';
	CHECK(strstr(text, "CapEff:\t0000000000000000\n") &&
	      strstr(text, "CapPrm:\t0000000000000000\n"));
	CHECK((filters = strstr(text, "Seccomp_filters:")) && atoi(filters + 16) >= 2);
	return NULL;
}

static void
a_bare_worker(void)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, bare, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
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
to_another_namespace(void)
{
	syscall(SYS_setns, -1, 0);
}

static void
to_root(void)
{
	(void)!setuid(0);
}

static long
bpf(int command)
{
	union bpf_attr a = {0};

	return syscall(SYS_bpf, command, &a, sizeof a);
}

static void
loads_a_program(void)
{
	(void)bpf(BPF_PROG_LOAD);
}

static int
warden_with_xdp(void)
{
	sysfilter_xdp();
	return privs_warden();
}

/* The two commands get as far as the kernel, which has something else to say about what they ask. */
static void
xdp_work(void)
{
	CHECK(bpf(BPF_MAP_UPDATE_ELEM) == -1 && errno != ENOSYS);
	CHECK(bpf(BPF_LINK_CREATE) == -1 && errno != ENOSYS);
	CHECK(bpf(BPF_PROG_LOAD) == -1 && errno == ENOSYS);
	CHECK(bpf(BPF_MAP_CREATE) == -1 && errno == ENOSYS);
	CHECK(bpf(BPF_PROG_ATTACH) == -1 && errno == ENOSYS);
	CHECK(socket(AF_XDP, SOCK_DGRAM, 0) == -1 && errno != ENOSYS);
}

static void
xdp_without_the_word(void)
{
	CHECK(socket(AF_XDP, SOCK_RAW, 0) == -1 && errno == ENOSYS);
}

static void
xdp_takes_two_commands(void **s)
{
	assert_int_equal(in_child(warden_with_xdp, xdp_work), 0);
	assert_int_equal(in_child(privs_warden, xdp_without_the_word), 0);
}

static void
they_keep_little(void **s)
{
	assert_int_equal(in_child(privs_warden, the_warden), 0);
	if (geteuid() == 0)
		assert_int_equal(in_child(ward, the_ward), 0);
}

static void
work_goes_on(void **s)
{
	assert_int_equal(in_child(privs_warden, wardens_work), 0);
	assert_int_equal(in_child(ward, wards_work), 0);
}

static void
the_rest_is_not_there(void **s)
{
	assert_int_equal(in_child(privs_warden, not_wardens_work), 0);
	assert_int_equal(in_child(ward, not_wards_work), 0);
}

static void
no_file_is_there(void **s)
{
	char dir[] = "/tmp/bits-privs-XXXXXX";

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0555), 0);
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(in_child(ward, nothing_there), 0);
	close(root);
	root = -1;
	rmdir(dir);
}

static void
data_stays_data(void **s)
{
	if (SANITIZED)
		skip(); /* the sanitizers' own memory is mapped at will */
	assert_int_equal(in_child(ward, code_from_data), 0);
	assert_int_equal(in_child(privs_warden, code_from_data), 0);
}

static void
crimes_end_it(void **s)
{
	static void (*const crimes[])(void) = {
	    a_shell, a_module, to_another_namespace, to_root, loads_a_program};

	for (size_t i = 0; i < sizeof crimes / sizeof *crimes; i++) {
		int st = in_child(ward, crimes[i]);

		assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
		st = in_child(privs_warden, crimes[i]);
		if (crimes[i] != to_another_namespace) /* that is its work */
			assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
	}
}

static void
a_worker_moves_packets(void **s)
{
	assert_int_equal(in_child(ward, workers), 0);
	assert_int_equal(in_child(ward, a_bare_worker), 0);
}

static void
a_worker_does_nothing_else(void **s)
{
	for (nth = 0; nth < sizeof forbidden / sizeof *forbidden; nth++) {
		int st = in_child(ward, a_forbidden_worker);

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
	    cmocka_unit_test(they_keep_little),
	    cmocka_unit_test(work_goes_on),
	    cmocka_unit_test(the_rest_is_not_there),
	    cmocka_unit_test(no_file_is_there),
	    cmocka_unit_test(data_stays_data),
	    cmocka_unit_test(crimes_end_it),
	    cmocka_unit_test(xdp_takes_two_commands),
	    cmocka_unit_test(a_worker_moves_packets),
	    cmocka_unit_test(a_worker_does_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
