/*
 * Monotonic time; the only caller of the clock.  Everything else takes ${now} as a parameter.
 */
#ifndef BITS_MONO_H
#define BITS_MONO_H

#include <stdint.h>

/** mono_ms(), mono_ns(): since some fixed point, suspend included (CLOCK_BOOTTIME); never 0, never backwards. */
uint64_t mono_ms(void);
uint64_t mono_ns(void);

#endif
