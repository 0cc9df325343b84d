#include "privs.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "sanitized.h"
#include "sysfilter.h"

/* Each is needed after the start too: a NIC comes back, a TAP is deleted, `ipsecctl detach` and attach. */
static const capng_type_t kept[] = {
    CAP_NET_ADMIN,    /* netlink, TAP, sockets' marks and buffers, the guard's hooks */
    CAP_NET_RAW,      /* AF_PACKET */
    CAP_SYS_ADMIN,    /* to enter, make, name and remove the NIC's network namespace */
    CAP_SYS_CHROOT,   /* setns(2) asks for it too where mounts are concerned */
    CAP_SYS_PTRACE,   /* /proc/1/ns: the mounts that outlive ours */
    CAP_IPC_LOCK,     /* keys of a file that is read again are locked in memory too */
    CAP_DAC_OVERRIDE, /* the operator's file and directories may be another user's */
};
#define NKEPT (sizeof kept / sizeof *kept)

static struct {
	bool dropped, filtered; /* written before there is a worker */
	int calls;
} state;

#if SANITIZED
/* There is no /proc in an empty root, so no search for leaks at the end (lsan_interface.h). */
int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return state.dropped;
}
#endif

/* Capabilities of the process: the first ${n} of kept[] that we have; the bounding set is as small. */
static int
keep_caps(size_t n)
{
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < n; i++) {
		/* a container may have taken one: then it is not ours to keep */
		if (prctl(PR_CAPBSET_READ, kept[i], 0, 0, 0) == 1 &&
		    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			kept[i]) < 0)
			return -1;
	}
	/* the bounding set first: giving it up takes CAP_SETPCAP, which a container may not have; no_new_privs covers for it */
	if (capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		log_debug("privs", "the bounding set stays as it is");
	return n && capng_apply(CAPNG_SELECT_CAPS) < 0 ? -1 : 0;
}

/* ${calls}: what the filter lets through. */
static void
filtered(int calls)
{
	state.calls = calls;
	state.filtered = calls >= 0;
	if (calls < 0)
		log_warn("this kernel does not filter system calls");
}

int
privs_warden(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_warn("no_new_privs");
	if (geteuid() == 0 && keep_caps(NKEPT) < 0) {
		errno = EPERM;
		return -1;
	}
	filtered(sysfilter_warden());
	return 0;
}

/* Nothing but an empty directory. */
static int
leave_files(int root)
{
	tzset(); /* its file is not there any more */
	if (root < 0)
		return 0;
	if (fchdir(root) < 0 || chroot(".") < 0)
		return -1;
	return close(root);
}

/* As ${u}.  A namespace of users may have no number for it: then it is root, of nothing, and without a capability. */
static int
become(const struct lowuser *u)
{
	bool alone = setgroups(0, NULL) == 0;

	if (setresgid(u->gid, u->gid, u->gid) == 0 && setresuid(u->uid, u->uid, u->uid) == 0)
		return alone ? 0 : -1;
	if (errno != EINVAL)
		return -1;
	log_warnx("this user namespace has no user %s: it stays %u", u->name, (unsigned)geteuid());
	return 0;
}

int
privs_drop(const struct lowuser *u, int root)
{
	/* keys that are loaded later are locked in memory all the same */
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_warn("no_new_privs");
	if (geteuid() == 0) {
		if (setrlimit(RLIMIT_MEMLOCK, &all) < 0)
			log_debug("privs", "the limit of locked memory stays as it is");
		if (keep_caps(0) < 0 || leave_files(root) < 0 || become(u) < 0)
			return -1;
		capng_clear(CAPNG_SELECT_CAPS);
		if (capng_apply(CAPNG_SELECT_CAPS) < 0) {
			errno = EPERM;
			return -1;
		}
		prctl(PR_SET_DUMPABLE, 0); /* a change of users may have set it */
	}
	state.dropped = true;
	filtered(sysfilter_ward());
	return 0;
}

void
privs_kept(char *buf, size_t cap)
{
	size_t n = 0;

	if (cap == 0)
		return;
	buf[0] = '\0';
	capng_get_caps_process();
	for (size_t i = 0; i < NKEPT; i++) {
		char name[32];
		const char *s = capng_capability_to_name(kept[i]);

		if (!s || !capng_have_capability(CAPNG_EFFECTIVE, kept[i]))
			continue;
		snprintf(name, sizeof name, "%s", s);
		for (char *c = name; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		n += (size_t)snprintf(
		    buf + n, n < cap ? cap - n : 0, "%sCAP_%s", n ? ", " : "", name);
		if (n >= cap)
			return;
	}
	if (n == 0)
		n = (size_t)snprintf(buf, cap, "no capability");
	if (n >= cap)
		return;
	if (state.filtered)
		snprintf(buf + n, cap - n, "; %d system calls", state.calls);
	else
		snprintf(buf + n, cap - n, "; all system calls");
}

int
privs_worker(void)
{
	if (!state.dropped)
		return 0;
	return state.filtered && sysfilter_worker() < 0 ? -1 : 0;
}
