#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include "log.h"

#define LOG_LINE 1024

static struct {
	bool foreground;
	int verbose;
	char tokens[256]; /* ",nic,ctl," */
	char name[32];
} log_to = {.foreground = true, .name = "bits"};

void
log_init(const char *name, bool foreground, int verbose, const char *tokens)
{
	snprintf(log_to.name, sizeof log_to.name, "%s", name);
	snprintf(log_to.tokens, sizeof log_to.tokens, ",%s,", tokens ? tokens : "");
	log_to.foreground = foreground;
	log_to.verbose = verbose;
	if (!foreground)
		openlog(log_to.name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

/* One whole line per call, so that lines of two threads do not mix; control characters in it (a name off the wire, a path) cannot
 * forge a second one. */
__attribute__((format(printf, 4, 0))) static void
put(int priority, int saved_errno, bool with_errno, const char *fmt, va_list ap)
{
	char line[LOG_LINE];
	int n = vsnprintf(line, sizeof line, fmt, ap);

	if (n < 0)
		return;
	if (with_errno && (size_t)n < sizeof line)
		snprintf(line + n, sizeof line - (size_t)n, ": %s", strerror(saved_errno));
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	if (log_to.foreground)
		fprintf(stderr, "%s: %s\n", log_to.name, line);
	else
		syslog(priority, "%s", line);
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
