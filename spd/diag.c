#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "conf.h"

void
diags_add(struct diags *ds, const char *file, unsigned line, unsigned col, bool warning,
    const char *fmt, ...)
{
	struct diag *d;
	char *text = NULL;
	va_list ap;

	if (!warning)
		ds->errors++; /* counts also where there is no memory left to say which */
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	if (text == NULL)
		return;
	d = reallocarray(ds->d, ds->n + 1, sizeof *d);
	if (d == NULL) {
		free(text);
		return;
	}
	ds->d = d;
	d += ds->n++;
	*d = (struct diag){strdup(file != NULL ? file : "?"), line, col, warning, text};
}

/* In the order of the text, as a reader fixes them. */
static int
by_place(const void *va, const void *vb)
{
	const struct diag *a = va, *b = vb;
	int rc = a->file == NULL || b->file == NULL ? 0 : strcmp(a->file, b->file);

	if (rc != 0)
		return rc;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->col != b->col)
		return a->col < b->col ? -1 : 1;
	return strcmp(a->text, b->text);
}

void
diags_sort(struct diags *ds, size_t from)
{
	if (ds->n > from)
		qsort(ds->d + from, ds->n - from, sizeof *ds->d, by_place);
}

void
diags_print(const struct diags *ds, FILE *out)
{
	for (size_t i = 0; i < ds->n; i++) {
		const struct diag *d = &ds->d[i];

		fputs(d->file != NULL ? d->file : "?", out);
		if (d->line != 0)
			fprintf(out, ":%u:%u", d->line, d->col);
		fprintf(out, ": %s%s\n", d->warning ? "warning: " : "", d->text);
	}
	/* An error that could not even be stored must not look like success. */
	if (ds->errors != 0 && ds->n == 0)
		fputs("out of memory\n", out);
}

void
diags_free(struct diags *ds)
{
	for (size_t i = 0; i < ds->n; i++) {
		free(ds->d[i].file);
		free(ds->d[i].text);
	}
	free(ds->d);
	*ds = (struct diags){0};
}
