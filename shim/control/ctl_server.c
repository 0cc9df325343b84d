#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ctl_msg.h"
#include "ctl_server.h"
#include "fdpass.h"
#include "log.h"

#define READ_CHUNK   65536
#define REPLY_RATE   1000 /* octets per ms that a reader must take, on the average, beyond idle_ms */
#define IN_TOTAL_MAX ((size_t)CTL_BODY_MAX + (1u << 20))

struct client {
	TAILQ_ENTRY(client) entry;
	struct ctl_server *server;
	int fd;
	uid_t uid;
	bool monitor;
	bool busy;	    /* its request is being handled: nothing else may free it */
	bool closing;	    /* hang up when all is written */
	struct wipebuf in;  /* header and body of the request being read */
	struct wipebuf out; /* what is to be written, from off on */
	size_t off;
	int pass;      /* descriptor that goes with the next octets; -1: none */
	int tap;       /* what was passed to it, -1: nothing */
	uint64_t lost; /* events this monitor was not told */
	struct event *read, *write, *timer;
};

TAILQ_HEAD(clients, client);

struct ctl_server {
	struct ctl_server_env env;
	struct event *accept;
	struct clients clients;
	atomic_uint n;
	size_t in_total; /* octets of unfinished requests */
};

static void
client_free(struct client *c)
{
	struct ctl_server *s = c->server;

	TAILQ_REMOVE(&s->clients, c, entry);
	s->n--;
	if (c->pass >= 0)
		close(c->pass);
	if (c->tap >= 0)
		s->env.gone(s->env.ctx, c->tap);
	s->in_total -= c->in.len;
	if (c->read)
		event_free(c->read);
	if (c->write)
		event_free(c->write);
	if (c->timer)
		event_free(c->timer);
	close(c->fd);
	wipebuf_free(&c->in);
	wipebuf_free(&c->out);
	free(c);
}

/* ${ms} from now until the client is cut; 0: for ever. */
static void
set_deadline(struct client *c, uint64_t ms)
{
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	if (ms)
		evtimer_add(c->timer, &tv);
	else
		evtimer_del(c->timer);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	log_debug("ctl", "a client is too slow: cut");
	client_free(c);
}

/* Sends some of what waits, and with it the descriptor that goes along. */
static ssize_t
push(struct client *c)
{
	ssize_t n =
	    fdpass_send(c->fd, c->out.text + c->off, c->out.len - c->off, c->pass, MSG_DONTWAIT);

	if (n >= 0 && c->pass >= 0) {
		close(c->pass);
		c->pass = -1;
	}
	return n;
}

/* Writes what waits.  false: the client is gone. */
static bool
flush(struct client *c)
{
	size_t was = c->off;

	while (c->off < c->out.len) {
		ssize_t n = push(c);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			event_add(c->write, NULL);
			if (c->monitor && c->off > was)
				set_deadline(
				    c, c->server->env
					   .idle_ms); /* it reads, and new ones keep coming */
			return true;
		}
		if (n < 0) {
			client_free(c);
			return false;
		}
		c->off += (size_t)n;
	}
	wipebuf_free(&c->out);
	c->off = 0;
	event_del(c->write);
	if (c->closing) {
		client_free(c);
		return false;
	}
	set_deadline(c, c->monitor || c->tap >= 0 ? 0 : c->server->env.idle_ms);
	return true;
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	flush(arg);
}

/* One message behind what waits.  false: no memory. */
static bool
queue(struct client *c, enum ctl_type type, const char *body, size_t len)
{
	struct ctl_header h = {.type = (uint8_t)type, .len = (uint32_t)len};
	uint8_t head[CTL_HEADER];
	size_t was = c->out.len;

	if (len > CTL_BODY_MAX)
		return false;
	ctl_header_put(&h, head);
	if (wipebuf_add(&c->out, head, sizeof head) < 0 || wipebuf_add(&c->out, body, len) < 0) {
		c->out.len = was;
		return false;
	}
	return true;
}

/* Queues a reply and begins to send it.  false: the client is gone. */
static bool
reply(struct client *c, const char *body, size_t len)
{
	if (!queue(c, CTL_REPLY, body, len)) {
		log_warnx("a reply of %zu octets cannot be sent", len);
		client_free(c);
		return false;
	}
	set_deadline(c, c->server->env.idle_ms + len / REPLY_RATE);
	return flush(c);
}

static bool
refuse(struct client *c, const char *body)
{
	c->closing = true;
	event_del(c->read);
	return reply(c, body, strlen(body));
}

/* The reply takes ${fd} along; a client gets no second one. */
static void
hand_over(struct client *c, int fd, int tap)
{
	if (c->tap >= 0) {
		close(fd);
		c->server->env.gone(c->server->env.ctx, tap);
		return;
	}
	c->pass = fd;
	c->tap = tap;
}

/* A whole request lies in c->in.  false: the client is gone. */
static bool
serve(struct client *c)
{
	struct ctl_server *s = c->server;
	static const char nothing[] = "{\"status\":1,\"error\":\"out of memory\"}";
	struct wipebuf out = {0};
	int fd, tap = -1;
	bool there;

	c->busy = true;
	if (s->env.handle(
		s->env.ctx, c->uid, c->in.text + CTL_HEADER, c->in.len - CTL_HEADER, &out))
		c->monitor = true;
	if (s->env.take_fd && (fd = s->env.take_fd(s->env.ctx, &tap)) >= 0)
		hand_over(c, fd, tap);
	c->busy = false;
	s->in_total -= c->in.len;
	wipebuf_free(&c->in);
	there = out.len ? reply(c, out.text, out.len) : reply(c, nothing, strlen(nothing));
	wipebuf_free(&out);
	return there;
}

/* Octets the request lacks: first those of its header, then those of its body.  0: it is whole; -1: no message of ours. */
static long
lacking(const struct client *c)
{
	struct ctl_header h;

	if (c->in.len < CTL_HEADER)
		return (long)(CTL_HEADER - c->in.len);
	if (ctl_header_get((const uint8_t *)c->in.text, &h) < 0 || h.type != CTL_REQUEST)
		return -1;
	return (long)h.len - (long)(c->in.len - CTL_HEADER);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	struct ctl_server *s = c->server;
	size_t want;
	ssize_t n;
	long left = lacking(c);

	want = left > READ_CHUNK ? READ_CHUNK : (size_t)left;
	if (s->in_total + want > IN_TOTAL_MAX) {
		refuse(c, "{\"status\":1,\"error\":\"too much is being loaded at the same time; "
			  "try again\"}");
		return;
	}
	if (wipebuf_room(&c->in, want) < 0) {
		refuse(c, "{\"status\":1,\"error\":\"out of memory\"}");
		return;
	}
	n = recv(fd, c->in.text + c->in.len, want, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->in.len += (size_t)n;
	s->in_total += (size_t)n;
	left = lacking(c);
	if (left < 0)
		refuse(c, "{\"status\":1,\"error\":\"not a message of this version of ipsecctl\"}");
	else if (left == 0)
		serve(c);
}

/* Is the peer at ${fd} in ${group}, by its main group or by another one it has now? */
static bool
member(int fd, const struct ucred *cred, gid_t group)
{
	gid_t some[64], *all = some;
	socklen_t len = sizeof some;
	bool yes = cred->gid == group;
	int rc;

	if (yes)
		return true;
	rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, all, &len);
	if (rc < 0 && errno == ERANGE && (all = malloc(len)) != NULL)
		rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, all, &len);
	for (size_t i = 0; rc == 0 && i < len / sizeof *all && !yes; i++)
		yes = all[i] == group;
	if (all != some)
		free(all);
	return yes;
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_server *s = arg;
	struct ucred cred;
	socklen_t len = sizeof cred;
	struct client *c;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (peer < 0)
		return;
	if (s->n >= CTL_SERVER_CLIENTS ||
	    getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    (c = calloc(1, sizeof *c)) == NULL) {
		close(peer);
		return;
	}
	c->server = s;
	c->pass = c->tap = -1;
	c->fd = peer;
	c->uid = cred.uid;
	TAILQ_INSERT_TAIL(&s->clients, c, entry);
	s->n++;
	c->read = event_new(s->env.base, peer, EV_READ | EV_PERSIST, on_read, c);
	c->write = event_new(s->env.base, peer, EV_WRITE | EV_PERSIST, on_write, c);
	c->timer = evtimer_new(s->env.base, on_timer, c);
	if (!c->read || !c->write || !c->timer || event_add(c->read, NULL) < 0) {
		client_free(c);
		return;
	}
	if (c->uid != 0 && c->uid != geteuid() &&
	    !(s->env.shared && member(peer, &cred, s->env.group)))
		refuse(c, "{\"status\":3,\"error\":\"permission denied: only root may\"}");
	else
		set_deadline(c, s->env.idle_ms);
}

struct ctl_server *
ctl_server_new(const struct ctl_server_env *env)
{
	struct ctl_server *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->env = *env;
	if (!s->env.idle_ms)
		s->env.idle_ms = CTL_SERVER_IDLE_MS;
	TAILQ_INIT(&s->clients);
	s->accept = event_new(env->base, env->fd, EV_READ | EV_PERSIST, on_accept, s);
	if (!s->accept || event_add(s->accept, NULL) < 0) {
		if (s->accept)
			event_free(s->accept);
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void
ctl_server_free(struct ctl_server *s)
{
	struct client *c;

	if (!s)
		return;
	while ((c = TAILQ_FIRST(&s->clients)) != NULL)
		client_free(c);
	event_free(s->accept);
	close(s->env.fd);
	free(s);
}

/* One event to one monitor: within its bound, after saying how many it missed. */
static void
tell(struct client *c, const char *json, size_t len)
{
	char missed[64];
	bool idle = c->out.len == 0;

	if (c->off > READ_CHUNK) {
		c->out.len -= c->off;
		memmove(c->out.text, c->out.text + c->off, c->out.len);
		c->off = 0;
	}
	if (c->out.len - c->off + len + 2 * CTL_HEADER + sizeof missed > CTL_SERVER_MONITOR) {
		c->lost++;
		return;
	}
	if (c->lost) {
		snprintf(missed, sizeof missed, "{\"event\":\"lost\",\"count\":%llu}",
		    (unsigned long long)c->lost);
		if (queue(c, CTL_EVENT, missed, strlen(missed)))
			c->lost = 0;
	}
	if (!queue(c, CTL_EVENT, json, len))
		c->lost++;
	if (c->busy)
		return; /* the reply takes it along */
	if (idle)
		set_deadline(c, c->server->env.idle_ms);
	flush(c);
}

void
ctl_server_tell(struct ctl_server *s, const char *json)
{
	struct client *c = TAILQ_FIRST(&s->clients), *next;
	size_t len = strlen(json);

	for (; c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->monitor)
			tell(c, json, len);
	}
}

unsigned
ctl_server_clients(const struct ctl_server *s)
{
	return atomic_load_explicit(&s->n, memory_order_relaxed);
}
