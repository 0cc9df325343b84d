/*
 * Counters of one worker.  Only that worker writes (plain stores the compiler may not split), anyone reads and sums;
 * nobody resets.  Per direction: read = bypassed + protected/opened + dropped by reason + held + consumed.
 */
#ifndef BITS_STATS_H
#define BITS_STATS_H

#include <stdint.h>
#include "drop.h"

struct edge_counters { uint64_t packets, octets; };

struct stats {
	struct edge_counters read[2];   /* by enum dir: [DIR_OUT] read from the host, [DIR_IN] from the wire */
	struct edge_counters sent[2];   /* [DIR_OUT] sent to the wire, [DIR_IN] handed to the host */
	uint64_t bypassed[2];           /* packets that went through untouched */
	uint64_t protected_[2];         /* outbound: protected; inbound: opened and accepted */
	uint64_t drop[2][DROP_MAX];
	uint64_t made[2];               /* packets the bump made itself: ICMP to the host, fragments beyond the first */
	uint64_t consumed[2];           /* fragments that became part of another packet */
	uint64_t bursts[2];
	uint64_t events_lost;           /* events that found the ring full */
};

/** stats_add(c, n): the one way to write a counter. */
static inline void
stats_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

/** stats_sum(to, from): add ${from}'s counters to ${to}'s; any thread. */
void stats_sum(struct stats *to, const struct stats *from);

#endif
