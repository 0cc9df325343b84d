/*
 * Text -> bitsd.  ipsecctl reads the files (includes, key files, host names), so that bitsd opens none and looks nothing up; what goes over
 * the socket is the canonical form, one statement a line.  Messages about such a line are told at the place in the operator's file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf.h"
#include "hostname.h"
#include "ipsecctl.h"
#include "wipebuf.h"
#include "writer.h"

struct place {
	const char *file;
	unsigned line, col;
};

/* A conf as text, and where each line of it came from. */
struct canon {
	struct wipebuf text;
	struct place *at;
	size_t n;
};

static int
canon_make(struct canon *k, const struct conf *c)
{
	/* as much as most statements need, so that a large text is not moved again and again */
	FILE *out = wipebuf_room(&k->text, 128 * (c->nsas + c->nrules)) == 0
			? wipebuf_open(&k->text)
			: NULL;

	k->at = calloc(c->nsas + c->nrules + BUILTIN_MAX, sizeof *k->at);
	if (!out || !k->at) {
		if (out)
			fclose(out);
		return -1;
	}
	for (size_t i = 0; i < c->nsas; i++) {
		conf_print_sa(&c->sa[i], true, out);
		k->at[k->n++] = (struct place){c->sa_at[i].file, c->sa_at[i].line, c->sa_at[i].col};
	}
	for (int b = 0; b < BUILTIN_MAX; b++)
		if (c->builtin_said[b]) {
			conf_print_builtin(b, c->builtin[b], out);
			k->n++;
		}
	for (size_t i = 0; i < c->nrules; i++) {
		conf_print_rule(c->rule[i], out);
		k->at[k->n++] =
		    (struct place){c->rule_at[i].file, c->rule_at[i].line, c->rule_at[i].col};
	}
	return fclose(out) == 0 ? 0 : -1;
}

static void
canon_free(struct canon *k)
{
	wipebuf_free(&k->text);
	free(k->at);
}

/* Was this said when the file was read? */
static bool
said(const struct diags *ds, const char *text)
{
	for (size_t i = 0; i < ds->n; i++)
		if (strcmp(ds->d[i].text, text) == 0)
			return true;
	return false;
}

/* Puts bitsd's diagnostics at their places; those that ipsecctl has told already go. */
static void
localise(json_t *reply, const struct canon *k, const struct diags *told)
{
	json_t *list = json_object_get(reply, "diags");

	for (size_t i = json_array_size(list); i-- > 0;) {
		json_t *d = json_array_get(list, i);
		const char *text = json_string_value(json_object_get(d, "text"));
		json_int_t line = json_integer_value(json_object_get(d, "line"));

		if (text && said(told, text)) {
			json_array_remove(list, i);
			continue;
		}
		if (line < 1 || (size_t)line > k->n || !k->at[line - 1].file)
			continue;
		json_object_set_new(d, "file", json_string(k->at[line - 1].file));
		json_object_set_new(d, "line", json_integer(k->at[line - 1].line));
		json_object_set_new(d, "col", json_integer(k->at[line - 1].col));
	}
}

static void
print_change(const char *what, const json_t *j)
{
	static const char *const words[] = {"added", "removed", "moved", "kept"};

	printf("%s", what);
	for (int i = 0; i < 4; i++)
		printf("%s %lld %s", i ? "," : "",
		    (long long)json_integer_value(json_object_get(j, words[i])), words[i]);
	putchar('\n');
}

/* What sync did: with -v each statement that went or came, then the sums. */
static void
print_sync(const json_t *reply)
{
	long long builtins = json_integer_value(json_object_get(reply, "builtins"));
	const json_t *t;
	size_t i;

	json_array_foreach(json_object_get(reply, "removed"), i, t)
	    printf("- %s\n", json_string_value(t));
	json_array_foreach(json_object_get(reply, "added"), i, t)
	    printf("+ %s\n", json_string_value(t));
	print_change("rules:", json_object_get(reply, "rules"));
	print_change("SAs:", json_object_get(reply, "sas"));
	if (builtins)
		printf("built-ins: %lld changed\n", builtins);
}

/* Tells the warnings about ${c}, and adds them to ${told}. */
static void
warn(const struct conf *c, struct diags *told)
{
	struct diags ds = {0};

	conf_warn(c, &ds);
	diags_print(&ds, stderr);
	for (size_t i = 0; i < ds.n; i++)
		diags_add(told, ds.d[i].file, ds.d[i].line, ds.d[i].col, true, "%s", ds.d[i].text);
	diags_free(&ds);
}

/* Sends ${c} with ${verb}; ${at}: for add, -1 none.  ${told}: what was said of it already.  A whole set's warnings are looked for while bitsd
 * works. */
static int
send_conf(const struct ctl *ctl, const char *verb, const struct conf *c, long at, bool whole,
    struct diags *told)
{
	struct canon k = {0};
	bool sync = strcmp(verb, "sync") == 0;
	json_t *req, *reply = NULL;
	int fd, rc = EXIT_WRONG;

	if (canon_make(&k, c) < 0) {
		fprintf(stderr, "ipsecctl: out of memory\n");
		goto out0;
	}
	req = json_pack("{s:s, s:s, s:s#}", "verb", verb, "name", "request", "text",
	    k.text.text ? k.text.text : "", k.text.len);
	if (!req) {
		fprintf(stderr, "ipsecctl: the text is not UTF-8\n");
		goto out0;
	}
	if (at >= 0)
		json_object_set_new(req, "at", json_integer(at));
	if (ctl->confirm)
		json_object_set_new(req, "confirm", json_integer(ctl->confirm));
	if (sync && (ctl->verbose || ctl->json))
		json_object_set_new(req, "list", json_true());
	if ((fd = ctl_client_connect(ctl->nic, ctl->socket)) < 0) {
		rc = -fd;
		goto out1;
	}
	if ((rc = ctl_client_send(fd, req)) != 0)
		goto out1;
	if (whole)
		warn(c, told);
	if ((rc = ctl_client_answer(fd, &reply)) != 0)
		goto out1;
	rc = (int)json_integer_value(json_object_get(reply, "status"));
	localise(reply, &k, told);
	ctl_tell(reply);
	if (ctl->json) {
		json_object_del(reply, "status");
		writer_json(reply);
	} else if (sync && rc == EXIT_DONE) {
		print_sync(reply);
	}
out1:
	json_decref(req);
	json_decref(reply);
out0:
	canon_free(&k);
	return rc;
}

/* Reads ctl->file and has it done to bitsd: ${verb}. */
static int
load(const struct ctl *ctl, const char *verb)
{
	struct conf_opts o = {
	    .macros = (const char *const *)ctl->macros, .resolve = hostname_resolve};
	struct diags ds = {0};
	struct conf c;
	bool readable;
	int rc;

	conf_init(&c);
	rc = conf_parse_file(ctl->file, &o, &c, &ds);
	readable = rc == 0;
	if (rc == 0 && !ctl->remove)
		rc = ctl->parse_only ? conf_check(&c, &ds) : conf_refuse(&c, &ds);
	diags_print(&ds, stderr);
	/* what can be read can be shown, also when bitsd will not have it (ike, ...) */
	if (readable && ctl->parse_only && ctl->verbose)
		conf_print_openbsd(&c, ctl->keys, stdout);
	if (rc < 0) {
		rc = EXIT_WRONG;
	} else if (ctl->parse_only) {
		rc = EXIT_DONE;
	} else {
		rc = send_conf(ctl, verb, &c, -1, !ctl->remove, &ds);
	}
	conf_free(&c);
	diags_free(&ds);
	return rc;
}

int
cmd_load(const struct ctl *ctl)
{
	return load(ctl, ctl->remove ? "remove" : "load");
}

int
cmd_sync(const struct ctl *ctl, int argc, char **argv)
{
	struct ctl c = *ctl;

	if (argc != 3 || strcmp(argv[1], "-f"))
		ctl_usage("sync -f FILE", NULL);
	c.file = argv[2];
	return load(&c, "sync");
}

/* The words of a statement as one line.  They may be keys: every other user can read another one's command line, so they go from it. */
static int
join(struct wipebuf *text, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (wipebuf_add(text, argv[i], strlen(argv[i])) < 0 ||
		    wipebuf_add(text, i + 1 < argc ? " " : "\n", 1) < 0)
			return -1;
		memset(argv[i], '*', strlen(argv[i]));
	}
	return 0;
}

int
cmd_add(const struct ctl *ctl, int argc, char **argv)
{
	struct conf_opts o = {
	    .macros = (const char *const *)ctl->macros, .resolve = hostname_resolve};
	struct wipebuf text = {0};
	struct diags ds = {0};
	struct conf c;
	long at = -1;
	int rc, first = 1;
	char *end;

	if (argc > 1 && strcmp(argv[1], "at") == 0) {
		if (argc < 4)
			ctl_usage("add at N flow ...", NULL);
		at = strtol(argv[2], &end, 10);
		if (end == argv[2] || *end || at < 0)
			ctl_usage("add at takes a place, a number from 0, not ", argv[2]);
		first = 3;
	}
	if (argc <= first)
		ctl_usage("add what?", NULL);
	conf_init(&c);
	if (argc == first + 1 && strcmp(argv[first], "-") == 0) {
		rc = conf_parse_file("-", &o, &c, &ds);
	} else if (join(&text, argc - first, argv + first) < 0) {
		fprintf(stderr, "ipsecctl: out of memory\n");
		rc = -1;
	} else {
		rc = conf_parse_text("arguments", text.text, text.len, &o, &c, &ds);
	}
	diags_print(&ds, stderr);
	rc = rc < 0 ? EXIT_WRONG : send_conf(ctl, "add", &c, at, false, &ds);
	wipebuf_free(&text);
	conf_free(&c);
	diags_free(&ds);
	return rc;
}
