/*
 * The user that moves packets and listens to clients, who owns nothing but its records of sequence numbers and windows.
 */
#ifndef BITS_LOWUSER_H
#define BITS_LOWUSER_H

#include <stddef.h>
#include <sys/types.h>

#define LOWUSER_DEFAULT "_bits"

struct lowuser {
	char name[40]; /* for messages: a user's, or a number */
	uid_t uid;
	gid_t gid;
};

/**
 * lowuser_find(name, u, why, cap):
 * ${name}: a user's, with his group; NULL: _bits, or where there is none a number that nobody has, and ${why} says so.  0; 1: the latter; -1
 * and ${why}: there is no such user, or it is root.
 */
int lowuser_find(const char *name, struct lowuser *u, char *why, size_t cap);

#endif
