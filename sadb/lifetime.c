#include "lifetime.h"

bool
lifetime_set(const struct lifetime *l)
{
	return l->packets != 0 || l->octets != 0 || l->ms != 0;
}

bool
lifetime_over(const struct lifetime *l, uint64_t packets, uint64_t octets, uint64_t age_ms)
{
	return (l->packets != 0 && packets >= l->packets) ||
	       (l->octets != 0 && octets >= l->octets) || (l->ms != 0 && age_ms >= l->ms);
}
