/*
 * The anti-replay window of an inbound SA (RFC 4303 3.4.3 and Appendix A2; RFC 4302 3.4.3).
 * One worker at a time: where there are several, whoever opens packets holds the SA's lock.
 */
#ifndef BITS_REPLAY_H
#define BITS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include "drop.h"

#define REPLAY_MIN     32
#define REPLAY_MAX     4096
#define REPLAY_DEFAULT 64

struct replay {
	uint64_t top;       /* highest number accepted; 0: none yet */
	uint32_t size;      /* packets; 0: no replay protection (the check always says yes) */
	uint32_t words;     /* of the bitmap, a power of two, one more word than size needs */
	bool esn;
	uint64_t *bitmap;   /* bit (seq mod 64*words): seen */
	uint64_t lost;      /* numbers that left the bitmap unseen; with the window off always 0 */
	uint64_t probe_ms;  /* with ESN: when other high halves were last tried */
	uint64_t *kept;     /* where top is written too, for who comes after us; NULL: nowhere */
	uint32_t failed;    /* with ESN: ICVs in a row that were wrong */
};

/* Looking for a lost high half (RFC 4303 A3): after so many wrong ICVs in a row, so seldom, so far ahead. */
#define REPLAY_FAILED   8
#define REPLAY_PROBE_MS 100
#define REPLAY_GUESSES  16

/**
 * replay_init(win, size, esn):
 * ${size} is 0 or REPLAY_MIN..REPLAY_MAX packets.  0, or -1 and errno (EINVAL, ENOMEM).  Allocates.
 */
int replay_init(struct replay *win, uint32_t size, bool esn);
void replay_fini(struct replay *win);

/**
 * replay_infer(win, low):
 * The full 64-bit number of a packet whose header carries ${low} (host order): RFC 4303 A2.2 with ESN, ${low}
 * itself without.  Read-only.  Numbers do not wrap: below 2^32 nothing is taken for the epoch before, and in the last
 * epoch nothing for the one behind.  With the window off the numbers go on as if it were REPLAY_MAX wide, since a
 * receiver with ESN needs the high half all the same (RFC 4303 3.4.3).
 */
uint64_t replay_infer(const struct replay *win, uint32_t low);

/**
 * replay_probe(win, now):
 * Has the high half of the numbers perhaps been lost (a receiver that starts anew, a very long gap), so that the next packet
 * should be tried with replay_guess()?  True at most once in REPLAY_PROBE_MS, which bounds what forged packets cost.
 */
bool replay_probe(struct replay *win, uint64_t now);
/** replay_guess(win, low, k): the number to try as the ${k}-th, 1..REPLAY_GUESSES: as replay_infer() says, but ${k} epochs on.  Always beyond
 * the top, so that nothing is accepted twice. */
uint64_t replay_guess(const struct replay *win, uint32_t low, unsigned k);
/** replay_verified(win, ok): an ICV was right, or wrong. */
static inline void
replay_verified(struct replay *win, bool ok)
{
	win->failed = ok ? 0 : win->failed + (win->failed < REPLAY_FAILED);
}

/**
 * replay_check(win, seq):
 * Would packet number ${seq} (full 64-bit value) be accepted by ${win}?  Read-only: call before the ICV is
 * verified.  Returns DROP_NONE, DROP_REPLAY_OLD or DROP_REPLAY_DUP.  Number 0 is never accepted while the
 * window is on (a sender begins with 1, RFC 4303 3.4.3), and with ESN never more than 2^63 ahead.
 */
enum drop replay_check(const struct replay *win, uint64_t seq);

/**
 * replay_advance(win, seq):
 * Mark ${seq} as received and move the window.  Call after the ICV verified; checks again, since a burst may hold a
 * number twice: returns as replay_check() does, and changes nothing unless DROP_NONE.
 */
enum drop replay_advance(struct replay *win, uint64_t seq);

#endif
