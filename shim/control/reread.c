/*
 * The stream: for each statement a line "LINE COL FILE", in the order of conf_print(): SAs, rules; an empty line; the text; a last line that
 * is END, without which something is missing.
 */
#include "reread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hostname.h"
#include "log.h"
#include "wipebuf.h"

#define CHUNK 65536
#define END   "# end\n"

static void
print_at(FILE *out, const struct conf_at *at)
{
	fprintf(out, "%u %u %s\n", at->line, at->col, at->file);
}

static void
print(FILE *out, const struct conf *c)
{
	for (size_t i = 0; i < c->nsas; i++)
		print_at(out, &c->sa_at[i]);
	for (size_t i = 0; i < c->nrules; i++)
		print_at(out, &c->rule_at[i]);
	fputc('\n', out);
	conf_print(c, true, out);
	fputs(END, out);
}

static int
write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static void
tell(const struct diags *ds, bool foreground)
{
	if (foreground) {
		diags_print(ds, stderr);
		return;
	}
	for (size_t i = 0; i < ds->n; i++)
		log_warnx(
		    "%s:%u:%u: %s", ds->d[i].file, ds->d[i].line, ds->d[i].col, ds->d[i].text);
}

int
reread_write(const char *path, bool foreground, int fd)
{
	struct conf_opts o = {.resolve = hostname_resolve};
	struct wipebuf text = {0};
	struct diags ds = {0};
	struct conf c;
	FILE *out;
	int rc;

	conf_init(&c);
	rc = conf_load(path, &o, &c, &ds);
	tell(&ds, foreground);
	if (rc == 0 && (out = wipebuf_open(&text)) != NULL) {
		print(out, &c);
		rc = fclose(out) == 0 ? write_all(fd, text.text, text.len) : -1;
	} else {
		rc = -1;
	}
	wipebuf_free(&text);
	conf_free(&c);
	diags_free(&ds);
	return rc;
}

/* All of ${fd}. */
static int
slurp(int fd, struct wipebuf *b)
{
	ssize_t n;

	do {
		if (wipebuf_room(b, CHUNK) < 0)
			return -1;
		while ((n = read(fd, b->text + b->len, CHUNK - 1)) < 0 && errno == EINTR)
			;
		if (n < 0)
			return -1;
		b->len += (size_t)n;
	} while (n > 0);
	b->text[b->len] = '\0';
	return 0;
}

/* One of c->file. */
static const char *
keep_name(struct conf *c, const char *name)
{
	char **file;

	for (size_t i = 0; i < c->nfiles; i++)
		if (strcmp(c->file[i], name) == 0)
			return c->file[i];
	if ((file = reallocarray(c->file, c->nfiles + 1, sizeof *file)) == NULL)
		return NULL;
	c->file = file;
	if ((file[c->nfiles] = strdup(name)) == NULL)
		return NULL;
	return file[c->nfiles++];
}

/* The next line of ${*text} is one statement's place. */
static int
read_at(struct conf *c, char **text, struct conf_at *at)
{
	char *line = *text, *end = strchr(line, '\n'), *p;
	const char *name;

	if (!end)
		return -1;
	*end = '\0';
	*text = end + 1;
	at->line = (unsigned)strtoul(line, &p, 10);
	at->col = (unsigned)strtoul(p, &p, 10);
	if (*p++ != ' ' || (name = keep_name(c, p)) == NULL)
		return -1;
	at->file = name;
	return 0;
}

/* ${places}: lines of as many places as ${c} has statements. */
static int
place(struct conf *c, char *places)
{
	for (size_t i = 0; i < c->nsas; i++)
		if (read_at(c, &places, &c->sa_at[i]) < 0)
			return -1;
	for (size_t i = 0; i < c->nrules; i++)
		if (read_at(c, &places, &c->rule_at[i]) < 0)
			return -1;
	return *places == '\n' ? 0 : -1;
}

int
reread_read(int fd, struct conf *c)
{
	struct conf_opts o = {.no_files = true, .any_owner = true};
	struct wipebuf b = {0};
	struct diags ds = {0};
	char *text = NULL;
	int rc = -1;

	conf_init(c);
	if (slurp(fd, &b) == 0 && b.len >= strlen(END) &&
	    strcmp(b.text + b.len - strlen(END), END) == 0)
		text = b.text[0] == '\n' ? b.text : strstr(b.text, "\n\n");
	if (text) {
		text += b.text[0] == '\n' ? 1 : 2;
		rc = conf_parse_text("the file", text, strlen(text), &o, c, &ds);
	}
	for (size_t i = 0; i < ds.n; i++)
		if (!ds.d[i].warning) /* those were told where it was read */
			log_warnx("%s:%u: %s", ds.d[i].file, ds.d[i].line, ds.d[i].text);
	if (rc == 0)
		rc = place(c, b.text);
	diags_free(&ds);
	wipebuf_free(&b);
	return rc;
}
