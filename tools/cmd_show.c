/*
 * -s: what bitsd says, as text that can be fed back (everything that is no statement is a comment), or as the JSON document it is.
 */
#include <stdio.h>
#include <string.h>
#include "ipsecctl.h"
#include "writer.h"

static const char *
string(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static long long
number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

/* "out 12 packets 1480 octets, 3.2 s ago". */
static void
print_used(const char *dir, const json_t *used)
{
	const json_t *idle = json_object_get(used, "idle_ms");

	printf(
	    " %s %lld packets %lld octets", dir, number(used, "packets"), number(used, "octets"));
	if (json_is_integer(idle))
		printf(" %.1f s ago", (double)json_integer_value(idle) / 1000);
}

static void
heading(const char *text)
{
	writer_begin(WRITER_DIM);
	printf("# %s\n", text);
	writer_end();
}

static void
print_flow(const struct ctl *c, const json_t *f)
{
	printf("%s", string(f, "text"));
	if (c->verbose) {
		writer_begin(WRITER_DIM);
		printf(" # @%lld", number(f, "place"));
		if (strcmp(string(f, "dir"), "in") != 0)
			print_used("out", json_object_get(f, "out"));
		if (strcmp(string(f, "dir"), "out") != 0)
			print_used("in", json_object_get(f, "in"));
		writer_end();
	}
	putchar('\n');
}

static void
print_flows(const struct ctl *c, const json_t *reply)
{
	const json_t *flows = json_object_get(reply, "flows"), *f;
	size_t i;

	json_array_foreach(json_object_get(reply, "builtins"), i, f)
	{
		printf("%s", string(f, "text"));
		if (c->verbose) {
			writer_begin(WRITER_DIM);
			printf(" # %s", string(f, "what"));
			writer_end();
		}
		putchar('\n');
	}
	json_array_foreach(flows, i, f) print_flow(c, f);
	if (json_array_size(flows) == 0)
		heading("no flows: everything that is not built in is discarded");
}

/* " soft 10 packets 3600 s" with what is set of the three; nothing where there is no limit. */
static bool
print_limit(const char *name, const json_t *l)
{
	const json_t *packets = json_object_get(l, "packets"),
		     *octets = json_object_get(l, "octets"), *ms = json_object_get(l, "ms");

	if (!json_is_integer(packets) && !json_is_integer(octets) && !json_is_integer(ms))
		return false;
	printf(" %s", name);
	if (json_is_integer(packets))
		printf(" %lld packets", number(l, "packets"));
	if (json_is_integer(octets))
		printf(" %lld octets", number(l, "octets"));
	if (json_is_integer(ms))
		printf(" %.1f s", (double)number(l, "ms") / 1000);
	putchar(',');
	return true;
}

/* Algorithm, mode, state, size, lifetimes. */
static void
print_sa_itself(const json_t *s)
{
	const json_t *peer = json_object_get(s, "peer");
	bool limited;

	printf("#  %s %s %s%s%s by %s, %s %s, %.1f s old, %lld octets of memory\n",
	    string(s, "proto"), string(s, "mode"), string(s, "enc"),
	    *string(s, "enc") && *string(s, "auth") ? " " : "", string(s, "auth"),
	    string(s, "backend"), string(s, "dir"), string(s, "state"),
	    (double)number(s, "age_ms") / 1000, number(s, "memory"));
	if (json_is_object(peer))
		printf("#  peer behind NAT at %s port %lld\n", string(peer, "addr"),
		    number(peer, "port"));
	printf("#  lifetime");
	limited = print_limit("soft", json_object_get(s, "soft"));
	limited |= print_limit("hard", json_object_get(s, "hard"));
	if (!limited)
		printf(" without limit,");
	printf(" used %lld packets %lld octets %.1f s\n",
	    number(json_object_get(s, "used"), "packets"),
	    number(json_object_get(s, "used"), "octets"), (double)number(s, "age_ms") / 1000);
}

/* What the path takes, who said so, and what is left of it for a packet. */
static void
print_path(const json_t *s)
{
	const json_t *path = json_object_get(s, "path"), *left = json_object_get(path, "left_ms");

	if (!json_is_object(path))
		return;
	printf("#  path %lld octets, NIC %lld", number(path, "mtu"), number(path, "nic"));
	if (json_is_integer(left))
		printf(
		    ", told by ICMP and good for %.0f s", (double)number(path, "left_ms") / 1000);
	printf("\n#  largest packet %lld: ", number(path, "largest"));
	cmd_path_parts(json_object_get(path, "parts"), string(s, "proto"));
	putchar('\n');
}

static void
print_sa_numbers(const json_t *s)
{
	const json_t *out = json_object_get(s, "out"), *in = json_object_get(s, "in");

	writer_begin(WRITER_DIM);
	print_sa_itself(s);
	if (out) {
		printf("# ");
		print_used("out", out);
		if (json_is_true(json_object_get(s, "may_send")))
			printf(", next number %lld, %lld left\n", number(s, "next_seq"),
			    number(s, "left_seq"));
		else
			printf(", may not send: no numbers are reserved\n");
		print_path(s);
	}
	if (in) {
		printf("# ");
		print_used("in", in);
		if (number(s, "replay") == 0)
			printf(", window off");
		else
			printf(", window %lld", number(s, "replay"));
		printf(", top number %lld, replayed %lld, too old %lld, not authentic %lld, other "
		       "%lld, lost %lld\n",
		    number(in, "top_seq"), number(in, "replay_dup"), number(in, "replay_old"),
		    number(in, "auth_failed"), number(in, "other_failed"), number(in, "lost"));
		if (number(in, "ecn_alarm"))
			printf("# in: %lld ECN alarms (RFC 6040)\n", number(in, "ecn_alarm"));
	}
	writer_end();
}

static void
print_sas(const struct ctl *c, const json_t *reply)
{
	const json_t *sas = json_object_get(reply, "sas"), *s;
	size_t i;

	json_array_foreach(sas, i, s)
	{
		printf("%s\n", string(s, "text"));
		if (c->verbose)
			print_sa_numbers(s);
	}
	if (json_array_size(sas) == 0)
		heading("no SAs");
}

static void
print_text(const struct ctl *c, const char *what, const json_t *reply)
{
	if (strcmp(what, "drops") == 0) {
		cmd_state_drops(c, reply);
	} else if (strcmp(what, "nic") == 0) {
		cmd_state_nic(c, reply);
	} else if (strcmp(what, "stats") == 0) {
		cmd_state_stats(c, reply);
	} else if (strcmp(what, "flow") == 0) {
		print_flows(c, reply);
	} else if (strcmp(what, "sa") == 0) {
		print_sas(c, reply);
	} else {
		heading("FLOWS");
		print_flows(c, reply);
		heading("SAD");
		print_sas(c, reply);
	}
}

int
cmd_show(const struct ctl *c, const char *what)
{
	static const char *const words[] = {"flow", "sa", "all", "drops", "nic", "stats"};
	int w = ctl_word(what, words, 6), rc;
	json_t *reply;

	if (w < 0)
		ctl_usage("-s shows flow, sa, all, drops, nic or stats, not ", what);
	rc = ctl_request(c,
	    json_pack("{s:s, s:s, s:b}", "verb", "show", "what", words[w], "keys", (int)c->keys),
	    &reply);
	if (rc == EXIT_DONE) {
		json_object_del(reply, "status");
		if (c->json)
			writer_json(reply);
		else
			print_text(c, words[w], reply);
	}
	json_decref(reply);
	return rc;
}
