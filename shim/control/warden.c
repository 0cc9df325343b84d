#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "log.h"
#include "neigh.h"
#include "privs.h"
#include "reread.h"
#include "rundir.h"
#include "sysfilter.h"
#include "warden.h"
#include "warden_msg.h"
#include "xdpprog.h"

#define LINES 64 /* of the log, before requests are looked at again */

struct warden {
	const struct warden_env *env;
	const char *file; /* whole: a daemon leaves the directory it was started in */
	struct rundir *run;
	bool listened; /* once: what that took has been given up */
	struct nic *nic;
	uint32_t take, seen; /* seen: not told yet */
};

/* rc, with errno. */
static void
answer(struct warden_reply *a, int rc)
{
	a->rc = rc;
	a->error = rc < 0 ? errno : 0;
}

static void
note(void *ctx, enum nic_event ev)
{
	struct warden *w = ctx;

	w->seen |= 1u << ev;
}

/* What was seen is told; what does not fit yet, when there is room. */
static void
tell(struct warden *w)
{
	struct warden_reply m = {.take = w->take, .seen = w->seen};

	nic_info(w->nic, &m.info);
	if (warden_msg_send(w->env->event, &m, sizeof m, -1, MSG_DONTWAIT) == 0)
		w->seen = 0;
}

static void
forget(struct warden *w)
{
	nic_free(w->nic);
	w->nic = NULL;
	w->seen = 0;
}

static void
take(struct warden *w, bool hold, struct warden_reply *a)
{
	struct nic_opts o = *w->env->nic;
	struct nic *nic;

	o.hold = hold;
	if ((nic = nic_take(&o, a->why, sizeof a->why)) == NULL) {
		answer(a, -1);
		return;
	}
	forget(w);
	w->nic = nic;
	w->take++;
}

/* A NIC that came back is not always as it was when it was looked at before the start. */
static int
open_xdp(const struct warden *w, const struct nic_info *info, enum edge_fd what)
{
	char why[512];

	if (nic_xdp_check(nic_netns(w->nic), info->lower, info->mtu, why, sizeof why) < 0) {
		log_warnx("%s", why);
		errno = EOPNOTSUPP;
		return -1;
	}
	return edge_xdp_fd(info->lower, nic_netns(w->nic), what);
}

static int
open_for_edge(const struct warden *w, enum edge_fd what)
{
	struct nic_info info;

	if (!w->nic) {
		errno = ENODEV;
		return -1;
	}
	if (what == EDGE_FD_TAP || what == EDGE_FD_TAP_QUEUE || what == EDGE_FD_TAP_ASK)
		return edge_tap_fd(w->env->nic->name, nic_host_netns(w->nic), what);
	nic_info(w->nic, &info);
	if (w->env->o->lower == LOWER_XDP)
		return open_xdp(w, &info, what);
	return edge_packet_fd(info.lower, nic_netns(w->nic), what);
}

/* The run directory, with the lock; a descriptor that holds it as well. */
static int
lock(struct warden *w, struct warden_reply *a)
{
	const struct options *o = w->env->o;

	w->run = rundir_open(o->run_dir, o->nic, w->env->ward, a->why, sizeof a->why);
	return w->run ? fcntl(rundir_lock(w->run), F_DUPFD_CLOEXEC, 3) : -1;
}

/* The control socket, and whose it is besides root's.  To give it away takes privileges, which are not needed a second time. */
static int
listen_at(struct warden *w, struct warden_reply *a)
{
	const struct options *o = w->env->o;
	char kept[512];
	int fd;

	if (w->run && w->listened && rundir_heard(w->run)) {
		a->rc = 1;
		return -1;
	}
	fd = w->run ? rundir_listen(w->run, o->socket, a->why, sizeof a->why) : -1;
	if (fd >= 0 && o->shared && rundir_share(w->run, o->group, a->why, sizeof a->why) < 0) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0 && !w->listened && o->lower == LOWER_XDP && xdpprog_load() < 0) {
		snprintf(a->why, sizeof a->why,
		    "--lower xdp: the kernel takes no XDP program from us: %s", strerror(errno));
		close(fd);
		return -1;
	}
	if (fd >= 0 && !w->listened) {
		nic_aside_load();
		if (o->lower == LOWER_XDP)
			sysfilter_xdp();
		if (privs_warden() < 0)
			fatal("cannot give up capabilities");
		privs_kept(kept, sizeof kept);
		log_info("pid %d, which opens NIC and TAP for it, kept: %s", (int)getpid(), kept);
		w->listened = true;
	}
	return fd;
}

/* A child reads the file, so that no key is ever in this process. */
static int
read_file(const struct warden *w)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	if ((pid = fork()) < 0) {
		close(p[0]);
		close(p[1]);
		return -1;
	}
	if (pid == 0) {
		close(p[0]);
		close(w->env->call);
		close(w->env->event);
		close(w->env->said);
		_exit(reread_write(w->file, w->env->o->foreground, p[1]) < 0 ? 1 : 0);
	}
	close(p[1]);
	return p[0];
}

/* As a daemon: in no directory that somebody wants to unmount, without a terminal, with the system's log. */
static void
leave_foreground(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/") < 0)
		log_warn("chdir");
	log_background();
	for (int i = 0; null >= 0 && i <= 2; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
}

/* One request.  *${pass}: the descriptor that goes with the answer, -1: none. */
static void
serve(struct warden *w, const struct warden_request *r, struct warden_reply *a, int *pass)
{
	switch ((enum warden_op)r->op) {
	case WARDEN_CHECK:
		answer(a, nic_check(w->env->nic, a->why, sizeof a->why));
		break;
	case WARDEN_LOCK:
		if (!w->run && (*pass = lock(w, a)) < 0)
			answer(a, -1);
		break;
	case WARDEN_LISTEN:
		if ((*pass = listen_at(w, a)) < 0 && a->rc == 0)
			answer(a, -1);
		break;
	case WARDEN_PID:
		errno = EBADF;
		answer(a, w->run ? rundir_pid(w->run) : -1);
		break;
	case WARDEN_BACKGROUND:
		leave_foreground();
		break;
	case WARDEN_TAKE:
		take(w, r->arg, a);
		break;
	case WARDEN_GIVE_BACK:
		errno = ENODEV;
		answer(a, w->nic ? nic_give_back(w->nic, a->why, sizeof a->why) : -1);
		if (a->rc < 0)
			break;
		/* FALLTHROUGH */
	case WARDEN_FORGET:
		forget(w);
		break;
	case WARDEN_OPEN:
		if ((*pass = open_for_edge(w, (enum edge_fd)r->arg)) < 0)
			answer(a, -1);
		break;
	case WARDEN_RESOLVE:
		errno = ENODEV;
		answer(a, w->nic ? neigh_resolve(
				       nic_host_netns(w->nic), w->env->nic->name, &r->dst, a->mac)
				 : -1);
		break;
	case WARDEN_READ:
		if ((*pass = read_file(w)) < 0)
			answer(a, -1);
		break;
	case WARDEN_OPS:
		break;
	}
}

/* What waits at the socket.  false: the other one is gone, or is not what it was. */
static bool
hear(struct warden *w)
{
	uint8_t buf[sizeof(struct warden_request) + 1]; /* one more shows what is too long */
	struct warden_request r;
	struct warden_reply a = {0};
	int pass = -1, rc;
	ssize_t n = warden_msg_recv(w->env->call, buf, sizeof buf, NULL, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	if (!warden_msg_request(buf, (size_t)n, &r)) {
		log_warnx("a request that is none: somebody else speaks for bitsd; nothing passes "
			  "until it is started again");
		return false;
	}
	serve(w, &r, &a, &pass);
	a.take = w->take;
	if (w->nic)
		nic_info(w->nic, &a.info);
	rc = warden_msg_send(w->env->call, &a, sizeof a, pass, 0);
	if (pass >= 0)
		close(pass);
	return rc == 0;
}

/* Waits, and does what there is to do.  false: the end. */
static bool
round_of(struct warden *w)
{
	const struct warden_env *e = w->env;
	struct pollfd p[5] = {{.fd = e->call, .events = POLLIN}, {.fd = e->said, .events = POLLIN},
	    {.fd = e->event, .events = w->seen ? POLLOUT : 0}, {.fd = -1, .events = POLLIN},
	    {.fd = -1, .events = POLLIN}};
	int fd[2];

	if (w->nic) {
		nic_event_fds(w->nic, fd);
		p[3].fd = fd[0];
		p[4].fd = fd[1];
	}
	if (poll(p, sizeof p / sizeof *p, -1) < 0)
		return errno == EINTR;
	while (waitpid(-1, NULL, WNOHANG) > 0) /* who read the file */
		;
	for (int i = 0; p[1].revents && i < LINES && log_pass(e->said, (int)e->ward); i++)
		;
	if (w->nic && (p[3].revents || p[4].revents))
		nic_event_read(w->nic, note, w);
	if (w->seen)
		tell(w);
	return !p[0].revents || hear(w);
}

void
warden_run(const struct warden_env *env)
{
	struct warden w = {.env = env, .file = options_absolute(env->o->file)};

	prctl(PR_SET_NAME, "bits-warden");
	signal(SIGTERM, SIG_IGN); /* it ends behind the other one */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (round_of(&w))
		;
	while (log_pass(env->said, (int)env->ward))
		;
	nic_free(w.nic);
	rundir_close(w.run);
	exit(0);
}
