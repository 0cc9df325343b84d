/*
 * NAT keepalives (RFC 3948 4): one octet 0xff in UDP where an SA was silent for as long as its `keepalive` says.
 */
#ifndef BITS_KEEPALIVE_H
#define BITS_KEEPALIVE_H

/* Opaque types. */
struct event_base;
struct keepalive;
struct nexthop_keeper;
struct shim;

/** keepalive_new(base, s, hops): NULL and ENOMEM.  Borrows all three. */
struct keepalive *keepalive_new(struct event_base *base, struct shim *s, struct nexthop_keeper *hops);
void keepalive_free(struct keepalive *k);

/** keepalive_retarget(k): another generation is in force.  Without an SA that wants keepalives there is no timer. */
void keepalive_retarget(struct keepalive *k);

#endif
