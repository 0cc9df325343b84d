/*
 * The SAD.  Two open-addressing tables of indices over one array of SAs: one by (proto, SPI, destination) for what comes in, one by
 * (proto, mode, destination) for what goes out, where SAs of one key follow each other in the order they were given.
 * At most half of a table is used, so that a probe ends soon.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "sadb.h"

#define NONE UINT32_MAX

struct slot {
	uint32_t hash; /* upper bits, to pass over strangers without touching their SA */
	uint32_t sa;   /* index into db->sa, NONE: free */
};

struct sadb {
	size_t n;
	size_t mask;
	struct sa **sa;
	struct slot *in, *out;
	uint8_t encap[65536 / 8]; /* local ports that take ESP in UDP */
};

/* What an inbound packet names.  No padding: hashed as octets. */
struct in_key {
	uint32_t spi;
	uint32_t proto;
	struct ipaddr dst;
};

struct out_key {
	uint32_t proto;
	uint32_t mode;
	struct ipaddr dst;
};

_Static_assert(
    sizeof(struct in_key) == 28 && sizeof(struct out_key) == 28, "keys are hashed as octets");

static uint64_t
in_hash(enum ipsec_proto proto, uint32_t spi, const struct ipaddr *dst)
{
	struct in_key k = {.spi = spi, .proto = (uint32_t)proto, .dst = *dst};

	return XXH3_64bits(&k, sizeof k);
}

static uint64_t
out_hash(enum ipsec_proto proto, enum ipsec_mode mode, const struct ipaddr *dst)
{
	struct out_key k = {.proto = (uint32_t)proto, .mode = (uint32_t)mode, .dst = *dst};

	return XXH3_64bits(&k, sizeof k);
}

static void
slot_add(struct sadb *db, struct slot *table, uint64_t hash, uint32_t sa)
{
	size_t i = hash & db->mask;

	while (table[i].sa != NONE)
		i = (i + 1) & db->mask;
	table[i] = (struct slot){(uint32_t)(hash >> 32), sa};
}

/* Is there an SA with the identity of ${sa}, whatever its direction? */
static bool
sadb_twin(const struct sadb *db, uint64_t hash, const struct sa *sa)
{
	for (size_t i = hash & db->mask; db->in[i].sa != NONE; i = (i + 1) & db->mask) {
		const struct sa *other = db->sa[db->in[i].sa];

		if (other->spi == sa->spi && other->p.proto == sa->p.proto &&
		    ipaddr_eq(&other->p.dst, &sa->p.dst))
			return true;
	}
	return false;
}

struct sadb *
sadb_new(struct sa *const *sas, size_t n)
{
	struct sadb *db = calloc(1, sizeof *db);
	size_t room = 16;

	while (room < 2 * n)
		room *= 2;
	if (!db)
		return NULL;
	db->mask = room - 1;
	db->sa = calloc(n ? n : 1, sizeof *db->sa);
	db->in = malloc(room * sizeof *db->in);
	db->out = malloc(room * sizeof *db->out);
	if (!db->sa || !db->in || !db->out)
		goto err;
	memset(db->in, 0xff, room * sizeof *db->in);
	memset(db->out, 0xff, room * sizeof *db->out);
	for (; db->n < n; db->n++) {
		struct sa *sa = sas[db->n];
		uint64_t hash = in_hash(sa->p.proto, sa->spi, &sa->p.dst);

		if (sadb_twin(db, hash, sa)) {
			errno = EEXIST;
			goto err;
		}
		db->sa[db->n] = sa_ref(sa);
		slot_add(db, db->in, hash, (uint32_t)db->n);
		slot_add(
		    db, db->out, out_hash(sa->p.proto, sa->p.mode, &sa->p.dst), (uint32_t)db->n);
		if (sa->p.encap_dport && sa->p.dir != SA_DIR_OUT)
			db->encap[sa->p.encap_dport / 8] |= (uint8_t)(1 << sa->p.encap_dport % 8);
	}
	return db;
err:
	sadb_free(db);
	return NULL;
}

void
sadb_free(struct sadb *db)
{
	int keep = errno;

	if (!db)
		return;
	for (size_t i = 0; i < db->n; i++)
		sa_unref(db->sa[i]);
	free(db->sa);
	free(db->in);
	free(db->out);
	free(db);
	errno = keep;
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
	uint64_t hash = in_hash(proto, spi, dst);

	for (size_t i = hash & db->mask; db->in[i].sa != NONE; i = (i + 1) & db->mask) {
		struct sa *sa;

		if (db->in[i].hash != (uint32_t)(hash >> 32))
			continue;
		sa = db->sa[db->in[i].sa];
		if (sa->spi == spi && sa->p.proto == proto && ipaddr_eq(&sa->p.dst, dst))
			return sa->p.dir == SA_DIR_OUT ? NULL : sa;
	}
	return NULL;
}

/* Entries of one key stand in their order along the probe, since they were put in that order. */
struct sa *
sadb_out(const struct sadb *db, enum ipsec_proto proto, enum ipsec_mode mode,
    const struct ipaddr *src, const struct ipaddr *dst, uint32_t reqid)
{
	uint64_t hash = out_hash(proto, mode, dst);

	for (size_t i = hash & db->mask; db->out[i].sa != NONE; i = (i + 1) & db->mask) {
		struct sa *sa;

		if (db->out[i].hash != (uint32_t)(hash >> 32))
			continue;
		sa = db->sa[db->out[i].sa];
		if (sa->p.proto != proto || sa->p.mode != mode || sa->p.dir == SA_DIR_IN ||
		    !ipaddr_eq(&sa->p.dst, dst))
			continue;
		if ((src->af && !ipaddr_eq(&sa->p.src, src)) || (reqid && sa->p.reqid != reqid) ||
		    !sa_usable(sa))
			continue;
		return sa;
	}
	return NULL;
}

bool
sadb_encap_port(const struct sadb *db, uint16_t port)
{
	return db->encap[port / 8] >> (port % 8) & 1;
}
