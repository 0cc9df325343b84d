/*
 * Other programs' texts -> ipsec.conf(5) on standard output; what cannot be turned is named on standard error.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hostname.h"
#include "import.h"
#include "ipsecctl.h"

/* What is printed has keys in it: says so where the file it goes to can be read by others. */
static void
warn_readable(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & (S_IRWXG | S_IRWXO)))
		fputs("ipsecctl: warning: the output holds keys, and others may read it; chmod "
		      "600 it\n",
		    stderr);
}

int
cmd_import(const struct ctl *ctl, int argc, char **argv)
{
	const struct conf_opts o = {.resolve = hostname_resolve};
	struct diags ds = {0};
	enum import_kind kind = IMPORT_SETKEY;
	struct conf c;
	int rc;

	if (argc != 3)
		ctl_usage("import setkey|xfrm FILE", NULL);
	if (strcmp(argv[1], "xfrm") == 0)
		kind = IMPORT_XFRM;
	else if (strcmp(argv[1], "setkey") != 0)
		ctl_usage("import setkey|xfrm FILE, not ", argv[1]);
	conf_init(&c);
	rc = import_file(kind, argv[2], &o, &c, &ds);
	diags_print(&ds, stderr);
	if (c.nsas != 0)
		warn_readable();
	conf_print(&c, true, stdout);
	if (rc < 0)
		fprintf(stderr,
		    "ipsecctl: not all of it could be turned: what the errors name is left out\n");
	conf_free(&c);
	diags_free(&ds);
	return rc < 0 ? EXIT_WRONG : EXIT_DONE;
}
