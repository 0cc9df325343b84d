/*
 * confoom FILE ...: reads each FILE again and again, with the first, second, third ... allocation failing: once, and from
 * there on.  Either the file is refused with an error and nothing of it is left, or all of it is there.  The linker's
 * --wrap puts these functions before the real ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);

static long left = -1; /* allocations that still succeed; -1: all */
static bool once;      /* one fails, else all from there on */
static bool failed;

static bool
fails(void)
{
	if (left == -1)
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	failed = true;
	if (once)
		left = -1;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

/* One reading with ${n} allocations that succeed.  The number of what was read, -1: refused; -2: it did neither. */
static long
read_one(const char *path, long n)
{
	static const char *const macros[] = {"said=10.0.0.1", NULL};
	const struct conf_opts o = {.any_owner = true, .macros = macros, .warn_unused = true};
	struct diags ds = {0};
	struct conf c;
	long count;
	int rc;

	conf_init(&c);
	failed = false;
	left = n;
	rc = conf_parse_file(path, &o, &c, &ds);
	count = (long)(c.nrules + c.nsas + c.nforeign);
	if (rc == 0)
		conf_check(&c, &ds);
	left = -1;
	if (rc == -1)
		count = count == 0 && ds.errors != 0 ? -1 : -2;
	conf_free(&c);
	diags_free(&ds);
	return count;
}

int
main(int argc, char *argv[])
{
	long runs = 0, refused = 0;

	for (int i = 2; i < 2 * argc; i++) {
		const char *path = argv[i / 2];
		long whole = read_one(path, -1);

		once = i % 2;
		for (long n = 0; n == 0 || failed; n++, runs++) {
			long got = read_one(path, n);

			if (got != -1 && got != whole) {
				printf("%s: allocation %ld fails: %ld read, not %ld\n", path, n,
				    got, whole);
				return 1;
			}
			refused += got == -1;
		}
	}
	printf("%ld readings, %ld refused\n", runs, refused);
	return refused > 100 ? 0 : 1;
}
