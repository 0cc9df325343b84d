/*
 * The traffic one SA is for, where that is less than its policy says (RFC 4301 4.4.2.1): what `for` names in ipsec.conf, as an SA has it that
 * serves one flow of a rule with PFP flags (4.4.1.2).  Source and destination as in the packets it protects.
 */
#ifndef BITS_SA_SELECTOR_H
#define BITS_SA_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include "addr.h"

/* Host order, inclusive; ${any}: also what shows no ports. */
struct sa_ports {
	bool any;
	uint16_t lo, hi;
};

struct sa_selector {
	unsigned refs; /* atomic; it does not change while there are any */
	struct iprange src, dst;
	bool proto_any;
	uint8_t proto;
	struct sa_ports sport, dport;
};

/** sa_selector_new(from): a copy with one reference; NULL and ENOMEM. */
struct sa_selector *sa_selector_new(const struct sa_selector *from);
/** sa_selector_ref(s), sa_selector_unref(s): NULL is fine.  Thread-safe. */
struct sa_selector *sa_selector_ref(struct sa_selector *s);
void sa_selector_unref(struct sa_selector *s);

/** sa_selector_eq(a, b): the same traffic?  NULL stands for all there is. */
bool sa_selector_eq(const struct sa_selector *a, const struct sa_selector *b);

/** sa_selector_swap(s): source and destination change places: the SA back. */
void sa_selector_swap(struct sa_selector *s);

/** sa_selector_has(s, src, dst, proto, shown, sport, dport): is such a packet among it?  ${proto} -1: hidden; ${shown}: it has ports, and
 * they can be seen. */
bool sa_selector_has(const struct sa_selector *s, const struct ipaddr *src, const struct ipaddr *dst, int proto, bool shown,
    uint16_t sport, uint16_t dport);

#endif
