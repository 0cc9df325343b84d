#include "privs.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "log.h"
#include "sysfilter.h"

/* Each is needed after the start too: a NIC comes back, a TAP is deleted, `ipsecctl detach` and attach. */
static const capng_type_t kept[] = {
    CAP_NET_ADMIN,    /* netlink, TAP, sockets' marks and buffers, the guard's hooks */
    CAP_NET_RAW,      /* AF_PACKET */
    CAP_SYS_ADMIN,    /* to enter, make, name and remove the NIC's network namespace */
    CAP_SYS_CHROOT,   /* setns(2) asks for it too where mounts are concerned */
    CAP_SYS_PTRACE,   /* /proc/1/ns: the mounts that outlive ours */
    CAP_IPC_LOCK,     /* keys loaded later are locked in memory too */
    CAP_DAC_OVERRIDE, /* the operator's file and directories may be another user's */
};
#define NKEPT (sizeof kept / sizeof *kept)

static struct {
	bool dropped, filtered; /* written before there is a worker */
	int calls;
} state;

/* Capabilities of the process: those in kept[] that we have; the bounding set is as small. */
static int
keep_caps(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < NKEPT; i++) {
		/* a container may have taken one: then it is not ours to keep */
		if (prctl(PR_CAPBSET_READ, kept[i], 0, 0, 0) == 1 &&
		    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			kept[i]) < 0)
			return -1;
	}
	/* the bounding set first: giving it up takes CAP_SETPCAP, which a container may not have; no_new_privs covers for it */
	if (capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		log_debug("privs", "the bounding set stays as it is");
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -1 : 0;
}

int
privs_drop(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_warn("no_new_privs");
	if (geteuid() == 0 && keep_caps() < 0) {
		errno = EPERM;
		return -1;
	}
	state.dropped = true;
	if ((state.calls = sysfilter_process()) < 0)
		log_warn("this kernel does not filter system calls");
	else
		state.filtered = true;
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
	if (state.filtered)
		snprintf(buf + n, cap - n, "%s%d system calls", n ? "; " : "", state.calls);
	else
		snprintf(buf + n, cap - n, "%sall system calls", n ? "; " : "");
}

int
privs_worker(void)
{
	if (!state.dropped)
		return 0;
	capng_clear(CAPNG_SELECT_CAPS);
	if (geteuid() == 0 && capng_apply(CAPNG_SELECT_CAPS) < 0) {
		errno = EPERM;
		return -1;
	}
	return state.filtered && sysfilter_worker() < 0 ? -1 : 0;
}
