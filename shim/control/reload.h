/*
 * From what the operator says to a generation: every change of policy and SAs is one transaction.  The new set is built beside the
 * old one; on any error the old one stays in force, untouched.
 *
 * What stays equal stays the same object: a rule's counters, an SA's numbers, window and lifetimes go on.  An SA that is new but
 * has a key that was used before goes on above that key's numbers (seqkeeper.h).
 */
#ifndef BITS_RELOAD_H
#define BITS_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "ruleset_diff.h"
#include "seqkeeper.h"
#include "shim.h"

enum reload_how {
	RELOAD_REPLACE,  /* the text is all there shall be */
	RELOAD_ADD,      /* it comes to what is there: rules at the end or at a place, SAs behind the others */
	RELOAD_DELETE,   /* what it names goes: equal rules, SAs of the same protocol, SPI and destination */
};

#define RELOAD_AT_END SIZE_MAX

enum reload_what { RELOAD_FLOWS = 1, RELOAD_SAS = 2, RELOAD_ALL = 3 };

/* Opaque types. */
struct reload;
struct windows;

struct reload_env {
	struct shim *shim;
	struct seqkeeper *keeper;
	struct windows *windows; /* NULL: replay windows end with the process */
	/* the host's addresses: at most ${cap}; number of them */
	int (*addresses)(void *ctx, struct ipaddr *out, int cap);
	/* a generation was published; may be NULL */
	void (*published)(void *ctx);
	void *ctx;
};

/** reload_new(env): an empty set, nothing published yet.  NULL and ENOMEM.  reload_free(r): the shim keeps its generation. */
struct reload *reload_new(const struct reload_env *env);
void reload_free(struct reload *r);

/** reload_keep_windows(r, w): from the next change of policy on; ${w} must outlive every SA, so the shim. */
void reload_keep_windows(struct reload *r, struct windows *w);

/**
 * reload_conf(r, c, how, at, first_use, ds):
 * Applies ${c} (parsed and checked); ${at}: the place of the first added rule, from 0.  ${first_use}: see seqkeeper_begin().
 * 0, and ${ds} may have warnings; -1 when ds->errors, and nothing changed.
 */
int reload_conf(struct reload *r, const struct conf *c, enum reload_how how, size_t at, bool first_use, struct diags *ds);

/**
 * reload_sync(r, c, d, each, ctx, ds):
 * Replaces by ${c} and tells in *${d} and by ${each} (ruleset_diff()) what that came to; when it comes to nothing, nothing is published.
 * 0 or -1 as above.
 */
int reload_sync(struct reload *r, const struct conf *c, struct ruleset_diff *d, ruleset_diff_fn each, void *ctx, struct diags *ds);

/*
 * A policy on trial: reload_try() replaces as reload_conf() does and keeps what was in force, whole; then either reload_confirm()
 * or reload_revert().  One at a time; nothing else may change the policy meanwhile (the caller refuses that).
 *
 * What comes back are the same objects, so counters, numbers and windows go on; but an SA whose key the policy on trial used in an
 * SA of its own comes back as a new object, above all numbers and window positions that the key has seen.
 */
int reload_try(struct reload *r, const struct conf *c, struct diags *ds);
bool reload_trying(const struct reload *r);
void reload_confirm(struct reload *r);
int reload_revert(struct reload *r, struct diags *ds);

/** reload_flush(r, what, ds): no rules and default built-ins; no SAs. */
int reload_flush(struct reload *r, enum reload_what what, struct diags *ds);

/** reload_delete_rule(r, place, ds), reload_move_rule(r, from, to, ds): places from 0. */
int reload_delete_rule(struct reload *r, size_t place, struct diags *ds);
int reload_move_rule(struct reload *r, size_t from, size_t to, struct diags *ds);

/** reload_delete_sa(r, proto, spi, dst, ds): ${dst} NULL: whichever has that SPI; more than one is an error. */
int reload_delete_sa(struct reload *r, enum ipsec_proto proto, uint32_t spi, const struct ipaddr *dst, struct diags *ds);

/** reload_bury(r): SAs that are dead (a hard limit, or no number left) leave the set, as RFC 4301 4.4.2.1 has it.  0, also when there is none; -1
 * when it could not be done (logged): they stay, dead. */
int reload_bury(struct reload *r);

/** reload_readdress(r): the host's addresses changed: which SAs send and which receive is looked at again. */
void reload_readdress(struct reload *r);

/** reload_seq_low(r, proto, spi, dst, now): that SA wants more numbers.  reload_seq_sweep(r, now): looks at all of them.  0, or -1: one
 * got none (logged).  A worker asks once, so the caller tries again with reload_seq_sweep(). */
int reload_seq_low(struct reload *r, unsigned proto, uint32_t spi, const struct ipaddr *dst, uint64_t now);
int reload_seq_sweep(struct reload *r, uint64_t now);

/** reload_stop(r): the bump is halted: saves the exact next numbers. */
void reload_stop(struct reload *r);

#endif
