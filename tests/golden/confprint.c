/*
 * confprint [-cno] [-D name=value] FILE: what conf_print() makes of FILE, behind all that was said about it.
 * -c: conf_check() too.  -n: no keys.  -o: conf_print_openbsd() instead.  Exit 1 on an error.  Names resolve by a table, so that the output is the same everywhere.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "conf.h"

static const struct {
	const char *name, *addr;
} hosts[] = {
    {"gw", "192.0.2.1"},
    {"both", "192.0.2.10"},
    {"both", "2001:db8::10"},
    {"eth7", "10.0.0.7"},
    {"six", "2001:db8::6"},
};

static int
resolve(void *ctx, const char *name, struct ipaddr *out, int cap)
{
	int n = 0;

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0] && n < cap; i++)
		if (strcmp(hosts[i].name, name) == 0 && ipaddr_parse(hosts[i].addr, &out[n]) == 0)
			n++;
	return n > 0 ? n : -1;
}

int
main(int argc, char *argv[])
{
	const char *macros[33] = {NULL};
	struct conf_opts o = {
	    .macros = macros, .any_owner = true, .warn_unused = true, .resolve = resolve};
	bool check = false, keys = true, openbsd = false;
	struct diags ds = {0};
	struct conf c;
	int opt, rc, n = 0;

	while ((opt = getopt(argc, argv, "cnoD:")) != -1)
		switch (opt) {
		case 'c':
			check = true;
			break;
		case 'n':
			keys = false;
			break;
		case 'o':
			openbsd = true;
			break;
		case 'D':
			if (n < 32)
				macros[n++] = optarg;
			break;
		default:
			return 2;
		}
	if (optind + 1 != argc)
		return 2;
	conf_init(&c);
	rc = conf_parse_file(argv[optind], &o, &c, &ds);
	if (rc == 0 && check)
		rc = conf_check(&c, &ds);
	diags_print(&ds, stdout);
	if (rc == 0 && openbsd)
		conf_print_openbsd(&c, keys, stdout);
	else if (rc == 0)
		conf_print(&c, keys, stdout);
	conf_free(&c);
	diags_free(&ds);
	return rc == 0 ? 0 : 1;
}
