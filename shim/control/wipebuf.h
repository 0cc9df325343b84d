/*
 * A growing buffer of text that may hold keys: whatever it outgrows or leaves behind is overwritten.  Shared by bitsd and
 * ipsecctl, as is the allocator that lets the JSON library forget in the same way.
 */
#ifndef BITS_WIPEBUF_H
#define BITS_WIPEBUF_H

#include <stddef.h>
#include <stdio.h>

struct wipebuf {
	char *text; /* NUL behind the last octet once something was added */
	size_t len, cap;
};

/** wipebuf_add(b, octets, n): appends; 0, or -1 and ENOMEM with ${b} as before. */
int wipebuf_add(struct wipebuf *b, const void *octets, size_t n);

/** wipebuf_room(b, n): makes room for ${n} more octets behind text + len; 0, or -1 and ENOMEM. */
int wipebuf_room(struct wipebuf *b, size_t n);

/** wipebuf_open(b): a stream whose output is appended to ${b}; fflush() or fclose() it before ${b} is read.  Its buffer is wiped when it
 * is closed.  NULL and errno. */
FILE *wipebuf_open(struct wipebuf *b);

/** wipebuf_free(b): wipes, frees, and makes it empty. */
void wipebuf_free(struct wipebuf *b);

/** wipebuf_release(p): free() that overwrites first; for json_set_alloc_funcs(). */
void wipebuf_release(void *p);

#endif
