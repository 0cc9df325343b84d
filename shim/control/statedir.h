/*
 * Who owns what in the state directory.  The directory and what gives a NIC back (NAME.NUMBER.nic) are root's: it is believed by who has
 * privileges.  The records of numbers (seq) and windows are the other process's, which reaches them by descriptors alone, opened
 * while it was root; through a directory that only root may search, seq/.. leads nowhere.
 */
#ifndef BITS_STATEDIR_H
#define BITS_STATEDIR_H

#include <stddef.h>
#include "lowuser.h"

#define STATEDIR_WINDOWS "windows"

/**
 * statedir_seq(dir, u, path, pathcap, why, cap):
 * ${dir}/seq, made where missing, with all it holds ${u}'s; so are records of a bitsd that ran as root or as another user.  A
 * descriptor, and its name in ${path}; or -1 and ${why}.
 */
int statedir_seq(
    const char *dir, const struct lowuser *u, char *path, size_t pathcap, char *why, size_t cap);

/** statedir_give(dir, name, u): the file ${name} there becomes ${u}'s.  0, or -1 and errno. */
int statedir_give(const char *dir, const char *name, const struct lowuser *u);

#endif
