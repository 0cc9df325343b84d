/*
 * How many threads move packets: what is kept once for each of them is made in that number.
 */
#ifndef BITS_WORKERS_H
#define BITS_WORKERS_H

#define WORKERS_MAX 64

/** workers_set(n): 1..WORKERS_MAX; before the first SA and the first rule are made.  Without it there is one. */
void workers_set(unsigned n);

unsigned workers_number(void);

#endif
