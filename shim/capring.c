#include "capring.h"

#define ROUND8(n) (((n) + 7u) & ~7u)

void
capring_begin(struct capring *r)
{
	r->magic = CAPRING_MAGIC;
	r->size = CAPRING_DATA;
}

/* Octets in and out at any place, over the end and on at the beginning. */
static void
copy_in(struct capring *r, uint64_t at, const void *from, uint32_t len)
{
	uint32_t i = (uint32_t)(at % CAPRING_DATA);
	uint32_t n = len < CAPRING_DATA - i ? len : CAPRING_DATA - i;

	memcpy(r->data + i, from, n);
	memcpy(r->data, (const uint8_t *)from + n, len - n);
}

static void
copy_out(const struct capring *r, uint64_t at, void *to, uint32_t len)
{
	uint32_t i = (uint32_t)(at % CAPRING_DATA);
	uint32_t n = len < CAPRING_DATA - i ? len : CAPRING_DATA - i;

	memcpy(to, r->data + i, n);
	memcpy((uint8_t *)to + n, r->data, len - n);
}

void
capring_skip(struct capring *r, uint64_t n)
{
	__atomic_fetch_add(&r->lost, n, __ATOMIC_RELAXED);
}

bool
capring_put(struct capring *r, uint64_t *head, const struct capture_rec *rec, const uint8_t *octets)
{
	uint64_t used = *head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
	uint32_t need = (uint32_t)(sizeof *rec + ROUND8(rec->caplen));

	if (used > CAPRING_DATA || need > CAPRING_DATA - used) {
		capring_skip(r, 1);
		return false;
	}
	copy_in(r, *head, rec, sizeof *rec);
	copy_in(r, *head + sizeof *rec, octets, rec->caplen);
	*head += need;
	__atomic_store_n(&r->head, *head, __ATOMIC_RELEASE);
	return true;
}

int
capring_get(struct capring *r, struct capture_rec *rec, uint8_t *octets, uint32_t cap)
{
	uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
	uint64_t there = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) - tail;
	uint32_t caplen;

	if (there == 0)
		return 0;
	if (there > CAPRING_DATA || there < sizeof *rec)
		return -1;
	copy_out(r, tail, rec, sizeof *rec);
	caplen = rec->caplen;
	if (caplen > rec->len || caplen > there - sizeof *rec ||
	    ROUND8(caplen) > there - sizeof *rec)
		return -1;
	copy_out(r, tail + sizeof *rec, octets, caplen < cap ? caplen : cap);
	__atomic_store_n(&r->tail, tail + sizeof *rec + ROUND8(caplen), __ATOMIC_RELEASE);
	rec->caplen = caplen < cap ? caplen : cap;
	return 1;
}

uint64_t
capring_lost(const struct capring *r)
{
	return __atomic_load_n(&r->lost, __ATOMIC_RELAXED);
}
