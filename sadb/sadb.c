/*
 * Flat tables, built once.
 *
 * ends: (proto, destination) -> a small number.  A host has few of them, so this table stays in the first cache.
 * in:   (SPI, that number) -> SA.  Four entries make a cache line, all four are compared without a branch: a packet costs one line
 *       however many SAs there are, its misses overlap with those of the next packet, and no SA is touched but the one it names.
 * out:  (that number, reqid) -> a run of indices in the order of the SAs.  An SA with a reqid is in two runs, its own and that of
 *       reqid 0, which stands for "any"; so neither many SAs to one peer nor many peers make a walk long.
 */
#include "sadb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "bigmem.h"

#define LINE 64
#define WAYS 4 /* entries of a bucket of `in` */
#define SEED                                                                                       \
	UINT64_C(                                                                                  \
	    0x9e3779b97f4a7c15) /* only the operator puts keys in; packets look up, they cannot crowd a table */

/* Destination, family and protocol, in words: hashed and compared without a call. */
struct end_key {
	uint64_t word[3];
};

struct end_slot {
	struct end_key key;
	uint64_t id; /* from 1; 0: free */
};

struct in_slot {
	uint32_t spi, end;
	uintptr_t sa; /* 0: free, and so are those behind it in the bucket; bit 0: only sends */
};

struct out_slot {
	uint32_t end, reqid;
	uint32_t start, count; /* of its run; count 0: free */
};

_Static_assert(LINE % sizeof(struct end_slot) == 0, "an end lies in one cache line");
_Static_assert(WAYS * sizeof(struct in_slot) == LINE, "a bucket is a cache line");
_Static_assert(_Alignof(struct sa) > 1, "bit 0 of a pointer to it is free");

struct sadb {
	size_t n, nends;
	struct sa **sa;
	struct end_slot *ends;
	struct in_slot *in;
	struct out_slot *out;
	uint32_t *run;
	size_t ends_mask, in_mask, out_mask; /* of slots; in_mask: of buckets */
	bool encap_any;			     /* a bit of encap is set */
	uint8_t encap[65536 / 8];	     /* local ports that take ESP in UDP */
};

static inline struct end_key
end_key(enum ipsec_proto proto, const struct ipaddr *dst)
{
	struct end_key k;

	memcpy(k.word, dst->b, 16);
	k.word[2] = (uint64_t)dst->af << 8 | (uint64_t)proto;
	return k;
}

/* The slot of an end, or the free one where it would be. */
static inline struct end_slot *
end_find(const struct sadb *db, struct end_key k)
{
	size_t i = XXH3_64bits_withSeed(&k, sizeof k, SEED) & db->ends_mask;

	for (;; i = (i + 1) & db->ends_mask) {
		struct end_slot *s = &db->ends[i];

		if (s->id == 0 || ((s->key.word[0] ^ k.word[0]) | (s->key.word[1] ^ k.word[1]) |
				      (s->key.word[2] ^ k.word[2])) == 0)
			return s;
	}
}

/* The number of an end; 0: no SA has it. */
static inline uint32_t
end_id(const struct sadb *db, enum ipsec_proto proto, const struct ipaddr *dst)
{
	return (uint32_t)end_find(db, end_key(proto, dst))->id;
}

/* Where to begin for a pair of numbers in a table of ${mask} + 1. */
static inline size_t
pair_hash(uint32_t a, uint32_t b, size_t mask)
{
	uint64_t pair = (uint64_t)a << 32 | b;

	return XXH3_64bits_withSeed(&pair, sizeof pair, SEED) & mask;
}

static struct out_slot *
out_find(const struct sadb *db, uint32_t end, uint32_t reqid)
{
	size_t i = pair_hash(end, reqid, db->out_mask);

	while (db->out[i].count != 0 && (db->out[i].end != end || db->out[i].reqid != reqid))
		i = (i + 1) & db->out_mask;
	return &db->out[i];
}

/* The SA (tagged) of a SPI at an end, looked for from bucket ${b} on, where it belongs; 0: none. */
static inline uintptr_t
in_find_at(const struct sadb *db, uint32_t end, uint32_t spi, size_t b)
{
	for (;; b = (b + 1) & db->in_mask) {
		const struct in_slot *s = &db->in[WAYS * b];
		uintptr_t found = 0;

		for (unsigned i = 0; i < WAYS; i++)
			found |= s[i].sa & -(uintptr_t)((s[i].spi == spi) & (s[i].end == end));
		if (found != 0 || s[WAYS - 1].sa == 0)
			return found;
	}
}

static inline uintptr_t
in_find(const struct sadb *db, uint32_t end, uint32_t spi)
{
	return in_find_at(db, end, spi, pair_hash(end, spi, db->in_mask));
}

static size_t
power_of_two(size_t at_least)
{
	size_t n = 1;

	while (n < at_least)
		n *= 2;
	return n;
}

/* A table of ends of ${room} slots; what the old one held moves over. */
static int
resize_ends(struct sadb *db, size_t room)
{
	struct end_slot *old = db->ends;
	size_t had = old != NULL ? db->ends_mask + 1 : 0;

	if ((db->ends = bigmem_new(room * sizeof *old)) == NULL) {
		db->ends = old;
		return -1;
	}
	db->ends_mask = room - 1;
	for (size_t i = 0; i < had; i++) {
		if (old[i].id != 0)
			*end_find(db, old[i].key) = old[i];
	}
	free(old);
	return 0;
}

/* A number for each (proto, destination) there is.  The table grows with them, since most often they are few. */
static int
build_ends(struct sadb *db)
{
	if (resize_ends(db, 16) < 0)
		return -1;
	for (size_t i = 0; i < db->n; i++) {
		const struct sa_params *p = &db->sa[i]->p;
		struct end_key k = end_key(p->proto, &p->dst);
		struct end_slot *s = end_find(db, k);

		if (s->id != 0)
			continue;
		*s = (struct end_slot){k, ++db->nends};
		if (2 * db->nends > db->ends_mask && resize_ends(db, 2 * (db->ends_mask + 1)) < 0)
			return -1;
	}
	return 0;
}

static int
build_in(struct sadb *db)
{
	size_t buckets = power_of_two(db->n / 2 + 1);

	db->in_mask = buckets - 1;
	if ((db->in = bigmem_new(buckets * LINE)) == NULL)
		return -1;
	for (size_t i = 0; i < db->n; i++) {
		const struct sa_params *p = &db->sa[i]->p;
		uint32_t end = end_id(db, p->proto, &p->dst);
		bool receives = p->dir != SA_DIR_OUT;
		size_t at = WAYS * pair_hash(end, p->spi, db->in_mask);

		if (in_find(db, end, p->spi) != 0) {
			errno = EEXIST;
			return -1;
		}
		while (db->in[at].sa != 0)
			at = (at + 1) & (WAYS * buckets - 1);
		db->in[at] = (struct in_slot){p->spi, end, (uintptr_t)db->sa[i] | !receives};
		if (receives && p->encap_dport != 0) {
			db->encap[p->encap_dport / 8] |= (uint8_t)(1 << p->encap_dport % 8);
			db->encap_any = true;
		}
	}
	return 0;
}

/* Counts, then places: the runs lie behind each other in db->run. */
static int
build_out(struct sadb *db)
{
	size_t room, runs = db->nends; /* at most: one of each end, and one of each reqid */

	for (size_t i = 0; i < db->n; i++)
		runs += db->sa[i]->p.dir != SA_DIR_IN && db->sa[i]->p.reqid != 0;
	room = power_of_two(2 * runs + 1);
	runs = 0;
	db->out_mask = room - 1;
	db->out = bigmem_new(room * sizeof *db->out);
	db->run = calloc(2 * db->n + 1, sizeof *db->run);
	if (db->out == NULL || db->run == NULL)
		return -1;
	for (int pass = 0; pass < 2; pass++) {
		/* backwards, as each run is filled from its end down */
		for (size_t i = db->n; i-- > 0;) {
			const struct sa_params *p = &db->sa[i]->p;
			uint32_t end = end_id(db, p->proto, &p->dst);

			if (p->dir == SA_DIR_IN)
				continue;
			for (unsigned k = 0; k < (p->reqid != 0 ? 2 : 1); k++) {
				struct out_slot *s = out_find(db, end, k == 0 ? 0 : p->reqid);

				if (pass == 0)
					*s = (struct out_slot){
					    end, k == 0 ? 0 : p->reqid, 0, s->count + 1};
				else
					db->run[--s->start] = (uint32_t)i;
			}
		}
		for (size_t i = 0; pass == 0 && i < room; i++) {
			runs += db->out[i].count;
			db->out[i].start = (uint32_t)runs;
		}
	}
	return 0;
}

struct sadb *
sadb_new(struct sa *const *sas, size_t n)
{
	struct sadb *db;
	int e;

	if (n > UINT32_MAX / 4) {
		errno = EINVAL;
		goto err0;
	}
	if ((db = calloc(1, sizeof *db)) == NULL)
		goto err0;
	if ((db->sa = calloc(n + 1, sizeof *db->sa)) == NULL)
		goto err1;
	for (; db->n < n; db->n++)
		db->sa[db->n] = sa_ref(sas[db->n]);
	if (build_ends(db) < 0 || build_in(db) < 0 || build_out(db) < 0)
		goto err1;
	return db;

err1:
	e = errno;
	sadb_free(db);
	errno = e;
err0:
	return NULL;
}

void
sadb_free(struct sadb *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->n; i++)
		sa_unref(db->sa[i]);
	free(db->run);
	free(db->out);
	free(db->in);
	free(db->ends);
	free(db->sa);
	free(db);
}

size_t
sadb_count(const struct sadb *db)
{
	return db->n;
}

struct sa *
sadb_at(const struct sadb *db, size_t i)
{
	return i < db->n ? db->sa[i] : NULL;
}

struct sa *
sadb_in(const struct sadb *db, enum ipsec_proto proto, uint32_t spi, const struct ipaddr *dst)
{
	uint32_t end = end_id(db, proto, dst);
	uintptr_t sa = end != 0 ? in_find(db, end, spi) : 0;

	return (sa & 1) != 0 ? NULL : (struct sa *)sa;
}

struct sa *
sadb_sent(const struct sadb *db, enum ipsec_proto proto, uint32_t spi, const struct ipaddr *dst)
{
	uint32_t end = end_id(db, proto, dst);
	struct sa *sa = end != 0 ? (struct sa *)(in_find(db, end, spi) & ~(uintptr_t)1) : NULL;

	return sa != NULL && sa->p.dir != SA_DIR_IN ? sa : NULL;
}

void
sadb_in_burst(const struct sadb *db, struct sadb_ask ask[], unsigned n)
{
	enum { MANY = 64 };
	uint32_t end[MANY];
	size_t at[MANY];

	for (; n > MANY; n -= MANY, ask += MANY)
		sadb_in_burst(db, ask, MANY);
	for (unsigned i = 0; i < n; i++) {
		end[i] = end_id(db, ask[i].proto, ask[i].dst);
		at[i] = pair_hash(end[i], ask[i].spi, db->in_mask);
		__builtin_prefetch(&db->in[WAYS * at[i]]);
	}
	for (unsigned i = 0; i < n; i++) {
		uintptr_t sa = end[i] != 0 ? in_find_at(db, end[i], ask[i].spi, at[i]) : 0;

		ask[i].sa = (sa & 1) != 0 ? NULL : (struct sa *)sa;
	}
}

struct sa *
sadb_out(const struct sadb *db, enum ipsec_proto proto, enum ipsec_mode mode,
    const struct ipaddr *src, const struct ipaddr *dst, uint32_t reqid,
    bool (*fits)(const struct sa *sa, const void *arg), const void *arg)
{
	uint32_t end = end_id(db, proto, dst);
	const struct out_slot *s;

	if (end == 0)
		return NULL;
	s = out_find(db, end, reqid);
	for (uint32_t i = 0; i < s->count; i++) {
		struct sa *sa = db->sa[db->run[s->start + i]];

		if (sa->p.mode == mode && (src->af == 0 || ipaddr_eq(&sa->p.src, src)) &&
		    sa_usable(sa) && (fits != NULL ? fits(sa, arg) : sa->p.sel == NULL))
			return sa;
	}
	return NULL;
}

bool
sadb_encap_port(const struct sadb *db, uint16_t port)
{
	return db->encap[port / 8] >> port % 8 & 1;
}

bool
sadb_encap_any(const struct sadb *db)
{
	return db->encap_any;
}
