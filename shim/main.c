/*
 * bitsd: options, start order, signals, exit status.
 *
 * options -> file -> NIC looked at -> lock -> privileges dropped -> NIC taken, edges bound -> first generation -> restart,
 * carrier -> ready.  Whatever fails before the NIC is taken changes nothing; whatever fails after it leaves the NIC closed.
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
#include "rundir.h"
#include "secret.h"
#include "shim.h"
#include "vigil.h"
#include "windows.h"

struct daemon {
	struct options o;
	struct event_base *base;
	struct rundir *run;
	struct bump bump;
	struct vigil *vigil;
	int ready_fd; /* the parent waits at the other end; -1: no parent */
	int status;
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

/* Reads the operator's file.  0, or -1 and the errors are told; a default file that is missing is an empty policy when ${start}. */
static int
read_file(const struct options *o, struct conf *c, bool start)
{
	struct conf_opts co = {.resolve = hostname_resolve};
	struct diags ds = {0};
	int rc;

	conf_init(c);
	if (start && !o->file_said && access(o->file, F_OK) < 0 && errno == ENOENT) {
		log_warnx(
		    "%s is not there: the policy is empty, nothing passes but what is built in",
		    o->file);
		return 0;
	}
	rc = conf_load(o->file, &co, c, &ds);
	if (o->foreground || start) {
		diags_print(&ds, stderr);
	} else {
		for (size_t i = 0; i < ds.n; i++)
			log_warnx(
			    "%s:%u:%u: %s", ds.d[i].file, ds.d[i].line, ds.d[i].col, ds.d[i].text);
	}
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

	if (read_file(&d->o, &c, false) < 0 || apply(d, &c) < 0)
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
	int null;

	notify("READY=1");
	if (d->ready_fd < 0)
		return;
	d->o.file = options_absolute(d->o.file); /* SIGHUP reads it again */
	if (chdir("/") < 0)
		log_warn("chdir");
	log_init("bitsd", false, d->o.verbose, d->o.debug);
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (null > 2)
			close(null);
	}
	if (write(d->ready_fd, "", 1) != 1)
		log_warn("nobody waits for the start");
	close(d->ready_fd);
	d->ready_fd = -1;
}

/* The control socket, and whose it is besides root's.  Its descriptor, or -1 reported. */
static int
listen_control(struct daemon *d)
{
	char why[512];
	int fd = rundir_listen(d->run, d->o.socket, why, sizeof why);

	if (fd >= 0 && d->o.shared && rundir_share(d->run, d->o.group, why, sizeof why) < 0) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		log_warnx("%s", why);
	return fd;
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

/* Somebody removed the control socket: it is made again. */
static void
heal(void *ctx)
{
	struct daemon *d = ctx;
	int fd;

	if (rundir_heard(d->run))
		return;
	log_warnx("the control socket was removed: making it again");
	if (d->bump.ctl)
		ctl_server_free(d->bump.ctl);
	d->bump.ctl = NULL;
	if ((fd = listen_control(d)) >= 0) /* else it is tried again the next time */
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

/* From the lock to the end of the event loop.  Exit status. */
static int
serve(struct daemon *d, const struct nic_opts *no, struct conf *c)
{
	struct seqkeeper *keeper;
	struct windows *windows;
	char why[1024];
	int fd;

	if ((fd = listen_control(d)) < 0) /* to give it to a group takes what is given up next */
		return 1;
	nic_aside_load();
	if (privs_drop() < 0)
		fatal("cannot give up capabilities");
	privs_kept(why, sizeof why);
	log_info("kept: %s", why);
	if ((keeper = seqkeeper_open(d->o.state_dir, why, sizeof why)) == NULL) {
		log_warnx("%s", why);
		close(fd);
		return 1;
	}
	if ((d->base = event_base_new()) == NULL || bump_new(&d->bump, d->base, no, keeper) < 0)
		fatal("start");
	if ((windows = windows_open(d->o.state_dir, NULL, why, sizeof why)) == NULL)
		log_warnx("replay windows are not kept: after a restart, packets captured before "
			  "it could be "
			  "replayed once: %s",
		    why);
	else if (bump_keep_windows(&d->bump, windows) < 0)
		fatal("start");
	shim_set_pmtu_age(d->bump.shim, d->o.pmtu_age * UINT64_C(1000));
	if (watch_signals(d) < 0 || watch_ourselves(d) < 0)
		fatal("signals");
	if (open_control(d, fd) < 0)
		return 1;
	if (rundir_pid(d->run) < 0)
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
	if (!d->o.restore && d->bump.nic)
		log_info("stopped; %s stays isolated", d->o.nic);
	return 0;
err:
	if (d->bump.nic)
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

int
main(int argc, char **argv)
{
	static struct daemon d = {.ready_fd = -1};
	struct nic_opts no;
	struct conf c;
	char why[1024];
	const char *cause = NULL;
	int status;

	options_parse(&d.o, argc, argv);
	log_init("bitsd", true, d.o.verbose, d.o.debug);
	harden();
	no = (struct nic_opts){.name = d.o.nic,
	    .netns = d.o.netns,
	    .state_dir = d.o.state_dir,
	    .stay = d.o.stay,
	    .no_offload = d.o.no_offload};
	if (geteuid() != 0 && !d.o.check)
		fatalx("must be root: it takes a NIC over");
	if (!d.o.foreground && !d.o.dissolve && !d.o.check)
		daemonise(&d); /* before the first key is read: locked memory is not inherited */
	if (!d.o.dissolve && read_file(&d.o, &c, true) < 0)
		return 1;
	if (!secret_locked())
		log_warnx("not all keys are in locked memory (RLIMIT_MEMLOCK is too small): they "
			  "could reach swap");
	if (crypto_select(d.o.crypto, &cause) < 0)
		fatalx("--crypto %s: %s", d.o.crypto, cause ? cause : "not usable");
	if (!d.o.dissolve && nic_check(&no, why, sizeof why) < 0)
		fatalx("%s", why);
	if (d.o.check) {
		printf("%s and %s are fine: %zu rules, %zu SAs\n", d.o.nic, d.o.file, c.nrules,
		    c.nsas);
		conf_free(&c);
		return 0;
	}
	if ((d.run = rundir_open(d.o.run_dir, d.o.nic, why, sizeof why)) == NULL)
		fatalx("%s", why);
	if (d.o.dissolve) {
		status = dissolve(&d.o, &no);
	} else {
		status = serve(&d, &no, &c);
		conf_free(&c); /* keys are wiped also where the start failed */
	}
	vigil_free(d.vigil);
	if (d.bump.ctl)
		ctl_server_free(d.bump.ctl);
	d.bump.ctl = NULL;
	if (d.bump.shim)
		bump_free(&d.bump);
	rundir_close(d.run);
	return status;
}
