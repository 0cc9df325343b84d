/*
 * The log, with OpenBSD's names.  stderr in the foreground, the system's log otherwise.  It never waits: a line that the other end does not
 * take is lost, and how many were is told when one is taken again.  Never a key, never per packet: what a remote
 * sender can trigger goes through the event ring, which is rate-limited.
 */
#ifndef BITS_LOG_H
#define BITS_LOG_H

#include <stdbool.h>

/**
 * log_init(name, foreground, verbose, tokens):
 * ${tokens}: comma-separated debug topics ("nic,ctl,sa" or "all"), NULL: none.
 */
void log_init(const char *name, bool foreground, int verbose, const char *tokens);

/** log_background(): from now on lines go to the system's log. */
void log_background(void);

/** log_by(fd): the same by way of whoever calls log_pass() at the other end of ${fd}, a SOCK_SEQPACKET socket, as there is no way to the
 * system's log from an empty root.  -1: no more. */
void log_by(int fd);

/** log_pass(fd, pid): one line that waits at ${fd} goes into our log, as ${pid}'s.  false: there is none. */
bool log_pass(int fd, int pid);

void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* adds strerror(errno) */
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** log_debug(topic, fmt): only when ${topic} is among the tokens. */
void log_debug(const char *topic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   /* adds strerror(errno) */
_Noreturn void fatalx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
