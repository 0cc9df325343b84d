#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "ctl_client.h"
#include "wipebuf.h"

#define RUN_DIR	  "/run/bits"
#define ANSWER_MS 120000 /* a load of 100,000 SAs reserves numbers for each */

/* The one socket there is.  0, or an exit status. */
static int
only_one(char *path, size_t cap)
{
	glob_t g;
	int rc = EXIT_DONE;

	if (glob(RUN_DIR "/*.sock", 0, NULL, &g) != 0) {
		fprintf(stderr,
		    "ipsecctl: no bitsd runs here, or you may not see it (no socket in " RUN_DIR
		    ")\n");
		return EXIT_NO_DAEMON;
	}
	if (g.gl_pathc > 1) {
		fprintf(stderr, "ipsecctl: more than one bitsd runs; say which:");
		for (size_t i = 0; i < g.gl_pathc; i++) {
			const char *name = strrchr(g.gl_pathv[i], '/') + 1;

			fprintf(stderr, " -i %.*s", (int)(strlen(name) - strlen(".sock")), name);
		}
		fprintf(stderr, "\n");
		rc = EXIT_USAGE;
	} else {
		snprintf(path, cap, "%s", g.gl_pathv[0]);
	}
	globfree(&g);
	return rc;
}

int
ctl_client_connect(const char *nic, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, rc, n = 0;

	if (path)
		n = snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	else if (nic)
		n = snprintf(sun.sun_path, sizeof sun.sun_path, RUN_DIR "/%s.sock", nic);
	else if ((rc = only_one(sun.sun_path, sizeof sun.sun_path)) != EXIT_DONE)
		return -rc;
	if ((size_t)n >= sizeof sun.sun_path) {
		fprintf(stderr, "ipsecctl: the socket's path is too long\n");
		return -EXIT_USAGE;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) {
		perror("ipsecctl: socket");
		return -EXIT_NO_DAEMON;
	}
	if (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0) {
		fprintf(stderr, "ipsecctl: no bitsd at %s: %s\n", sun.sun_path, strerror(errno));
		close(fd);
		return -EXIT_NO_DAEMON;
	}
	return fd;
}

static int
gone(const char *why)
{
	fprintf(stderr, "ipsecctl: bitsd %s\n", why);
	return EXIT_NO_DAEMON;
}

/* All of ${b}.  A bitsd that refuses may answer before it has read all, so a broken pipe is not the end: the answer says why. */
static int
send_all(int fd, const struct wipebuf *b)
{
	for (size_t off = 0; off < b->len;) {
		ssize_t n = send(fd, b->text + off, b->len - off, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET ? 0 : gone(strerror(errno));
		off += (size_t)n;
	}
	return 0;
}

static int
append(const char *octets, size_t n, void *ctx)
{
	return wipebuf_add(ctx, octets, n);
}

static int passed = -1;

int
ctl_client_passed(void)
{
	int fd = passed;

	passed = -1;
	return fd;
}

/* recv() that keeps a descriptor which comes along. */
static ssize_t
receive_some(int fd, void *to, size_t n)
{
	struct iovec iov = {.iov_base = to, .iov_len = n};
	union {
		struct cmsghdr align;
		char octets[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.octets,
	    .msg_controllen = sizeof control.octets};
	const struct cmsghdr *h;
	ssize_t got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

	if (got > 0 && (h = CMSG_FIRSTHDR(&m)) != NULL && h->cmsg_level == SOL_SOCKET &&
	    h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int))) {
		if (passed >= 0)
			close(passed);
		memcpy(&passed, CMSG_DATA(h), sizeof passed);
	}
	return got;
}

/* Exactly ${n} octets behind what ${b} has. */
static int
receive(int fd, struct wipebuf *b, size_t n, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (wipebuf_room(b, n) < 0)
		return gone("sends more than there is memory for");
	while (n) {
		ssize_t got;
		int rc = poll(&p, 1, timeout_ms);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc == 0)
			return gone("does not answer");
		got = receive_some(fd, b->text + b->len, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return gone("hung up");
		b->len += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int
ctl_client_read(int fd, enum ctl_type *type, json_t **doc, int timeout_ms)
{
	struct wipebuf b = {0};
	struct ctl_header h;
	int rc;

	*doc = NULL;
	if ((rc = receive(fd, &b, CTL_HEADER, timeout_ms)) != 0)
		goto out;
	if (ctl_header_get((uint8_t *)b.text, &h) < 0) {
		rc = gone("speaks another language (is it of another version?)");
		goto out;
	}
	if ((rc = receive(fd, &b, h.len, ANSWER_MS)) != 0)
		goto out;
	*type = h.type;
	*doc = json_loadb(b.text + CTL_HEADER, h.len, 0, NULL);
	if (!*doc)
		rc = gone("sent no JSON");
out:
	wipebuf_free(&b);
	return rc;
}

int
ctl_client_send(int fd, const json_t *req)
{
	struct ctl_header h = {.type = CTL_REQUEST};
	struct wipebuf b = {0};
	uint8_t head[CTL_HEADER] = {0};
	int rc;

	if (wipebuf_add(&b, head, sizeof head) < 0 ||
	    json_dump_callback(req, append, &b, JSON_COMPACT) < 0 ||
	    b.len - CTL_HEADER > CTL_BODY_MAX) {
		fprintf(stderr, "ipsecctl: the request is too long\n");
		wipebuf_free(&b);
		return EXIT_WRONG;
	}
	h.len = (uint32_t)(b.len - CTL_HEADER);
	ctl_header_put(&h, (uint8_t *)b.text);
	rc = send_all(fd, &b);
	wipebuf_free(&b);
	return rc;
}

int
ctl_client_answer(int fd, json_t **reply)
{
	enum ctl_type type = CTL_EVENT;
	int rc = 0;

	*reply = NULL;
	while (rc == 0 && type != CTL_REPLY) {
		json_decref(*reply);
		rc = ctl_client_read(fd, &type, reply, ANSWER_MS);
	}
	return rc;
}

int
ctl_client_ask(int fd, const json_t *req, json_t **reply)
{
	int rc = ctl_client_send(fd, req);

	*reply = NULL;
	return rc ? rc : ctl_client_answer(fd, reply);
}
