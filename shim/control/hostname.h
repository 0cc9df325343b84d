/*
 * Names in ipsec.conf: host names and interface names to addresses.  Shared by bitsd and ipsecctl; may ask the network.
 */
#ifndef BITS_HOSTNAME_H
#define BITS_HOSTNAME_H

#include "addr.h"

/** hostname_resolve(ctx, name, out, cap): addresses of the interface ${name}, or of the host ${name}: at most ${cap}, each once;
 * number of them, -1: no such name.  For conf_opts.resolve; ${ctx} is not used. */
int hostname_resolve(void *ctx, const char *name, struct ipaddr *out, int cap);

#endif
