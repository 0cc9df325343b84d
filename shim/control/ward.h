/*
 * The other side of warden.h: what the process without privileges asks for.  Each call waits for its answer.  Once the warden is gone, they
 * fail with EPIPE, and ward_event() says so.  Control thread.
 */
#ifndef BITS_WARD_H
#define BITS_WARD_H

#include <stdbool.h>
#include <stdint.h>
#include "edge.h"
#include "nic.h"
#include "options.h"

/* Opaque types. */
struct ward;

/** ward_start(o, nic, not_its): makes the warden, which closes ${not_its} (-1: nothing).  NULL and errno. */
struct ward *ward_start(const struct options *o, const struct nic_opts *nic, int not_its);

/** ward_end(w): waits for the warden, which takes socket and pid file away, to end.  NULL is fine. */
void ward_end(struct ward *w);

/** ward_check(w, why, cap): nic_check(). */
int ward_check(struct ward *w, char *why, size_t cap);
/** ward_lock(w, why, cap): rundir_open(); the lock goes with this process too. */
int ward_lock(struct ward *w, char *why, size_t cap);
/** ward_listen(w, why, cap): the control socket: a descriptor; -1 and ${why}; -2: the one there was is still where it was. */
int ward_listen(struct ward *w, char *why, size_t cap);
/** ward_pid(w): writes the pid file.  0, or -1 and errno. */
int ward_pid(struct ward *w);
/** ward_background(w): the warden's log goes where a daemon's goes, and so does this process's, by way of the warden. */
int ward_background(struct ward *w);

/** ward_take(w, hold, info, why, cap): nic_take(). */
int ward_take(struct ward *w, bool hold, struct nic_info *info, char *why, size_t cap);
/** ward_give_back(w, why, cap): nic_give_back(). */
int ward_give_back(struct ward *w, char *why, size_t cap);
/** ward_forget(w): nic_free(). */
void ward_forget(struct ward *w);
/** ward_resolve(w, dst, mac): neigh_resolve(). */
int ward_resolve(struct ward *w, const struct ipaddr *dst, uint8_t mac[static 6]);
/** ward_open(w, what): for a struct edge_opener; ${w} is the struct ward. */
int ward_open(void *w, enum edge_fd what);
/** ward_read(w): a pipe from which reread_read() has the operator's file; -1 and errno. */
int ward_read(struct ward *w);

/** ward_event_fd(w): readable when something happened, or the warden is gone. */
int ward_event_fd(const struct ward *w);
/** ward_event(w, info): bits of what happened to the NIC since it was last taken, and how it is now; 0: nothing (any more); -1: the
 * warden is gone. */
int64_t ward_event(struct ward *w, struct nic_info *info);

#endif
