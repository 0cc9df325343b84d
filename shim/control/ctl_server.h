/*
 * The control socket: who may speak, how much, for how long.  What is said is for the handler.
 *
 * Only root (or who runs us) is heard, and members of one group where that is wished (SO_PEERCRED, SO_PEERGROUPS).  Everything is bounded: clients, octets of all requests together, seconds until a
 * request is complete and until a reply is taken, and what a monitor that does not read may pile up.
 */
#ifndef BITS_CTL_SERVER_H
#define BITS_CTL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "wipebuf.h"

#define CTL_SERVER_CLIENTS 64
#define CTL_SERVER_IDLE_MS 10000
#define CTL_SERVER_MONITOR                                                                         \
	(256u << 10) /* octets a monitor may leave unread; then events are lost, and said to be */

/* Opaque types. */
struct ctl_server;
struct event_base;

struct ctl_server_env {
	struct event_base *base;
	int fd;		  /* listening; taken over */
	unsigned idle_ms; /* 0: CTL_SERVER_IDLE_MS */
	bool shared;	  /* members of ${group} are heard, too */
	gid_t group;
	/* One request's ${body} from a peer of ${uid}: writes the reply's body.  true: the peer wants to be told events from now on. */
	bool (*handle)(void *ctx, uid_t uid, const char *body, size_t len, struct wipebuf *reply);
	/* NULL, or: the descriptor that goes with the reply just made (-1: none), closed when it is sent, and in *${tap} what it stands for; */
	int (*take_fd)(void *ctx, int *tap);
	/* whoever got that one is gone. */
	void (*gone)(void *ctx, int tap);
	void *ctx;
};

/** ctl_server_new(env): NULL and errno (env->fd is then still the caller's). */
struct ctl_server *ctl_server_new(const struct ctl_server_env *env);

/** ctl_server_free(s): hangs up on everyone. */
void ctl_server_free(struct ctl_server *s);

/** ctl_server_tell(s, json): one event to each monitor. */
void ctl_server_tell(struct ctl_server *s, const char *json);

/** ctl_server_clients(s): connected now.  Any thread. */
unsigned ctl_server_clients(const struct ctl_server *s);

#endif
