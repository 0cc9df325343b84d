/*
 * A set of rules and SAs being put together: what a generation is made of.  Holds a reference on each.
 */
#ifndef BITS_RULESET_H
#define BITS_RULESET_H

#include <stddef.h>
#include "conf.h"
#include "idmap.h"

struct ruleset_sa {
	struct sa *sa;
	enum sa_dir said;      /* direction as the text said it, before the host's addresses were looked at */
	const char *file;      /* where it came from, for messages of this transaction; NULL: earlier */
	unsigned line, col;
};

struct ruleset {
	struct policy **rule;
	size_t nrules, caprules;
	struct ruleset_sa *sa;
	size_t nsas, capsas;
	enum builtin_set builtin[BUILTIN_MAX];
	struct idmap by_id;    /* SAs by (proto, SPI, dst); ruleset_index() */
};

void ruleset_init(struct ruleset *s);
void ruleset_fini(struct ruleset *s);

/** ruleset_copy(to, from): ${to} (not yet initialised) becomes the same, without an index.  0, or -1 and ENOMEM (${to} is empty). */
int ruleset_copy(struct ruleset *to, const struct ruleset *from);

/** ruleset_insert(s, at, p): takes a reference; ${at} <= nrules.  0, or -1 and ENOMEM.  ruleset_remove(s, at) drops one. */
int ruleset_insert(struct ruleset *s, size_t at, struct policy *p);
void ruleset_remove(struct ruleset *s, size_t at);

/** ruleset_add_sa(s, e): takes over the reference on e->sa, also when it fails.  0, or -1 and ENOMEM. */
int ruleset_add_sa(struct ruleset *s, const struct ruleset_sa *e);
void ruleset_remove_sa(struct ruleset *s, size_t at);

/** ruleset_index(s): (re)builds by_id after changes.  0, or -1 and ENOMEM. */
int ruleset_index(struct ruleset *s);

/** ruleset_find_sa(s, proto, spi, dst): place of that SA, or -1.  Needs the index. */
long ruleset_find_sa(const struct ruleset *s, unsigned proto, uint32_t spi, const struct ipaddr *dst);

/** ruleset_rule_hash(p): equal rules (policy_eq) have equal hashes. */
uint32_t ruleset_rule_hash(const struct policy *p);

/**
 * ruleset_check(s, ds):
 * What a whole set must not have: two SAs of one (proto, SPI, dst); one key in two SAs that send, or, where numbers are nonces, in any
 * two SAs, since then both ends would use the same ones.  Sets the fingerprint of each SA that may send.
 */
int ruleset_check(struct ruleset *s, struct diags *ds);

#endif
