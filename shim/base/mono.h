/*
 * Monotonic time; the only caller of the clock.  Everything else takes ${now} as a parameter.
 */
#ifndef BITS_MONO_H
#define BITS_MONO_H

#include <stdint.h>

/** mono_ms(), mono_ns(): since some fixed point, suspend included (CLOCK_BOOTTIME); never 0, never backwards. */
uint64_t mono_ms(void);
uint64_t mono_ns(void);

/** mono_epoch_ns(): the calendar's time, ns since 1970; may jump.  For capture files. */
uint64_t mono_epoch_ns(void);

#define MONO_DATE_LEN 25 /* "2026-11-25T03:22:03.123Z" and NUL */

/** mono_date(buf): now by the calendar, UTC, as RFC 3339 writes it; for people only.  Returns ${buf}. */
char *mono_date(char buf[static MONO_DATE_LEN]);

#endif
