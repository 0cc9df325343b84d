/*
 * ipsecctl: what its files share.  One cmd_*.c per group of verbs; each command returns the exit status.
 */
#ifndef BITS_IPSECCTL_H
#define BITS_IPSECCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "ctl_client.h"

struct ctl {
	const char *nic, *socket;  /* -i, -S */
	const char *file;          /* -f */
	const char **macros;       /* -D, NULL-terminated; NULL: none */
	long confirm;              /* --confirm, s; 0: none */
	bool parse_only;           /* -n */
	bool remove;               /* -d */
	bool keys, json;           /* -k, --json */
	int verbose;               /* -v */
};

/** ctl_request(c, req, reply): asks bitsd; takes ${req} over; prints the reply's diagnostics and error.  Exit status; *${reply} is NULL or
 * the caller's. */
int ctl_request(const struct ctl *c, json_t *req, json_t **reply);

/** ctl_tell(reply): what a reply has to say to a person: diagnostics, then the error unless a diagnostic was it. */
void ctl_tell(const json_t *reply);

/** ctl_simple(c, req): the same for a request whose reply only says whether it worked; with --json the reply is printed. */
int ctl_simple(const struct ctl *c, json_t *req);

/** ctl_word(text, words, n): the number of the first of ${words} that ${text} is or begins; -1: none. */
int ctl_word(const char *text, const char *const *words, int n);

/** ctl_usage(what, which): says what is wrong and how it is used; exit status 2. */
_Noreturn void ctl_usage(const char *what, const char *which);

/* cmd_load.c */
int cmd_load(const struct ctl *c);
int cmd_sync(const struct ctl *c, int argc, char **argv);
int cmd_add(const struct ctl *c, int argc, char **argv);

/* cmd_edit.c */
int cmd_flush(const struct ctl *c, const char *what);
int cmd_delete(const struct ctl *c, int argc, char **argv);
int cmd_move(const struct ctl *c, int argc, char **argv);

/* cmd_show.c, cmd_state.c */
int cmd_show(const struct ctl *c, const char *what);
void cmd_state_drops(const struct ctl *c, const json_t *reply);
/** cmd_path_parts(parts, proto): the sum that bitsd's "parts" are; ${proto} "esp" or "ah". */
void cmd_path_parts(const json_t *parts, const char *proto);
void cmd_state_nic(const struct ctl *c, const json_t *reply);
void cmd_state_stats(const struct ctl *c, const json_t *reply);

/* cmd_trace.c */
int cmd_trace(const struct ctl *c, int argc, char **argv);

/* cmd_life.c */
int cmd_life(const struct ctl *c, const char *verb);
int cmd_selftest(const struct ctl *c);
int cmd_version(const struct ctl *c);

/* cmd_import.c */
int cmd_import(const struct ctl *c, int argc, char **argv);

/* cmd_capture.c */
int cmd_capture(const struct ctl *c, int argc, char **argv);

/* cmd_export.c */
int cmd_export(const struct ctl *c, int argc, char **argv);

/* cmd_monitor.c */
int cmd_monitor(const struct ctl *c);

#endif
