/*
 * Memory for large tables that are read at random: on cache lines, and on huge pages where it is large and there are any, since what a
 * lookup in it costs is waiting, and half of that is for the page tables.
 */
#ifndef BITS_BIGMEM_H
#define BITS_BIGMEM_H

#include <stddef.h>

/** bigmem_new(octets): ${octets} zeroed octets for free(); NULL and ENOMEM. */
void *bigmem_new(size_t octets);

#endif
