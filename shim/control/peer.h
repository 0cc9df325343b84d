/*
 * Peers behind NAT that move: the outbound SA follows what its inbound twin has verified (RFC 3948; RFC 7296 2.23's rule).
 */
#ifndef BITS_PEER_H
#define BITS_PEER_H

#include <stdbool.h>

/* Opaque types. */
struct event;
struct shim;

/**
 * peer_moved(s, ev):
 * ${ev} is an EV_PEER: every SA with `follow` that sends back to that peer goes to its new address and port.  Transport mode follows the port
 * only: its packets are addressed by the host.  True when an SA moved.  Control thread.
 */
bool peer_moved(struct shim *s, const struct event *ev);

/**
 * peer_inherit(s):
 * A new generation is in force: its SAs with `follow` that send back to a peer that has moved before go to where it was heard.  Control thread.
 */
void peer_inherit(struct shim *s);

#endif
