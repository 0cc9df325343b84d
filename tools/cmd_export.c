/*
 * export: the running SAs with their keys, for programs that look into captures.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf.h"
#include "export_keys.h"
#include "ipsecctl.h"
#include "wipebuf.h"

/* The SAs of a reply to "show", read as what they are printed as. */
static int
read_sas(const json_t *reply, struct conf *c)
{
	const struct conf_opts o = {.no_files = true, .any_owner = true};
	struct wipebuf text = {0};
	struct diags ds = {0};
	const json_t *s;
	size_t i;
	int rc = 0;

	json_array_foreach(json_object_get(reply, "sas"), i, s)
	{
		const json_t *t = json_object_get(s, "text");

		if (wipebuf_add(&text, json_string_value(t), json_string_length(t)) < 0 ||
		    wipebuf_add(&text, "\n", 1) < 0)
			rc = -1;
	}
	if (rc == 0 && text.len)
		rc = conf_parse_text("SAs", text.text, text.len, &o, c, &ds);
	diags_print(&ds, stderr);
	diags_free(&ds);
	wipebuf_free(&text);
	return rc;
}

/* May keys go to standard output?  Not into a file that others can read. */
static bool
stdout_is_private(void)
{
	struct stat st;

	return fstat(STDOUT_FILENO, &st) < 0 || !S_ISREG(st.st_mode) ||
	       (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static int
write_keys(enum export_form form, const struct conf *c, const char *path)
{
	int fd = path ? -1 : dup(STDOUT_FILENO);
	FILE *out = path ? export_open(path) : fdopen(fd, "w");

	if (out && export_keys(form, c, out, "ipsecctl") == 0)
		return EXIT_DONE;
	fprintf(stderr, "ipsecctl: %s: %s\n", path ? path : "standard output", strerror(errno));
	if (!out && fd >= 0)
		close(fd);
	return EXIT_WRONG;
}

int
cmd_export(const struct ctl *ctl, int argc, char **argv)
{
	const char *form = NULL, *path = NULL;
	bool keys = ctl->keys;
	struct conf c;
	json_t *reply;
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-k") == 0)
			keys = true;
		else if (!form)
			form = argv[i];
		else if (!path)
			path = argv[i];
		else
			ctl_usage("what is this for: ", argv[i]);
	}
	if (!form || export_form(form) < 0)
		ctl_usage("export wireshark|tcpdump -k [FILE]", form ? ", not " : NULL);
	if (!keys)
		ctl_usage("export writes keys, so say -k", NULL);
	if (!path && !stdout_is_private()) {
		fprintf(stderr,
		    "ipsecctl: others may read where the keys would go; name the file "
		    "instead: export %s -k FILE\n",
		    form);
		return EXIT_WRONG;
	}
	rc = ctl_request(
	    ctl, json_pack("{s:s, s:s, s:b}", "verb", "show", "what", "sa", "keys", 1), &reply);
	if (rc == EXIT_DONE) {
		conf_init(&c);
		rc = read_sas(reply, &c) < 0
			 ? EXIT_WRONG
			 : write_keys((enum export_form)export_form(form), &c, path);
		conf_free(&c);
	}
	json_decref(reply);
	return rc;
}
