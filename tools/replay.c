#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "conf.h"
#include "crypto.h"
#include "export_keys.h"
#include "log.h"
#include "replay_tool.h"

#define MTU_MIN 576 /* below it a protected packet has no room (RFC 791's own least) */
#define MTU_MAX 65535

static const char usage_text[] =
    "usage: ipsecreplay -f ipsec.conf [--from-host A.pcap --to-wire B.pcap] [--from-wire C.pcap "
    "--to-host D.pcap]\n"
    "                   [--mtu N] [--seed N] [--json] [-v] [-k SA-FILE] [--annotate E.pcapng]\n"
    "                   [--expect GOLDEN.pcap] [--explain N] [--stats] [--svg F.svg]\n";

static const char help_text[] =
    "\n"
    "Runs captured packets through the data path of bitsd.\n"
    "\n"
    "  -f FILE           policy and SAs (\"-\": standard input)\n"
    "  --from-host FILE  packets the host sends\n"
    "  --to-wire FILE    what becomes of them\n"
    "  --from-wire FILE  packets that come off the wire\n"
    "  --to-host FILE    what the host gets\n"
    "  --mtu N           of the wire (default 1500)\n"
    "  --seed N          random octets from N: the same bytes every time\n"
    "  --json            counters as one JSON document\n"
    "  --annotate FILE   both sides as one pcapng, each packet with its verdict as comment\n"
    "  --expect FILE     compare what comes out; shows how the first packet that differs does\n"
    "  --explain [out:|in:]N\n"
    "                    what the walk does with packet N, step by step\n"
    "  --stats           counters as a table\n"
    "  --svg FILE        a picture of what became of the packets, over time\n"
    "  -v                what was decided, packet by packet\n"
    "  -k FILE           write the SAs with their keys as Wireshark's esp_sa table (mode 0600)\n"
    "  -h, --help        this\n"
    "  -V, --version     version\n";

enum {
	OPT_FROM_HOST = 256,
	OPT_TO_WIRE,
	OPT_FROM_WIRE,
	OPT_TO_HOST,
	OPT_MTU,
	OPT_SEED,
	OPT_JSON,
	OPT_ANNOTATE,
	OPT_EXPECT,
	OPT_EXPLAIN,
	OPT_STATS,
	OPT_SVG
};

static const struct option options[] = {
    {"from-host", required_argument, NULL, OPT_FROM_HOST},
    {"to-wire", required_argument, NULL, OPT_TO_WIRE},
    {"from-wire", required_argument, NULL, OPT_FROM_WIRE},
    {"to-host", required_argument, NULL, OPT_TO_HOST},
    {"mtu", required_argument, NULL, OPT_MTU},
    {"seed", required_argument, NULL, OPT_SEED},
    {"json", no_argument, NULL, OPT_JSON},
    {"annotate", required_argument, NULL, OPT_ANNOTATE},
    {"expect", required_argument, NULL, OPT_EXPECT},
    {"explain", required_argument, NULL, OPT_EXPLAIN},
    {"stats", no_argument, NULL, OPT_STATS},
    {"svg", required_argument, NULL, OPT_SVG},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static _Noreturn void
usage(const char *what, const char *which)
{
	if (what != NULL)
		fprintf(
		    stderr, "ipsecreplay: %s%s%s\n", what, which ? " " : "", which ? which : "");
	fputs(usage_text, stderr);
	exit(2);
}

static _Noreturn void
print(const char *a, const char *b)
{
	fputs(a, stdout);
	fputs(b, stdout);
	exit(fflush(stdout) == 0 ? 0 : 1);
}

/* A decimal number of ${lo}..${hi}. */
static uint64_t
number(const char *option, const char *text, uint64_t lo, uint64_t hi)
{
	char *end, what[80];
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || v < lo || v > hi) {
		snprintf(what, sizeof what, "%s takes a number of %llu to %llu, not", option,
		    (unsigned long long)lo, (unsigned long long)hi);
		usage(what, text);
	}
	return v;
}

/* "N", "out:N" or "in:N". */
static void
parse_explain(const char *text, struct replay_opts *o)
{
	o->explain_dir = -1;
	if (strncmp(text, "out:", 4) == 0)
		o->explain_dir = DIR_OUT;
	else if (strncmp(text, "in:", 3) == 0)
		o->explain_dir = DIR_IN;
	o->explain = number("--explain",
	    text + (o->explain_dir == DIR_OUT	  ? 4
		       : o->explain_dir == DIR_IN ? 3
						  : 0),
	    1, UINT64_MAX);
}

static void
parse(int argc, char **argv, struct replay_opts *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "f:k:vhV", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->conf = optarg;
			break;
		case 'k':
			o->keys = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case OPT_FROM_HOST:
			o->from_host = optarg;
			break;
		case OPT_TO_WIRE:
			o->to_wire = optarg;
			break;
		case OPT_FROM_WIRE:
			o->from_wire = optarg;
			break;
		case OPT_TO_HOST:
			o->to_host = optarg;
			break;
		case OPT_MTU:
			o->mtu = (uint32_t)number("--mtu", optarg, MTU_MIN, MTU_MAX);
			break;
		case OPT_SEED:
			o->seed = number("--seed", optarg, 0, UINT64_MAX);
			o->seeded = true;
			break;
		case OPT_ANNOTATE:
			o->annotate = optarg;
			break;
		case OPT_EXPECT:
			o->expect = optarg;
			break;
		case OPT_EXPLAIN:
			parse_explain(optarg, o);
			break;
		case OPT_STATS:
			o->stats = true;
			break;
		case OPT_SVG:
			o->svg = optarg;
			break;
		case OPT_JSON:
			o->json = true;
			break;
		case 'h':
			print(usage_text, help_text);
		case 'V':
			print("ipsecreplay " BITS_VERSION, "\n");
		default:
			usage(NULL, NULL); /* getopt has said what */
		}
	}
	if (optind < argc)
		usage("what is this:", argv[optind]);
	if (o->conf == NULL)
		usage("-f ipsec.conf is missing", NULL);
	if (o->from_host == NULL && o->from_wire == NULL && o->keys == NULL)
		usage("nothing to do: give --from-host, --from-wire or -k", NULL);
	if (o->expect != NULL && (o->from_host == NULL) == (o->from_wire == NULL))
		usage("--expect goes with one input: what becomes of it is compared", NULL);
	if (o->json && (o->explain != 0 || o->stats))
		usage("--json goes neither with --explain nor with --stats", NULL);
}

static bool
same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	if (a == NULL || b == NULL)
		return false;
	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && S_ISREG(sa.st_mode) &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Opening an output empties it: better not one that is read, or written by the other side. */
static void
check_files(const struct replay_opts *o)
{
	const char *out[] = {o->to_wire, o->to_host, o->keys, o->annotate, o->svg};
	const char *in[] = {o->from_host, o->from_wire, o->conf, o->expect};

	for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
		for (size_t k = 0; k < sizeof in / sizeof *in; k++)
			if (same_file(out[i], in[k]))
				usage("would be read and written:", out[i]);
		for (size_t k = 0; k < i; k++)
			if (same_file(out[i], out[k]))
				usage("would be written twice:", out[i]);
	}
}

static int
load(const struct replay_opts *o, struct conf *c)
{
	/* nothing is sent with these keys, and nothing is looked up: a run depends on its files alone */
	struct conf_opts how = {.any_owner = true};
	struct diags ds = {0};
	int status;

	conf_init(c);
	status = conf_load(o->conf, &how, c, &ds);
	diags_print(&ds, stderr);
	diags_free(&ds);
	return status;
}

static int
keys(const char *path, const struct conf *c)
{
	FILE *out = export_open(path);

	if (out != NULL && export_keys(EXPORT_WIRESHARK, c, out, "ipsecreplay") == 0)
		return 0;
	log_warn("%s", path);
	return -1;
}

int
main(int argc, char **argv)
{
	struct replay_opts o = {.mtu = 1500};
	struct rerun r = {.o = &o};
	struct conf c;
	const char *why;
	int status = 1;

	log_init("ipsecreplay", true, 0, NULL);
	parse(argc, argv, &o);
	check_files(&o);
	if (load(&o, &c) == -1)
		goto out;
	if (crypto_select("auto", &why) == -1) {
		log_warnx("crypto: %s", why);
		goto out;
	}
	if (o.keys != NULL && keys(o.keys, &c) == -1)
		goto out;
	if (o.from_host == NULL && o.from_wire == NULL) {
		status = 0;
		goto out;
	}
	status = replay_run(&r, &c) == -1 ? 1 : 0;
	if (r.gen != NULL && replay_report(&r) == -1)
		status = 1;
	replay_free(&r);
out:
	conf_free(&c);
	return status;
}
