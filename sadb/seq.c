#include "seq.h"

#include <string.h>

void
seq_init(struct seq *s, bool esn)
{
	memset(s, 0, sizeof *s);
	s->next = 1;
	s->last = esn ? SEQ_LAST_ESN : SEQ_LAST;
}

void
seq_resume(struct seq *s, uint64_t next)
{
	if (next > s->next)
		s->next = next > s->last ? s->last + 1 : next;
}

void
seq_reserve(struct seq *s, uint64_t upto)
{
	/* Never down: numbers below the old mark may be used already. */
	if (upto > __atomic_load_n(&s->reserved, __ATOMIC_RELAXED))
		__atomic_store_n(&s->reserved, upto, __ATOMIC_RELEASE);
	__atomic_store_n(&s->low, false, __ATOMIC_RELEASE);
}

enum drop
seq_take(struct seq *s, uint64_t *out)
{
	uint64_t next = s->next; /* this worker alone writes it */

	if (next > s->last)
		return DROP_SEQ_EXHAUSTED;
	if (next >= __atomic_load_n(&s->reserved, __ATOMIC_ACQUIRE))
		return DROP_SEQ_UNRESERVED;
	*out = next;
	__atomic_store_n(&s->next, next + 1, __ATOMIC_RELAXED);
	return DROP_NONE;
}

enum drop
seq_grab(struct seq *s, uint64_t want, uint64_t *first, uint64_t *end)
{
	uint64_t next = __atomic_load_n(&s->next, __ATOMIC_RELAXED), left;

	/* An addition would run beyond the end, if only for a moment in which another worker reads it. */
	do {
		uint64_t reserved = __atomic_load_n(&s->reserved, __ATOMIC_ACQUIRE);

		if (next > s->last)
			return DROP_SEQ_EXHAUSTED;
		if (next >= reserved)
			return DROP_SEQ_UNRESERVED;
		left = (reserved > s->last ? s->last + 1 : reserved) - next;
		left = left < want ? left : want;
	} while (!__atomic_compare_exchange_n(
	    &s->next, &next, next + left, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	*first = next;
	*end = next + left;
	return DROP_NONE;
}

void
seq_return(struct seq *s, uint64_t first, uint64_t end)
{
	/* No number from ${end} on is anybody's while next says ${end}: they may have been taken and come back meanwhile, but nobody used any. */
	(void)__atomic_compare_exchange_n(
	    &s->next, &end, first, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool
seq_running_low(struct seq *s, uint64_t block)
{
	uint64_t reserved = __atomic_load_n(&s->reserved, __ATOMIC_ACQUIRE);
	uint64_t next = __atomic_load_n(&s->next, __ATOMIC_RELAXED);
	uint64_t left = reserved > next ? reserved - next : 0;

	/* All there is is reserved: nothing to ask for. */
	if (reserved > s->last || left >= block / 2)
		return false;
	/* Relaxed load first: most packets between the question and its answer end here. */
	return !__atomic_load_n(&s->low, __ATOMIC_RELAXED) &&
	       !__atomic_exchange_n(&s->low, true, __ATOMIC_ACQ_REL);
}
