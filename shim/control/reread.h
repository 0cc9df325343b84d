/*
 * The operator's file from one process to the other: read where it can be opened, its names looked up there, sent as canonical text with
 * the place of each statement, and read again where it comes into force, by text that opens nothing.
 */
#ifndef BITS_REREAD_H
#define BITS_REREAD_H

#include <stdbool.h>
#include "conf.h"

/** reread_write(path, foreground, fd): reads ${path}, tells what is wrong with it (${foreground}: on stderr, else in the log), and writes
 * what it says to ${fd}, keys too.  0, or -1. */
int reread_write(const char *path, bool foreground, int fd);

/** reread_read(fd, c): ${c} is initialised and becomes what comes from ${fd}, until its end.  0; -1: it was not all there (the writer told
 * why). */
int reread_read(int fd, struct conf *c);

#endif
