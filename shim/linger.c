#include "linger.h"

bool
linger_begin(struct linger *l, uint64_t now)
{
	uint64_t passed = now > l->then ? now - l->then : 0;

	if (!l->on)
		return false;
	l->then = now;
	l->credit += passed / LINGER_SHARE;
	if (l->credit > LINGER_MAX)
		l->credit = LINGER_MAX;
	return l->credit >= LINGER_NS;
}

void
linger_lost(struct linger *l)
{
	l->credit -= l->credit < LINGER_NS ? l->credit : LINGER_NS;
}
