/*
 * Files of the language: read whole, bounded, and judged by what fstat(2) says of the open descriptor, so that no
 * symbolic link can be changed between the look and the read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "conf_int.h"

/* A name that lives as long as the conf, because rule_at points to it. */
static const char *
keep_name(struct parser *p, const char *name)
{
	struct conf *c = p->c;
	char **file;

	for (size_t i = 0; i < c->nfiles; i++)
		if (strcmp(c->file[i], name) == 0)
			return c->file[i];
	file = reallocarray(c->file, c->nfiles + 1, sizeof *file);
	if (file == NULL)
		return NULL;
	c->file = file;
	if ((file[c->nfiles] = strdup(name)) == NULL)
		return NULL;
	return file[c->nfiles++];
}

char *
conf_file_beside(const struct conf_file *f, const char *path)
{
	const char *slash = f != NULL ? strrchr(f->name, '/') : NULL;
	char *full;

	if (path[0] == '/' || slash == NULL)
		return strdup(path);
	return asprintf(&full, "%.*s/%s", (int)(slash - f->name), f->name, path) == -1 ? NULL
										       : full;
}

struct conf_file *
conf_file_named(struct parser *p, const char *name)
{
	struct conf_file *f = calloc(1, sizeof *f);

	if (f == NULL || (f->name = keep_name(p, name)) == NULL) {
		free(f);
		conf_nomem(p);
		return NULL;
	}
	f->next = p->files;
	p->files = f;
	return f;
}

/* /dev/null: the usual way to say "an empty file". */
static bool
is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Why keys may not stand in a file like this; NULL: they may. */
static const char *
unsafe(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to another user; chown it";
	if (st->st_mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH))
		return "its group or others may read or write it; chmod 600 it";
	return NULL;
}

static void
file_error(struct parser *p, const struct token *at, const char *path, const char *why)
{
	char shown[256]; /* somebody may have put a key where the path goes */

	token_mask(path, strlen(path), shown, sizeof shown);
	if (at != NULL)
		diags_add(p->ds, at->file->name, at->line, at->col, false, "cannot read %s: %s",
		    shown, why);
	else
		diags_add(p->ds, shown, 0, 0, false, "cannot read it: %s", why);
}

void
conf_file_drop(char *text, size_t len)
{
	if (text != NULL)
		secret_wipe(text, len);
	free(text);
}

/* All that ${fd} has, up to ${max} octets.  0, or -1 and errno (EFBIG: more). */
static int
read_all(int fd, size_t guess, size_t max, char **text, size_t *len)
{
	size_t cap = guess + 1, n = 0;
	char *buf = malloc(cap), *more;
	ssize_t r;
	int error;

	if (buf == NULL)
		return -1;
	for (;;) {
		if (n + 1 >= cap) {
			/* Not realloc(): it would leave keys behind in freed memory. */
			if ((more = malloc(cap * 2)) == NULL)
				goto err;
			memcpy(more, buf, n);
			conf_file_drop(buf, n);
			buf = more;
			cap *= 2;
		}
		r = read(fd, buf + n, cap - n - 1);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			goto err;
		if (r == 0)
			break;
		n += (size_t)r;
		if (n > max) {
			errno = EFBIG;
			goto err;
		}
	}
	buf[n] = '\0';
	*text = buf;
	*len = n;
	return 0;
err:
	error = errno;
	conf_file_drop(buf, n);
	errno = error;
	return -1;
}

/* Open and read; ${st} is of what was read. */
static int
slurp(struct parser *p, const char *path, const struct token *at, bool pipes, size_t max,
    char **text, size_t *len, struct stat *st)
{
	bool standard = strcmp(path, "-") == 0;
	const char *name = standard ? "stdin" : path;
	/* O_NONBLOCK: opening a FIFO that nobody writes to must not hang a daemon. */
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char why[64];
	int rc = -1;

	if (fd == -1 || fstat(fd, st) == -1) {
		file_error(p, at, name, strerror(errno));
	} else if (S_ISDIR(st->st_mode)) {
		file_error(p, at, name, "it is a directory");
	} else if (!standard && !S_ISREG(st->st_mode) && !is_null(st) &&
		   !(pipes && S_ISFIFO(st->st_mode))) {
		file_error(p, at, name, "it is no regular file");
	} else if (S_ISREG(st->st_mode) && (uint64_t)st->st_size > max) {
		snprintf(why, sizeof why, "more than %zu octets", max);
		file_error(p, at, name, why);
	} else {
		if (!standard)
			fcntl(fd, F_SETFL, 0);
		rc = read_all(
		    fd, S_ISREG(st->st_mode) ? (size_t)st->st_size + 1 : 4096, max, text, len);
		if (rc == -1 && errno == EFBIG)
			snprintf(why, sizeof why, "more than %zu octets", max);
		if (rc == -1)
			file_error(p, at, name, errno == EFBIG ? why : strerror(errno));
	}
	if (fd != -1 && !standard)
		close(fd);
	return rc;
}

struct conf_file *
conf_file_read(
    struct parser *p, const char *path, const struct token *at, bool main, char **text, size_t *len)
{
	bool standard = main && strcmp(path, "-") == 0;
	struct conf_file *f;
	struct stat st;

	if (slurp(p, standard ? "-" : path, at, main, CONF_FILE_MAX, text, len, &st) == -1)
		return NULL;
	if (at != NULL)
		for (f = at->file; f != NULL; f = f->by)
			if (f->ino == st.st_ino && f->dev == st.st_dev && f->ino != 0) {
				file_error(p, at, path, "it includes itself");
				goto err;
			}
	if ((f = conf_file_named(p, standard ? "stdin" : path)) == NULL)
		goto err;
	f->unsafe = standard || p->o->any_owner ? NULL : unsafe(&st);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->by = at != NULL ? at->file : NULL;
	return f;
err:
	conf_file_drop(*text, *len);
	*text = NULL;
	return NULL;
}

int
conf_file_key(struct parser *p, const struct token *t)
{
	struct conf_file *f = t->from;

	if (f == NULL || f->unsafe == NULL)
		return 0;
	if (!f->complained)
		diags_add(p->ds, t->file->name, t->line, t->col, false, "%s holds keys, but %s",
		    f->name, f->unsafe);
	f->complained = true; /* once is enough for all its keys; the error stays counted */
	return -1;
}

int
conf_file_secret(
    struct parser *p, const struct token *t, const char *path, char **text, size_t *len)
{
	/* Two keys of SECRET_MAX octets in hexadecimal, "0x" twice, a colon, a line end. */
	static const size_t max = 2 * (2 * SECRET_MAX + 2) + 3;
	char *full = conf_file_beside(t->from, path);
	const char *why;
	struct stat st;
	int rc = -1;

	if (full == NULL)
		return conf_nomem(p);
	if (slurp(p, full, t, false, max, text, len, &st) == -1)
		goto out;
	why = p->o->any_owner ? NULL : unsafe(&st);
	if (why != NULL) {
		file_error(p, t, full, why);
		conf_file_drop(*text, *len);
		goto out;
	}
	while (*len > 0 && strchr(" \t\r\n", (*text)[*len - 1]) != NULL)
		(*text)[--*len] = '\0';
	rc = 0;
out:
	conf_file_drop(full, strlen(full)); /* the path may be a key */
	return rc;
}
