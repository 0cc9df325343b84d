/*
 * The SPD: ordered rules, first match decides, default discard (RFC 4301 4.4.1).  Immutable once built.
 */
#ifndef BITS_SPD_H
#define BITS_SPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "policy.h"

/* Opaque types. */
struct spd;

/**
 * spd_new(rules, n, builtins):
 * An SPD of ${n} rules in that order; takes a reference on each.  ${builtins} NULL: all bypass.  NULL and errno.
 * Builds the index; O(n log n).  Control thread.
 */
struct spd *spd_new(struct policy *const *rules, size_t n, const enum builtin_set builtins[BUILTIN_MAX]);
void spd_free(struct spd *spd);

size_t spd_count(const struct spd *spd);
struct policy *spd_at(const struct spd *spd, size_t i); /* no reference taken; rule number i, from 0 */
enum builtin_set spd_builtin(const struct spd *spd, enum builtin b);

/** spd_fragments(spd): has any rule a say about single fragments (FRAGS_CHECK, policy_names_fragments())? */
bool spd_fragments(const struct spd *spd);

/**
 * spd_lookup(spd, k, place):
 * The first rule that covers ${k} in direction k->dir, and its number in *${place} (may be NULL); NULL: no rule, so
 * discard.  Workers, on a flow cache miss.  Never allocates.
 */
struct policy *spd_lookup(const struct spd *spd, const struct flowkey *k, size_t *place);

/** spd_lookup_linear(spd, k, place): the same by trying rule after rule; what tests hold the index against. */
struct policy *spd_lookup_linear(const struct spd *spd, const struct flowkey *k, size_t *place);

/**
 * spd_shadowed(spd, i):
 * The number of an earlier rule that covers rule ${i} wholly in each of its directions, or -1.  Up to 2,000 rules none is
 * overlooked (and all of them together cost O(n^2)); with more, the index is asked, and one may be.
 */
long spd_shadowed(const struct spd *spd, size_t i);

#endif
