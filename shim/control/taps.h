/*
 * Who captures: the rings that ipsecctl reads, and when each begins and ends.  Control thread.
 */
#ifndef BITS_TAPS_H
#define BITS_TAPS_H

/* Opaque types. */
struct shim;
struct taps;

/** taps_new(shim): nobody captures.  NULL and ENOMEM.  taps_free(t): before the shim is freed. */
struct taps *taps_new(struct shim *shim);
void taps_free(struct taps *t);

/** taps_add(t, points): one more, of CAPTURE_* ${points}.  Its number; -1 and errno (EBUSY: there are too many). */
int taps_add(struct taps *t, unsigned points);

/** taps_fd(t, tap): descriptor of its ring's memory, for the one who asked; the caller's to close. */
int taps_fd(struct taps *t, int tap);

/** taps_remove(t, tap): it ends. */
void taps_remove(struct taps *t, int tap);

#endif
