/*
 * Shared by import_xfrm*.c: fields of an entry, which never reach over the end of their line.
 */
#ifndef BITS_IMPORT_XFRM_H
#define BITS_IMPORT_XFRM_H

#include "import_int.h"

bool import_line_end(const struct import *im);
void import_skip_line(struct import *im);
/** import_field(im, max, v): a number, also with what iproute2 puts behind it.  0; -1 reported. */
int import_field(struct import *im, uint64_t max, uint64_t *v);
int import_address(struct import *im, struct ipaddr *a);
/** import_limit(im, v): "1000(bytes),": the number, and the letter its unit begins with; NUL: no limit. */
char import_limit(struct import *im, uint64_t *v);
/**
 * import_selector(im, s, narrow):
 * "src A/n dst B/n [proto P ...] [dev D] [uid N]" up to the end of the line; src becomes local.  *${narrow}: what of it no rule can say,
 * so that the rest matches too much; NULL: nothing.  0; -1 reported.
 */
int import_selector(struct import *im, struct selector *s, const char **narrow);

/** import_xfrm_state(im), import_xfrm_policy(im): an entry, from its first word on. */
void import_xfrm_state(struct import *im);
void import_xfrm_policy(struct import *im);

#endif
