/*
 * Which system calls bitsd's two processes and its workers may make (seccomp(2), by libseccomp).
 *
 * What is listed passes.  What only an attacker's code would call ends the process (SIGSYS), and the NIC stays closed.  The rest fails with
 * ENOSYS, as in a kernel that is too old for it: the C library knows what to do instead, so that its next version does not take a
 * host off the network.
 */
#ifndef BITS_SYSFILTER_H
#define BITS_SYSFILTER_H

/** sysfilter_warden(), sysfilter_ward(): the list of the process that keeps privileges, and of the one that does not; for all its threads
 * and children, for good.  Needs no_new_privs or CAP_SYS_ADMIN.  Number of calls that pass, or -1 and errno. */
int sysfilter_warden(void);
int sysfilter_ward(void);

/** sysfilter_xdp(): before sysfilter_warden(): it is to open AF_XDP sockets, too (xdpprog.h). */
void sysfilter_xdp(void);

/** sysfilter_worker(): the calling thread keeps what moving packets takes: descriptors it has are read, written and waited for; nothing is
 * opened, made or configured.  Number of calls that pass, or -1 and errno. */
int sysfilter_worker(void);

#endif
