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

bool
seq_running_low(struct seq *s, uint64_t block)
{
	uint64_t reserved = __atomic_load_n(&s->reserved, __ATOMIC_ACQUIRE);
	uint64_t left = reserved > s->next ? reserved - s->next : 0;

	/* All there is is reserved: nothing to ask for. */
	if (reserved > s->last || left >= block / 2)
		return false;
	/* Relaxed load first: most packets between the question and its answer end here. */
	return !__atomic_load_n(&s->low, __ATOMIC_RELAXED) &&
	       !__atomic_exchange_n(&s->low, true, __ATOMIC_ACQ_REL);
}
