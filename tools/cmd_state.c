#include <stdio.h>
#include <string.h>
#include "ipsecctl.h"
#include "writer.h"

static long long
number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static const char *
string(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "-";
}

void
cmd_state_drops(const struct ctl *c, const json_t *reply)
{
	const json_t *d;
	size_t i, shown = 0;

	json_array_foreach(json_object_get(reply, "drops"), i, d)
	{
		if (!c->verbose && number(d, "out") == 0 && number(d, "in") == 0)
			continue;
		if (shown++ == 0)
			printf("%-18s %12s %12s\n", "reason", "out", "in");
		printf(
		    "%-18s %12lld %12lld", string(d, "reason"), number(d, "out"), number(d, "in"));
		if (c->verbose)
			printf("  %s", string(d, "text"));
		putchar('\n');
	}
	if (shown == 0)
		printf("no packet was dropped\n");
}

/* One line of counters, both directions. */
static void
print_edges(const char *name, const json_t *j)
{
	const json_t *out = json_object_get(j, "out"), *in = json_object_get(j, "in");

	printf("%-11s out %lld packets %lld octets, in %lld packets %lld octets\n", name,
	    number(out, "packets"), number(out, "octets"), number(in, "packets"),
	    number(in, "octets"));
}

static void
print_both(const char *name, const json_t *j)
{
	printf("%-11s out %lld, in %lld\n", name, number(j, "out"), number(j, "in"));
}

void
cmd_state_stats(const struct ctl *c, const json_t *reply)
{
	static const char *const both[] = {"bypassed", "protected", "made", "consumed", "bursts"};
	const json_t *cache = json_object_get(reply, "flow_cache");

	print_edges("read", json_object_get(reply, "read"));
	print_edges("sent", json_object_get(reply, "sent"));
	for (size_t i = 0; i < sizeof both / sizeof *both; i++)
		print_both(both[i], json_object_get(reply, both[i]));
	printf("%-11s %lld hits, %lld misses\n", "flow cache", number(cache, "hits"),
	    number(cache, "misses"));
	if (number(reply, "events_lost"))
		printf("%-11s %lld lost\n", "events", number(reply, "events_lost"));
}

void
cmd_state_nic(const struct ctl *c, const json_t *reply)
{
	const char *state = string(reply, "state");
	bool attached = json_is_true(json_object_get(reply, "attached"));

	printf("%-11s %s\n%-11s ", "nic", string(reply, "nic"), "state");
	writer_begin(strcmp(state, "running") == 0 ? WRITER_GOOD : WRITER_BAD);
	printf("%s", attached ? state : "detached: the NIC is the host's");
	writer_end();
	putchar('\n');
	if (attached) {
		if (strcmp(string(reply, "way"), "moved") == 0)
			printf("%-11s moved to namespace %s, as %s\n", "way",
			    string(reply, "netns"), string(reply, "lower"));
		else
			printf("%-11s guarded in place, as %s\n", "way", string(reply, "lower"));
		printf("%-11s %s\n%-11s %s\n%-11s %s\n%-11s %lld\n", "edge", string(reply, "edge"),
		    "link", json_is_true(json_object_get(reply, "link")) ? "up" : "down", "mac",
		    string(reply, "mac"), "mtu", number(reply, "mtu"));
	}
	if (json_is_integer(json_object_get(reply, "confirm_ms")))
		printf("%-11s on trial, for %lld s yet\n", "policy",
		    (number(reply, "confirm_ms") + 999) / 1000);
	printf("%-11s %s\n%-11s %lld\n%-11s %lld of %lld known\n", "crypto",
	    string(reply, "crypto"), "generation", number(reply, "generation"), "next hops",
	    number(json_object_get(reply, "next_hops"), "known"),
	    number(json_object_get(reply, "next_hops"), "wanted"));
	cmd_state_stats(c, reply);
}
