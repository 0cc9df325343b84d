/*
 * How far the windows of SAs that have gone had come, so that one that is made again takes no packet twice: loading a file anew after a hard
 * limit, a flush or a deletion must not open what was captured before to be replayed (RFC 4303 3.4.3).  For as long as this bitsd runs.
 *
 * An SA is the same when it has the same key and SPI: the SPI is under the integrity check, so packets of another one are of no use.
 */
#ifndef BITS_GRAVES_H
#define BITS_GRAVES_H

#include <stdint.h>

/* Opaque types. */
struct graves;
struct sa;

/** graves_new(): none; NULL and ENOMEM.  Control thread. */
struct graves *graves_new(void);
void graves_free(struct graves *g);

/** graves_dig(g, sa): ${sa}, which no worker uses any more, is gone.  0, or -1 and errno: its window is forgotten. */
int graves_dig(struct graves *g, const struct sa *sa);

/** graves_top(g, sa): the highest number that an SA such as ${sa} has taken; 0: none is known. */
uint64_t graves_top(const struct graves *g, const struct sa *sa);

#endif
