/*
 * Outbound sequence numbers (RFC 4303 2.2, 3.3.3).  A number is handed out once, ever: it must lie below what the
 * state directory has durably reserved, so that a restart can go on above it (and a counter-mode IV, which is the
 * number, never repeats).  One worker takes one by one, or several take some at a time; the control thread raises the reservation.
 */
#ifndef BITS_SEQ_H
#define BITS_SEQ_H

#include <stdbool.h>
#include <stdint.h>
#include "drop.h"

#define SEQ_LAST UINT64_C(0xffffffff)
/* One short of RFC 4303's end, so that "numbers below N" can still say that all are used up. */
#define SEQ_LAST_ESN (UINT64_MAX - 1)

struct seq {
	uint64_t next;      /* number the next packet gets; a new SA starts at 1.  Written by the workers (atomic) */
	uint64_t reserved;  /* numbers below it may be used.  Written by the control thread (atomic) */
	uint64_t last;      /* the last number there is: SEQ_LAST or SEQ_LAST_ESN */
	bool low;           /* set once when half of the reservation is used, until seq_reserve() (atomic) */
};

/** seq_init(s, esn): next 1, nothing reserved. */
void seq_init(struct seq *s, bool esn);

/** seq_resume(s, next): go on at ${next}, what the state directory says; never backwards.  Before the SA is published. */
void seq_resume(struct seq *s, uint64_t next);

/** seq_reserve(s, upto): numbers below ${upto} may be used from now on; never fewer than before.  Control thread. */
void seq_reserve(struct seq *s, uint64_t upto);

/**
 * seq_take(s, out):
 * The next number in *${out}.  DROP_NONE, DROP_SEQ_EXHAUSTED (for ever) or DROP_SEQ_UNRESERVED (until the control
 * thread reserves more); never the same number twice.  While one worker alone takes.
 */
enum drop seq_take(struct seq *s, uint64_t *out);

/**
 * seq_grab(s, want, first, end):
 * Up to ${want} numbers in a row for the caller alone: *${first}, .. *${end} - 1, by one atomic operation.  At least one with DROP_NONE; otherwise as
 * seq_take() says.  Any worker.
 */
enum drop seq_grab(struct seq *s, uint64_t want, uint64_t *first, uint64_t *end);

/** seq_return(s, first, end): numbers ${first}, .. ${end} - 1 of a grab, which ended with them, were not used.  They are handed out again, unless
 * another worker has taken some beyond; then nobody ever sends them, and the receiver counts them as lost. */
void seq_return(struct seq *s, uint64_t first, uint64_t end);

/**
 * seq_running_low(s, block):
 * True once when fewer than ${block}/2 numbers of the reservation are left: time to ask for more.  True again only after
 * seq_reserve(); never when all numbers there are have been reserved.  Any worker.
 */
bool seq_running_low(struct seq *s, uint64_t block);

#endif
