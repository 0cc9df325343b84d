/*
 * Octets over a UNIX socket, and a descriptor beside them (unix(7), SCM_RIGHTS).
 */
#ifndef BITS_FDPASS_H
#define BITS_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

/** fdpass_send(fd, octets, len, pass, flags): sendmsg() with ${flags}, with the descriptor ${pass} (-1: none), which stays the caller's; a
 * signal does not end it, nor is there a SIGPIPE.  How many octets went, or -1 and errno.  Any thread. */
ssize_t fdpass_send(int fd, const void *octets, size_t len, int pass, int flags);

#endif
