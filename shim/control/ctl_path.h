/*
 * What an SA's path takes and what its protection adds, as JSON.
 */
#ifndef BITS_CTL_PATH_H
#define BITS_CTL_PATH_H

#include <jansson.h>
#include <stdint.h>

/* Opaque types. */
struct sa;

/** ctl_parts(sa, inner, clear): what becomes of an IP packet of ${inner} octets of which transport mode leaves ${clear} as they are: clear,
 * payload, outer, udp, header, iv, padding, trailer, icv, in octets. */
json_t *ctl_parts(const struct sa *sa, uint32_t inner, uint32_t clear);

/** ctl_path(sa, nic, now): mtu and nic in octets, left_ms (null: nobody told a lower one), largest (octets of the largest packet that fits;
 * transport mode: without options) and its parts.  null: ${nic}, the NIC's MTU, is not known. */
json_t *ctl_path(const struct sa *sa, uint32_t nic, uint64_t now);

#endif
