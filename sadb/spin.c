#include "spin.h"

#include <sched.h>

#define TRIES 1000 /* then whoever holds it may be waiting for this processor */

void
spin_wait(uint8_t *lock)
{
	for (unsigned tries = 0; __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE);)
		while (__atomic_load_n(lock, __ATOMIC_RELAXED))
			if (++tries > TRIES)
				(void)sched_yield();
}
