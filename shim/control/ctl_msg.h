/*
 * Messages of the control socket: codec only, shared by bitsd and the tools.
 *
 * A message is a header of 12 octets in network order (magic "BITS", version 1, type, 0, length of the body) and a body of UTF-8
 * text.  A request's body: one JSON document, {"verb": "...", ...}.  A reply's body: one JSON document, {"status": 0|1|3, "error": "...",
 * "diags": [...], ...}.  Events of a monitor are messages of their own type.
 */
#ifndef BITS_CTL_MSG_H
#define BITS_CTL_MSG_H

#include <stddef.h>
#include <stdint.h>

#define CTL_HEADER   12
#define CTL_BODY_MAX (256u << 20)  /* 100,000 rules and SAs as text, with room */
#define CTL_VERSION  1

enum ctl_type { CTL_REQUEST = 1, CTL_REPLY = 2, CTL_EVENT = 3 };

struct ctl_header { uint8_t type; uint32_t len; };

/** ctl_header_put(h, buf): 12 octets.  ctl_header_get(buf, h): 0; -1: not our magic, version or type, or too long. */
void ctl_header_put(const struct ctl_header *h, uint8_t buf[static CTL_HEADER]);
int ctl_header_get(const uint8_t buf[static CTL_HEADER], struct ctl_header *h);

#endif
