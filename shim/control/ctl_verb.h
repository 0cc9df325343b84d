/*
 * What ipsecctl can ask for.  A request is {"verb": NAME, ...}; the reply has "status" (0 done, 1 the request was wrong and changed
 * nothing, 3 no permission), "error" (a sentence) unless it is 0, "diags" where a text was looked at, and what the verb adds.
 * Keys of requests and replies stand with each verb; ipsecctl(8) has those that --json shows.
 *
 * To add a verb: write its function in the ctl_*.c it belongs to, and add a line to the table in ctl_verb.c.
 */
#ifndef BITS_CTL_VERB_H
#define BITS_CTL_VERB_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include "conf.h"
#include "wipebuf.h"

/* Opaque types. */
struct bump;

/* One request being answered. */
struct ctl_ask {
	struct bump *b;
	uid_t uid;
	json_t *req;
	json_t *reply;	    /* the verb adds to it */
	struct diags diags; /* go into the reply */
	bool monitor;	    /* the peer shall be told events from now on */
};

/** ctl_verb_handle(b, uid, body, len, reply): for ctl_server_env.handle: one request of any content; ${b} is a struct bump. */
bool ctl_verb_handle(void *b, uid_t uid, const char *body, size_t len, struct wipebuf *reply);

/** ctl_verb_error(a, fmt): sets "error"; returns 1, so that a verb can return it. */
int ctl_verb_error(struct ctl_ask *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** ctl_verb_text(s): a JSON string of ${s}; octets of what is no UTF-8 as \\xNN, so that a message is never lost.  NULL: no memory. */
json_t *ctl_verb_text(const char *s);

/** ctl_verb_string(a, key): a string of the request, NULL: it has none.  ctl_verb_number(a, key, n): 0; -1: none, or below 0. */
const char *ctl_verb_string(const struct ctl_ask *a, const char *key);
int ctl_verb_number(const struct ctl_ask *a, const char *key, size_t *n);

/* The verbs; each returns the status. */

/* ctl_edit.c: "load" {text, name, confirm?: seconds}, "sync" {text, name, list?: true}, "confirm", "revert", "add" {text, at?}, "remove" {text}, "flush" {what}, "delete" {flow} or {proto, spi, dst?}, "move"
 * {from, to}. */
int ctl_edit_load(struct ctl_ask *a);
int ctl_edit_sync(struct ctl_ask *a);
int ctl_edit_confirm(struct ctl_ask *a);
int ctl_edit_revert(struct ctl_ask *a);
int ctl_edit_add(struct ctl_ask *a);
int ctl_edit_remove(struct ctl_ask *a);
int ctl_edit_flush(struct ctl_ask *a);
int ctl_edit_delete(struct ctl_ask *a);
int ctl_edit_move(struct ctl_ask *a);

/* ctl_show.c: "show" {what: flow, sa, all, drops, nic, stats; keys?: true}. */
int ctl_show(struct ctl_ask *a);
/* ctl_state.c: what "show" tells of NIC, drops and counters. */
void ctl_state_nic(struct ctl_ask *a);
void ctl_state_drops(struct ctl_ask *a);
void ctl_state_stats(struct ctl_ask *a);

/* ctl_capture.c: "capture" {point: host, wire, drop, all}: the reply comes with a descriptor.  ctl_capture_fd(), ctl_capture_gone(): for
 * ctl_server_env; the context is the struct bump. */
int ctl_capture(struct ctl_ask *a);
int ctl_capture_fd(void *b, int *tap);
void ctl_capture_gone(void *b, int tap);

/* ctl_trace.c: "trace" {text: a flow statement that covers one packet, size?: octets of it}. */
int ctl_trace(struct ctl_ask *a);

/* ctl_life.c: "attach", "detach", "pause", "restart", "monitor", "selftest", "version". */
int ctl_life_attach(struct ctl_ask *a);
int ctl_life_detach(struct ctl_ask *a);
int ctl_life_pause(struct ctl_ask *a);
int ctl_life_restart(struct ctl_ask *a);
int ctl_life_monitor(struct ctl_ask *a);
int ctl_life_selftest(struct ctl_ask *a);
int ctl_life_version(struct ctl_ask *a);

#endif
