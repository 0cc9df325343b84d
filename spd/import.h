/*
 * Other programs' ways to say policy and SAs -> struct conf: setkey.conf(5), and what `ip xfrm state` and `ip xfrm policy` print.
 *
 * What cannot be said in ipsec.conf(5) is left out and reported as an error with its line; what is said with a loss, as a warning.
 * The rest is usable: conf_print() writes a text that conf_load() takes.
 */
#ifndef BITS_IMPORT_H
#define BITS_IMPORT_H

#include "conf.h"

enum import_kind { IMPORT_SETKEY, IMPORT_XFRM };

/**
 * import_file(kind, path, o, c, ds):
 * Reads ${path} ("-": standard input) and appends to ${c}, rules in the order in which the kernel would try them, and behind them
 * the one that bypasses the rest, because that is what a kernel does without a policy.  0: all of it; -1: ds->errors, each for a
 * statement that is not in ${c} (or the file could not be read).  Keys from a file that others may read are refused, as in
 * conf_parse_file().
 */
int import_file(enum import_kind kind, const char *path, const struct conf_opts *o, struct conf *c,
    struct diags *ds);

/** import_text(kind, name, text, len, o, c, ds): the same from memory. */
int import_text(enum import_kind kind, const char *name, const char *text, size_t len,
    const struct conf_opts *o, struct conf *c, struct diags *ds);

#endif
