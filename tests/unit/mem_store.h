/*
 * Sequence number records in memory, with a fault to order.
 */
#ifndef BITS_TEST_MEM_STORE_H
#define BITS_TEST_MEM_STORE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "seqkeeper.h"

#define MEM_STORE_FILES 64

struct mem {
	struct {
		char name[80];
		uint8_t buf[512];
		size_t len;
	} file[MEM_STORE_FILES];
	int n;
	int fail_read, fail_replace; /* errno */
	int replaces;
};

static int
mem_find(struct mem *m, const char *name)
{
	for (int i = 0; i < m->n; i++)
		if (strcmp(m->file[i].name, name) == 0)
			return i;
	return -1;
}

static int
mem_read(void *ctx, const char *name, uint8_t *buf, size_t *len)
{
	struct mem *m = ctx;
	int i = mem_find(m, name);

	errno = m->fail_read ? m->fail_read : ENOENT;
	if (m->fail_read || i < 0)
		return -1;
	if (*len >= m->file[i].len)
		memcpy(buf, m->file[i].buf, m->file[i].len);
	*len = m->file[i].len;
	return 0;
}

static int
mem_replace(void *ctx, const char *name, const uint8_t *buf, size_t len)
{
	struct mem *m = ctx;
	int i = mem_find(m, name);

	errno = m->fail_replace ? m->fail_replace : ENOSPC;
	if (m->fail_replace || (i < 0 && m->n == MEM_STORE_FILES) || len > sizeof m->file[0].buf)
		return -1;
	m->replaces++;
	if (i < 0)
		i = m->n++;
	snprintf(m->file[i].name, sizeof m->file[i].name, "%s", name);
	memcpy(m->file[i].buf, buf, len);
	m->file[i].len = len;
	return 0;
}

static int
mem_remove(void *ctx, const char *name)
{
	return 0;
}

static inline struct seqkeeper *
mem_keeper(struct mem *m, const char *machine)
{
	struct seqstore_io io = {
	    .ctx = m, .read = mem_read, .replace = mem_replace, .remove = mem_remove};

	return seqkeeper_new(&io, machine);
}

#endif
