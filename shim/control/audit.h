/*
 * What the walk has to tell, on its way to the log and to those who watch.
 *
 * A line has what RFC 4301 4.4.4, RFC 4302 4 and RFC 4303 4 ask an audit log to have: SPI, sequence number, source, destination, flow
 * label; the log adds date and time.  Lines are limited per second, since a remote sender can cause them; how many were left out is said.
 */
#ifndef BITS_AUDIT_H
#define BITS_AUDIT_H

#include <stddef.h>
#include <stdint.h>
#include "events.h"

#define AUDIT_LINES 10 /* per second */

/* Opaque types. */
struct audit;
struct policy;

/** audit_new(tell, ctx): ${tell} gets each event as one JSON document and as one line, for monitors; may be NULL.  NULL and ENOMEM. */
struct audit *audit_new(void (*tell)(void *ctx, const char *json), void *ctx);
void audit_free(struct audit *a);

/** audit_event(a, ev): logs and tells. */
void audit_event(struct audit *a, const struct event *ev);

/** audit_acquire(a, ev, policy): the same for an ACQUIRE; ${policy}: the rule that wants the SA, NULL: no longer known. */
void audit_acquire(struct audit *a, const struct event *ev, const struct policy *policy);

/** audit_note(a, name, detail): something of the bump itself ("link", "up"): tells, does not log. */
void audit_note(struct audit *a, const char *name, const char *detail);

/** audit_line(ev, buf, cap): the line of ${ev}; returns ${buf}. */
char *audit_line(const struct event *ev, char *buf, size_t cap);

#endif
