/*
 * A frame as a list of fields with the names tshark gives them, to say in which two frames differ.  What is ESP stays closed.
 */
#ifndef BITS_REPLAY_FIELDS_H
#define BITS_REPLAY_FIELDS_H

#include <stdint.h>
#include <stdio.h>
#include "pkt.h"

#define FIELDS_MAX 96

enum field_kind { FIELD_DEC, FIELD_HEX, FIELD_MAC, FIELD_IP4, FIELD_IP6, FIELD_OCTETS };

struct field {
	const char *name; /* "ip.ttl" */
	uint8_t kind;     /* enum field_kind */
	uint8_t bits;     /* of a number: at most 32 */
	uint32_t value;   /* of a number */
	const uint8_t *at; /* of the others, within the frame */
	uint32_t len;
};

/** fields_of(p, f): all fields of ${p}'s frame, in order and without a gap, into ${f}; their number. */
unsigned fields_of(const struct pkt *p, struct field f[static FIELDS_MAX]);

/** fields_differ(a, na, b, nb, out): a line into ${out} for each field in which ${a} ("is") and ${b} ("not") differ.  Number of lines. */
unsigned fields_differ(const struct field *a, unsigned na, const struct field *b, unsigned nb, FILE *out);

#endif
