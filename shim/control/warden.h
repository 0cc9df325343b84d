/*
 * The process that keeps the privileges, so that the one that moves packets and listens to clients needs none (privilege separation, as
 * OpenBSD's daemons have it).  It holds the namespaces, takes the NIC and gives it back, follows netlink, opens what the edges need, makes
 * the control socket, reads the operator's file for SIGHUP and writes what it is told to the system's log.  It hears nobody but the other
 * one, over a pair of sockets, and never has a key but in a child that reads the file and ends.
 *
 * It is the child, so that who started bitsd knows, watches and signals the process that does the work.  When that one is gone, however it
 * went, it finishes what it is at, takes socket and pid file away and ends; the lock is held until both have.  When it goes first, the
 * other ends too (ward.h).  Either way the NIC stays closed.
 */
#ifndef BITS_WARDEN_H
#define BITS_WARDEN_H

#include <sys/types.h>
#include "nic.h"
#include "options.h"

struct warden_env {
	const struct options *o;
	const struct nic_opts *nic;
	pid_t ward; /* whom it serves */
	int call, event,
	    said; /* its ends: requests and replies; what happens to the NIC; the log's lines */
};

/** warden_run(env): serves until env->ward is gone, and ends the process. */
_Noreturn void warden_run(const struct warden_env *env);

#endif
