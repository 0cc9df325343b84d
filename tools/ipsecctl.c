/*
 * ipsecctl: loads, edits and shows policy and SAs.  OpenBSD's options, then verbs; one table for parser and help.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ipsecctl.h"
#include "wipebuf.h"
#include "writer.h"

static int
life(const struct ctl *c, int argc, char **argv)
{
	if (argc > 1)
		ctl_usage("what is this for: ", argv[1]);
	return cmd_life(c, argv[0]);
}

static int
selftest(const struct ctl *c, int argc, char **argv)
{
	return cmd_selftest(c);
}

static int
version(const struct ctl *c, int argc, char **argv)
{
	return cmd_version(c);
}

static const struct verb {
	const char *name;
	int (*fn)(const struct ctl *c, int argc, char **argv);
	const char *args, *help;
} verbs[] = {
    {"add", cmd_add, "[at N] flow|esp|ah ... | -",
	"add one rule or SA, in the language of ipsec.conf(5); - reads it from standard input"},
    {"delete", cmd_delete, "flow N | esp|ah spi X [to DST]", "delete one rule or SA"},
    {"sync", cmd_sync, "-f FILE",
	"replace as -f does, and say what that added, removed, moved and kept"},
    {"confirm", life, "", "keep the policy that -f --confirm put on trial"},
    {"revert", life, "", "go back from it at once"},
    {"move", cmd_move, "flow N to M", "move a rule to another place"},
    {"import", cmd_import, "setkey|xfrm FILE",
	"turn setkey.conf(5), or what ip xfrm state and policy print, into ipsec.conf(5)"},
    {"capture", cmd_capture, "[--point host|wire|drop|all] [-c N] [-w FILE] [FILTER]",
	"packets as they pass, with what is decided about each; -w writes pcapng (- for a pipe into "
	"Wireshark), FILTER is tcpdump's"},
    {"export", cmd_export, "wireshark|tcpdump -k [FILE]",
	"the SAs with their keys, for Wireshark's esp_sa table or tcpdump -E; FILE is made for its "
	"owner alone"},
    {"trace", cmd_trace, "[in|out] proto P from A [port N] to B [port M] ... [size N]",
	"which rule and SA would decide about such a packet, and why; nothing is sent"},
    {"attach", life, "", "take the NIC (again) and let packets pass"},
    {"detach", life, "", "give the NIC back to the host; bitsd waits"},
    {"pause", life, "", "nothing passes, neither clear nor protected"},
    {"restart", life, "", "let packets pass again"},
    {"selftest", selftest, "", "run every algorithm's known answers"},
    {"version", version, "", "versions of ipsecctl and bitsd"},
};

static const char head[] =
    "usage: ipsecctl [-kv] [--json] [-i NIC | -S SOCKET] -s flow|sa|all|drops|nic|stats\n"
    "       ipsecctl [-dnv] [-D macro=value] [--confirm SECONDS] -f FILE\n"
    "       ipsecctl -F [flow|sa|all]\n"
    "       ipsecctl -m\n"
    "       ipsecctl VERB ...\n";

static void
help(void)
{
	fputs(head, stdout);
	puts("\n"
	     "  -f FILE      replace policy and SAs by what FILE says, all or nothing (- is "
	     "standard input)\n"
	     "  --confirm N  with -f: go back to what was unless ipsecctl confirm follows within N "
	     "seconds\n"
	     "  -n           with -f: parse only; with -v print what was read\n"
	     "  -d           with -f: delete what FILE names\n"
	     "  -D NAME=VAL  a macro that wins over the file's own\n"
	     "  -s WHAT      show; may be abbreviated\n"
	     "  -k           with keys (root only)\n"
	     "  -v           with counters and places, as comments\n"
	     "  --json       one JSON document\n"
	     "  -F [WHAT]    flush rules, SAs or both; what no rule lets through is discarded\n"
	     "  -m           print events as they happen\n"
	     "  -i NIC       the bitsd of that NIC, where more than one runs\n"
	     "  -S SOCKET    the bitsd at that socket\n"
	     "\nverbs:");
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		printf("  %s %s\n      %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	puts("\nExit status: 0 done; 1 the request was wrong and changed nothing; 2 usage; 3 no "
	     "bitsd or no permission.");
}

void
ctl_usage(const char *what, const char *which)
{
	if (what)
		fprintf(stderr, "ipsecctl: %s%s\n", what, which ? which : "");
	fputs(head, stderr);
	exit(EXIT_USAGE);
}

int
ctl_word(const char *text, const char *const *words, int n)
{
	size_t len = strlen(text);

	for (int i = 0; len && i < n; i++)
		if (strncmp(words[i], text, len) == 0)
			return i;
	return -1;
}

void
ctl_tell(const json_t *reply)
{
	const char *error = json_string_value(json_object_get(reply, "error"));
	bool said = false;
	const json_t *d;
	size_t i;

	json_array_foreach(json_object_get(reply, "diags"), i, d)
	{
		const char *text = json_string_value(json_object_get(d, "text"));
		const char *file = json_string_value(json_object_get(d, "file"));
		bool warning = json_is_true(json_object_get(d, "warning"));
		int line = (int)json_integer_value(json_object_get(d, "line"));

		if (line)
			fprintf(stderr, "%s:%d:%d: ", file ? file : "-", line,
			    (int)json_integer_value(json_object_get(d, "col")));
		else
			fprintf(stderr, "ipsecctl: ");
		fprintf(stderr, "%s%s\n", warning ? "warning: " : "", text ? text : "");
		said = said || !warning;
	}
	if (error && !said)
		fprintf(stderr, "ipsecctl: %s\n", error);
}

int
ctl_request(const struct ctl *c, json_t *req, json_t **reply)
{
	int fd, rc;

	*reply = NULL;
	fd = ctl_client_connect(c->nic, c->socket);
	if (fd < 0) {
		json_decref(req);
		return -fd;
	}
	rc = ctl_client_ask(fd, req, reply);
	json_decref(req);
	if (rc != 0)
		return rc;
	rc = (int)json_integer_value(json_object_get(*reply, "status"));
	ctl_tell(*reply);
	return rc == EXIT_DONE || rc == EXIT_NO_DAEMON ? rc : EXIT_WRONG;
}

int
ctl_simple(const struct ctl *c, json_t *req)
{
	json_t *reply;
	int rc = ctl_request(c, req, &reply);

	if (c->json && reply) {
		json_object_del(reply, "status");
		writer_json(reply);
	}
	json_decref(reply);
	return rc;
}

static void
add_macro(struct ctl *c, const char *macro)
{
	size_t n = 0;

	if (!strchr(macro, '=') || *macro == '=')
		ctl_usage("-D takes NAME=VALUE, not ", macro);
	while (c->macros && c->macros[n])
		n++;
	c->macros = reallocarray(c->macros, n + 2, sizeof *c->macros);
	if (!c->macros)
		exit(EXIT_WRONG);
	c->macros[n] = macro;
	c->macros[n + 1] = NULL;
}

static long
seconds(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 1 || n > 86400)
		ctl_usage("--confirm takes seconds, from 1 to 86400, not ", text);
	return n;
}

static int
run_verb(const struct ctl *c, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(argv[0], verbs[i].name) == 0)
			return verbs[i].fn(c, argc, argv);
	ctl_usage("unknown verb ", argv[0]);
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"confirm", required_argument, NULL, 'C'},
	    {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	static char name[] = "ipsecctl";
	struct ctl c = {0};
	const char *show = NULL, *flush = NULL;
	bool monitor = false, asks = false;
	int o, rc, wishes = 0;

	argv[0] = name; /* what getopt says begins with it */
	signal(SIGPIPE, SIG_IGN);
	json_set_alloc_funcs(malloc, wipebuf_release);
	while ((o = getopt_long(argc, argv, "+dD:f:Fhi:kmns:S:v", longs, NULL)) != -1) {
		switch (o) {
		case 'C':
			c.confirm = seconds(optarg);
			break;
		case 'd':
			c.remove = true;
			break;
		case 'D':
			add_macro(&c, optarg);
			break;
		case 'f':
			c.file = optarg;
			wishes++;
			break;
		case 'F':
			flush = "all";
			if (optind < argc && argv[optind][0] != '-')
				flush = argv[optind++];
			wishes++;
			break;
		case 'h':
			help();
			return EXIT_DONE;
		case 'i':
			c.nic = optarg;
			break;
		case 'j':
			c.json = true;
			break;
		case 'k':
			c.keys = true;
			break;
		case 'm':
			monitor = true;
			wishes++;
			break;
		case 'n':
			c.parse_only = true;
			break;
		case 's':
			show = optarg;
			wishes++;
			break;
		case 'S':
			c.socket = optarg;
			break;
		case 'v':
			c.verbose++;
			break;
		case 'V':
			printf("ipsecctl %s\n", BITS_VERSION);
			return EXIT_DONE;
		default:
			ctl_usage(NULL, NULL);
		}
	}
	asks = optind < argc;
	if (wishes + asks == 0)
		ctl_usage("nothing to do", NULL);
	/* -F -f FILE is OpenBSD's way to say -f FILE: a load replaces all anyway */
	if (wishes + asks > 1 && !(wishes == 2 && flush && c.file && !asks))
		ctl_usage("one thing at a time", NULL);
	if ((c.remove || c.parse_only) && !c.file)
		ctl_usage(c.remove ? "-d needs -f FILE" : "-n needs -f FILE", NULL);
	if (c.confirm && (!c.file || c.remove || c.parse_only))
		ctl_usage("--confirm goes with -f FILE, to replace", NULL);

	if (c.file)
		rc = cmd_load(&c);
	else if (flush)
		rc = cmd_flush(&c, flush);
	else if (show)
		rc = cmd_show(&c, show);
	else if (monitor)
		rc = cmd_monitor(&c);
	else
		rc = run_verb(&c, argc - optind, argv + optind);
	free(c.macros);
	if (writer_flush() < 0 && rc == EXIT_DONE)
		rc = EXIT_WRONG;
	return rc;
}
