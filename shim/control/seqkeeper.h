/*
 * Keeps sequence numbers over restarts: the control thread's side of sadb/seqstore.
 *
 * An SA may send numbers below what its key's record durably says, and nothing else.  The record is raised by a block before the
 * numbers of that block are given to the worker; a start goes on at the record.  So a crash costs at most one block, and no number
 * is used twice under one key, whichever SA the key belongs to and whenever it was loaded.
 *
 * Several bitsd may share a directory, and may (by mistake) be given the same key.  Whoever begins with a key last has it: the others
 * see a record that is no longer theirs, use up what they have reserved, and stop.
 */
#ifndef BITS_SEQKEEPER_H
#define BITS_SEQKEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sa.h"
#include "seqstore.h"

#define SEQKEEPER_BLOCK_MAX (UINT64_C(1) << 22)

/* Opaque types. */
struct seqkeeper;

/** seqkeeper_new(io, machine): records through ${io} (copied); ${machine}: this machine's id, "" if there is none.  NULL and ENOMEM. */
struct seqkeeper *seqkeeper_new(const struct seqstore_io *io, const char *machine);

/** seqkeeper_open(state_dir, why, cap): the real thing: records in <state_dir>/seq, made where missing.  NULL and ${why}. */
struct seqkeeper *seqkeeper_open(const char *state_dir, char *why, size_t cap);
/** seqkeeper_at(fd, path, why, cap): the same in the directory ${fd}, which it takes over when it succeeds; ${path}: its name for messages. */
struct seqkeeper *seqkeeper_at(int fd, const char *path, char *why, size_t cap);
void seqkeeper_free(struct seqkeeper *k);

/** seqkeeper_sends(sa): may ${sa} send, and so need numbers? */
bool seqkeeper_sends(const struct sa *sa);

/**
 * seqkeeper_begin(k, sa, first_use, why, cap):
 * Before ${sa} is published: sets its fingerprint and block, moves its next number to where its key's record says, and reserves the first
 * block.  ${first_use}: the operator loads it by hand, so a missing record means a new key; else (a start) a missing record of a
 * counter-mode key refuses.
 * 0: it may send.  1: it may, and ${why} has a warning.  -1: it may not send (it stays unreserved, its packets are dropped as
 * seq_unreserved), and ${why} says why and how to go on.
 */
int seqkeeper_begin(struct seqkeeper *k, struct sa *sa, bool first_use, char *why, size_t cap);

/**
 * seqkeeper_top_up(k, sa, now):
 * Reserves another block when less than half of one is left; doubles the block when the last one lasted less than a second.
 * 0, or -1 and errno (the SA sends until its reservation is used up; try again).  EBUSY: another bitsd has begun with this key.
 */
int seqkeeper_top_up(struct seqkeeper *k, struct sa *sa, uint64_t now);

/** seqkeeper_stop(k, sa): no worker uses ${sa} any more: its record says exactly the next number.  0, or -1 and errno (the record
 * is then higher, which is safe). */
int seqkeeper_stop(struct seqkeeper *k, const struct sa *sa);

#endif
