/*
 * bitsd: options, start order, signals, exit status.
 *
 * options -> warden -> file -> NIC looked at -> lock -> privileges dropped -> NIC taken, edges bound -> first generation ->
 * restart, carrier -> ready.  What needs privileges from then on is done by the warden (warden.h).  Whatever fails before the NIC is taken changes nothing; whatever fails after it leaves the NIC closed.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bump.h"
#include "conf.h"
#include "crypto.h"
#include "ctl_server.h"
#include "ctl_verb.h"
#include "hostname.h"
#include "log.h"
#include "netns.h"
#include "notify.h"
#include "options.h"
#include "privs.h"
#include "reload.h"
#include "reread.h"
#include "rundir.h"
#include "secret.h"
#include "shim.h"
#include "statedir.h"
#include "vigil.h"
#include "ward.h"
#include "windows.h"
#include "workers.h"

struct daemon {
	struct options o;
	struct event_base *base;
	struct ward *ward; /* NULL: --dissolve, -n */
	struct lowuser user;
	struct bump bump;
	struct vigil *vigil;
	int ready_fd; /* the parent waits at the other end; -1: no parent */
	int null;     /* /dev/null, which cannot be opened any more when it is needed */
};

/* No core, no debugger of another user: the process has keys. */
static void
harden(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	/* what JSON texts held (keys, with -k) is overwritten when it is freed */
	json_set_alloc_funcs(malloc, wipebuf_release);
}

/* Reads the operator's file.  0, or -1 and the errors are told; a default file that is missing is an empty policy. */
static int
read_file(const struct options *o, struct conf *c)
{
	struct conf_opts co = {.resolve = hostname_resolve};
	struct diags ds = {0};
	int rc;

	conf_init(c);
	if (!o->file_said && access(o->file, F_OK) < 0 && errno == ENOENT) {
		log_warnx(
		    "%s is not there: the policy is empty, nothing passes but what is built in",
		    o->file);
		return 0;
	}
	rc = conf_load(o->file, &co, c, &ds);
	diags_print(&ds, stderr);
	diags_free(&ds);
	return rc;
}

/* ${c} becomes the generation in force.  What it says is no key's first use: see seqkeeper.h. */
static int
apply(struct daemon *d, const struct conf *c)
{
	struct diags ds = {0};
	int rc = reload_conf(d->bump.reload, c, RELOAD_REPLACE, RELOAD_AT_END, false, &ds);

	for (size_t i = 0; i < ds.n; i++)
		if (!ds.d[i].warning)
			log_warnx(
			    "%s:%u:%u: %s", ds.d[i].file, ds.d[i].line, ds.d[i].col, ds.d[i].text);
	diags_free(&ds);
	if (rc == 0)
		log_info("%zu rules, %zu SAs", c->nrules, c->nsas);
	return rc;
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;
	struct conf c;
	int pipe = ward_read(d->ward), rc;

	conf_init(&c);
	rc = pipe < 0 ? -1 : reread_read(pipe, &c);
	if (pipe >= 0)
		close(pipe);
	if (rc < 0 || apply(d, &c) < 0)
		log_warnx("%s is not loaded: the policy in force stays", d->o.file);
	conf_free(&c);
}

static void
on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	event_base_loopbreak(d->base);
}

/* What is said when something fails with the NIC taken. */
static void
say_closed(const struct options *o)
{
	log_warnx("%s is isolated: nothing passes.  Start bitsd again, or give the NIC back: bitsd "
		  "-i %s --dissolve",
	    o->nic, o->nic);
}

/* Becomes a daemon: the parent stays until the child is ready, so that errors of the start are seen and have an exit status. */
static void
daemonise(struct daemon *d)
{
	int fd[2];
	char byte;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		fatal("pipe");
	if ((pid = fork()) < 0)
		fatal("fork");
	if (pid > 0) {
		close(fd[1]);
		_exit(read(fd[0], &byte, 1) == 1 ? 0 : 1);
	}
	close_range(3, (unsigned)fd[1] - 1,
	    0); /* what the caller's shell left open, and the parent's end */
	close_range((unsigned)fd[1] + 1, ~0u, 0);
	d->ready_fd = fd[1];
	setsid();
}

static void
ready(struct daemon *d)
{
	notify("READY=1");
	if (d->ready_fd < 0)
		return;
	if (ward_background(d->ward) < 0)
		log_warn("the log");
	for (int i = 0; i <= 2; i++)
		dup2(d->null, i);
	if (d->null > 2)
		close(d->null);
	if (write(d->ready_fd, "", 1) != 1)
		log_warn("nobody waits for the start");
	close(d->ready_fd);
	d->ready_fd = -1;
}

static int
open_control(struct daemon *d, int fd)
{
	struct ctl_server_env env = {.base = d->base,
	    .fd = fd,
	    .handle = ctl_verb_handle,
	    .take_fd = ctl_capture_fd,
	    .gone = ctl_capture_gone,
	    .ctx = &d->bump,
	    .shared = d->o.shared,
	    .group = d->o.group};

	if ((d->bump.ctl = ctl_server_new(&env)) == NULL) {
		log_warn("control socket");
		close(fd);
		return -1;
	}
	return 0;
}

static uint64_t
pulse(void *ctx)
{
	struct daemon *d = ctx;

	return shim_pulse(d->bump.shim);
}

/* An edge may stand still; and somebody may have removed the control socket: it is made again. */
static void
heal(void *ctx)
{
	struct daemon *d = ctx;
	char why[512];
	int fd = ward_listen(d->ward, why, sizeof why);

	bump_look(&d->bump);
	if (fd == -2)
		return;
	if (fd < 0) { /* it is tried again the next time */
		log_warnx("%s", why);
		return;
	}
	log_warnx("the control socket was removed: making it again");
	if (d->bump.ctl)
		ctl_server_free(d->bump.ctl);
	d->bump.ctl = NULL;
	(void)open_control(d, fd);
}

/* The supervisor starts us again; the NIC is closed until then.  No handlers: they would wait for the worker. */
static void
stuck(void *ctx)
{
	log_warnx("a worker is stuck: bitsd ends, to be started again; nothing passes until then");
	_exit(1);
}

static int
watch_ourselves(struct daemon *d)
{
	struct vigil_env env = {
	    .base = d->base, .pulse = pulse, .heal = heal, .stuck = stuck, .ctx = d};

	return (d->vigil = vigil_new(&env)) == NULL ? -1 : 0;
}

static int
watch_signals(struct daemon *d)
{
	static const struct {
		int sig;
		event_callback_fn fn;
	} all[] = {{SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGHUP, on_hup}};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct event *ev = evsignal_new(d->base, all[i].sig, all[i].fn, d);

		if (!ev || event_add(ev, NULL) < 0)
			return -1;
	}
	return 0;
}

/* What is reached by descriptors from now on: records, log, service manager.  NULL reported. */
static struct seqkeeper *
open_state(struct daemon *d, struct windows **windows)
{
	struct seqkeeper *keeper;
	char why[512], path[180];
	int fd = statedir_seq(d->o.state_dir, &d->user, path, sizeof path, why, sizeof why);

	if (fd < 0 || (keeper = seqkeeper_at(fd, path, why, sizeof why)) == NULL) {
		log_warnx("%s", why);
		return NULL;
	}
	*windows = windows_open(d->o.state_dir, NULL, why, sizeof why);
	if (*windows && statedir_give(d->o.state_dir, STATEDIR_WINDOWS, &d->user) < 0)
		log_warn("%s/" STATEDIR_WINDOWS " cannot be given to user %s", d->o.state_dir,
		    d->user.name);
	if (!*windows)
		log_warnx("replay windows are not kept: after a restart, packets captured before "
			  "it could be "
			  "replayed once: %s",
		    why);
	notify_open();
	d->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return keeper;
}

/* Root no more.  0, or -1 reported. */
static int
drop(struct daemon *d)
{
	char why[512];
	int root = rundir_empty(d->o.run_dir, why, sizeof why);

	if (root < 0) {
		log_warnx("%s", why);
		return -1;
	}
	if (privs_drop(&d->user, root) < 0) {
		log_warn("cannot become user %s in %s/empty, without capabilities", d->user.name,
		    d->o.run_dir);
		return -1;
	}
	privs_kept(why, sizeof why);
	log_info("pid %d, which moves packets and listens to clients, kept: %s; user %s, root "
		 "%s/empty",
	    (int)getpid(), why, d->user.name, d->o.run_dir);
	return 0;
}

/* From the lock to the end of the event loop.  Exit status. */
static int
serve(struct daemon *d, const struct nic_opts *no, struct conf *c)
{
	struct seqkeeper *keeper;
	struct windows *windows = NULL;
	char why[1024];
	int fd;

	if ((fd = ward_listen(d->ward, why, sizeof why)) < 0) {
		log_warnx("%s", why);
		return 1;
	}
	if ((keeper = open_state(d, &windows)) == NULL || drop(d) < 0) {
		close(fd);
		return 1;
	}
	if ((d->base = event_base_new()) == NULL || bump_new(&d->bump, d->base, no, keeper) < 0)
		fatal("start");
	d->bump.ward = d->ward;
	if (windows && bump_keep_windows(&d->bump, windows) < 0)
		fatal("start");
	shim_set_pmtu_age(d->bump.shim, d->o.pmtu_age * UINT64_C(1000));
	if (watch_signals(d) < 0 || watch_ourselves(d) < 0)
		fatal("signals");
	if (open_control(d, fd) < 0)
		return 1;
	if (ward_pid(d->ward) < 0)
		log_warn("pid file");

	if (bump_take(&d->bump, why, sizeof why) < 0) {
		log_warnx("%s", why);
		goto err;
	}
	if (apply(d, c) < 0 || bump_go(&d->bump) < 0)
		goto err;
	conf_free(c);
	conf_init(c);
	ready(d);
	event_base_dispatch(d->base);

	vigil_free(d->vigil);
	d->vigil = NULL;
	notify("STOPPING=1");
	if (bump_stop(&d->bump, d->o.restore, why, sizeof why) < 0) {
		log_warnx("%s", why);
		goto err;
	}
	if (d->bump.orphaned)
		goto err;
	if (!d->o.restore && d->bump.attached)
		log_info("stopped; %s stays isolated", d->o.nic);
	return 0;
err:
	if (d->bump.attached)
		say_closed(&d->o);
	return 1;
}

/* --dissolve: the NIC of a bitsd that is gone goes back to the host. */
static int
dissolve(const struct options *o, const struct nic_opts *no)
{
	struct nic_info info;
	struct nic *nic;
	char why[1024], saved[256], netns[32];
	int fd;

	if (nic_state_file(no, saved, sizeof saved) == -1)
		fatalx("%s: no name for the NIC's state in it", o->state_dir);
	snprintf(netns, sizeof netns, "bits-%s", o->nic);
	if ((fd = netns_open(o->netns ? o->netns : netns)) >= 0)
		close(fd);
	if (fd < 0 && access(saved, F_OK) < 0)
		fatalx("%s is not taken: there is nothing to give back", o->nic);
	if ((nic = nic_take(no, why, sizeof why)) == NULL)
		fatalx("%s", why);
	nic_info(nic, &info);
	if (nic_give_back(nic, why, sizeof why) < 0)
		fatalx("%s", why);
	nic_free(nic);
	log_info("%s: given back", o->nic);
	return 0;
}

/* Gives back what serve() has, and ends behind the warden. */
static void
end(struct daemon *d)
{
	vigil_free(d->vigil);
	if (d->bump.ctl)
		ctl_server_free(d->bump.ctl);
	d->bump.ctl = NULL;
	if (d->bump.shim)
		bump_free(&d->bump);
	ward_end(d->ward);
}

/* The user, the warden, the file: all that can be wrong before anything is touched.  0, or -1 reported. */
static int
prepare(struct daemon *d, const struct nic_opts *no, struct conf *c)
{
	char why[1024] = "";
	const char *cause = NULL;
	int found = 0;

	if (!d->o.check && (found = lowuser_find(d->o.user, &d->user, why, sizeof why)) < 0) {
		log_warnx("%s", why);
		return -1;
	}
	if (found)
		log_info("%s", why);
	/* before the first key is read */
	if (!d->o.check && (d->ward = ward_start(&d->o, no, d->ready_fd)) == NULL)
		fatal("cannot make the process that keeps privileges");
	if (read_file(&d->o, c) < 0)
		return -1;
	if (!secret_locked())
		log_warnx("not all keys are in locked memory (RLIMIT_MEMLOCK is too small): they "
			  "could reach swap");
	if (crypto_select(d->o.crypto, &cause) < 0) {
		log_warnx("--crypto %s: %s", d->o.crypto, cause ? cause : "not usable");
		return -1;
	}
	if ((d->ward ? ward_check(d->ward, why, sizeof why) : nic_check(no, why, sizeof why)) < 0 ||
	    (d->ward && ward_lock(d->ward, why, sizeof why) < 0)) {
		log_warnx("%s", why);
		return -1;
	}
	return 0;
}

/* --dissolve, with the lock. */
static int
run_dissolve(const struct options *o, const struct nic_opts *no)
{
	char why[1024];
	struct rundir *run = rundir_open(o->run_dir, o->nic, getpid(), why, sizeof why);
	int status;

	if (!run)
		fatalx("%s", why);
	status = dissolve(o, no);
	rundir_close(run);
	return status;
}

int
main(int argc, char **argv)
{
	static struct daemon d = {.ready_fd = -1, .null = -1};
	struct nic_opts no;
	struct conf c;
	int status = 1;

	options_parse(&d.o, argc, argv);
	workers_set(d.o.workers); /* before there is a rule */
	log_init("bitsd", true, d.o.verbose, d.o.debug);
	harden();
	no = (struct nic_opts){.name = d.o.nic,
	    .netns = d.o.netns,
	    .state_dir = d.o.state_dir,
	    .stay = d.o.stay,
	    .lower = d.o.lower,
	    .workers = d.o.workers,
	    .no_offload = d.o.no_offload};
	if (geteuid() != 0 && !d.o.check)
		fatalx("must be root: it takes a NIC over");
	if (d.o.dissolve && !d.o.check)
		return run_dissolve(&d.o, &no);
	if (!d.o.foreground && !d.o.check)
		daemonise(&d); /* before the first key is read: locked memory is not inherited */
	conf_init(&c);
	if (prepare(&d, &no, &c) == 0) {
		if (d.o.check) {
			printf("%s and %s are fine: %zu rules, %zu SAs\n", d.o.nic, d.o.file,
			    c.nrules, c.nsas);
			status = 0;
		} else {
			status = serve(&d, &no, &c);
		}
	}
	conf_free(&c); /* keys are wiped also where the start failed */
	end(&d);
	return status;
}
