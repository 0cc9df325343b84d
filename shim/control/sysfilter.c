#include "sysfilter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "sanitized.h"

/* A list of names ends with NULL; a name that this architecture or libseccomp does not know is no rule. */

/* Packets in and out, waiting, the clock, random octets; memory and the end of a thread, which the C library sees to. */
static const char *const moving[] = {"read", "readv", "recvfrom", "recvmsg", "recvmmsg",
    "recvmmsg_time64",					/* packets in */
    "write", "writev", "sendto", "sendmsg", "sendmmsg", /* and out */
    "getsockname", "getsockopt",			/* is the NIC still there? */
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "ppoll_time64", "futex",
    "futex_time64", "sched_yield", "clock_gettime", "clock_gettime64", "gettimeofday", "time",
    "getrandom", "getcpu", "sched_getaffinity", "nanosleep", "clock_nanosleep",
    "clock_nanosleep_time64", "restart_syscall", "brk", "munmap", "mremap", "madvise", "membarrier",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "set_robust_list", "rseq",
    "getpid", "gettid", "tgkill", "exit", "exit_group", NULL};

/* What the control thread does besides: clients, the records below a directory that it has open, netlink, timers, the warden's end. */
static const char *const controlling[] = {"openat", "close", "close_range", "lseek", "_llseek",
    "pread64", "pwrite64", "ftruncate", "ftruncate64", "fsync", "fdatasync", "flock", "fcntl",
    "fcntl64", "fallocate", "fstat", "fstat64", "newfstatat", "fstatat64", "statx", "memfd_create",
    "renameat", "renameat2", "unlinkat", "bind", "accept", "accept4", "shutdown", "setsockopt",
    "getpeername", "socketpair", "ioctl", "epoll_create", "epoll_create1", "epoll_ctl", "eventfd2",
    "pipe2", "dup", "dup2", "dup3", "select", "_newselect", "pselect6", "timerfd_create",
    "timerfd_settime", "signalfd4", "mlock", "mlock2", "msync", "munlock", "sched_setaffinity",
    "sched_getparam", "sched_getscheduler", "set_tid_address", "getuid", "geteuid", "getgid",
    "getegid", "wait4", "waitid", "uname", "sysinfo", "getrlimit", "ugetrlimit", "getrusage",
    "times", "capget", "seccomp", /* what a worker gives up */
    NULL};

/* What the warden does: the NIC, its namespace, the TAP, the files it reads and keeps, the control socket's place. */
static const char *const keeping[] = {"open", "openat", "close", "close_range", "lseek", "_llseek",
    "pread64", "pwrite64", "preadv", "pwritev", "ftruncate", "ftruncate64", "fsync", "fdatasync",
    "flock", "fcntl", "fcntl64", "fadvise64", "fallocate", "stat", "stat64", "lstat", "lstat64",
    "fstat", "fstat64", "newfstatat", "fstatat64", "statx", "statfs", "statfs64", "fstatfs",
    "fstatfs64", "memfd_create", "access", "faccessat", "faccessat2", "getdents", "getdents64",
    "readlink", "readlinkat", "getcwd", "chdir", "fchdir", "mkdir", "mkdirat", "rename", "renameat",
    "renameat2", "unlink", "unlinkat", "rmdir", "fchmod", "fchmodat", "chmod", "umask", "bind",
    "listen", "accept", "accept4", "connect", "shutdown", "setsockopt", "getpeername", "socketpair",
    "ioctl", "epoll_create", "epoll_create1", "epoll_ctl", "eventfd2", "pipe", "pipe2", "dup",
    "dup2", "dup3", "select", "_newselect", "pselect6", "timerfd_create", "timerfd_settime",
    "signalfd4", "inotify_init1", "inotify_add_watch", "mlock", "mlock2", "msync", "munlock",
    "sched_setaffinity", "sched_getparam", "sched_getscheduler", "set_tid_address", "getuid",
    "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getppid", "getpgrp",
    "setsid", "kill", "wait4", "waitid", "fork", "vfork", "uname", "sysinfo", "getrlimit",
    "ugetrlimit", "getrusage", "times", "mount", "umount",
    "umount2", /* the names of network namespaces: netns.c */
    "capget", NULL};

static const char *const sanitizer[] = {
#if SANITIZED
    "open", "openat", "close", "readlink", "readlinkat", "stat", "fstat", "newfstatat", "lseek",
    "pipe", "pipe2", "fork", "dup2", "wait4", "ptrace", "process_vm_readv", "mmap", "mprotect",
    "prctl", "getrlimit", "prlimit64", "sched_setscheduler", "ioctl", "getppid", "getuid", "uname",
    "personality", "arch_prctl",
#endif
    NULL};

/* Nothing of ours, nor of a library's: whoever calls these is not us any more. */
static const char *const hostile[] = {"execve", "execveat",
#if !SANITIZED
    "ptrace", "process_vm_readv",
#endif
    "process_vm_writev", "perf_event_open", "userfaultfd", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "io_uring_setup", "add_key", "keyctl",
    "request_key", "pivot_root", "chroot", "open_by_handle_at", "swapon", "swapoff", "reboot",
    "acct", "iopl", "ioperm", "modify_ldt", "setuid", "setgid", "setresuid", "setresgid", NULL};

/* The process without privileges leaves its namespaces, its user and itself to nobody. */
static const char *const hostile_in_ward[] = {"bpf", "setns", "unshare", "mount", "umount2",
    "capset",
#if !SANITIZED
    "fork", "kill",
#endif
    "vfork", "link", "linkat", "symlink", "symlinkat", "chown", "lchown", "fchown", "fchownat",
    "chmod", "fchmod", "fchmodat", NULL};

/* The warden loads no program when it runs; with AF_XDP it hangs up the one that it has, and says which socket is its. */
static const char *const hostile_in_warden[] = {"bpf", NULL};

/* A worker opens and makes nothing. */
static const char *const hostile_in_worker[] = {
#if !SANITIZED
    "open", "openat", "fork", "clone", "kill", "ioctl",
#endif
    "bpf", "openat2", "vfork", "clone3", "socket", "socketpair", "connect", "bind", "listen",
    "accept", "accept4", "setns", "unshare", "mount", "umount2", "unlink", "unlinkat", "rename",
    "renameat", "renameat2", "mkdir", "mkdirat", "chmod", "fchmod", "fchmodat", "link", "linkat",
    "symlink", "symlinkat", "capset", NULL};

/* One list into ${f}.  Number of rules, or -1 and errno. */
static int
add(scmp_filter_ctx f, uint32_t action, const char *const *names)
{
	int n = 0, nr, rc;

	for (; *names; names++) {
		if ((nr = seccomp_syscall_resolve_name(*names)) < 0)
			continue;
		if ((rc = seccomp_rule_add(f, action, nr, 0)) < 0 && rc != -EEXIST) {
			errno = -rc;
			return -1;
		}
		n++;
	}
	return n;
}

/* ${call} passes when its argument number ${arg}, of which ${mask} counts, is ${value}. */
static int
add_when(scmp_filter_ctx f, int call, unsigned arg, uint64_t mask, uint64_t value)
{
	int rc = seccomp_rule_add(
	    f, SCMP_ACT_ALLOW, call, 1, SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value));

	if (rc < 0)
		errno = -rc;
	return rc < 0 ? -1 : 0;
}

/* New memory is not both written and run; what was written does not become code. */
static int
add_memory(scmp_filter_ctx f, bool code)
{
	const uint64_t wx = PROT_WRITE | PROT_EXEC;
	const int map[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2)};

	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (add_when(f, map[i], 2, PROT_EXEC, 0) < 0 ||
		    (code && add_when(f, map[i], 2, wx, PROT_EXEC) < 0))
			return -1;
	return add_when(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
}

/* prctl() that passes in both. */
static int
add_prctl(scmp_filter_ctx f)
{
	static const int process[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS,
	    PR_GET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_CAP_AMBIENT,
	    PR_GET_SECUREBITS, PR_GET_DUMPABLE};
	int rc;

	for (size_t i = 0; i < sizeof process / sizeof *process; i++)
		if (add_when(f, SCMP_SYS(prctl), 0, UINT32_MAX, (unsigned)process[i]) < 0)
			return -1;
	/* limits are read, not set */
	if ((rc = seccomp_rule_add(
		 f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2_64(SCMP_CMP_EQ, 0))) < 0) {
		errno = -rc;
		return -1;
	}
	return 0;
}

/* The warden's calls whose first words say whether they are ours. */
static int
add_warden(scmp_filter_ctx f)
{
	static const int family[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET};
	static const int space[] = {CLONE_NEWNET, CLONE_NEWNS, CLONE_FS};
	const uint64_t spaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWPID |
				CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	const uint64_t word = UINT32_MAX;

	for (size_t i = 0; i < sizeof family / sizeof *family; i++)
		if (add_when(f, SCMP_SYS(socket), 0, word, (unsigned)family[i]) < 0)
			return -1;
	for (size_t i = 0; i < sizeof space / sizeof *space; i++)
		if (add_when(f, SCMP_SYS(unshare), 0, word, (unsigned)space[i]) < 0 ||
		    add_when(f, SCMP_SYS(setns), 1, word, (unsigned)space[i]) < 0)
			return -1;
	/* threads and children, in the namespaces we are in; clone3's arguments cannot be seen, the C library then takes clone */
	if (add_when(f, SCMP_SYS(clone), 0, spaces, 0) < 0)
		return -1;
	return add_prctl(f);
}

static bool xdp; /* the warden's, before it filters itself */

static int
add_warden_xdp(scmp_filter_ctx f)
{
	static const int command[] = {BPF_MAP_UPDATE_ELEM, BPF_LINK_CREATE};

	for (size_t i = 0; i < sizeof command / sizeof *command; i++)
		if (add_when(f, SCMP_SYS(bpf), 0, UINT32_MAX, (unsigned)command[i]) < 0)
			return -1;
	if (add_when(f, SCMP_SYS(socket), 0, UINT32_MAX, AF_XDP) < 0)
		return -1;
	return add_warden(f);
}

/* The other one's: of the host's tables it asks for addresses, and it makes threads, no child. */
static int
add_ward(scmp_filter_ctx f)
{
	if (add_when(f, SCMP_SYS(socket), 0, UINT32_MAX, AF_NETLINK) < 0 ||
	    add_when(f, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD) < 0 ||
	    (SANITIZED && add_when(f, SCMP_SYS(clone), 0, CLONE_NEWUSER, 0) < 0))
		return -1;
	return add_prctl(f);
}

/* Puts ${f} into force for this thread, or for all, and frees it.  0, or -1 and errno. */
static int
load(scmp_filter_ctx f, bool all_threads)
{
	int rc = 0;

	/* a foreign ABI (32 bits on a 64-bit kernel) has numbers of its own, which mean other calls */
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, all_threads);
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 1);
#ifdef SCMP_FLTATR_CTL_OPTIMIZE
	if (rc == 0) /* a tree, not a list: it is walked for every call */
		(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
#endif
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	if (rc < 0)
		errno = -rc;
	return rc < 0 ? -1 : 0;
}

/* The list of a process: ${mine} besides what moves packets; ${killed} besides what is hostile in both, NULL: nothing.  As sysfilter.h. */
static int
process(const char *const *mine, int (*arguments)(scmp_filter_ctx f), const char *const *killed)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int n, m;

	if (!f) {
		errno = ENOMEM;
		return -1;
	}
	if (add(f, SCMP_ACT_ALLOW, sanitizer) < 0 || (!SANITIZED && add_memory(f, true) < 0))
		goto err;
	if ((n = add(f, SCMP_ACT_ALLOW, moving)) < 0 || (m = add(f, SCMP_ACT_ALLOW, mine)) < 0 ||
	    arguments(f) < 0 || add(f, SCMP_ACT_KILL_PROCESS, hostile) < 0 ||
	    (killed && add(f, SCMP_ACT_KILL_PROCESS, killed) < 0))
		goto err;
	return load(f, true) < 0 ? -1 : n + m;
err:
	seccomp_release(f);
	return -1;
}

void
sysfilter_xdp(void)
{
	xdp = true;
}

int
sysfilter_warden(void)
{
	if (xdp)
		return process(keeping, add_warden_xdp, NULL);
	return process(keeping, add_warden, hostile_in_warden);
}

int
sysfilter_ward(void)
{
	return process(controlling, add_ward, hostile_in_ward);
}

int
sysfilter_worker(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int n;

	if (!f) {
		errno = ENOMEM;
		return -1;
	}
	if (add(f, SCMP_ACT_ALLOW, sanitizer) < 0 || (!SANITIZED && add_memory(f, false) < 0))
		goto err;
	if ((n = add(f, SCMP_ACT_ALLOW, moving)) < 0 ||
	    add(f, SCMP_ACT_KILL_PROCESS, hostile) < 0 ||
	    add(f, SCMP_ACT_KILL_PROCESS, hostile_in_worker) < 0)
		goto err;
	return load(f, false) < 0 ? -1 : n;
err:
	seccomp_release(f);
	return -1;
}
