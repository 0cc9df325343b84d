#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "log.h"

#define LOG_LINE 1024

static struct {
	bool foreground;
	int verbose;
	char tokens[256]; /* ",nic,ctl," */
	char name[32];
	int fd;	       /* of the system's log; -1: none */
	int by;	       /* of who writes there for us; -1: we do */
	unsigned lost; /* lines that the other end did not take; atomic */
} log_to = {.foreground = true, .name = "bits", .fd = -1, .by = -1};

#define SYSTEM_LOG "/dev/log"

/* 0, or -1 and errno. */
static int
reach_system_log(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = SYSTEM_LOG};

	if (log_to.fd >= 0)
		close(log_to.fd);
	log_to.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_to.fd >= 0 && connect(log_to.fd, (struct sockaddr *)&sun, sizeof sun) < 0) {
		int e = errno;

		close(log_to.fd);
		log_to.fd = -1;
		errno = e;
	}
	return log_to.fd < 0 ? -1 : 0;
}

void
log_init(const char *name, bool foreground, int verbose, const char *tokens)
{
	snprintf(log_to.name, sizeof log_to.name, "%s", name);
	snprintf(log_to.tokens, sizeof log_to.tokens, ",%s,", tokens ? tokens : "");
	log_to.foreground = foreground;
	log_to.verbose = verbose;
	if (!foreground)
		(void)reach_system_log();
}

void
log_background(void)
{
	log_to.foreground = false;
	if (log_to.by < 0)
		(void)reach_system_log();
}

void
log_by(int fd)
{
	log_to.by = fd;
	log_to.foreground = false;
}

/* Can 4096 octets be written without waiting?  (A terminal, a file, or a pipe that somebody reads.) */
static bool
takes(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* As syslog(3) does, but for waiting: a log that stands still must not hold up who writes to it.  false: lost. */
static bool
to_system_log(int priority, int pid, const char *line)
{
	char text[LOG_LINE + 100], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	if (!localtime_r(&now, &tm) || strftime(when, sizeof when, "%b %e %T", &tm) == 0)
		when[0] = '\0';
	n = snprintf(text, sizeof text, "<%d>%s %s[%d]: %s", LOG_DAEMON | priority, when,
	    log_to.name, pid, line);
	for (int tries = 0; tries < 2; tries++) {
		if (log_to.fd >= 0 &&
		    send(log_to.fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
			return true;
		if (log_to.fd >= 0 && (errno == EAGAIN || errno == ENOBUFS))
			return false;
		if (reach_system_log() < 0) /* it was started again */
			return false;
	}
	return false;
}

/* A line to who writes to the system's log for us: one octet of priority, then the text. */
static bool
to_other(int priority, const char *line)
{
	char text[1 + LOG_LINE];
	int n = snprintf(text, sizeof text, "%c%s", '0' + priority, line);

	return send(log_to.by, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n;
}

static bool
to_background(int priority, int pid, const char *line)
{
	return log_to.by >= 0 ? to_other(priority, line) : to_system_log(priority, pid, line);
}

/* One line, or, where it is not taken, one more that is lost; how many were is told by the next that is. */
static void
deliver(int priority, int pid, const char *line)
{
	unsigned lost = __atomic_exchange_n(&log_to.lost, 0, __ATOMIC_RELAXED);
	bool there;

	if (!log_to.foreground) {
		char note[64];

		snprintf(note, sizeof note, "%u lines were not taken by the log", lost);
		if ((there = to_background(priority, pid, line)) && lost)
			(void)to_background(LOG_WARNING, pid, note);
	} else if ((there = takes(STDERR_FILENO))) {
		if (lost)
			fprintf(
			    stderr, "%s: %u lines were not taken by the log\n", log_to.name, lost);
		fprintf(stderr, "%s: %s\n", log_to.name, line);
	}
	if (!there)
		__atomic_add_fetch(&log_to.lost, lost + 1, __ATOMIC_RELAXED);
}

/* Control characters (of a name off the wire, a path, or of somebody else's line) do not forge a second line. */
static void
clean(char *line)
{
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

bool
log_pass(int fd, int pid)
{
	char text[1 + LOG_LINE + 1];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	if (n <= 1)
		return false;
	text[n] = '\0';
	clean(text + 1);
	deliver(text[0] >= '0' && text[0] <= '7' ? text[0] - '0' : LOG_WARNING, pid, text + 1);
	return true;
}

/* One whole line per call, so that lines of two threads do not mix. */
__attribute__((format(printf, 4, 0))) static void
put(int priority, int saved_errno, bool with_errno, const char *fmt, va_list ap)
{
	char line[LOG_LINE];
	int n = vsnprintf(line, sizeof line, fmt, ap);

	if (n < 0)
		return;
	if (with_errno && (size_t)n < sizeof line)
		snprintf(line + n, sizeof line - (size_t)n, ": %s", strerror(saved_errno));
	clean(line);
	deliver(priority, getpid(), line);
	errno = saved_errno;
}

#define PUT(priority, with_errno)                                                                  \
	do {                                                                                       \
		int saved_errno = errno;                                                           \
		va_list ap;                                                                        \
		va_start(ap, fmt);                                                                 \
		put(priority, saved_errno, with_errno, fmt, ap);                                   \
		va_end(ap);                                                                        \
	} while (0)

void
log_warn(const char *fmt, ...)
{
	PUT(LOG_WARNING, true);
}

void
log_warnx(const char *fmt, ...)
{
	PUT(LOG_WARNING, false);
}

void
log_info(const char *fmt, ...)
{
	PUT(LOG_INFO, false);
}

/* Is ${topic} among the comma-separated tokens, or "all"? */
static bool
wanted(const char *topic)
{
	char token[40];

	if (strstr(log_to.tokens, ",all,"))
		return true;
	snprintf(token, sizeof token, ",%s,", topic);
	return strstr(log_to.tokens, token) != NULL;
}

void
log_debug(const char *topic, const char *fmt, ...)
{
	if (wanted(topic) || log_to.verbose > 1)
		PUT(LOG_DEBUG, false);
}

void
fatal(const char *fmt, ...)
{
	PUT(LOG_CRIT, true);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	PUT(LOG_CRIT, false);
	exit(1);
}
