/*
 * ipsec.conf: text -> rules and SAs, and back.  conf_file.c reads files and knows who may read them, conf_lex.c makes the
 * tokens of a statement (macros, continuation lines), conf_parse.c tells statements apart, conf_host.c, conf_flow.c,
 * conf_sa.c and conf_foreign.c read them by recursive descent and expand lists, conf_print.c writes what was read,
 * conf_check.c looks at a whole set.  On any error nothing of the text is used; several errors are reported.
 */
#ifndef BITS_CONF_H
#define BITS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "policy.h"
#include "sa.h"

/* What was found wrong, and where. */
struct diag {
	char *file;
	unsigned line, col; /* from 1; 0: the file as a whole */
	bool warning;	    /* said, and no reason to refuse */
	char *text;	    /* "what is wrong, near 'token'; what would be right" */
};

struct diags {
	struct diag *d;
	size_t n;
	size_t errors; /* that are no warnings */
};

void diags_add(struct diags *ds, const char *file, unsigned line, unsigned col, bool warning,
    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/** diags_sort(ds, from): those from number ${from} on in the order of the text, as a reader fixes them. */
void diags_sort(struct diags *ds, size_t from);
/** diags_print(ds, out): one line each, "file:line:col: text" ("file: text" without a line; "warning: " before a warning's text). */
void diags_print(const struct diags *ds, FILE *out);
void diags_free(struct diags *ds);

/* Statements that are understood, printed back, and refused at load with a reason: ike, tcpmd5, ipcomp. */
struct conf_foreign {
	char *text; /* canonical form */
	char *why;
	char *file;
	unsigned line, col;
	size_t nr; /* as in struct conf_at */
};

/* Where a rule or SA came from. */
struct conf_at {
	const char *file; /* one of conf.file */
	unsigned line, col;
	size_t nr; /* how many rules, SAs and foreign statements stood before it */
};

/* A text's content, in its order, lists expanded. */
struct conf {
	struct policy **rule;
	size_t nrules, caprules;
	struct sa_params *sa;
	size_t nsas, capsas;
	struct conf_at *rule_at, *sa_at; /* where each came from; NULL when it came from no text */
	char **file;			 /* the names rule_at and sa_at point to */
	size_t nfiles;
	struct conf_foreign *foreign;
	size_t nforeign;
	enum builtin_set builtin[BUILTIN_MAX];
	bool builtin_said[BUILTIN_MAX];
};

void conf_init(struct conf *c);
void conf_free(struct conf *c);

/* Limits, each with a message of its own: what a file can cost in memory and time is bounded. */
#define CONF_FILE_MAX	 (64u << 20) /* octets of one file */
#define CONF_WORD_MAX	 4096u	     /* octets of a word */
#define CONF_STRING_MAX	 65536u	     /* octets between quotes */
#define CONF_TOKENS_MAX	 65536u	     /* words of one statement, macros expanded */
#define CONF_MACRO_DEPTH 32u	     /* macros within macros */
#define CONF_EXPAND_MAX	 (32u << 20) /* octets all uses of macros may come to */
#define CONF_INCLUDE_MAX 16u	     /* includes within includes */
#define CONF_LIST_DEPTH	 8u	     /* lists within lists */
#define CONF_PRODUCT_MAX 65536u	     /* rules or SAs that the lists of one statement may come to */
#define CONF_RULES_MAX	 1000000u    /* rules or SAs in all */
#define CONF_ERRORS_MAX	 20u	     /* errors after which reading stops */

struct conf_opts {
	const char *const *
	    macros; /* "name=value" strings that win over the file's own, NULL-terminated; or NULL */
	bool
	    no_files; /* refuse include and `file "..."` keys: text that came over the control socket */
	bool
	    any_owner; /* skip the check that only the owner (root or the caller) can read a file with keys */
	bool warn_unused; /* warn of macros that nothing uses */
	/* addresses of a host or interface name, at most cap into out; number of them, -1: no such name.  NULL: numeric
	 * addresses only. */
	int (*resolve)(void *ctx, const char *name, struct ipaddr *out, int cap);
	void *ctx;
};

/**
 * conf_parse_file(path, o, c, ds):
 * Reads ${path} ("-": standard input, named "stdin") and appends to ${c}.  0; -1 when ds->errors, and ${c} is then as
 * before the call.
 */
int conf_parse_file(const char *path, const struct conf_opts *o, struct conf *c, struct diags *ds);

/** conf_parse_text(name, text, len, o, c, ds): the same from memory. */
int conf_parse_text(const char *name, const char *text, size_t len, const struct conf_opts *o,
    struct conf *c, struct diags *ds);

/**
 * conf_check(c, ds):
 * What only a whole set can show: two SAs of one (proto, SPI, dst), one key in two SAs that may send, foreign statements
 * (refused), rules wholly shadowed (warning), PROTECT rules that no SA serves (warning with `reqid`, not for acquire).
 * 0 or -1 as above.
 */
int conf_check(const struct conf *c, struct diags *ds);

/** conf_refuse(c, ds): of conf_check(), what is an error: 0 or -1.  conf_warn(c, ds): the rest, which takes longer with many rules; of a
 * set without errors. */
int conf_refuse(const struct conf *c, struct diags *ds);
void conf_warn(const struct conf *c, struct diags *ds);

/** conf_load(path, o, c, ds): conf_parse_file() and then conf_check(): what -f does. */
int conf_load(const char *path, const struct conf_opts *o, struct conf *c, struct diags *ds);

/** conf_print_rule(p, out), conf_print_sa(p, keys, out): one canonical statement and a newline; feeding it back gives an
 * equal rule or SA.  Without ${keys} the key words are left out (that text then does not load). */
void conf_print_rule(const struct policy *p, FILE *out);
void conf_print_sa(const struct sa_params *p, bool keys, FILE *out);
/** conf_print_for(s, out): " for proto tcp from ...", as in an SA. */
void conf_print_for(const struct sa_selector *s, FILE *out);
/** conf_print_builtin(b, s, out): "builtin arp type bypass". */
void conf_print_builtin(enum builtin b, enum builtin_set s, FILE *out);
/** conf_print(c, keys, out): all of ${c}: SAs, built-ins that were said, rules, foreign statements. */
void conf_print(const struct conf *c, bool keys, FILE *out);

/**
 * conf_print_openbsd(c, keys, out):
 * The same as OpenBSD's ipsecctl -nv prints it, octet for octet where OpenBSD has such a statement: in the order of the text, a flow for
 * each direction and family, the halves of an SA pair without a direction.  What it prints means the same; two rules may stand for one.
 */
void conf_print_openbsd(const struct conf *c, bool keys, FILE *out);

#endif
