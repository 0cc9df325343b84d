/*
 * The SAD: the SAs of one generation, immutable once built, so that workers read it without a lock.
 */
#ifndef BITS_SADB_H
#define BITS_SADB_H

#include <stddef.h>
#include <stdint.h>
#include "sa.h"

/* Opaque types. */
struct sadb;

/**
 * sadb_new(sas, n):
 * A SAD of ${n} SAs in that order; takes a reference on each.  NULL and errno; EEXIST when two have the same
 * (proto, SPI, dst).  Cost O(n).  Control thread.
 */
struct sadb *sadb_new(struct sa *const *sas, size_t n);
void sadb_free(struct sadb *db);

size_t sadb_count(const struct sadb *db);
struct sa *sadb_at(const struct sadb *db, size_t i); /* in the order given; no reference taken */

/**
 * sadb_in(db, proto, spi, dst):
 * The SA an inbound packet names (RFC 4301 4.1: SPI, with protocol and destination as tie-breaks), or NULL.  Never an SA
 * of direction OUT.  Workers; O(1).
 */
struct sa *sadb_in(const struct sadb *db, enum ipsec_proto proto, uint32_t spi, const struct ipaddr *dst);

/* What an inbound packet names, and what was found. */
struct sadb_ask {
	enum ipsec_proto proto;
	uint32_t spi;
	const struct ipaddr *dst;
	struct sa *sa;
};

/**
 * sadb_in_burst(db, ask, n):
 * sadb_in() for each of ${n} packets, into its sa: all places are fetched into the processor's caches before the first is read, so that with many
 * SAs the burst waits for memory once and not for each packet.
 */
void sadb_in_burst(const struct sadb *db, struct sadb_ask ask[], unsigned n);

/**
 * sadb_out(db, proto, mode, src, dst, reqid, fits, arg):
 * The SA to send by: the first usable one, in order, with these end points.  ${src} af 0: any source.  ${reqid} 0: any.
 * ${fits} says whether one will do; NULL: each that is for all traffic.
 * Never an SA of direction IN.  NULL: none (then acquire).  Workers; on a flow cache miss only.
 */
struct sa *sadb_out(const struct sadb *db, enum ipsec_proto proto, enum ipsec_mode mode, const struct ipaddr *src,
    const struct ipaddr *dst, uint32_t reqid, bool (*fits)(const struct sa *sa, const void *arg), const void *arg);

/** sadb_sent(db, proto, spi, dst): the SA that sends packets with that header to ${dst}, or NULL; never one of direction IN.  Workers; O(1). */
struct sa *sadb_sent(const struct sadb *db, enum ipsec_proto proto, uint32_t spi, const struct ipaddr *dst);

/** sadb_encap_port(db, port): does any inbound SA take ESP in UDP (RFC 3948) on that local port?  Workers; O(1). */
bool sadb_encap_port(const struct sadb *db, uint16_t port);
/** sadb_encap_any(db): on any port at all?  Later fragments do not show theirs. */
bool sadb_encap_any(const struct sadb *db);

#endif
