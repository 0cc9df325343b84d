#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "log.h"
#include "ward.h"
#include "warden.h"
#include "warden_msg.h"

struct ward {
	int call, event, said, lock;
	pid_t pid;
	uint32_t take;
	struct warden_reply a; /* the last one */
};

/* Three pairs; the warden's ends in ${other}. */
static int
connect_both(struct ward *w, int other[static 3])
{
	int *mine[3] = {&w->call, &w->event, &w->said}, p[2];

	for (int i = 0; i < 3; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0) {
			while (i-- > 0) {
				close(*mine[i]);
				close(other[i]);
			}
			return -1;
		}
		*mine[i] = p[0];
		other[i] = p[1];
	}
	return 0;
}

struct ward *
ward_start(const struct options *o, const struct nic_opts *nic, int not_its)
{
	struct ward *w = calloc(1, sizeof *w);
	pid_t me = getpid();
	int other[3];

	if (!w || connect_both(w, other) < 0) {
		free(w);
		return NULL;
	}
	w->lock = -1;
	w->pid = fork();
	if (w->pid == 0) {
		struct warden_env env = {.o = o,
		    .nic = nic,
		    .ward = me,
		    .call = other[0],
		    .event = other[1],
		    .said = other[2]};

		close(w->call);
		close(w->event);
		close(w->said);
		if (not_its >= 0)
			close(not_its);
		warden_run(&env);
	}
	for (int i = 0; i < 3; i++)
		close(other[i]);
	if (w->pid < 0) {
		ward_end(w);
		return NULL;
	}
	return w;
}

void
ward_end(struct ward *w)
{
	if (!w)
		return;
	log_by(-1);
	close(w->call);
	close(w->event);
	close(w->said);
	while (w->pid > 0 && waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (w->lock >= 0)
		close(w->lock);
	free(w);
}

/* Asks, and waits for w->a, and where ${fd} is given for a descriptor.  a.rc, or -1 and errno. */
static int
ask(struct ward *w, enum warden_op op, uint32_t arg, const struct ipaddr *dst, int *fd)
{
	struct warden_request r = {.op = op, .arg = arg};
	ssize_t n;

	if (dst)
		r.dst = *dst;
	if (warden_msg_send(w->call, &r, sizeof r, -1, 0) < 0)
		n = 0;
	else
		n = warden_msg_recv(w->call, &w->a, sizeof w->a, fd, 0);
	if (n != sizeof w->a) {
		if (n >= 0)
			errno = EPIPE;
		snprintf(w->a.why, sizeof w->a.why, "the process with the privileges: %s",
		    strerror(errno));
		return -1;
	}
	errno = w->a.error;
	return w->a.rc;
}

/* The same, with the sentence of a failure. */
static int
ask_why(struct ward *w, enum warden_op op, uint32_t arg, int *fd, char *why, size_t cap)
{
	int rc = ask(w, op, arg, NULL, fd), e = errno;

	if (rc < 0)
		snprintf(why, cap, "%s", w->a.why[0] ? w->a.why : strerror(e));
	errno = e;
	return rc;
}

int
ward_check(struct ward *w, char *why, size_t cap)
{
	return ask_why(w, WARDEN_CHECK, 0, NULL, why, cap);
}

int
ward_lock(struct ward *w, char *why, size_t cap)
{
	return ask_why(w, WARDEN_LOCK, 0, &w->lock, why, cap);
}

int
ward_listen(struct ward *w, char *why, size_t cap)
{
	int fd = -1, rc = ask_why(w, WARDEN_LISTEN, 0, &fd, why, cap);

	return rc == 1 ? -2 : fd;
}

int
ward_pid(struct ward *w)
{
	return ask(w, WARDEN_PID, 0, NULL, NULL);
}

int
ward_background(struct ward *w)
{
	int rc = ask(w, WARDEN_BACKGROUND, 0, NULL, NULL);

	if (rc == 0)
		log_by(w->said);
	return rc;
}

int
ward_take(struct ward *w, bool hold, struct nic_info *info, char *why, size_t cap)
{
	if (ask_why(w, WARDEN_TAKE, hold, NULL, why, cap) < 0)
		return -1;
	w->take = w->a.take;
	*info = w->a.info;
	return 0;
}

int
ward_give_back(struct ward *w, char *why, size_t cap)
{
	return ask_why(w, WARDEN_GIVE_BACK, 0, NULL, why, cap);
}

void
ward_forget(struct ward *w)
{
	w->take = 0;
	(void)ask(w, WARDEN_FORGET, 0, NULL, NULL);
}

int
ward_resolve(struct ward *w, const struct ipaddr *dst, uint8_t mac[static 6])
{
	int rc = ask(w, WARDEN_RESOLVE, 0, dst, NULL);

	if (rc == 1)
		memcpy(mac, w->a.mac, 6);
	return rc;
}

int
ward_open(void *ctx, enum edge_fd what)
{
	int fd = -1;

	return ask(ctx, WARDEN_OPEN, what, NULL, &fd) < 0 ? -1 : fd;
}

int
ward_read(struct ward *w)
{
	int fd = -1;

	return ask(w, WARDEN_READ, 0, NULL, &fd) < 0 ? -1 : fd;
}

int
ward_event_fd(const struct ward *w)
{
	return w->event;
}

int64_t
ward_event(struct ward *w, struct nic_info *info)
{
	struct warden_reply m;
	int64_t seen = 0;
	ssize_t n;

	while ((n = warden_msg_recv(w->event, &m, sizeof m, NULL, MSG_DONTWAIT)) == sizeof m) {
		if (m.take != w->take)
			continue;
		seen |= m.seen;
		*info = m.info;
	}
	return n < 0 && errno == EAGAIN ? seen : -1;
}
