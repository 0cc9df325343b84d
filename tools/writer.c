#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "writer.h"

/* https://no-color.org: any value but the empty one turns colour off. */
static bool
coloured(void)
{
	static int yes = -1;

	if (yes < 0) {
		const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

		yes = isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
	}
	return yes;
}

void
writer_begin(enum writer_style s)
{
	static const char *const code[] = {"\033[2m", "\033[32m", "\033[31m"};

	if (coloured())
		fputs(code[s], stdout);
}

void
writer_end(void)
{
	if (coloured())
		fputs("\033[0m", stdout);
}

void
writer_json(const json_t *doc)
{
	json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
}

void
writer_line(const json_t *doc)
{
	json_dumpf(doc, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
}

int
writer_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	if (errno != EPIPE) /* whoever reads has seen enough */
		fprintf(stderr, "ipsecctl: cannot write: %s\n", strerror(errno));
	return -1;
}
