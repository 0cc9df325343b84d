/*
 * A lock of one octet for what two workers seldom want at the same time, and then for some microseconds.
 */
#ifndef BITS_SPIN_H
#define BITS_SPIN_H

#include <stdint.h>

/** spin_wait(lock): what spin_lock() does when somebody else holds it: until that one's thread gets on. */
void spin_wait(uint8_t *lock);

static inline void
spin_lock(uint8_t *lock)
{
	if (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		spin_wait(lock);
}

static inline void
spin_unlock(uint8_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
