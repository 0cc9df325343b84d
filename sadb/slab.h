/*
 * Memory for what there may be 100,000 of: SAs and their contexts.  Pieces are cut from blocks that grow to the size of a huge page and
 * lie on one where the system has any: a packet's SA, its keys and the next SA then cost few misses of the TLB, and none
 * of malloc()'s bookkeeping lies between them.  A piece given back waits for the next of its size; blocks are kept.
 */
#ifndef BITS_SLAB_H
#define BITS_SLAB_H

#include <stddef.h>

#define SLAB_LINE 64 /* pieces begin on a cache line */

/** slab_new(octets): ${octets} zeroed octets, or NULL and ENOMEM.  Any thread but the data path's. */
void *slab_new(size_t octets);

/** slab_free(p, octets): gives back what slab_new(${octets}) has given; keys are wiped by then.  NULL is fine.  Thread-safe. */
void slab_free(void *p, size_t octets);

#endif
