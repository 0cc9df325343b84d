#include <getopt.h>
#include <grp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "options.h"
#include "rundir.h"
#include "workers.h"

enum {
	OPT_RUN_DIR = 256,
	OPT_STATE_DIR,
	OPT_NETNS,
	OPT_CRYPTO,
	OPT_LOWER,
	OPT_WORKERS,
	OPT_NO_OFFLOAD,
	OPT_RESTORE,
	OPT_USER,
	OPT_DISSOLVE,
	OPT_GUARD,
	OPT_DEBUG,
	OPT_GROUP,
	OPT_PMTU_AGE,
	OPT_VERSION
};

static const struct option longs[] = {
    {"interface", required_argument, NULL, 'i'},
    {"file", required_argument, NULL, 'f'},
    {"foreground", no_argument, NULL, 'd'},
    {"verbose", no_argument, NULL, 'v'},
    {"check", no_argument, NULL, 'n'},
    {"socket", required_argument, NULL, 'S'},
    {"help", no_argument, NULL, 'h'},
    {"run-dir", required_argument, NULL, OPT_RUN_DIR},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"nic-netns", required_argument, NULL, OPT_NETNS},
    {"crypto", required_argument, NULL, OPT_CRYPTO},
    {"lower", required_argument, NULL, OPT_LOWER},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"no-offload", no_argument, NULL, OPT_NO_OFFLOAD},
    {"restore", no_argument, NULL, OPT_RESTORE},
    {"user", required_argument, NULL, OPT_USER},
    {"dissolve", no_argument, NULL, OPT_DISSOLVE},
    {"guard-in-place", no_argument, NULL, OPT_GUARD},
    {"debug", required_argument, NULL, OPT_DEBUG},
    {"group", required_argument, NULL, OPT_GROUP},
    {"pmtu-age", required_argument, NULL, OPT_PMTU_AGE},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: bitsd -i NIC [-f FILE] [-d] [-v] [-n] [options]\n"
    "\n"
    "IPsec for a host whose IP stack has none: sits between the stack and NIC.\n"
    "\n"
    "  -i, --interface NIC      the NIC to take over\n"
    "  -f, --file FILE          policy and SAs (default /etc/bits/ipsec.conf; without it nothing "
    "passes)\n"
    "  -d, --foreground         stay in the foreground, log to stderr\n"
    "  -v, --verbose            say more; twice: debug\n"
    "  -n, --check              check file and NIC, change nothing\n"
    "  -S, --socket SOCKET      control socket (default <run dir>/<NIC>.sock)\n"
    "      --run-dir DIR        socket, lock and pid file (default " RUNDIR_DEFAULT ")\n"
    "      --state-dir DIR      what must outlive a restart (default /var/lib/bits)\n"
    "      --nic-netns NAME     namespace the NIC is moved to (default bits-<NIC>)\n"
    "      --crypto WHICH       auto, openssl or ipsec-mb (default auto)\n"
    "      --lower WHICH        auto, packet, ring or xdp: how the NIC is read and written "
    "(default "
    "auto, which is packet)\n"
    "      --workers N          threads that move packets, at most one for each processor (default "
    "1)\n"
    "      --no-offload         one frame, one packet: no super-frames, no checksums left to "
    "others\n"
    "      --restore            give the NIC back at an orderly stop; without it a stop fails "
    "closed\n"
    "      --user NAME          who moves packets and listens to clients (default _bits)\n"
    "      --dissolve           give the NIC of a bitsd that is gone back to the host, and exit\n"
    "      --guard-in-place     do not move the NIC, guard it where it is\n"
    "      --pmtu-age SECONDS   how long a path MTU that a router told is believed (default 600)\n"
    "      --group NAME         members of this group may use the control socket, too (default: "
    "only root)\n"
    "      --debug TOPICS       debug lines of these topics: ctl, nic, shim, all\n"
    "      --version            print the version\n"
    "  -h, --help               this text\n"
    "\n"
    "bitsd(8) tells the rest.  Exit status: 0 done; 1 refused or failed; 2 usage.\n";

static _Noreturn void
usage(const char *what, const char *which)
{
	if (what)
		fprintf(stderr, "bitsd: %s%s\n", what, which ? which : "");
	fprintf(stderr,
	    "usage: bitsd -i NIC [-f FILE] [-d] [-v] [-n] [options]; bitsd --help lists them\n");
	exit(2);
}

static _Noreturn void
refuse(const char *what)
{
	fprintf(stderr, "bitsd: %s\n", what);
	exit(1);
}

/* A group's name, or its number. */
static gid_t
group(const char *name)
{
	struct group *g = getgrnam(name);
	char *end;
	unsigned long n = strtoul(name, &end, 10);

	if (g)
		return g->gr_gid;
	if (strspn(name, "0123456789") == 0 || *end || n == 0 || n >= UINT32_MAX)
		usage("--group: no group of that name: ", name);
	return (gid_t)n;
}

/* More than there are processors would take turns, and their packets with them. */
static unsigned
workers(const char *arg)
{
	unsigned long n = strtoul(arg, NULL, 10), most = WORKERS_MAX;
	cpu_set_t ours;

	if (sched_getaffinity(0, sizeof ours, &ours) == 0 && (unsigned)CPU_COUNT(&ours) < most)
		most = (unsigned)CPU_COUNT(&ours);
	if (n <= most)
		return (unsigned)n;
	fprintf(stderr, "bitsd: --workers %s: there are processors for %lu, so %lu %s\n", arg, most,
	    most, most == 1 ? "it is" : "they are");
	return (unsigned)most;
}

static enum edge_lower
lower(const char *arg)
{
	if (!strcmp(arg, "auto") || !strcmp(arg, "packet"))
		return LOWER_PACKET;
	if (!strcmp(arg, "ring"))
		return LOWER_RING;
	if (!strcmp(arg, "xdp"))
		return LOWER_XDP;
	usage("--lower takes auto, packet, ring or xdp, not ", arg);
}

static void
long_option(struct options *o, int c, const char *arg)
{
	switch (c) {
	case OPT_RUN_DIR:
		o->run_dir = arg;
		break;
	case OPT_STATE_DIR:
		o->state_dir = arg;
		break;
	case OPT_NETNS:
		if (!*arg || strchr(arg, '/') || *arg == '.')
			usage("--nic-netns: not a namespace's name: ", arg);
		o->netns = arg;
		break;
	case OPT_CRYPTO:
		if (strcmp(arg, "auto") && strcmp(arg, "openssl") && strcmp(arg, "ipsec-mb"))
			usage("--crypto takes auto, openssl or ipsec-mb, not ", arg);
		o->crypto = arg;
		break;
	case OPT_LOWER:
		o->lower = lower(arg);
		break;
	case OPT_WORKERS:
		if (strspn(arg, "0123456789") != strlen(arg) || strtoul(arg, NULL, 10) < 1)
			usage("--workers takes a number from 1, not ", arg);
		o->workers = workers(arg);
		break;
	case OPT_NO_OFFLOAD:
		o->no_offload = true;
		break;
	case OPT_RESTORE:
		o->restore = true;
		break;
	case OPT_USER:
		o->user = arg;
		break;
	case OPT_DISSOLVE:
		o->dissolve = true;
		break;
	case OPT_GUARD:
		o->stay = true;
		break;
	case OPT_DEBUG:
		o->debug = arg;
		break;
	case OPT_PMTU_AGE:
		if (strspn(arg, "0123456789") != strlen(arg) || strlen(arg) > 6 || atoi(arg) < 1)
			usage("--pmtu-age takes seconds, 1 to 999999, not ", arg);
		o->pmtu_age = (unsigned)atoi(arg);
		break;
	case OPT_GROUP:
		o->group = group(arg);
		o->shared = true;
		break;
	case OPT_VERSION:
		printf("bitsd %s\n", BITS_VERSION);
		exit(0);
	default:
		usage(NULL, NULL);
	}
}

const char *
options_absolute(const char *path)
{
	char *here, *whole;

	if (!path || *path == '/')
		return path;
	if ((here = getcwd(NULL, 0)) == NULL)
		refuse("the current directory has no name: say whole paths");
	if (asprintf(&whole, "%s/%s", here, path) < 0)
		refuse("out of memory");
	free(here);
	return whole;
}

void
options_parse(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){.file = "/etc/bits/ipsec.conf",
	    .run_dir = RUNDIR_DEFAULT,
	    .state_dir = "/var/lib/bits",
	    .crypto = "auto",
	    .workers = 1};
	while ((c = getopt_long(argc, argv, "i:f:dvnS:h", longs, NULL)) != -1) {
		switch (c) {
		case 'i':
			o->nic = optarg;
			break;
		case 'f':
			o->file = optarg;
			o->file_said = true;
			break;
		case 'd':
			o->foreground = true;
			break;
		case 'v':
			o->verbose++;
			break;
		case 'n':
			o->check = true;
			break;
		case 'S':
			o->socket = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			long_option(o, c, optarg);
		}
	}
	if (optind < argc)
		usage("what is this for: ", argv[optind]);
	if (!o->nic)
		usage("-i NIC is missing", NULL);
	if (!*o->nic || strlen(o->nic) > 15 || strchr(o->nic, '/'))
		usage("not a NIC's name: ", o->nic);
	if (o->lower == LOWER_XDP && o->workers > 1)
		refuse("--lower xdp moves packets with one worker: leave --workers out, or say "
		       "--lower packet or ring");
	o->run_dir = options_absolute(o->run_dir);
	o->state_dir = options_absolute(o->state_dir);
	o->socket = options_absolute(o->socket);
	if (strlen(o->run_dir) > 80)
		usage("--run-dir: too long for a socket's path: ", o->run_dir);
}
