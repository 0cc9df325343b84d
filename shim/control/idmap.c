#include <stdlib.h>
#include "idmap.h"

int
idmap_init(struct idmap *m, size_t n)
{
	size_t size = 8;

	while (size < 2 * n)
		size *= 2;
	m->mask = size - 1;
	m->slot = calloc(size, sizeof *m->slot);
	return m->slot ? 0 : -1;
}

void
idmap_fini(struct idmap *m)
{
	free(m->slot);
	*m = (struct idmap){0};
}

/* Spreads FNV's weak low bits. */
static size_t
home(const struct idmap *m, uint32_t hash)
{
	return (size_t)((uint64_t)hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & m->mask;
}

void
idmap_put(struct idmap *m, uint32_t hash, size_t place)
{
	size_t i = home(m, hash);

	while (m->slot[i].place1)
		i = (i + 1) & m->mask;
	m->slot[i] = (struct idmap_slot){hash, (uint32_t)place + 1};
}

long
idmap_each(const struct idmap *m, uint32_t hash, size_t *pos)
{
	if (!m->slot)
		return -1;
	for (;;) {
		const struct idmap_slot *s = &m->slot[(home(m, hash) + *pos) & m->mask];

		if (!s->place1)
			return -1;
		++*pos;
		if (s->hash == hash)
			return (long)s->place1 - 1;
	}
}

uint32_t
idmap_hash(uint32_t h, const void *octets, size_t n)
{
	const uint8_t *p = octets;

	while (n--)
		h = (h ^ *p++) * 16777619u;
	return h;
}
