/*
 * trace: the packet is said in the words of a flow statement, which ipsecctl reads (host and service names) and sends on as a canonical one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf.h"
#include "hostname.h"
#include "ipsecctl.h"
#include "wipebuf.h"
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

/* "esp transport 0x00001001 10.9.0.1 -> 10.9.0.2". */
static void
print_sa(const json_t *s)
{
	printf("%s %s", string(s, "proto"), string(s, "mode"));
	if (json_object_get(s, "spi"))
		printf(" %s", string(s, "spi"));
	printf(" %s -> %s", string(s, "src"), string(s, "dst"));
	if (number(s, "reqid"))
		printf(" reqid %lld", number(s, "reqid"));
}

static void
print_packet(const json_t *p)
{
	bool out = strcmp(string(p, "dir"), "out") == 0;
	const char *end[2] = {
	    string(p, out ? "local" : "remote"), string(p, out ? "remote" : "local")};
	const char *port[2] = {
	    out ? "local_port" : "remote_port", out ? "remote_port" : "local_port"};
	const char *name = proto_name((unsigned)number(p, "proto"));

	printf("packet   %s ", string(p, "dir"));
	if (name)
		printf("%s", name);
	else
		printf("proto %lld", number(p, "proto"));
	for (int i = 0; i < 2; i++) {
		printf(" %s %s", i ? "to" : "from", end[i]);
		if (json_object_get(p, port[i]))
			printf(" port %lld", number(p, port[i]));
	}
	if (json_object_get(p, "type"))
		printf(" type %lld code %lld", number(p, "type"), number(p, "code"));
	if (json_object_get(p, "vlan"))
		printf(" vlan %lld", number(p, "vlan"));
	printf(", %lld octets\n", number(p, "size"));
}

static void
print_verdict(const json_t *r)
{
	const json_t *rule = json_object_get(r, "rule"), *builtin = json_object_get(r, "builtin");
	bool drop = json_is_string(json_object_get(r, "drop"));

	printf("verdict  ");
	writer_begin(drop ? WRITER_BAD : WRITER_GOOD);
	printf("%s", string(r, "verdict"));
	writer_end();
	if (drop)
		printf(", %s: %s", string(r, "drop"), string(r, "drop_text"));
	if (json_is_object(rule))
		printf("\nrule     %lld: %s\n", number(rule, "place"), string(rule, "text"));
	else if (json_is_object(builtin) && strcmp(string(builtin, "set"), "none") != 0)
		printf("\nrule     builtin %s type %s\n", string(builtin, "name"),
		    string(builtin, "set"));
	else
		printf("\nrule     none matches\n");
}

static void
print_steps(const struct ctl *c, const json_t *r)
{
	const json_t *missing = json_object_get(r, "missing"), *s;
	long long size = number(json_object_get(r, "packet"), "size");
	const char *fit = string(r, "fit");
	size_t i;

	json_array_foreach(json_object_get(r, "steps"), i, s)
	{
		printf("SA       ");
		print_sa(s);
		if (json_object_get(s, "size")) {
			printf(": %lld -> %lld octets", size, number(s, "size"));
			size = number(s, "size");
		}
		if (!json_is_true(json_object_get(s, "may_send")))
			printf("; it may not send: no numbers are reserved");
		putchar('\n');
		if (c->verbose && json_object_get(s, "parts")) {
			printf("         ");
			cmd_path_parts(json_object_get(s, "parts"), string(s, "proto"));
			printf(" = %lld\n", size);
		}
	}
	if (missing) {
		printf("missing  ");
		print_sa(missing);
		putchar('\n');
	}
	if (!*fit)
		return;
	printf("MTU      %lld", number(r, "path_mtu"));
	if (number(r, "path_mtu") != number(r, "mtu"))
		printf(", told by ICMP (NIC %lld)", number(r, "mtu"));
	printf(": ");
	if (strcmp(fit, "whole") == 0)
		printf("it fits");
	else if (strcmp(fit, "not") == 0)
		printf("it is dropped as too big, and the host is told");
	else
		printf("it is cut in fragments %s it is protected", fit);
	printf("; the largest that fits has %lld octets\n", number(r, "largest"));
}

static void
print_text(const struct ctl *c, const json_t *r)
{
	const json_t *j;
	size_t i;

	print_packet(json_object_get(r, "packet"));
	print_verdict(r);
	print_steps(c, r);
	json_array_foreach(json_object_get(r, "accepts"), i, j)
	{
		printf("taken    through ");
		print_sa(j);
		putchar('\n');
	}
	json_array_foreach(json_object_get(r, "before"), i, j)
	{
		writer_begin(WRITER_DIM);
		printf("not      %lld, by its %s: %s\n", number(j, "place"), string(j, "differs"),
		    string(j, "text"));
		writer_end();
	}
	if (number(r, "before_left_out"))
		printf("not      %lld more\n", number(r, "before_left_out"));
}

/* The words as one flow statement: "size N" goes to *${size}, out is what nothing is said for.  0, or -1 and ENOMEM. */
static int
join(struct wipebuf *text, int argc, char **argv, long *size)
{
	const char *first = argc > 1 && (strcmp(argv[1], "in") == 0 || strcmp(argv[1], "out") == 0)
				? "flow"
				: "flow out";
	char *end;

	if (wipebuf_add(text, first, strlen(first)) < 0)
		return -1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "size") == 0) {
			if (++i == argc)
				ctl_usage("size takes a number of octets", NULL);
			*size = strtol(argv[i], &end, 10);
			if (end == argv[i] || *end || *size < 1)
				ctl_usage("size takes a number of octets, not ", argv[i]);
			continue;
		}
		if (wipebuf_add(text, " ", 1) < 0 ||
		    wipebuf_add(text, argv[i], strlen(argv[i])) < 0)
			return -1;
	}
	return wipebuf_add(text, " type bypass\n", 13);
}

/* The request, or NULL: told. */
static json_t *
request(int argc, char **argv)
{
	struct conf_opts o = {.resolve = hostname_resolve};
	struct wipebuf words = {0}, text = {0};
	struct diags ds = {0};
	FILE *out = wipebuf_open(&text);
	json_t *req = NULL;
	long size = 0;
	struct conf c;

	conf_init(&c);
	if (!out || join(&words, argc, argv, &size) < 0) {
		fprintf(stderr, "ipsecctl: out of memory\n");
	} else if (conf_parse_text("packet", words.text, words.len, &o, &c, &ds) < 0) {
		diags_print(&ds, stderr);
	} else {
		for (size_t i = 0; i < c.nrules; i++)
			conf_print_rule(c.rule[i], out);
		fflush(out);
		req = json_pack(
		    "{s:s, s:s#}", "verb", "trace", "text", text.text ? text.text : "", text.len);
		if (size)
			json_object_set_new(req, "size", json_integer(size));
	}
	if (out)
		fclose(out);
	conf_free(&c);
	diags_free(&ds);
	wipebuf_free(&words);
	wipebuf_free(&text);
	return req;
}

int
cmd_trace(const struct ctl *c, int argc, char **argv)
{
	json_t *req, *reply;
	int rc;

	if (argc < 2)
		ctl_usage("trace [in|out] proto P from A [port N] to B [port M] ...", NULL);
	if ((req = request(argc, argv)) == NULL)
		return EXIT_WRONG;
	rc = ctl_request(c, req, &reply);
	if (reply && c->json) {
		json_object_del(reply, "status");
		writer_json(reply);
	} else if (rc == EXIT_DONE) {
		print_text(c, reply);
	}
	json_decref(reply);
	return rc;
}
