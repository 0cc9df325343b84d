/*
 * Settings below /proc/sys/net that belong to the device.  Only those that differ from "default" are kept: a new device has
 * the others already.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"
#include "nic_int.h"

#define VALUE_MAX 256

static const char *const dirs[] = {"ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"};

/* Second names of other files here, in coarser units; and what link messages carry. */
static bool
skip(const char *file)
{
	static const char *const no[] = {
	    "base_reachable_time", "retrans_time", "unres_qlen", "addr_gen_mode"};

	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		if (strcmp(file, no[i]) == 0)
			return true;
	return file[0] == '.';
}

/* The value without its newline; false: there is none (ENOENT), or none is set (stable_secret: EIO). */
static bool
get(const char *nic, const char *dir, const char *file, char value[static VALUE_MAX])
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/%s/%s/%s", dir, nic, file);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	n = read(fd, value, VALUE_MAX - 1);
	close(fd);
	if (n <= 0)
		return false;
	value[n] = 0;
	value[strcspn(value, "\n")] = 0;
	return true;
}

int
nic_sysctl_set(const char *nic, const char *dir, const char *file, const char *value)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd, e;

	snprintf(path, sizeof path, "/proc/sys/net/%s/%s/%s", dir, nic, file);
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	n = write(fd, value, strlen(value));
	e = errno;
	close(fd);
	errno = e;
	return n == -1 ? -1 : 0;
}

int
nic_sysctl_add(struct nic_sysctl *s, const char *line)
{
	char **l = realloc(s->line, (s->n + 1) * sizeof *l);

	if (!l)
		return -1;
	s->line = l;
	if ((s->line[s->n] = strdup(line)) == NULL)
		return -1;
	s->n++;
	return 0;
}

void
nic_sysctl_free(struct nic_sysctl *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->line[i]);
	free(s->line);
	*s = (struct nic_sysctl){0};
}

/* The value that a device gets from "default"; the one file whose default follows from the device is the IPv6 MTU. */
static bool
get_default(const char *dir, const char *file, unsigned mtu, char value[static VALUE_MAX])
{
	if (strcmp(dir, "ipv6/conf") == 0 && strcmp(file, "mtu") == 0) {
		snprintf(value, VALUE_MAX, "%u", mtu);
		return true;
	}
	return get("default", dir, file, value);
}

static const char *
wanted(const struct nic_sysctl *s, const char *dir, const char *file)
{
	size_t nd = strlen(dir), nf = strlen(file);

	for (size_t i = 0; i < s->n; i++) {
		const char *l = s->line[i];

		if (strncmp(l, dir, nd) == 0 && l[nd] == '/' &&
		    strncmp(l + nd + 1, file, nf) == 0 && l[nd + 1 + nf] == '=')
			return l + nd + nf + 2;
	}
	return NULL;
}

/* Calls ${f} for each writable setting of ${nic}, until it returns -1. */
static int
each(const char *nic, int (*f)(void *ctx, const char *dir, const char *file), void *ctx)
{
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		char path[PATH_MAX];
		struct dirent *e;
		struct stat st;
		int r = 0;
		DIR *d;

		snprintf(path, sizeof path, "/proc/sys/net/%s/%s", dirs[i], nic);
		if ((d = opendir(path)) == NULL) /* no IPv6, on it or at all */
			continue;
		while (r == 0 && (e = readdir(d)) != NULL)
			if (!skip(e->d_name) && fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
			    (st.st_mode & S_IWUSR))
				r = f(ctx, dirs[i], e->d_name);
		closedir(d);
		if (r == -1)
			return -1;
	}
	return 0;
}

struct job {
	const char *nic;
	unsigned mtu;
	struct nic_sysctl *out;
	const struct nic_sysctl *in;
};

static int
save_one(void *ctx, const char *dir, const char *file)
{
	char have[VALUE_MAX], def[VALUE_MAX], line[2 * VALUE_MAX];
	struct job *j = ctx;

	if (!get(j->nic, dir, file, have) ||
	    (get_default(dir, file, j->mtu, def) && strcmp(have, def) == 0))
		return 0;
	snprintf(line, sizeof line, "%s/%.200s=%s", dir, file, have);
	return nic_sysctl_add(j->out, line);
}

int
nic_sysctl_save(const char *nic, unsigned mtu, struct nic_sysctl *out)
{
	struct job j = {.nic = nic, .mtu = mtu, .out = out};

	return each(nic, save_one, &j);
}

static int
load_one(void *ctx, const char *dir, const char *file)
{
	char have[VALUE_MAX] = "", def[VALUE_MAX];
	struct job *j = ctx;
	const char *want = wanted(j->in, dir, file);

	if (!want && get_default(dir, file, j->mtu, def))
		want = def;
	if (!want || (get(j->nic, dir, file, have) && strcmp(have, want) == 0))
		return 0;
	if (nic_sysctl_set(j->nic, dir, file, want) == -1)
		log_warn("nic: net/%s/%s/%s cannot be set to %s", dir, j->nic, file, want);
	return 0;
}

int
nic_sysctl_load(const char *nic, unsigned mtu, const struct nic_sysctl *in)
{
	struct job j = {.nic = nic, .mtu = mtu, .in = in};

	return each(nic, load_one, &j);
}
