/*
 * The SAs with their keys, in the forms that let Wireshark and tcpdump see into a capture.
 */
#ifndef BITS_EXPORT_KEYS_H
#define BITS_EXPORT_KEYS_H

#include <stdio.h>

/* Opaque types. */
struct conf;

enum export_form {
	EXPORT_WIRESHARK, /* esp_sa table, version 4 or later */
	EXPORT_TCPDUMP,   /* for -E "file F" */
};

/** export_form(name): -1: no such form. */
int export_form(const char *name);

/** export_open(path): a file of the owner's alone, whatever was there before; no symbolic link.  NULL and errno. */
FILE *export_open(const char *path);

/** export_keys(form, c, out): a line for each SA of ${c}, into ${out}, which nothing was written to yet, and closes it.  SAs that the
 * program cannot open are named on standard error as ${who}'s message, and left out.  0, or -1 and errno. */
int export_keys(enum export_form form, const struct conf *c, FILE *out, const char *who);

#endif
