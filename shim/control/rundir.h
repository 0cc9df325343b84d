/*
 * The run directory: who may serve a NIC (lock and pid file), and where the control socket lies.
 *
 * The directory is 0700 before anything is made in it, the socket is made under umask 077, so that there is no moment in which
 * somebody else could connect.  Whatever lies at the socket's path and is not a socket of ours is refused, not removed.
 */
#ifndef BITS_RUNDIR_H
#define BITS_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RUNDIR_DEFAULT "/run/bits"

/* Opaque types. */
struct rundir;

/**
 * rundir_open(dir, nic, serves, why, cap):
 * For the process ${serves}: makes ${dir} where it is missing and takes <dir>/<nic>.lock.  NULL: ${why} is a sentence ("eth0 is taken by bitsd (pid 17)", or what is
 * wrong with the directory).  The lock is held until rundir_close() and until whoever has a copy of
 * rundir_lock() has closed that; the lock of a bitsd that is dead is waited for.
 */
struct rundir *rundir_open(const char *dir, const char *nic, pid_t serves, char *why, size_t cap);
int rundir_lock(const struct rundir *r);

/** rundir_pid(r): writes the pid of who is served to <dir>/<nic>.pid.  0, or -1 and errno. */
int rundir_pid(struct rundir *r);

/** rundir_empty(dir, why, cap): <dir>/empty, in which there is nothing and nobody but root can make anything; descriptor, or -1 and
 * ${why}. */
int rundir_empty(const char *dir, char *why, size_t cap);

/** rundir_listen(r, path, why, cap): the control socket, listening, non-blocking; ${path} NULL: <dir>/<nic>.sock.  Descriptor, or -1 and
 * ${why}. */
int rundir_listen(struct rundir *r, const char *path, char *why, size_t cap);

/** rundir_heard(r): is there still something where the control socket was made? */
bool rundir_heard(const struct rundir *r);

/** rundir_share(r, group, why, cap): lets members of ${group} connect to the socket that is listened at: it becomes 0660, and the
 * directory lets them through and hands its group down (02710), no more.  0, or -1 and ${why}. */
int rundir_share(struct rundir *r, gid_t group, char *why, size_t cap);

/** rundir_close(r): removes socket and pid file, gives the lock up.  NULL is fine. */
void rundir_close(struct rundir *r);

/** rundir_dir(path, why, cap): ${path} as a directory only root (or who runs us) can enter, made with its parents where missing;
 * descriptor, or -1 and ${why}.  Also for the state directory. */
int rundir_dir(const char *path, char *why, size_t cap);

#endif
