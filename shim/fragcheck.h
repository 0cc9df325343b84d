/*
 * Fragments that meet policy one by one (RFC 4301 7), where a rule asks for that; all others are reassembled first (reasm.h).
 *
 *   7.2  A rule with `port opaque` or `proto opaque` takes the fragments behind the first, as they are; the first has its ports and goes
 *        by them.  Nothing is remembered.
 *   7.3  A rule with `fragments check` takes a first fragment by its ports, which are remembered for the others of its datagram.  These
 *        then have them too, so one flow, one rule, one SA serve the whole datagram.  What comes before its first fragment waits
 *        in reassembly, and the whole datagram takes that way then.
 *
 * A first fragment that does not hold its ports, or a second one that gives others, is dropped: no datagram gains ports that were not
 * checked (RFC 1858, 3128).  The table is bounded; its places come from a seeded hash, and what is oldest there gives way.
 */
#ifndef BITS_FRAGCHECK_H
#define BITS_FRAGCHECK_H

#include <stdbool.h>
#include <stdint.h>

#define FRAGCHECK_MAX 2048 /* datagrams under way, remembered for as long as reassembly waits (REASM_MS4, REASM_MS6) */

/* Opaque types. */
struct fragcheck;
struct pkt;
struct walk;

/** fragcheck_new(seed): an empty table; NULL and ENOMEM.  One worker's own. */
struct fragcheck *fragcheck_new(uint64_t seed);
void fragcheck_free(struct fragcheck *c);

/**
 * fragcheck_take(w, p):
 * ${p} is a classified fragment.  True: it goes on by itself, with the ports of its datagram in its key where these are known, or with a
 * drop.  False: it has to be reassembled.
 */
bool fragcheck_take(struct walk *w, struct pkt *p);

#endif
