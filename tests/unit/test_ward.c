/* links: bits_control bits_edge bits_walk bits_spd bits_sadb bits_base */
/*
 * The two processes and what they say to each other, without a NIC: what needs one is in tests/netns.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "log.h"
#include "lowuser.h"
#include "reread.h"
#include "rundir.h"
#include "statedir.h"
#include "ward.h"
#include "warden.h"
#include "warden_msg.h"

struct fixture {
	char dir[32], run[64], state[64], file[64];
	struct options o;
	struct nic_opts no;
	struct ward *w;
};

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int
setup(void **s)
{
	struct fixture *f = calloc(1, sizeof *f);

	strcpy(f->dir, "/tmp/bits-ward-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->run, sizeof f->run, "%s/run", f->dir);
	snprintf(f->state, sizeof f->state, "%s/state", f->dir);
	snprintf(f->file, sizeof f->file, "%s/ipsec.conf", f->dir);
	f->o = (struct options){.nic = "nosuch0",
	    .file = f->file,
	    .run_dir = f->run,
	    .state_dir = f->state,
	    .foreground = true};
	f->no = (struct nic_opts){.name = "nosuch0", .state_dir = f->state};
	*s = f;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int
teardown(void **s)
{
	struct fixture *f = *s;

	ward_end(f->w);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void
begin(struct fixture *f)
{
	assert_non_null(f->w = ward_start(&f->o, &f->no, -1));
}

static bool
there(const struct fixture *f, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", f->run, name);
	return access(path, F_OK) == 0;
}

static int
connects(const struct fixture *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s/nosuch0.sock", f->run);
	rc = connect(fd, (struct sockaddr *)&sun, sizeof sun);
	close(fd);
	return rc;
}

static void
a_life(void **s)
{
	struct fixture *f = *s;
	char why[512] = "", path[128], text[32] = "";
	uint8_t mac[6];
	const struct ipaddr dst = {.b = {10, 9, 0, 2}, .af = 4};
	int fd, again;
	FILE *pid;

	begin(f);
	assert_int_equal(ward_check(f->w, why, sizeof why), -1);
	assert_non_null(strstr(why, "nosuch0"));
	assert_int_equal(ward_listen(f->w, why, sizeof why), -1); /* not without the lock */
	assert_int_equal(ward_lock(f->w, why, sizeof why), 0);
	assert_true(there(f, "nosuch0.lock"));
	fd = ward_listen(f->w, why, sizeof why);
	assert_true(fd >= 0);
	assert_int_equal(connects(f), 0);
	/* there is nothing to heal; then there is */
	assert_int_equal(ward_listen(f->w, why, sizeof why), -2);
	snprintf(path, sizeof path, "%s/nosuch0.sock", f->run);
	assert_int_equal(unlink(path), 0);
	again = ward_listen(f->w, why, sizeof why);
	assert_true(again >= 0);
	close(fd);
	assert_int_equal(connects(f), 0);
	assert_int_equal(ward_pid(f->w), 0);
	snprintf(path, sizeof path, "%s/nosuch0.pid", f->run);
	assert_non_null(pid = fopen(path, "re"));
	assert_non_null(fgets(text, sizeof text, pid));
	fclose(pid);
	assert_int_equal(atoi(text), getpid()); /* whose work it is */
	/* without a NIC there is nothing to open, to ask or to give back */
	for (int i = 0; i < EDGE_FD_MAX; i++)
		assert_true(ward_open(f->w, (enum edge_fd)i) == -1 && errno == ENODEV);
	assert_true(ward_resolve(f->w, &dst, mac) == -1 && errno == ENODEV);
	assert_int_equal(ward_give_back(f->w, why, sizeof why), -1);
	ward_forget(f->w);
	close(again);
	ward_end(f->w);
	f->w = NULL;
	assert_false(there(f, "nosuch0.sock") || there(f, "nosuch0.pid"));
}

/* What is asked of no warden fails, and is told. */
static void
its_death_is_noticed(void **s)
{
	struct fixture *f = *s;
	struct nic_info info;
	char why[512] = "", children[64];
	struct pollfd p;
	FILE *c;
	int pid = 0;

	begin(f);
	assert_int_equal(ward_event(f->w, &info), 0);
	snprintf(children, sizeof children, "/proc/self/task/%d/children", (int)getpid());
	if ((c = fopen(children, "re")) == NULL)
		skip();
	assert_int_equal(fscanf(c, "%d", &pid), 1);
	fclose(c);
	assert_int_equal(ward_check(f->w, why, sizeof why), -1);
	assert_int_equal(kill(pid, SIGTERM), 0); /* it is not its to end */
	assert_int_equal(ward_check(f->w, why, sizeof why), -1);
	assert_null(strstr(why, "the privileges"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	p = (struct pollfd){.fd = ward_event_fd(f->w), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(ward_event(f->w, &info), -1);
	assert_int_equal(ward_lock(f->w, why, sizeof why), -1);
	assert_non_null(strstr(why, "the privileges"));
	assert_int_equal(ward_pid(f->w), -1);
}

/* Whoever says what is no request speaks to nobody from then on. */
static void
nonsense_ends_it(void **s)
{
	struct fixture *f = *s;
	const struct warden_request odd[] = {{.op = 0}, {.op = WARDEN_OPS},
	    {.op = WARDEN_OPEN, .arg = EDGE_FD_MAX}, {.op = WARDEN_CHECK}};
	const size_t len[] = {sizeof *odd, sizeof *odd, sizeof *odd, sizeof *odd - 1};

	for (size_t i = 0; i < 4; i++) {
		int call[2], event[2], said[2], st;
		char octet;
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, call), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, event), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, said), 0);
		assert_true((pid = fork()) >= 0);
		if (pid == 0) {
			struct warden_env env = {
			    &f->o, &f->no, getppid(), call[1], event[1], said[1]};

			close(call[0]);
			close(event[0]);
			close(said[0]);
			warden_run(&env);
		}
		close(call[1]);
		close(event[1]);
		close(said[1]);
		assert_int_equal(warden_msg_send(call[0], &odd[i], len[i], -1, 0), 0);
		assert_true(recv(call[0], &octet, 1, 0) <= 0);
		assert_int_equal(waitpid(pid, &st, 0), pid);
		assert_true(WIFEXITED(st));
		close(call[0]);
		close(event[0]);
		close(said[0]);
	}
}

#define POLICY                                                                                     \
	"# a comment\n"                                                                            \
	"net = \"10.2.0.0/16\"\n"                                                                  \
	"esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 auth hmac-sha2-256 enc aes "    \
	"\\\n"                                                                                     \
	"\tauthkey 0x1111111111111111111111111111111111111111111111111111111111111111:"            \
	"0x2222222222222222222222222222222222222222222222222222222222222222 \\\n"                  \
	"\tenckey 0x33333333333333333333333333333333:0x44444444444444444444444444444444\n"         \
	"builtin arp type deny\n"                                                                  \
	"flow esp transport proto tcp from 10.9.0.1 to 10.9.0.2 port { 22, 80 }\n"                 \
	"include \"more.conf\"\n"

/* The file comes through another process as if it had been read here. */
static void
the_file_comes_whole(void **s)
{
	struct fixture *f = *s;
	struct conf_opts co = {0};
	struct diags ds = {0};
	struct conf direct, by;
	char more[64], *text[2];
	size_t len[2];
	int fd;

	snprintf(more, sizeof more, "%s/more.conf", f->dir);
	put(f->file, POLICY);
	put(more, "\nflow from any to $net type bypass\n");
	conf_init(&direct);
	assert_int_equal(conf_load(f->file, &co, &direct, &ds), 0);
	diags_free(&ds);

	begin(f);
	assert_true((fd = ward_read(f->w)) >= 0);
	assert_int_equal(reread_read(fd, &by), 0);
	close(fd);
	assert_int_equal(by.nsas, 2);
	assert_int_equal(by.nsas, direct.nsas);
	assert_int_equal(by.nrules, direct.nrules);
	for (size_t i = 0; i < 2; i++) {
		FILE *out = open_memstream(&text[i], &len[i]);

		conf_print(i ? &by : &direct, true, out);
		fclose(out);
	}
	assert_string_equal(text[0], text[1]);
	free(text[0]);
	free(text[1]);
	for (size_t i = 0; i < direct.nrules; i++) {
		assert_int_equal(by.rule_at[i].line, direct.rule_at[i].line);
		assert_int_equal(by.rule_at[i].col, direct.rule_at[i].col);
		assert_string_equal(by.rule_at[i].file, direct.rule_at[i].file);
	}
	assert_int_equal(by.sa_at[1].line, direct.sa_at[1].line);
	assert_true(by.builtin_said[builtin_number("arp")]);
	conf_free(&by);
	conf_free(&direct);

	/* with nothing in it */
	put(f->file, "");
	assert_true((fd = ward_read(f->w)) >= 0);
	assert_int_equal(reread_read(fd, &by), 0);
	close(fd);
	assert_true(by.nsas == 0 && by.nrules == 0);
	conf_free(&by);

	/* with an error in it, or not there: nothing, and not an empty policy */
	put(f->file, "flow from any to\n");
	assert_true((fd = ward_read(f->w)) >= 0);
	assert_int_equal(reread_read(fd, &by), -1);
	close(fd);
	conf_free(&by);
	assert_int_equal(unlink(f->file), 0);
	assert_true((fd = ward_read(f->w)) >= 0);
	assert_int_equal(reread_read(fd, &by), -1);
	close(fd);
	conf_free(&by);
}

/* A stream that was cut is no policy, wherever that was. */
static void
a_cut_stream_is_none(void **s)
{
	struct fixture *f = *s;
	char text[4096];
	struct conf c;
	ssize_t n;
	int p[2];

	put(f->file,
	    "flow from 10.0.0.1 to 10.0.0.2 type bypass\nflow from any to any type deny\n");
	assert_int_equal(pipe(p), 0);
	assert_int_equal(reread_write(f->file, true, p[1]), 0);
	close(p[1]);
	n = read(p[0], text, sizeof text);
	assert_true(n > 0 && (size_t)n < sizeof text);
	close(p[0]);
	for (ssize_t cut = 0; cut <= n; cut++) {
		assert_int_equal(pipe(p), 0);
		assert_int_equal(write(p[1], text, (size_t)cut), cut);
		close(p[1]);
		assert_int_equal(reread_read(p[0], &c), cut == n ? 0 : -1);
		close(p[0]);
		conf_free(&c);
	}
}

/* What is left of a bitsd that is dead is waited for; one that lives is not. */
static void
the_lock_of_the_dead(void **s)
{
	struct fixture *f = *s;
	char why[512] = "", octet;
	struct rundir *r;
	pid_t dead, late;
	int p[2];

	assert_true((dead = fork()) >= 0);
	if (dead == 0)
		_exit(0);
	waitpid(dead, NULL, 0);
	for (int alive = 0; alive < 2; alive++) {
		assert_int_equal(pipe(p), 0);
		assert_true((late = fork()) >= 0);
		if (late == 0) {
			r = rundir_open(f->run, "t0", alive ? getppid() : dead, why, sizeof why);
			(void)!write(p[1], "", 1);
			usleep(alive ? 3000000 : 300000);
			_exit(r ? 0 : 1);
		}
		assert_int_equal(read(p[0], &octet, 1), 1);
		r = rundir_open(f->run, "t0", getpid(), why, sizeof why);
		assert_true(alive ? r == NULL : r != NULL);
		if (alive)
			assert_non_null(strstr(why, "is taken by bitsd (pid"));
		rundir_close(r);
		kill(late, SIGKILL);
		waitpid(late, NULL, 0);
		close(p[0]);
		close(p[1]);
	}
}

static void
the_empty_root(void **s)
{
	struct fixture *f = *s;
	char why[512] = "", path[128];
	struct stat st;
	int fd;

	assert_int_equal(mkdir(f->run, 0700), 0);
	assert_true((fd = rundir_empty(f->run, why, sizeof why)) >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0555);
	close(fd);
	assert_true((fd = rundir_empty(f->run, why, sizeof why)) >= 0);
	close(fd);
	snprintf(path, sizeof path, "%s/empty", f->run);
	assert_int_equal(chmod(path, 0755), 0);
	snprintf(path, sizeof path, "%s/empty/x", f->run);
	put(path, "");
	assert_int_equal(rundir_empty(f->run, why, sizeof why), -1);
	assert_non_null(strstr(why, "not empty"));
	/* nor what leads elsewhere */
	unlink(path);
	snprintf(path, sizeof path, "%s/empty", f->run);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/", path), 0);
	assert_int_equal(rundir_empty(f->run, why, sizeof why), -1);
}

/* Records become the user's, and nothing that a link leads to does. */
static void
records_change_hands(void **s)
{
	struct fixture *f = *s;
	const struct lowuser u = {"60999", 60999, 60998};
	char why[512] = "", path[180], name[128], other[128], link_[128];
	struct stat st;
	int fd;

	if (geteuid() != 0)
		skip();
	assert_true((fd = statedir_seq(f->state, &u, path, sizeof path, why, sizeof why)) >= 0);
	close(fd);
	snprintf(name, sizeof name, "%s/seq/0123", f->state);
	snprintf(other, sizeof other, "%s/other", f->dir);
	snprintf(link_, sizeof link_, "%s/seq/soft", f->state);
	put(name, "x");
	put(other, "y");
	assert_int_equal(symlink(other, link_), 0);
	snprintf(link_, sizeof link_, "%s/seq/hard", f->state);
	assert_int_equal(link(other, link_), 0);
	assert_true((fd = statedir_seq(f->state, &u, path, sizeof path, why, sizeof why)) >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_uid == 60999 && (st.st_mode & 07777) == 0700);
	close(fd);
	assert_int_equal(stat(name, &st), 0);
	assert_true(st.st_uid == 60999 && st.st_gid == 60998);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(stat(f->state, &st), 0);
	assert_true(st.st_uid == 0 && (st.st_mode & 07777) == 0700);
	assert_int_equal(statedir_give(f->state, "nosuch", &u), 0);
}

/* A line goes by way of the other process, whole and as one. */
static void
lines_are_passed_on(void **s)
{
	char text[256] = "";
	int sp[2], p[2], err = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sp), 0);
	log_by(sp[0]);
	log_warnx("one\nbitsd: two");
	log_by(-1);
	log_init("test", true, 0, NULL);
	assert_int_equal(recv(sp[1], text, sizeof text, MSG_DONTWAIT), 15);
	assert_string_equal(text, "4one bitsd: two"); /* LOG_WARNING */

	assert_int_equal(pipe(p), 0);
	assert_int_equal(send(sp[0], "4a\nb", 4, 0), 4);
	assert_int_equal(send(sp[0], "\377c", 2, 0), 2); /* no priority there is */
	dup2(p[1], STDERR_FILENO);
	assert_true(log_pass(sp[1], 4711));
	assert_true(log_pass(sp[1], 4711));
	assert_false(log_pass(sp[1], 4711));
	dup2(err, STDERR_FILENO);
	close(p[1]);
	n = read(p[0], text, sizeof text - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, "test: a b\ntest: c\n");
	close(p[0]);
	close(sp[0]);
	close(sp[1]);
	close(err);
}

static void
users(void **s)
{
	struct lowuser u;
	char why[512] = "";

	assert_int_equal(lowuser_find("nosuchuser", &u, why, sizeof why), -1);
	assert_non_null(strstr(why, "useradd"));
	assert_int_equal(lowuser_find("root", &u, why, sizeof why), -1);
	assert_true(lowuser_find(NULL, &u, why, sizeof why) >= 0);
	assert_true(u.uid != 0 && u.gid != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_life, setup, teardown),
	    cmocka_unit_test_setup_teardown(its_death_is_noticed, setup, teardown),
	    cmocka_unit_test_setup_teardown(nonsense_ends_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_file_comes_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_cut_stream_is_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_lock_of_the_dead, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_empty_root, setup, teardown),
	    cmocka_unit_test_setup_teardown(records_change_hands, setup, teardown),
	    cmocka_unit_test(lines_are_passed_on),
	    cmocka_unit_test(users),
	};

	signal(SIGPIPE, SIG_IGN);
	log_init("test", true, 0, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
