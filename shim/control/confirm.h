/*
 * A policy on trial (reload_try()) and the clock it runs against: what is not confirmed in time goes, whether anybody is still connected or
 * not.  Who locks himself out of a remote host gets in again.
 */
#ifndef BITS_CONFIRM_H
#define BITS_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>
#include "reload.h"

#define CONFIRM_MAX 86400 /* s */

/* Opaque types. */
struct audit;
struct confirm;
struct event_base;

/** confirm_new(base, r, audit): NULL and errno. */
struct confirm *confirm_new(struct event_base *base, struct reload *r, struct audit *audit);
void confirm_free(struct confirm *c);

/** confirm_load(c, conf, seconds, ds): ${conf} is in force now, and for good when confirm_keep() follows within ${seconds}.  0, or -1 with errors in
 * ${ds}: nothing changed. */
int confirm_load(struct confirm *c, const struct conf *conf, unsigned seconds, struct diags *ds);

/** confirm_keep(c): what is on trial stays.  confirm_revert(c, ds): it goes now; 0, or -1 with errors (and it is tried again). */
void confirm_keep(struct confirm *c);
int confirm_revert(struct confirm *c, struct diags *ds);

/** confirm_left(c, ms): is something on trial, and for how long yet? */
bool confirm_left(const struct confirm *c, uint64_t *ms);

#endif
