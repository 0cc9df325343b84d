/*
 * What a change of policy comes to: rules and SAs are the same when they are the same objects (reload.h keeps those that stay).
 */
#ifndef BITS_RULESET_DIFF_H
#define BITS_RULESET_DIFF_H

#include <stdbool.h>
#include "ruleset.h"

struct ruleset_change { size_t added, removed, kept, moved; }; /* moved: the least number of those kept that changed their place among them */

struct ruleset_diff {
	struct ruleset_change rules, sas;
	size_t builtins; /* set otherwise than before */
};

/** Called for each rule (${sa} NULL) or SA (${rule} NULL) that comes or goes. */
typedef void (*ruleset_diff_fn)(void *ctx, bool added, const struct policy *rule, const struct sa *sa);

/** ruleset_diff(from, to, d, each, ctx): ${each} may be NULL: only count.  0, or -1 and ENOMEM. */
int ruleset_diff(const struct ruleset *from, const struct ruleset *to, struct ruleset_diff *d, ruleset_diff_fn each, void *ctx);

/** ruleset_diff_none(d): are both sets the same, order included? */
bool ruleset_diff_none(const struct ruleset_diff *d);

#endif
